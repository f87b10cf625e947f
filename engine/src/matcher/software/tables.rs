//! Everything that a set of probes is turned into.

use std::collections::HashMap;

use super::exact::{Entry, Exact};
use super::filter::{Filter, Filters};
use super::hash::{CASE, Key, mask, window};
use super::rarity;
use super::single::SingleProbes;
use crate::matcher::found::Found;
use crate::matcher::{Probe, Request};

/// A distinct text that probes ask for, the case bit set in all of its bytes: probes that differ in case only share it.
pub(super) struct Literal {
    /// Little-endian.
    pub(super) value: u64,
    pub(super) len: usize,
    /// Offset in the literal of the window that the filter knows it by: the first of two neighbouring 4-grams, or the
    /// one pair.
    pub(super) back: usize,
    /// Union over its probes.
    pub(super) groups: u64,
}

impl Literal {
    pub(super) fn bytes(&self) -> [u8; 8] {
        self.value.to_le_bytes()
    }
}

/// Probes in the form that the scan needs.
#[derive(Default)]
pub(super) struct Tables {
    probes: Vec<Probe>,
    filters: Filters,
    /// Literals of 8 bytes by their 7-grams, of 5 to 7 by two 4-grams, of 2 to 4 by one pair.
    long: Exact,
    middle: Exact,
    short: Exact,
    pub(super) singles: SingleProbes,
    /// `starts[l]..starts[l + 1]` of `members` are the probes of literal `l`.
    starts: Vec<u32>,
    members: Vec<u32>,
}

impl Tables {
    pub(super) fn new(probes: &[Probe], key: Key) -> Self {
        let (mut literals, starts, members) = literals(probes);
        let (mut long, mut middle, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (number, literal) in (0..).zip(&mut literals) {
            let whole = literal.bytes();
            let bytes = &whole[..literal.len];
            literal.back = rarity::place(bytes);
            let from = |back: usize| window(bytes, back);
            match literal.len {
                8 => long.extend([0, 1].map(|back| {
                    let hash = key.seven(key.gram(from(back)), from(back));
                    (hash, Entry::new(number, bytes, back))
                })),
                5..8 => middle.extend(
                    [literal.back, literal.back + 1]
                        .map(|back| (key.gram(from(back)), Entry::new(number, bytes, back))),
                ),
                2..5 => short.push((
                    pair_hash(from(literal.back)),
                    Entry::new(number, bytes, literal.back),
                )),
                _ => {}
            }
        }
        let singles = (0..)
            .zip(probes)
            .filter_map(|(number, probe)| match *probe.bytes() {
                [byte] => Some((byte.to_ascii_lowercase(), number)),
                _ => None,
            });
        Self {
            filters: Filters::new(&literals, probes, key),
            long: Exact::new(long),
            middle: Exact::new(middle),
            short: Exact::new(short),
            singles: SingleProbes::new(singles.collect()),
            probes: probes.to_vec(),
            starts,
            members,
        }
    }

    /// Bytes that they take up.
    pub(super) fn bytes(&self) -> usize {
        let own =
            size_of_val(&*self.probes) + size_of_val(&*self.starts) + size_of_val(&*self.members);
        own + self.long.bytes() + self.middle.bytes() + self.short.bytes() + self.filters.bytes()
    }

    /// The filter for a group; `None` when the group has no probes.
    #[inline]
    pub(super) fn filter(&self, group: u8) -> Option<&Filter> {
        self.filters.of(group)
    }

    /// Compares the literals whose 7-gram may stand at `at`.
    #[inline]
    pub(super) fn check_long(&self, key: Key, at: usize, request: &Request<'_>, found: &mut Found) {
        let text = window(request.data, at);
        let hash = key.seven(key.gram(text), text);
        self.long.look_up(hash, request.data, at, |literal, end| {
            self.members_of(literal, end, request, found);
        });
    }

    /// Compares the literals whose 4-gram may stand at `at`.
    #[inline]
    pub(super) fn check_middle(
        &self,
        key: Key,
        at: usize,
        request: &Request<'_>,
        found: &mut Found,
    ) {
        let hash = key.gram(window(request.data, at));
        self.middle.look_up(hash, request.data, at, |literal, end| {
            self.members_of(literal, end, request, found);
        });
    }

    /// Compares the literals whose pair may stand at `at`.
    #[inline]
    pub(super) fn check_short(&self, at: usize, request: &Request<'_>, found: &mut Found) {
        let hash = pair_hash(window(request.data, at));
        self.short.look_up(hash, request.data, at, |literal, end| {
            self.members_of(literal, end, request, found);
        });
    }

    #[inline]
    fn members_of(&self, literal: u32, end: usize, request: &Request<'_>, found: &mut Found) {
        let at = literal as usize;
        let (Some(&from), Some(&to)) = (self.starts.get(at), self.starts.get(at + 1)) else {
            return;
        };
        for &probe in self
            .members
            .get(from as usize..to as usize)
            .unwrap_or_default()
        {
            self.note(probe, end, request, found);
        }
    }

    /// Notes a probe whose literal ends at `end`, case ignored, if it is wanted and its case is right.
    #[inline]
    pub(super) fn note(&self, number: u32, end: usize, request: &Request<'_>, found: &mut Found) {
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

/// Hash of the first two bytes of a window, for the exact stage only.
#[inline(always)]
fn pair_hash(text: u64) -> u32 {
    // There are few pairs, and all bits of one count: the lower byte, which differs more, becomes the upper bits.
    (text as u32 | CASE as u32)
        .wrapping_shl(16)
        .wrapping_mul(0x9E37_79B1)
}

/// The distinct literals of two bytes and more, and the probes of each.
fn literals(probes: &[Probe]) -> (Vec<Literal>, Vec<u32>, Vec<u32>) {
    let mut numbers: HashMap<(u64, usize), u32> = HashMap::with_capacity(probes.len());
    let mut literals: Vec<Literal> = Vec::new();
    let mut of_literal = Vec::with_capacity(probes.len());
    for (probe_number, probe) in (0u32..).zip(probes) {
        let len = probe.bytes().len();
        if len < 2 {
            continue;
        }
        let value = (window(probe.bytes(), 0) | CASE) & mask(len);
        let number = *numbers.entry((value, len)).or_insert_with(|| {
            literals.push(Literal {
                value,
                len,
                back: 0,
                groups: 0,
            });
            literals.len() as u32 - 1
        });
        literals[number as usize].groups |= probe.groups;
        of_literal.push((number, probe_number));
    }
    of_literal.sort_unstable();
    let mut starts = vec![0u32; literals.len() + 1];
    for &(literal, _) in &of_literal {
        starts[literal as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let members = of_literal.into_iter().map(|(_, probe)| probe).collect();
    (literals, starts, members)
}
