//! How a host without PCIe reaches the core: a serial line that carries register accesses and both streams.
//!
//! Both directions speak in frames of [`FRAME`] bytes, each byte as 8N1, least significant bit first:
//!
//! | byte | field |
//! |---|---|
//! | 0 | [`SYNC`] |
//! | 1 | kind |
//! | 2..10 | what the kind says |
//! | 10..12 | CRC-16/X-25 of bytes 0..10 (reflected 0x1021, initial value and final XOR all ones) |
//!
//! | kind | from | bytes 2..10 |
//! |---|---|---|
//! | [`KIND_WRITE`] | host | data (32 bits), address (16), zero (16): writes a register |
//! | [`KIND_READ`] | host | zero (32), address (16), zero (16): reads one |
//! | [`KIND_BEAT`] | host | eight bytes of the stream of records |
//! | [`KIND_RESET`] | host | anything: resets core and bridge; what is queued is dropped |
//! | [`KIND_STATUS`] | board | bytes skipped (32), frames done (16), frames lost (16) |
//! | [`KIND_VALUE`] | board | the register's value (32), frames done (16), frames lost (16) |
//! | [`KIND_WORD`] | board | eight bytes of the stream of reports |
//!
//! Frames of the host are done in their order, and counted when they are. The board takes [`QUEUE`] of them ahead: a host that never
//! has more than that unconfirmed loses none, whatever the core does. A frame of an unknown kind, or one too many, is counted as lost. A byte
//! that no good frame begins with is skipped and counted; the next good frame is taken wherever it begins. Counts
//! are modulo their width. A reset sets those of frames to zero, and the board reports it by a status; it then takes frames again.

mod bridge;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use bridge::Bridge;
pub use receiver::Receiver;
pub use sender::Sender;

use rust_hdl::prelude::Block;

use crate::VerilogError;

/// Bytes of a frame.
pub const FRAME: usize = 12;
/// First byte of every frame.
pub const SYNC: u8 = 0xA5;
/// Host: write a register.
pub const KIND_WRITE: u8 = 1;
/// Host: read a register.
pub const KIND_READ: u8 = 2;
/// Host: eight bytes of the stream of records.
pub const KIND_BEAT: u8 = 3;
/// Host: reset.
pub const KIND_RESET: u8 = 4;
/// Board: where it is.
pub const KIND_STATUS: u8 = 17;
/// Board: a register's value.
pub const KIND_VALUE: u8 = 18;
/// Board: eight bytes of the stream of reports.
pub const KIND_WORD: u8 = 19;
/// Frames of the host that may be unconfirmed.
pub const QUEUE: usize = 1 << QUEUE_BITS;
/// Address bits of the queue.
const QUEUE_BITS: usize = 6;

/// The CRC's register before the first bit.
const CRC_START: u64 = 0xFFFF;
/// What is XORed in when a one leaves the register.
const CRC_POLYNOMIAL: u64 = 0x8408;
/// What is in the register after a good frame, its CRC included.
const CRC_GOOD: u64 = 0xF0B8;

/// Clock cycles of a bit at `baud` bits a second, or `None` where that is off by more than 2 %, or fewer than 12 (a frame is checked
/// bit by bit while the next byte comes in) or more than 65,535 cycles.
pub const fn divisor(clock_hz: u32, baud: u32) -> Option<u16> {
    if baud == 0 {
        return None;
    }
    let cycles = (clock_hz as u64 + baud as u64 / 2) / baud as u64;
    let error = (cycles * baud as u64).abs_diff(clock_hz as u64);
    if error * 50 > clock_hz as u64 || cycles < 12 || cycles > u16::MAX as u64 {
        None
    } else {
        Some(cycles as u16)
    }
}

/// The bridge in Verilog, as module `weir_bridge`, for a line with bits of so many clock cycles.
///
/// # Errors
///
/// What Rust-HDL's checks say of the circuit; that would be a fault of this crate.
pub fn verilog(divisor: u16) -> Result<String, VerilogError> {
    let mut bridge = Bridge::<QUEUE_BITS, { QUEUE_BITS + 1 }>::new(divisor);
    bridge.connect_all();
    crate::module(&bridge, "weir_bridge")
}
