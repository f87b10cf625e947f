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

use core::fmt;

use crate::bytes::{u16_at, u32_at};
use crate::crc::{Crc32, crc32};

/// First four bytes of a record, `WeiR`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"WeiR");
/// Bytes of a header.
pub const HEADER: usize = 32;
/// Longest payload in bytes.
pub const MAX_LENGTH: usize = 16_384;
/// Groups that a record can have are below this.
pub const GROUPS: u8 = 64;
/// Carries that a record can have are below this.
pub const CARRIES: u8 = 8;

/// What a header says. The fields may be out of bounds, see [`Header::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Nonce of the session.
    pub nonce: u32,
    /// The host's to choose; the end of the record echoes it.
    pub sequence: u32,
    /// Bytes of the payload, carry included; at most [`MAX_LENGTH`].
    pub length: u16,
    /// Below [`GROUPS`].
    pub group: u8,
    /// Below [`CARRIES`], at most `length`.
    pub carry: u8,
    /// Table generation.
    pub generation: u16,
    /// CRC-32 of what follows the header.
    pub payload_crc: u32,
}

/// Why 32 bytes are no good header, or a header cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
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
    /// Bytes 28..32 are not the CRC of those before.
    Crc {
        /// What stands there.
        got: u32,
        /// CRC of the 28 bytes.
        expected: u32,
    },
    /// The length is beyond [`MAX_LENGTH`].
    Length {
        /// The length.
        got: usize,
    },
    /// The group is not below [`GROUPS`].
    Group {
        /// The group.
        got: u8,
    },
    /// The carry is not below [`CARRIES`], or beyond the length.
    Carry {
        /// The carry.
        got: u8,
        /// The payload's length.
        length: usize,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Magic { got } => write!(
                f,
                "header bytes 0..4: magic {got:#010x}, expected {MAGIC:#010x}"
            ),
            Self::Nonce { got, expected } => write!(
                f,
                "header bytes 4..8: nonce {got:#010x}, expected {expected:#010x}"
            ),
            Self::Crc { got, expected } => write!(
                f,
                "header bytes 28..32: CRC {got:#010x}, expected {expected:#010x}"
            ),
            Self::Length { got } => write!(
                f,
                "header bytes 12..14: length {got}, expected at most {MAX_LENGTH}"
            ),
            Self::Group { got } => write!(
                f,
                "header byte 14: group {got}, expected less than {GROUPS}"
            ),
            Self::Carry { got, length } => write!(
                f,
                "header byte 15: carry {got}, expected less than {CARRIES} and at most the length, {length}"
            ),
        }
    }
}

impl core::error::Error for HeaderError {}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC.to_le_bytes());
        put(4, &self.nonce.to_le_bytes());
        put(8, &self.sequence.to_le_bytes());
        put(12, &self.length.to_le_bytes());
        put(14, &[self.group, self.carry]);
        put(16, &self.generation.to_le_bytes());
        put(24, &self.payload_crc.to_le_bytes());
        let crc = crc32(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a good header: magic, nonce and CRC are right. Its fields are as they stand there.
    ///
    /// # Errors
    /// The first field that is not right.
    pub fn parse(bytes: &[u8; HEADER], nonce: u32) -> Result<Self, HeaderError> {
        let magic = u32_at(bytes, 0);
        if magic != MAGIC {
            return Err(HeaderError::Magic { got: magic });
        }
        let got = u32_at(bytes, 4);
        if got != nonce {
            return Err(HeaderError::Nonce {
                got,
                expected: nonce,
            });
        }
        let (got, expected) = (u32_at(bytes, 28), crc32(&bytes[..28]));
        if got != expected {
            return Err(HeaderError::Crc { got, expected });
        }
        Ok(Self {
            nonce,
            sequence: u32_at(bytes, 8),
            length: u16_at(bytes, 12),
            group: bytes[14],
            carry: bytes[15],
            generation: u16_at(bytes, 16),
            payload_crc: u32_at(bytes, 24),
        })
    }

    /// Holds the fields to their bounds.
    ///
    /// # Errors
    /// The first field that is out of bounds: the record is malformed.
    pub fn check(&self) -> Result<(), HeaderError> {
        let length = usize::from(self.length);
        if length > MAX_LENGTH {
            return Err(HeaderError::Length { got: length });
        }
        if self.group >= GROUPS {
            return Err(HeaderError::Group { got: self.group });
        }
        if self.carry >= CARRIES || usize::from(self.carry) > length {
            return Err(HeaderError::Carry {
                got: self.carry,
                length,
            });
        }
        Ok(())
    }
}

/// Bytes of a record with so long a payload (at most [`MAX_LENGTH`]), header and zeros included. `lanes` is 8, 16, 32 or 64.
pub const fn size(length: usize, lanes: usize) -> usize {
    // A header is a whole number of beats of 8, 16 and 32 bytes.
    (HEADER + length).next_multiple_of(lanes)
}

/// Beats of a record.
pub const fn beats(length: usize, lanes: usize) -> usize {
    size(length, lanes) / lanes
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Nonce of the session.
    pub nonce: u32,
    /// The host's to choose.
    pub sequence: u32,
    /// Below [`GROUPS`].
    pub group: u8,
    /// Below [`CARRIES`], at most the payload's length.
    pub carry: u8,
    /// Table generation.
    pub generation: u16,
    /// Carry and buffer; at most [`MAX_LENGTH`] bytes.
    pub payload: &'a [u8],
}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The core would refuse it.
    Malformed(HeaderError),
    /// There is too little room.
    Room {
        /// Bytes there are.
        got: usize,
        /// Bytes of the record.
        expected: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Room { got, expected } => {
                write!(f, "room for {got} bytes, the record has {expected}")
            }
        }
    }
}

impl core::error::Error for WriteError {}

impl Record<'_> {
    /// Bytes that [`Record::write`] needs. `lanes` is 8, 16, 32 or 64.
    pub const fn size(&self, lanes: usize) -> usize {
        size(self.payload.len(), lanes)
    }

    /// Its header, without the payload's CRC.
    ///
    /// # Errors
    ///
    /// When a field is out of bounds.
    pub fn header(&self) -> Result<Header, HeaderError> {
        let length = self.payload.len();
        let header = Header {
            nonce: self.nonce,
            sequence: self.sequence,
            length: u16::try_from(length).map_err(|_| HeaderError::Length { got: length })?,
            group: self.group,
            carry: self.carry,
            generation: self.generation,
            payload_crc: 0,
        };
        header.check()?;
        Ok(header)
    }

    /// Writes header, payload and zeros to the start of `out`; returns how many bytes that are. `lanes` is 8, 16, 32 or 64.
    ///
    /// # Errors
    /// When a field is out of bounds, or there is too little room; nothing is written.
    pub fn write(&self, lanes: usize, out: &mut [u8]) -> Result<usize, WriteError> {
        let mut header = self.header().map_err(WriteError::Malformed)?;
        let length = self.payload.len();
        let (got, expected) = (out.len(), self.size(lanes));
        let room = WriteError::Room { got, expected };
        let out = out.get_mut(..expected).ok_or(room)?;
        let (head, rest) = out.split_at_mut(HEADER);
        let (payload, zeros) = rest.split_at_mut(length);
        payload.copy_from_slice(self.payload);
        zeros.fill(0);
        header.payload_crc = Crc32::new().of(payload).of(zeros).value();
        head.copy_from_slice(&header.encode());
        Ok(expected)
    }
}
