//! Rules as WebAssembly.

pub mod component;
