//! The filter stage at each level of SIMD: which offsets of a range could begin a window of a probe.

use std::fmt;
use std::ops::Range;

use super::filter::Filter;
use super::hash::Key;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

/// Bytes that a step of the filter looks at.
const BLOCK: usize = 64;
/// Bytes behind a block that its windows reach into: the last sampled offset is 62, a window has 8 bytes, and looking for
/// repeats wants two more.
const BEHIND: usize = 8;
/// Distance at which a repeated block is recognised: any run, and any period that divides it.
const REPEAT: usize = 24;
/// Bytes before a block that its windows reach into: a 4-gram stands at most 3 bytes into its literal.
const BEFORE: usize = 3;

/// Bytes that are filtered before what is left is compared. Offsets in a chunk fit the queues.
pub(super) const CHUNK: usize = 4096;
/// Entries of a queue: every offset, and what a vector store writes beyond the last.
const QUEUE: usize = CHUNK + 3 * BLOCK;

/// The instructions that the filter uses. All levels give the same answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Any processor.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL (Skylake servers and later).
    Avx512,
    /// AVX-512 with VBMI and VBMI2 (Ice Lake, Zen 4 and later).
    Avx512Vbmi,
}

impl Level {
    /// All levels, the plainest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Vbmi];

    /// Whether this processor has what the level needs.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            match self {
                Self::Scalar => true,
                Self::Avx2 => has!("avx2"),
                Self::Avx512 => {
                    has!("avx512f")
                        && has!("avx512bw")
                        && has!("avx512dq")
                        && has!("avx512vl")
                        && has!("bmi2")
                }
                Self::Avx512Vbmi => {
                    Self::Avx512.available() && has!("avx512vbmi") && has!("avx512vbmi2")
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Scalar
        }
    }

    /// The best level of this processor.
    pub fn best() -> Self {
        Self::Avx512Vbmi.or_available()
    }

    /// This level, or the best one below it that this processor has.
    pub(super) fn or_available(self) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|&level| level <= self && level.available())
            .unwrap_or(Self::Scalar)
    }

    /// Filters `range` of `data`, whose windows may reach beyond it in both directions, and queues the offsets that are
    /// left, relative to the start of the range, which is a multiple of [`CHUNK`].
    #[inline]
    pub(super) fn scan(
        self,
        filter: &Filter,
        key: Key,
        data: &[u8],
        range: Range<usize>,
        queues: &mut Queues,
    ) {
        debug_assert!(range.len() <= CHUNK && self.available());
        // Blocks whose windows and look-ahead lie within the buffer are read where they are; the last few bytes are
        // copied to where zeros follow them.
        let whole = data.len().saturating_sub(BEHIND).min(range.end);
        let blocks = whole.saturating_sub(range.start) / BLOCK;
        let job = Job { filter, key };
        self.run(&job, data, range.start, blocks, 0, queues);
        let done = range.start + blocks * BLOCK;
        if done < range.end {
            let mut text = [0u8; 2 * BLOCK + BEHIND];
            let rest = &data[done..data.len().min(done + text.len())];
            text[..rest.len()].copy_from_slice(rest);
            let left = (range.end - done).div_ceil(BLOCK);
            self.run(&job, &text, 0, left, blocks * BLOCK, queues);
        }
    }

    fn run(
        self,
        job: &Job<'_>,
        text: &[u8],
        start: usize,
        blocks: usize,
        offset: usize,
        queues: &mut Queues,
    ) {
        assert!(
            blocks == 0
                || start + blocks * BLOCK + BEHIND <= text.len()
                    && offset + blocks * BLOCK <= CHUNK + BLOCK
        );
        match self {
            // SAFETY: a level is only ever one that is available (`or_available`), and the assertion above is the
            // condition on the text and the queues that the kernels state.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vbmi => unsafe {
                avx512::scan_vbmi(job, text, start, blocks, offset, queues)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::scan(job, text, start, blocks, offset, queues) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::scan(job, text, start, blocks, offset, queues) },
            _ => scalar::scan(job, text, start, blocks, offset, queues),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vbmi => "avx512-vbmi",
        })
    }
}

/// What to filter by.
struct Job<'a> {
    filter: &'a Filter,
    key: Key,
}

/// Offsets in a chunk that the filter left, per table of the exact stage.
pub(super) struct Queues {
    long: Queue,
    middle: Queue,
    short: Queue,
}

impl Default for Queues {
    fn default() -> Self {
        let queue = || Queue {
            offsets: [0; QUEUE],
            len: 0,
        };
        Self {
            long: queue(),
            middle: queue(),
            short: queue(),
        }
    }
}

impl Queues {
    pub(super) fn clear(&mut self) {
        (self.long.len, self.middle.len, self.short.len) = (0, 0, 0);
    }

    /// Where a window of 7 bytes may stand.
    pub(super) fn long(&self) -> &[u16] {
        self.long.offsets()
    }

    /// Where a window of 4 bytes may stand.
    pub(super) fn middle(&self) -> &[u16] {
        self.middle.offsets()
    }

    /// Where a pair may stand.
    pub(super) fn short(&self) -> &[u16] {
        self.short.offsets()
    }
}

struct Queue {
    offsets: [u16; QUEUE],
    len: usize,
}

impl Queue {
    #[inline(always)]
    fn offsets(&self) -> &[u16] {
        self.offsets.get(..self.len).unwrap_or_default()
    }

    /// Appends `base` plus the number of each bit that is set.
    #[inline(always)]
    fn push(&mut self, base: usize, mut mask: u64) {
        while mask != 0 {
            if let Some(slot) = self.offsets.get_mut(self.len) {
                *slot = (base as u32 + mask.trailing_zeros()) as u16;
                self.len += 1;
            }
            mask &= mask - 1;
        }
    }
}

/// True when every window of the block at `at` equals the one [`REPEAT`] bytes before it, so that it can report nothing new.
///
/// The first such block begins at offset 64, so the windows that it repeats end behind any carry.
#[inline(always)]
fn repeats(text: &[u8], at: usize) -> bool {
    let from = at.wrapping_sub(BEFORE);
    let earlier = from.wrapping_sub(REPEAT);
    let len = BEFORE + BLOCK + BEHIND;
    match (
        text.get(from..from.wrapping_add(len)),
        text.get(earlier..earlier.wrapping_add(len)),
    ) {
        (Some(now), Some(then)) => now == then,
        _ => false,
    }
}
