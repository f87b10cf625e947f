//! Rules as WebAssembly: text rules compiled to it, modules that authors write, and what runs both within bounds.
//!
//! * [`code`] compiles text rules to one core module, [`compiled`] evaluates them in it.
//! * [`built`] is the file that a whole rule set becomes: plans, compiled code, modules, signatures.
//! * [`modules`] loads authors' modules, and asks them.
//! * [`component`] makes components of what compilers give.
//! * [`runtime`] runs authors' modules within bounds.
//!
//! ```text
//! text ─► weir-rules ─► plans ─► code ─► core module ─► compiled ─┐
//!                                  └──────► built ──────────┘     ├─► Evaluator of a worker
//! modules (components) ─► modules, within runtime's limits ───────┘
//! ```
#![warn(missing_docs)]

pub mod built;
pub mod code;
pub mod compiled;
pub mod component;
mod lent;
pub mod modules;
pub mod runtime;
mod views;
