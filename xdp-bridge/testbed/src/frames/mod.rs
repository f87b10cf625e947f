//! Numbered frames out of one host and into another.

mod generator;
mod pattern;
mod ring;
mod sink;
mod socket;
mod tap;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use generator::{Generator, Sent, generate, inject};
pub use pattern::smallest;
pub use sink::{Received, Sink};
pub use tap::{Captured, Tap, Trace};

/// More frames than this are not told apart: a receiver remembers a bit of each.
pub const MAX_FRAMES: u64 = 1 << 30;
/// Flows differ in 16 bits of both addresses.
pub const MAX_FLOWS: u32 = 1 << 16;

/// The time that frames carry: nanoseconds of CLOCK_REALTIME, by which the kernel stamps what it receives.
pub(crate) fn wall_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Says something of a frame that stands for its flow.
pub type Choose = Arc<dyn Fn(&[u8]) -> u64 + Send + Sync>;

/// Which queue the frames of a flow leave by, and thus arrive by at the other end of the link.
#[derive(Clone, Default)]
pub enum Steer {
    /// Flow *n* by queue *n* modulo the host's queues.
    #[default]
    Spread,
    /// All by one.
    One(u32),
    /// By a function of the flow's first frame, modulo the host's queues.
    By(Choose),
}

impl fmt::Debug for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Steer::Spread => f.write_str("Spread"),
            Steer::One(queue) => write!(f, "One({queue})"),
            Steer::By(_) => f.write_str("By(..)"),
        }
    }
}

/// What is sent. Generator and sink are given the same, so that the sink knows every byte that it should see.
///
/// Frames are UDP in IPv4 or IPv6, from 198.18.0.0/16 to 198.19.0.0/16 (RFC 2544) or fd00:18::/64 to fd00:19::/64,
/// between stations that no host has the MAC addresses of: no host answers them. Frame *n* is of flow *n* modulo
/// `flows`; each carries its number and when it was sent.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many frames at most, up to [`MAX_FRAMES`].
    pub frames: u64,
    /// For how long at most.
    pub duration: Option<Duration>,
    /// Frames a second; flat out when none.
    pub rate: Option<f64>,
    /// Bytes of a frame, from the destination's MAC address to the last of the payload: 4 fewer than Ethernet counts,
    /// which includes the checksum. At least [`smallest`].
    pub size: usize,
    /// Flows, 1 to [`MAX_FLOWS`]: each has both addresses of its own, and mostly its own source port.
    pub flows: u32,
    /// Tells loads apart, and makes the payload's bytes where `content` is empty.
    pub seed: u32,
    /// VLAN ids, the outer one first: none, one (802.1Q) or two (802.1ad around 802.1Q).
    pub vlans: Vec<u16>,
    /// IPv6 instead of IPv4.
    pub v6: bool,
    /// UDP's destination port.
    pub port: u16,
    /// What the payload is filled with after the 18 bytes that say which frame it is, again and again.
    pub content: Vec<u8>,
    /// Which queues the flows go by.
    pub steer: Steer,
    /// Threads that send, 1 to 64; `flows` is a multiple of it. They share the rate.
    pub threads: u32,
}

impl Default for Load {
    /// A thousand frames of 60 bytes in one flow, flat out, to UDP's discard port.
    fn default() -> Self {
        Self {
            frames: 1000,
            duration: None,
            rate: None,
            size: 60,
            flows: 1,
            seed: 1,
            vlans: Vec::new(),
            v6: false,
            port: 9,
            content: Vec::new(),
            steer: Steer::Spread,
            threads: 1,
        }
    }
}
