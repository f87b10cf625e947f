//! What IP carries.

use weir_engine::packet::{Decoder, Frame, LinkType};

use crate::build::*;

fn v4(proto: u8, inner: &[u8]) -> Seen {
    outer(LinkType::IPV4, &ipv4(proto, inner))
}

fn icmp6(hops: u8, kind: u8, code: u8, rest: &[u8]) -> Seen {
    outer(
        LinkType::IPV6,
        &ipv6_hops(58, hops, &concat(&[&[kind, code, 0, 0], rest])),
    )
}

#[test]
fn tcp_lengths_and_options() {
    let seen = v4(6, &tcp(&[1, 1, 1, 0], b"data"));
    assert_eq!(
        (seen.transport, seen.header.len(), seen.payload.as_slice()),
        ("tcp", 24, &b"data"[..])
    );
    assert_eq!(seen.ports, (1024, 80));

    let mut short = tcp(&[], b"");
    short[12] = 0x40;
    let mut long = tcp(&[], b"");
    long[12] = 0x60;
    for (segment, event) in [
        (tcp(&[], b"")[..19].to_vec(), "tcp.pkt_too_small"),
        (long, "tcp.hlen_too_small"),
        (short, "tcp.invalid_optlen"),
    ] {
        let seen = v4(6, &segment);
        assert_eq!(seen.events, [event]);
        // IP rules still see the packet.
        assert_eq!(
            (seen.transport, seen.net, seen.proto, seen.invalid),
            ("none", "ipv4", 6, false)
        );
    }

    let cases: &[(&[u8], &[&str])] = &[
        (&[2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 0, 0], &[]),
        (&[2, 3, 5, 0], &["tcp.opt_invalid_len"]),
        (&[2, 40, 5, 0xb4], &["tcp.opt_invalid_len"]),
        (&[2, 1, 5, 0xb4], &["tcp.opt_invalid_len"]),
        (&[1, 1, 1, 2], &[]),
        (&[4, 2, 4, 2], &["tcp.opt_duplicate"]),
        (&[5, 2, 0, 0], &[]),
        (&[5, 4, 0, 0], &["tcp.opt_invalid_len"]),
        (&[34, 2, 0, 0], &[]),
        (&[34, 3, 0, 0], &["tcp.opt_invalid_len"]),
        (&[254, 4, 0xf9, 0x89, 34, 2, 0, 0], &["tcp.opt_duplicate"]),
        (&[254, 4, 0x12, 0x34, 34, 2, 0, 0], &[]),
        (&[29, 3, 0, 0], &["tcp.opt_invalid_len"]),
        (&[19, 4, 0, 0], &["tcp.opt_invalid_len"]),
        (&[99, 4, 0, 0], &[]),
    ];
    for (options, events) in cases {
        let seen = v4(6, &tcp(options, b"x"));
        assert_eq!(
            (seen.events.as_slice(), seen.transport),
            (*events, "tcp"),
            "{options:02x?}"
        );
    }
}

#[test]
fn udp_ends_where_its_length_says() {
    let mut datagram = udp(1, 2, b"data");
    datagram.extend_from_slice(b"trailer");
    assert_eq!(v4(17, &datagram).payload, b"data");

    let with_length = |length: u8| {
        let mut datagram = udp(1, 2, b"data");
        datagram[5] = length;
        v4(17, &datagram)
    };
    assert_eq!(with_length(13).events, ["udp.pkt_too_small"]);
    assert_eq!(with_length(7).events, ["udp.len_invalid"]);
    assert_eq!(v4(17, &[0; 7]).events, ["udp.hlen_too_small"]);
    assert_eq!(
        (with_length(7).transport, with_length(7).net),
        ("none", "ipv4")
    );
    assert_eq!(
        (with_length(8).transport, with_length(8).payload.len()),
        ("udp", 0)
    );
}

#[test]
fn sctp_esp_and_unknown_protocols() {
    let seen = v4(132, &concat(&[&[0, 7, 0, 9], &[0; 8], b"chunk"]));
    assert_eq!(
        (seen.transport, seen.ports, seen.payload.as_slice()),
        ("sctp", (7, 9), &b"chunk"[..])
    );
    assert_eq!(v4(132, &[0; 11]).events, ["sctp.pkt_too_small"]);
    let seen = v4(50, &[0; 20]);
    assert_eq!(
        (seen.transport, seen.header.len(), seen.payload.len()),
        ("esp", 8, 12)
    );
    assert_eq!(v4(50, &[0; 7]).events, ["esp.pkt_too_small"]);
    let seen = v4(89, &[0; 20]);
    assert_eq!(
        (seen.transport, seen.proto, seen.payload.len()),
        ("none", 89, 0)
    );
    let seen = v4(58, &[0; 20]);
    assert_eq!(
        (seen.events.as_slice(), seen.transport, seen.net),
        (&["ipv4.icmpv6"][..], "none", "ipv4")
    );
}

#[test]
fn igmp_headers_hold_sources_and_groups() {
    let seen = v4(2, &[0x16, 0, 0, 0, 224, 0, 0, 5, 9]);
    assert_eq!(
        (seen.transport, seen.header.len(), seen.payload.len()),
        ("igmp", 8, 1)
    );
    let query = [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 10, 0, 0, 9, 7];
    let seen = v4(2, &query);
    assert_eq!((seen.header.len(), seen.payload.len()), (16, 1));
    assert_eq!(v4(2, &query[..15]).events, ["igmp.v3_pkt_too_small"]);
    let report = [
        0x22, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 224, 0, 0, 9, 10, 0, 0, 1,
    ];
    assert_eq!(v4(2, &report).header.len(), 20);
    assert_eq!(v4(2, &report[..19]).events, ["igmp.malformed"]);
    assert_eq!(v4(2, &report[..15]).events, ["igmp.v3_pkt_too_small"]);
    assert_eq!(v4(2, &[0x11; 7]).events, ["igmp.pkt_too_small"]);
}

#[test]
fn icmpv4_types_codes_and_quotes() {
    let quoted = ipv4(17, &udp(1, 2, b""));
    let message = |kind: u8, code: u8, rest: &[u8]| v4(1, &concat(&[&[kind, code, 0, 0], rest]));
    let error = |kind: u8, code: u8, quote: &[u8]| message(kind, code, &concat(&[&[0; 4], quote]));
    for (seen, events) in [
        (message(8, 0, &[0; 4]), &[][..]),
        (message(8, 1, &[0; 4]), &["icmpv4.unknown_code"]),
        (message(42, 0, &[0; 4]), &["icmpv4.unknown_type"]),
        (error(3, 15, &quoted), &[]),
        (error(3, 16, &quoted), &["icmpv4.unknown_code"]),
        (error(3, 1, &quoted[..19]), &["icmpv4.ipv4_trunc_pkt"]),
        (error(3, 1, &[]), &[]),
        (error(4, 0, &[]), &["icmpv4.ipv4_trunc_pkt"]),
        (error(5, 4, &quoted), &["icmpv4.unknown_code"]),
        (error(11, 1, &quoted), &[]),
        (error(12, 0, &[0x60; 20]), &["icmpv4.ipv4_unknown_ver"]),
        (message(13, 0, &[0; 15]), &["icmpv4.ipv4_trunc_pkt"]),
    ] {
        assert_eq!(seen.events, *events, "{:02x?}", seen.header);
        assert_eq!((seen.transport, seen.invalid), ("icmp4", false));
    }
    assert_eq!(v4(1, &[8; 7]).events, ["icmpv4.pkt_too_small"]);
    // The header grows with the type; what is inspected does not.
    let advertisement = message(9, 0, &[1, 2, 0, 10, 14, 80, 84, 66, 0, 0, 0, 0, 5]);
    assert_eq!(
        (advertisement.header.len(), advertisement.payload.len()),
        (16, 9)
    );
    assert_eq!(message(13, 0, &[0; 16]).header.len(), 20);
}

#[test]
fn icmpv6_types_codes_and_quotes() {
    let quoted = ipv6(17, &udp(1, 2, b""));
    let error =
        |kind: u8, code: u8, quote: &[u8]| icmp6(64, kind, code, &concat(&[&[0; 4], quote]));
    for (seen, events) in [
        (icmp6(64, 128, 0, &[0; 4]), &[][..]),
        (icmp6(64, 128, 1, &[0; 4]), &["icmpv6.unknown_code"]),
        (error(1, 7, &quoted), &["icmpv6.unknown_code"]),
        (error(2, 0, &quoted), &[]),
        (error(3, 0, &quoted[..39]), &["icmpv6.ipv6_trunc_pkt"]),
        (error(4, 2, &[0x40; 40]), &["icmpv6.ipv6_unknown_version"]),
        (icmp6(1, 131, 0, &[0; 20]), &[]),
        (
            icmp6(64, 131, 0, &[0; 20]),
            &["icmpv6.mld_message_with_invalid_hl"],
        ),
        (icmp6(64, 155, 132, &[0; 4]), &[]),
        (icmp6(64, 155, 4, &[0; 4]), &["icmpv6.unknown_code"]),
        (icmp6(64, 100, 0, &[0; 4]), &["icmpv6.experimentation_type"]),
        (icmp6(64, 202, 0, &[0; 4]), &["icmpv6.unassigned_type"]),
        (icmp6(64, 127, 0, &[0; 4]), &["icmpv6.unknown_type"]),
    ] {
        assert_eq!(seen.events, *events, "{:02x?}", seen.header);
        assert_eq!((seen.transport, seen.header.len()), ("icmp6", 8));
    }
    assert_eq!(icmp6(64, 128, 0, &[0; 3]).events, ["icmpv6.pkt_too_small"]);

    let frame = ipv6(58, &concat(&[&[2, 0, 0, 0, 0, 0, 5, 0], &quoted]));
    let mut mtu = None;
    Decoder::default().decode(
        Frame {
            ts_ns: 0,
            number: 1,
            link: LinkType::RAW,
            data: &frame,
            wire_len: 0,
            ..Frame::default()
        },
        &mut |packet| {
            mtu = packet.icmp6_mtu();
        },
    );
    assert_eq!(mtu, Some(1280));
}

#[test]
fn checksums_are_verified_on_request() {
    let pseudo = |proto: u8, src: &[u8], dst: &[u8], segment: &[u8]| {
        checksum(&concat(&[
            src,
            dst,
            &(segment.len() as u32).to_be_bytes(),
            &[0, 0, 0, proto],
            segment,
        ]))
    };
    let (a4, b4) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (mut a6, mut b6) = ([0u8; 16], [0u8; 16]);
    for (address, last) in [(&mut a6, 1), (&mut b6, 2)] {
        address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        address[15] = last;
    }
    // An odd length, so that the padding counts.
    let mut over4: Vec<(u8, Vec<u8>, usize)> =
        vec![(6, tcp(&[], b"odd"), 16), (17, udp(1, 2, b"odd"), 6)];
    for (proto, segment, at) in &mut over4 {
        let sum = pseudo(*proto, &a4, &b4, segment);
        segment[*at..*at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let mut echo = vec![8, 0, 0, 0, 0, 1, 0, 1, 9];
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    over4.push((1, echo, 2));
    for (proto, segment, at) in over4 {
        assert!(
            !verified(LinkType::IPV4, &ipv4(proto, &segment)).bad_checksum,
            "{proto}"
        );
        let mut wrong = segment.clone();
        wrong[at] ^= 0x55;
        assert!(
            verified(LinkType::IPV4, &ipv4(proto, &wrong)).bad_checksum,
            "{proto}"
        );
        assert!(
            !outer(LinkType::IPV4, &ipv4(proto, &wrong)).bad_checksum,
            "not asked for"
        );
    }
    let mut echo = vec![128, 0, 0, 0, 0, 1, 0, 1];
    let sum = pseudo(58, &a6, &b6, &echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    assert!(!verified(LinkType::IPV6, &ipv6(58, &echo)).bad_checksum);
    echo[7] = 2;
    assert!(verified(LinkType::IPV6, &ipv6(58, &echo)).bad_checksum);
    // None at all is no mistake in UDP.
    assert!(!verified(LinkType::IPV4, &ipv4(17, &udp(1, 2, b"x"))).bad_checksum);
    let mut header = ipv4(89, &[]);
    header[10] ^= 1;
    assert!(verified(LinkType::IPV4, &header).bad_checksum);
}
