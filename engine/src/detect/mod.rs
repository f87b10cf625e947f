//! Detection: from a packet to its alerts and verdict.

mod alert;
mod threshold;

pub use alert::{Alert, FlowFacts, PacketFacts};
