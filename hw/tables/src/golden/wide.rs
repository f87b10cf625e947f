//! Memories A and repetitions of a block with AVX-512, with the same result as [`super::plain`].

use std::arch::x86_64::*;

use super::scan::{BEFORE, BLOCK, LONGEST, PERIODS, Text, runs};
use crate::filter::{CLASSES, Filters};
use crate::key::Hash;

/// Ends of a vector.
const LANES: usize = 16;

/// What the kernel needs of a key and filters.
pub(super) struct Wide<'a> {
    /// `t_0` of a folded byte is the sum of what its two halves add.
    halves: &'a [[u32; LANES]; 2],
    /// The map of single bytes, twice.
    single: [u32; LANES],
    /// Of each class; their lengths are powers of two.
    memories: [&'a [u32]; CLASSES.len()],
}

/// True when this processor can.
#[inline]
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Sixteen bytes.
#[derive(Clone, Copy)]
struct Group {
    raw: __m512i,
    /// `t_0` of each byte.
    first: __m512i,
}

impl<'a> Wide<'a> {
    /// `None` when this processor cannot, or a memory is missing.
    #[inline]
    pub(super) fn new(hash: &'a Hash, filters: &'a Filters) -> Option<Self> {
        let memories = filters.first_memories();
        // The kernel relies on it.
        let sound = memories.iter().all(|memory| memory.len().is_power_of_two());
        (available() && sound).then(|| Self {
            halves: hash.halves(),
            single: std::array::from_fn(|address| filters.single_words()[address % 8]),
            memories,
        })
    }

    /// As [`super::scan::First::block`].
    #[inline]
    pub(super) fn block(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        // SAFETY: `new` has seen that the processor has the features.
        unsafe { self.kernel(text, may_repeat, pass) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn kernel(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        let alive = !(repeated(text) & may_repeat);
        let mut before = self.group(text, BEFORE - LANES);
        let mut ends = 0;
        for number in 0..BLOCK / LANES {
            let from = number * LANES;
            let here = self.group(text, BEFORE + from);
            // Padding is common: where all ends are repeated there is nothing to look at.
            let wanted = (alive >> from) as u16;
            if wanted != 0 {
                let lengths = self.lengths(before.first, here);
                let passing = _mm512_test_epi32_mask(lengths, lengths) & wanted;
                ends |= u64::from(passing) << from;
                let to = &mut pass[from..from + LANES];
                // SAFETY: the place has sixteen bytes.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(lengths)) };
            }
            before = here;
        }
        ends
    }

    /// Sixteen bytes from `from` on.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn group(&self, text: &Text, from: usize) -> Group {
        let bytes = &text[from..from + LANES];
        // SAFETY: there are sixteen bytes.
        let raw = _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
        let upper = _mm512_cmplt_epu32_mask(
            _mm512_sub_epi32(raw, _mm512_set1_epi32(i32::from(b'A'))),
            _mm512_set1_epi32(26),
        );
        let folded = _mm512_mask_or_epi32(raw, upper, raw, _mm512_set1_epi32(0x20));
        let first = _mm512_xor_si512(
            _mm512_permutexvar_epi32(folded, load(&self.halves[0])),
            _mm512_permutexvar_epi32(_mm512_srli_epi32::<4>(folded), load(&self.halves[1])),
        );
        Group { raw, first }
    }

    /// Bits `n - 1` of each end whose last `n` bytes pass memories A.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn lengths(&self, before: __m512i, here: Group) -> __m512i {
        let Group { raw, first } = here;
        // A window that is one byte longer has that byte's own hash more, rotated by what follows it. Written out, so that all
        // stays in registers.
        macro_rules! longer {
            ($shorter:ident, $bytes:literal, $rotation:literal) => {
                _mm512_xor_si512(
                    $shorter,
                    _mm512_rol_epi32::<$rotation>(_mm512_alignr_epi32::<{ 16 - $bytes }>(
                        first, before,
                    )),
                )
            };
        }
        let h1 = first;
        let h2 = longer!(h1, 1, 9);
        let h3 = longer!(h2, 2, 18);
        let h4 = longer!(h3, 3, 27);
        let h5 = longer!(h4, 4, 4);
        let h6 = longer!(h5, 5, 13);
        let h7 = longer!(h6, 6, 22);
        let h8 = longer!(h7, 7, 31);
        let one = _mm512_set1_epi32(1);
        let single = _mm512_permutexvar_epi32(_mm512_srli_epi32::<5>(raw), load(&self.single));
        let mut lengths = _mm512_and_si512(_mm512_rorv_epi32(single, raw), one);
        let [m8, m6, m4, m3, m2] = self.memories;
        let w8 = words(m8, h8);
        let w6 = words(m6, h6);
        let w4 = words(m4, h4);
        let w3 = words(m3, h3);
        let w2 = words(m2, h2);
        for (word, hash, length) in [
            (w2, h2, 2),
            (w3, h3, 3),
            (w4, h4, 4),
            (w4, h5, 5),
            (w6, h6, 6),
            (w6, h7, 7),
            (w8, h8, 8),
        ] {
            let both = _mm512_and_si512(
                _mm512_rorv_epi32(word, _mm512_srli_epi32::<14>(hash)),
                _mm512_rorv_epi32(word, _mm512_srli_epi32::<19>(hash)),
            );
            let passing = _mm512_test_epi32_mask(both, one);
            let bit = _mm512_set1_epi32(1 << (length - 1));
            lengths = _mm512_mask_or_epi32(lengths, passing, lengths, bit);
        }
        lengths
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load(words: &[u32; LANES]) -> __m512i {
    // SAFETY: sixteen words are 64 bytes.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// The words of a memory, whose length is a power of two, at the low bits of these hashes.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn words(memory: &[u32], hash: __m512i) -> __m512i {
    debug_assert!(memory.len().is_power_of_two());
    let address = _mm512_and_si512(hash, _mm512_set1_epi32(memory.len() as i32 - 1));
    // SAFETY: the memory's length is a power of two, so that each address is below it.
    unsafe { _mm512_i32gather_epi32::<4>(address, memory.as_ptr().cast()) }
}

/// The ends up to which eight bytes also stand a period before.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn repeated(text: &Text) -> u64 {
    let at = |from: usize| {
        let bytes = &text[from..from + BLOCK];
        // SAFETY: there are 64 bytes.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    };
    let same = |from: usize, period: usize| _mm512_cmpeq_epi8_mask(at(from), at(from - period));
    // No adapter with a closure: those are compiled for any processor.
    let mut repeated = 0;
    for period in PERIODS {
        let before = same(BEFORE - LONGEST, period) as u8;
        repeated |= runs(same(BEFORE, period), before);
    }
    repeated
}
