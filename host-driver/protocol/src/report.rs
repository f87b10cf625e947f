//! Report units: what the core answers.
//!
//! A unit is eight words of 64 bits:
//!
//! | word | bits | field |
//! |---|---|---|
//! | 0 | 31..0 | magic, [`MAGIC`] |
//! | 0 | 63..32 | nonce of the session |
//! | 1 to 6 | | items; unused ones are zero and stand last |
//! | 7 | 31..0 | number of the unit since the last reset or flush, from 0, wrapping |
//! | 7 | 63..32 | CRC-32 of the 60 bytes before it |
//!
//! Items:
//!
//! | bits | hit | end of a record |
//! |---|---|---|
//! | 1..0 | [`KIND_HIT`] | [`KIND_END`] |
//! | 7..2 | zero | flags |
//! | 15..8 | zero | hits of the record in this stream, modulo 256 |
//! | 31..16 | end offset in the payload | table generation, echoed |
//! | 51..32 | entry | sequence, echoed (63..32) |
//!
//! A hit belongs to the record whose end is the next one in the stream. An entry may be repeated with a later end. When a flag of
//! [`FLAGS_UNFINISHED`] is set, the host takes no hit of the record and has software look through the buffer.

use core::fmt;

use crate::bytes::u32_at;
use crate::crc32;

/// First four bytes of a unit, `Weir`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"Weir");
/// Bytes of a unit.
pub const UNIT: usize = 64;
/// Items of a unit.
pub const ITEMS: usize = 6;
/// An unused item.
pub const KIND_NONE: u64 = 0;
/// A probe's occurrence.
pub const KIND_HIT: u64 = 1;
/// The end of a record.
pub const KIND_END: u64 = 2;
/// More candidates in a slice than the limit; some were left out.
pub const FLAG_OVERFLOW: u8 = 1;
/// The payload's CRC was wrong.
pub const FLAG_DAMAGED: u8 = 1 << 1;
/// The record's generation is none of the live ones; nothing was looked for.
pub const FLAG_STALE: u8 = 1 << 2;
/// The header's CRC is right, but the length, carry or group is out of bounds; the payload was not read as such.
pub const FLAG_MALFORMED: u8 = 1 << 3;
/// All flags there can be: six bits.
pub const FLAGS: u8 = 0x3F;
/// With any of these the buffer is not finished.
pub const FLAGS_UNFINISHED: u8 = FLAG_OVERFLOW | FLAG_DAMAGED | FLAG_STALE | FLAG_MALFORMED;
/// Entries of hits are below this.
pub const ENTRIES: u32 = 1 << 20;

/// An item of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A probe occurs in the record whose end comes next.
    Hit {
        /// Entry of the exact table, below [`ENTRIES`].
        entry: u32,
        /// Offset in the payload just past the occurrence.
        end: u16,
    },
    /// A record is done.
    End {
        /// `FLAG_*`.
        flags: u8,
        /// Hits of the record in this stream, modulo 256.
        hits: u8,
        /// The record's.
        generation: u16,
        /// The record's.
        sequence: u32,
    },
}

/// A word of a unit that is no item: its kind is unknown, or bits are set that its kind has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemError(
    /// The word.
    pub u64,
);

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "item {:#018x}: expected kind {KIND_NONE}, {KIND_HIT} or {KIND_END} in bits 1..0 and zero in all bits without a meaning",
            self.0
        )
    }
}

impl core::error::Error for ItemError {}

impl Item {
    /// The item's word. Bits of an entry that do not fit are left out.
    pub const fn encode(&self) -> u64 {
        match *self {
            Self::Hit { entry, end } => {
                KIND_HIT | (end as u64) << 16 | ((entry % ENTRIES) as u64) << 32
            }
            Self::End {
                flags,
                hits,
                generation,
                sequence,
            } => {
                KIND_END
                    | ((flags & FLAGS) as u64) << 2
                    | (hits as u64) << 8
                    | (generation as u64) << 16
                    | (sequence as u64) << 32
            }
        }
    }

    /// Reads a word; an unused one is `None`.
    ///
    /// # Errors
    /// When it is no item.
    pub const fn parse(word: u64) -> Result<Option<Self>, ItemError> {
        let item = match word & 3 {
            KIND_NONE if word == 0 => return Ok(None),
            KIND_HIT => Self::Hit {
                entry: (word >> 32) as u32,
                end: (word >> 16) as u16,
            },
            KIND_END => Self::End {
                flags: (word >> 2) as u8 & FLAGS,
                hits: (word >> 8) as u8,
                generation: (word >> 16) as u16,
                sequence: (word >> 32) as u32,
            },
            _ => return Err(ItemError(word)),
        };
        if item.encode() == word {
            Ok(Some(item))
        } else {
            Err(ItemError(word))
        }
    }
}

/// A report unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Nonce of the session.
    pub nonce: u32,
    /// Number since the last reset or flush.
    pub number: u32,
    /// Items; 0 where there is none.
    pub items: [u64; ITEMS],
}

/// Why 64 bytes are no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitError {
    /// Bytes 0..4 are not [`MAGIC`].
    Magic {
        /// What stands there.
        got: u32,
    },
    /// Bytes 4..8 are not the session's nonce.
    Nonce {
        /// What stands there.
        got: u32,
        /// The session's.
        expected: u32,
    },
    /// Bytes 60..64 are not the CRC of those before.
    Crc {
        /// What stands there.
        got: u32,
        /// CRC of the 60 bytes.
        expected: u32,
    },
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, field, got, expected) = match *self {
            Self::Magic { got } => ("0..4", "magic", got, MAGIC),
            Self::Nonce { got, expected } => ("4..8", "nonce", got, expected),
            Self::Crc { got, expected } => ("60..64", "CRC", got, expected),
        };
        write!(
            f,
            "unit bytes {at}: {field} {got:#010x}, expected {expected:#010x}"
        )
    }
}

impl core::error::Error for UnitError {}

impl Unit {
    /// The unit's bytes.
    pub fn encode(&self) -> [u8; UNIT] {
        let mut bytes = [0; UNIT];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC.to_le_bytes());
        put(4, &self.nonce.to_le_bytes());
        for (at, item) in (8..).step_by(8).zip(&self.items) {
            put(at, &item.to_le_bytes());
        }
        put(56, &self.number.to_le_bytes());
        let crc = crc32(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a unit of this session.
    ///
    /// # Errors
    /// The first field that is not right.
    pub fn parse(bytes: &[u8; UNIT], nonce: u32) -> Result<Self, UnitError> {
        let magic = u32_at(bytes, 0);
        if magic != MAGIC {
            return Err(UnitError::Magic { got: magic });
        }
        let got = u32_at(bytes, 4);
        if got != nonce {
            return Err(UnitError::Nonce {
                got,
                expected: nonce,
            });
        }
        let (got, expected) = (u32_at(bytes, 60), crc32(&bytes[..60]));
        if got != expected {
            return Err(UnitError::Crc { got, expected });
        }
        let mut items = [0; ITEMS];
        for (at, item) in (8..).step_by(8).zip(&mut items) {
            *item = u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32;
        }
        Ok(Self {
            nonce,
            number: u32_at(bytes, 56),
            items,
        })
    }
}
