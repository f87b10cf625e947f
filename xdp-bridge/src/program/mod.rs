//! The XDP program: what it is told, what it has counted, and how it comes to its ports and goes.
//!
//! [`Ports::attach`] puts it there, or takes over what an earlier process has left; [`Attached`] is what to do with it then.
//! Program, links and maps are pinned in a BPF file system, so that they outlive the process, and frames fail, open or
//! closed, when it ends in whatever way. [`detach`] removes them.

mod attach;
mod attached;
mod cell;
mod cells;
mod counters;
mod error;
mod explain;
mod found;
mod frame;
mod links;
mod object;
mod options;
mod orders;
mod place;
mod ports;
mod sys;
#[cfg(test)]
mod tests;
mod xmit;

pub use attach::{Adopted, Lost};
pub use attached::{Attached, Checked, Detached, Ports, check, detach};
pub use cell::QueueCell;
pub use counters::KernelCounters;
pub use error::Error;
pub use explain::Refusal;
pub use frame::{FrameFlow, frame_flow};
pub use options::{AttachMode, AttachOptions, Fail, Mode};
pub use orders::{Ended, FlowEnd, Sweep};
pub use place::BPFFS;
