//! Conversations as values: who talks to whom, and what is said. Frames are made of them elsewhere.

use std::net::IpAddr;

/// What carries a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TCP, with a handshake before what is said unless [`Talk::bare`].
    Tcp,
    /// UDP: each thing said is a datagram.
    Udp,
    /// ICMP, or ICMPv6 between such addresses.
    Icmp,
    /// Another IP protocol.
    Ip(u8),
}

/// Fields of headers; what is `None` is as it usually is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Time to live, or hop limit.
    pub ttl: Option<u8>,
    /// IPv4 type of service.
    pub tos: Option<u8>,
    /// IPv4 identification.
    pub ip_id: Option<u16>,
    /// The three bits of IPv4's flags: reserved 4, don't fragment 2, more fragments 1.
    pub frag_bits: Option<u8>,
    /// IPv4 fragment offset, in units of 8 bytes.
    pub frag_offset: Option<u16>,
    /// Type octet of an IPv4 option.
    pub ip_option: Option<u8>,
    /// TCP flags.
    pub flags: Option<u8>,
    /// TCP sequence number.
    pub seq: Option<u32>,
    /// TCP acknowledgement number.
    pub ack: Option<u32>,
    /// TCP window.
    pub window: Option<u16>,
    /// ICMP type.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
    /// Identifier of an ICMP echo.
    pub icmp_id: Option<u16>,
    /// Sequence number of an ICMP echo.
    pub icmp_seq: Option<u16>,
}

/// Something that one side says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Say {
    /// From the client to the server.
    pub to_server: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Headers of the packet that carries them.
    pub fields: Fields,
}

impl Say {
    /// The client says it.
    pub fn up(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            to_server: true,
            bytes: bytes.into(),
            fields: Fields::default(),
        }
    }

    /// The server says it.
    pub fn down(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            to_server: false,
            ..Self::up(bytes)
        }
    }
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// What carries it.
    pub carrier: Carrier,
    /// Who begins, and from which port; of the same family as the server.
    pub client: (IpAddr, u16),
    /// Who answers.
    pub server: (IpAddr, u16),
    /// What is said, in order.
    pub says: Vec<Say>,
    /// Seconds in which nothing is said before it.
    pub pause: u32,
    /// TCP without a handshake: single segments.
    pub bare: bool,
    /// How often it is held, each time from the next client port.
    pub times: u32,
}
