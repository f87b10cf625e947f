//! Rules: their text, its syntax tree, and the plans that the engine runs.
//!
//! * [`syntax`] reads rule files into syntax trees in which everything knows its place.
//! * [`keywords`] knows every keyword of the rule language and what values it takes.
//! * [`compile`] makes plans of syntax trees, or says why it cannot, and loads whole rule sets.
//! * [`classification`] holds what classtypes mean.
//! * [`probe`] chooses the literal that stands for a rule in the matcher.

pub mod classification;
pub mod compile;
pub mod keywords;
pub mod probe;
pub mod syntax;
