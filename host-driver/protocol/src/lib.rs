//! What host and matcher core say to each other: records, reports, registers, table writes.
//!
//! `no_std`, without allocation, used by both ends: driver, golden model, simulation and the Rust-HDL core take their
//! numbers from here. All integers are little-endian.
//!
//! # Records (host to core)
//!
//! A stream of records, each a [`header`](record) of 32 bytes, then carry and buffer ("payload", `length` bytes), then zeros up to
//! a whole beat. A beat is `lanes` bytes (8, 16, 32 or 64); every record starts at a beat. With 64 lanes the payload
//! starts in the upper half of the header's beat.
//!
//! # Reports (core to host)
//!
//! A stream of *units* of 64 bytes, each with magic, nonce, number and CRC, that hold up to six *items* of 8 bytes: hits, each
//! of the record whose end comes next, and ends of records, in the order of the records.
//!
//! # Registers
//!
//! 32-bit registers behind AXI4-Lite; tables are written through a window of three of them.
#![no_std]

mod bytes;
mod check;
mod crc;
pub mod record;
pub mod register;
pub mod report;
pub mod reports;

pub use check::{TABLE_CHECK_SELECT, TABLE_CHECK_WRITE, table_check};
pub use crc::{Crc32, POLYNOMIAL, crc32};
