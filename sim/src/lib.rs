//! Simulation of the matcher core.
//!
//! A [`Core`] is a core as its outside sees it: two streams and registers, driven by a [`Pace`](pace::Pace).

pub mod core;
mod error;
pub mod pace;
pub mod verilator;

pub use crate::core::Core;
pub use error::SimError;
