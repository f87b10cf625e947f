//! Reassembly.

use std::net::IpAddr;

use proptest::prelude::*;
use weir_engine::packet::{
    Decoder, DecoderConfig, DefragConfig, LinkType, Origin, OverlapPolicy, Tunnel,
};
use weir_engine::plan::AddrSet;

use crate::build::*;

/// A piece of a packet: offset and length in blocks of 8 bytes, and what it is filled with.
type Piece = (u16, usize, u8);

const SECOND: u64 = 1_000_000_000;

fn decoder(defrag: DefragConfig) -> Decoder {
    Decoder::new(DecoderConfig {
        defrag,
        ..DecoderConfig::default()
    })
}

fn policy(policy: OverlapPolicy) -> Decoder {
    decoder(DefragConfig {
        policy,
        ..DefragConfig::default()
    })
}

/// As ESP, whose header is any eight bytes.
fn piece4(id: u16, (offset, blocks, fill): Piece, more: bool) -> Vec<u8> {
    ipv4_with(
        50,
        id,
        offset | if more { 0x2000 } else { 0 },
        &[],
        &vec![fill; blocks * 8],
    )
}

fn piece6((offset, blocks, fill): Piece, more: bool) -> Vec<u8> {
    let word = (offset << 3 | u16::from(more)).to_be_bytes();
    ipv6(
        44,
        &concat(&[&[50, 0], &word, &[0, 0, 0, 7], &vec![fill; blocks * 8]]),
    )
}

/// The packets of a frame that were put together.
fn whole(seen: Vec<Seen>) -> Option<Seen> {
    seen.into_iter()
        .find(|packet| packet.origin == Origin::Reassembled)
}

/// The fragments of the Novak paper: nine that do not overlap, then eight that do, the last of them the end.
const NOVAK: [Piece; 17] = [
    (0, 3, b'1'),
    (4, 2, b'2'),
    (6, 3, b'3'),
    (10, 1, b'a'),
    (13, 2, b'b'),
    (15, 3, b'c'),
    (18, 2, b'd'),
    (20, 2, b'e'),
    (22, 1, b'f'),
    (1, 4, b'4'),
    (6, 3, b'5'),
    (9, 3, b'6'),
    (12, 3, b'7'),
    (16, 1, b'8'),
    (19, 1, b'9'),
    (20, 1, b'A'),
    (22, 2, b'B'),
];

#[test]
fn overlaps_fall_to_whom_the_policy_says() {
    let cases = [
        (OverlapPolicy::Bsd, "111442333666777cccddeefB"),
        (OverlapPolicy::BsdRight, "1444225556a67bbc8cd9AeBB"),
        (OverlapPolicy::Linux, "111442555666777cccddAeBB"),
        (OverlapPolicy::Windows, "1114223336667bbcccddeefB"),
        (OverlapPolicy::Solaris, "111422333666777cccddeefB"),
        (OverlapPolicy::First, "1114223336a67bbcccddeefB"),
        (OverlapPolicy::Last, "144442555666777c8cd9AeBB"),
    ];
    for (name, expected) in cases {
        for v6 in [false, true] {
            let mut decoder = policy(name);
            let mut got = None;
            for (at, &piece) in NOVAK.iter().enumerate() {
                let more = at + 1 < NOVAK.len();
                let frame = if v6 {
                    piece6(piece, more)
                } else {
                    piece4(1, piece, more)
                };
                let seen = feed(&mut decoder, LinkType::RAW, 1, 0, &frame);
                let overlap = if v6 {
                    "ipv6.frag_overlap"
                } else {
                    "ipv4.frag_overlap"
                };
                let own = seen.last().expect("the fragment itself");
                assert_eq!(
                    own.events.contains(&overlap),
                    at >= 9,
                    "{name:?}, fragment {at}"
                );
                got = whole(seen);
                assert_eq!(got.is_some(), !more, "{name:?}, fragment {at}");
            }
            let bytes = bytes(&got.expect("complete"));
            assert!(
                bytes
                    .chunks(8)
                    .all(|block| block.iter().all(|byte| *byte == block[0])),
                "{name:?}"
            );
            let blocks: String = bytes.chunks(8).map(|block| char::from(block[0])).collect();
            assert_eq!(blocks, expected, "{name:?}, v6 {v6}");
        }
    }
}

/// What a reassembled packet carries.
fn bytes(packet: &Seen) -> Vec<u8> {
    concat(&[&packet.header, &packet.payload])
}

#[test]
fn hosts_have_policies_of_their_own() {
    let address = |last: u8| IpAddr::from([10, 0, 0, last]);
    let hosts = vec![
        (
            AddrSet::prefix(address(9), 32).expect("a prefix"),
            OverlapPolicy::First,
        ),
        (
            AddrSet::prefix(address(2), 32).expect("a prefix"),
            OverlapPolicy::Last,
        ),
    ];
    let mut decoder = decoder(DefragConfig {
        hosts,
        ..DefragConfig::default()
    });
    feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &piece4(1, (0, 2, b'o'), true),
    );
    let got = whole(feed(
        &mut decoder,
        LinkType::RAW,
        2,
        0,
        &piece4(1, (1, 2, b'n'), false),
    ));
    assert_eq!(
        bytes(&got.expect("complete")),
        concat(&[&[b'o'; 8], &[b'n'; 16]])
    );
}

#[test]
fn the_whole_packet_has_the_first_header_and_the_last_number() {
    let mut decoder = Decoder::default();
    let datagram = udp(1000, 2000, &[7; 24]);
    let (head, tail) = datagram.split_at(16);
    let options = [0x94, 4, 0, 0, 0, 0, 0, 0];
    let tag = |inner: &[u8]| ethernet(0x8100, &concat(&[&[0, 5, 8, 0], inner]));
    let last = tag(&ipv4_with(17, 77, 2, &[], tail));
    let first = tag(&ipv4_with(17, 77, 0x2000, &options, head));

    let seen = feed(&mut decoder, LinkType::ETHERNET, 10, SECOND, &last);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].fragment && seen[0].uninspected && seen[0].transport == "none");
    assert_eq!((seen[0].payload.as_slice(), seen[0].proto), (tail, 17));

    let seen = feed(&mut decoder, LinkType::ETHERNET, 11, 2 * SECOND, &first);
    assert_eq!(
        seen.iter().map(|packet| packet.origin).collect::<Vec<_>>(),
        [Origin::Reassembled, Origin::Wire]
    );
    let packet = &seen[0];
    assert_eq!(
        (
            packet.number,
            packet.ts_ns,
            packet.depth,
            packet.vlan.as_slice()
        ),
        (11, 2 * SECOND, 0, &[5][..])
    );
    assert_eq!(
        (packet.transport, packet.ports, packet.payload.as_slice()),
        ("udp", (1000, 2000), &[7; 24][..])
    );
    assert!(!packet.fragment && !packet.uninspected && packet.events.is_empty());
    assert_eq!(
        (packet.src, packet.dst),
        (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
    );
    let header = &packet.net_header;
    assert_eq!(
        (header.len(), &header[20..], &header[6..8]),
        (28, &options[..], &[0, 0][..])
    );
    assert_eq!(u16::from_be_bytes([header[2], header[3]]), 28 + 32);
    assert_eq!(checksum(header), 0, "the checksum fits the new header");
}

#[test]
fn an_ipv6_fragment_header_is_taken_out_of_the_chain() {
    let datagram = udp(1000, 2000, &[7; 24]);
    let (head, tail) = datagram.split_at(16);
    for chain in [&[][..], &[44, 0, 5, 2, 0, 0, 0, 0]] {
        let next = if chain.is_empty() { 44 } else { 0 };
        let mut decoder = Decoder::default();
        let first = ipv6(next, &concat(&[chain, &[17, 0, 0, 1, 0, 0, 0, 1], head]));
        let second = ipv6(next, &concat(&[chain, &[17, 0, 0, 16, 0, 0, 0, 1], tail]));
        assert!(whole(feed(&mut decoder, LinkType::RAW, 1, 0, &first)).is_none());
        let packet = whole(feed(&mut decoder, LinkType::RAW, 2, 0, &second)).expect("complete");
        assert_eq!(
            (packet.transport, packet.payload.as_slice()),
            ("udp", &[7; 24][..])
        );
        assert_eq!(packet.net_header.len(), 40 + chain.len());
        assert_eq!(packet.net_header[if chain.is_empty() { 6 } else { 40 }], 17);
    }
}

#[test]
fn fragments_of_different_packets_stay_apart() {
    let base = piece4(1, (1, 1, b'x'), false);
    let change = |at: usize| {
        let mut frame = base.clone();
        frame[at] ^= 1;
        ethernet(0x0800, &frame)
    };
    // Source, destination, identification, protocol; then another VLAN.
    let mut others: Vec<_> = [15, 19, 5, 9].map(change).to_vec();
    others.push(ethernet(0x8100, &concat(&[&[0, 5, 8, 0], &base])));
    for other in others {
        let mut decoder = Decoder::default();
        feed(
            &mut decoder,
            LinkType::ETHERNET,
            1,
            0,
            &ethernet(0x0800, &piece4(1, (0, 1, b'x'), true)),
        );
        assert!(whole(feed(&mut decoder, LinkType::ETHERNET, 2, 0, &other)).is_none());
        assert!(
            whole(feed(
                &mut decoder,
                LinkType::ETHERNET,
                3,
                0,
                &ethernet(0x0800, &base)
            ))
            .is_some()
        );
    }
}

#[test]
fn a_reassembled_packet_may_be_a_tunnel() {
    let inner = ipv4(17, &udp(1, 2, b"deep"));
    let (head, tail) = inner.split_at(16);
    let mut decoder = Decoder::default();
    feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &ipv4_with(4, 9, 0x2000, &[], head),
    );
    let seen = feed(
        &mut decoder,
        LinkType::RAW,
        2,
        0,
        &ipv4_with(4, 9, 2, &[], tail),
    );
    let kinds: Vec<_> = seen
        .iter()
        .map(|packet| (packet.origin, packet.depth))
        .collect();
    assert_eq!(
        kinds,
        [
            (Origin::Tunnel(Tunnel::Ipv4), 1),
            (Origin::Reassembled, 0),
            (Origin::Wire, 0)
        ]
    );
    let carriers: Vec<_> = seen
        .iter()
        .map(|packet| packet.carrier.map(|carrier| carrier.proto))
        .collect();
    assert_eq!(
        carriers,
        [Some(4), Some(4), None],
        "the fragment carries both"
    );
    assert_eq!(seen[0].payload, b"deep");
}

#[test]
fn too_large_and_empty_fragments_are_not_kept() {
    let seen = outer(LinkType::RAW, &ipv4_with(50, 1, 8183, &[], &[0; 71]));
    assert_eq!(seen.events, ["ipv4.frag_pkt_too_large"]);
    let seen = outer(
        LinkType::RAW,
        &ipv6(44, &concat(&[&[50, 0, 0xff, 0xf8, 0, 0, 0, 1], &[0; 8]])),
    );
    assert_eq!(seen.events, ["ipv6.frag_pkt_too_large"]);
    let mut decoder = Decoder::default();
    feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &ipv4_with(50, 1, 1, &[], &[]),
    );
    assert!(
        whole(feed(
            &mut decoder,
            LinkType::RAW,
            2,
            0,
            &piece4(1, (0, 1, b'x'), true)
        ))
        .is_none()
    );
}

#[test]
fn bytes_behind_the_end_do_not_hold_a_packet_up() {
    let mut decoder = Decoder::default();
    feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &piece4(1, (9, 1, b'z'), true),
    );
    feed(
        &mut decoder,
        LinkType::RAW,
        2,
        0,
        &piece4(1, (0, 1, b'x'), true),
    );
    let packet = whole(feed(
        &mut decoder,
        LinkType::RAW,
        3,
        0,
        &piece4(1, (1, 1, b'y'), false),
    ))
    .expect("complete");
    assert_eq!(bytes(&packet), concat(&[&[b'x'; 8], &[b'y'; 8]]));
}

#[test]
fn packets_time_out() {
    let mut decoder = Decoder::default();
    feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &piece4(1, (0, 1, b'o'), true),
    );
    assert!(
        whole(feed(
            &mut decoder,
            LinkType::RAW,
            2,
            61 * SECOND,
            &piece4(1, (1, 1, b'n'), false)
        ))
        .is_none()
    );
    assert_eq!(decoder.counters().defrag.timed_out, 1);
    // The tail begins a packet of its own, which goes on for a minute after each of its fragments.
    assert!(
        whole(feed(
            &mut decoder,
            LinkType::RAW,
            3,
            120 * SECOND,
            &piece4(1, (0, 1, b'n'), true)
        ))
        .is_some()
    );
}

/// An attacker may keep the oldest packet alive; it must not keep what lies behind it alive as well.
#[test]
fn a_packet_times_out_behind_an_older_one_that_lives() {
    let mut decoder = Decoder::default();
    let mut feed = |second: u64, piece: Vec<u8>| {
        let seen = feed(&mut decoder, LinkType::RAW, 1, second * SECOND, &piece);
        whole(seen)
    };
    feed(0, piece4(1, (0, 1, b'l'), true));
    feed(0, piece4(2, (0, 1, b'o'), true));
    feed(50, piece4(1, (1, 1, b'l'), true));
    // The receiver has given up the start of the second by now.
    assert!(feed(100, piece4(2, (1, 1, b'n'), false)).is_none());
    let packet = feed(101, piece4(2, (0, 1, b'n'), true)).expect("complete");
    assert_eq!(bytes(&packet), b"nnnnnnnnnnnnnnnn");
    assert!(feed(102, piece4(1, (2, 1, b'l'), false)).is_some());
    assert_eq!(decoder.counters().defrag.timed_out, 1);
}

#[test]
fn the_oldest_packets_make_room() {
    for config in [
        DefragConfig {
            max_trackers: 10,
            ..DefragConfig::default()
        },
        // Ten trackers with a fragment of 8 bytes and its header each.
        DefragConfig {
            max_bytes: 11_000,
            ..DefragConfig::default()
        },
    ] {
        let mut decoder = decoder(config);
        for id in 0..100 {
            feed(
                &mut decoder,
                LinkType::RAW,
                1,
                0,
                &piece4(id, (0, 1, b'x'), true),
            );
        }
        assert_eq!(decoder.counters().defrag.evicted, 90);
        for id in 90..100 {
            let seen = feed(
                &mut decoder,
                LinkType::RAW,
                2,
                0,
                &piece4(id, (1, 1, b'x'), false),
            );
            // Room for the second fragment is taken from the others.
            assert!(whole(seen).is_some() || id > 90, "{id}");
        }
    }
}

#[test]
fn a_flood_of_overlaps_is_bounded() {
    let mut decoder = policy(OverlapPolicy::Last);
    let mut ignored = false;
    for _ in 0..20_000 {
        let seen = feed(
            &mut decoder,
            LinkType::RAW,
            1,
            0,
            &piece4(1, (0, 100, b'x'), true),
        );
        ignored |= seen[0].events.contains(&"ipv4.frag_ignored");
    }
    assert!(ignored && decoder.counters().defrag.ignored > 19_000);
    let mut decoder = self::decoder(DefragConfig {
        max_bytes: 100,
        ..DefragConfig::default()
    });
    let seen = feed(
        &mut decoder,
        LinkType::RAW,
        1,
        0,
        &piece4(1, (0, 1, b'x'), true),
    );
    assert_eq!(seen[0].events, ["ipv4.frag_ignored"]);
}

proptest! {
    #[test]
    fn any_division_in_any_order_gives_the_packet_back(
        payload in prop::collection::vec(any::<u8>(), 17..400),
        cuts in prop::collection::btree_set(2usize..49, 0..8),
        order in prop::collection::vec(any::<u32>(), 9),
        v6 in any::<bool>(),
        twice in any::<bool>(),
    ) {
        let datagram = udp(1000, 2000, &payload);
        let mut bounds: Vec<_> = cuts.iter().map(|cut| cut * 8).filter(|&cut| cut < datagram.len()).collect();
        bounds.splice(0..0, [0, 8]);
        bounds.push(datagram.len());
        let mut frames = Vec::new();
        for (at, bound) in bounds.windows(2).enumerate() {
            let (start, end) = (bound[0], bound[1]);
            let more = at + 2 < bounds.len();
            let data = &datagram[start..end];
            frames.push(if v6 {
                let word = (start as u16 | u16::from(more)).to_be_bytes();
                ipv6(44, &concat(&[&[17, 0], &word, &[0, 0, 0, 3], data]))
            } else {
                ipv4_with(17, 3, (start / 8) as u16 | if more { 0x2000 } else { 0 }, &[], data)
            });
        }
        let mut at = 0;
        frames.sort_by_key(|_| { at += 1; order.get(at).copied() });
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        for (number, frame) in frames.iter().enumerate() {
            // A repeated fragment changes nothing, unless it completes the packet.
            let times = if twice && number + 1 < frames.len() { 2 } else { 1 };
            for _ in 0..times {
                got.extend(whole(feed(&mut decoder, LinkType::RAW, 1, 0, frame)));
            }
        }
        prop_assert_eq!(got.len(), 1);
        prop_assert_eq!(&got[0].payload, &payload);
        prop_assert_eq!(got[0].ports, (1000, 2000));
    }
}
