//! The filter with AVX-512.

use std::arch::x86_64::*;

use super::{AHEAD, BACK, Block, Fresh, Job, Queue, Queues, REPEAT, SHORT_REPEAT};
use crate::matcher::software::filter::{Matrix, Pairs, Triples, Words};
use crate::matcher::software::hash::{CASE, Key};
use crate::matcher::software::text::BLOCK;

/// Filters a chunk.
///
/// # Safety
/// The processor has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
pub(super) unsafe fn scan_vbmi(job: &Job<'_>, queues: &mut Queues) {
    scan!(job, queues, look_at_triples, look_at_pairs, append);
}

/// The same for processors without VBMI: pairs and triples are looked up one by one.
///
/// # Safety
/// The processor has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")]
pub(super) unsafe fn scan(job: &Job<'_>, queues: &mut Queues) {
    scan!(job, queues, look_up_triples, look_up_pairs, Queue::push);
}

/// 64 bytes from `at` on, counted from the block's start.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &Block, at: isize) -> __m512i {
    debug_assert!((-64..=64).contains(&at));
    // SAFETY: there are 64 bytes before the block and behind it; no caller asks for more.
    unsafe { _mm512_loadu_si512(block.as_ptr().offset(BLOCK as isize + at).cast()) }
}

/// As [`super::scalar::repeats`].
#[inline]
#[target_feature(enable = "avx512f")]
fn repeats(block: &Block) -> bool {
    let differs =
        |from: isize| _mm512_xor_si512(load(block, from), load(block, from - REPEAT as isize));
    let differs = _mm512_or_si512(differs(-(BACK as isize)), differs(AHEAD as isize));
    _mm512_test_epi32_mask(differs, differs) == 0
}

/// Bit `i`: the byte at `i` less [`BACK`] of the block equals the one [`SHORT_REPEAT`] before it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn equal(block: &Block) -> u128 {
    let from = -(BACK as isize);
    let earlier = from - SHORT_REPEAT as isize;
    let low = _mm512_cmpeq_epi8_mask(load(block, from), load(block, earlier));
    let high = _mm_cmpeq_epi8_mask(
        _mm512_castsi512_si128(load(block, from + 64)),
        _mm512_castsi512_si128(load(block, earlier + 64)),
    );
    u128::from(low) | u128::from(high) << 64
}

/// Even offsets of the block where a window of 7 bytes may stand, and one of 4.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn look_up_words(words: &Words, key: Key, block: &Block) -> (u64, u64) {
    let (table, shift) = words.table();
    let shift = _mm_cvtsi32_si128(shift as i32);
    let (mut longs, mut middles) = (0, 0);
    for at in [0, 2] {
        // Lane j is the 4-gram at 4j, and what follows it.
        let text = |at: isize| _mm512_or_si512(load(block, at), _mm512_set1_epi64(CASE as i64));
        let gram = _mm512_mullo_epi32(text(at), _mm512_set1_epi32(key.low as i32));
        let three = _mm512_and_si512(text(at + 4), _mm512_set1_epi32(0x00FF_FFFF));
        let three = _mm512_mullo_epi32(three, _mm512_set1_epi32(key.high as i32));
        let seven = _mm512_add_epi32(gram, three);
        let place = _mm512_srl_epi32(gram, shift);
        // SAFETY: a 32-bit hash shifted right by `shift` is below the table's length, `1 << (32 - shift)`.
        let word = unsafe { _mm512_i32gather_epi32::<4>(place, table.as_ptr().cast()) };
        // Rotating by a number takes it modulo 32: the bit asked for comes to the lowest place.
        let bit = |number: __m512i| _mm512_rorv_epi32(word, number);
        let long = _mm512_and_si512(
            bit(_mm512_srli_epi32::<27>(seven)),
            bit(_mm512_srli_epi32::<22>(seven)),
        );
        let middle = _mm512_and_si512(
            bit(_mm512_srli_epi32::<12>(gram)),
            bit(_mm512_srli_epi32::<7>(gram)),
        );
        let lanes = |bits: __m512i| {
            let lanes = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(1));
            _pdep_u64(lanes.into(), 0x1111_1111_1111_1111 << at)
        };
        longs |= lanes(long);
        middles |= lanes(middle);
    }
    (longs, middles)
}

/// Offsets of the block where three bytes of a probe may stand.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_at_triples(triples: &Triples, _: Key, block: &Block) -> u64 {
    let [first, second] = triples.matrices();
    look_at_matrix(first, block, 0) & look_at_matrix(second, block, 1)
}

/// Offsets of the block where a probe of two bytes may stand.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_at_pairs(pairs: &Pairs, block: &Block) -> u64 {
    look_at_matrix(pairs.matrix(), block, 0)
}

/// Offsets of the block where, `ahead` bytes on, there may be a pair of the matrix.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_at_matrix(matrix: &Matrix, block: &Block, ahead: isize) -> u64 {
    let table = |bytes: &[u8], at: usize| {
        debug_assert!(64 * at + 64 <= bytes.len());
        // SAFETY: a quarter of 256 bytes, or a half of 128.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().add(64 * at).cast()) }
    };
    let class = |classes: &[u8; 256], bytes: __m512i| {
        // The lookup takes 7 bits; the eighth chooses between two of them.
        let low = _mm512_permutex2var_epi8(table(classes, 0), bytes, table(classes, 1));
        let high = _mm512_permutex2var_epi8(table(classes, 2), bytes, table(classes, 3));
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high)
    };
    let row = class(&matrix.row, load(block, ahead));
    let column = class(&matrix.column, load(block, ahead + 1));
    let bit = |number: i8| _mm512_test_epi8_mask(column, _mm512_set1_epi8(number));
    let index = _mm512_or_si512(row, _mm512_and_si512(column, _mm512_set1_epi8(0x40)));
    let cell = |at: usize| {
        let cells = &matrix.cells[at];
        _mm512_permutex2var_epi8(table(cells, 0), index, table(cells, 1))
    };
    let (odd, upper) = (bit(0x10), bit(0x20));
    let cell = _mm512_mask_blend_epi8(
        upper,
        _mm512_mask_blend_epi8(odd, cell(0), cell(1)),
        _mm512_mask_blend_epi8(odd, cell(2), cell(3)),
    );
    // 1 << (column & 7), by a lookup of the lower four bits.
    let powers = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    _mm512_test_epi8_mask(cell, _mm512_shuffle_epi8(powers, column))
}

/// Offsets of the block where three bytes stand that are in the bitmap.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn look_up_triples(triples: &Triples, key: Key, block: &Block) -> u64 {
    let (bitmap, shift) = triples.bitmap();
    let shift = _mm_cvtsi32_si128(shift as i32);
    (0..4).fold(0, |found, at| {
        let text = _mm512_or_si512(load(block, at), _mm512_set1_epi64(CASE as i64));
        let three = _mm512_and_si512(text, _mm512_set1_epi32(0x00FF_FFFF));
        let hash = _mm512_mullo_epi32(three, _mm512_set1_epi32(key.low as i32));
        let slot = _mm512_srl_epi32(hash, shift);
        let place = _mm512_srli_epi32::<5>(slot);
        // SAFETY: a 32-bit hash shifted right by `shift` is below the bitmap's bits.
        let word = unsafe { _mm512_i32gather_epi32::<4>(place, bitmap.as_ptr().cast()) };
        let lanes = _mm512_test_epi32_mask(_mm512_rorv_epi32(word, slot), _mm512_set1_epi32(1));
        found | _pdep_u64(lanes.into(), 0x1111_1111_1111_1111 << at)
    })
}

/// Offsets of the block where a pair stands that is in the bitmap.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn look_up_pairs(pairs: &Pairs, block: &Block) -> u64 {
    let bitmap = pairs.bitmap().as_ptr().cast::<i32>();
    let mut masks = [0u64; 4];
    for (at, mask) in masks.iter_mut().enumerate() {
        let pair = load(block, at as isize);
        let number = _mm512_and_si512(pair, _mm512_set1_epi32(0xFFFF));
        // SAFETY: 16 bits less 5 are below the bitmap's 2048 words.
        let word = unsafe { _mm512_i32gather_epi32::<4>(_mm512_srli_epi32::<5>(number), bitmap) };
        let bit = _mm512_rorv_epi32(word, number);
        let found = _mm512_test_epi32_mask(bit, _mm512_set1_epi32(1));
        *mask = _pdep_u64(found.into(), 0x1111_1111_1111_1111 << at);
    }
    masks[0] | masks[1] | masks[2] | masks[3]
}

/// As [`Queue::push`], without a branch per bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt")]
fn append(queue: &mut Queue, base: usize, mask: u64) {
    // There are at most as many entries as offsets before this block, and the queue has room for two blocks more.
    let Some(room) = queue.offsets.get_mut(queue.len..queue.len + BLOCK) else {
        return;
    };
    let count = mask.count_ones() as usize;
    let numbers = _mm512_maskz_compress_epi8(mask, iota());
    let base = _mm512_set1_epi16(base as i16);
    // SAFETY: two halves of a block's worth of offsets.
    unsafe {
        let to = room.as_mut_ptr();
        let low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(numbers));
        _mm512_storeu_si512(to.cast(), _mm512_add_epi16(low, base));
        if count > 32 {
            let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(numbers));
            _mm512_storeu_si512(to.add(32).cast(), _mm512_add_epi16(high, base));
        }
    }
    queue.len += count;
}

/// 0, 1, … 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn iota() -> __m512i {
    const IOTA: [u8; 64] = {
        let mut bytes = [0; 64];
        let mut at = 0;
        while at < 64 {
            bytes[at] = at as u8;
            at += 1;
        }
        bytes
    };
    // SAFETY: 64 bytes of a constant.
    unsafe { _mm512_loadu_si512(IOTA.as_ptr().cast()) }
}
