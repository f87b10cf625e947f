//! IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr};

use weir_engine::packet::{Decoder, Frame, LinkType};

use crate::build::*;

fn v4(options: &[u8]) -> Seen {
    outer(
        LinkType::IPV4,
        &ipv4_with(17, 1, 0, options, &udp(1, 2, b"x")),
    )
}

fn v6(next: u8, inner: &[u8]) -> Seen {
    outer(LinkType::IPV6, &ipv6(next, inner))
}

#[test]
fn a_broken_ipv4_header_leaves_no_network_layer() {
    let good = ipv4(17, &udp(1, 2, b"xyz"));
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    for (packet, event) in [
        (good[..19].to_vec(), "ipv4.pkt_too_small"),
        (with(0, 0x55), "ipv4.wrong_ip_version"),
        (with(0, 0x44), "ipv4.hlen_too_small"),
        (with(3, 19), "ipv4.iplen_smaller_than_hlen"),
        (good[..good.len() - 1].to_vec(), "ipv4.trunc_pkt"),
    ] {
        let seen = outer(LinkType::IPV4, &packet);
        assert_eq!(
            (seen.events.as_slice(), seen.net, seen.invalid),
            (&[event][..], "none", true)
        );
        assert_eq!(
            (seen.src, seen.proto),
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
        );
    }
}

#[test]
fn ipv4_options_are_checked() {
    // Options, events, and whether the packet survives.
    let cases: &[(&[u8], &[&str], bool)] = &[
        (&[1, 1, 1, 1, 1, 1, 1, 0], &[], true),
        (&[1, 1, 1, 0], &["ipv4.opt_pad_required"], true),
        (&[0x94, 4, 0, 0, 0, 0, 0, 0], &[], true),
        (
            &[0x94, 4, 0, 0, 0x94, 4, 0, 0],
            &["ipv4.opt_duplicate"],
            true,
        ),
        (
            &[0x94, 3, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_invalid_len"],
            false,
        ),
        (
            &[0x82, 2, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_invalid_len"],
            false,
        ),
        (&[0x99, 4, 0, 0, 0, 0, 0, 0], &["ipv4.opt_invalid"], true),
        (
            &[0x99, 9, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_invalid_len"],
            false,
        ),
        (
            &[0x99, 1, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_invalid_len"],
            false,
        ),
        (&[1, 1, 1, 1, 1, 1, 1, 7], &["ipv4.opt_eol_required"], true),
        // Record route: pointers 4 to one past the end, in steps of 4.
        (&[7, 7, 4, 0, 0, 0, 0, 0], &[], true),
        (&[7, 7, 8, 0, 0, 0, 0, 0], &[], true),
        (&[7, 7, 12, 0, 0, 0, 0, 0], &["ipv4.opt_malformed"], false),
        (&[7, 7, 5, 0, 0, 0, 0, 0], &["ipv4.opt_malformed"], false),
        // Loose and strict route are different options.
        (&[0x83, 3, 4, 0x89, 3, 4, 0, 0], &[], true),
        // A timestamp and a router alert share their low bits.
        (
            &[0x94, 4, 0, 0, 0x44, 4, 5, 0],
            &["ipv4.opt_invalid_len"],
            false,
        ),
        (&[0x44, 8, 5, 0, 0, 0, 0, 0], &[], true),
        (&[0x44, 8, 6, 0, 0, 0, 0, 0], &["ipv4.opt_malformed"], false),
        // CIPSO with one tag, then with a tag longer than the option.
        (
            &[0x86, 10, 0, 0, 0, 1, 1, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            &[],
            true,
        ),
        (
            &[0x86, 10, 0, 0, 0, 1, 1, 5, 0, 1, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_malformed"],
            false,
        ),
        (
            &[0x86, 10, 0, 0, 0, 1, 9, 4, 0, 1, 0, 0, 0, 0, 0, 0],
            &["ipv4.opt_malformed"],
            false,
        ),
    ];
    for (options, events, good) in cases {
        let seen = v4(options);
        assert_eq!(seen.events, *events, "{options:02x?}");
        assert_eq!(
            seen.net,
            if *good { "ipv4" } else { "none" },
            "{options:02x?}"
        );
        assert_eq!(seen.invalid, !good, "{options:02x?}");
    }
}

#[test]
fn header_fields_are_read_where_they_stand() {
    let mut frame = ipv4_with(
        6,
        0x1234,
        0x4000,
        &[0x94, 4, 0, 0],
        &tcp(&[2, 4, 5, 0xb4, 3, 3, 7, 0], b""),
    );
    frame[1] = 0xb8;
    let mut calls = 0;
    Decoder::default().decode(
        Frame {
            ts_ns: 0,
            number: 1,
            link: LinkType::RAW,
            data: &frame,
            wire_len: 52,
            ..Frame::default()
        },
        &mut |packet| {
            calls += 1;
            assert_eq!(
                (packet.ttl(), packet.tos(), packet.ip_id()),
                (Some(64), Some(0xb8), Some(0x1234))
            );
            assert_eq!(
                (packet.frag_offset(), packet.frag_bits()),
                (Some(0), Some(0x4000))
            );
            assert_eq!(packet.ip_options().collect::<Vec<_>>(), [0x94]);
            assert_eq!(
                (packet.tcp_seq(), packet.tcp_ack(), packet.tcp_flags()),
                (Some(1), Some(2), Some(0x18))
            );
            assert_eq!(
                (packet.tcp_window(), packet.tcp_mss(), packet.tcp_wscale()),
                (Some(0x2000), Some(1460), Some(7))
            );
            assert_eq!(
                (packet.icmp_type(), packet.icmp6_mtu(), packet.igmp_type()),
                (None, None, None)
            );
        },
    );
    let frame = ipv6(44, &concat(&[&[58, 0, 0x00, 0x19, 0, 0, 0, 7], &[0; 16]]));
    Decoder::default().decode(
        Frame {
            ts_ns: 0,
            number: 1,
            link: LinkType::RAW,
            data: &frame,
            wire_len: 64,
            ..Frame::default()
        },
        &mut |packet| {
            calls += 1;
            assert!(packet.fragment);
            assert_eq!(
                (packet.ttl(), packet.tos(), packet.ip_id()),
                (Some(64), None, None)
            );
            assert_eq!((packet.frag_offset(), packet.frag_bits()), (Some(24), None));
        },
    );
    assert_eq!(calls, 2);
}

#[test]
fn a_broken_ipv6_header_leaves_no_network_layer() {
    let good = ipv6(17, &udp(1, 2, b"xyz"));
    let mut other = good.clone();
    other[0] = 0x40;
    for (packet, event) in [
        (good[..39].to_vec(), "ipv6.pkt_too_small"),
        (other, "ipv6.wrong_ip_version"),
        (good[..good.len() - 1].to_vec(), "ipv6.trunc_pkt"),
    ] {
        let seen = outer(LinkType::IPV6, &packet);
        assert_eq!(
            (seen.events.as_slice(), seen.net, seen.invalid),
            (&[event][..], "none", true)
        );
    }
}

#[test]
fn extension_headers_are_walked_and_checked() {
    let upper = udp(1, 2, b"data");
    // Chain (without the upper layer), what the fixed header names, events, and whether the datagram is reached.
    let pad = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let alert = |next: u8| vec![next, 0, 5, 2, 0, 0, 0, 0];
    let route = |next: u8, kind: u8| vec![next, 0, kind, 0, 0, 0, 0, 0];
    let auth = |next: u8, reserved: u8| vec![next, 1, 0, reserved, 0, 0, 0, 1, 0, 0, 0, 1];
    let whole = |next: u8, reserved: u8| vec![next, reserved, 0, 0, 0, 0, 0, 9];
    let cases: Vec<(u8, Vec<u8>, &[&str], bool)> = vec![
        (0, alert(17), &[], true),
        (0, pad(17), &["ipv6.hopopts_only_padding"], true),
        (60, pad(17), &["ipv6.dstopts_only_padding"], true),
        (
            60,
            vec![17, 0, 1, 0, 5, 2, 0, 0],
            &["ipv6.zero_len_padn"],
            true,
        ),
        (
            60,
            vec![17, 0, 0x3e, 4, 0, 0, 0, 0],
            &["ipv6.dstopts_unknown_opt"],
            true,
        ),
        (
            0,
            vec![17, 0, 0x3e, 4, 0, 0, 0, 0],
            &["ipv6.hopopts_unknown_opt"],
            true,
        ),
        (
            0,
            vec![17, 0, 5, 1, 0, 1, 1, 0],
            &["ipv6.exthdr_invalid_optlen"],
            true,
        ),
        (
            0,
            vec![17, 0, 5, 9, 0, 0, 1, 0],
            &["ipv6.exthdr_invalid_optlen"],
            true,
        ),
        (
            0,
            concat(&[&alert(0), &alert(17)]),
            &["ipv6.exthdr_dupl_hh"],
            true,
        ),
        (60, concat(&[&alert(60), &alert(17)]), &[], true),
        (
            60,
            concat(&[&alert(60), &alert(60), &alert(17)]),
            &["ipv6.exthdr_dupl_dh"],
            true,
        ),
        (43, route(17, 2), &[], true),
        (43, route(17, 0), &["ipv6.rh_type_0"], true),
        (
            43,
            concat(&[&route(43, 2), &route(17, 0)]),
            &["ipv6.exthdr_dupl_rh"],
            true,
        ),
        (51, auth(17, 0), &[], true),
        (51, auth(17, 1), &["ipv6.exthdr_ah_res_not_null"], true),
        (
            51,
            concat(&[&auth(51, 0), &auth(17, 0)]),
            &["ipv6.exthdr_dupl_ah"],
            true,
        ),
        (44, whole(17, 0), &["ipv6.exthdr_useless_fh"], true),
        (
            44,
            whole(17, 1),
            &["ipv6.exthdr_useless_fh", "ipv6.fh_non_zero_reserved_field"],
            true,
        ),
        (
            44,
            concat(&[&whole(44, 0), &whole(17, 0)]),
            &["ipv6.exthdr_dupl_fh", "ipv6.exthdr_useless_fh"],
            true,
        ),
        (135, route(139, 5), &[], false),
        (139, route(140, 5), &[], false),
        (135, route(17, 5), &[], true),
        (0, alert(59), &["ipv6.data_after_none_header"], false),
        (0, alert(99), &["ipv6.unknown_next_header"], false),
        (0, alert(1), &["ipv6.icmpv4"], false),
        (99, vec![], &["ipv6.unknown_next_header"], false),
        (1, vec![], &["ipv6.icmpv4"], false),
        (0, vec![17, 200], &["ipv6.trunc_exthdr"], false),
    ];
    for (next, chain, events, reached) in cases {
        let seen = v6(next, &concat(&[&chain, &upper]));
        let events: Vec<_> = if events.is_empty() && !reached {
            vec!["ipv6.trunc_exthdr"]
        } else {
            events.to_vec()
        };
        assert_eq!(seen.events, events, "{next} {chain:02x?}");
        assert_eq!(seen.net, "ipv6");
        assert!(!seen.invalid, "the fixed header is good");
        if reached {
            assert_eq!(
                (seen.transport, seen.payload.as_slice()),
                ("udp", &b"data"[..]),
                "{next} {chain:02x?}"
            );
            assert_eq!(
                seen.net_header.len(),
                40 + chain.len(),
                "{next} {chain:02x?}"
            );
        } else {
            assert_eq!(seen.transport, "none", "{next} {chain:02x?}");
        }
    }
    assert_eq!(v6(0, &[]).events, ["ipv6.trunc_exthdr"]);
    assert_eq!(v6(59, &[]).events, [""; 0]);
}

#[test]
fn a_fragment_in_the_middle_must_have_whole_blocks() {
    let fragment = |flags: u8, len: usize| {
        v6(
            44,
            &concat(&[&[17, 0, 0, flags, 0, 0, 0, 1], &vec![0; len]]),
        )
    };
    assert_eq!(fragment(1, 12).events, ["ipv6.frag_invalid_length"]);
    assert_eq!(fragment(1, 16).events, [""; 0]);
    assert_eq!(fragment(8, 12).events, [""; 0]);
    let seen = fragment(1, 16);
    assert!(seen.fragment && seen.uninspected);
    assert_eq!((seen.proto, seen.payload.len()), (44, 16));
}
