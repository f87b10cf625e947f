//! Matcher cores in Rust-HDL, and their Verilog.

pub mod parts;

pub mod board;
