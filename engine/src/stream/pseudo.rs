//! A packet for what is found in a stream when no packet of its direction is at hand.

use std::net::IpAddr;

use crate::flow::Endpoint;
use crate::packet::proto::TCP;
use crate::packet::{Interface, Net, Origin, Packet, Transport};

const V4: usize = 20;
const V6: usize = 40;
const TCP_HEADER: usize = 20;
const ACK: u8 = 0x10;
const TTL: u8 = 64;

/// Headers of a TCP segment without data from one end to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    bytes: [u8; V6 + TCP_HEADER],
    from: Endpoint,
    to: Endpoint,
    iface: Interface,
}

impl Headers {
    /// `iface`: that of the flow.
    pub(crate) fn new(from: Endpoint, to: Endpoint, iface: Interface) -> Self {
        let mut bytes = [0; V6 + TCP_HEADER];
        let mut put = |at: usize, part: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        };
        let network = match (from.0, to.0) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                put(0, &[0x45, 0, 0, (V4 + TCP_HEADER) as u8]);
                put(8, &[TTL, TCP]);
                put(12, &src.octets());
                put(16, &dst.octets());
                V4
            }
            (src, dst) => {
                put(0, &[0x60, 0, 0, 0, 0, TCP_HEADER as u8, TCP, TTL]);
                put(8, &v6(src));
                put(24, &v6(dst));
                V6
            }
        };
        put(network, &from.1.to_be_bytes());
        put(network + 2, &to.1.to_be_bytes());
        put(network + 12, &[(TCP_HEADER as u8 / 4) << 4, ACK]);
        Self {
            bytes,
            from,
            to,
            iface,
        }
    }

    /// The packet, for what becomes known at a time that no frame belongs to.
    pub(crate) fn packet(&self, ts_ns: u64) -> Packet<'_> {
        let v4 = self.from.0.is_ipv4() && self.to.0.is_ipv4();
        let network = if v4 { V4 } else { V6 };
        let (header, rest) = self.bytes.split_at(network);
        let (header, tcp) = (header, rest.get(..TCP_HEADER).unwrap_or(rest));
        Packet {
            iface: self.iface,
            origin: Origin::Stream,
            net: if v4 {
                Net::V4 { header }
            } else {
                Net::V6 {
                    header,
                    extensions: &[],
                }
            },
            src: self.from.0,
            dst: self.to.0,
            proto: TCP,
            transport: Transport::Tcp { header: tcp },
            sport: self.from.1,
            dport: self.to.1,
            ..Packet::new(ts_ns, 0, (network + TCP_HEADER) as u32)
        }
    }

    /// The packet, for what becomes known with `cause`, a packet of the other direction.
    pub(crate) fn answered_by<'a>(&'a self, cause: &Packet<'a>) -> Packet<'a> {
        Packet {
            number: cause.number,
            iface: cause.iface,
            origin: cause.origin,
            depth: cause.depth,
            carrier: cause.carrier,
            vlan: cause.vlan,
            vlan_layers: cause.vlan_layers,
            ..self.packet(cause.ts_ns)
        }
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Decoder, DecoderConfig, Frame, LinkType};

    #[test]
    fn the_headers_are_those_of_a_packet() {
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")] {
            let ends = (from.parse().expect("address"), to.parse().expect("address"));
            let iface = Interface::at(1);
            let headers = Headers::new((ends.0, 1234), (ends.1, 80), iface);
            let made = headers.packet(5);
            let data: Vec<u8> = headers.bytes[..made.wire_len as usize].to_vec();
            let frame = Frame {
                ts_ns: 5,
                number: 7,
                link: LinkType::RAW,
                data: &data,
                wire_len: made.wire_len,
                iface,
            };
            let mut seen = 0;
            Decoder::new(DecoderConfig::default()).decode(frame, &mut |packet| {
                seen += 1;
                assert!(packet.events.is_empty(), "{:?}", packet.events);
                assert_eq!(
                    (packet.src, packet.sport, packet.dst, packet.dport),
                    (made.src, made.sport, made.dst, made.dport)
                );
                assert_eq!(packet.tcp(), made.tcp());
                assert_eq!(
                    (packet.proto, packet.ts_ns, packet.iface),
                    (made.proto, made.ts_ns, made.iface)
                );
            });
            assert_eq!(seen, 1);
        }
    }
}
