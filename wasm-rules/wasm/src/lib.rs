//! Rules as WebAssembly: text rules compiled to it, modules that authors write, and what runs both within bounds.

pub mod built;
pub mod code;
pub mod compiled;
pub mod component;
pub mod modules;
pub mod runtime;
