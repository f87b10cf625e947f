//! Rules as WebAssembly.

pub mod code;
pub mod compiled;
