//! Packets: what decoding makes of a frame, and the decoder that makes it.
//!
//! A [`Decoder`] turns one [`Frame`] into one or more [`Packet`]s, as Suricata 8 does: the same layers, the same lengths,
//! the same [`DecoderEvent`]s. It never fails. What a frame holds that cannot be decoded is a packet with events.

mod access;
pub mod checksum;
mod decoder;
mod defrag;
mod event;
mod icmp;
mod ipv4;
mod ipv6;
mod link;
mod ppp;
pub(crate) mod proto;
mod transport;
mod tunnel;

pub use access::Options;
pub use decoder::{Decoder, DecoderConfig, DecoderCounters, MAX_LAYERS};
pub(crate) use defrag::SavedFragments;
pub use defrag::{DefragConfig, DefragCounters, OverlapPolicy};
pub use event::{DecoderEvent, EventSet};
pub(crate) use ipv6::upper_layer as ipv6_upper_layer;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;

/// Link-layer type of a capture or interface (values of <https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, in HDLC-like framing or bare.
    pub const PPP: Self = Self(9);
    /// Raw IP (the value some systems write for DLT_RAW).
    pub const RAW_12: Self = Self(12);
    /// Raw IP (BSD value).
    pub const RAW_14: Self = Self(14);
    /// Raw IP, version in the first nibble.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const CHDLC: Self = Self(104);
    /// OpenBSD loopback: 4-byte address family, big endian.
    pub const LOOP: Self = Self(108);
    /// Linux cooked v1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked v2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// The interface by which a frame came in (`in_iface`): a place in a list of names that whoever writes records has, so that
/// packets and flows carry a byte and no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interface(Option<NonZeroU8>);

impl Interface {
    /// None: the frame is from a file, or made up.
    pub const NONE: Self = Self(None);

    /// The interface whose name is at `index`, counted from 0. There is place for 255; any after these is
    /// [`Interface::NONE`].
    #[inline]
    pub fn at(index: usize) -> Self {
        let number = u8::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(1));
        Self(number.and_then(NonZeroU8::new))
    }

    /// Where its name is; `None` where there is no interface.
    #[inline]
    pub fn index(self) -> Option<usize> {
        self.0.map(|number| usize::from(number.get()) - 1)
    }
}

/// A frame as it came from a capture or a ring, borrowed.
///
/// The default is an empty frame of Ethernet, without time, number or interface.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// 1-based number in the capture (`pcap_cnt`); 0 where frames are not numbered.
    pub number: u64,
    /// What the first byte belongs to.
    pub link: LinkType,
    /// The captured bytes (may be fewer than were on the wire).
    pub data: &'a [u8],
    /// Bytes on the wire.
    pub wire_len: u32,
    /// By which interface it came, where it is not from a file.
    pub iface: Interface,
}

impl Default for Frame<'_> {
    fn default() -> Self {
        Self {
            ts_ns: 0,
            number: 0,
            link: LinkType::ETHERNET,
            data: &[],
            wire_len: 0,
            iface: Interface::NONE,
        }
    }
}

/// The network layer of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Net<'a> {
    /// No network layer that Weir decodes, or too broken to use.
    None,
    /// IPv4. `header` includes options.
    V4 {
        /// The header with its options, 20 to 60 bytes.
        header: &'a [u8],
    },
    /// IPv6. `header` is the fixed part.
    V6 {
        /// The fixed header, 40 bytes.
        header: &'a [u8],
        /// The extension headers that were walked, in order, as they stood in the packet (may be empty). Those of a
        /// fragment end with its fragment header.
        extensions: &'a [u8],
    },
    /// ARP; the slice is the ARP packet.
    Arp(&'a [u8]),
}

/// The transport layer of a packet. Every `header` starts at the first byte of that header.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// Nothing decoded: a fragment, an unknown protocol or a broken header.
    None,
    /// TCP with its options.
    Tcp {
        /// Header and options, 20 to 60 bytes.
        header: &'a [u8],
    },
    /// UDP.
    Udp {
        /// Header, 8 bytes.
        header: &'a [u8],
    },
    /// ICMPv4.
    Icmp4 {
        /// Header, 8 bytes or as many as there are, and what depends on the type. Suricata's `icmpv4.hdr`.
        header: &'a [u8],
    },
    /// ICMPv6.
    Icmp6 {
        /// Header, 8 bytes. Suricata's `icmpv6.hdr`.
        header: &'a [u8],
    },
    /// SCTP common header, 12 bytes.
    Sctp {
        /// Common header, 12 bytes.
        header: &'a [u8],
    },
    /// IGMP.
    Igmp {
        /// 8 bytes; of version 3 all sources and group records as well. Suricata's `igmp.hdr`.
        header: &'a [u8],
    },
    /// GRE (the packet that carries a tunnel).
    Gre {
        /// The fixed part, 4 bytes.
        header: &'a [u8],
    },
    /// ESP.
    Esp {
        /// SPI and sequence, 8 bytes.
        header: &'a [u8],
    },
}

/// How a packet came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Straight from the wire.
    Wire,
    /// From inside another packet.
    Tunnel(Tunnel),
    /// Put together from fragments.
    Reassembled,
    /// Made up for what was found in a stream when no packet of its direction was at hand.
    Stream,
}

/// What a packet that carries another one has around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// GRE, ERSPAN in it included.
    Gre,
    /// An IPv4 header: IP-in-IP, 6in4.
    Ipv4,
    /// An IPv6 header.
    Ipv6,
    /// Teredo.
    Teredo,
    /// VXLAN.
    Vxlan,
    /// Geneve.
    Geneve,
}

/// The packet on the wire in which another one came: the outermost, whatever lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port; 0 where the transport has none.
    pub sport: u16,
    /// Destination port; 0 where the transport has none.
    pub dport: u16,
    /// IP protocol number.
    pub proto: u8,
}

/// One packet: facts by value, bytes by reference.
///
/// One frame can give several: the outer packet of a tunnel, the inner one, a reassembled one.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// 1-based number of the frame in the capture; 0 where there is none.
    pub number: u64,
    /// Bytes of the frame on the wire (the same for all packets of one frame).
    pub wire_len: u32,
    /// By which interface the frame came (the same for all packets of one frame).
    pub iface: Interface,
    /// How the packet came to be.
    pub origin: Origin,
    /// Levels of encapsulation above this packet: 0 on the wire.
    pub depth: u8,
    /// What a packet that is not from the wire itself came in: the tunnel's outermost packet, or the last fragment.
    pub carrier: Option<Carrier>,
    /// The Ethernet header (14 bytes), where there is one.
    pub ether: Option<&'a [u8]>,
    /// VLAN identifiers, outermost first.
    pub vlan: [u16; 3],
    /// How many of `vlan` are set.
    pub vlan_layers: u8,
    /// Network layer.
    pub net: Net<'a>,
    /// Source address; unspecified IPv4 when there is no network layer.
    pub src: IpAddr,
    /// Destination address; unspecified IPv4 when there is no network layer.
    pub dst: IpAddr,
    /// IP protocol number of the payload (after IPv6 extension headers); 0 without a network layer.
    pub proto: u8,
    /// True for a fragment that was not (or not yet) put together: it has no transport layer.
    pub fragment: bool,
    /// Transport layer.
    pub transport: Transport<'a>,
    /// Source port; 0 where the transport has none.
    pub sport: u16,
    /// Destination port; 0 where the transport has none.
    pub dport: u16,
    /// What follows the last decoded header: the data of TCP, UDP, SCTP and ESP, of ICMP what Suricata takes for it, of a
    /// fragment all that follows its headers. Empty for any other IP protocol, into which Suricata does not look either.
    pub payload: &'a [u8],
    /// True when rules must not look into `payload`: a fragment, or a tunnel whose inner packet is inspected by itself.
    pub no_payload_inspection: bool,
    /// What the decoder found wrong.
    pub events: EventSet,
    /// True when the packet is too broken to be matched against anything but decoder events: a layer failed, and there is
    /// no network layer. (A broken transport leaves a good IP packet.)
    pub invalid: bool,
    /// True when checksums are verified and one of the packet's is wrong.
    pub bad_checksum: bool,
}

impl Packet<'_> {
    /// A packet of which nothing is known yet.
    pub fn new(ts_ns: u64, number: u64, wire_len: u32) -> Self {
        Self {
            ts_ns,
            number,
            wire_len,
            iface: Interface::NONE,
            origin: Origin::Wire,
            depth: 0,
            carrier: None,
            ether: None,
            vlan: [0; 3],
            vlan_layers: 0,
            net: Net::None,
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            proto: 0,
            fragment: false,
            transport: Transport::None,
            sport: 0,
            dport: 0,
            payload: &[],
            no_payload_inspection: false,
            events: EventSet::default(),
            invalid: false,
            bad_checksum: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_takes_a_byte_and_knows_its_index() {
        assert_eq!(size_of::<Interface>(), 1);
        for index in 0..255 {
            assert_eq!(Interface::at(index).index(), Some(index));
        }
        for index in [255, 256, usize::MAX] {
            assert_eq!(Interface::at(index), Interface::NONE);
        }
        assert_eq!(Interface::NONE.index(), None);
        assert_eq!(Frame::default().iface, Interface::NONE);
    }
}
