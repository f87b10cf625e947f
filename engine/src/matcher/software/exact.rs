//! The exact stage: which probes stand around an offset that the filter let through.

use super::hash::{CASE, Key, mask, window};
use super::kernel::QUEUE;
use super::tables::Literal;
use super::text::Text;

/// A probe, filed under a window of it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Entry {
    /// Little-endian, the case bit set in all of its bytes.
    value: u64,
    probe: u32,
    /// How many of its bytes stand before the window.
    back: u8,
    /// Its length; 0 in an empty slot.
    len: u8,
    /// The bucket has more entries than this one.
    more: bool,
}

impl Entry {
    fn shape(&self) -> (u8, u8) {
        (self.back, self.len)
    }

    /// Where it begins if its window stands at `at`; wraps before the chunk.
    #[inline(always)]
    fn start(&self, at: usize) -> usize {
        at.wrapping_sub(self.back.into())
    }

    /// The text where it would stand if its window stands at `at`.
    #[inline(always)]
    fn text(&self, text: &Text, at: usize) -> u64 {
        (text.window(self.start(at)) | CASE) & mask(self.len.into())
    }

    /// True if it stands there, case ignored.
    #[inline(always)]
    fn stands(&self, text: &Text, at: usize) -> bool {
        self.text(text, at) == self.value
    }
}

/// A bucket that has no more entries than this is gone through one by one.
const FEW: usize = 8;
/// Bits of the bitmap per entry, and fewest: 8 KiB, a quarter of a first-level cache.
const SPARSE: usize = 32;
const FEWEST: usize = 1 << 16;

/// Probes filed under a window of `width` bytes, by its hash.
///
/// Three steps, of which the first two take no branch per offset: a bitmap ([`Exact::sift`]), the first entry of the bucket
/// ([`Exact::keep`]), and the whole bucket ([`Exact::look_up`]). A bucket is sorted by shape (place of the window in
/// the probe, length), then by value: however many probes share a window, an offset costs one binary search per shape, of
/// which there are at most six.
#[derive(Default)]
pub(super) struct Exact {
    width: usize,
    key: Key,
    bitmap: Vec<u32>,
    bitmap_shift: u32,
    /// The first entry of each bucket.
    firsts: Vec<Entry>,
    /// `starts[k]..starts[k + 1]` are the entries of bucket `k`; empty when there are none.
    starts: Vec<u32>,
    starts_shift: u32,
    entries: Vec<Entry>,
}

impl Exact {
    /// Files literals; `width` is at most their length less [`Literal::place`].
    pub(super) fn new<'a>(
        width: usize,
        key: Key,
        literals: impl Iterator<Item = &'a Literal>,
    ) -> Self {
        let mut keyed: Vec<(u32, Entry)> = literals
            .map(|literal| {
                let bytes = literal.bytes();
                let entry = Entry {
                    value: literal.value,
                    probe: literal.probe,
                    back: literal.place as u8,
                    len: literal.len as u8,
                    more: false,
                };
                (key.wide(window(&bytes, literal.place), width), entry)
            })
            .collect();
        let count = keyed.len();
        if count == 0 {
            return Self::default();
        }
        let bits = |slots: usize| slots.next_power_of_two().ilog2().clamp(4, 24);
        let bitmap_shift = 32 - bits((SPARSE * count).max(FEWEST));
        let starts_shift = 32 - bits(2 * count);
        let bucket = |hash: u32| (hash >> starts_shift) as usize;
        keyed.sort_by_key(|(hash, entry)| (bucket(*hash), entry.shape(), entry.value));
        let buckets = 1 << (32 - starts_shift);
        let mut bitmap = vec![0; (1 << (32 - bitmap_shift)) / 32];
        let mut starts = vec![0u32; buckets + 1];
        let mut firsts = vec![Entry::default(); buckets];
        for (hash, entry) in &keyed {
            let slot = hash >> bitmap_shift;
            bitmap[(slot / 32) as usize] |= 1 << (slot % 32);
            let first = &mut firsts[bucket(*hash)];
            if first.len == 0 {
                *first = *entry;
            } else {
                first.more = true;
            }
            starts[bucket(*hash) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self {
            width,
            key,
            bitmap,
            bitmap_shift,
            firsts,
            starts,
            starts_shift,
            entries: keyed.into_iter().map(|(_, entry)| entry).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        let entries = size_of_val(&*self.firsts) + size_of_val(&*self.entries);
        entries + size_of_val(&*self.bitmap) + size_of_val(&*self.starts)
    }

    /// Of the queued offsets, finds those where a window may stand; where two neighbouring 4-grams were sampled, there or a byte
    /// earlier.
    #[inline]
    pub(super) fn sift<'c>(
        &self,
        text: &Text,
        queue: &[u16],
        left: &'c mut Candidates,
    ) -> &'c mut [u32] {
        let len = match self.width {
            2 => self.sift_by::<2, false>(text, queue, left),
            3 => self.sift_by::<3, false>(text, queue, left),
            5 => self.sift_by::<5, true>(text, queue, left),
            _ => self.sift_by::<8, true>(text, queue, left),
        };
        left.offsets.get_mut(..len).unwrap_or_default()
    }

    #[inline]
    fn sift_by<const WIDTH: usize, const EARLIER: bool>(
        &self,
        text: &Text,
        queue: &[u16],
        left: &mut Candidates,
    ) -> usize {
        let mut len = 0;
        let mut push = |at: u32| {
            let slot = self.key.wide(text.window(at as i32 as usize), WIDTH) >> self.bitmap_shift;
            let word = self.bitmap.get((slot / 32) as usize).copied().unwrap_or(0);
            // Written always, and counted if a window may stand: a branch would be mispredicted.
            if let Some(offset) = left.offsets.get_mut(len) {
                *offset = at;
                len += (word >> (slot % 32) & 1) as usize;
            }
        };
        for &offset in queue {
            let here = u32::from(offset);
            if EARLIER {
                push(here.wrapping_sub(1));
            }
            push(here);
        }
        len
    }

    #[inline(always)]
    fn bucket(&self, text: &Text, at: usize) -> usize {
        (self.key.wide(text.window(at), self.width) >> self.starts_shift) as usize
    }

    /// Of the offsets in the chunk, keeps those where the first entry of the bucket stands, or that have several; returns
    /// how many.
    #[inline]
    pub(super) fn keep(&self, text: &Text, offsets: &mut [u32]) -> usize {
        let mut kept = 0;
        for at in 0..offsets.len() {
            let offset = offsets[at];
            let here = offset as i32 as usize;
            let keep = self
                .firsts
                .get(self.bucket(text, here))
                .is_some_and(|first| first.stands(text, here) | first.more);
            // Written always, and counted if it is kept: a branch would be mispredicted.
            offsets[kept] = offset;
            kept += usize::from(keep);
        }
        kept
    }

    /// Calls `found(probe, start, length)` for the probes whose window stands at `at`, which was kept, case ignored; `start`
    /// is an offset in the chunk. A probe may begin before the buffer, or end behind it.
    ///
    /// Setting the case bit confuses a few bytes that are no letters: the caller compares exactly.
    #[inline(always)]
    pub(super) fn look_up(
        &self,
        text: &Text,
        at: usize,
        found: &mut impl FnMut(u32, usize, usize),
    ) {
        let bucket = self.bucket(text, at);
        match self.firsts.get(bucket) {
            // The usual case: it was compared by [`Exact::keep`].
            Some(first) if !first.more => {
                return found(first.probe, first.start(at), first.len.into());
            }
            _ => {}
        }
        let (Some(&start), Some(&end)) = (self.starts.get(bucket), self.starts.get(bucket + 1))
        else {
            return;
        };
        let bucket = self
            .entries
            .get(start as usize..end as usize)
            .unwrap_or_default();
        if bucket.len() > FEW {
            return search(bucket, text, at, found);
        }
        for entry in bucket {
            if entry.stands(text, at) {
                found(entry.probe, entry.start(at), usize::from(entry.len));
            }
        }
    }
}

/// A large bucket: by shape, then by value.
#[inline(never)]
fn search(mut bucket: &[Entry], text: &Text, at: usize, found: &mut dyn FnMut(u32, usize, usize)) {
    while let Some(first) = bucket.first() {
        let (shape, rest) =
            bucket.split_at(bucket.partition_point(|entry| entry.shape() == first.shape()));
        bucket = rest;
        let wanted = first.text(text, at);
        let from = shape.partition_point(|entry| entry.value < wanted);
        // More than one: they differ in case.
        for entry in shape[from..]
            .iter()
            .take_while(|entry| entry.value == wanted)
        {
            found(entry.probe, entry.start(at), usize::from(entry.len));
        }
    }
}

/// Offsets in a chunk, of -1 (wrapped) and more, where a window may stand.
pub(super) struct Candidates {
    /// Twice the queue: there, and a byte earlier.
    offsets: [u32; 2 * QUEUE],
}

impl Default for Candidates {
    fn default() -> Self {
        Self {
            offsets: [0; 2 * QUEUE],
        }
    }
}
