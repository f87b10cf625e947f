//! Records: what the host sends.
//!
//! | byte | field |
//! |---|---|
//! | 0..4 | magic, [`MAGIC`] |
//! | 4..8 | nonce of the session, as in the core's register |
//! | 8..12 | sequence, the host's to choose; the end of the record echoes it |
//! | 12..14 | length of the payload in bytes, carry included, at most [`MAX_LENGTH`] |
//! | 14 | group, 0 to 63 |
//! | 15 | carry, 0 to 7, at most the length: first bytes of the payload that nothing may end in |
//! | 16..18 | table generation |
//! | 18..24 | zero; not looked at |
//! | 24..28 | CRC-32 of all that follows the header: payload, and zeros up to a whole beat |
//! | 28..32 | CRC-32 of bytes 0..28 |
//!
//! CRC-32 is that of IEEE 802.3 (reflected 0xEDB88320, initial value and final XOR all ones). The CRC of no bytes is 0. With 64 lanes
//! 32 bytes follow even the header of an empty payload.

/// First four bytes of a record, `WeiR`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"WeiR");
/// Bytes of a header.
pub const HEADER: usize = 32;
/// Longest payload in bytes.
pub const MAX_LENGTH: usize = 16_384;
