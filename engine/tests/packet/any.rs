//! Whatever comes in.

use proptest::prelude::*;
use weir_engine::packet::{
    Decoder, DecoderConfig, Frame, LinkType, MAX_LAYERS, Net, Origin, Packet, Transport,
};

use crate::build::*;

const LINKS: [u16; 14] = [
    0, 1, 9, 12, 14, 101, 104, 108, 113, 228, 229, 276, 147, 65535,
];

/// Every slice of the packet.
fn slices<'a>(packet: &Packet<'a>) -> Vec<&'a [u8]> {
    let mut slices = vec![packet.payload];
    slices.extend(packet.ether);
    match packet.net {
        Net::None => {}
        Net::V4 { header } | Net::Arp(header) => slices.push(header),
        Net::V6 { header, extensions } => slices.extend([header, extensions]),
    }
    match packet.transport {
        Transport::None => {}
        Transport::Tcp { header }
        | Transport::Udp { header }
        | Transport::Icmp4 { header }
        | Transport::Icmp6 { header }
        | Transport::Sctp { header }
        | Transport::Igmp { header }
        | Transport::Gre { header }
        | Transport::Esp { header } => slices.push(header),
    }
    slices
}

/// Decodes and checks what must hold of any packet.
fn check(decoder: &mut Decoder, link: u16, data: &[u8]) -> Result<(), TestCaseError> {
    let mut packets = Vec::new();
    let frame = Frame {
        ts_ns: 5,
        number: 3,
        link: LinkType(link),
        data,
        wire_len: data.len() as u32,
        ..Frame::default()
    };
    let mut reassembled = false;
    decoder.decode(frame, &mut |packet| {
        reassembled |= packet.origin == Origin::Reassembled;
        // What was put together lies, with all that is inside of it, in a buffer of its own.
        let inside = slices(packet).into_iter().all(|slice| {
            slice.is_empty()
                || reassembled
                || data.as_ptr_range().contains(&slice.as_ptr()) && {
                    slice.as_ptr_range().end <= data.as_ptr_range().end
                }
        });
        // Exercise what walks over headers.
        let walked = (
            packet.ip_options().count(),
            packet.tcp_options().count(),
            packet.frag_offset(),
        );
        packets.push((
            packet.origin,
            packet.number,
            packet.invalid && packet.is_ip(),
            inside,
            walked.0 <= 40,
        ));
    });
    prop_assert!(packets.len() <= usize::from(MAX_LAYERS));
    prop_assert_eq!(packets.last().map(|packet| packet.0), Some(Origin::Wire));
    for (_, number, invalid_ip, inside, walked) in packets {
        prop_assert!(number == 3 && !invalid_ip && walked);
        prop_assert!(inside || reassembled);
    }
    Ok(())
}

/// Bytes that get past the first checks: headers around headers, then some bytes changed, then perhaps cut.
fn nearly_good() -> impl Strategy<Value = Vec<u8>> {
    let wrap = prop::collection::vec(0u8..16, 0..6);
    let leaf = prop::collection::vec(any::<u8>(), 0..80);
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (
        wrap,
        leaf,
        0u8..8,
        flips,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(wraps, leaf, kind, flips, cut, whole)| {
            let proto = [6, 17, 1, 58, 2, 132, 50, 47][usize::from(kind)];
            let body = match kind {
                0 => tcp(&leaf[..leaf.len().min(40) / 4 * 4], &leaf),
                1 => udp(4789, 53, &leaf),
                _ => leaf,
            };
            let mut packet = ipv4(proto, &body);
            for wrap in wraps {
                let v6 = packet.first().is_some_and(|first| first >> 4 == 6);
                packet = match wrap {
                    0 => ipv4(if v6 { 41 } else { 4 }, &packet),
                    1 => ipv6(if v6 { 41 } else { 4 }, &packet),
                    2 => ipv4(
                        47,
                        &concat(&[&[0, 0], if v6 { &[0x86, 0xdd] } else { &[8, 0] }, &packet]),
                    ),
                    3 => ipv4(
                        17,
                        &udp(
                            1,
                            4789,
                            &concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0800, &packet)]),
                        ),
                    ),
                    4 => ipv4(
                        17,
                        &udp(1, 6081, &concat(&[&[0, 0, 8, 0, 0, 0, 1, 0], &packet])),
                    ),
                    5 => ipv4(17, &udp(1, 3544, &packet)),
                    6 => ipv4_with(4, 1, 0x2000, &[], &packet),
                    7 => ipv4_with(4, 1, 2, &[], &packet),
                    8 => ipv6(44, &concat(&[&[4, 0, 0, 1, 0, 0, 0, 1], &packet])),
                    9 => ipv6(60, &concat(&[&[4, 0, 1, 4, 0, 0, 0, 0], &packet])),
                    10 => ipv4_with(4, 1, 0, &[7, 7, 4, 0, 0, 0, 0, 0], &packet),
                    _ => packet,
                };
            }
            for (at, value) in flips {
                if !packet.is_empty() {
                    let at = at.index(packet.len());
                    packet[at] = value;
                }
            }
            if !whole {
                packet.truncate(cut.index(packet.len() + 1));
            }
            packet
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_are_some_packets(
        link in prop::sample::select(LINKS.to_vec()),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4),
    ) {
        let mut decoder = Decoder::new(DecoderConfig { verify_checksums: true, ..DecoderConfig::default() });
        for frame in &frames {
            check(&mut decoder, link, frame)?;
        }
    }

    #[test]
    fn nearly_good_bytes_are_some_packets(
        frames in prop::collection::vec(nearly_good(), 1..6),
        link in prop::sample::select(vec![101u16, 1]),
    ) {
        let mut decoder = Decoder::new(DecoderConfig { verify_checksums: true, ..DecoderConfig::default() });
        for frame in &frames {
            let frame = if link == 1 { ethernet(0x0800, frame) } else { frame.clone() };
            check(&mut decoder, link, &frame)?;
        }
    }
}
