//! The keyed hash.

use std::hash::{BuildHasher, RandomState};

use card_protocol::register::table;

use crate::Write;

/// Rows of a hash: eight for the bits of a byte, and the constant.
const ROWS: usize = 9;
/// Bits by which a byte's hash is rotated for each byte that follows it.
const ROTATE: u32 = 9;

/// The secret key: two matrices. Whoever does not know it cannot make text that passes the filter but is no probe.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    rows: [[u32; ROWS]; 2],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

impl Key {
    /// A key that is all these rows: `rows[k][i]` as in [`table::KEY`].
    pub fn new(rows: [[u32; ROWS]; 2]) -> Self {
        Self { rows }
    }

    /// A key of the operating system's randomness.
    pub fn random() -> Self {
        // SipHash under keys that the system drew: as many independent words as are asked for.
        let system = RandomState::new();
        Self::draw(|at| system.hash_one(at))
    }

    /// The key that belongs to a seed: for tests and measurements, since 64 bits can be tried out.
    pub fn from_seed(seed: u64) -> Self {
        // SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
        Self::draw(|at| {
            let mut bits = seed.wrapping_add((at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            bits ^ bits >> 31
        })
    }

    fn draw(word: impl Fn(u64) -> u64) -> Self {
        let mut at = 0;
        let mut next = || {
            at += 1;
            (word(at) >> 32) as u32
        };
        Self {
            rows: std::array::from_fn(|_| std::array::from_fn(|_| next())),
        }
    }

    /// The rows, as in [`table::KEY`].
    pub fn rows(&self) -> &[[u32; ROWS]; 2] {
        &self.rows
    }

    /// The table writes that load it.
    pub fn writes(&self) -> impl Iterator<Item = Write> + '_ {
        (0..).step_by(16).zip(&self.rows).flat_map(|(base, rows)| {
            (base..).zip(rows).map(|(address, &data)| Write {
                select: table::KEY,
                address,
                data,
            })
        })
    }

    /// Sets the word of [`table::KEY`] at `address`; false when there is none.
    pub(crate) fn set(&mut self, address: u32, data: u32) -> bool {
        let (hash, row) = (address as usize / 16, address as usize % 16);
        match self.rows.get_mut(hash).and_then(|rows| rows.get_mut(row)) {
            Some(place) => {
                *place = data;
                true
            }
            None => false,
        }
    }
}

/// The hashes under a key, byte by byte out of tables.
#[derive(Clone)]
pub struct Hash {
    /// `bytes[k][b]` is `t_k(b)`.
    bytes: [Box<[u32; 256]>; 2],
    /// What the lower and the upper half of a folded byte add to its `t_0`.
    halves: [[u32; 16]; 2],
}

impl Hash {
    /// The hashes under this key.
    pub fn new(key: &Key) -> Self {
        Self {
            bytes: key.rows.each_ref().map(|rows| {
                Box::new(std::array::from_fn(|byte| {
                    let folded = (byte as u8).to_ascii_lowercase();
                    (0..8)
                        .filter(|bit| folded >> bit & 1 == 1)
                        .fold(rows[8], |hash, bit| hash ^ rows[bit])
                }))
            }),
            halves: [(key.rows[0][8], 0), (0, 4)].map(|(constant, first)| {
                std::array::from_fn(|half| {
                    (0..4)
                        .filter(|bit| half >> bit & 1 == 1)
                        .fold(constant, |hash, bit| hash ^ key.rows[0][first + bit])
                })
            }),
        }
    }

    /// What the lower and the upper half of a folded byte add to its `t_0`.
    #[inline]
    pub(crate) fn halves(&self) -> &[[u32; 16]; 2] {
        &self.halves
    }

    /// `t_0` and `t_1` of all bytes.
    #[inline(always)]
    pub(crate) fn tables(&self) -> &[Box<[u32; 256]>; 2] {
        &self.bytes
    }

    /// `h_k` of the window that is all of `window`, for both `k`.
    #[inline]
    pub fn of(&self, window: &[u8]) -> [u32; 2] {
        self.bytes.each_ref().map(|table| {
            window
                .iter()
                .fold(0, |hash, &byte| longer(hash, table[usize::from(byte)]))
        })
    }
}

/// The hash of a window that is one byte longer at its end; `byte` is that byte's `t`.
///
/// With each byte that follows, every byte's hash is rotated once more, so that `h(n, e)` comes from `h(n - 1, e - 1)`.
#[inline(always)]
pub(crate) fn longer(hash: u32, byte: u32) -> u32 {
    hash.rotate_left(ROTATE) ^ byte
}

/// The two bits of a filter word that a window's hash asks for.
#[inline(always)]
pub(crate) fn bits(hash: u32) -> u32 {
    1 << (hash >> 14 & 31) | 1 << (hash >> 19 & 31)
}
