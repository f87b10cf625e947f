//! Network interfaces: what they are, what may be changed on them, and when they change by themselves.
//!
//! All of it concerns the network namespace of the calling thread.

pub(crate) mod ethtool;
mod facts;
mod features;
mod monitor;
mod netlink;

pub use facts::{AttachedProgram, Facts, XdpFeatures};
pub(crate) use facts::{set_promiscuous, why_not};
pub use monitor::{Change, Monitor};
