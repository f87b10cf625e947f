//! The XDP program: what it is told, what it has counted, and how it comes to its ports and goes.

mod cell;

pub use cell::QueueCell;
