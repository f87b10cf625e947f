//! Simulation of the matcher core.
//!
//! A [`Core`] is a core as its outside sees it: two streams and registers, driven by a [`Pace`].

pub mod card;
pub mod core;
mod engine;
mod error;
mod golden;
mod offload;
pub mod pace;
pub mod rust_hdl;
mod session;
pub mod verilator;
pub mod wave;

pub use crate::core::Core;
pub use engine::{Engine, rtl};
pub use error::SimError;
pub use golden::Modelled;
pub use offload::Offloaded;
pub use pace::Pace;
pub use session::{Answer, Session};
