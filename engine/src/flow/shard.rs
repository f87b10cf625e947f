//! Which worker a frame belongs to.
//!
//! All packets of a flow, all fragments of a packet and both directions must meet in one worker, so the choice is made
//! by the outermost pair of IP addresses alone: ports are not there in fragments, and what a tunnel carries stays with
//! the tunnel. An ICMP error goes where the packet goes that it quotes, because it belongs to that packet's flow.

use super::icmp_is_error;
use crate::packet::proto::{ICMP, ICMPV6};
use crate::packet::{Frame, LinkType, MAX_LAYERS};

/// A number that is the same for all frames that must meet in one worker; frames without an IP header give 0.
pub fn shard(frame: &Frame<'_>) -> u64 {
    addresses(frame).map_or(0, |(a, b)| {
        // Addition makes both directions equal; the multiplication (SplitMix64's last step) spreads neighbours.
        let sum = fold(a).wrapping_add(fold(b));
        (sum ^ (sum >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 33
    })
}

fn fold(address: &[u8]) -> u64 {
    address.iter().fold(0, |sum: u64, &byte| {
        sum.rotate_left(8).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(byte)
    })
}

/// Where the outermost IP header should be; what stands there may be anything.
pub(crate) fn network<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    let data = frame.data;
    match frame.link {
        LinkType::ETHERNET => after_ethertype(data, 12, 14),
        LinkType::LINUX_SLL => after_ethertype(data, 14, 16),
        LinkType::LINUX_SLL2 => after_ethertype(data, 0, 20),
        LinkType::NULL | LinkType::LOOP => data.get(4..),
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 | LinkType::IPV4 | LinkType::IPV6 => {
            Some(data)
        }
        LinkType::PPP => after_ppp(data),
        LinkType::CHDLC => after_ethertype(data, 2, 4),
        _ => None,
    }
}

/// Source and destination of the outermost IP header.
fn addresses<'a>(frame: &Frame<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let ip = network(frame)?;
    let outer = pair(ip)?;
    let quoted = quotation(ip).and_then(pair);
    // An error goes to the sender of what it quotes: see `quote`.
    Some(
        quoted
            .filter(|(sender, _)| *sender == outer.1)
            .unwrap_or(outer),
    )
}

/// Source and destination of an IP header.
fn pair(ip: &[u8]) -> Option<(&[u8], &[u8])> {
    match ip.first()? >> 4 {
        4 => Some((ip.get(12..16)?, ip.get(16..20)?)),
        6 => Some((ip.get(8..24)?, ip.get(24..40)?)),
        _ => None,
    }
}

/// What an ICMP error quotes; `None` for other packets, and for fragments, which must meet the others of their packet.
fn quotation(ip: &[u8]) -> Option<&[u8]> {
    let v6 = ip.first()? >> 4 == 6;
    let (proto, header_len) = if v6 {
        (*ip.get(6)?, 40)
    } else {
        let fragment = u16::from_be_bytes(*ip.get(6..)?.first_chunk()?) & 0x3fff;
        if fragment != 0 {
            return None;
        }
        (*ip.get(9)?, usize::from(ip.first()? & 0xf) * 4)
    };
    let icmp = ip.get(header_len..)?;
    let error = match (proto, v6) {
        (ICMP, false) => icmp_is_error(*icmp.first()?, false),
        (ICMPV6, true) => matches!(icmp.first()?, 1..=4),
        _ => false,
    };
    error.then(|| icmp.get(8..))?
}

/// What follows VLAN tags, MPLS labels and all else that stands between an Ethernet header and an IP header: the ethertype
/// is at `kind_at`, what it names at `at`.
fn after_ethertype(data: &[u8], mut kind_at: usize, mut at: usize) -> Option<&[u8]> {
    // As many layers as any decoder takes; a frame with more is not IP.
    for _ in 0..MAX_LAYERS {
        let kind = u16::from_be_bytes(*data.get(kind_at..)?.first_chunk()?);
        kind_at = match kind {
            0x8100 | 0x88a8 | 0x9100 => at + 2,
            // 802.1ah: a service tag, then the addresses and type of the customer's frame.
            0x88e7 => at + 16,
            // VN-Tag.
            0x8926 => at + 4,
            // FabricPath: two bytes, then a whole frame.
            0x8903 => at + 2 + 12,
            // Network service header: its length in words, and what follows it.
            0x894f => {
                let length = usize::from(data.get(at + 1)? & 0x3f) * 4;
                match data.get(at + 3)? {
                    3 => at + length + 12,
                    5 => match after_labels(data, at + length)? {
                        Behind::Ip(at) => return data.get(at..),
                        Behind::Frame(at) => at + 12,
                    },
                    _ => return data.get(at + length..),
                }
            }
            0x8847 | 0x8848 => match after_labels(data, at)? {
                Behind::Ip(at) => return data.get(at..),
                Behind::Frame(at) => at + 12,
            },
            0x8864 => return after_ppp(data.get(at + 6..)?),
            _ => return data.get(at..),
        };
        at = kind_at + 2;
    }
    None
}

/// What MPLS labels carry, and where.
enum Behind {
    Ip(usize),
    Frame(usize),
}

/// What follows the stack of MPLS labels at `at`: an IP header, or a control word and a frame (RFC 4448).
fn after_labels(data: &[u8], mut at: usize) -> Option<Behind> {
    while data.get(at + 2)? & 1 == 0 {
        at += 4;
    }
    let ip = at + 4;
    Some(match data.get(ip)? >> 4 {
        0 => Behind::Frame(ip + 4),
        _ => Behind::Ip(ip),
    })
}

/// What follows PPP's protocol field, which is one or two bytes, with or without HDLC-like framing.
fn after_ppp(data: &[u8]) -> Option<&[u8]> {
    let data = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    let length = if data.first()? & 1 == 1 { 1 } else { 2 };
    data.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
        Frame {
            ts_ns: 0,
            number: 1,
            link,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        }
    }

    fn ipv4(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45; 12];
        packet.extend(src);
        packet.extend(dst);
        packet
    }

    #[test]
    fn both_directions_and_every_encapsulation_meet() {
        let (there, back) = (
            ipv4([10, 0, 0, 1], [10, 0, 0, 2]),
            ipv4([10, 0, 0, 2], [10, 0, 0, 1]),
        );
        let want = shard(&frame(LinkType::RAW, &there));
        assert_ne!(want, 0);
        assert_eq!(shard(&frame(LinkType::RAW, &back)), want);
        let behind = |head: &[u8]| [head, &back].concat();
        let macs = [2u8; 12];
        for head in [
            &b"\x08\x00"[..],
            b"\x81\x00\x00\x05\x08\x00",
            b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00",
            b"\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40",
            b"\x88\x48\x00\x02\x01\x40\x00\x00\x00\x00\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x08\x00",
            b"\x89\x03\x00\x00\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x81\x00\x00\x05\x08\x00",
            b"\x89\x26\x00\x00\x00\x01\x08\x00",
            b"\x89\x4f\x00\x02\x02\x01\x00\x00\x01\xff",
            b"\x89\x4f\x00\x02\x02\x03\x00\x00\x01\xff\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x08\x00",
            b"\x89\x4f\x00\x02\x02\x05\x00\x00\x01\xff\x00\x02\x01\x40",
            b"\x88\x64\x11\x00\x00\x01\x00\x20\x00\x21",
        ] {
            assert_eq!(
                shard(&frame(LinkType::ETHERNET, &behind(&[&macs, head].concat()))),
                want,
                "{head:02x?}"
            );
        }
        // Of the tag, only its place tells that the first nibble behind the header is no IP version.
        let tagged = b"\x81\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06\x02\x02\x02\x02\x02\x02\x00\x00\x40\x05\x08\x00";
        for packet in [&there, &back] {
            let data = [&tagged[..], packet].concat();
            assert_eq!(shard(&frame(LinkType::LINUX_SLL2, &data)), want);
        }
        assert_eq!(shard(&frame(LinkType::NULL, &behind(&[2, 0, 0, 0]))), want);
        assert_eq!(
            shard(&frame(LinkType::PPP, &behind(&[0xff, 3, 0, 0x21]))),
            want
        );
    }

    #[test]
    fn an_error_meets_what_it_quotes() {
        let (client, server, router) = ([10, 0, 0, 1], [10, 0, 0, 2], [10, 9, 9, 9]);
        let place = |data: &[u8]| shard(&frame(LinkType::RAW, data));
        let flow = ipv4(client, server);
        // Destination unreachable, from a router on the way.
        let error = |proto: u8, kind: u8, fragment: u8, to: [u8; 4]| {
            let mut packet = ipv4(router, to);
            packet[6..8].copy_from_slice(&[fragment, 0]);
            packet[9] = proto;
            packet.extend([kind, 1, 0, 0, 0, 0, 0, 0]);
            packet.extend(&flow);
            packet
        };
        let outer = place(&ipv4(router, client));
        assert_ne!(outer, place(&flow));
        assert_eq!(place(&error(ICMP, 3, 0, client)), place(&flow));
        assert_eq!(
            place(&error(ICMP, 8, 0, client)),
            outer,
            "an echo request quotes nothing"
        );
        assert_eq!(place(&error(17, 3, 0, client)), outer, "no ICMP");
        assert_eq!(place(&error(ICMP, 3, 0x20, client)), outer, "a fragment");
        assert_eq!(
            place(&error(ICMP, 3, 0, server)),
            place(&ipv4(router, server)),
            "forged"
        );
        assert_eq!(place(&error(ICMP, 3, 0, client)[..30]), outer, "cut");

        let ipv6 = |src: u8, dst: u8, next: u8| {
            let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
            packet.extend([src; 16]);
            packet.extend([dst; 16]);
            packet
        };
        let flow = ipv6(1, 2, 6);
        let mut error = ipv6(9, 1, ICMPV6);
        error.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        error.extend(&flow);
        assert_eq!(place(&error), place(&flow));
    }

    /// A saved state has these numbers: others need another [`crate::handover::VERSION`].
    #[test]
    fn every_process_has_the_same_places() {
        let packet = ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
        assert_eq!(shard(&frame(LinkType::RAW, &packet)), 1_211_948_444);
    }

    #[test]
    fn pairs_spread_over_workers() {
        let odd = (0..=255u8).filter(|&host| {
            shard(&frame(
                LinkType::RAW,
                &ipv4([10, 0, 0, host], [10, 1, 0, 1]),
            )) % 2
                == 1
        });
        let count = odd.count();
        assert!(
            (64..192).contains(&count),
            "{count} of 256 pairs went to the second of two workers"
        );
    }

    #[test]
    fn short_frames_have_a_place_too() {
        for length in 0..40 {
            let data = vec![0x81; length];
            for link in [0, 1, 9, 12, 101, 104, 113, 276, 999] {
                assert_eq!(shard(&frame(LinkType(link), &data)), 0);
            }
        }
    }
}
