//! Frames for the tests, and packets that outlive the sink.

use std::net::IpAddr;

use weir_engine::packet::{
    Carrier, Decoder, DecoderConfig, DecoderEvent, Frame, LinkType, Net, Origin, Packet, Transport,
};

/// What a test wants to know of a packet.
#[derive(Debug)]
pub struct Seen {
    pub origin: Origin,
    pub depth: u8,
    pub carrier: Option<Carrier>,
    pub number: u64,
    pub ts_ns: u64,
    pub vlan: Vec<u16>,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub proto: u8,
    pub ports: (u16, u16),
    pub net: &'static str,
    /// Network header; for IPv6 with its extension headers.
    pub net_header: Vec<u8>,
    pub transport: &'static str,
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    pub fragment: bool,
    pub uninspected: bool,
    pub invalid: bool,
    pub bad_checksum: bool,
    pub events: Vec<&'static str>,
}

impl Seen {
    fn of(packet: &Packet<'_>) -> Self {
        let (transport, header) = match packet.transport {
            Transport::None => ("none", &[][..]),
            Transport::Tcp { header } => ("tcp", header),
            Transport::Udp { header } => ("udp", header),
            Transport::Icmp4 { header } => ("icmp4", header),
            Transport::Icmp6 { header } => ("icmp6", header),
            Transport::Sctp { header } => ("sctp", header),
            Transport::Igmp { header } => ("igmp", header),
            Transport::Gre { header } => ("gre", header),
            Transport::Esp { header } => ("esp", header),
        };
        let (net, net_header) = match packet.net {
            Net::None => ("none", Vec::new()),
            Net::V4 { header } => ("ipv4", header.to_vec()),
            Net::V6 { header, extensions } => ("ipv6", [header, extensions].concat()),
            Net::Arp(header) => ("arp", header.to_vec()),
        };
        Self {
            origin: packet.origin,
            depth: packet.depth,
            carrier: packet.carrier,
            number: packet.number,
            ts_ns: packet.ts_ns,
            vlan: packet
                .vlan
                .iter()
                .copied()
                .take(packet.vlan_layers.into())
                .collect(),
            src: packet.src,
            dst: packet.dst,
            proto: packet.proto,
            ports: (packet.sport, packet.dport),
            net,
            net_header,
            transport,
            header: header.to_vec(),
            payload: packet.payload.to_vec(),
            fragment: packet.fragment,
            uninspected: packet.no_payload_inspection,
            invalid: packet.invalid,
            bad_checksum: packet.bad_checksum,
            events: packet.events.iter().map(DecoderEvent::name).collect(),
        }
    }
}

/// Feeds one frame to a decoder.
pub fn feed(
    decoder: &mut Decoder,
    link: LinkType,
    number: u64,
    ts_ns: u64,
    data: &[u8],
) -> Vec<Seen> {
    let mut seen = Vec::new();
    let frame = Frame {
        ts_ns,
        number,
        link,
        data,
        wire_len: data.len() as u32,
        ..Frame::default()
    };
    decoder.decode(frame, &mut |packet| seen.push(Seen::of(packet)));
    seen
}

/// All packets of one frame, with a fresh decoder.
pub fn decode(link: LinkType, data: &[u8]) -> Vec<Seen> {
    feed(&mut Decoder::default(), link, 1, 0, data)
}

/// The packet that the frame itself is.
pub fn outer(link: LinkType, data: &[u8]) -> Seen {
    decode(link, data).pop().expect("every frame is a packet")
}

/// The same, with checksums verified.
pub fn verified(link: LinkType, data: &[u8]) -> Seen {
    let config = DecoderConfig {
        verify_checksums: true,
        ..DecoderConfig::default()
    };
    feed(&mut Decoder::new(config), link, 1, 0, data)
        .pop()
        .expect("every frame is a packet")
}

pub fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Ethernet header and what follows.
pub fn ethernet(kind: u16, inner: &[u8]) -> Vec<u8> {
    concat(&[
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        &kind.to_be_bytes(),
        inner,
    ])
}

/// IPv4 with options, from 10.0.0.1 to 10.0.0.2. `word` holds flags and fragment offset.
pub fn ipv4_with(proto: u8, id: u16, word: u16, options: &[u8], inner: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total = (header_len + inner.len()) as u16;
    let mut packet = concat(&[
        &[0x40 | (header_len / 4) as u8, 0],
        &total.to_be_bytes(),
        &id.to_be_bytes(),
        &word.to_be_bytes(),
        &[64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
        options,
    ]);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(inner);
    packet
}

pub fn ipv4(proto: u8, inner: &[u8]) -> Vec<u8> {
    ipv4_with(proto, 1, 0, &[], inner)
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
pub fn ipv6(next: u8, inner: &[u8]) -> Vec<u8> {
    ipv6_hops(next, 64, inner)
}

pub fn ipv6_hops(next: u8, hops: u8, inner: &[u8]) -> Vec<u8> {
    let mut addresses = [0; 32];
    addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    addresses[15] = 1;
    addresses[16..20].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    addresses[31] = 2;
    let length = (inner.len() as u16).to_be_bytes();
    concat(&[&[0x60, 0, 0, 0], &length, &[next, hops], &addresses, inner])
}

/// TCP from port 1024 to 80 with options, whose length must be a multiple of 4.
pub fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = ((20 + options.len()) / 4) as u8;
    concat(&[
        &[
            4,
            0,
            0,
            80,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            2,
            offset << 4,
            0x18,
            0x20,
            0,
            0,
            0,
            0,
            0,
        ],
        options,
        payload,
    ])
}

pub fn udp(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    concat(&[
        &sport.to_be_bytes(),
        &dport.to_be_bytes(),
        &length.to_be_bytes(),
        &[0, 0],
        payload,
    ])
}

/// The Internet checksum, written on its own so that it checks the decoder's.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for (at, &byte) in bytes.iter().enumerate() {
        sum += u32::from(byte) << if at % 2 == 0 { 8 } else { 0 };
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
