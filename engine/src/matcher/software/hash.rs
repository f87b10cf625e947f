//! Windows as numbers, and their keyed hash.

use std::hash::{BuildHasher, RandomState};

/// The bit that tells upper from lower case, in every byte. Setting it folds letters (and confuses a few other bytes,
/// which costs the filter next to nothing and is refuted by the comparison).
pub(super) const CASE: u64 = 0x2020_2020_2020_2020;

/// The first `len` bytes of a little-endian window; `len` is at most 8.
pub(super) fn mask(len: usize) -> u64 {
    match len {
        0 => 0,
        1..8 => u64::MAX >> (64 - 8 * len),
        _ => u64::MAX,
    }
}

/// The 8 bytes at `at`, little-endian, zeros where `data` has ended.
#[inline(always)]
pub(super) fn window(data: &[u8], at: usize) -> u64 {
    match data.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => short_window(data, at),
    }
}

#[cold]
fn short_window(data: &[u8], at: usize) -> u64 {
    let rest = data.get(at..).unwrap_or_default();
    rest.iter()
        .rev()
        .fold(0, |window, &byte| window << 8 | u64::from(byte))
}

/// Odd multipliers (multiply-shift hashing: Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair
/// problem", 1997). They are drawn afresh for every matcher, so that nobody can send text that is made to collide.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Key {
    pub(super) low: u32,
    pub(super) high: u32,
}

impl Key {
    pub(super) fn random() -> Self {
        Self::new(RandomState::new().hash_one(0u8))
    }

    /// The key that is made of these bits.
    pub(super) fn new(word: u64) -> Self {
        Self {
            low: word as u32 | 1,
            high: (word >> 32) as u32 | 1,
        }
    }

    /// Hash of the first four bytes of a window; its upper bits are the good ones.
    #[inline(always)]
    pub(super) fn gram(self, window: u64) -> u32 {
        (window as u32 | CASE as u32).wrapping_mul(self.low)
    }

    /// Hash of the first three bytes of a window; its upper bits are the good ones.
    #[inline(always)]
    pub(super) fn triple(self, window: u64) -> u32 {
        ((window as u32 | CASE as u32) & 0x00FF_FFFF).wrapping_mul(self.low)
    }

    /// Hash of the first `width` bytes of a window, 2 to 8; its upper bits are the good ones.
    #[inline(always)]
    pub(super) fn wide(self, window: u64, width: usize) -> u32 {
        let text = (window | CASE) & mask(width);
        let low = (text as u32).wrapping_mul(self.low);
        low.wrapping_add(((text >> 32) as u32).wrapping_mul(self.high))
    }

    /// Hash of the first seven bytes of a window whose [`Key::gram`] is `gram`; its upper bits are the good ones.
    #[inline(always)]
    pub(super) fn seven(self, gram: u32, window: u64) -> u32 {
        let high = (window >> 32) as u32 | CASE as u32;
        gram.wrapping_add((high & 0x00FF_FFFF).wrapping_mul(self.high))
    }
}

/// The two bits that a 7-gram sets in its word.
#[inline(always)]
pub(super) fn seven_bits(seven: u32) -> u32 {
    1 << (seven >> 27) | 1 << (seven >> 22 & 31)
}

/// The two bits that a 4-gram sets in its word: bits of its hash that do not choose the word.
#[inline(always)]
pub(super) fn gram_bits(gram: u32) -> u32 {
    1 << (gram >> 12 & 31) | 1 << (gram >> 7 & 31)
}
