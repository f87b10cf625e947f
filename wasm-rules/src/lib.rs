//! Rules: their text, its syntax tree, and the plans that the engine runs.
pub mod syntax;
