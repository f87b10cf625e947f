//! What the engine's decoder says of a frame on the wire.

use std::net::IpAddr;

use weir_engine::packet::{
    Decoder, DecoderConfig, Frame, LinkType, Net, Origin, Packet, Transport,
};

/// The outermost packet of a frame.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Sender and receiver.
    pub addresses: [IpAddr; 2],
    /// IP's number of what it carries.
    pub proto: u8,
    /// Of TCP and UDP.
    pub ports: Option<[u16; 2]>,
    /// Of TCP.
    pub flags: Option<u8>,
    /// Identifiers of its VLANs, outermost first.
    pub vlan: Vec<u16>,
    /// It is one of several, even if the only one (an atomic fragment).
    pub fragment: bool,
    /// It is not the first of them.
    pub later_fragment: bool,
    /// The decoder found something wrong with it: a checksum, if those are looked at, or anything else.
    pub odd: bool,
    v6: bool,
    icmp_type: Option<u8>,
}

impl Seen {
    /// `None` where the frame is no IP packet.
    pub fn of(frame: &[u8], checksums: bool) -> Option<Self> {
        let mut decoder = Decoder::new(DecoderConfig {
            verify_checksums: checksums,
            ..DecoderConfig::default()
        });
        let frame = Frame {
            ts_ns: 0,
            number: 1,
            link: LinkType::ETHERNET,
            data: frame,
            wire_len: frame.len() as u32,
            ..Frame::default()
        };
        let mut seen = None;
        decoder.decode(frame, &mut |packet| {
            if packet.origin == Origin::Wire && packet.is_ip() {
                seen = Some(Self::packet(packet));
            }
        });
        seen
    }

    fn packet(packet: &Packet<'_>) -> Self {
        let layers = usize::from(packet.vlan_layers);
        let transport = matches!(
            packet.transport,
            Transport::Tcp { .. } | Transport::Udp { .. }
        );
        Self {
            addresses: [packet.src, packet.dst],
            proto: packet.proto,
            ports: transport.then_some([packet.sport, packet.dport]),
            flags: packet.tcp_flags(),
            vlan: packet.vlan[..layers].to_vec(),
            fragment: packet.fragment,
            later_fragment: packet.frag_offset().is_some_and(|offset| offset != 0),
            odd: packet.invalid || packet.bad_checksum || !packet.events.is_empty(),
            v6: matches!(packet.net, Net::V6 { .. }),
            icmp_type: packet.icmp_type(),
        }
    }

    /// Both ends, sender first.
    pub fn ends(&self) -> [(IpAddr, u16); 2] {
        let [from, to] = self.ports.unwrap_or_default();
        [(self.addresses[0], from), (self.addresses[1], to)]
    }

    /// ICMP errors and redirects.
    pub fn is_icmp_error(&self) -> bool {
        match (self.icmp_type, self.v6) {
            (Some(kind), false) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            (Some(kind), true) => kind < 128 || kind == 137,
            (None, _) => false,
        }
    }
}
