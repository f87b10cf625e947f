//! The filter without SIMD.

use super::{BLOCK, Job, Queues, repeats};
use crate::matcher::software::hash::{gram_bits, seven_bits, window};

/// Filters `blocks` blocks of `text` from `start` on; what is left is queued relative to `start - offset`.
pub(super) fn scan(
    job: &Job<'_>,
    text: &[u8],
    start: usize,
    blocks: usize,
    offset: usize,
    queues: &mut Queues,
) {
    for block in 0..blocks {
        let at = start + block * BLOCK;
        if repeats(text, at) {
            continue;
        }
        let base = offset + block * BLOCK;
        if let Some(words) = &job.filter.words {
            let (mut long, mut middle) = (0u64, 0u64);
            for step in (0..BLOCK).step_by(2) {
                let text = window(text, at + step);
                let gram = job.key.gram(text);
                let word = words.word(gram);
                if word != 0 {
                    let bits = seven_bits(job.key.seven(gram, text));
                    long |= u64::from(word & bits == bits) << step;
                    let bits = gram_bits(gram);
                    middle |= u64::from(word & bits == bits) << step;
                }
            }
            queues.long.push(base, long);
            queues.middle.push(base, middle);
        }
        if let Some(pairs) = &job.filter.pairs {
            let bitmap = pairs.bitmap();
            let mut short = 0u64;
            for (step, pair) in text[at..=at + BLOCK].array_windows::<2>().enumerate() {
                let number = usize::from(u16::from_le_bytes(*pair));
                short |= u64::from(bitmap[number / 32] >> (number % 32) & 1) << step;
            }
            queues.short.push(base, short);
        }
    }
}
