//! Packets in packets.

use weir_engine::packet::{Carrier, Decoder, DecoderConfig, LinkType, Origin, Tunnel};

use crate::build::*;

fn datagram() -> Vec<u8> {
    udp(53, 5353, b"inside")
}

#[test]
fn tunnels_deliver_the_inner_packet_first() {
    let (in4, in6) = (ipv4(17, &datagram()), ipv6(17, &datagram()));
    let gre = |flags: u8, version: u8, kind: u16, rest: &[u8]| {
        concat(&[&[flags, version], &kind.to_be_bytes(), rest])
    };
    let four = |proto: u8, inner: &[u8]| ipv4(proto, inner);
    let six = |next: u8, inner: &[u8]| ipv6(next, inner);
    let vxlan = concat(&[&[8, 0, 0, 0, 0, 0, 25, 0], &ethernet(0x0800, &in4)]);
    let geneve = |kind: u16, inner: &[u8]| {
        concat(&[
            &[2, 0],
            &kind.to_be_bytes(),
            &[0, 0, 25, 0],
            &[1, 8, 0, 1, 1, 2, 3, 4],
            inner,
        ])
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("4in4", four(4, &in4)),
        ("6in4", four(41, &in6)),
        ("4in6", six(4, &in4)),
        ("6in6", six(41, &in6)),
        (
            "4in6 behind options",
            six(60, &concat(&[&[4, 0, 5, 2, 0, 0, 0, 0], &in4])),
        ),
        ("gre", four(47, &gre(0, 0, 0x0800, &in4))),
        ("gre over IPv6", six(47, &gre(0, 0, 0x86dd, &in6))),
        (
            "gre with all fields",
            four(47, &gre(0xb0, 0, 0x0800, &concat(&[&[0; 12], &in4]))),
        ),
        (
            "gre with routes",
            four(
                47,
                &gre(
                    0x40,
                    0,
                    0x0800,
                    &concat(&[&[0; 4], &[0, 1, 0, 4], &[9; 4], &[0; 4], &in4]),
                ),
            ),
        ),
        (
            "gre, bridged",
            four(47, &gre(0, 0, 0x6558, &ethernet(0x86dd, &in6))),
        ),
        (
            "gre, vlan",
            four(47, &gre(0, 0, 0x8100, &concat(&[&[0, 9, 8, 0], &in4]))),
        ),
        (
            "gre, ppp",
            four(
                47,
                &gre(
                    0x30,
                    0x81,
                    0x880b,
                    &concat(&[&[0, 9, 0, 1], &[0; 8], &[0xff, 3, 0, 0x21], &in4]),
                ),
            ),
        ),
        (
            "erspan I",
            four(47, &gre(0, 0, 0x88be, &ethernet(0x0800, &in4))),
        ),
        (
            "erspan II",
            four(
                47,
                &gre(
                    0x10,
                    0,
                    0x88be,
                    &concat(&[&[0; 4], &[0x10, 23], &[0; 6], &ethernet(0x0800, &in4)]),
                ),
            ),
        ),
        ("vxlan", four(17, &udp(40000, 4789, &vxlan))),
        ("vxlan, other direction", six(17, &udp(4789, 40000, &vxlan))),
        ("geneve", four(17, &udp(40000, 6081, &geneve(0x0800, &in4)))),
        (
            "geneve, IPv6",
            four(17, &udp(40000, 6081, &geneve(0x86dd, &in6))),
        ),
        (
            "geneve, ethernet",
            four(
                17,
                &udp(40000, 6081, &geneve(0x6558, &ethernet(0x0800, &in4))),
            ),
        ),
        ("teredo", four(17, &udp(40000, 3544, &in6))),
        (
            "teredo with origin",
            four(
                17,
                &udp(3544, 40000, &concat(&[&[0, 0, 1, 2, 3, 4, 5, 6], &in6])),
            ),
        ),
    ];
    for (name, frame) in cases {
        let packets = decode(LinkType::RAW, &frame);
        assert_eq!(packets.len(), 2, "{name}: {packets:?}");
        let (inner, outer) = (&packets[0], &packets[1]);
        assert_eq!(
            (inner.depth, inner.payload.as_slice()),
            (1, &b"inside"[..]),
            "{name}"
        );
        let kind = match name.split([' ', ',']).next() {
            Some("gre" | "erspan") => Tunnel::Gre,
            Some("vxlan") => Tunnel::Vxlan,
            Some("geneve") => Tunnel::Geneve,
            Some("teredo") => Tunnel::Teredo,
            _ if outer.src.is_ipv4() => Tunnel::Ipv4,
            _ => Tunnel::Ipv6,
        };
        assert_eq!(inner.origin, Origin::Tunnel(kind), "{name}");
        let carrier = Carrier {
            src: outer.src,
            dst: outer.dst,
            sport: outer.ports.0,
            dport: outer.ports.1,
            proto: outer.proto,
        };
        assert_eq!(inner.carrier, Some(carrier), "{name}");
        assert_eq!(outer.carrier, None, "{name}");
        assert_eq!(
            (outer.origin, outer.depth, outer.uninspected),
            (Origin::Wire, 0, true),
            "{name}"
        );
        assert!(
            inner.events.is_empty() && outer.events.is_empty() && !inner.uninspected,
            "{name}"
        );
    }
}

#[test]
fn erspan_brings_its_vlan() {
    let frame = |header: &[u8]| {
        ipv4(
            47,
            &concat(&[
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 0],
                header,
                &ethernet(0x0800, &ipv4(17, &datagram())),
            ]),
        )
    };
    assert_eq!(
        decode(LinkType::RAW, &frame(&[0x10, 23, 0, 0, 0, 0, 0, 0]))[0].vlan,
        [23]
    );
    // Type III is not decoded: the carrier alone is left.
    assert_eq!(
        decode(LinkType::RAW, &frame(&[0x20, 23, 0, 0, 0, 0, 0, 0])).len(),
        1
    );
}

#[test]
fn what_is_no_tunnel_stays_a_datagram() {
    let in4 = ipv4(17, &datagram());
    let in6 = ipv6(17, &datagram());
    let broken6 = ipv6(0, &[17, 200]);
    let cases: Vec<(&str, u16, Vec<u8>, &[&str])> = vec![
        (
            "vxlan without its flag",
            4789,
            concat(&[&[0; 8], &ethernet(0x0800, &in4)]),
            &[],
        ),
        (
            "vxlan, reserved byte",
            4789,
            concat(&[&[8, 0, 0, 0, 0, 0, 1, 1], &ethernet(0x0800, &in4)]),
            &[],
        ),
        (
            "vxlan, too short",
            4789,
            concat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &[0; 13]]),
            &[],
        ),
        (
            "geneve, version",
            6081,
            concat(&[&[0x40, 0, 8, 0, 0, 0, 1, 0], &in4]),
            &[],
        ),
        (
            "geneve, options overrun",
            6081,
            concat(&[&[1, 0, 8, 0, 0, 0, 1, 0], &[0, 0, 0, 1], &in4]),
            &[],
        ),
        (
            "geneve, unknown",
            6081,
            concat(&[&[0, 0, 9, 9, 0, 0, 1, 0], &in4]),
            &["geneve.unknown_payload_type"],
        ),
        ("teredo, wrong length", 3544, concat(&[&in6, &[0]]), &[]),
        (
            "teredo, authentication",
            3544,
            concat(&[&[0, 1], &in6]),
            &[],
        ),
        ("teredo, broken inside", 3544, broken6, &[]),
        (
            "another port",
            4790,
            concat(&[&[8, 0, 0, 0, 0, 0, 25, 0], &ethernet(0x0800, &in4)]),
            &[],
        ),
    ];
    for (name, port, payload, events) in cases {
        let packets = decode(LinkType::RAW, &ipv4(17, &udp(40000, port, &payload)));
        assert_eq!(packets.len(), 1, "{name}");
        assert_eq!(
            (packets[0].payload.as_slice(), packets[0].uninspected),
            (&payload[..], false),
            "{name}"
        );
        assert_eq!(packets[0].events, *events, "{name}");
    }
}

#[test]
fn ports_are_configured() {
    let frame = ipv4(
        17,
        &udp(
            40000,
            9999,
            &concat(&[
                &[8, 0, 0, 0, 0, 0, 25, 0],
                &ethernet(0x0800, &ipv4(17, &datagram())),
            ]),
        ),
    );
    let config = DecoderConfig {
        vxlan_ports: vec![1, 9999],
        ..DecoderConfig::default()
    };
    assert_eq!(
        feed(&mut Decoder::new(config), LinkType::RAW, 1, 0, &frame).len(),
        2
    );
}

#[test]
fn broken_gre_stays_gre() {
    let in4 = ipv4(17, &datagram());
    let key = [0u8; 4];
    let cases: &[(&[u8], &str)] = &[
        (&[0, 0, 8], "gre.pkt_too_small"),
        (&[0, 2, 8, 0], "gre.wrong_version"),
        (&[1, 0, 8, 0], "gre.version0_recur"),
        (&[0, 8, 8, 0], "gre.version0_flags"),
        (&[0x20, 0, 8, 0, 0], "gre.version0_hdr_too_big"),
        (
            &[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0, 9],
            "gre.version0_malformed_sre_hdr",
        ),
        (&[0xa0, 1, 0x88, 0x0b], "gre.version1_chksum"),
        (&[0x60, 1, 0x88, 0x0b], "gre.version1_route"),
        (&[0x28, 1, 0x88, 0x0b], "gre.version1_ssr"),
        (&[0x21, 1, 0x88, 0x0b], "gre.version1_recur"),
        (&[0x20, 9, 0x88, 0x0b], "gre.version1_flags"),
        (&[0x20, 1, 8, 0], "gre.version1_wrong_protocol"),
        (&[0, 1, 0x88, 0x0b], "gre.version1_no_key"),
        (&[0x20, 1, 0x88, 0x0b, 0, 0, 0], "gre.version1_hdr_too_big"),
    ];
    for (header, event) in cases {
        let packets = decode(LinkType::RAW, &ipv4(47, header));
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].events, [*event]);
        assert_eq!(
            (packets[0].net, packets[0].proto, packets[0].invalid),
            ("ipv4", 47, false)
        );
    }
    // A mere acknowledgement carries nothing.
    let packets = decode(
        LinkType::RAW,
        &ipv4(47, &concat(&[&[0x20, 1, 0x88, 0x0b], &key, &in4])),
    );
    assert_eq!((packets.len(), packets[0].events.len()), (1, 0));
}

#[test]
fn what_does_not_decode_inside_is_no_packet() {
    let cut = &ipv4(17, &datagram())[..20];
    let packets = decode(LinkType::RAW, &ipv4(4, cut));
    assert_eq!((packets.len(), packets[0].uninspected), (1, false));
    assert_eq!(
        decode(LinkType::RAW, &ipv6(4, &[0x60; 20]))
            .remove(0)
            .events,
        ["ipv6.ipv4_in_ipv6_wrong_version"]
    );
    assert_eq!(
        decode(LinkType::RAW, &ipv6(4, &[0x40; 19]))
            .remove(0)
            .events,
        ["ipv6.ipv4_in_ipv6_too_small"]
    );
    assert_eq!(
        decode(LinkType::RAW, &ipv6(41, &[0x40; 40]))
            .remove(0)
            .events,
        ["ipv6.ipv6_in_ipv6_wrong_version"]
    );
    assert_eq!(
        decode(LinkType::RAW, &ipv6(41, &[0x60; 39]))
            .remove(0)
            .events,
        ["ipv6.ipv6_in_ipv6_too_small"]
    );
}

#[test]
fn nesting_is_bounded() {
    let mut frame = ipv4(17, &datagram());
    for _ in 0..40 {
        frame = ipv4(4, &frame);
    }
    let packets = decode(LinkType::RAW, &frame);
    assert_eq!(packets.len(), 15, "the sixteenth layer is one too many");
    let depths: Vec<_> = packets.iter().map(|packet| packet.depth).collect();
    assert_eq!(depths, (0..15).rev().collect::<Vec<_>>(), "innermost first");
}
