//! Counting the windows of payloads, in bounded memory.
//!
//! Windows of all lengths come from one order: where the windows of 8 bytes stand sorted, those that begin alike stand
//! together, so one walk counts every length. Payloads are taken in batches; between batches a window that did not come
//! often enough is forgotten (lossy counting, Manku and Motwani, VLDB 2002), and what may have been forgotten of a window
//! is added to its count. So a count of occurrences is never too low, and too high by a known amount at most. A count of
//! payloads is never too high, so that what few had stays out of the table.

use weir_engine::matcher::MAX_PROBE;

use super::{Learnt, Limits, Table, build};

/// Windows of 8 bytes that are sorted at a time, the same ones of a payload taken for one: 64 MiB.
const BATCH: usize = 1 << 22;

/// Windows that are remembered between batches, all lengths together: about 200 MB.
const REMEMBERED: usize = 1 << 23;

/// How often a window was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// The bytes, the first one the highest; below them zeros.
    pub(super) window: u64,
    /// Byte offsets at which it stands.
    pub(super) hits: u64,
    /// Payloads in which it stands.
    pub(super) payloads: u64,
}

/// The windows of one length, in order.
type Counts = Vec<Count>;

/// Learns a [`Table`] from payloads.
///
/// Memory stays below about 400 MB, however much is learnt from.
#[derive(Debug)]
pub struct Learner {
    learnt: Learnt,
    /// Windows that were not counted yet, see [`Item`].
    batch: Vec<u128>,
    batch_size: usize,
    remembered: usize,
    /// For each length what is counted so far.
    counts: [Counts; MAX_PROBE],
    /// No window that is not remembered came more often than this.
    forgotten: u64,
}

impl Default for Learner {
    fn default() -> Self {
        Self::sized(BATCH, REMEMBERED)
    }
}

/// A window of a payload in 128 bits, so that items sort by window: bytes (64 bits), how many of them there are (8),
/// how many bytes it has in common with the item before it of the same payload (8), how often it stands in the payload (32).
struct Item;

impl Item {
    /// A window that begins with `bytes`, once.
    fn of(bytes: &[u8]) -> u128 {
        let mut window = [0; MAX_PROBE];
        let length = bytes.len().min(MAX_PROBE);
        for (to, from) in window.iter_mut().zip(bytes) {
            *to = *from;
        }
        u128::from(u64::from_be_bytes(window)) << 64 | (length as u128) << 56 | 1
    }

    fn window(item: u128) -> u64 {
        (item >> 64) as u64
    }

    fn length(item: u128) -> usize {
        (item >> 56) as u8 as usize
    }

    fn common(item: u128) -> usize {
        (item >> 48) as u8 as usize
    }

    fn times(item: u128) -> u64 {
        u64::from(item as u32)
    }
}

/// How many bytes two windows have in common from their start.
fn common(a: u128, b: u128) -> usize {
    let same = (Item::window(a) ^ Item::window(b)).leading_zeros() as usize / 8;
    same.min(Item::length(a)).min(Item::length(b))
}

impl Learner {
    /// A learner that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A learner that counts in smaller batches and remembers less, see [`BATCH`] and [`REMEMBERED`].
    pub(super) fn sized(batch_size: usize, remembered: usize) -> Self {
        Self {
            learnt: Learnt::default(),
            batch: Vec::new(),
            batch_size,
            remembered,
            counts: Default::default(),
            forgotten: 0,
        }
    }

    /// Counts a packet, whether it has a payload or not.
    pub fn packet(&mut self) {
        self.learnt.packets += 1;
    }

    /// Counts the windows of a payload.
    pub fn payload(&mut self, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        self.learnt.payloads += 1;
        self.learnt.bytes += payload.len() as u64;
        let start = self.batch.len();
        self.batch.extend(payload.windows(MAX_PROBE).map(Item::of));
        let tails = payload.len().min(MAX_PROBE - 1);
        self.batch.extend((1..=tails).filter_map(|length| {
            let at = payload.len().checked_sub(length)?;
            payload.get(at..).map(Item::of)
        }));
        self.merge_same(start);
        if self.batch.len() >= self.batch_size {
            self.count(self.forgotten + 1);
            self.forget();
        }
    }

    /// What has been learnt from so far.
    pub fn learnt(&self) -> Learnt {
        self.learnt
    }

    /// Sorts the items from `start` on, which are those of one payload, and makes one of those that are the same.
    fn merge_same(&mut self, start: usize) {
        let Some(items) = self.batch.get_mut(start..) else {
            return;
        };
        items.sort_unstable();
        let mut kept = 0;
        let mut before: Option<u128> = None;
        for at in 0..items.len() {
            let item = items[at];
            match before {
                Some(last) if last >> 56 == item >> 56 => items[kept - 1] += 1,
                _ => {
                    let common = before.map_or(0, |last| common(last, item));
                    items[kept] = item | (common as u128) << 48;
                    kept += 1;
                }
            }
            before = Some(item);
        }
        self.batch.truncate(start + kept);
    }

    /// Adds the batch to the counts, and keeps what came more often than `line`.
    fn count(&mut self, line: u64) {
        self.batch.sort_unstable();
        for (length, counts) in (1..).zip(&mut self.counts) {
            *counts = add(counts, of_length(&self.batch, length), self.forgotten, line);
        }
        self.batch.clear();
        self.forgotten = line;
    }

    /// Forgets more where too much is remembered, so that memory stays bounded.
    fn forget(&mut self) {
        while self.counts.iter().map(Vec::len).sum::<usize>() > self.remembered {
            self.forgotten *= 2;
            for counts in &mut self.counts {
                counts.retain(|count| count.hits > self.forgotten);
            }
        }
    }

    /// The table of what was learnt.
    pub fn finish(mut self, limits: Limits) -> Table {
        // Counts may be too high by this much: what is kept was really seen as often as `limits` ask for.
        let least = limits.hits.max(1).saturating_add(self.forgotten);
        // The table leaves out the others anyway.
        self.count(least - 1);
        build::table(self.learnt, &self.counts, least, limits)
    }
}

/// The windows of one length in sorted items.
fn of_length(items: &[u128], length: usize) -> impl Iterator<Item = Count> {
    let mask = u64::MAX << (8 * (MAX_PROBE - length));
    let mut items = items
        .iter()
        .filter(move |&&item| Item::length(item) >= length)
        .map(move |&item| Count {
            window: Item::window(item) & mask,
            hits: Item::times(item),
            payloads: u64::from(Item::common(item) < length),
        })
        .peekable();
    std::iter::from_fn(move || {
        let mut count = items.next()?;
        while let Some(same) = items.next_if(|next| next.window == count.window) {
            count.hits += same.hits;
            count.payloads += same.payloads;
        }
        Some(count)
    })
}

/// Adds counts to others, and keeps what then has more hits than `line`; `forgotten` is how many those that were not
/// remembered may have had before.
fn add(old: &[Count], fresh: impl Iterator<Item = Count>, forgotten: u64, line: u64) -> Counts {
    let mut sum = Vec::with_capacity(old.len());
    let mut old = old.iter().copied().peekable();
    let mut keep = |count: Count| {
        if count.hits > line {
            sum.push(count);
        }
    };
    for count in fresh {
        while let Some(before) = old.next_if(|before| before.window < count.window) {
            keep(before);
        }
        let before = old.next_if(|before| before.window == count.window);
        let (hits, payloads) =
            before.map_or((forgotten, 0), |before| (before.hits, before.payloads));
        keep(Count {
            hits: hits + count.hits,
            payloads: payloads + count.payloads,
            ..count
        });
    }
    old.for_each(keep);
    sum
}
