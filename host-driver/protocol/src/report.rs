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
/// With any of these the buffer is not finished.
pub const FLAGS_UNFINISHED: u8 = FLAG_OVERFLOW | FLAG_DAMAGED | FLAG_STALE | FLAG_MALFORMED;
