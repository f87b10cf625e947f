//! Matcher cores in Rust-HDL, and their Verilog.

pub mod board;
pub mod exact;
pub mod front;
pub mod hash;
pub mod parts;
pub mod registers;
pub mod writer;
pub mod slice;
