//! The filter with AVX-512.

use std::arch::x86_64::*;

use super::{AHEAD, BACK, Candidates, Fresh, Job, Queue, Queues, REPEAT, SHORT_REPEAT};
use crate::matcher::software::exact::Exact;
use crate::matcher::software::filter::{Matrix, Odd, Pairs, Words};
use crate::matcher::software::hash::{CASE, Key};
use crate::matcher::software::text::{BLOCK, Text};

/// Filters a chunk.
///
/// # Safety
/// The processor has the features; the queues were cleared.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
pub(super) unsafe fn scan_vbmi(job: &Job<'_>, queues: &mut Queues) {
    let words = job.filter.words.as_ref().map(|words| WordFilter::new(words, job.key));
    let odd = job.filter.odd.as_ref().map(|odd| OddFilter::new(odd, job.key));
    let matrix = job.filter.pairs.as_ref().map(|pairs| MatrixFilter::new(pairs.matrix()));
    for number in 0..job.text.blocks() {
        let block = job.text.block(number);
        let Some(fresh) = fresh(block, job.text.is_first(number)) else {
            continue;
        };
        let base = number * BLOCK;
        if let Some(words) = &words {
            let (long, middle) = words.look(block);
            // SAFETY: `base` and what is queued so far are those of a chunk's blocks.
            unsafe {
                append(&mut queues.long, base, long & fresh.wide);
                append(&mut queues.middle, base, middle & fresh.wide);
            }
        }
        if let Some(odd) = &odd {
            let odd = odd.look(block);
            // SAFETY: as above.
            unsafe { append(&mut queues.odd, base, odd & fresh.wide) };
        }
        if let Some(matrix) = &matrix {
            let short = matrix.look(block);
            // SAFETY: as above.
            unsafe { append(&mut queues.short, base, short & fresh.narrow) };
        }
    }
}

/// The same for processors without VBMI: pairs are looked up one by one.
///
/// # Safety
/// As for [`scan_vbmi`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")]
pub(super) unsafe fn scan(job: &Job<'_>, queues: &mut Queues) {
    let words = job.filter.words.as_ref().map(|words| WordFilter::new(words, job.key));
    let odd = job.filter.odd.as_ref().map(|odd| OddFilter::new(odd, job.key));
    for number in 0..job.text.blocks() {
        let block = job.text.block(number);
        let Some(fresh) = fresh(block, job.text.is_first(number)) else {
            continue;
        };
        let base = number * BLOCK;
        if let Some(words) = &words {
            let (long, middle) = words.look(block);
            queues.long.push(base, long & fresh.wide);
            queues.middle.push(base, middle & fresh.wide);
        }
        if let Some(odd) = &odd {
            queues.odd.push(base, odd.look(block) & fresh.wide);
        }
        if let Some(pairs) = &job.filter.pairs {
            let short = look_up_pairs(pairs, block);
            queues.short.push(base, short & fresh.narrow);
        }
    }
}

/// A block with what surrounds it.
type Block = [u8; 3 * BLOCK];

/// 64 bytes from `at` on, counted from the block's start.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &Block, at: isize) -> __m512i {
    debug_assert!((-64..=64).contains(&at));
    // SAFETY: there are 64 bytes before the block and behind it; no caller asks for more.
    unsafe { _mm512_loadu_si512(block.as_ptr().offset(BLOCK as isize + at).cast()) }
}

/// Offsets of the block that are not repeats; `None` when the whole block is one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn fresh(block: &Block, first: bool) -> Option<Fresh> {
    if first {
        return Some(Fresh::new(0));
    }
    let differs = |from: isize| {
        _mm512_xor_si512(load(block, from), load(block, from - REPEAT as isize))
    };
    let differs = _mm512_or_si512(differs(-(BACK as isize)), differs(AHEAD as isize));
    if _mm512_test_epi32_mask(differs, differs) == 0 {
        return None;
    }
    let from = -(BACK as isize);
    let earlier = from - SHORT_REPEAT as isize;
    Some(Fresh::new(_mm512_cmpeq_epi8_mask(load(block, from), load(block, earlier))))
}

/// Finds the queued offsets where a window may stand, there or a byte earlier; returns how many there are.
///
/// # Safety
/// The processor has the features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")]
pub(super) unsafe fn sift<const WIDTH: usize>(
    exact: &Exact,
    text: &Text,
    queue: &[u16],
    left: &mut Candidates,
) -> usize {
    let key = exact.key();
    let (bitmap, shift) = exact.bitmap();
    let shift = _mm_cvtsi32_si128(shift as i32);
    let (low, high) = (_mm512_set1_epi32(key.low as i32), _mm512_set1_epi32(key.high as i32));
    let case = _mm512_set1_epi32(CASE as i32);
    let one = _mm512_set1_epi32(1);
    let (bytes, lead) = text.bytes();
    // Lane j of the first vector and lane j of the second, in turn.
    let lower_pairs = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let upper_pairs = _mm512_add_epi32(lower_pairs, _mm512_set1_epi32(8));
    let mut len = 0;
    let may_stand = |lower: __m512i, upper: Option<__m512i>| {
        let mut hash = _mm512_mullo_epi32(lower, low);
        if let Some(upper) = upper {
            hash = _mm512_add_epi32(hash, _mm512_mullo_epi32(upper, high));
        }
        let slot = _mm512_srl_epi32(hash, shift);
        // SAFETY: a 32-bit hash shifted right by `shift` is below the bitmap's bits.
        let word = unsafe {
            _mm512_i32gather_epi32::<4>(_mm512_srli_epi32::<5>(slot), bitmap.as_ptr().cast())
        };
        _mm512_test_epi32_mask(_mm512_rorv_epi32(word, slot), one)
    };
    for offsets in queue.chunks(16) {
        let lanes = u16::MAX >> (16 - offsets.len());
        // SAFETY: masked to the chunk.
        let offsets = unsafe { _mm256_maskz_loadu_epi16(lanes, offsets.as_ptr().cast()) };
        let offset = _mm512_cvtepu16_epi32(offsets);
        let load = |from: isize| {
            // SAFETY: queued offsets are below CHUNK, and the text has as much as a block on either side of it.
            let text = unsafe {
                let from = bytes.as_ptr().offset(lead as isize + from);
                _mm512_i32gather_epi32::<1>(offset, from.cast())
            };
            _mm512_or_si512(text, case)
        };
        let masked = |text: __m512i, mask: i32| _mm512_and_si512(text, _mm512_set1_epi32(mask));
        let (before, here) = match WIDTH {
            2 => (0, may_stand(masked(load(0), 0xFFFF), None)),
            4 => (0, may_stand(load(0), None)),
            3 => {
                let text = load(-1);
                let here = may_stand(_mm512_srli_epi32::<8>(text), None);
                (may_stand(masked(text, 0x00FF_FFFF), None), here)
            }
            5 => {
                let (first, second) = (load(-1), load(3));
                let lower = _mm512_or_si512(_mm512_srli_epi32::<8>(first), _mm512_slli_epi32::<24>(second));
                let upper = masked(_mm512_srli_epi32::<8>(second), 0xFF);
                let here = may_stand(lower, Some(upper));
                (may_stand(first, Some(masked(second, 0xFF))), here)
            }
            _ => {
                let (first, second, third) = (load(-1), load(3), load(4));
                let lower = _mm512_or_si512(_mm512_srli_epi32::<8>(first), _mm512_slli_epi32::<24>(second));
                (may_stand(first, Some(second)), may_stand(lower, Some(third)))
            }
        };
        // In the order of the text: each offset less one, then the offset.
        let earlier = _mm512_sub_epi32(offset, one);
        let keep = _pdep_u32((before & lanes).into(), 0x5555_5555)
            | _pdep_u32((here & lanes).into(), 0xAAAA_AAAA);
        for (half, order) in [(keep as u16, lower_pairs), ((keep >> 16) as u16, upper_pairs)] {
            let both = _mm512_permutex2var_epi32(earlier, order, offset);
            debug_assert!(len + 16 <= left.offsets.len());
            // SAFETY: at most two per offset were written before these, and there is room for two per offset of the queue,
            // which is two blocks longer than a chunk.
            unsafe {
                let to = left.offsets.as_mut_ptr().add(len);
                _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(half, both));
            }
            len += half.count_ones() as usize;
        }
    }
    len
}

/// [`Words`] in registers.
struct WordFilter<'a> {
    table: &'a [u32],
    shift: __m128i,
    low: __m512i,
    high: __m512i,
}

impl<'a> WordFilter<'a> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(words: &'a Words, key: Key) -> Self {
        let (table, shift) = words.table();
        Self {
            table,
            shift: _mm_cvtsi32_si128(shift as i32),
            low: _mm512_set1_epi32(key.low as i32),
            high: _mm512_set1_epi32(key.high as i32),
        }
    }

    /// Even offsets of the block where a window of 7 bytes may stand, and one of 4.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
    fn look(&self, block: &Block) -> (u64, u64) {
        let case = _mm512_set1_epi64(CASE as i64);
        let [t0, t2, t4, t6] = [0, 2, 4, 6].map(|at| _mm512_or_si512(load(block, at), case));
        // Lane j of t0 is the 4-gram at offset 4j, the one of t4 what follows it.
        let (long0, middle0) = self.look_at(t0, t4);
        let (long2, middle2) = self.look_at(t2, t6);
        let spread = |at0: u16, at2: u16| {
            _pdep_u64(at0.into(), 0x1111_1111_1111_1111)
                | _pdep_u64(at2.into(), 0x4444_4444_4444_4444)
        };
        (spread(long0, long2), spread(middle0, middle2))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn look_at(&self, low: __m512i, high: __m512i) -> (u16, u16) {
        let gram = _mm512_mullo_epi32(low, self.low);
        let three = _mm512_and_si512(high, _mm512_set1_epi32(0x00FF_FFFF));
        let seven = _mm512_add_epi32(gram, _mm512_mullo_epi32(three, self.high));
        let place = _mm512_srl_epi32(gram, self.shift);
        // SAFETY: a 32-bit hash shifted right by `shift` is below the table's length, `1 << (32 - shift)`.
        let word = unsafe { _mm512_i32gather_epi32::<4>(place, self.table.as_ptr().cast()) };
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
        let one = _mm512_set1_epi32(1);
        (
            _mm512_test_epi32_mask(long, one),
            _mm512_test_epi32_mask(middle, one),
        )
    }
}

/// [`Odd`] in registers.
struct OddFilter<'a> {
    bitmap: &'a [u32],
    shift: __m128i,
    low: __m512i,
}

impl<'a> OddFilter<'a> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(odd: &'a Odd, key: Key) -> Self {
        let (bitmap, shift) = odd.bitmap();
        Self {
            bitmap,
            shift: _mm_cvtsi32_si128(shift as i32),
            low: _mm512_set1_epi32(key.low as i32),
        }
    }

    /// Odd offsets of the block where a probe of 4 bytes may stand.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
    fn look(&self, block: &Block) -> u64 {
        let case = _mm512_set1_epi64(CASE as i64);
        let look_at = |at: isize| {
            let gram = _mm512_mullo_epi32(_mm512_or_si512(load(block, at), case), self.low);
            let slot = _mm512_srl_epi32(gram, self.shift);
            // SAFETY: a 32-bit hash shifted right by `shift` is below the bitmap's bits.
            let word = unsafe {
                let words = self.bitmap.as_ptr().cast();
                _mm512_i32gather_epi32::<4>(_mm512_srli_epi32::<5>(slot), words)
            };
            _mm512_test_epi32_mask(_mm512_rorv_epi32(word, slot), _mm512_set1_epi32(1))
        };
        _pdep_u64(look_at(1).into(), 0x2222_2222_2222_2222)
            | _pdep_u64(look_at(3).into(), 0x8888_8888_8888_8888)
    }
}

/// [`Matrix`] in registers: 16 of the 32.
struct MatrixFilter {
    row: [__m512i; 4],
    column: [__m512i; 4],
    cells: [[__m512i; 2]; 4],
}

impl MatrixFilter {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(matrix: &Matrix) -> Self {
        // SAFETY: quarters of 256 bytes and halves of 128.
        let load = |bytes: &[u8], at: usize| unsafe {
            debug_assert!(64 * at + 64 <= bytes.len());
            _mm512_loadu_si512(bytes.as_ptr().add(64 * at).cast())
        };
        Self {
            row: [0, 1, 2, 3].map(|at| load(&matrix.row, at)),
            column: [0, 1, 2, 3].map(|at| load(&matrix.column, at)),
            cells: [0, 1, 2, 3].map(|at| [0, 1].map(|half| load(&matrix.cells[at], half))),
        }
    }

    /// Offsets of the block where a pair may stand.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn look(&self, block: &Block) -> u64 {
        let (first, second) = (load(block, 0), load(block, 1));
        let class = |table: &[__m512i; 4], bytes: __m512i| {
            // The lookup takes 7 bits; the eighth chooses between two of them.
            let low = _mm512_permutex2var_epi8(table[0], bytes, table[1]);
            let high = _mm512_permutex2var_epi8(table[2], bytes, table[3]);
            _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high)
        };
        let row = class(&self.row, first);
        let column = class(&self.column, second);
        let bit = |number: i8| _mm512_test_epi8_mask(column, _mm512_set1_epi8(number));
        let index = _mm512_or_si512(row, _mm512_and_si512(column, _mm512_set1_epi8(0x40)));
        let [c0, c1, c2, c3] = self
            .cells
            .map(|[low, high]| _mm512_permutex2var_epi8(low, index, high));
        let (odd, upper) = (bit(0x10), bit(0x20));
        let cell = _mm512_mask_blend_epi8(
            upper,
            _mm512_mask_blend_epi8(odd, c0, c1),
            _mm512_mask_blend_epi8(odd, c2, c3),
        );
        // 1 << (column & 7), by a lookup of the lower four bits.
        let powers = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
        _mm512_test_epi8_mask(cell, _mm512_shuffle_epi8(powers, column))
    }
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

/// Appends `base` plus the number of each bit that is set, without a branch per bit.
///
/// # Safety
/// The queue was cleared for this chunk, and `base` is the offset of a block of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn append(queue: &mut Queue, base: usize, mask: u64) {
    let count = mask.count_ones() as usize;
    let numbers = _mm512_maskz_compress_epi8(mask, iota());
    let base = _mm512_set1_epi16(base as i16);
    debug_assert!(queue.len + 2 * BLOCK <= queue.offsets.len());
    // SAFETY: there are at most as many entries as offsets before this block, and the queue has room for two blocks more than
    // a chunk.
    unsafe {
        let to = queue.offsets.as_mut_ptr().add(queue.len);
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
