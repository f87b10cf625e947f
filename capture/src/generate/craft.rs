//! Single frames to order: any header field as asked for.

use std::net::IpAddr;

use super::wire::{Host, checksum, ether_type, ethernet, proto, pseudo_header, seal_ipv4, sum};

/// What a packet carries.
#[derive(Clone, Debug)]
pub enum Carried {
    /// A TCP segment.
    Tcp {
        /// Source and destination port.
        ports: (u16, u16),
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Flags.
        flags: u8,
        /// Window.
        window: u16,
    },
    /// A UDP datagram.
    Udp {
        /// Source and destination port.
        ports: (u16, u16),
    },
    /// ICMP, or ICMPv6 between such addresses.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes behind the checksum.
        rest: [u8; 4],
    },
    /// Another IP protocol.
    Ip(u8),
}

/// An IP packet in an Ethernet frame.
#[derive(Clone, Debug)]
pub struct Craft<'a> {
    /// Source and destination, of one family.
    pub ends: (IpAddr, IpAddr),
    /// What it carries.
    pub carried: Carried,
    /// The payload.
    pub payload: &'a [u8],
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 type of service.
    pub tos: u8,
    /// IPv4 identification.
    pub id: u16,
    /// IPv4 flags (the upper three bits) and fragment offset.
    pub fragment: u16,
    /// Type octet of an IPv4 option that is written with no value.
    pub option: Option<u8>,
}

impl Craft<'_> {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let host = |ip: IpAddr, last: u8| Host {
            mac: [2, 0, 0, 0, 0, last],
            ip,
            ttl: self.ttl,
        };
        let (src, dst) = (host(self.ends.0, 1), host(self.ends.1, 2));
        let v4 = src.ip.is_ipv4();
        let (protocol, head) = self.transport(&src, &dst);
        let mut out = Vec::with_capacity(64 + self.payload.len());
        ethernet(&mut out, &src, &dst, None, ether_type(&src));
        let length = head.len() + self.payload.len();
        match (self.ends.0, self.ends.1) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let options: &[u8] = match self.option {
                    // With a length, and an end of list behind it.
                    Some(kind) if kind > 1 => &[kind, 3, 4, 0],
                    Some(kind) => &[kind, 0, 0, 0],
                    None => &[],
                };
                let mut header = [0; 20];
                header[0] = 0x45 + (options.len() / 4) as u8;
                header[1] = self.tos;
                header[2..4].copy_from_slice(&((20 + options.len() + length) as u16).to_be_bytes());
                header[4..6].copy_from_slice(&self.id.to_be_bytes());
                header[6..8].copy_from_slice(&self.fragment.to_be_bytes());
                header[8] = self.ttl;
                header[9] = protocol;
                header[12..16].copy_from_slice(&from.octets());
                header[16..].copy_from_slice(&to.octets());
                if options.is_empty() {
                    seal_ipv4(&mut header);
                } else {
                    let sum = checksum(sum(&header) + sum(options));
                    header[10..12].copy_from_slice(&sum.to_be_bytes());
                }
                out.extend_from_slice(&header);
                out.extend_from_slice(options);
            }
            _ => super::wire::ip_header(&mut out, &src, &dst, protocol, length, self.id),
        }
        debug_assert!(v4 || src.ip.is_ipv6());
        out.extend_from_slice(&head);
        out.extend_from_slice(self.payload);
        out
    }

    /// Number and header of what is carried.
    fn transport(&self, src: &Host, dst: &Host) -> (u8, Vec<u8>) {
        let data = self.payload;
        let seal = |protocol: u8, head: &mut Vec<u8>, at: usize, pseudo: bool| {
            let pseudo = if pseudo {
                pseudo_header(src, dst, protocol, head.len() + data.len())
            } else {
                0
            };
            let sum = checksum(pseudo + sum(head) + sum(data));
            if let Some(place) = head.get_mut(at..at + 2) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        };
        match self.carried {
            Carried::Tcp {
                ports,
                seq,
                ack,
                flags,
                window,
            } => {
                let mut head = Vec::with_capacity(20);
                head.extend_from_slice(&ports.0.to_be_bytes());
                head.extend_from_slice(&ports.1.to_be_bytes());
                head.extend_from_slice(&seq.to_be_bytes());
                head.extend_from_slice(&ack.to_be_bytes());
                head.extend_from_slice(&[0x50, flags]);
                head.extend_from_slice(&window.to_be_bytes());
                head.extend_from_slice(&[0; 4]);
                seal(proto::TCP, &mut head, 16, true);
                (proto::TCP, head)
            }
            Carried::Udp { ports } => {
                let mut head = Vec::with_capacity(8);
                head.extend_from_slice(&ports.0.to_be_bytes());
                head.extend_from_slice(&ports.1.to_be_bytes());
                head.extend_from_slice(&((8 + data.len()) as u16).to_be_bytes());
                head.extend_from_slice(&[0; 2]);
                seal(proto::UDP, &mut head, 6, true);
                if head.get(6..8) == Some(&[0, 0]) {
                    // 0 would say that there is no checksum.
                    head.truncate(6);
                    head.extend_from_slice(&[0xff; 2]);
                }
                (proto::UDP, head)
            }
            Carried::Icmp { kind, code, rest } => {
                let protocol = if src.ip.is_ipv4() {
                    proto::ICMP
                } else {
                    proto::ICMPV6
                };
                let mut head = vec![kind, code, 0, 0];
                head.extend_from_slice(&rest);
                seal(protocol, &mut head, 2, src.ip.is_ipv6());
                (protocol, head)
            }
            Carried::Ip(protocol) => (protocol, Vec::new()),
        }
    }
}
