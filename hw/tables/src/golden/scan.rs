//! The filter over a payload: which lengths pass at which ends.
//!
//! Memories A (hash 0) and repetitions are looked at for a block of ends at a time; they leave few ends, and only for those
//! hash 1 and memories B are looked at. A block is done by the best of three [`Kernel`]s that the processor has:
//! [`super::wide`] with AVX-512, [`super::narrow`] with AVX2, and [`super::plain`].

#[cfg(target_arch = "x86_64")]
use super::narrow::{self, Narrow};
use super::plain::Plain;
#[cfg(target_arch = "x86_64")]
use super::wide::{self, Wide};
use crate::filter::{CLASSES, Filters};
use crate::key::Hash;

/// Ends of a block.
pub(super) const BLOCK: usize = 64;
/// Longest length.
pub(super) const LONGEST: usize = 8;
/// Bytes before a block that what is said of its first end depends on: a window and one 16 bytes before it.
pub(super) const BEFORE: usize = 24;
/// A block, and what stands before it.
pub(super) type Text = [u8; BEFORE + BLOCK];
/// Periods of repetition that are left out: every period up to 16 has a multiple among them.
pub(super) const PERIODS: [usize; 9] = [1, 9, 10, 11, 12, 13, 14, 15, 16];

/// Calls `on(end, lengths)` for each end whose lengths pass, in order: bit `n - 1` is set when the last `n` bytes pass. Ends at most `carry`, lengths that reach
/// beyond the start and repeated ends are left out. Stops when `on` says false.
#[inline]
pub(crate) fn scan(
    hash: &Hash,
    filters: &Filters,
    payload: &[u8],
    carry: usize,
    on: &mut impl FnMut(usize, u8) -> bool,
) {
    scan_with(Kernel::best(), hash, filters, payload, carry, on);
}

/// What looks at a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Any,
}

impl Kernel {
    /// The best that this processor has.
    #[inline]
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if wide::available() {
                return Self::Avx512;
            }
            if narrow::available() {
                return Self::Avx2;
            }
        }
        Self::Any
    }
}

#[inline(always)]
fn scan_with(
    kernel: Kernel,
    hash: &Hash,
    filters: &Filters,
    payload: &[u8],
    carry: usize,
    on: &mut impl FnMut(usize, u8) -> bool,
) {
    let second = Second::new(hash, filters);
    let first = First::new(kernel, hash, filters);
    let mut pass = [0u8; BLOCK];
    let mut edge = [0u8; BEFORE + BLOCK];
    for start in (0..payload.len()).step_by(BLOCK) {
        let whole = start
            .checked_sub(BEFORE)
            .and_then(|from| payload.get(from..)?.first_chunk());
        let text: &Text = match whole {
            Some(text) => text,
            None => {
                copy(payload, start, &mut edge);
                &edge
            }
        };
        // Ends up to 24 are never repeated: a window and one 16 bytes before it have no room.
        let may_repeat = if start == 0 { !0 << BEFORE } else { !0 };
        let mut ends = first.block(text, may_repeat, &mut pass);
        let left = payload.len() - start;
        if left < BLOCK {
            ends &= (1 << left) - 1;
        }
        if carry > start {
            let reported = u32::try_from(carry - start).unwrap_or(u32::MAX);
            ends &= (!0u64).checked_shl(reported).unwrap_or(0);
        }
        while ends != 0 {
            let at = ends.trailing_zeros() as usize % BLOCK;
            ends &= ends - 1;
            let end = start + at + 1;
            let mut lengths = pass[at];
            if end < LONGEST {
                lengths &= (1 << end) - 1;
            }
            let lengths = second.pass(text, at, lengths);
            if lengths != 0 && !on(end, lengths) {
                return;
            }
        }
    }
}

/// The block at `start` with what stands before it; bytes beyond the payload mean nothing.
#[cold]
fn copy(payload: &[u8], start: usize, text: &mut Text) {
    let from = start.saturating_sub(BEFORE);
    let to = payload.len().min(start + BLOCK);
    let there = payload.get(from..to).unwrap_or_default();
    let skipped = BEFORE - (start - from);
    for (to, &from) in text.iter_mut().skip(skipped).zip(there) {
        *to = from;
    }
}

/// A kernel with what it needs of a key and filters.
pub(super) enum First<'a> {
    #[cfg(target_arch = "x86_64")]
    Avx512(Wide<'a>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Narrow<'a>),
    Any(Plain<'a>),
}

impl<'a> First<'a> {
    #[inline]
    fn new(kernel: Kernel, hash: &'a Hash, filters: &'a Filters) -> Self {
        let made = match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => Wide::new(hash, filters).map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => Narrow::new(hash, filters).map(Self::Avx2),
            Kernel::Any => None,
        };
        made.unwrap_or_else(|| Self::Any(Plain::new(hash, filters)))
    }

    /// Returns the ends of a block at which any length passes memories A, but for repeated ones where `may_repeat` has their bit;
    /// `pass` says which lengths there, and nothing elsewhere.
    #[inline]
    pub(super) fn block(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(wide) => wide.block(text, may_repeat, pass),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(narrow) => narrow.block(text, may_repeat, pass),
            Self::Any(plain) => plain.block(text, may_repeat, pass),
        }
    }
}

/// True when the word has both bits that the hash asks for.
#[inline(always)]
pub(super) fn has(word: u32, hash: u32) -> bool {
    word >> (hash >> 14 & 31) & word >> (hash >> 19 & 31) & 1 == 1
}

/// Where eight bits up to this one are set: in `bits`, and in the eight before them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn runs(bits: u64, before: u8) -> u64 {
    let mut runs = u128::from(bits) << 8 | u128::from(before);
    for length in [1, 2, 4] {
        runs &= runs << length;
    }
    (runs >> 8) as u64
}

/// Memories B, of the classes that have one.
struct Second<'a> {
    bytes: &'a [u32; 256],
    memories: [&'a [u32]; CLASSES.len()],
}

impl<'a> Second<'a> {
    #[inline]
    fn new(hash: &'a Hash, filters: &'a Filters) -> Self {
        Self {
            bytes: &hash.tables()[1],
            memories: CLASSES.each_ref().map(|class| {
                let select = class.selects.get(1);
                select.map_or(&[][..], |&select| filters.words(select))
            }),
        }
    }

    /// Those of `lengths` that pass memories B, too, at an end of a block.
    #[inline]
    fn pass(&self, text: &Text, at: usize, lengths: u8) -> u8 {
        const WITH_SECOND: u8 = 0b1111_1000;
        if lengths & WITH_SECOND == 0 {
            return lengths;
        }
        // The hashes of the last 1 to 8 bytes: a byte more in front is its own hash, rotated by what follows it.
        let mut of = [0u32; LONGEST + 1];
        let window = text.get(BEFORE + 1 + at - LONGEST..).unwrap_or_default();
        let Some(window) = window.first_chunk::<LONGEST>() else {
            return 0;
        };
        for n in 1..=LONGEST {
            let byte = self.bytes[usize::from(window[LONGEST - n])];
            of[n] = of[n - 1] ^ byte.rotate_left(9 * (n as u32 - 1) % 32);
        }
        let mut left = lengths & !WITH_SECOND;
        for (class, memory) in CLASSES.iter().zip(self.memories) {
            let address = of[class.window] as usize & memory.len().wrapping_sub(1);
            if let Some(&word) = memory.get(address) {
                for &n in class.lengths {
                    left |= u8::from(has(word, of[n])) << (n - 1) & lengths;
                }
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, Key, Size, Write};

    struct Draw(u64);

    impl Draw {
        fn word(&mut self) -> u32 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 32) as u32
        }

        fn below(&mut self, bound: u32) -> usize {
            (self.word() % bound) as usize
        }

        /// Bytes of text, of anything, and repeated, as they come.
        fn payload(&mut self, length: usize) -> Vec<u8> {
            let mut payload: Vec<u8> = Vec::new();
            while payload.len() < length {
                let count = 1 + self.below(60);
                let period = 1 + self.below(20);
                for _ in 0..count {
                    let byte = match (count % 3, payload.len().checked_sub(period)) {
                        (0, Some(before)) => payload[before],
                        (1, _) => b"aAbBzZ@[`{"[self.below(10)],
                        _ => self.word() as u8,
                    };
                    payload.push(byte);
                }
            }
            payload.truncate(length);
            payload
        }
    }

    fn tables(draw: &mut Draw, size: Size, dense: bool) -> (Hash, Filters) {
        let hash = Hash::new(&Key::from_seed(draw.word().into()));
        let mut filters = Filters::new(&Geometry::new(8, size));
        for Write {
            select, address, ..
        } in filters.writes(None)
        {
            let more = if dense { draw.word() } else { 0 };
            assert!(filters.set(select, address, draw.word() | more));
        }
        (hash, filters)
    }

    /// What the definition says of an end.
    fn defined(
        hash: &Hash,
        filters: &Filters,
        payload: &[u8],
        carry: usize,
        end: usize,
    ) -> Option<u8> {
        let window = |end: usize| end.checked_sub(8).and_then(|from| payload.get(from..end));
        let repeated = end > 24 && PERIODS.iter().any(|p| window(end) == window(end - p));
        if end <= carry || repeated {
            return None;
        }
        let passes = |n: &usize| filters.passes(hash, &payload[end - n..end]);
        let lengths = (1..=8.min(end)).filter(passes);
        let lengths = lengths.fold(0u8, |lengths, n| lengths | 1 << (n - 1));
        (lengths != 0).then_some(lengths)
    }

    /// Every kernel that this processor has says what the definition says, whatever stands in the memories.
    #[test]
    fn kernels_do_what_is_defined() {
        let kernels = [
            Some(Kernel::Any),
            #[cfg(target_arch = "x86_64")]
            narrow::available().then_some(Kernel::Avx2),
            #[cfg(target_arch = "x86_64")]
            wide::available().then_some(Kernel::Avx512),
        ];
        let mut draw = Draw(1);
        let mut seen = 0u8;
        for round in 0..60 {
            let size = [Size::Compact, Size::Full][round % 2];
            let (hash, filters) = tables(&mut draw, size, round % 3 == 0);
            let payload = draw.payload(round * 11);
            let carry = draw.below(8);
            let ends = (1..=payload.len())
                .filter_map(|end| Some((end, defined(&hash, &filters, &payload, carry, end)?)));
            let wanted: Vec<(usize, u8)> = ends.collect();
            seen |= wanted.iter().fold(0, |seen, (_, lengths)| seen | lengths);
            for kernel in kernels.into_iter().flatten() {
                let mut got = Vec::new();
                scan_with(
                    kernel,
                    &hash,
                    &filters,
                    &payload,
                    carry,
                    &mut |end, lengths| {
                        got.push((end, lengths));
                        true
                    },
                );
                assert_eq!(got, wanted, "{kernel:?}, round {round}, carry {carry}");
            }
        }
        assert_eq!(seen, u8::MAX, "no candidate of some length");
    }
}
