//! Rules as WebAssembly.
//!
//! * [`runtime`] runs Wasm within bounds, whoever wrote it.
//! * [`modules`] loads authors' modules, and asks them.
//! * [`component`] makes components of what compilers give.
#![warn(missing_docs)]

pub mod component;
pub mod modules;
pub mod runtime;
