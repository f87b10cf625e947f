//! The filter with AVX2.

use std::arch::x86_64::*;

use super::scalar::repeats;
use super::{BACK, Block, Fresh, Job, Queue, Queues, SHORT_REPEAT};
use crate::matcher::software::filter::{Pairs, Triples, Words};
use crate::matcher::software::hash::{CASE, Key};
use crate::matcher::software::text::BLOCK;

/// Filters a chunk.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn scan(job: &Job<'_>, queues: &mut Queues) {
    scan!(job, queues, look_up_triples, look_up_pairs, Queue::push);
}

/// 32 bytes from `at` on, counted from the block's start.
#[inline]
#[target_feature(enable = "avx2")]
fn load(block: &Block, at: isize) -> __m256i {
    debug_assert!((-64..=96).contains(&at));
    // SAFETY: there are 64 bytes before the block and behind it; no caller asks for more.
    unsafe { _mm256_loadu_si256(block.as_ptr().offset(BLOCK as isize + at).cast()) }
}

/// Bit `i`: the byte at `i` less [`BACK`] of the block equals the one [`SHORT_REPEAT`] before it.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(block: &Block) -> u128 {
    let third = |at: isize| {
        let from = at - BACK as isize;
        let equal = _mm256_cmpeq_epi8(load(block, from), load(block, from - SHORT_REPEAT as isize));
        u128::from(_mm256_movemask_epi8(equal) as u32)
    };
    third(0) | third(32) << 32 | third(64) << 64
}

/// Even offsets of the block where a window of 7 bytes may stand, and one of 4.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up_words(words: &Words, key: Key, block: &Block) -> (u64, u64) {
    let (table, shift) = words.table();
    let shift = _mm_cvtsi32_si128(shift as i32);
    let (mut long, mut middle) = (0u64, 0u64);
    for half in [0, 32] {
        for at in [0, 2] {
            let load = |at: usize| {
                let text = load(block, (half + at) as isize);
                _mm256_or_si256(text, _mm256_set1_epi64x(CASE as i64))
            };
            let gram = _mm256_mullo_epi32(load(at), _mm256_set1_epi32(key.low as i32));
            let three = _mm256_and_si256(load(at + 4), _mm256_set1_epi32(0x00FF_FFFF));
            let seven = _mm256_add_epi32(
                gram,
                _mm256_mullo_epi32(three, _mm256_set1_epi32(key.high as i32)),
            );
            let place = _mm256_srl_epi32(gram, shift);
            // SAFETY: a 32-bit hash shifted right by `shift` is below the table's length, `1 << (32 - shift)`.
            let word = unsafe { _mm256_i32gather_epi32::<4>(table.as_ptr().cast(), place) };
            let five = _mm256_set1_epi32(31);
            // The bit asked for comes to the lowest place.
            let bit = |number: __m256i| _mm256_srlv_epi32(word, _mm256_and_si256(number, five));
            let both = |a: __m256i, b: __m256i| {
                let both = _mm256_slli_epi32::<31>(_mm256_and_si256(a, b));
                spread(_mm256_movemask_ps(_mm256_castsi256_ps(both)) as u8) << (half + at)
            };
            long |= both(
                bit(_mm256_srli_epi32::<27>(seven)),
                bit(_mm256_srli_epi32::<22>(seven)),
            );
            middle |= both(
                bit(_mm256_srli_epi32::<12>(gram)),
                bit(_mm256_srli_epi32::<7>(gram)),
            );
        }
    }
    (long, middle)
}

/// Offsets of the block where three bytes of a probe may stand.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up_triples(triples: &Triples, key: Key, block: &Block) -> u64 {
    let (bitmap, shift) = triples.bitmap();
    let shift = _mm_cvtsi32_si128(shift as i32);
    let mut mask = 0u64;
    for at in [0, 1, 2, 3, 32, 33, 34, 35] {
        let text = _mm256_or_si256(load(block, at), _mm256_set1_epi64x(CASE as i64));
        let three = _mm256_and_si256(text, _mm256_set1_epi32(0x00FF_FFFF));
        let hash = _mm256_mullo_epi32(three, _mm256_set1_epi32(key.low as i32));
        let slot = _mm256_srl_epi32(hash, shift);
        // SAFETY: a 32-bit hash shifted right by `shift` is below the bitmap's bits.
        let word = unsafe {
            _mm256_i32gather_epi32::<4>(bitmap.as_ptr().cast(), _mm256_srli_epi32::<5>(slot))
        };
        let bit = _mm256_srlv_epi32(word, _mm256_and_si256(slot, _mm256_set1_epi32(31)));
        let found = _mm256_castsi256_ps(_mm256_slli_epi32::<31>(bit));
        mask |= spread(_mm256_movemask_ps(found) as u8) << at;
    }
    mask
}

/// Offsets of the block where a pair stands that is in the bitmap.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up_pairs(pairs: &Pairs, block: &Block) -> u64 {
    let bitmap = pairs.bitmap();
    let mut mask = 0u64;
    for half in [0, 32] {
        for at in 0..4 {
            let pair = load(block, (half + at) as isize);
            let number = _mm256_and_si256(pair, _mm256_set1_epi32(0xFFFF));
            // SAFETY: 16 bits less 5 are below the bitmap's 2048 words.
            let word = unsafe {
                _mm256_i32gather_epi32::<4>(bitmap.as_ptr().cast(), _mm256_srli_epi32::<5>(number))
            };
            let bit = _mm256_srlv_epi32(word, _mm256_and_si256(number, _mm256_set1_epi32(31)));
            let found = _mm256_castsi256_ps(_mm256_slli_epi32::<31>(bit));
            mask |= spread(_mm256_movemask_ps(found) as u8) << (half + at);
        }
    }
    mask
}

/// Bit `j` to bit `4j`.
#[inline(always)]
fn spread(mask: u8) -> u64 {
    let mut bits = u64::from(mask);
    bits = (bits | bits << 12) & 0x000F_000F;
    bits = (bits | bits << 6) & 0x0303_0303;
    (bits | bits << 3) & 0x1111_1111
}
