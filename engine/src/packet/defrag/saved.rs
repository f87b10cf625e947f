//! Fragments on their way to the next process.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{
    Chunk, Defrag, FRAGMENT_COST, Key, MAX_FRAGMENTS, MAX_PACKET, Span, TRACKER_COST, Tracker,
};
use crate::handover::bytes;

/// The fragments of one packet, in the order in which they came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedFragments<'a> {
    /// [`crate::flow::shard`] of their frames.
    pub(crate) origin: u32,
    key: Key,
    deadline_ns: u64,
    end: Option<u32>,
    #[serde(borrow)]
    chunks: Vec<SavedChunk<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedChunk<'a> {
    start: u32,
    #[serde(borrow, serialize_with = "bytes")]
    front: &'a [u8],
    #[serde(borrow, serialize_with = "bytes")]
    data: &'a [u8],
}

impl Defrag {
    /// The packets that wait for fragments, oldest first.
    pub fn saved(&self) -> impl Iterator<Item = SavedFragments<'_>> {
        let mut all: Vec<(&Key, &Tracker)> = self.trackers.iter().collect();
        all.sort_unstable_by_key(|(_, tracker)| Reverse(tracker.serial));
        std::iter::from_fn(move || {
            let (key, tracker) = all.pop()?;
            let chunks = tracker.chunks.iter().map(|chunk| SavedChunk {
                start: chunk.span.start,
                front: &chunk.front,
                data: &chunk.data,
            });
            Some(SavedFragments {
                origin: tracker.origin,
                key: *key,
                deadline_ns: tracker.deadline_ns,
                end: tracker.end,
                chunks: chunks.collect(),
            })
        })
    }

    /// Takes fragments over; false where there is no room, or what was saved cannot be. Whose bytes count is decided
    /// again, in the same order.
    pub fn adopt(&mut self, saved: &SavedFragments<'_>) -> bool {
        let cost = |chunk: &SavedChunk<'_>| chunk.data.len() + chunk.front.len() + FRAGMENT_COST;
        let bytes = saved.chunks.iter().map(cost).sum::<usize>() + TRACKER_COST;
        let room = self.trackers.len() < self.config.max_trackers
            && self.bytes.saturating_add(bytes) <= self.config.max_bytes;
        if !room || saved.chunks.len() > MAX_FRAGMENTS || self.trackers.contains_key(&saved.key) {
            return false;
        }
        let policy = self.config.policy_of(saved.key.dst);
        let mut tracker = Tracker::new(self.serial + 1, saved.origin, policy);
        (tracker.deadline_ns, tracker.end) = (saved.deadline_ns, saved.end);
        for chunk in &saved.chunks {
            let length = u32::try_from(chunk.data.len()).unwrap_or(u32::MAX);
            let span = Span {
                start: chunk.start,
                end: chunk.start.saturating_add(length),
            };
            if length == 0 || span.end > MAX_PACKET {
                return false;
            }
            if tracker.claim(span, &mut self.scratch).owns {
                tracker.chunks.push(Chunk {
                    span,
                    front: chunk.front.to_vec(),
                    data: chunk.data.to_vec(),
                });
                tracker.bytes += cost(chunk);
            }
        }
        self.serial += 1;
        self.placed = self.serial;
        self.bytes += tracker.bytes;
        self.order.push_back((saved.key, self.serial));
        self.trackers.insert(saved.key, tracker);
        true
    }
}
