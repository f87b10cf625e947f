//! From rule plans to one WebAssembly module.
//!
//! The module has a function for every rule, and one for every list of steps that runs on a buffer; rules that ask the same
//! of a buffer share it. What all of them need (searching, windows, numbers, choices, the loop over candidates) is written
//! by hand in `runtime.wat`, which the compiler puts in front.
//!
//! ```text
//! RuleSet ─► Catalogue (views, expressions)         what the host is asked for, by number
//!         ─► rule: header tests, buffers in order   one function a rule, in the table at its RuleId
//!         ─► program: steps, with backtracking      one function a list of steps
//!         ─► merge: behind runtime.wat              one module, validated
//! ```
//!
//! What is asked of the host: buffers (once in a call each, after their transforms), header fields, tests on transactions,
//! regular expressions, base64 and entropy. The host ([`crate::compiled`]) makes the same [`Catalogue`] of the same rules.

mod asm;
mod bytes;
mod catalogue;
mod content;
mod merge;
mod program;
mod rule;

pub use catalogue::{Catalogue, Field, View};

use weir_engine::plan::RuleSet;

/// Version of what module and host say to each other. A module exports it as `abi`.
pub const ABI: u32 = 1;

/// Why rules could not be compiled. It says that the compiler is wrong, not the rules.
#[derive(Debug, thiserror::Error)]
#[error("the rules could not be compiled to WebAssembly: {0}")]
pub struct CodeError(String);

/// Compiles a rule set.
///
/// # Errors
/// When the rules are too many for one module, or a fault of the compiler's shows.
pub fn compile(rules: &RuleSet) -> Result<Vec<u8>, CodeError> {
    let catalogue = Catalogue::new(rules);
    let runtime = merge::Runtime::read()?;
    let mut unit = rule::Unit::new(&runtime.names);
    for (id, rule) in (0..).zip(rules.rules()) {
        unit.rule(id, rule, &catalogue);
    }
    merge::merge(&runtime, unit.finish(), &catalogue)
}
