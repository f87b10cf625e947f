//! Everything that a set of probes is turned into.

use super::exact::Exact;
use super::filter::{Filter, Filters};
use super::hash::{CASE, Key, mask, window};
use super::kernel::{Candidates, Level, Queues};
use super::text::Text;
use super::rarity::{self, Place};
use super::single::SingleProbes;
use crate::matcher::found::Found;
use crate::matcher::{Probe, Request};

/// A probe as the filter and the exact stage see it.
pub(super) struct Literal {
    /// Number of the probe.
    pub(super) probe: u32,
    /// Little-endian, the case bit set in all of its bytes.
    pub(super) value: u64,
    pub(super) len: usize,
    pub(super) place: Place,
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

/// Probes in the form that the scan needs.
#[derive(Default)]
pub(super) struct Tables {
    probes: Vec<Probe>,
    filters: Filters,
    /// Literals of 8 bytes, filed whole.
    long: Exact,
    /// Of 5 to 7, by the 5 bytes that their two neighbouring 4-grams cover.
    middle: Exact,
    /// Of 4.
    quads: Exact,
    /// Of 3.
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
            let filed = literals.iter().filter(|literal| lengths.contains(&literal.len));
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
            quads: file(4, 4..5),
            short: file(3, 3..4),
            pairs: file(2, 2..3),
            singles: SingleProbes::new(singles.collect()),
            probes: probes.to_vec(),
        }
    }

    /// Bytes that they take up.
    pub(super) fn bytes(&self) -> usize {
        let own = size_of_val(&*self.probes);
        let exact = [&self.long, &self.middle, &self.quads, &self.short, &self.pairs];
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
        level: Level,
        request: &Request<'_>,
        text: &Text,
        queues: &Queues,
        candidates: &mut Candidates,
        found: &mut Found,
    ) {
        // Whether their first entry is compared before the bucket is gone through: not where few windows are no probe's.
        const SOME: bool = true;
        const FEW: bool = false;
        for (exact, queue, many) in [
            (&self.long, queues.long(), FEW),
            (&self.middle, queues.middle(), FEW),
            (&self.quads, queues.middle(), FEW),
            (&self.quads, queues.odd(), FEW),
            (&self.short, queues.short(), SOME),
            (&self.pairs, queues.short(), FEW),
        ] {
            if exact.is_empty() || queue.is_empty() {
                continue;
            }
            let offsets = level.sift(exact, text, queue, candidates);
            let kept = if many { exact.keep(text, offsets) } else { offsets.len() };
            for &at in offsets.get(..kept).unwrap_or_default() {
                exact.look_up(text, at as i32 as usize, &mut |probe, start, len| {
                    let end = text.start().wrapping_add(start).checked_add(len);
                    if let Some(end) = end {
                        self.note(probe, end, request, found);
                    }
                });
            }
        }
    }

    /// Notes a probe whose literal ends at `end`, case ignored, if it is wanted and its case is right.
    #[inline]
    pub(super) fn note(&self, number: u32, end: usize, request: &Request<'_>, found: &mut Found) {
        if found.end(number).is_some_and(|first| first <= end as u32) {
            return;
        }
        let wanted = self.probes.get(number as usize).is_some_and(|probe| {
            probe.groups >> request.group & 1 == 1
                && end > usize::from(request.carry)
                && request.data.get(..end).is_some_and(|text| probe.ends(text))
        });
        if wanted {
            found.note(number, end as u32);
        }
    }
}
