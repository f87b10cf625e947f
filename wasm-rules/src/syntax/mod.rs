//! The text of rules: grammar, places, values, files.

pub mod ast;
pub(crate) mod cursor;
pub mod value;
