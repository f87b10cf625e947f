//! Buffers that were handed in before they were asked for.
//!
//! What the worker will ask for is guessed (`detect::glance`) while the frames before are still inspected; here a guess is held to what is
//! asked for in the end. A packet's payload may be asked for by itself, and as part of its stream, with up to seven bytes that came before
//! it, or cut at the end of a window. So an answer for the whole payload must give the probes of any part of it.

use std::collections::VecDeque;

use super::super::glance::Glance;
use crate::matcher::{Hit, Probe};

/// What has become of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has been heard of it.
    Waits,
    /// The hits are there.
    Done,
    /// Whoever wants it must look through it.
    Unfinished,
}

/// A buffer that was handed in.
pub(super) struct Early {
    /// Number of its frame.
    pub(super) turn: u64,
    /// What was guessed about it.
    pub(super) glance: Glance,
    pub(super) state: State,
    /// Each probe with its first end.
    pub(super) hits: Vec<Hit>,
}

/// Buffers in the order in which they were handed in. Their tags are consecutive.
#[derive(Default)]
pub(super) struct Queue {
    buffers: VecDeque<Early>,
    /// Tag of the first.
    first: u64,
    /// Lists that hits can be put in.
    spare: Vec<Vec<Hit>>,
}

impl Queue {
    /// The tag that the next buffer gets.
    pub(super) fn next_tag(&self) -> u64 {
        self.first + self.buffers.len() as u64
    }

    /// Puts a buffer at the end.
    pub(super) fn push(&mut self, turn: u64, glance: Glance, state: State) {
        let hits = self.spare.pop().unwrap_or_default();
        self.buffers.push_back(Early {
            turn,
            glance,
            state,
            hits,
        });
    }

    /// The buffer with this tag.
    pub(super) fn get_mut(&mut self, tag: u64) -> Option<&mut Early> {
        let place = tag.checked_sub(self.first)?;
        self.buffers.get_mut(usize::try_from(place).ok()?)
    }

    /// Drops the buffers of frames before this one. Returns how many of them nobody has heard of.
    pub(super) fn come_to(&mut self, turn: u64) -> u64 {
        let mut unheard = 0;
        while let Some(mut early) = self.buffers.pop_front_if(|early| early.turn < turn) {
            unheard += u64::from(early.state == State::Waits);
            early.hits.clear();
            if early.hits.capacity() > 0 {
                self.spare.push(early.hits);
            }
            self.first += 1;
        }
        unheard
    }

    /// Drops all buffers: their hits are of no use. Returns how many there were. Tags go on.
    pub(super) fn forget(&mut self) -> u64 {
        let forgotten = self.buffers.len() as u64;
        self.buffers.clear();
        self.first += forgotten;
        forgotten
    }

    /// The buffer of the frame at hand, with its tag.
    pub(super) fn at(&mut self, turn: u64) -> Option<(u64, &mut Early)> {
        let early = self.buffers.front_mut()?;
        (early.turn == turn).then_some((self.first, early))
    }
}

/// True when `data` is what stands at `at` in `payload`, which `tail` came right before: data that begins in front of it
/// (`at` is negative) has the end of `tail` there.
pub(super) fn is_part(tail: &[u8], payload: &[u8], at: isize, data: &[u8]) -> bool {
    let (before, from) = match usize::try_from(at) {
        Ok(from) => (&[][..], from),
        Err(_) => {
            let Some(start) = tail.len().checked_sub(at.unsigned_abs()) else {
                return false;
            };
            (tail.get(start..).unwrap_or_default(), 0)
        }
    };
    let Some((head, rest)) = data.split_at_checked(before.len()) else {
        return false;
    };
    let there = from
        .checked_add(rest.len())
        .and_then(|end| payload.get(from..end));
    // Mostly it is the payload itself; bytes in a stream are copies.
    head == before && there.is_some_and(|there| std::ptr::eq(there, rest) || there == rest)
}

/// Gives the probes that end in `data` behind its first `carry` bytes, of those found in what it is a part of: each hit has a probe's first end
/// there, where `data[carry..]` begins at `base`.
pub(super) fn in_part(
    hits: &[Hit],
    probes: &[Probe],
    (carry, data): (usize, &[u8]),
    base: usize,
    give: &mut dyn FnMut(Hit),
) {
    let end = base + data.len() - carry;
    for &hit in hits {
        let last = hit.end as usize;
        // A probe that is not in the table is the caller's to count.
        let probe = probes.get(hit.probe as usize);
        let length = probe.map_or(0, |probe| probe.bytes().len());
        let inside = if last > end {
            // Later ones end later still.
            false
        } else if last > base && last + carry >= base + length {
            true
        } else {
            // The first one is too early: there may be another.
            let ends = (carry + 1).max(length)..=data.len();
            probe.is_some_and(|probe| {
                ends.clone()
                    .any(|end| data.get(..end).is_some_and(|to| probe.ends(to)))
            })
        };
        if inside {
            give(hit);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matcher::{Matcher, Plain, Request};

    fn ask(matcher: &mut Plain, data: &[u8], carry: u8) -> Vec<Hit> {
        let mut all = Vec::new();
        let request = Request {
            tag: 0,
            group: 0,
            carry,
            data,
        };
        matcher.submit(request).expect("has room");
        matcher.poll(&mut |report| all.extend_from_slice(report.hits));
        all
    }

    proptest! {
        #[test]
        fn hits_of_a_part_are_those_of_a_search_in_it(
            text in prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 0..40),
            literals in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 1..=8), any::<bool>()),
                1..12,
            ),
            lead in 0usize..8,
            cut in (0usize..40, 0usize..40),
            carry in 0usize..8,
        ) {
            let probes: Vec<Probe> = literals
                .iter()
                .filter_map(|(literal, folded)| Probe::new(literal, *folded, 1))
                .collect();
            let mut matcher = Plain::new();
            matcher.load(&probes).expect("holds few probes");
            // The first `lead` bytes came before the payload.
            let lead = lead.min(text.len());
            let end = cut.1.clamp(lead, text.len());
            let base = cut.0.clamp(lead, end);
            let carry = carry.min(base);
            let (tail, payload) = text.split_at(lead);
            let data = &text[base - carry..end];
            prop_assert!(is_part(tail, payload, (base - carry) as isize - lead as isize, data));
            let whole = ask(&mut matcher, &text, lead as u8);
            let mut found: Vec<u32> = Vec::new();
            in_part(&whole, &probes, (carry, data), base, &mut |hit| found.push(hit.probe));
            found.sort_unstable();
            let mut expected: Vec<u32> =
                ask(&mut matcher, data, carry as u8).iter().map(|hit| hit.probe).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn other_bytes_are_no_part() {
        let (tail, payload) = (b"abc", b"defgh");
        for (at, data, is) in [
            (0, &b"defgh"[..], true),
            (-2, b"bcde", true),
            (-3, b"abcdefgh", true),
            (-4, b"xabc", false),
            (-2, b"xcde", false),
            (-2, b"b", false),
            (1, b"efgh", true),
            (1, b"efghi", false),
            (1, b"exgh", false),
            (9, b"", false),
        ] {
            assert_eq!(is_part(tail, payload, at, data), is, "{at} {data:?}");
        }
    }
}
