//! Looking windows up, and judging those that are not there.

use std::ops::Range;

use weir_engine::matcher::MAX_PROBE;

use super::{Level, Table};
use crate::probe::Frequency;

/// How often a window is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Share of the byte offsets at which it stands.
    pub offsets: f64,
    /// Share of the payloads that have it.
    pub payloads: f64,
    /// How many times it stands in a payload, on average over all of them.
    pub times: f64,
}

/// How often the windows at the start of a text were seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// For each length: offsets.
    hits: [u64; MAX_PROBE],
    /// For each length: payloads.
    payloads: [u64; MAX_PROBE],
}

impl Seen {
    /// Length of the longest window that is in the table.
    fn longest(&self) -> usize {
        self.hits
            .iter()
            .position(|&hits| hits == 0)
            .unwrap_or(MAX_PROBE)
    }

    /// Offsets of the window of this length.
    fn hits(&self, length: usize) -> u64 {
        length
            .checked_sub(1)
            .and_then(|at| self.hits.get(at))
            .copied()
            .unwrap_or(0)
    }
}

/// The one or two bytes that a byte of a probe stands for.
fn cases(byte: u8, folded: bool) -> impl Iterator<Item = u8> {
    let other = (folded && byte.is_ascii_alphabetic()).then_some(byte ^ 0x20);
    std::iter::once(byte).chain(other)
}

impl Level {
    /// Where the window with this last byte is among `siblings`.
    fn find(&self, siblings: Range<usize>, symbol: u8) -> Option<usize> {
        let start = siblings.start;
        let at = self.symbols.get(siblings)?.binary_search(&symbol).ok()?;
        Some(start + at)
    }

    /// The windows that are longer than window `at` by a byte, in the next level.
    pub(super) fn children(&self, at: usize) -> Range<usize> {
        match self.children.get(at..at + 2) {
            Some(&[start, end]) => start as usize..end as usize,
            _ => 0..0,
        }
    }
}

impl Table {
    /// Counts of the windows at the start of `text`, all spellings together where case does not matter.
    fn seen(&self, text: &[u8], folded: bool) -> Seen {
        let mut seen = Seen::default();
        let roots = self.levels.first().map_or(0, |level| level.symbols.len());
        self.descend(0, 0..roots, text, folded, &mut seen);
        seen
    }

    fn descend(
        &self,
        depth: usize,
        siblings: Range<usize>,
        text: &[u8],
        folded: bool,
        seen: &mut Seen,
    ) {
        let (Some(level), Some((&first, rest))) = (self.levels.get(depth), text.split_first())
        else {
            return;
        };
        for symbol in cases(first, folded) {
            let Some(at) = level.find(siblings.clone(), symbol) else {
                continue;
            };
            if let (Some(sum), Some(hits)) = (seen.hits.get_mut(depth), level.hits.get(at)) {
                *sum = sum.saturating_add(hits.count());
            }
            if let (Some(sum), Some(payloads)) =
                (seen.payloads.get_mut(depth), level.payloads.get(at))
            {
                *sum = sum.saturating_add(payloads.count());
            }
            self.descend(depth + 1, level.children(at), rest, folded, seen);
        }
    }

    /// How often a window is expected: as often as it was seen, or, if it was seen too rarely to be kept, as often as the
    /// windows inside it suggest.
    pub fn estimate(&self, window: &[u8], folded: bool) -> Estimate {
        let seen = self.seen(window, folded);
        let at = window.len().wrapping_sub(1);
        match (seen.hits.get(at), seen.payloads.get(at)) {
            (Some(&hits @ 1..), Some(&payloads)) => self.shares(hits, payloads),
            // What is rare stands in a payload once.
            _ => {
                let offsets = f64::from(-self.rarity(window, folded)).exp2();
                let times = offsets * self.payload_bytes();
                Estimate {
                    offsets,
                    payloads: times.min(1.0),
                    times,
                }
            }
        }
    }

    /// How rare a window is, in bits: it is expected at one of `2^rarity` byte offsets.
    pub fn rarity(&self, window: &[u8], folded: bool) -> f32 {
        let seen = self.seen(window, folded);
        let all = self.learnt.bytes.max(1) as f64;
        match seen.hits(window.len()) {
            0 => {
                let least = (all / self.least.max(1) as f64).log2() as f32;
                self.chain(window, folded, seen).max(least)
            }
            hits => (all / hits as f64).log2().max(0.0) as f32,
        }
    }

    /// The commonest windows of a length, in bytes, the commonest first.
    pub fn commonest(&self, length: usize, most: usize) -> Vec<(Vec<u8>, Estimate)> {
        let mut best: Vec<(u64, u64, Vec<u8>)> = Vec::new();
        let roots = 0..self.windows_of(1);
        self.visit(roots, &mut Vec::new(), &mut |window, hits, payloads| {
            let full = best.len() >= most;
            let last = best.last().map_or(0, |(hits, ..)| *hits);
            if window.len() == length && (!full || hits > last) {
                let at = best.partition_point(|(before, ..)| *before >= hits);
                best.insert(at, (hits, payloads, window.to_vec()));
                best.truncate(most);
            }
        });
        let best = best.into_iter();
        best.map(|(hits, payloads, window)| (window, self.shares(hits, payloads)))
            .collect()
    }

    /// Shows every window with its offsets and payloads.
    fn visit(
        &self,
        siblings: Range<usize>,
        before: &mut Vec<u8>,
        show: &mut impl FnMut(&[u8], u64, u64),
    ) {
        let Some(level) = self.levels.get(before.len()) else {
            return;
        };
        for at in siblings {
            let columns = (
                level.symbols.get(at),
                level.hits.get(at),
                level.payloads.get(at),
            );
            let (Some(&symbol), Some(hits), Some(payloads)) = columns else {
                continue;
            };
            before.push(symbol);
            show(before, hits.count(), payloads.count());
            self.visit(level.children(at), before, show);
            before.pop();
        }
    }

    fn shares(&self, hits: u64, payloads: u64) -> Estimate {
        let share = |part: u64, all: u64| (part as f64 / all.max(1) as f64).min(1.0);
        let offsets = share(hits, self.learnt.bytes);
        Estimate {
            offsets,
            payloads: share(payloads, self.learnt.payloads),
            times: offsets * self.payload_bytes(),
        }
    }

    /// Bytes of a payload, on average.
    fn payload_bytes(&self) -> f64 {
        self.learnt.bytes as f64 / self.learnt.payloads.max(1) as f64
    }

    /// Bits of a window that is not in the table: the windows inside it are taken as links of a chain, each given what it
    /// shares with the one before (maximal overlap; Jagadish, Ng and Srivastava, PODS 1999).
    fn chain(&self, window: &[u8], folded: bool, first: Seen) -> f32 {
        let bits = |hits: u64| (hits.max(1) as f64).log2();
        let all = bits(self.learnt.bytes);
        let unseen = all - bits(self.least.max(2) / 2);
        let mut covered = first.longest();
        let mut total = if covered == 0 {
            covered = 1;
            unseen
        } else {
            all - bits(first.hits(covered))
        };
        let mut start = 0;
        while covered < window.len() {
            let next = (start + 1..=covered).find_map(|from| {
                let seen = self.seen(window.get(from..)?, folded);
                (from + seen.longest() > covered).then_some((from, seen))
            });
            match next {
                Some((from, seen)) => {
                    let given = match covered - from {
                        0 => all,
                        shared => bits(seen.hits(shared)),
                    };
                    total += given - bits(seen.hits(seen.longest()));
                    covered = from + seen.longest();
                    start = from;
                }
                None => {
                    total += unseen;
                    start = covered;
                    covered += 1;
                }
            }
        }
        total as f32
    }
}

impl Frequency for Table {
    fn estimate(&self, window: &[u8], folded: bool) -> Estimate {
        Table::estimate(self, window, folded)
    }
}
