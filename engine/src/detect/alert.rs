//! Alerts as values.

use std::net::IpAddr;

use crate::packet::{Carrier, Interface, Origin};
use crate::plan::{RejectTo, Rule, RuleId};

/// A rule that matched, and the packet it matched on.
#[derive(Clone, Copy, Debug)]
pub struct Alert<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Its place in the rule set.
    pub id: RuleId,
    /// True when the packet was dropped or rejected because of this rule (`alert.action: blocked`).
    pub blocked: bool,
    /// What became of the packet, all rules together; `None` where verdicts are not carried out.
    pub carried_out: Option<CarriedOut>,
    /// The packet.
    pub packet: &'a PacketFacts,
    /// The transaction that the rule matched in.
    pub app: Option<&'a super::AppFacts>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedOut {
    /// It was dropped.
    pub dropped: bool,
    /// Who was told that it is rejected.
    pub reject: Option<RejectTo>,
    /// A rule passed it.
    pub passed: bool,
}

/// What an alert record says about its packet; owned, so that it outlives the frame.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketFacts {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// 1-based number of the frame in the capture (`pcap_cnt`); 0 where frames are not numbered (live capture).
    pub number: u64,
    /// The interface by which the frame came (`in_iface`). Of a packet that was made up for a stream that ended: the flow's.
    pub iface: Interface,
    /// True when the packet has an IP header; `src`, `dst` and `proto` mean something only then.
    pub is_ip: bool,
    /// True when it is ARP.
    pub is_arp: bool,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number.
    pub proto: u8,
    /// Ports, where the protocol has them (TCP, UDP, SCTP).
    pub ports: Option<(u16, u16)>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// VLAN identifiers, outermost first, and how many.
    pub vlan: ([u16; 3], u8),
    /// Source and destination MAC address, where the link has them.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// How the packet came to be (`pkt_src`).
    pub origin: Origin,
    /// Levels of encapsulation above the packet: 0 on the wire.
    pub depth: u8,
    /// What a packet that is not from the wire itself came in (`tunnel`).
    pub carrier: Option<Carrier>,
    /// The packet's flow, if it has one.
    pub flow: Option<FlowFacts>,
}

/// What an alert record says about the flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowFacts {
    /// `flow_id`.
    pub id: u64,
    /// True when the packet goes to the server.
    pub to_server: bool,
    /// First packet of the flow, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Packets to server and to client so far, this one included.
    pub packets: [u64; 2],
    /// Wire bytes to server and to client so far.
    pub bytes: [u64; 2],
    /// Client (address, port).
    pub client: (IpAddr, u16),
    /// Server (address, port).
    pub server: (IpAddr, u16),
    /// What it speaks, as far as it is known.
    pub app: crate::app::FlowApp,
}

impl PacketFacts {
    /// Source and destination, where it has an IP header.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        self.is_ip.then_some((self.src, self.dst))
    }
}
