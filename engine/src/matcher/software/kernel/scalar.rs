//! The filter without SIMD.

use super::{AHEAD, BACK, Block, Fresh, Job, LIKENESS, Queue, Queues, REPEAT, SHORT_REPEAT};
use crate::matcher::software::filter::{Pairs, Triples, Words};
use crate::matcher::software::hash::{Key, gram_bits, seven_bits, window};
use crate::matcher::software::text::BLOCK;

/// Filters a chunk.
pub(super) fn scan(job: &Job<'_>, queues: &mut Queues) {
    scan!(job, queues, look_up_triples, look_up_pairs, Queue::push);
}

/// Even offsets of the block where a window of 7 bytes may stand, and one of 4.
fn look_up_words(words: &Words, key: Key, block: &Block) -> (u64, u64) {
    let (mut long, mut middle) = (0u64, 0u64);
    for step in (0..BLOCK).step_by(2) {
        let text = window(block, BLOCK + step);
        let gram = key.gram(text);
        let word = words.word(gram);
        if word != 0 {
            let bits = seven_bits(key.seven(gram, text));
            long |= u64::from(word & bits == bits) << step;
            let bits = gram_bits(gram);
            middle |= u64::from(word & bits == bits) << step;
        }
    }
    (long, middle)
}

/// Offsets of the block where three bytes of a probe may stand.
fn look_up_triples(triples: &Triples, key: Key, block: &Block) -> u64 {
    (0..BLOCK).fold(0, |found, step| {
        let hash = key.triple(window(block, BLOCK + step));
        found | u64::from(triples.has(hash)) << step
    })
}

/// Offsets of the block where a probe of two bytes may stand.
fn look_up_pairs(pairs: &Pairs, block: &Block) -> u64 {
    let bitmap = pairs.bitmap();
    let text = block[BLOCK..=2 * BLOCK].array_windows::<2>().enumerate();
    text.fold(0, |found, (step, pair)| {
        let number = usize::from(u16::from_le_bytes(*pair));
        found | u64::from(bitmap[number / 32] >> (number % 32) & 1) << step
    })
}

/// True when every window of the block equals the one [`REPEAT`] bytes before it, so that it can report nothing new.
///
/// No such block is the first of a buffer, so the windows that it repeats end behind any carry.
#[inline(always)]
pub(super) fn repeats(block: &Block) -> bool {
    let (from, to) = (BLOCK - BACK, 2 * BLOCK + AHEAD);
    block[from..to] == block[from - REPEAT..to - REPEAT]
}

/// Bit `i`: the byte at `i` less [`BACK`] of the block equals the one [`SHORT_REPEAT`] before it.
fn equal(block: &Block) -> u128 {
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
