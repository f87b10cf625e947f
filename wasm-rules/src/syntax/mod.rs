//! The text of rules: grammar, places, values, files.

pub mod ast;
pub(crate) mod cursor;
mod file;
mod header;
mod rule;
pub mod value;

pub use file::{LoadError, RuleFile, SourceFile, load_paths};
pub use header::{ACTIONS, parse_addresses, parse_ports};
pub use rule::parse_rule;

#[cfg(test)]
mod tests;
