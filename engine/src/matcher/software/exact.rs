//! The exact stage: which literals stand around an offset that the filter let through.

use super::hash::{CASE, mask, window};

/// A literal as it may stand around an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The literal, little-endian, with the case bit set in each of its bytes.
    value: u64,
    /// Number of the literal.
    literal: u32,
    /// How many of its bytes stand before the offset.
    back: u8,
    len: u8,
}

impl Entry {
    pub(super) fn new(literal: u32, bytes: &[u8], back: usize) -> Self {
        Self {
            value: (window(bytes, 0) | CASE) & mask(bytes.len()),
            literal,
            back: back as u8,
            len: bytes.len() as u8,
        }
    }

    fn shape(&self) -> (u8, u8) {
        (self.back, self.len)
    }
}

/// A bucket that has no more entries than this is gone through one by one.
const FEW: usize = 8;

/// Literals by the hash of the window that they are filed under.
///
/// A bucket is sorted by shape (place of the window in the literal, length), then by value. However many probes share
/// a window, an offset costs one binary search per shape, of which there are at most nine.
#[derive(Default)]
pub(super) struct Exact {
    /// `starts[k]..starts[k + 1]` are the entries of bucket `k`; empty when there are none.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    shift: u32,
}

impl Exact {
    /// Files entries by their 32-bit hashes, of which the upper bits are the good ones.
    pub(super) fn new(mut keyed: Vec<(u32, Entry)>) -> Self {
        if keyed.is_empty() {
            return Self::default();
        }
        let bits = (2 * keyed.len()).next_power_of_two().ilog2().clamp(4, 24);
        let shift = 32 - bits;
        keyed.sort_by_key(|(hash, entry)| (hash >> shift, entry.shape(), entry.value));
        let mut starts = vec![0u32; (1 << bits) + 1];
        for (hash, _) in &keyed {
            starts[(hash >> shift) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self {
            starts,
            entries: keyed.into_iter().map(|(_, entry)| entry).collect(),
            shift,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.entries)
    }

    /// Calls `found(literal, end)` for the literals that stand around `at`, case ignored.
    ///
    /// Setting the case bit confuses a few bytes that are no letters: the caller compares exactly.
    #[inline(always)]
    pub(super) fn look_up(
        &self,
        hash: u32,
        data: &[u8],
        at: usize,
        mut found: impl FnMut(u32, usize),
    ) {
        let key = (hash >> self.shift) as usize;
        let (Some(&start), Some(&end)) = (self.starts.get(key), self.starts.get(key + 1)) else {
            return;
        };
        let bucket = self
            .entries
            .get(start as usize..end as usize)
            .unwrap_or_default();
        if bucket.len() <= FEW {
            for entry in bucket {
                if let Some(end) = stands(entry, data, at) {
                    found(entry.literal, end);
                }
            }
        } else {
            search(bucket, data, at, &mut found);
        }
    }
}

/// Where the literal ends if it stands around `at`.
#[inline(always)]
fn stands(entry: &Entry, data: &[u8], at: usize) -> Option<usize> {
    let start = at.checked_sub(entry.back.into())?;
    let len = usize::from(entry.len);
    let text = (window(data, start) | CASE) & mask(len);
    (text == entry.value && start + len <= data.len()).then_some(start + len)
}

/// A large bucket: by shape, then by value.
#[inline(never)]
fn search(mut bucket: &[Entry], data: &[u8], at: usize, found: &mut dyn FnMut(u32, usize)) {
    while let Some(first) = bucket.first() {
        let (shape, rest) =
            bucket.split_at(bucket.partition_point(|entry| entry.shape() == first.shape()));
        bucket = rest;
        let Some(start) = at.checked_sub(first.back.into()) else {
            continue;
        };
        let len = usize::from(first.len);
        let text = (window(data, start) | CASE) & mask(len);
        if start + len > data.len() {
            continue;
        }
        let from = shape.partition_point(|entry| entry.value < text);
        for entry in shape[from..].iter().take_while(|entry| entry.value == text) {
            found(entry.literal, start + len);
        }
    }
}
