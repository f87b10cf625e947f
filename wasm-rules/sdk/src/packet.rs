//! What is known of a packet and of its flow.

use std::net::IpAddr;
use std::time::Duration;

/// A packet; of a stream or a transaction, the one that it was inspected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured, since the Unix epoch. The only clock that needs no grant.
    pub time: Duration,
    /// Its number in the capture, from 1; none on the wire.
    pub number: Option<u64>,
    /// Source address; none where there is no IP header.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Source port; 0 where the protocol has none.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// IP protocol.
    pub protocol: Protocol,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Bytes on the wire.
    pub length: u32,
    /// Bytes of the packet's own payload.
    pub payload_length: u32,
    /// Flags of the TCP header.
    pub tcp_flags: Option<TcpFlags>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// VLAN identifiers, outermost first.
    pub vlans: Vec<u16>,
}

/// An IP protocol, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);
}

/// Byte 13 of a TCP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN.
    pub const FIN: Self = Self(0x01);
    /// SYN.
    pub const SYN: Self = Self(0x02);
    /// RST.
    pub const RST: Self = Self(0x04);
    /// PSH.
    pub const PSH: Self = Self(0x08);
    /// ACK.
    pub const ACK: Self = Self(0x10);
    /// URG.
    pub const URG: Self = Self(0x20);

    /// All of these are set.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Which way a packet goes in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the server.
    ToServer,
    /// To the client.
    ToClient,
}

/// What went one way in a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// The flow of a packet, that packet included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// `flow_id` in EVE.
    pub id: u64,
    /// Which way the packet goes.
    pub direction: Direction,
    /// The connection is, or was, established; UDP: both sides have sent.
    pub established: bool,
    /// When it began, since the Unix epoch.
    pub start: Duration,
    /// What went to the server.
    pub to_server: Traffic,
    /// What went to the client.
    pub to_client: Traffic,
    /// What it speaks, by the name in EVE (`app_proto`).
    pub app_protocol: Option<String>,
}

impl Flow {
    /// The packet goes to the server.
    pub fn is_to_server(&self) -> bool {
        self.direction == Direction::ToServer
    }
}
