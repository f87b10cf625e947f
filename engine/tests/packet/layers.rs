//! Link layers and what lies between them and IP.

use weir_engine::packet::{DecoderEvent, LinkType, Origin};

use crate::build::*;

fn inner() -> Vec<u8> {
    ipv4(17, &udp(53, 5353, b"hello"))
}

#[test]
fn every_way_down_to_ip_ends_at_the_same_datagram() {
    let ip = inner();
    let ip6 = ipv6(17, &udp(53, 5353, b"hello"));
    let mac = [0u8; 12];
    let cases: &[(&str, LinkType, Vec<u8>)] = &[
        ("ethernet", LinkType::ETHERNET, ethernet(0x0800, &ip)),
        ("ethernet, IPv6", LinkType::ETHERNET, ethernet(0x86dd, &ip6)),
        (
            "ethernet with a trailer",
            LinkType::ETHERNET,
            ethernet(0x0800, &concat(&[&ip, &[0; 9]])),
        ),
        ("raw 12", LinkType::RAW_12, ip.clone()),
        ("raw 14", LinkType::RAW_14, ip6.clone()),
        ("raw", LinkType::RAW, ip.clone()),
        ("raw, IPv6", LinkType::RAW, ip6.clone()),
        ("IPv4", LinkType::IPV4, ip.clone()),
        ("IPv6", LinkType::IPV6, ip6.clone()),
        (
            "cooked",
            LinkType::LINUX_SLL,
            concat(&[&[0; 14], &[0x08, 0], &ip]),
        ),
        (
            "cooked 2",
            LinkType::LINUX_SLL2,
            concat(&[&[0x86, 0xdd], &[0; 18], &ip6]),
        ),
        (
            "null, little endian",
            LinkType::NULL,
            concat(&[&[2, 0, 0, 0], &ip]),
        ),
        (
            "null, big endian, macOS",
            LinkType::NULL,
            concat(&[&[0, 0, 0, 30], &ip6]),
        ),
        ("loop", LinkType::LOOP, concat(&[&[0, 0, 0, 24], &ip6])),
        ("hdlc", LinkType::CHDLC, concat(&[&[0x0f, 0, 0x08, 0], &ip])),
        (
            "ppp in hdlc framing",
            LinkType::PPP,
            concat(&[&[0xff, 0x03, 0x00, 0x21], &ip]),
        ),
        ("ppp, bare", LinkType::PPP, concat(&[&[0x00, 0x57], &ip6])),
        ("ppp, compressed", LinkType::PPP, concat(&[&[0x21], &ip])),
        (
            "ppp, van jacobson uncompressed",
            LinkType::PPP,
            concat(&[&[0x2f], &ip]),
        ),
        (
            "pppoe",
            LinkType::ETHERNET,
            ethernet(0x8864, &concat(&[&[0x11, 0, 0, 1, 0, 35, 0, 0x21], &ip])),
        ),
        (
            "mpls",
            LinkType::ETHERNET,
            ethernet(0x8847, &concat(&[&[0, 0x10, 0, 9, 0, 0x20, 1, 9], &ip])),
        ),
        (
            "mpls, explicit null",
            LinkType::ETHERNET,
            ethernet(0x8848, &concat(&[&[0, 0, 0x21, 9], &ip6])),
        ),
        (
            "mpls pseudowire",
            LinkType::ETHERNET,
            ethernet(
                0x8847,
                &concat(&[&[0, 0x20, 1, 9, 0, 0, 0, 0], &ethernet(0x0800, &ip)]),
            ),
        ),
        (
            "802.1ah",
            LinkType::ETHERNET,
            ethernet(0x88e7, &concat(&[&[0; 4], &mac, &[0x08, 0], &ip])),
        ),
        (
            "vn-tag",
            LinkType::ETHERNET,
            ethernet(0x8926, &concat(&[&[0; 4], &[0x08, 0], &ip])),
        ),
        (
            "fabric path",
            LinkType::ETHERNET,
            ethernet(0x8903, &concat(&[&[0, 0], &ethernet(0x0800, &ip)])),
        ),
        (
            "nsh",
            LinkType::ETHERNET,
            ethernet(0x894f, &concat(&[&[0x0f, 0xc2, 2, 1, 0, 0, 1, 1], &ip])),
        ),
        (
            "nsh, fixed metadata, ethernet",
            LinkType::ETHERNET,
            ethernet(
                0x894f,
                &concat(&[&[0, 6, 1, 3, 0, 0, 1, 1], &[0; 16], &ethernet(0x86dd, &ip6)]),
            ),
        ),
    ];
    for (name, link, frame) in cases {
        let packets = decode(*link, frame);
        assert_eq!(packets.len(), 1, "{name}");
        let packet = &packets[0];
        assert_eq!(packet.events, [""; 0], "{name}");
        assert_eq!(
            (packet.transport, packet.payload.as_slice()),
            ("udp", &b"hello"[..]),
            "{name}"
        );
        assert_eq!(
            (packet.ports, packet.proto, packet.origin),
            ((53, 5353), 17, Origin::Wire),
            "{name}"
        );
        assert!(!packet.invalid && !packet.uninspected, "{name}");
    }
}

#[test]
fn vlan_tags_are_kept_outermost_first_and_three_at_most() {
    let tag = |id: u16, next: u16| concat(&[&(0x6000 | id).to_be_bytes(), &next.to_be_bytes()]);
    let frame = ethernet(
        0x88a8,
        &concat(&[
            &tag(100, 0x8100),
            &tag(200, 0x9100),
            &tag(300, 0x0800),
            &inner(),
        ]),
    );
    let packet = outer(LinkType::ETHERNET, &frame);
    assert_eq!(
        (packet.vlan, packet.payload),
        (vec![100, 200, 300], b"hello".to_vec())
    );

    let frame = ethernet(
        0x8100,
        &concat(&[
            &tag(1, 0x8100),
            &tag(2, 0x8100),
            &tag(3, 0x8100),
            &tag(4, 0x0800),
            &inner(),
        ]),
    );
    let packet = outer(LinkType::ETHERNET, &frame);
    assert_eq!((packet.vlan, packet.net), (vec![1, 2, 3], "none"));
    assert_eq!(packet.events, ["vlan.too_many_layers"]);
}

/// A frame and what it starts with.
type Broken = (LinkType, Vec<u8>);

#[test]
fn broken_layers_say_what_is_wrong() {
    let ip = inner();
    let eth = |kind: u16, inner: &[u8]| (LinkType::ETHERNET, ethernet(kind, inner));
    let cases: &[(Broken, &[&str], bool)] = &[
        (
            (LinkType::ETHERNET, vec![0; 13]),
            &["ethernet.pkt_too_small"],
            true,
        ),
        // 802.3: a length in place of the type. Odd, but nothing wrong.
        (eth(46, &[0xaa; 46]), &["ethernet.unknown_ethertype"], false),
        (eth(0x8100, &[0, 1, 8]), &["vlan.header_too_small"], true),
        (
            eth(0x8100, &[0, 1, 0xff, 0xff]),
            &["ethernet.unknown_ethertype", "vlan.unknown_type"],
            true,
        ),
        (
            eth(0x88e7, &[0; 17]),
            &["ieee8021ah.header_too_small"],
            true,
        ),
        (eth(0x8926, &[0; 5]), &["vntag.header_too_small"], true),
        (
            eth(0x8926, &[0, 0, 0, 0, 0xff, 0xff]),
            &["ethernet.unknown_ethertype", "vntag.unknown_type"],
            true,
        ),
        (eth(0x8903, &[0; 15]), &["dce.pkt_too_small"], true),
        (
            eth(0x8847, &[0, 0, 0, 9, 0, 0, 1]),
            &["mpls.header_too_small"],
            true,
        ),
        (
            eth(0x8847, &[0, 0x10, 1, 9, 0x45, 0, 0]),
            &["mpls.pkt_too_small"],
            true,
        ),
        (
            eth(0x8847, &[0, 0, 0x11, 9, 0, 0, 0, 0]),
            &["mpls.bad_label_router_alert"],
            false,
        ),
        (
            eth(0x8847, &[0, 0, 0x31, 9, 0, 0, 0, 0]),
            &["mpls.bad_label_implicit_null"],
            false,
        ),
        (
            eth(0x8847, &[0, 0, 0xe1, 9, 0, 0, 0, 0]),
            &["mpls.bad_label_reserved"],
            false,
        ),
        (
            eth(0x8847, &[0, 0x10, 1, 9, 0x10, 0, 0, 0]),
            &["mpls.unknown_payload_type"],
            true,
        ),
        (
            eth(0x8864, &[0x11, 0, 0, 1, 0, 9]),
            &["pppoe.pkt_too_small"],
            true,
        ),
        (
            eth(0x8864, &[0x11, 0, 0, 1, 0, 9, 0, 0x21, 0x45]),
            &["ppp.ip4_pkt_too_small"],
            true,
        ),
        (
            eth(0x8863, &[0x11, 9, 0, 0, 0]),
            &["pppoe.pkt_too_small"],
            true,
        ),
        (
            eth(0x8863, &[0x11, 0xbb, 0, 0, 0, 4, 1, 1, 0, 0]),
            &["pppoe.wrong_code"],
            true,
        ),
        (
            eth(0x8863, &[0x11, 7, 0, 0, 0, 5, 1, 1, 0, 0]),
            &["pppoe.malformed_tags"],
            true,
        ),
        (eth(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0]), &[], false),
        (eth(0x894f, &[0; 7]), &["nsh.header_too_small"], true),
        (
            eth(0x894f, &[0xf0, 2, 2, 1, 0, 0, 0, 0, 0]),
            &["nsh.unsupported_version"],
            false,
        ),
        (
            eth(0x894f, &[0, 2, 2, 1, 0, 0, 0, 0]),
            &["nsh.bad_header_length"],
            true,
        ),
        (
            eth(0x894f, &[0, 2, 1, 1, 0, 0, 0, 0, 0]),
            &["nsh.bad_header_length"],
            true,
        ),
        (
            eth(0x894f, &[0, 2, 0, 1, 0, 0, 0, 0, 0]),
            &["nsh.reserved_type"],
            false,
        ),
        (
            eth(0x894f, &[0, 2, 3, 1, 0, 0, 0, 0, 0]),
            &["nsh.unsupported_type"],
            false,
        ),
        (
            eth(0x894f, &[0, 2, 2, 9, 0, 0, 0, 0, 0]),
            &["nsh.unknown_payload"],
            false,
        ),
        ((LinkType::PPP, vec![0xff]), &["ppp.pkt_too_small"], true),
        (
            (LinkType::PPP, concat(&[&[0xff, 3, 0, 0x57], &[0x60; 39]])),
            &["ppp.ip6_pkt_too_small"],
            true,
        ),
        (
            (LinkType::PPP, vec![0xff, 3, 0, 0x2f, 0x45]),
            &["ppp.vju_pkt_too_small"],
            true,
        ),
        (
            (LinkType::PPP, vec![0xff, 3, 0xc0, 0x21, 1]),
            &["ppp.unsup_proto"],
            false,
        ),
        (
            (LinkType::PPP, concat(&[&[0xff, 3, 0, 0xfe], &ip])),
            &["ppp.wrong_type"],
            true,
        ),
        (
            (LinkType::LINUX_SLL, vec![0; 15]),
            &["sll.pkt_too_small"],
            true,
        ),
        (
            (LinkType::LINUX_SLL2, vec![0; 19]),
            &["sll2.pkt_too_small"],
            true,
        ),
        (
            (LinkType::NULL, vec![2, 0, 0]),
            &["ltnull.pkt_too_small"],
            true,
        ),
        (
            (LinkType::NULL, vec![7, 0, 0, 0]),
            &["ltnull.unsupported_type"],
            false,
        ),
        (
            (LinkType::CHDLC, vec![15, 0, 8]),
            &["chdlc.pkt_too_small"],
            true,
        ),
        (
            (LinkType::RAW, vec![0x45; 19]),
            &["ipv4.pkt_too_small"],
            true,
        ),
        (
            (LinkType::RAW, vec![0x50; 20]),
            &["ipraw.invalid_ip_version"],
            false,
        ),
        ((LinkType(147), ip), &[], false),
    ];
    for ((link, frame), events, invalid) in cases {
        let packet = outer(*link, frame);
        assert_eq!(packet.events, *events, "{frame:02x?}");
        assert_eq!(
            (packet.invalid, packet.net),
            (*invalid, "none"),
            "{frame:02x?}"
        );
    }
}

#[test]
fn arp_is_checked_field_by_field() {
    let arp = |hw: u16, proto: u16, sizes: [u8; 2], op: u16, rest: usize| {
        let packet = concat(&[
            &hw.to_be_bytes(),
            &proto.to_be_bytes(),
            &sizes,
            &op.to_be_bytes(),
            &vec![0; rest],
        ]);
        outer(LinkType::ETHERNET, &ethernet(0x0806, &packet))
    };
    let good = arp(1, 0x0800, [6, 4], 1, 38);
    assert_eq!(
        (good.net, good.net_header.len(), good.events.len()),
        ("arp", 28, 0),
        "the trailer is not ARP"
    );
    for (packet, event) in [
        (arp(6, 0x0800, [6, 4], 1, 20), "arp.unsupported_hardware"),
        (arp(1, 0x86dd, [6, 4], 1, 20), "arp.unsupported_protocol"),
        (arp(1, 0x0800, [6, 4], 1, 19), "arp.unsupported_pkt"),
        (arp(1, 0x0800, [8, 4], 1, 20), "arp.invalid_hardware_size"),
        (arp(1, 0x0800, [6, 16], 1, 20), "arp.invalid_protocol_size"),
        (arp(1, 0x0800, [6, 4], 9, 20), "arp.unsupported_opcode"),
        (
            outer(LinkType::ETHERNET, &ethernet(0x0806, &[0; 7])),
            "arp.pkt_too_small",
        ),
    ] {
        assert_eq!(
            (packet.events.as_slice(), packet.net, packet.invalid),
            (&[event][..], "none", true)
        );
    }
}

#[test]
fn layers_without_end_are_cut() {
    // 802.1ah in itself, thousands of times.
    let mut frame = ethernet(0x88e7, &[]);
    for _ in 0..3000 {
        frame.extend_from_slice(&[0; 16]);
        frame.extend_from_slice(&[0x88, 0xe7]);
    }
    let packets = decode(LinkType::ETHERNET, &frame);
    assert_eq!(packets.len(), 1);
    assert_eq!(
        (packets[0].events.as_slice(), packets[0].invalid),
        (&["too_many_layers"][..], true)
    );
}

#[test]
fn events_have_unique_names_that_resolve() {
    for &event in DecoderEvent::ALL {
        assert_eq!(DecoderEvent::from_name(event.name()), Some(event));
        assert_eq!(
            DecoderEvent::from_name(&format!("decoder.{}", event.name())),
            Some(event)
        );
    }
    assert_eq!(DecoderEvent::from_name("stream.est_syn_resend"), None);
    assert_eq!(DecoderEvent::from_name("ipv4"), None);
}
