//! The filter without SIMD.

use super::{BACK, Candidates, Fresh, Job, Queues, REPEAT, SHORT_REPEAT};
use crate::matcher::software::exact::Exact;
use crate::matcher::software::hash::{gram_bits, seven_bits, window};
use crate::matcher::software::text::{BLOCK, Text};

/// Filters a chunk.
pub(super) fn scan(job: &Job<'_>, queues: &mut Queues) {
    for number in 0..job.text.blocks() {
        let block = job.text.block(number);
        let first = job.text.is_first(number);
        if !first && repeats(block) {
            continue;
        }
        let fresh = Fresh::new(if first { 0 } else { equal(block) });
        let base = number * BLOCK;
        if let Some(words) = &job.filter.words {
            let (mut long, mut middle) = (0u64, 0u64);
            for step in (0..BLOCK).step_by(2) {
                let text = window(block, BLOCK + step);
                let gram = job.key.gram(text);
                let word = words.word(gram);
                if word != 0 {
                    let bits = seven_bits(job.key.seven(gram, text));
                    long |= u64::from(word & bits == bits) << step;
                    let bits = gram_bits(gram);
                    middle |= u64::from(word & bits == bits) << step;
                }
            }
            queues.long.push(base, long & fresh.wide);
            queues.middle.push(base, middle & fresh.wide);
        }
        if let Some(filter) = &job.filter.odd {
            let odd = (1..BLOCK).step_by(2).fold(0u64, |odd, step| {
                let gram = job.key.gram(window(block, BLOCK + step));
                odd | u64::from(filter.has(gram)) << step
            });
            queues.odd.push(base, odd & fresh.wide);
        }
        if let Some(pairs) = &job.filter.pairs {
            let bitmap = pairs.bitmap();
            let mut short = 0u64;
            let text = &block[BLOCK..=2 * BLOCK];
            for (step, pair) in text.array_windows::<2>().enumerate() {
                let number = usize::from(u16::from_le_bytes(*pair));
                short |= u64::from(bitmap[number / 32] >> (number % 32) & 1) << step;
            }
            queues.short.push(base, short & fresh.narrow);
        }
    }
}

/// Finds the queued offsets where a window may stand, there or a byte earlier; returns how many there are.
pub(super) fn sift<const WIDTH: usize>(
    exact: &Exact,
    text: &Text,
    queue: &[u16],
    left: &mut Candidates,
) -> usize {
    let mut len = 0;
    for &offset in queue {
        let here = u32::from(offset);
        let mut push = |at: u32| {
            // Written always, and counted if a window may stand: a branch would be mispredicted.
            if let Some(slot) = left.offsets.get_mut(len) {
                *slot = at;
                len += exact.may_stand(text.window(at as i32 as usize), WIDTH) as usize;
            }
        };
        // A probe of 4 bytes and a pair are sampled where they are filed.
        if WIDTH != 2 && WIDTH != 4 {
            push(here.wrapping_sub(1));
        }
        push(here);
    }
    len
}

/// True when every window of the block equals the one [`REPEAT`] bytes before it, so that it can report nothing new.
///
/// No such block is the first of a buffer, so the windows that it repeats end behind any carry.
#[inline(always)]
pub(super) fn repeats(block: &[u8; 3 * BLOCK]) -> bool {
    let (from, to) = (BLOCK - BACK, 2 * BLOCK + super::AHEAD);
    block[from..to] == block[from - REPEAT..to - REPEAT]
}

/// Bit `i`: the byte at `i` less [`BACK`] of the block equals the one [`SHORT_REPEAT`] before it.
fn equal(block: &[u8; 3 * BLOCK]) -> u64 {
    let from = BLOCK - BACK;
    let mut equal = 0;
    for step in 0..8 {
        let here = from + 8 * step;
        let differs = window(block, here) ^ window(block, here - SHORT_REPEAT);
        // The highest bit of each byte that is zero, exactly (Hacker's Delight, 6-1).
        let low = (differs & LOW) + LOW;
        let zero = !(low | differs | LOW);
        // Gathers the eight bits.
        equal |= ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * step);
    }
    equal
}

/// All bits of a byte but the highest.
const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
