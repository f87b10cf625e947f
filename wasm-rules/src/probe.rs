//! Which literal of a rule the matcher looks for.
//!
//! A rule can only match where all of its positive payload contents occur, so any window of one of them may stand for
//! the rule. The choice decides how often the rule is evaluated in vain: the rarest window wins.

use std::sync::OnceLock;

use weir_engine::matcher::MAX_PROBE;
use weir_engine::plan::{Buffer, ProbeChoice};

/// How rare windows of bytes are.
pub trait Frequency {
    /// Rarity in bits: a window is expected at one of `2^rarity` byte offsets. `window` is lower case when `folded`,
    /// and has 1 to [`MAX_PROBE`] bytes.
    fn rarity(&self, window: &[u8], folded: bool) -> f32;
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

/// What the author chose is used if it is at least this rare, in bits.
const PREFERRED_RARITY: f32 = 16.0;

/// A window that is no rarer than this, in bits, would be found all the time: the rule is better off as a candidate by
/// its header. This rules out every single byte, and pairs such as two zeros.
const USEFUL_RARITY: f32 = 8.0;

/// The window of the candidates that is estimated the rarest; `None` when there is none that is worth looking for.
///
/// Among equals, the first window of the first candidate wins, so that rules which share a content share a probe.
pub fn choose(candidates: &[Candidate<'_>], frequency: &impl Frequency) -> Option<ProbeChoice> {
    let preferred: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|candidate| candidate.preferred)
        .collect();
    let rarest = rarest(&preferred, frequency).filter(|&(rarity, _)| rarity >= PREFERRED_RARITY);
    rarest
        .or_else(|| self::rarest(candidates, frequency))
        .map(|(_, choice)| choice)
}

fn rarest(candidates: &[Candidate<'_>], frequency: &impl Frequency) -> Option<(f32, ProbeChoice)> {
    let mut best: Option<(f32, &[u8], bool)> = None;
    for candidate in candidates {
        let length = candidate.bytes.len().min(MAX_PROBE);
        if length == 0 {
            continue;
        }
        for window in candidate.bytes.windows(length) {
            let folded = candidate.nocase && window.iter().any(u8::is_ascii_alphabetic);
            let rarity = frequency.rarity(window, folded);
            if rarity > best.map_or(USEFUL_RARITY, |(most, ..)| most) {
                best = Some((rarity, window, folded));
            }
        }
    }
    best.map(|(rarity, bytes, folded)| {
        (
            rarity,
            ProbeChoice {
                buffer: Buffer::Payload,
                bytes: bytes.to_vec(),
                folded,
            },
        )
    })
}

/// An estimate that needs no traffic: byte classes, and text that is in every conversation.
#[derive(Clone, Copy, Debug, Default)]
pub struct StaticFrequency;

impl Frequency for StaticFrequency {
    fn rarity(&self, window: &[u8], folded: bool) -> f32 {
        let known = trigrams();
        // Bytes that repeat with a short period say nothing new: padding is the commonest thing there is.
        let period = (1..=3).find(|&period| {
            window
                .iter()
                .zip(window.iter().skip(period))
                .all(|(a, b)| a == b)
        });
        let telling = match period {
            Some(period) if window.len() > period => period,
            _ => window.len(),
        };
        let mut bits = 0.0;
        for (at, &byte) in window.iter().enumerate().take(telling) {
            let predictable = at
                .checked_sub(2)
                .and_then(|from| window.get(from..=at))
                .is_some_and(|seen| known.has(seen));
            bits += if predictable {
                0.7
            } else {
                byte_rarity(byte, folded)
            };
        }
        bits + 0.25 * (window.len() - telling) as f32
    }
}

/// Bits of one byte, over all kinds of traffic.
fn byte_rarity(byte: u8, folded: bool) -> f32 {
    match byte {
        0x00 => 2.5,
        b' ' | b'e' | b't' | b'a' | b'o' => 4.2,
        b'i' | b'n' | b's' | b'r' | b'0' | b'1' => 4.6,
        b'c' | b'd' | b'l' | b'p' | b'm' | b'h' | b'2' | b'.' | b'/' | b'-' | 0xFF => 5.2,
        b'\r' | b'\n' | b'=' | b':' | b'"' | b';' | b',' => 5.6,
        b'a'..=b'z' | b'0'..=b'9' => 6.0,
        b'A'..=b'Z' if folded => 5.5,
        b'A'..=b'Z' => 6.5,
        0x01..=0x08 | 0x10 | 0x20..=0x7E => 7.0,
        0x80 | 0xC0 => 7.0,
        _ => 8.0,
    }
}

/// Text that clients and servers send all the time.
const COMMON: &[&str] = &[
    "get / http/1.1\r\nhost: www.example.com\r\nuser-agent: mozilla/5.0 (windows nt 10.0; win64; x64; rv:) applewebkit/537.36 \
     (khtml, like gecko) chrome/ safari/537.36 firefox/ (compatible; msie 8.0; windows nt 6.1; trident/4.0; .net clr 2.0.50727)\r\n\
     accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/png,*/*;q=0.8\r\naccept-language: en-us,en;q=0.5\r\n\
     accept-encoding: gzip, deflate, br\r\naccept: */*\r\nreferer: http://www.\r\nconnection: keep-alive\r\nconnection: close\r\n\
     cache-control: no-cache\r\npragma: no-cache\r\ncookie: sessionid=\r\ncontent-type: application/x-www-form-urlencoded\r\n\
     content-length: 100\r\n\r\n",
    "post /index.php http/1.1\r\n",
    "head / http/1.0\r\n",
    "http/1.1 200 ok\r\ndate: mon, 01 jan 2020 00:00:00 gmt\r\nserver: apache/2.4 (unix) nginx microsoft-iis/\r\n\
     last-modified: tue, wed, thu, fri, sat, sun gmt\r\netag: \"\r\naccept-ranges: bytes\r\ntransfer-encoding: chunked\r\n\
     content-type: text/html; charset=utf-8\r\ncontent-encoding: gzip\r\nset-cookie: path=/; expires=; domain=\r\n\
     content-disposition: attachment; filename=\"\r\nvary: accept-encoding\r\nx-powered-by: php/\r\nlocation: https://\r\n",
    "<!doctype html><html><head><title></title><meta http-equiv=\"content-type\"><script type=\"text/javascript\" src=\"\
     <link rel=\"stylesheet\" href=\"http://www.w3.org/1999/xhtml\"><body><div class=\"\" id=\"\"><a href=\"</a></div></body></html>\
     <?xml version=\"1.0\" encoding=\"utf-8\"?>function( document. window. return var \",\" this.",
    "application/json application/octet-stream application/javascript image/gif image/jpeg multipart/form-data; boundary=",
    "ehlo helo mail from:<> rcpt to:<> subject: mime-version: 1.0 message-id: received: from by with esmtp",
    "this program cannot be run in dos mode",
];

/// Trigrams of [`COMMON`], case ignored.
struct Trigrams(Vec<u64>);

impl Trigrams {
    /// Index of a trigram; different ones may share it, which only makes the estimate a little less sharp.
    fn slot(trigram: &[u8]) -> usize {
        let key = trigram.iter().fold(0u32, |key, &byte| {
            key << 8 | u32::from(byte.to_ascii_lowercase())
        });
        (key.wrapping_mul(0x9E37_79B1) >> 16) as usize
    }

    fn has(&self, trigram: &[u8]) -> bool {
        let slot = Self::slot(trigram);
        self.0
            .get(slot / 64)
            .is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

fn trigrams() -> &'static Trigrams {
    static TRIGRAMS: OnceLock<Trigrams> = OnceLock::new();
    TRIGRAMS.get_or_init(|| {
        let mut words = vec![0u64; 1 << 10];
        for trigram in COMMON.iter().flat_map(|text| text.as_bytes().windows(3)) {
            let slot = Trigrams::slot(trigram);
            if let Some(word) = words.get_mut(slot / 64) {
                *word |= 1 << (slot % 64);
            }
        }
        Trigrams(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(contents: &[(&str, bool)]) -> Option<(String, bool)> {
        let candidates: Vec<_> = contents
            .iter()
            .map(|&(text, nocase)| Candidate {
                bytes: text.as_bytes(),
                nocase,
                preferred: false,
            })
            .collect();
        choose(&candidates, &StaticFrequency).map(|choice| {
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
        let (window, folded) = chosen(&[("content-type: wbqkzvyx", true)]).expect("a probe");
        assert!(
            folded && "wbqkzvyx".contains(window.trim_start_matches([':', ' '])),
            "{window}"
        );
    }

    #[test]
    fn runs_and_common_single_bytes_are_avoided() {
        assert_eq!(
            chosen(&[("AAAAAAAAAAAA", false), ("q#", false)]),
            Some(("q#".into(), false))
        );
        assert_eq!(
            chosen(&[("abababababab", false), ("q#&", false)]),
            Some(("q#&".into(), false))
        );
        assert_eq!(
            chosen(&[("AAAAAAAAAAAA", false)]),
            Some(("AAAAAAAA".into(), false)),
            "nothing else is there"
        );
        assert_eq!(
            chosen(&[(" ", false), ("\0\0", true), ("x", true)]),
            None,
            "found all the time"
        );
        assert_eq!(
            chosen(&[("12", true)]),
            Some(("12".into(), false)),
            "no letter to fold"
        );
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn the_authors_choice_counts_unless_it_is_useless() {
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
            choose(&[other, chosen], &StaticFrequency)
                .expect("a probe")
                .bytes
        };
        assert_eq!(pick(b"evil"), b"evil");
        assert_eq!(pick(b"\0\0\0\0"), b"\xde\xad\xbe\xef\x99\x98\x97\x96");
    }
}
