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

    /// The buffer of the frame at hand, with its tag.
    pub(super) fn at(&mut self, turn: u64) -> Option<(u64, &mut Early)> {
        let early = self.buffers.front_mut()?;
        (early.turn == turn).then_some((self.first, early))
    }
}

/// Which part of a payload `data` is, when the first `carry` bytes are left aside: the offset in the payload.
///
/// `None` when it is no part of it; `at` is where it should be.
pub(super) fn part_of(payload: &[u8], at: usize, carry: usize, data: &[u8]) -> Option<usize> {
    let fresh = data.get(carry..)?;
    let there = payload.get(at..at.checked_add(fresh.len())?)?;
    // Mostly it is the payload itself; bytes in a stream are copies.
    let same = std::ptr::eq(there, fresh) || there == fresh;
    same.then_some(at)
}

/// Gives the probes that occur in `payload[at..end]`, of those that occur in `payload`: each hit has a probe's first end.
pub(super) fn in_part(
    hits: &[Hit],
    probes: &[Probe],
    payload: &[u8],
    (at, end): (usize, usize),
    give: &mut dyn FnMut(Hit),
) {
    if (at, end) == (0, payload.len()) {
        hits.iter().copied().for_each(give);
        return;
    }
    let part = payload.get(at..end).unwrap_or_default();
    for &hit in hits {
        // A probe that is not in the table is the caller's to count.
        let length = probes
            .get(hit.probe as usize)
            .map_or(0, |probe| probe.bytes().len());
        let last = hit.end as usize;
        let inside = if last > end {
            // Later ones end later still.
            false
        } else if last >= at + length {
            true
        } else {
            // The first one began too early: there may be another.
            probes.get(hit.probe as usize).is_some_and(|probe| {
                (length..=part.len()).any(|end| part.get(..end).is_some_and(|to| probe.ends(to)))
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
            payload in prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 0..40),
            literals in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(b"abAB".to_vec()), 1..=8), any::<bool>()),
                1..12,
            ),
            cut in (0usize..40, 0usize..40),
        ) {
            let probes: Vec<Probe> = literals
                .iter()
                .filter_map(|(literal, folded)| Probe::new(literal, *folded, 1))
                .collect();
            let mut matcher = Plain::new();
            matcher.load(&probes).expect("holds few probes");
            let end = cut.1.min(payload.len());
            let at = cut.0.min(end);
            let whole = ask(&mut matcher, &payload, 0);
            let mut found: Vec<u32> = Vec::new();
            in_part(&whole, &probes, &payload, (at, end), &mut |hit| found.push(hit.probe));
            found.sort_unstable();
            let mut expected: Vec<u32> =
                ask(&mut matcher, &payload[at..end], 0).iter().map(|hit| hit.probe).collect();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
