//! Probe sets as memory images of the matcher core, and the golden model of the core.

mod geometry;

pub use geometry::{Geometry, Size};
