//! Rules as WebAssembly.
