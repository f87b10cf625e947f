//! The filter stage at each level of SIMD: which offsets of a range could begin a window of a probe.

use std::fmt;

use super::filter::Filter;
use super::hash::Key;
use super::text::{BLOCK, CHUNK, Text};

/// Filters a chunk: the loop over its blocks, which is the same at every level. Each has functions `repeats`, `equal` and
/// `look_up_words` of its own, and names those that differ within it. A macro and not a generic function, because only so are
/// they inlined where their instructions are allowed.
macro_rules! scan {
    ($job:expr, $queues:expr, $triples:ident, $pairs:ident, $push:path) => {
        for number in 0..$job.text.blocks() {
            let block = $job.text.block(number);
            let first = $job.text.is_first(number);
            if !first && repeats(block) {
                continue;
            }
            let (mut long, mut middle, mut short, mut pairs) = (0, 0, 0, 0);
            if let Some(filter) = &$job.filter.words {
                (long, middle) = look_up_words(filter, $job.key, block);
            }
            if let Some(filter) = &$job.filter.triples {
                short = $triples(filter, $job.key, block);
            }
            if let Some(filter) = &$job.filter.pairs {
                pairs = $pairs(filter, block);
            }
            if long | middle | short | pairs == 0 {
                continue;
            }
            let fresh = Fresh::new(equal(block), first);
            let base = number * BLOCK;
            $push(&mut $queues.long, base, long & fresh.wide);
            $push(&mut $queues.middle, base, middle & fresh.wide);
            $push(&mut $queues.short, base, short & fresh.narrow);
            $push(&mut $queues.pairs, base, pairs & fresh.narrow);
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

/// Distance at which a repeated block is recognised: any run, and any period that divides it.
const REPEAT: usize = 24;
/// Distance at which repeats are recognised offset by offset: a period that divides it, and even, so that the earlier
/// offset was sampled, too.
const SHORT_REPEAT: usize = 4;
/// How far windows reach before a sampled offset: a 4-gram stands at most 3 bytes into its probe.
const BACK: usize = 3;
/// How far they reach behind a block: the last sampled offset is 62, a window has 8 bytes, and looking for repeats wants
/// two more.
const AHEAD: usize = 8;

/// Entries of a queue: every offset of a chunk, and what a vector store writes beyond the last.
pub(super) const QUEUE: usize = CHUNK + 2 * BLOCK;

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
                        && has!("popcnt")
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

    /// Filters a chunk, and queues the offsets that are left.
    #[inline]
    pub(super) fn scan(self, filter: &Filter, key: Key, text: &Text, queues: &mut Queues) {
        let job = Job { filter, key, text };
        match self {
            // SAFETY: a level is only ever one that is available (`or_available`).
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vbmi => unsafe { avx512::scan_vbmi(&job, queues) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::scan(&job, queues) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::scan(&job, queues) },
            _ => scalar::scan(&job, queues),
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

/// A block with what surrounds it.
type Block = [u8; 3 * BLOCK];

/// What to filter by.
struct Job<'a> {
    filter: &'a Filter,
    key: Key,
    text: &'a Text,
}

/// Offsets in a chunk that the filter left, per table of the exact stage.
pub(super) struct Queues {
    long: Queue,
    middle: Queue,
    short: Queue,
    pairs: Queue,
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
            pairs: queue(),
        }
    }
}

impl Queues {
    pub(super) fn clear(&mut self) {
        for queue in [
            &mut self.long,
            &mut self.middle,
            &mut self.short,
            &mut self.pairs,
        ] {
            queue.len = 0;
        }
    }

    /// Even offsets where a window of 7 bytes may stand.
    pub(super) fn long(&self) -> &[u16] {
        self.long.offsets()
    }

    /// Even offsets where one of 4 bytes may stand.
    pub(super) fn middle(&self) -> &[u16] {
        self.middle.offsets()
    }

    /// Where three bytes of a probe may stand.
    pub(super) fn short(&self) -> &[u16] {
        self.short.offsets()
    }

    /// Where a probe of two bytes may stand.
    pub(super) fn pairs(&self) -> &[u16] {
        self.pairs.offsets()
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

/// Offsets of a block at which something new can stand: the windows there do not all equal those [`SHORT_REPEAT`] bytes
/// earlier.
struct Fresh {
    /// For literals of 5 bytes and more, which stand from 3 bytes before the offset to 8 behind it.
    wide: u64,
    /// For shorter ones: from 1 before to 5 behind.
    narrow: u64,
}

/// Bytes whose likeness to earlier ones [`Fresh`] wants to know, from [`BACK`] before a block on.
const LIKENESS: usize = BACK + BLOCK + AHEAD;
/// Offsets of the first block of a buffer at which what is repeated may have ended within the carry, or where there is
/// nothing to repeat: all count as new.
const UNSETTLED: u32 = 16;

impl Fresh {
    /// From the bytes that equal those earlier: bit `i` for the byte at `i` less [`BACK`], [`LIKENESS`] of them.
    #[inline(always)]
    fn new(equal: u128, first: bool) -> Self {
        let equal = if first {
            equal & u128::MAX << UNSETTLED
        } else {
            equal
        };
        // Bit i: as many bytes as the name says, from the i-th on, are equal.
        let two = equal & equal >> 1;
        let four = two & two >> 2;
        let six = four & two >> 4;
        let eleven = four & four >> 4 & four >> 7;
        Self {
            wide: !(eleven as u64),
            narrow: !((six >> 2) as u64),
        }
    }
}
