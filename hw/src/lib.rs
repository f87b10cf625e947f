//! Matcher cores in Rust-HDL, and their Verilog.

pub mod parts;
