//! The flow table: who talks to whom, which way, how far the handshake is, and what earlier verdicts decided.
//!
//! A flow is found by addresses, ports, protocol, VLANs and depth of encapsulation, in either direction. The first
//! packet's sender is the client. An ICMP error belongs to the flow of the packet that it quotes. The table holds a fixed
//! number of flows; when it is full, one that was idle for long makes room, and that is counted.
//!
//! Flows end in four ways ([`EndReason`]). Those whose time is up end in [`FlowTable::look`], which depends on the time
//! alone, and not on how flows were dealt out to workers. A packet ends its own flow, when that timed out or a new
//! connection begins, and one other when the table is full: [`FlowTable::take_ended`] has these. [`FlowTable::close`]
//! ends all.

mod config;
mod counters;
mod elephant;
mod ends;
mod hash;
mod key;
mod queue;
mod quote;
mod saved;
mod shard;
mod table;

pub use config::{ElephantConfig, FlowConfig, FlowState, StateTimeouts, TimeoutProto, Timeouts};
pub use counters::FlowCounters;
pub use key::Endpoint;
pub(crate) use saved::{SavedEntry, SavedTable};
pub(crate) use shard::network;
pub use shard::shard;
pub use table::FlowTable;

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use key::{FlowKey, endpoints, icmp_ends, icmp_is_error};

use crate::app::{AppProto, FlowApp};
use crate::packet::{Interface, Packet, Transport};
use crate::state::FlowVars;
use crate::stream::{Session, Step, StreamId, TcpState};

/// What an earlier rule decided for the rest of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FlowAction {
    /// Nothing.
    #[default]
    None,
    /// Let everything through, inspect nothing.
    Pass,
    /// Drop everything, inspect nothing.
    Drop,
    /// Let everything through, inspect nothing, and forget the flow sooner: the `bypass` keyword.
    Bypass,
}

/// One flow. What is read from a saved one leaves out what rules keep for it, and its streams.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Stable number (`flow_id`): made of the key and the first packet's time, so that a run repeats it.
    pub id: u64,
    /// Sender of the first packet.
    pub client: Endpoint,
    /// Receiver of the first packet.
    pub server: Endpoint,
    /// First packet, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Latest packet, nanoseconds since the Unix epoch.
    pub last_ns: u64,
    /// IP protocol number.
    pub proto: u8,
    /// VLAN identifiers of the first packet, outermost first, and how many there are.
    pub vlan: ([u16; 3], u8),
    /// The interface of the first packet; none where that came to the process before this one, whose interfaces may have been
    /// others.
    #[serde(skip)]
    pub iface: Interface,
    /// Packets to server and to client, the one at hand included.
    pub packets: [u64; 2],
    /// Wire bytes to server and to client.
    pub bytes: [u64; 2],
    /// Handshake state; [`TcpState::None`] for other protocols and for TCP whose handshake was not seen.
    pub tcp: Session,
    /// All TCP flags seen to server and to client.
    pub tcp_flags: [u8; 2],
    /// What else its record says, by protocol.
    pub detail: Detail,
    /// For other protocols: packets were seen both ways.
    pub both_ways: bool,
    /// What a rule decided.
    pub action: FlowAction,
    /// Much went to the server, to the client in a short time ([`ElephantConfig`]).
    pub elephant: [bool; 2],
    /// What rules keep for it.
    #[serde(skip)]
    pub vars: FlowVars,
    /// A rule gave an alert on it.
    pub alerted: bool,
    /// What it speaks.
    #[serde(default)]
    pub app: FlowApp,
    /// Its streams, once there was data.
    #[serde(skip)]
    pub(crate) streams: StreamId,
    /// Packets were seen to server, to client.
    seen: [bool; 2],
}

/// What a flow's record says of its protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Nothing.
    #[default]
    None,
    /// Type and code of the latest ICMP message to the server, to the client.
    Icmp([Option<(u8, u8)>; 2]),
    /// Security parameters index of ESP.
    Esp(u32),
}

/// What the flow table says about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// Slot of the flow in the table; valid until the next packet.
    pub slot: u32,
    /// The packet goes to the server.
    pub to_server: bool,
    /// The flow was established before this packet (Suricata's FLOW_PKT_ESTABLISHED).
    pub established: bool,
    /// First packet of its direction.
    pub first: bool,
    /// What the packet did to its TCP connection.
    pub step: Step,
    /// What the flow speaks.
    pub app: Speaks,
}

/// What rules may know of the protocol that a flow speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is still to be found out, and who asks now is asked again: any rule may go on.
    Open,
    /// This.
    Is(AppProto),
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Nothing came for its timeout.
    Timeout,
    /// The table needed its place.
    Forced,
    /// A new connection began on the same addresses and ports.
    Reused,
    /// The run ended.
    Shutdown,
}

impl EndReason {
    /// Its name in EVE.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Forced => "forced",
            Self::Reused => "tcp_reuse",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A flow that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    /// As it was last.
    pub flow: Flow,
    /// Why.
    pub reason: EndReason,
    /// It would have been kept longer, had the table not been nearly full.
    pub emergency: bool,
    /// When, nanoseconds since the Unix epoch: for a timeout when its time was up, at the end of the run its last
    /// packet's time, else the time of the packet that caused it.
    pub ts_ns: u64,
    /// What is known of the streams of a TCP connection; the table leaves it to whoever flushes them.
    pub streams: Option<StreamFacts>,
}

/// What a flow's record says of its streams, to server and to client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFacts {
    /// Data is missing.
    pub gap: [bool; 2],
    /// Most separate pieces of data that were held at a time.
    pub max_regions: [u32; 2],
    /// Bytes of urgent data that were left out.
    pub urgent: [u32; 2],
}

impl Flow {
    /// The flow that a packet begins; the packet is not counted yet.
    fn new(id: u64, client: Endpoint, server: Endpoint, packet: &Packet<'_>) -> Self {
        Self {
            id,
            client,
            server,
            start_ns: packet.ts_ns,
            last_ns: packet.ts_ns,
            proto: packet.proto,
            vlan: (packet.vlan, packet.vlan_layers),
            iface: packet.iface,
            detail: match packet.transport {
                Transport::Icmp4 { .. } | Transport::Icmp6 { .. } => Detail::Icmp([None; 2]),
                Transport::Esp { header } => Detail::Esp(
                    header
                        .first_chunk()
                        .map_or(0, |spi| u32::from_be_bytes(*spi)),
                ),
                _ => Detail::None,
            },
            ..Self::vacant()
        }
    }

    /// Exchanges client and server: the first packet seen was an answer.
    fn reverse(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.packets.reverse();
        self.bytes.reverse();
        self.tcp_flags.reverse();
        self.seen.reverse();
    }

    /// What stands in a slot that is free.
    fn vacant() -> Self {
        let nowhere = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            id: 0,
            client: nowhere,
            server: nowhere,
            start_ns: 0,
            last_ns: 0,
            proto: 0,
            vlan: ([0; 3], 0),
            iface: Interface::NONE,
            packets: [0; 2],
            bytes: [0; 2],
            tcp: Session::default(),
            tcp_flags: [0; 2],
            detail: Detail::None,
            both_ways: false,
            action: FlowAction::None,
            elephant: [false; 2],
            vars: FlowVars::default(),
            alerted: false,
            app: FlowApp::default(),
            streams: StreamId::NONE,
            seen: [false; 2],
        }
    }

    /// How far it is.
    pub fn state(&self) -> FlowState {
        if self.action == FlowAction::Bypass {
            FlowState::Bypassed
        } else if matches!(
            self.tcp.state(),
            TcpState::TimeWait | TcpState::LastAck | TcpState::Closed
        ) {
            // As Suricata: both ends have said that they are done.
            FlowState::Closed
        } else if self.established() {
            FlowState::Established
        } else {
            FlowState::New
        }
    }

    /// Whole seconds from the first packet to the latest, as Suricata counts them: seconds of the clock that began.
    pub fn age(&self) -> u64 {
        (self.last_ns / 1_000_000_000).saturating_sub(self.start_ns / 1_000_000_000)
    }

    /// Suricata's notion for all protocols: the handshake is complete, or packets were seen both ways.
    pub fn established(&self) -> bool {
        self.both_ways || self.tcp.established()
    }

    /// Counts a packet.
    fn count(&mut self, packet: &Packet<'_>, way: usize) {
        self.packets[way] += 1;
        self.bytes[way] += u64::from(packet.wire_len);
        self.last_ns = self.last_ns.max(packet.ts_ns);
    }
}
