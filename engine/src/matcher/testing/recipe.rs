//! How random cases are put together: out of probes that resemble each other, and buffers made of the probes' remains.

use super::{Ask, Case, Rng};
use crate::matcher::{MAX_PROBE, Probe};

/// What the bytes of a random case are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `a b A B 00 FF`: everything overlaps everything.
    Tiny,
    /// Letters, digits, white space and what stands between words in protocols.
    Text,
    /// All bytes.
    Binary,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tiny, Self::Text, Self::Binary];

    /// The bytes that probes and buffers are made of.
    pub fn alphabet(self) -> &'static [u8] {
        const BINARY: [u8; 256] = {
            let mut bytes = [0; 256];
            let mut at = 0;
            while at < 256 {
                bytes[at] = at as u8;
                at += 1;
            }
            bytes
        };
        match self {
            Self::Tiny => b"abAB\0\xff",
            Self::Text => {
                b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 /.-:=@[`{\r\n"
            }
            Self::Binary => &BINARY,
        }
    }
}

/// How large a random case is: inclusive bounds.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Probes of the table.
    pub probes: (usize, usize),
    /// Buffers submitted.
    pub buffers: (usize, usize),
    /// Bytes of a buffer, carry included.
    pub data: (usize, usize),
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            probes: (0, 24),
            buffers: (1, 4),
            data: (0, 100),
        }
    }
}

/// A probe's literal, perhaps by what an earlier one is. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// These bytes.
    Fresh(Vec<u8>),
    /// `len` bytes of an earlier one.
    Part { of: usize, from: usize, len: usize },
    /// The first `keep` bytes of an earlier one, then `rest`.
    Head {
        of: usize,
        keep: usize,
        rest: Vec<u8>,
    },
    /// `start`, then the last `keep` bytes of an earlier one.
    Tail {
        of: usize,
        keep: usize,
        start: Vec<u8>,
    },
    /// The literal of an earlier one, letters in the other case.
    Twin { of: usize },
    /// `unit` again and again.
    Run { unit: Vec<u8>, len: usize },
}

/// A part of a buffer. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// These bytes.
    Noise(Vec<u8>),
    /// A probe.
    Whole { of: usize },
    /// A probe with the case of the letters flipped where the mask has a bit.
    Flipped { of: usize, mask: usize },
    /// A probe with one byte replaced.
    Near { of: usize, at: usize, by: u8 },
    /// A probe without its first byte, or without its last.
    Cut { of: usize, first: bool },
    /// `unit` again and again.
    Run { unit: Vec<u8>, len: usize },
    /// A stretch of the buffer so far.
    Again { from: usize, len: usize },
}

/// All there is to know of a random case.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// (literal, folded, groups)
    pub probes: Vec<(Form, bool, u64)>,
    pub buffers: Vec<Buffer>,
}

/// A buffer of a [`Recipe`].
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    pub pieces: Vec<Piece>,
    /// Where it is cut off.
    pub limit: usize,
    pub group: u8,
    /// At most this; never more than there are bytes.
    pub carry: u8,
}

fn flip(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        byte ^ 0x20
    } else {
        byte
    }
}

fn repeat(unit: &[u8], len: usize) -> impl Iterator<Item = u8> {
    unit.iter().copied().cycle().take(len)
}

impl Form {
    /// The literal, of 1 to 8 bytes, given those before it.
    fn literal(&self, earlier: &[Probe]) -> Vec<u8> {
        let source = |of: usize| match earlier.len() {
            0 => &b"ab"[..],
            count => earlier[of % count].bytes(),
        };
        let mut literal: Vec<u8> = match self {
            Self::Fresh(bytes) => bytes.clone(),
            Self::Part { of, from, len } => {
                let source = source(*of);
                let from = from % source.len();
                source[from..].iter().copied().take(*len).collect()
            }
            Self::Head { of, keep, rest } => {
                let head = source(*of).iter().take(*keep);
                head.chain(rest).copied().collect()
            }
            Self::Tail { of, keep, start } => {
                let source = source(*of);
                let tail = &source[source.len().saturating_sub(*keep)..];
                let start = &start[..start.len().min(MAX_PROBE - tail.len())];
                [start, tail].concat()
            }
            Self::Twin { of } => source(*of).iter().copied().map(flip).collect(),
            Self::Run { unit, len } => repeat(unit, *len).collect(),
        };
        literal.truncate(MAX_PROBE);
        if literal.is_empty() {
            literal.push(b'a');
        }
        literal
    }
}

impl Piece {
    fn append(&self, probes: &[Probe], data: &mut Vec<u8>) {
        let source = |of: usize| match probes.len() {
            0 => &b"ab"[..],
            count => probes[of % count].bytes(),
        };
        match self {
            Self::Noise(bytes) => data.extend_from_slice(bytes),
            Self::Whole { of } => data.extend_from_slice(source(*of)),
            Self::Flipped { of, mask } => {
                let bytes = source(*of).iter().enumerate();
                data.extend(bytes.map(|(at, &byte)| {
                    if mask >> at & 1 == 1 {
                        flip(byte)
                    } else {
                        byte
                    }
                }));
            }
            Self::Near { of, at, by } => {
                let source = source(*of);
                let at = data.len() + at % source.len();
                data.extend_from_slice(source);
                data[at] = *by;
            }
            Self::Cut { of, first: true } => data.extend_from_slice(&source(*of)[1..]),
            Self::Cut { of, first: false } => {
                let source = source(*of);
                data.extend_from_slice(&source[..source.len() - 1]);
            }
            Self::Run { unit, len } => data.extend(repeat(unit, *len)),
            Self::Again { from, len } => {
                if !data.is_empty() {
                    let from = from % data.len();
                    let to = (from + len).min(data.len());
                    data.extend_from_within(from..to);
                }
            }
        }
    }
}

impl Recipe {
    /// The case, with the definition's answers.
    pub fn case(&self, name: String) -> Case {
        let mut probes: Vec<Probe> = Vec::with_capacity(self.probes.len());
        for (form, folded, groups) in &self.probes {
            let literal = form.literal(&probes);
            probes.extend(Probe::new(&literal, *folded, *groups));
        }
        let asks = self.buffers.iter().map(|buffer| {
            let mut data = Vec::with_capacity(buffer.limit);
            for piece in &buffer.pieces {
                piece.append(&probes, &mut data);
            }
            data.truncate(buffer.limit);
            let carry = buffer.carry.min(data.len().min(MAX_PROBE - 1) as u8);
            Ask::new(&probes, buffer.group, carry, data)
        });
        let asks = asks.collect();
        Case { name, probes, asks }
    }
}

fn form(rng: &mut Rng, alphabet: &[u8], earlier: usize) -> Form {
    let kind = if earlier == 0 { 0 } else { rng.below(8) };
    match kind {
        0..=2 => {
            let len = rng.range(1, MAX_PROBE);
            Form::Fresh(rng.bytes(alphabet, len))
        }
        3 => Form::Part {
            of: rng.below(earlier),
            from: rng.below(MAX_PROBE),
            len: rng.range(1, MAX_PROBE),
        },
        4 => Form::Head {
            of: rng.below(earlier),
            keep: rng.range(1, MAX_PROBE),
            rest: {
                let len = rng.range(1, 4);
                rng.bytes(alphabet, len)
            },
        },
        5 => Form::Tail {
            of: rng.below(earlier),
            keep: rng.range(1, MAX_PROBE),
            start: {
                let len = rng.range(1, 4);
                rng.bytes(alphabet, len)
            },
        },
        6 => Form::Twin {
            of: rng.below(earlier),
        },
        _ => {
            let period = rng.range(1, 3);
            Form::Run {
                unit: rng.bytes(alphabet, period),
                len: rng.range(1, MAX_PROBE),
            }
        }
    }
}

fn piece(rng: &mut Rng, alphabet: &[u8], probes: usize) -> Piece {
    let of = rng.below(probes);
    match rng.below(8) {
        0 | 1 => {
            let len = rng.range(1, 12);
            Piece::Noise(rng.bytes(alphabet, len))
        }
        2 => Piece::Whole { of },
        3 => Piece::Flipped {
            of,
            mask: rng.below(256),
        },
        4 => Piece::Near {
            of,
            at: rng.below(MAX_PROBE),
            by: *rng.pick(alphabet),
        },
        5 => Piece::Cut {
            of,
            first: rng.one_in(2),
        },
        6 => {
            let period = rng.range(1, 3);
            Piece::Run {
                unit: rng.bytes(alphabet, period),
                len: rng.range(1, 24),
            }
        }
        _ => Piece::Again {
            from: rng.below(1 << 16),
            len: rng.range(1, 32),
        },
    }
}

/// One random case: the same seed, shape and sizes always give the same.
pub fn random_case(seed: u64, shape: Shape, sizes: &Sizes) -> Case {
    let rng = &mut Rng::new(seed);
    let alphabet = shape.alphabet();
    let count = rng.range(sizes.probes.0, sizes.probes.1);
    let probes = (0..count).map(|earlier| {
        let form = form(rng, alphabet, earlier);
        let folded = rng.one_in(2);
        let groups = match rng.below(6) {
            0 => u64::MAX,
            1 => rng.draw(),
            _ => rng.below(8) as u64,
        };
        (form, folded, groups)
    });
    let probes = probes.collect();
    let buffers = rng.range(sizes.buffers.0, sizes.buffers.1);
    let buffers = (0..buffers).map(|_| {
        let limit = rng.range(sizes.data.0, sizes.data.1);
        let mut pieces = Vec::new();
        // Most pieces are longer than four bytes; what is too much is cut off, and what is missing is noise.
        for _ in 0..limit / 4 {
            pieces.push(piece(rng, alphabet, count));
        }
        pieces.push(Piece::Noise(rng.bytes(alphabet, limit % 4)));
        let group = match rng.below(4) {
            0 => rng.below(64),
            _ => rng.below(3),
        };
        Buffer {
            pieces,
            limit,
            group: group as u8,
            carry: if rng.one_in(2) { 0 } else { rng.below(8) as u8 },
        }
    });
    let buffers = buffers.collect();
    Recipe { probes, buffers }.case(format!("random {shape:?} {seed}"))
}

/// `count` random cases of all shapes; the same seed always gives the same.
pub fn random_cases(seed: u64, count: u64) -> impl Iterator<Item = Case> {
    (0..count).map(move |number| {
        let shape = Shape::ALL[(number % 3) as usize];
        let seed = Rng::new(seed.wrapping_add(number)).draw();
        random_case(seed, shape, &Sizes::default())
    })
}
