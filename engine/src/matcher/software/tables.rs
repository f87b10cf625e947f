//! Everything that a set of probes is turned into.

use super::exact::{Candidates, Exact};
use super::filter::{Filter, Filters};
use super::hash::{CASE, Key, mask, window};
use super::kernel::Queues;
use super::rarity;
use super::single::SingleProbes;
use super::text::Text;
use crate::matcher::found::Found;
use crate::matcher::{Probe, Request};

/// A probe as the filter and the exact stage see it.
pub(super) struct Literal {
    /// Number of the probe.
    pub(super) probe: u32,
    /// Little-endian, the case bit set in all of its bytes.
    pub(super) value: u64,
    pub(super) len: usize,
    /// Where its window stands.
    pub(super) place: usize,
    pub(super) groups: u64,
}

impl Literal {
    fn new(number: u32, probe: &Probe) -> Self {
        let bytes = probe.bytes();
        Self {
            probe: number,
            value: (window(bytes, 0) | CASE) & mask(bytes.len()),
            len: bytes.len(),
            place: rarity::place(bytes),
            groups: probe.groups,
        }
    }

    pub(super) fn bytes(&self) -> [u8; 8] {
        self.value.to_le_bytes()
    }
}

/// A probe as it is compared in the end.
struct Wanted {
    /// Little-endian.
    value: u64,
    /// The bits of the text that must be those of `value`: all of its bytes', less the case bit of letters if it is folded.
    cared_for: u64,
    groups: u64,
}

impl Wanted {
    fn new(probe: &Probe) -> Self {
        let bytes = probe.bytes();
        // Of a lower case letter, only the other case differs in the case bit alone.
        let free = bytes.iter().rev().fold(0, |free, byte| {
            let letter = probe.folded() && byte.is_ascii_lowercase();
            free << 8 | if letter { CASE & 0xFF } else { 0 }
        });
        Self {
            value: window(bytes, 0),
            cared_for: mask(bytes.len()) & !free,
            groups: probe.groups,
        }
    }
}

/// Probes in the form that the scan needs.
#[derive(Default)]
pub(super) struct Tables {
    probes: Vec<Wanted>,
    filters: Filters,
    /// Literals of 8 bytes, filed whole.
    long: Exact,
    /// Of 5 to 7, by the 5 bytes that their two neighbouring 4-grams cover.
    middle: Exact,
    /// Of 3 and 4, by three bytes.
    short: Exact,
    /// Of 2.
    pairs: Exact,
    pub(super) singles: SingleProbes,
}

impl Tables {
    pub(super) fn new(probes: &[Probe], key: Key) -> Self {
        let literals: Vec<Literal> = (0..)
            .zip(probes)
            .map(|(number, probe)| Literal::new(number, probe))
            .collect();
        let file = |width: usize, lengths: std::ops::Range<usize>| {
            let filed = literals
                .iter()
                .filter(|literal| lengths.contains(&literal.len));
            Exact::new(width, key, filed)
        };
        let singles = (0..)
            .zip(probes)
            .filter_map(|(number, probe)| match *probe.bytes() {
                [byte] => Some((byte.to_ascii_lowercase(), number)),
                _ => None,
            });
        Self {
            filters: Filters::new(&literals, probes, key),
            long: file(8, 8..9),
            middle: file(5, 5..8),
            short: file(3, 3..5),
            pairs: file(2, 2..3),
            singles: SingleProbes::new(singles.collect()),
            probes: probes.iter().map(Wanted::new).collect(),
        }
    }

    /// Bytes that they take up.
    pub(super) fn bytes(&self) -> usize {
        let own = size_of_val(&*self.probes);
        let exact = [&self.long, &self.middle, &self.short, &self.pairs];
        own + exact.map(Exact::bytes).iter().sum::<usize>() + self.filters.bytes()
    }

    /// The filter for a group; `None` when the group has no probes.
    #[inline]
    pub(super) fn filter(&self, group: u8) -> Option<&Filter> {
        self.filters.of(group)
    }

    /// Compares what may stand at the queued offsets of a chunk.
    #[inline]
    pub(super) fn check(
        &self,
        request: &Request<'_>,
        text: &Text,
        queues: &Queues,
        candidates: &mut Candidates,
        found: &mut Found,
    ) {
        for (exact, queue) in [
            (&self.long, queues.long()),
            (&self.middle, queues.middle()),
            (&self.short, queues.short()),
            (&self.pairs, queues.pairs()),
        ] {
            if exact.is_empty() || queue.is_empty() {
                continue;
            }
            let offsets = exact.sift(text, queue, candidates);
            let kept = exact.keep(text, offsets);
            for &at in offsets.get(..kept).unwrap_or_default() {
                exact.look_up(text, at as i32 as usize, &mut |probe, start, len| {
                    // What would begin before the buffer wraps, and ends nowhere in it.
                    let begin = text.start().wrapping_add(start);
                    if begin < request.data.len() {
                        self.note(probe, text.window(start), begin + len, request, found);
                    }
                });
            }
        }
    }

    /// Notes a probe that ends at `end`, case ignored, where `text` begins, if it is wanted and its case is right.
    #[inline(always)]
    pub(super) fn note(
        &self,
        number: u32,
        text: u64,
        end: usize,
        request: &Request<'_>,
        found: &mut Found,
    ) {
        let Some(probe) = self.probes.get(number as usize) else {
            return;
        };
        // One branch for what holds nearly always.
        let holds = (text ^ probe.value) & probe.cared_for == 0
            && probe.groups >> request.group & 1 == 1
            && end > usize::from(request.carry)
            && end <= request.data.len();
        if holds && found.end(number).is_none_or(|first| first > end as u32) {
            found.note(number, end as u32);
        }
    }
}
