//! What the engine says of its channels.
//!
//! Addresses on the control BAR are target (15..12), channel (11..8), offset (7..0) (PG195, "Register Space").

use std::fmt;

use crate::error::Error;
use crate::registers::Registers;

/// Which way a channel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Host to card, target 0.
    HostToCard,
    /// Card to host, target 1.
    CardToHost,
}

impl Direction {
    /// Number of its registers' target.
    fn target(self) -> u32 {
        match self {
            Self::HostToCard => 0,
            Self::CardToHost => 1,
        }
    }

    /// As in names of nodes.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostToCard => "h2c",
            Self::CardToHost => "c2h",
        }
    }
}

/// What the design sees of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Addresses (AXI4).
    Memory,
    /// A stream (AXI4-Stream).
    Stream,
}

/// A channel as the engine's registers describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Which way it goes.
    pub direction: Direction,
    /// Its number.
    pub number: u8,
    /// What the design sees.
    pub interface: Interface,
    /// Version of the engine, as it stands there: 6 for Vivado 2018.3 and later.
    pub version: u8,
    /// Bits of an address.
    pub address_bits: u8,
    /// Transfers are a multiple of so many bytes long.
    pub granularity: u8,
    /// Addresses and buffers are a multiple of so many bytes.
    pub address_alignment: u8,
    /// Status register: bit 0 is set while it is at work, bits 9 and up are errors.
    pub status: u32,
    /// Descriptors completed since it was started last.
    pub completed: u32,
}

/// Offset of the identifier.
const IDENTIFIER: u32 = 0x00;
/// Offset of the status, not cleared by reading.
const STATUS: u32 = 0x40;
/// Offset of the count of completed descriptors.
const COMPLETED: u32 = 0x48;
/// Offset of the alignments.
const ALIGNMENTS: u32 = 0x4C;
/// Upper twelve bits of all identifiers.
const FAMILY: u32 = 0x1FC;

/// Byte offset of a register on the control BAR.
pub(crate) fn address(direction: Direction, channel: u8, offset: u32) -> u32 {
    direction.target() << 12 | u32::from(channel & 0xF) << 8 | offset
}

impl Channel {
    /// Reads what the engine says of a channel.
    ///
    /// # Errors
    ///
    /// When there is no such channel, or the registers cannot be read.
    pub fn read(control: &mut Registers, direction: Direction, number: u8) -> Result<Self, Error> {
        let at = |offset| address(direction, number, offset);
        let identifier = control.read(at(IDENTIFIER))?;
        let is = [
            identifier >> 20,
            identifier >> 16 & 0xF,
            identifier >> 8 & 0xF,
        ];
        if number > 0xF || is != [FAMILY, direction.target(), number.into()] {
            return Err(Error::Identity {
                path: control.path().to_owned(),
                address: at(IDENTIFIER),
                got: identifier,
            });
        }
        let [address_bits, granularity, address_alignment, _] =
            control.read(at(ALIGNMENTS))?.to_le_bytes();
        Ok(Self {
            direction,
            number,
            interface: if identifier >> 15 & 1 == 1 {
                Interface::Stream
            } else {
                Interface::Memory
            },
            version: identifier as u8,
            address_bits,
            granularity,
            address_alignment,
            status: control.read(at(STATUS))?,
            completed: control.read(at(COMPLETED))?,
        })
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = match self.interface {
            Interface::Memory => "memory",
            Interface::Stream => "stream",
        };
        write!(
            f,
            "{}_{}: {interface}, version {}, {} address bits, granularity {}, alignment {}, status {:#x}, {} descriptors completed",
            self.direction.name(),
            self.number,
            self.version,
            self.address_bits,
            self.granularity,
            self.address_alignment,
            self.status,
            self.completed
        )
    }
}
