//! Matcher cores in Rust-HDL, and their Verilog.
//!
//! A core takes records (a payload, the group of probes to look for, the table generation) and reports which probes occur, each with
//! its first end, at 8, 16, 32 or 64 bytes a clock cycle. `hw/DESIGN.md` says what exactly it computes, why this way, and what the blocks
//! promise each other; `card-protocol` lays out what goes in and out; `weir-tables` makes what is loaded, and has the core as a program
//! (the golden model); `weir-sim` runs all three against each other.
//!
//! # The way through
//!
//! | room | what it does |
//! |---|---|
//! | [`front`] | finds records in the stream, checks their CRCs, hands payload beats to the slices |
//! | [`mod@slice`] | eight lanes each: hash, filter, candidates, their limit, and the sieve for those that came before |
//! | [`merge`] | joins the slices' candidates, record by record |
//! | [`exact`] | looks candidates up in the exact table |
//! | [`writer`] | packs hits and ends of records into report units |
//! | [`registers`] | identity, control, table writes, counters |
//! | [`mod@core`] | joins all of it, in eight shapes |
//! | [`parts`], [`hash`] | what several of them use: memory, FIFO, delay line; the keyed hash of a byte |
//! | [`board`] | a serial line instead of PCIe, for boards that have none |
//!
//! # A run
//!
//! ```
//! use weir_hw::{core::Identity, verilog};
//! use weir_tables::{Geometry, Size};
//!
//! let text = verilog(&Geometry::new(8, Size::Compact), &Identity::default())?;
//! assert!(text.contains("module weir_core ("));
//! # Ok::<(), weir_hw::VerilogError>(())
//! ```
//!
//! or `weir hw verilog --lanes 8 -o core.v`, and `weir hw simulate` to see it at work. A block alone goes through
//! [`module`] to Verilog, and through [`parts::run`] in Rust-HDL's simulator.

pub mod board;
pub mod core;
pub mod exact;
pub mod front;
pub mod hash;
pub mod merge;
pub mod parts;
pub mod registers;
pub mod slice;
mod verilog;
pub mod writer;

pub use verilog::{TOP, VerilogError, module, verilog};
