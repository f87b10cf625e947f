//! The filter without SIMD.

use super::{BACK, Fresh, Job, LIKENESS, Queues, REPEAT, SHORT_REPEAT};
use crate::matcher::software::hash::{gram_bits, seven_bits, window};
use crate::matcher::software::text::BLOCK;

/// Filters a chunk.
pub(super) fn scan(job: &Job<'_>, queues: &mut Queues) {
    for number in 0..job.text.blocks() {
        let block = job.text.block(number);
        let first = job.text.is_first(number);
        if !first && repeats(block) {
            continue;
        }
        let fresh = Fresh::new(equal(block), first);
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
        if let Some(triples) = &job.filter.triples {
            let short = (0..BLOCK).fold(0u64, |short, step| {
                let hash = job.key.triple(window(block, BLOCK + step));
                short | u64::from(triples.has(hash)) << step
            });
            queues.short.push(base, short & fresh.narrow);
        }
        if let Some(pairs) = &job.filter.pairs {
            let bitmap = pairs.bitmap();
            let mut found = 0u64;
            let text = &block[BLOCK..=2 * BLOCK];
            for (step, pair) in text.array_windows::<2>().enumerate() {
                let number = usize::from(u16::from_le_bytes(*pair));
                found |= u64::from(bitmap[number / 32] >> (number % 32) & 1) << step;
            }
            queues.pairs.push(base, found & fresh.narrow);
        }
    }
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
fn equal(block: &[u8; 3 * BLOCK]) -> u128 {
    let from = BLOCK - BACK;
    (0..LIKENESS).step_by(8).fold(0, |equal, step| {
        let here = from + step;
        let differs = window(block, here) ^ window(block, here - SHORT_REPEAT);
        // The highest bit of each byte that is zero, exactly (Hacker's Delight, 6-1).
        let low = (differs & LOW) + LOW;
        let zero = !(low | differs | LOW);
        // Gathers the eight bits.
        let bits = (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        equal | u128::from(bits) << step
    })
}

/// All bits of a byte but the highest.
const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
