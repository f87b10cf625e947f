//! Ways to send the same bytes so that who looks from beside sees something else.

use crate::wire::{FIN, RST, SYN, Segment};

/// A small generator of numbers (xorshift), so that a failure repeats.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % most.max(1)
    }
}

/// A stream in segments that are cut at these places.
pub fn cut(stream: &[u8], places: &[usize]) -> Vec<Segment> {
    let mut places: Vec<usize> = places.iter().map(|&at| at.min(stream.len())).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.dedup();
    places
        .windows(2)
        .map(|pair| Segment::data(pair[0], &stream[pair[0]..pair[1]]))
        .collect()
}

/// A stream in segments of so many bytes.
pub fn pieces(stream: &[u8], size: usize) -> Vec<Segment> {
    let places: Vec<usize> = (0..stream.len()).step_by(size).collect();
    cut(stream, &places)
}

/// Bytes that are not the attack, of the same length.
pub fn noise(length: usize) -> Vec<u8> {
    b"nothing to see here "
        .iter()
        .copied()
        .cycle()
        .take(length)
        .collect()
}

pub fn shuffle<T>(items: &mut [T], dice: &mut Dice) {
    for at in (1..items.len()).rev() {
        items.swap(at, dice.below(at + 1));
    }
}

/// Segments that every receiver throws away, whatever they carry, each with what is wrong with it. They claim the place
/// of the stream's bytes at `offset`.
pub fn decoys(offset: usize, length: usize) -> Vec<(&'static str, Segment)> {
    let base = Segment::data(offset, &noise(length));
    vec![
        (
            "a wrong checksum",
            Segment {
                bad_checksum: true,
                ..base.clone()
            },
        ),
        (
            "a wrong checksum, and an end",
            Segment {
                bad_checksum: true,
                flags: base.flags | FIN,
                ..base.clone()
            },
        ),
        (
            "an acknowledgement of what was never sent",
            Segment {
                ack: base.ack.wrapping_add(1 << 30),
                ..base.clone()
            },
        ),
        (
            "no acknowledgement",
            Segment {
                flags: 0,
                ..base.clone()
            },
        ),
        (
            "a reset that no receiver believes",
            Segment {
                flags: RST,
                seq: base.seq.wrapping_add(1 << 20),
                data: Vec::new(),
                ..base.clone()
            },
        ),
        (
            "an end far ahead",
            Segment {
                flags: base.flags | FIN,
                seq: base.seq.wrapping_add(1 << 20),
                data: Vec::new(),
                ..base.clone()
            },
        ),
        (
            "a beginning in the middle",
            Segment {
                flags: SYN,
                data: Vec::new(),
                ..base
            },
        ),
    ]
}
