//! Bytes for every buffer that a rule looks into.

use std::collections::HashMap;

use weir_engine::app::AppBuffer;
use weir_engine::plan::{Buffer, BufferPlan, Content, Op, PacketTest, Rule, Transform};

use super::canonical::{canonical, repeats};
use super::checker::Checker;
use super::layout::{LONGEST, Search, Step, Style};
use super::pattern::parse;
use super::set::ByteSet;
use super::strings::{Made, variants};
use super::unmet::Unmet;

/// Strings that are made of an expression.
const STRINGS: usize = 20;
/// Payload of a packet at most.
const PACKET: usize = 1400;

/// What a buffer is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) buffer: Buffer,
    /// Which plans of the rule it satisfies.
    pub(super) plans: Vec<usize>,
    /// `None`: it must not be there.
    pub(super) bytes: Option<Vec<u8>>,
    /// The payload is the message, with everything else that it must show.
    pub(super) whole: bool,
}

/// The keyword of a buffer.
pub(super) fn keyword(buffer: Buffer) -> &'static str {
    match buffer {
        Buffer::Payload => "content",
        Buffer::App(buffer) => buffer.name(),
        _ => "packet headers",
    }
}

/// Makes bytes for all buffers of a rule. Each attempt makes them another way, as far as there are several.
pub(super) fn fill(
    rule: &Rule,
    checker: &mut Checker,
    attempt: usize,
) -> Result<Vec<Filled>, Unmet> {
    let mut groups: Vec<(Buffer, Vec<usize>)> = Vec::new();
    for (number, plan) in rule.buffers.iter().enumerate() {
        let own = matches!(plan.buffer, Buffer::App(buffer) if repeats(buffer));
        match groups.iter_mut().find(|(buffer, _)| *buffer == plan.buffer) {
            Some((_, plans)) if !own => plans.push(number),
            _ => groups.push((plan.buffer, vec![number])),
        }
    }
    // Headers together come last: they can be made over what is known of single ones.
    let together = Buffer::App(AppBuffer::HttpHeader);
    let raw = Buffer::App(AppBuffer::HttpUriRaw);
    groups.sort_by_key(|(buffer, _)| *buffer == together || *buffer == raw);
    let mut all = Vec::with_capacity(groups.len() + 1);
    for (buffer, plans) in groups {
        let over = match attempt % 4 {
            2 | 3 if buffer == together => super::http::lines_so_far(rule, &all, attempt),
            0 | 1 if buffer == raw => super::http::uri_so_far(rule, &all),
            _ => None,
        };
        let made = group(
            rule,
            checker,
            attempt,
            buffer,
            plans.clone(),
            over.as_deref(),
        );
        match (made, over) {
            (Err(_), Some(_)) => all.push(group(rule, checker, attempt, buffer, plans, None)?),
            (made, _) => all.push(made?),
        }
    }
    let payload = all.iter().any(|filled| filled.buffer == Buffer::Payload);
    if let (false, Some(size)) = (payload, size(rule)) {
        let length = (0..=PACKET).find(|&length| size.iter().all(|size| size.test(length as u64)));
        all.push(Filled {
            buffer: Buffer::Payload,
            plans: Vec::new(),
            bytes: Some(vec![b'a'; length.ok_or(Unmet::Header)?]),
            whole: false,
        });
    }
    Ok(all)
}

/// Makes the payload over a message that shows everything else: contents that it has already are there.
pub(super) fn over(
    rule: &Rule,
    checker: &mut Checker,
    attempt: usize,
    plans: &[usize],
    message: &[u8],
) -> Option<Filled> {
    let seed: Vec<ByteSet> = message.iter().map(|&byte| ByteSet::of(byte)).collect();
    group(
        rule,
        checker,
        attempt,
        Buffer::Payload,
        plans.to_vec(),
        Some(&seed),
    )
    .ok()
}

/// `dsize`
fn size(rule: &Rule) -> Option<Vec<weir_engine::plan::Num>> {
    let sizes = rule.tests.iter().filter_map(|test| match test {
        PacketTest::Dsize(num) => Some(*num),
        _ => None,
    });
    let sizes: Vec<_> = sizes.collect();
    (!sizes.is_empty()).then_some(sizes)
}

/// Buffers that hold a digest of something else.
fn digest(plan: &BufferPlan) -> bool {
    use AppBuffer::*;
    let of_buffer = matches!(
        plan.buffer,
        Buffer::App(
            Ja3Hash
                | Ja3sHash
                | Ja4Hash
                | FileMd5
                | FileSha1
                | FileSha256
                | SshHassh
                | SshHasshServer
                | TlsCertFingerprint
                | EmailBodyMd5
                | QuicCyuHash
        )
    );
    let made = |transform: &Transform| {
        matches!(
            transform,
            Transform::ToMd5 | Transform::ToSha1 | Transform::ToSha256
        )
    };
    of_buffer || plan.transforms.iter().any(made)
}

fn group(
    rule: &Rule,
    checker: &mut Checker,
    attempt: usize,
    buffer: Buffer,
    plans: Vec<usize>,
    given: Option<&[ByteSet]>,
) -> Result<Filled, Unmet> {
    let mut strings: HashMap<(usize, usize), Vec<Made>> = HashMap::new();
    let of: Vec<&BufferPlan> = plans
        .iter()
        .filter_map(|&number| rule.buffers.get(number))
        .collect();
    if of
        .iter()
        .any(|plan| matches!(plan.ops.first(), Some(Op::Absent { .. })))
    {
        return Ok(Filled {
            buffer,
            plans,
            bytes: None,
            whole: false,
        });
    }
    if of.iter().any(|plan| digest(plan)) {
        return Err(Unmet::Digest(keyword(buffer)));
    }
    let contents: Vec<&Content> = of
        .iter()
        .flat_map(|plan| &plan.ops)
        .filter_map(content)
        .collect();
    let wanted = of
        .iter()
        .flat_map(|plan| &plan.ops)
        .find_map(|op| match op {
            Op::BSize(size) => super::numbers::passing(size, LONGEST as u64, size.a),
            _ => None,
        });
    let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
    for (&number, plan) in plans.iter().zip(&of) {
        for (at, op) in plan.ops.iter().enumerate() {
            if let Op::Pcre(pcre) = op
                && !pcre.negated
            {
                let node =
                    parse(pcre.regex.pattern(), pcre.regex.flags()).ok_or(Unmet::Buffer("pcre"))?;
                let mut made = variants(&node, STRINGS, wanted);
                if pcre.regex.flags().anchored {
                    made.iter_mut().for_each(|made| made.at_start = true);
                }
                // Those that hold most of the contents first.
                made.sort_by_cached_key(|made| std::cmp::Reverse(score(made, &contents)));
                let turn = attempt % made.len().max(1);
                made.rotate_left(turn);
                strings.insert((number, at), made);
            }
        }
    }
    let sizes: Vec<Op> = match buffer {
        Buffer::Payload => size(rule)
            .unwrap_or_default()
            .into_iter()
            .map(Op::BSize)
            .collect(),
        _ => Vec::new(),
    };
    let mut steps: Vec<Step<'_>> = sizes.iter().map(|op| step(op, &[])).collect();
    for (&number, plan) in plans.iter().zip(&of) {
        for (at, op) in plan.ops.iter().enumerate() {
            let made = strings.get(&(number, at)).map_or(&[][..], Vec::as_slice);
            steps.push(Step {
                anew: at == 0,
                ..step(op, made)
            });
        }
    }
    let dotted = of
        .iter()
        .find(|plan| plan.transforms.first() == Some(&Transform::DotPrefix));
    let transforms = dotted
        .or(of.first())
        .map_or(&[][..], |plan| &plan.transforms);
    let slash = [ByteSet::of(b'/')];
    let dot = [ByteSet::of(b'.')];
    let over = given.map(|given| [given]);
    let dns = match buffer {
        Buffer::Payload if super::parts::is_dns(rule) => super::dns::seeds(),
        _ => Vec::new(),
    };
    let mut of_dns: Vec<&[ByteSet]> = dns.iter().map(Vec::as_slice).collect();
    of_dns.push(&[]);
    let seeds: &[&[ByteSet]] = match buffer {
        _ if over.is_some() => over.as_ref().map_or(&[], |over| &over[..]),
        _ if of_dns.len() > 1 => &of_dns,
        _ if dotted.is_some() => &[&dot],
        Buffer::App(AppBuffer::HttpUri | AppBuffer::HttpUriRaw) if attempt.is_multiple_of(2) => {
            &[&slash, &[]]
        }
        _ => &[&[]],
    };
    let (mut joiner, filler, most) = manner(buffer, rule);
    if attempt % 4 >= 2 && buffer == Buffer::App(AppBuffer::HttpUri) {
        // What a path would lose stands behind it.
        joiner = b"?";
    }
    let apart = usize::from(attempt >= 4);
    // With something between contents, they are not laid over each other.
    let shift = if joiner == b"?" { 0 } else { attempt };
    let mut accept = |bytes: &[u8]| {
        let made =
            super::transform::undo(transforms, bytes).and_then(|bytes| canonical(buffer, bytes));
        made.is_some_and(|bytes| plans.iter().all(|&plan| checker.accepts(plan, &bytes)))
    };
    const STYLES: [(bool, bool); 4] = [(false, false), (true, true), (false, true), (true, false)];
    for turn in 0..STYLES.len() * seeds.len() {
        let seed = seeds.get(turn / STYLES.len()).copied().unwrap_or_default();
        let (strings_first, overlap) = STYLES
            .get((turn + shift) % STYLES.len())
            .copied()
            .unwrap_or_default();
        let style = Style {
            filler,
            joiner,
            strings_first,
            overlap,
            apart,
            least: 1,
            most,
        };
        if let Some(laid) = Search::new(style, &mut accept).run(&steps, seed, rule.variables) {
            let bytes = super::transform::undo(transforms, &laid)
                .and_then(|bytes| canonical(buffer, bytes));
            if let Some(bytes) = bytes {
                return Ok(Filled {
                    buffer,
                    plans,
                    bytes: Some(bytes),
                    whole: given.is_some_and(|_| buffer == Buffer::Payload),
                });
            }
        }
    }
    Err(Unmet::Buffer(keyword(buffer)))
}

fn step<'a>(op: &'a Op, strings: &'a [Made]) -> Step<'a> {
    Step {
        op,
        strings,
        anew: false,
    }
}

/// A content that must be there.
pub(super) fn content(op: &Op) -> Option<&Content> {
    match op {
        Op::Content(content) if !content.negated => Some(content),
        _ => None,
    }
}

/// How many of the contents can stand in a string.
fn score(made: &Made, contents: &[&Content]) -> usize {
    let stands = |content: &&&Content| {
        let sets = || {
            content
                .bytes
                .iter()
                .map(|&byte| ByteSet::cased(byte, content.nocase))
        };
        let mut windows = made.cells.windows(content.bytes.len().max(1));
        windows.any(|cells| {
            cells
                .iter()
                .zip(sets())
                .all(|(cell, set)| !cell.and(set).is_empty())
        })
    };
    contents.iter().filter(stands).count()
}

/// What stands between contents, what fills gaps, and how long a buffer may become.
fn manner(buffer: Buffer, rule: &Rule) -> (&'static [u8], &'static [u8], usize) {
    use AppBuffer::*;
    match buffer {
        Buffer::Payload if rule.needs_packet && !rule.needs_stream => (b"", b"abcdefgh", PACKET),
        Buffer::Payload => (b"", b"abcdefgh", LONGEST),
        Buffer::App(HttpHeader | HttpHeaderRaw) => (b"\r\n", b"abcd", 4096),
        Buffer::App(HttpHeaderNames) => (b"", b"Abcd", 2048),
        Buffer::App(HttpCookie) => (b"; ", b"abcd", 2048),
        Buffer::App(HttpUri | HttpUriRaw) => (b"", b"abcd", 8192),
        Buffer::App(DnsQuery | DnsQueriesRrname | DnsAnswersRrname | DnsResponseRrname) => {
            (b"", b"abcd", 253)
        }
        Buffer::App(TlsSni) => (b"", b"abcd", 255),
        Buffer::App(TlsCertSubject | TlsCertIssuer) => (b", ", b"abcd", 1024),
        Buffer::App(FileData | HttpRequestBody | HttpResponseBody) => (b" ", b"abcdefgh", LONGEST),
        _ => (b"", b"abcd", 2048),
    }
}
