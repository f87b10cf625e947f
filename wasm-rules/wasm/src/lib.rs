//! Rules as WebAssembly.
//!
//! * [`runtime`] runs Wasm within bounds, whoever wrote it.
//! * [`modules`] loads authors' modules, and asks them.
#![warn(missing_docs)]

pub mod modules;
pub mod runtime;
