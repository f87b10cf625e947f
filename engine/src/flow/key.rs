//! What identifies a flow.

use std::net::IpAddr;

use crate::packet::{Packet, Transport};

/// One end of a flow.
pub type Endpoint = (IpAddr, u16);

/// What identifies a flow, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FlowKey {
    pub low: Endpoint,
    pub high: Endpoint,
    pub proto: u8,
    pub depth: u8,
    /// Zero where VLANs do not keep flows apart.
    pub vlan: [u16; 3],
}

impl FlowKey {
    /// The key of packets between two ends that travel as `packet` does: at the same depth and, with `vlan`, in the same
    /// VLAN.
    pub fn between(
        from: Endpoint,
        to: Endpoint,
        proto: u8,
        packet: &Packet<'_>,
        vlan: bool,
    ) -> Self {
        let (low, high) = if from <= to { (from, to) } else { (to, from) };
        Self {
            low,
            high,
            proto,
            depth: packet.depth,
            vlan: if vlan { packet.vlan } else { [0; 3] },
        }
    }
}

/// Sender and receiver as the flow table sees them; `None` for packets that have no flow.
pub(super) fn endpoints(packet: &Packet<'_>) -> Option<(Endpoint, Endpoint)> {
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
pub(super) fn icmp_is_error(kind: u8, v6: bool) -> bool {
    if v6 {
        kind < 128
    } else {
        matches!(kind, 3 | 4 | 5 | 11 | 12)
    }
}

/// What stands for the ports of an ICMP message: its type and that of its answer; `None` for errors.
pub(super) fn icmp_ends(kind: u8, v6: bool) -> Option<(u16, u16)> {
    if icmp_is_error(kind, v6) {
        return None;
    }
    let answer = icmp_counterpart(kind, v6).unwrap_or(kind);
    Some((kind.into(), answer.into()))
}
