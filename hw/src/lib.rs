//! Matcher cores in Rust-HDL, and their Verilog.

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
