//! Settings of the flow table.

use super::table::{BYTES_PER_FLOW, FIXED_BYTES};
use crate::packet::proto::{ICMP, ICMPV6, TCP, UDP};
use crate::stream::SessionConfig;

const SECOND: u64 = 1_000_000_000;

/// Limits of the flow table.
#[derive(Clone, Copy, Debug)]
pub struct FlowConfig {
    /// Most flows at a time. What that takes is [`FlowConfig::memory`]; [`FlowConfig::within`] goes the other way. All of
    /// it is set aside at the start, so that no packet waits for the table to grow, and becomes resident as flows come.
    pub max_flows: usize,
    /// How TCP connections are followed.
    pub session: SessionConfig,
    /// The same addresses and ports in different VLANs are different flows (Suricata's `vlan.use-for-tracking`).
    pub vlan: bool,
    /// How long flows are kept when nothing comes.
    pub timeouts: Timeouts,
    /// Mark flows that carry much in a short time; `None`: do not look.
    pub elephant: Option<ElephantConfig>,
    /// Packets of flows that need no inspection may go past this table: the kernel forwards them. How such a connection ends
    /// is then not seen, and a SYN with another number than its own begins a new one.
    pub passed_by: bool,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            max_flows: 262_144,
            session: SessionConfig::default(),
            vlan: true,
            timeouts: Timeouts::default(),
            elephant: None,
            passed_by: false,
        }
    }
}

impl FlowConfig {
    /// Bytes that the table takes when it is full.
    pub fn memory(&self) -> usize {
        self.max_flows
            .saturating_mul(self.bytes_per_flow())
            .saturating_add(FIXED_BYTES)
    }

    /// The same with as many flows as fit into this many bytes, and at least one.
    pub fn within(self, memory: usize) -> Self {
        let room = memory.saturating_sub(FIXED_BYTES);
        Self {
            max_flows: (room / self.bytes_per_flow()).max(1),
            ..self
        }
    }

    /// Bytes that a flow takes at most, its share of the index included.
    pub fn bytes_per_flow(&self) -> usize {
        let elephant = self.elephant.map_or(0, |config| config.bytes_per_flow());
        BYTES_PER_FLOW.saturating_add(elephant)
    }
}

/// When a flow is an elephant: it carries this many bytes in one direction within this time. As Suricata's
/// `flow.rate-tracking`, time is counted in whole seconds of packet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElephantConfig {
    /// Bytes on the wire.
    pub bytes: u64,
    /// Seconds, 1 to [`ElephantConfig::MAX_SECONDS`]. Every flow has a counter of 4 bytes for each of them and direction.
    pub seconds: u16,
}

impl ElephantConfig {
    /// The longest interval.
    pub const MAX_SECONDS: u16 = 300;

    pub(super) fn span(self) -> usize {
        self.seconds.clamp(1, Self::MAX_SECONDS).into()
    }

    fn bytes_per_flow(self) -> usize {
        2 * (super::elephant::HEAD_BYTES + 4 * self.span())
    }
}

/// Protocols that have timeouts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutProto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, of either version.
    Icmp,
    /// All others.
    Other,
}

impl TimeoutProto {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Other];

    /// The one for an IP protocol number.
    pub fn of(proto: u8) -> Self {
        match proto {
            TCP => Self::Tcp,
            UDP => Self::Udp,
            ICMP | ICMPV6 => Self::Icmp,
            _ => Self::Other,
        }
    }
}

/// How far a flow is, as its record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// Only one side has spoken, or the handshake is not complete.
    New,
    /// Both sides have.
    Established,
    /// A TCP connection that is over.
    Closed,
    /// A rule took it out of inspection.
    Bypassed,
}

impl FlowState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::Established, Self::Closed, Self::Bypassed];

    /// Its name in EVE.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Closed => "closed",
            Self::Bypassed => "bypassed",
        }
    }
}

/// How long flows of one protocol are kept when nothing comes, by [`FlowState`], in nanoseconds.
pub type StateTimeouts = [u64; FlowState::ALL.len()];

/// How long flows are kept when nothing comes: [`StateTimeouts`] by [`TimeoutProto`]. The defaults are Suricata's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// As long as the table has room.
    pub normal: [StateTimeouts; TimeoutProto::ALL.len()],
    /// While it is nearly full. Longer than the normal ones they do not become.
    pub emergency: [StateTimeouts; TimeoutProto::ALL.len()],
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |times: StateTimeouts| times.map(|time| time * SECOND);
        let other = seconds([30, 300, 0, 100]);
        let other_emergency = seconds([10, 100, 0, 50]);
        Self {
            normal: [seconds([60, 600, 60, 100]), other, other, other],
            emergency: [
                seconds([5, 100, 10, 50]),
                other_emergency,
                other_emergency,
                other_emergency,
            ],
        }
    }
}

impl Timeouts {
    /// The longest of them.
    pub(super) fn longest(&self) -> u64 {
        self.normal.iter().flatten().copied().max().unwrap_or(0)
    }
}
