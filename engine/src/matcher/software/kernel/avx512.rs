//! The filter with AVX-512.

use std::arch::x86_64::*;

use super::{BEFORE, BEHIND, BLOCK, Job, Queue, Queues, REPEAT};
use crate::matcher::software::filter::{Matrix, Pairs, Words};
use crate::matcher::software::hash::{CASE, Key};

/// Filters `blocks` blocks of `text` from `start` on; what is left is queued relative to `start - offset`.
///
/// # Safety
/// The processor has the features. `text` holds [`BEHIND`] bytes behind the last block; `offset` and the blocks stay
/// within a chunk and a block.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
pub(super) unsafe fn scan_vbmi(
    job: &Job<'_>,
    text: &[u8],
    start: usize,
    blocks: usize,
    offset: usize,
    queues: &mut Queues,
) {
    let words = job
        .filter
        .words
        .as_ref()
        .map(|words| WordFilter::new(words, job.key));
    let matrix = job
        .filter
        .pairs
        .as_ref()
        .map(|pairs| MatrixFilter::new(pairs.matrix()));
    for block in 0..blocks {
        let at = start + block * BLOCK;
        // SAFETY: the block and BEHIND bytes after it lie within the text.
        let block_text = unsafe { text.as_ptr().add(at) };
        // SAFETY: as the caller has said for the text; the bytes before are only read where there are that many.
        if at >= BEFORE + REPEAT && unsafe { repeats(block_text) } {
            continue;
        }
        let base = offset + block * BLOCK;
        if let Some(words) = &words {
            // SAFETY: the block's windows lie within the text.
            let (long, middle) = unsafe { words.look(block_text) };
            // SAFETY: `base` and the block stay within a chunk and a block.
            unsafe {
                append(&mut queues.long, base, long);
                append(&mut queues.middle, base, middle);
            }
        }
        if let Some(matrix) = &matrix {
            // SAFETY: as for the words.
            unsafe {
                let short = matrix.look(block_text);
                append(&mut queues.short, base, short);
            }
        }
    }
}

/// The same for processors without VBMI: pairs are looked up one by one.
///
/// # Safety
/// As for [`scan_vbmi`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2,popcnt")]
pub(super) unsafe fn scan(
    job: &Job<'_>,
    text: &[u8],
    start: usize,
    blocks: usize,
    offset: usize,
    queues: &mut Queues,
) {
    let words = job
        .filter
        .words
        .as_ref()
        .map(|words| WordFilter::new(words, job.key));
    for block in 0..blocks {
        let at = start + block * BLOCK;
        // SAFETY: the block and BEHIND bytes after it lie within the text.
        let block_text = unsafe { text.as_ptr().add(at) };
        // SAFETY: as the caller has said for the text; the bytes before are only read where there are that many.
        if at >= BEFORE + REPEAT && unsafe { repeats(block_text) } {
            continue;
        }
        let base = offset + block * BLOCK;
        if let Some(words) = &words {
            // SAFETY: the block's windows lie within the text.
            let (long, middle) = unsafe { words.look(block_text) };
            queues.long.push(base, long);
            queues.middle.push(base, middle);
        }
        if let Some(pairs) = &job.filter.pairs {
            // SAFETY: as for the words.
            let short = unsafe { look_up_pairs(pairs, block_text) };
            queues.short.push(base, short);
        }
    }
}

/// As [`super::repeats`], for a block that has enough text before it.
///
/// # Safety
/// From [`BEFORE`] plus [`REPEAT`] bytes before the block to [`BEHIND`] bytes after it there is text.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn repeats(block: *const u8) -> bool {
    // SAFETY: the first pair of loads begins BEFORE + REPEAT bytes before the block, the second ends BEHIND bytes after it.
    unsafe {
        let differs = |from: isize| {
            let now = _mm512_loadu_si512(block.offset(from).cast());
            let then = _mm512_loadu_si512(block.offset(from - REPEAT as isize).cast());
            _mm512_xor_si512(now, then)
        };
        let differs = _mm512_or_si512(differs(-(BEFORE as isize)), differs(BEHIND as isize));
        _mm512_test_epi32_mask(differs, differs) == 0
    }
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
    ///
    /// # Safety
    /// The block and [`BEHIND`] bytes after it can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
    unsafe fn look(&self, block: *const u8) -> (u64, u64) {
        // SAFETY: loads of 64 bytes at up to 6 bytes into the block.
        let [t0, t2, t4, t6] = unsafe {
            [0, 2, 4, 6].map(|at| {
                _mm512_or_si512(
                    _mm512_loadu_si512(block.add(at).cast()),
                    _mm512_set1_epi64(CASE as i64),
                )
            })
        };
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
        // The eighth byte does not count: shifted out, which is the same as masked off and multiplied by 256 times less.
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
    ///
    /// # Safety
    /// The block and [`BEHIND`] bytes after it can be read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    unsafe fn look(&self, block: *const u8) -> u64 {
        // SAFETY: 64 bytes at the block's start and one further.
        let (first, second) = unsafe {
            (
                _mm512_loadu_si512(block.cast()),
                _mm512_loadu_si512(block.add(1).cast()),
            )
        };
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
///
/// # Safety
/// The block and [`BEHIND`] bytes after it can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
unsafe fn look_up_pairs(pairs: &Pairs, block: *const u8) -> u64 {
    let bitmap = pairs.bitmap().as_ptr().cast::<i32>();
    let mut masks = [0u64; 4];
    for (at, mask) in masks.iter_mut().enumerate() {
        // SAFETY: loads of 64 bytes at up to 3 bytes into the block.
        let pair = unsafe { _mm512_loadu_si512(block.add(at).cast()) };
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
/// The queue was cleared for this chunk, and `base` is an offset of a block within a chunk and a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt")]
unsafe fn append(queue: &mut Queue, base: usize, mask: u64) {
    let count = mask.count_ones() as usize;
    let numbers = _mm512_maskz_compress_epi8(mask, iota());
    let base = _mm512_set1_epi16(base as i16);
    debug_assert!(queue.len + 2 * BLOCK <= queue.offsets.len());
    // SAFETY: there are at most as many entries as offsets before this block, and the queue has room for three blocks more.
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
