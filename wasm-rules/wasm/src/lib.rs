//! Rules as WebAssembly.

pub mod built;
