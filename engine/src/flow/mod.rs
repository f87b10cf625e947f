//! The flow table: who talks to whom, which way, how far the handshake is, and what earlier verdicts decided.
//!
//! A flow is found by addresses, ports, protocol, VLANs and depth of encapsulation, in either direction. The first
//! packet's sender is the client. An ICMP error belongs to the flow of the packet that it quotes. The table holds a fixed
//! number of flows; when it is full, one that was idle for long makes room, and that is counted.

mod hash;
mod quote;
mod shard;
mod table;

pub use shard::shard;
pub use table::{FlowConfig, FlowCounters, FlowTable};

use std::net::IpAddr;

use crate::packet::{Packet, Transport};
use crate::stream::{Session, Step, TcpState};

/// What an earlier rule decided for the rest of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowAction {
    /// Nothing.
    #[default]
    None,
    /// Let everything through, inspect nothing.
    Pass,
    /// Drop everything, inspect nothing.
    Drop,
}

/// One end of a flow.
pub type Endpoint = (IpAddr, u16);

/// One flow.
#[derive(Clone, Debug)]
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
    /// Packets to server and to client.
    pub packets: [u64; 2],
    /// Wire bytes to server and to client.
    pub bytes: [u64; 2],
    /// Handshake state; [`TcpState::None`] for other protocols and for TCP whose handshake was not seen.
    pub tcp: Session,
    /// For other protocols: packets were seen both ways.
    pub both_ways: bool,
    /// What a rule decided.
    pub action: FlowAction,
    /// Packets were seen to server, to client.
    seen: [bool; 2],
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

/// A flow that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    /// As it was last.
    pub flow: Flow,
    /// IP protocol.
    pub proto: u8,
    /// Why.
    pub reason: EndReason,
    /// When, nanoseconds since the Unix epoch: for a timeout when its time was up, else the time of the packet that
    /// caused it.
    pub ts_ns: u64,
}

/// What identifies a flow, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FlowKey {
    low: Endpoint,
    high: Endpoint,
    proto: u8,
    depth: u8,
    vlan: [u16; 3],
}

/// ICMP types that come in pairs: a request and its answer belong to one flow.
fn icmp_counterpart(kind: u8, v6: bool) -> Option<u8> {
    Some(match (v6, kind) {
        (false, 0) => 8,
        (false, 8) => 0,
        (false, 9) => 10,
        (false, 10) => 9,
        (false, 13) => 14,
        (false, 14) => 13,
        (false, 15) => 16,
        (false, 16) => 15,
        (false, 17) => 18,
        (false, 18) => 17,
        (true, 128) => 129,
        (true, 129) => 128,
        (true, 133) => 134,
        (true, 134) => 133,
        (true, 135) => 136,
        (true, 136) => 135,
        (true, 144) => 145,
        (true, 145) => 144,
        _ => return None,
    })
}

/// ICMP messages about another packet: they belong to no flow of their own.
fn icmp_is_error(kind: u8, v6: bool) -> bool {
    if v6 {
        kind < 128
    } else {
        matches!(kind, 3 | 4 | 5 | 11 | 12)
    }
}

/// What stands for the ports of an ICMP message: its type and that of its answer; `None` for errors.
fn icmp_ends(kind: u8, v6: bool) -> Option<(u16, u16)> {
    if icmp_is_error(kind, v6) {
        return None;
    }
    let answer = icmp_counterpart(kind, v6).unwrap_or(kind);
    Some((kind.into(), answer.into()))
}

/// Sender and receiver as the flow table sees them; `None` for packets that have no flow.
fn endpoints(packet: &Packet<'_>) -> Option<(Endpoint, Endpoint)> {
    if packet.fragment || packet.invalid || !packet.is_ip() {
        return None;
    }
    let (sport, dport) = match packet.transport {
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Sctp { .. } => {
            (packet.sport, packet.dport)
        }
        Transport::Icmp4 { .. } | Transport::Icmp6 { .. } => {
            let v6 = matches!(packet.transport, Transport::Icmp6 { .. });
            icmp_ends(packet.icmp_type()?, v6)?
        }
        Transport::Esp { .. } => (0, 0),
        _ => return None,
    };
    Some(((packet.src, sport), (packet.dst, dport)))
}

impl FlowKey {
    /// The key of packets between two ends that travel as `packet` does: in the same VLAN, at the same depth.
    fn between(from: Endpoint, to: Endpoint, proto: u8, packet: &Packet<'_>) -> Self {
        let (low, high) = if from <= to { (from, to) } else { (to, from) };
        Self {
            low,
            high,
            proto,
            depth: packet.depth,
            vlan: packet.vlan,
        }
    }
}

impl Flow {
    /// Suricata's notion for all protocols: the handshake is complete, or packets were seen both ways.
    fn established(&self) -> bool {
        self.both_ways || self.tcp.established()
    }

    /// Counts a packet.
    fn count(&mut self, packet: &Packet<'_>, way: usize) {
        self.packets[way] += 1;
        self.bytes[way] += u64::from(packet.wire_len);
        self.last_ns = self.last_ns.max(packet.ts_ns);
    }

    /// How long the flow is kept when nothing comes, in nanoseconds (Suricata's defaults).
    fn timeout_ns(&self, tcp: bool) -> u64 {
        let seconds = match self.tcp.state() {
            TcpState::Established | TcpState::Closing(_) => 600,
            _ if tcp => 60,
            _ if self.both_ways => 300,
            _ => 30,
        };
        seconds * 1_000_000_000
    }
}
