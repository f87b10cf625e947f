//! Memories A and repetitions of a block with AVX2, with the same result as [`super::plain`].

use std::arch::x86_64::*;

use super::scan::{BEFORE, BLOCK, LONGEST, PERIODS, Text, runs};
use crate::filter::{CLASSES, Filters};
use crate::key::Hash;

/// Ends of a vector.
const LANES: usize = 8;
/// Bytes of a vector.
const BYTES: usize = 32;

/// What the kernel needs of a key and filters.
pub(super) struct Narrow<'a> {
    /// `t_0` of a folded byte is the sum of what its two halves add.
    halves: &'a [[u32; 2 * LANES]; 2],
    single: &'a [u32; LANES],
    /// Of each class; their lengths are powers of two.
    memories: [&'a [u32]; CLASSES.len()],
}

/// True when this processor can.
#[inline]
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2")
}

impl<'a> Narrow<'a> {
    /// `None` when this processor cannot, or a memory is missing.
    #[inline]
    pub(super) fn new(hash: &'a Hash, filters: &'a Filters) -> Option<Self> {
        let memories = filters.first_memories();
        // The kernel relies on it.
        let sound = memories.iter().all(|memory| memory.len().is_power_of_two());
        (available() && sound).then(|| Self {
            halves: hash.halves(),
            single: filters.single_words(),
            memories,
        })
    }

    /// As [`super::scan::First::block`].
    #[inline]
    pub(super) fn block(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        // SAFETY: `new` has seen that the processor has the feature.
        unsafe { self.kernel(text, may_repeat, pass) }
    }

    #[target_feature(enable = "avx2")]
    fn kernel(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        let alive = !(repeated(text) & may_repeat);
        // `t_0` of the block's bytes, and of those before it that its first windows have.
        let mut bytes = [0u32; LANES + BLOCK];
        for (to, from) in bytes
            .as_chunks_mut::<LANES>()
            .0
            .iter_mut()
            .zip((BEFORE - LANES..).step_by(LANES))
        {
            let first = self.first(raw(text, from));
            // SAFETY: the place has eight words.
            unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), first) };
        }
        let mut ends = 0;
        for (from, to) in (0..)
            .step_by(LANES)
            .zip(pass.as_chunks_mut::<LANES>().0.iter_mut())
        {
            // Padding is common: where all ends are repeated there is nothing to look at.
            let wanted = (alive >> from) as u8;
            if wanted == 0 {
                continue;
            }
            let lengths = self.lengths(&bytes, from, raw(text, BEFORE + from));
            let none = _mm256_cmpeq_epi32(lengths, _mm256_setzero_si256());
            let passing = !(_mm256_movemask_ps(_mm256_castsi256_ps(none)) as u8) & wanted;
            ends |= u64::from(passing) << from;
            let mut found = [0u32; LANES];
            // SAFETY: the place has eight words.
            unsafe { _mm256_storeu_si256(found.as_mut_ptr().cast(), lengths) };
            *to = found.map(|lengths| lengths as u8);
        }
        ends
    }

    /// `t_0` of eight bytes.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn first(&self, raw: __m256i) -> __m256i {
        let upper = _mm256_and_si256(
            _mm256_cmpgt_epi32(raw, _mm256_set1_epi32(i32::from(b'A') - 1)),
            _mm256_cmpgt_epi32(_mm256_set1_epi32(i32::from(b'Z') + 1), raw),
        );
        let folded = _mm256_or_si256(raw, _mm256_and_si256(upper, _mm256_set1_epi32(0x20)));
        let [low, high] = self.halves;
        _mm256_xor_si256(
            choose(low, folded),
            choose(high, _mm256_srli_epi32::<4>(folded)),
        )
    }

    /// Bits `n - 1` of each of the eight ends from `from` on whose last `n` bytes pass memories A. `bytes` are `t_0`, from
    /// eight bytes before the block on.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn lengths(&self, bytes: &[u32; LANES + BLOCK], from: usize, raw: __m256i) -> __m256i {
        // A window that is one byte longer has that byte's own hash more, rotated by what follows it.
        macro_rules! longer {
            ($shorter:ident, $bytes:literal, $rotation:literal) => {{
                let front = load(&bytes[LANES + from - $bytes..]);
                _mm256_xor_si256(
                    $shorter,
                    _mm256_or_si256(
                        _mm256_slli_epi32::<$rotation>(front),
                        _mm256_srli_epi32::<{ 32 - $rotation }>(front),
                    ),
                )
            }};
        }
        let h1 = load(&bytes[LANES + from..]);
        let h2 = longer!(h1, 1, 9);
        let h3 = longer!(h2, 2, 18);
        let h4 = longer!(h3, 3, 27);
        let h5 = longer!(h4, 4, 4);
        let h6 = longer!(h5, 5, 13);
        let h7 = longer!(h6, 6, 22);
        let h8 = longer!(h7, 7, 31);
        let single = _mm256_permutevar8x32_epi32(load(self.single), _mm256_srli_epi32::<5>(raw));
        let one = _mm256_set1_epi32(1);
        let mut lengths = _mm256_and_si256(shifted(single, raw), one);
        let [m8, m6, m4, m3, m2] = self.memories;
        let (w8, w6, w4) = (words(m8, h8), words(m6, h6), words(m4, h4));
        let (w3, w2) = (words(m3, h3), words(m2, h2));
        macro_rules! add {
            ($word:ident, $hash:ident, $length:literal) => {
                let both = _mm256_and_si256(
                    shifted($word, _mm256_srli_epi32::<14>($hash)),
                    shifted($word, _mm256_srli_epi32::<19>($hash)),
                );
                let bit = _mm256_slli_epi32::<{ $length - 1 }>(_mm256_and_si256(both, one));
                lengths = _mm256_or_si256(lengths, bit);
            };
        }
        add!(w2, h2, 2);
        add!(w3, h3, 3);
        add!(w4, h4, 4);
        add!(w4, h5, 5);
        add!(w6, h6, 6);
        add!(w6, h7, 7);
        add!(w8, h8, 8);
        lengths
    }
}

/// Eight bytes from `from` on.
#[target_feature(enable = "avx2")]
#[inline]
fn raw(text: &Text, from: usize) -> __m256i {
    let bytes = &text[from..from + LANES];
    // SAFETY: there are eight bytes.
    _mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[u32]) -> __m256i {
    let words = &words[..LANES];
    // SAFETY: there are eight words.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// One of sixteen words each, by the low four bits of `at`.
#[target_feature(enable = "avx2")]
#[inline]
fn choose(words: &[u32; 2 * LANES], at: __m256i) -> __m256i {
    let lower = _mm256_permutevar8x32_epi32(load(&words[..LANES]), at);
    let upper = _mm256_permutevar8x32_epi32(load(&words[LANES..]), at);
    // The fourth bit, where a blend looks.
    let which = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(at));
    let lower = _mm256_castsi256_ps(lower);
    _mm256_castps_si256(_mm256_blendv_ps(lower, _mm256_castsi256_ps(upper), which))
}

/// Words, shifted right by the low five bits of `by`.
#[target_feature(enable = "avx2")]
#[inline]
fn shifted(words: __m256i, by: __m256i) -> __m256i {
    _mm256_srlv_epi32(words, _mm256_and_si256(by, _mm256_set1_epi32(31)))
}

/// The words of a memory, whose length is a power of two, at the low bits of these hashes.
#[target_feature(enable = "avx2")]
#[inline]
fn words(memory: &[u32], hash: __m256i) -> __m256i {
    debug_assert!(memory.len().is_power_of_two());
    let address = _mm256_and_si256(hash, _mm256_set1_epi32(memory.len() as i32 - 1));
    // SAFETY: the memory's length is a power of two, so that each address is below it.
    unsafe { _mm256_i32gather_epi32::<4>(memory.as_ptr().cast(), address) }
}

/// The ends up to which eight bytes also stand a period before.
#[target_feature(enable = "avx2")]
#[inline]
fn repeated(text: &Text) -> u64 {
    let same = |from: usize, period: usize| {
        let at = |from: usize| {
            let bytes = &text[from..from + BYTES];
            // SAFETY: there are 32 bytes.
            unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
        };
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(at(from), at(from - period))) as u32
    };
    // No adapter with a closure: those are compiled for any processor.
    let mut repeated = 0;
    for period in PERIODS {
        let before = same(BEFORE - LONGEST, period) as u8;
        let (low, high) = (same(BEFORE, period), same(BEFORE + BYTES, period));
        repeated |= runs(u64::from(high) << BYTES | u64::from(low), before);
    }
    repeated
}
