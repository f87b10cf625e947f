//! What a worker has under way: staging buffers, and the records in them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::session::COUNT_BITS;

/// Staging buffers kept for use again.
const SPARE: usize = 8;
/// Bits of a record's count.
const COUNT: u32 = (1 << COUNT_BITS) - 1;

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This request's, whose data the payload begins at `start` of.
    Request { number: u64, start: u32 },
    /// Nobody's: a known-answer record.
    Known { index: u32 },
}

/// A record without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub owner: Owner,
    /// Where its payload is in its staging buffer.
    pub at: usize,
    pub length: usize,
    pub group: u8,
    pub carry: u8,
}

/// A staging buffer that was handed over.
struct Buffer {
    bytes: Arc<Vec<u8>>,
    /// Its records without an answer.
    records: usize,
    since: Instant,
}

/// What a worker has under way.
pub(crate) struct Flight {
    /// The first records, whose buffers were handed over, then those in the staging buffer.
    sent: VecDeque<Sent>,
    buffers: VecDeque<Buffer>,
    bytes: usize,
    /// The staging buffer.
    pub staging: Vec<u8>,
    staged: usize,
    staged_since: Option<Instant>,
    /// Count of the next record.
    next: u32,
    spare: Vec<Vec<u8>>,
}

impl Flight {
    /// Nothing yet; `next` is the count of the first record.
    pub fn new(next: u32) -> Self {
        Self {
            sent: VecDeque::new(),
            buffers: VecDeque::new(),
            bytes: 0,
            staging: Vec::new(),
            staged: 0,
            staged_since: None,
            next,
            spare: Vec::new(),
        }
    }

    /// Count of the next record.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Notes a record that was added to the staging buffer.
    pub fn stage(&mut self, sent: Sent) {
        self.next = self.next.wrapping_add(1) & COUNT;
        self.staged += 1;
        self.sent.push_back(sent);
    }

    /// Records in the staging buffer.
    pub fn staged(&self) -> usize {
        self.staged
    }

    /// Since when records wait in the staging buffer, as far as that was asked before.
    pub fn staged_since(&mut self, now: Instant) -> Option<Instant> {
        if self.staged == 0 {
            return None;
        }
        Some(*self.staged_since.get_or_insert(now))
    }

    /// Bytes and records that were handed over.
    pub fn load(&self) -> (usize, usize) {
        (self.bytes, self.sent.len() - self.staged)
    }

    /// Since when the oldest staging buffer is under way.
    pub fn oldest(&self) -> Option<Instant> {
        self.buffers.front().map(|buffer| buffer.since)
    }

    /// Seals the staging buffer: it is under way from now on.
    pub fn seal(&mut self, now: Instant) -> Arc<Vec<u8>> {
        let spare = self.spare.pop().unwrap_or_default();
        let bytes = Arc::new(std::mem::replace(&mut self.staging, spare));
        self.bytes += bytes.len();
        self.buffers.push_back(Buffer {
            bytes: Arc::clone(&bytes),
            records: std::mem::take(&mut self.staged),
            since: now,
        });
        self.staged_since = None;
        bytes
    }

    /// How many of the records under way were sent before the one of this count; `None` when it is not under way.
    pub fn before(&self, count: u32) -> Option<usize> {
        let first = self.next.wrapping_sub(self.sent.len() as u32);
        let place = (count.wrapping_sub(first) & COUNT) as usize;
        (place < self.sent.len() - self.staged).then_some(place)
    }

    /// Takes the first record that was handed over, and shows it to `on` with its payload.
    pub fn first(&mut self, on: impl FnOnce(Sent, &[u8])) -> bool {
        let Some(buffer) = self.buffers.front_mut() else {
            return false;
        };
        let Some(sent) = self.sent.pop_front() else {
            return false;
        };
        let payload = buffer.bytes.get(sent.at..sent.at + sent.length);
        on(sent, payload.unwrap_or_default());
        buffer.records = buffer.records.saturating_sub(1);
        if buffer.records == 0
            && let Some(buffer) = self.buffers.pop_front()
        {
            self.bytes -= buffer.bytes.len();
            // While it is still held by a call to the device, it is left to that.
            if let Ok(mut bytes) = Arc::try_unwrap(buffer.bytes)
                && self.spare.len() < SPARE
            {
                bytes.clear();
                self.spare.push(bytes);
            }
        }
        true
    }
}
