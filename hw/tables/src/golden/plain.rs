//! Memories A and repetitions of a block on any processor.

use super::scan::{BEFORE, BLOCK, LONGEST, PERIODS, Text, has};
use crate::filter::{CLASSES, Filters};
use crate::key::Hash;

/// What the kernel needs of a key and filters.
pub(super) struct Plain<'a> {
    bytes: &'a [u32; 256],
    single: &'a [u8; 256],
    memories: [&'a [u32]; CLASSES.len()],
}

impl<'a> Plain<'a> {
    #[inline]
    pub(super) fn new(hash: &'a Hash, filters: &'a Filters) -> Self {
        Self {
            bytes: &hash.tables()[0],
            single: filters.single(),
            memories: filters.first_memories(),
        }
    }

    /// As [`super::scan::First::block`].
    pub(super) fn block(&self, text: &Text, may_repeat: u64, pass: &mut [u8; BLOCK]) -> u64 {
        self.memories(text, pass);
        let mut ends = 0;
        for (at, &lengths) in pass.iter().enumerate() {
            ends |= u64::from(lengths != 0) << at;
        }
        let mut asked = ends & may_repeat;
        while asked != 0 {
            let at = asked.trailing_zeros() as usize;
            asked &= asked - 1;
            ends &= !(u64::from(repeated(text, at)) << at);
        }
        ends
    }

    fn memories(&self, text: &Text, pass: &mut [u8; BLOCK]) {
        // Of the block, and of the bytes before it that its first windows have.
        let mut bytes = [0u32; LONGEST + BLOCK];
        for (to, &byte) in bytes.iter_mut().zip(&text[BEFORE - LONGEST..]) {
            *to = self.bytes[usize::from(byte)];
        }
        for (pass, &byte) in pass.iter_mut().zip(&text[BEFORE..]) {
            *pass = self.single[usize::from(byte)];
        }
        // A window that is one byte longer has that byte's own hash more, rotated by what follows it.
        let mut hashes = [[0u32; BLOCK]; LONGEST + 1];
        for n in 1..=LONGEST {
            let (shorter, this) = hashes.split_at_mut(n);
            let rotation = 9 * (n as u32 - 1) % 32;
            let front = &bytes[LONGEST + 1 - n..][..BLOCK];
            for ((to, &shorter), &byte) in this[0].iter_mut().zip(&shorter[n - 1]).zip(front) {
                *to = shorter ^ byte.rotate_left(rotation);
            }
        }
        for (class, memory) in CLASSES.iter().zip(self.memories) {
            let Some(last) = memory.len().checked_sub(1) else {
                continue;
            };
            for &n in class.lengths {
                let windows = hashes[class.window].iter().zip(&hashes[n]);
                for (pass, (&window, &whole)) in pass.iter_mut().zip(windows) {
                    let word = memory[window as usize & last];
                    *pass |= u8::from(has(word, whole)) << (n - 1);
                }
            }
        }
    }
}

/// True when the eight bytes up to this end also stand a period before.
#[inline]
fn repeated(text: &Text, at: usize) -> bool {
    let window = |period: usize| {
        let from = BEFORE + 1 - LONGEST + at - period;
        text.get(from..).and_then(<[u8]>::first_chunk::<LONGEST>)
    };
    let this = window(0);
    PERIODS.iter().any(|&period| window(period) == this)
}
