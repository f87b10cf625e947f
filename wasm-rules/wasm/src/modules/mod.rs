//! Authors' modules: components of the world in `wasm-rules/wit`.
//!
//! ```text
//! file ─► Module::load ─► declaration ─► weir_rules::compile::module ─► rules of the set
//!            │
//!            └─► Modules (one a rule set) ─► Hosted (one a worker): asks modules about what matched otherwise
//! ```
//!
//! A module has an instance of its own in each worker, which is kept from one call to the next and replaced when a call
//! fails. What it can look at while it is asked stands in `guest`; what it keeps, in tables that all workers share, in
//! `state`. A call that traps, takes too long, goes over a limit or answers what was not asked is an *offence*: this one
//! evaluation is lost and counted, and after repeated offences ([`Offences`]) the module is in quarantine, which is told
//! by a notice; rules of other modules and text rules go on as if nothing had happened.

mod bindings;
mod counters;
mod guest;
mod hosted;
mod load;
mod policy;
mod report;
mod set;
mod state;
mod view;

pub use counters::ModuleCounters;
pub use hosted::Hosted;
pub use load::{Module, ModuleError, Unusable};
pub use policy::{Grant, Offences, Policy};
pub use report::{Import, MemoryReport, ModuleReport, Work};
pub use set::{ModuleSet, Modules, compile};
