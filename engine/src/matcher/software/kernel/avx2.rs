//! The filter with AVX2.

use std::arch::x86_64::*;

use super::{BLOCK, Job, Queues, repeats};
use crate::matcher::software::filter::Words;
use crate::matcher::software::hash::{CASE, Key};

/// Filters `blocks` blocks of `text` from `start` on; what is left is queued relative to `start - offset`.
///
/// # Safety
/// The processor has AVX2. `text` holds `BEHIND` bytes behind the last block; `offset` and the blocks stay within a chunk
/// and a block.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn scan(
    job: &Job<'_>,
    text: &[u8],
    start: usize,
    blocks: usize,
    offset: usize,
    queues: &mut Queues,
) {
    for block in 0..blocks {
        let at = start + block * BLOCK;
        if repeats(text, at) {
            continue;
        }
        let base = offset + block * BLOCK;
        // SAFETY: the block and BEHIND bytes after it lie within the text.
        let block_text = unsafe { text.as_ptr().add(at) };
        if let Some(words) = &job.filter.words {
            // SAFETY: as above.
            let (long, middle) = unsafe { look(words, job.key, block_text) };
            queues.long.push(base, long);
            queues.middle.push(base, middle);
        }
        if let Some(pairs) = &job.filter.pairs {
            // SAFETY: as above.
            let short = unsafe { look_up_pairs(pairs.bitmap(), block_text) };
            queues.short.push(base, short);
        }
    }
}

/// Even offsets of the block where a window of 7 bytes may stand, and one of 4.
///
/// # Safety
/// The block and `BEHIND` bytes after it can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn look(words: &Words, key: Key, block: *const u8) -> (u64, u64) {
    let (table, shift) = words.table();
    let shift = _mm_cvtsi32_si128(shift as i32);
    let (mut long, mut middle) = (0u64, 0u64);
    for half in [0, 32] {
        for at in [0, 2] {
            // SAFETY: loads of 32 bytes at up to 38 bytes into the block.
            let load = |at: usize| unsafe {
                _mm256_or_si256(
                    _mm256_loadu_si256(block.add(half + at).cast()),
                    _mm256_set1_epi64x(CASE as i64),
                )
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

/// Offsets of the block where a pair stands that is in the bitmap.
///
/// # Safety
/// The block and `BEHIND` bytes after it can be read.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn look_up_pairs(bitmap: &[u32; 2048], block: *const u8) -> u64 {
    let mut mask = 0u64;
    for half in [0, 32] {
        for at in 0..4 {
            // SAFETY: loads of 32 bytes at up to 35 bytes into the block.
            let pair = unsafe { _mm256_loadu_si256(block.add(half + at).cast()) };
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
