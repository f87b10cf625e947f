//! Detection: from a packet to its alerts and verdict.

mod alert;

pub use alert::{Alert, FlowFacts, PacketFacts};
