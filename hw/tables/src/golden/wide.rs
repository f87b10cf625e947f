//! Memories A of a block with AVX-512: sixteen ends at a time, with the same result as [`super::scan`]'s own.

use std::arch::x86_64::*;

use super::scan::{BLOCK, LONGEST};
use crate::filter::{CLASSES, Filters};
use crate::key::Hash;

/// Ends of a vector.
const LANES: usize = 16;

/// What the kernel needs of a key and filters, and hash 0 of the last ends of the block before.
pub(super) struct Wide<'a> {
    /// `t_0` of a folded byte is the sum of what its two halves add.
    halves: &'a [[u32; LANES]; 2],
    /// The map of single bytes, twice.
    single: [u32; LANES],
    memories: [&'a [u32]; CLASSES.len()],
    before: [[u32; LANES]; LONGEST + 1],
}

/// True when this processor can.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

impl<'a> Wide<'a> {
    /// `None` when this processor cannot, or a memory is missing.
    pub(super) fn new(hash: &'a Hash, filters: &'a Filters) -> Option<Self> {
        let memories = CLASSES.each_ref().map(|class| {
            class
                .selects
                .first()
                .map_or(&[][..], |&select| filters.words(select))
        });
        // The kernel relies on it.
        let sound = memories.iter().all(|memory| memory.len().is_power_of_two());
        (available() && sound).then(|| Self {
            halves: hash.halves(),
            single: std::array::from_fn(|address| filters.single_words()[address % 8]),
            memories,
            before: [[0; LANES]; LONGEST + 1],
        })
    }

    /// Which lengths pass memories A at each end of a block; what stands for ends beyond `block` means nothing.
    pub(super) fn block(&mut self, block: &[u8], pass: &mut [u8; BLOCK]) {
        let mut bytes = [0; BLOCK];
        bytes[..block.len().min(BLOCK)].copy_from_slice(&block[..block.len().min(BLOCK)]);
        // SAFETY: `new` has seen that the processor has the features.
        unsafe { self.kernel(&bytes, pass) }
    }

    /// # Safety
    /// The processor has the features.
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn kernel(&mut self, bytes: &[u8; BLOCK], pass: &mut [u8; BLOCK]) {
        let load = |words: &[u32; LANES]| {
            // SAFETY: sixteen words are 64 bytes.
            unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
        };
        let (low, high, single) = (
            load(&self.halves[0]),
            load(&self.halves[1]),
            load(&self.single),
        );
        let mut before: [__m512i; LONGEST + 1] = std::array::from_fn(|n| load(&self.before[n]));
        let one = _mm512_set1_epi32(1);
        for (text, pass) in bytes
            .as_chunks::<LANES>()
            .0
            .iter()
            .zip(pass.as_chunks_mut::<LANES>().0)
        {
            // SAFETY: the text has sixteen bytes.
            let raw = _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(text.as_ptr().cast()) });
            let upper = _mm512_cmplt_epu32_mask(
                _mm512_sub_epi32(raw, _mm512_set1_epi32(i32::from(b'A'))),
                _mm512_set1_epi32(26),
            );
            let folded = _mm512_mask_or_epi32(raw, upper, raw, _mm512_set1_epi32(0x20));
            let first = _mm512_xor_si512(
                _mm512_permutexvar_epi32(folded, low),
                _mm512_permutexvar_epi32(_mm512_srli_epi32::<4>(folded), high),
            );
            let mut hashes = [first; LONGEST + 1];
            for n in 2..=LONGEST {
                let shorter = _mm512_alignr_epi32::<15>(hashes[n - 1], before[n - 1]);
                hashes[n] = _mm512_xor_si512(_mm512_rol_epi32::<9>(shorter), first);
            }
            before = hashes;
            let word = _mm512_permutexvar_epi32(_mm512_srli_epi32::<5>(raw), single);
            let mut lengths = _mm512_and_si512(_mm512_rorv_epi32(word, raw), one);
            for (class, memory) in CLASSES.iter().zip(self.memories) {
                let last = _mm512_set1_epi32(memory.len() as i32 - 1);
                let address = _mm512_and_si512(hashes[class.window], last);
                // SAFETY: the memory's length is a power of two, so that each address is below it.
                let word = unsafe { _mm512_i32gather_epi32::<4>(address, memory.as_ptr().cast()) };
                for &n in class.lengths {
                    let bit = |hash| _mm512_rorv_epi32(word, hash);
                    let both = _mm512_and_si512(
                        bit(_mm512_srli_epi32::<14>(hashes[n])),
                        bit(_mm512_srli_epi32::<19>(hashes[n])),
                    );
                    let passing = _mm512_test_epi32_mask(both, one);
                    lengths = _mm512_mask_or_epi32(
                        lengths,
                        passing,
                        lengths,
                        _mm512_set1_epi32(1 << (n - 1)),
                    );
                }
            }
            // SAFETY: the place has sixteen bytes.
            unsafe { _mm_storeu_si128(pass.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(lengths)) };
        }
        for (to, from) in self.before.iter_mut().zip(before) {
            // SAFETY: sixteen words are 64 bytes.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), from) };
        }
    }
}
