//! Hits of one buffer after another, each probe once per buffer.

use super::{Hit, Outcome, Report};

/// What was found in the buffers that were not polled yet.
#[derive(Default)]
pub(super) struct Found {
    hits: Vec<Hit>,
    /// For each probe, the number of the buffer that it was last found in, and its place in `hits`.
    seen: Vec<(u32, u32)>,
    buffer: u32,
    /// (tag, end of its hits) of finished buffers.
    ready: Vec<(u64, usize)>,
}

impl Found {
    /// Forgets everything, and makes room for so many probes.
    pub(super) fn reset(&mut self, probes: usize) {
        *self = Self {
            seen: vec![(0, 0); probes],
            ..Self::default()
        };
    }

    /// Every probe is new again.
    pub(super) fn next_buffer(&mut self) {
        self.buffer = self.buffer.wrapping_add(1);
        if self.buffer == 0 {
            // The numbers start again: an old mark could pass for a new one.
            self.seen.fill((0, 0));
            self.buffer = 1;
        }
    }

    /// The first end of the probe that was noted in this buffer.
    #[inline(always)]
    pub(super) fn end(&self, probe: u32) -> Option<u32> {
        let &(buffer, place) = self.seen.get(probe as usize)?;
        if buffer != self.buffer {
            return None;
        }
        self.hits.get(place as usize).map(|hit| hit.end)
    }

    /// A probe occurs: its first end counts, in whatever order its occurrences are noted.
    pub(super) fn note(&mut self, probe: u32, end: u32) {
        let Some((buffer, place)) = self.seen.get_mut(probe as usize) else {
            return;
        };
        if *buffer == self.buffer {
            if let Some(hit) = self.hits.get_mut(*place as usize) {
                hit.end = hit.end.min(end);
            }
        } else {
            *buffer = self.buffer;
            *place = self.hits.len() as u32;
            self.hits.push(Hit { probe, end });
        }
    }

    /// Ends a buffer.
    pub(super) fn finish(&mut self, tag: u64) {
        self.ready.push((tag, self.hits.len()));
    }

    /// Delivers what is ready, and returns how many buffers that were.
    pub(super) fn deliver(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let mut start = 0;
        for &(tag, end) in &self.ready {
            deliver(Report {
                tag,
                outcome: Outcome::Done,
                hits: self.hits.get(start..end).unwrap_or_default(),
            });
            start = end;
        }
        let count = self.ready.len();
        self.ready.clear();
        self.hits.clear();
        count
    }
}
