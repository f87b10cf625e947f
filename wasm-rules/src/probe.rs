//! Which literal of a rule the matcher looks for.
//!
//! A rule can only match where all of its positive payload contents occur, so any window of one of them may stand for
//! the rule. The choice decides how often the rule is evaluated in vain: the rarest window wins.
//!
//! Both what a hit costs and what a rule without a probe costs are paid once a payload, so windows are compared by the share
//! of payloads that have them. A [`Frequency`] tells it, usually a [`crate::frequency::Table`]. Three things no table can
//! know, so they are laid down here: text that is encrypted or compressed has every short window, padding is a run of any
//! byte, and what repeats with a short period is often padding, too.

mod cost;

use weir_engine::app::AppBuffer;
use weir_engine::matcher::MAX_PROBE;
use weir_engine::plan::{Buffer, ProbeChoice};

use crate::frequency::Estimate;

pub use cost::{Cost, DEAR, Dear, Occasion};

/// How often windows of bytes occur.
pub trait Frequency {
    /// How often a window is expected. It is lower case when `folded`, and has 1 to [`MAX_PROBE`] bytes.
    fn estimate(&self, window: &[u8], folded: bool) -> Estimate;
}

/// A positive content that the rule needs.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The literal; lower case when `nocase`.
    pub bytes: &'a [u8],
    /// ASCII case does not matter.
    pub nocase: bool,
    /// The author chose it (`fast_pattern`), or this part of it.
    pub preferred: bool,
}

/// What the author chose is used if it is at least this rare, in bits. Measured on the half of a trace that the table was
/// not learnt from, with all rules of ET Open: at 5 bits, common choices of authors are found in payloads 372,621 times, at
/// 9 bits 327,185 times; above that nothing is gained.
const PREFERRED_RARITY: f32 = 9.0;

/// A window must be rarer than this, in bits: one that is found in every fourth payload saves too little over a rule that
/// is a candidate by its header. This rules out every single byte, which random payloads have that often.
pub const USEFUL_RARITY: f32 = 2.0;

/// What the matcher spends on an offset where a window stands, as part of what a hit and the evaluation after it cost.
const COMPARISON: f64 = 1.0 / 16.0;

/// Bits of a byte in encrypted or compressed data, of which any traffic can have much, whatever was learnt from.
const RANDOM_BYTE: f32 = 8.0;

/// Offsets, in bits, of a payload of such data.
const RANDOM_PAYLOAD: f32 = 9.0;

/// Most bits of a window that repeats with a period of 2 or 3 bytes, and of a byte that stands twice: rather anything else.
const PERIODIC: f32 = 4.0;

/// Most bits of a longer run: padding is of any byte.
const RUN: f32 = 3.0;

/// A run of at least this many bytes is a long one.
const LONG_RUN: usize = 3;

/// Windows of a content that are looked at: the rarest of so many is rare enough, and a content of megabytes takes no longer.
const MOST_WINDOWS: usize = 4096;

/// Why a window is judged as common as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was seen, or estimated, that often.
    Frequent,
    /// It is so short that random bytes would have it that often.
    Short,
    /// It is one byte value, repeated. Padding can be of any byte, whatever was learnt from.
    Run,
    /// It repeats with a period of 2 or 3 bytes.
    Periodic,
}

/// How rare a window is, and what decided it. In bits: it costs `2^-rarity` of what a rule does that is evaluated on
/// every payload.
pub fn rarity(window: &[u8], folded: bool, frequency: &impl Frequency) -> (f32, Reason) {
    let periodic = |period: usize| {
        let shifted = window.get(period..).unwrap_or_default();
        !shifted.is_empty() && shifted.iter().zip(window).all(|(a, b)| a == b)
    };
    let length = window.len();
    let run = length >= LONG_RUN && periodic(1);
    let cap = match length {
        _ if run => (RUN, Reason::Run),
        2.. if periodic(1) => (PERIODIC, Reason::Run),
        5.. if periodic(2) || periodic(3) => (PERIODIC, Reason::Periodic),
        _ => (RANDOM_BYTE * length as f32 - RANDOM_PAYLOAD, Reason::Short),
    };
    let Estimate {
        payloads, times, ..
    } = frequency.estimate(window, folded);
    // Inside a long run, the matcher passes over what repeats.
    let comparisons = if run { payloads } else { times };
    let learnt = -(payloads + comparisons * COMPARISON).log2() as f32;
    if learnt < cap.0 {
        (learnt, Reason::Frequent)
    } else {
        cap
    }
}

/// The window of the candidates that is estimated the rarest; `None` when there is none that is worth looking for.
///
/// Among equals, the first window of the first candidate wins, so that rules which share a content share a probe.
pub fn choose(
    candidates: &[Candidate<'_>],
    buffer: Buffer,
    frequency: &impl Frequency,
) -> Option<ProbeChoice> {
    let preferred = || candidates.iter().filter(|candidate| candidate.preferred);
    let authors = rarest(preferred(), frequency).filter(|window| window.rarity >= PREFERRED_RARITY);
    let chosen = authors.or_else(|| rarest(candidates.iter(), frequency))?;
    (chosen.rarity > USEFUL_RARITY).then(|| ProbeChoice {
        buffer,
        bytes: chosen.bytes.to_vec(),
        folded: chosen.folded,
    })
}

/// Bits of rarity that a window loses in a buffer that says nearly always one of a few things: the table knows payloads,
/// in which a method is one word of many.
fn commonness(buffer: AppBuffer) -> f32 {
    use AppBuffer::*;
    match buffer {
        HttpMethod | HttpProtocol | HttpStatCode | HttpStatMsg | HttpConnection | SipMethod
        | SipProtocol | SshProto | FtpCompletionCode => 14.0,
        HttpAccept | HttpAcceptEnc | HttpAcceptLang | HttpContentLen | HttpHeaderNames
        | HttpContentType | FileMagic => 8.0,
        HttpRequestLine | HttpResponseLine | HttpStart | HttpServer | HttpUserAgent
        | FtpCommand | TlsAlpn => 5.0,
        HttpHeader | HttpHeaderRaw | HttpRequestHeader | HttpResponseHeader => 2.0,
        _ => 0.0,
    }
}

/// The probe of a rule about transactions, from the contents of each buffer.
///
/// A buffer is looked through only where there is a transaction, so that a probe need not be as rare as one of payloads:
/// whatever says more than nothing will do.
pub fn choose_buffer(
    lists: &[(Buffer, Vec<Candidate<'_>>)],
    frequency: &impl Frequency,
) -> Option<ProbeChoice> {
    let loss = |buffer: Buffer| match buffer {
        Buffer::App(buffer) | Buffer::AppOf(buffer, _) => commonness(buffer),
        _ => 0.0,
    };
    let best = |preferred: bool| {
        let mut best: Option<(Buffer, Window<'_>)> = None;
        for (buffer, candidates) in lists {
            let of_list = candidates.iter().filter(|of| of.preferred || !preferred);
            if let Some(mut window) = rarest(of_list, frequency) {
                window.rarity -= loss(*buffer);
                if best
                    .as_ref()
                    .is_none_or(|(_, best)| window.rarity > best.rarity)
                {
                    best = Some((*buffer, window));
                }
            }
        }
        best
    };
    let authors = best(true).filter(|(_, window)| window.rarity >= PREFERRED_RARITY);
    let (buffer, chosen) = authors.or_else(|| best(false))?;
    Some(ProbeChoice {
        buffer,
        bytes: chosen.bytes.to_vec(),
        folded: chosen.folded,
    })
}

/// A part of a content that a probe could look for.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// 1 to [`MAX_PROBE`] bytes.
    pub bytes: &'a [u8],
    /// ASCII case does not matter, and there is a letter.
    pub folded: bool,
    /// Bits, see [`rarity`].
    pub rarity: f32,
    /// What decided the rarity.
    pub reason: Reason,
}

/// The rarest window of the candidates, whether it is worth looking for or not; the first one of several.
pub fn rarest<'a, 'c: 'a>(
    candidates: impl Iterator<Item = &'a Candidate<'c>>,
    frequency: &impl Frequency,
) -> Option<Window<'c>> {
    let windows = candidates.flat_map(|candidate| {
        // A window of no bytes does not exist, and an empty content has no other.
        let length = candidate.bytes.len().clamp(1, MAX_PROBE);
        let windows = candidate.bytes.windows(length).take(MOST_WINDOWS);
        windows.map(|bytes| {
            (
                bytes,
                candidate.nocase && bytes.iter().any(u8::is_ascii_alphabetic),
            )
        })
    });
    let mut best: Option<Window<'c>> = None;
    for (bytes, folded) in windows {
        let (rarity, reason) = rarity(bytes, folded, frequency);
        if best.is_none_or(|best| rarity > best.rarity) {
            best = Some(Window {
                bytes,
                folded,
                rarity,
                reason,
            });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frequency::{Learner, Limits, Table};

    /// A table of a web server's traffic, in small.
    fn table() -> Table {
        let mut learner = Learner::new();
        for at in 0..200 {
            let page = format!(
                "GET /page/{at}.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
            );
            learner.payload(page.as_bytes());
        }
        learner.finish(Limits::default())
    }

    fn chosen(contents: &[(&str, bool)]) -> Option<(String, bool)> {
        let candidates: Vec<_> = contents
            .iter()
            .map(|&(text, nocase)| Candidate {
                bytes: text.as_bytes(),
                nocase,
                preferred: false,
            })
            .collect();
        choose(&candidates, Buffer::Payload, &table()).map(|choice| {
            (
                String::from_utf8_lossy(&choice.bytes).into_owned(),
                choice.folded,
            )
        })
    }

    #[test]
    fn the_rare_content_beats_the_long_common_one() {
        assert_eq!(
            chosen(&[("User-Agent: Mozilla/5.0", false), ("zQxJ7", false)]),
            Some(("zQxJ7".into(), false))
        );
        let (window, folded) = chosen(&[("user-agent: wbqkzvyx", true)]).expect("a probe");
        assert!(
            folded && "wbqkzvyx".contains(window.trim_start_matches([':', ' '])),
            "{window}"
        );
        assert_eq!(
            chosen(&[("12345678", true)]),
            Some(("12345678".into(), false)),
            "no letter to fold"
        );
    }

    #[test]
    fn single_bytes_are_no_probes_and_runs_the_last_choice() {
        for useless in ["x", "~"] {
            assert_eq!(chosen(&[(useless, false)]), None, "{useless:?}");
        }
        for run in ["AAAAAAAAAAAA", "abababababab", "abcabcabc", "@@"] {
            assert_eq!(
                chosen(&[(run, false), ("q#", false)]),
                Some(("q#".into(), false)),
                "{run}"
            );
        }
        for (only, window) in [
            ("ababababab", "abababab"),
            ("33", "33"),
            ("AAAAAAAAAAAA", "AAAAAAAA"),
        ] {
            assert_eq!(
                chosen(&[(only, false)]),
                Some((window.into(), false)),
                "nothing else is there"
            );
        }
        assert_eq!(
            chosen(&[("AAAAAAAAAAAA", false), ("33", false)]),
            Some(("33".into(), false)),
            "the longer run is the likelier padding"
        );
        assert_eq!(
            chosen(&[("aaaaaaaax", true)]),
            Some(("aaaaaaax".into(), true)),
            "the end of a run is none"
        );
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[("", true)]), None);
    }

    #[test]
    fn what_counts_is_how_many_payloads_have_a_window() {
        let mut learner = Learner::new();
        let pad = "Z".repeat(2000);
        for at in 0..400 {
            // Long runs in one payload of twenty, a word in one of three.
            let run = if at % 20 == 0 { &pad } else { "" };
            let word = if at % 3 == 0 { "bonjour" } else { "" };
            learner.payload(format!("{at:07}{word}{run}{at:07}").as_bytes());
        }
        let table = learner.finish(Limits::default());
        let chosen = |text: &'static str| {
            let candidate = Candidate {
                bytes: text.as_bytes(),
                nocase: false,
                preferred: false,
            };
            choose(&[candidate], Buffer::Payload, &table).map(|choice| choice.bytes)
        };
        let offsets = |text: &str| table.estimate(text.as_bytes(), false).offsets;
        assert!(offsets("ZZZZZZZZ") > 0.5 && offsets("bonjour") < 0.01);
        assert_eq!(chosen("ZZZZZZZZZZ").as_deref(), Some(&b"ZZZZZZZZ"[..]));
        assert_eq!(chosen("bonjour"), None);
    }

    #[test]
    fn the_authors_choice_counts_unless_it_is_common() {
        let pick = |preferred: &'static [u8]| {
            let other = Candidate {
                bytes: b"\xde\xad\xbe\xef\x99\x98\x97\x96",
                nocase: false,
                preferred: false,
            };
            let chosen = Candidate {
                bytes: preferred,
                nocase: false,
                preferred: true,
            };
            choose(&[other, chosen], Buffer::Payload, &table())
                .expect("a probe")
                .bytes
        };
        assert_eq!(pick(b"evil"), b"evil");
        for common in [&b"\0\0\0\0"[..], b"User-Agent:", b"\xab"] {
            assert_eq!(pick(common), b"\xde\xad\xbe\xef\x99\x98\x97\x96");
        }
    }

    #[test]
    fn what_is_judged_common_says_why() {
        let table = table();
        let reason = |window: &[u8]| rarity(window, false, &table).1;
        assert_eq!(reason(b"Mozilla/"), Reason::Frequent);
        assert_eq!(reason(b"\xfe"), Reason::Short);
        assert_eq!(reason(b"\xfe\xfe"), Reason::Run);
        assert_eq!(reason(b"\xfe\x01\xfe\x01\xfe"), Reason::Periodic);
    }
}
