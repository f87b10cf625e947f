//! The filter over a payload: which lengths pass at which ends.
//!
//! Hash 0 of all lengths is had for a block of ends at a time, each length from the one before; memories A (hash 0) leave
//! few ends, and only for those hash 1 and memories B are looked at.

use crate::filter::{CLASSES, Filters};
use crate::key::{Hash, longer};

/// Ends of a block.
pub(super) const BLOCK: usize = 64;
/// Longest length.
pub(super) const LONGEST: usize = 8;
/// Periods of repetition that are left out: every period up to 16 has a multiple among them.
const PERIODS: [usize; 9] = [1, 9, 10, 11, 12, 13, 14, 15, 16];
/// Ends up to here are never repeated: a window and one 16 bytes before it have no room.
const FIRST_REPEATED: usize = 24;

/// Hash 0 of every length at the ends of a block; place 0 of each is that of the last end of the block before.
type Hashes = [[u32; BLOCK + 1]; LONGEST + 1];

/// Calls `on(end, lengths)` for each end whose lengths pass, in order: bit `n - 1` is set when the last `n` bytes pass. Ends at most `carry`, lengths that reach
/// beyond the start and repeated ends are left out. Stops when `on` says false.
#[inline]
pub(crate) fn scan(
    hash: &Hash,
    filters: &Filters,
    payload: &[u8],
    carry: usize,
    on: &mut impl FnMut(usize, u8) -> bool,
) {
    let mut pass = [0u8; BLOCK];
    let mut first = First::new(hash, filters);
    for (start, block) in (0..).step_by(BLOCK).zip(payload.chunks(BLOCK)) {
        first.block(block, &mut pass);
        let mut passing = 0u64;
        for (at, &lengths) in pass.iter().enumerate() {
            passing |= u64::from(lengths != 0) << at;
        }
        if block.len() < BLOCK {
            passing &= (1 << block.len()) - 1;
        }
        while passing != 0 {
            let at = passing.trailing_zeros() as usize;
            passing &= passing - 1;
            let lengths = pass[at];
            let end = start + at + 1;
            if end <= carry {
                continue;
            }
            let lengths = if end < LONGEST {
                lengths & ((1 << end) - 1)
            } else {
                lengths
            };
            // Runs are common where nothing else passes: they go first.
            if repeated(payload, end) {
                continue;
            }
            let lengths = second_memories(hash, filters, payload, end, lengths);
            if lengths != 0 && !on(end, lengths) {
                return;
            }
        }
    }
}

/// Memories A, by what this processor has.
#[expect(clippy::large_enum_variant, reason = "one at a time, and never moved")]
enum First<'a> {
    #[cfg(target_arch = "x86_64")]
    Wide(super::wide::Wide<'a>),
    Plain {
        hash: &'a Hash,
        filters: &'a Filters,
        hashes: Hashes,
    },
}

impl<'a> First<'a> {
    fn new(hash: &'a Hash, filters: &'a Filters) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = super::wide::Wide::new(hash, filters) {
            return Self::Wide(wide);
        }
        Self::plain(hash, filters)
    }

    fn plain(hash: &'a Hash, filters: &'a Filters) -> Self {
        Self::Plain {
            hash,
            filters,
            hashes: [[0; BLOCK + 1]; LONGEST + 1],
        }
    }

    fn block(&mut self, block: &[u8], pass: &mut [u8; BLOCK]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.block(block, pass),
            Self::Plain {
                hash,
                filters,
                hashes,
            } => {
                first_hash(hash, block, hashes);
                first_memories(filters, block, hashes, pass);
            }
        }
    }
}

fn first_hash(hash: &Hash, block: &[u8], hashes: &mut Hashes) {
    let [table, _] = hash.tables();
    for row in hashes.iter_mut() {
        row[0] = row[BLOCK];
    }
    for (to, &byte) in hashes[1][1..].iter_mut().zip(block) {
        *to = table[usize::from(byte)];
    }
    // The hash of the last byte alone is its `t`.
    let bytes = hashes[1];
    for n in 2..=LONGEST {
        let (shorter, this) = hashes.split_at_mut(n);
        let (Some(shorter), Some(this)) = (shorter.last(), this.first_mut()) else {
            return;
        };
        for ((to, &shorter), &byte) in this[1..].iter_mut().zip(&shorter[..BLOCK]).zip(&bytes[1..])
        {
            *to = longer(shorter, byte);
        }
    }
}

/// True when the word has both bits that the hash asks for.
#[inline(always)]
fn has(word: u32, hash: u32) -> bool {
    word >> (hash >> 14 & 31) & word >> (hash >> 19 & 31) & 1 == 1
}

fn first_memories(filters: &Filters, block: &[u8], hashes: &Hashes, pass: &mut [u8; BLOCK]) {
    for (pass, &byte) in pass.iter_mut().zip(block) {
        *pass = filters.single()[usize::from(byte)];
    }
    for class in &CLASSES {
        let memory = class
            .selects
            .first()
            .map_or(&[][..], |&select| filters.words(select));
        let Some(last) = memory.len().checked_sub(1) else {
            continue;
        };
        let window = &hashes[class.window][1..];
        for &n in class.lengths {
            let whole = &hashes[n][1..];
            for ((pass, &window), &whole) in
                pass.iter_mut().zip(window).zip(whole).take(block.len())
            {
                let word = memory[window as usize & last];
                *pass |= u8::from(has(word, whole)) << (n - 1);
            }
        }
    }
}

/// The lengths that pass memories B, too.
fn second_memories(hash: &Hash, filters: &Filters, payload: &[u8], end: usize, lengths: u8) -> u8 {
    const WITH_SECOND: u8 = 0b1111_1000;
    if lengths & WITH_SECOND == 0 {
        return lengths;
    }
    let [_, table] = hash.tables();
    let mut left = lengths & !WITH_SECOND;
    // The hashes of the last 1 to 8 bytes: a byte more in front is its own hash, rotated by what follows it.
    let mut of = [0u32; LONGEST + 1];
    let text = payload.get(end.saturating_sub(LONGEST)..end);
    for (n, &byte) in (1..).zip(text.unwrap_or_default().iter().rev()) {
        of[n] = of[n - 1] ^ table[usize::from(byte)].rotate_left(9 * (n as u32 - 1) % 32);
    }
    for class in &CLASSES {
        let &[_, select] = class.selects else {
            continue;
        };
        let memory = filters.words(select);
        let Some(word) = memory.get(of[class.window] as usize & memory.len().wrapping_sub(1))
        else {
            continue;
        };
        for &n in class.lengths {
            left |= u8::from(has(*word, of[n])) << (n - 1) & lengths;
        }
    }
    left
}

/// True when the eight bytes up to `end` also stand a period before.
#[inline]
fn repeated(payload: &[u8], end: usize) -> bool {
    if end <= FIRST_REPEATED {
        return false;
    }
    // Eight bytes, and up to sixteen before them.
    let Some(text) = payload.get(..end).and_then(<[u8]>::last_chunk::<24>) else {
        return false;
    };
    let window = |start: usize| text.get(start..).and_then(<[u8]>::first_chunk::<8>);
    let this = window(16);
    PERIODS.iter().any(|&period| window(16 - period) == this)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, Key, Size, Write};

    /// Both ways through memories A say the same, whatever stands in them.
    #[test]
    fn wide_and_plain() {
        let mut state = 1u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        for round in 0..20 {
            let size = if round % 2 == 0 {
                Size::Compact
            } else {
                Size::Full
            };
            let key = Key::from_seed(round);
            let hash = Hash::new(&key);
            let mut filters = Filters::new(&Geometry::new(8, size));
            for Write {
                select, address, ..
            } in filters.writes(None)
            {
                assert!(filters.set(select, address, draw() | draw()));
            }
            let text: Vec<u8> = (0..round * 37).map(|_| draw() as u8).collect();
            let (mut best, mut plain) =
                (First::new(&hash, &filters), First::plain(&hash, &filters));
            for block in text.chunks(BLOCK) {
                let (mut a, mut b) = ([0; BLOCK], [0; BLOCK]);
                best.block(block, &mut a);
                plain.block(block, &mut b);
                assert_eq!(a[..block.len()], b[..block.len()]);
                assert!(a[..block.len()].iter().any(|&lengths| lengths != 0));
            }
        }
    }
}
