//! Tests on header fields, and the buffers of headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_engine::packet::{DecoderEvent, Net, Packet, Transport};
use weir_engine::plan::{BitsMode, Buffer, BufferPlan, Num, NumOp, Op, PacketTest, VlanLayer};

use crate::ops;
use crate::support::{bare, content, evaluate, rule};

/// IPv4, 10.0.0.1 to 10.0.0.2, TOS 0x10, identification 0x1234, don't fragment, TTL 64, TCP, router alert option.
const IP4: [u8; 24] = [
    0x46, 0x10, 0, 60, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x94, 4, 0, 0,
];
/// TCP, sequence 7, acknowledgement 9, SYN and ECE, window 512, MSS 1400 and window scale 6.
const TCP: [u8; 28] = [
    0, 80, 0, 81, 0, 0, 0, 7, 0, 0, 0, 9, 0x70, 0x42, 2, 0, 0, 0, 0, 0, 2, 4, 0x05, 0x78, 3, 3, 6,
    0,
];

fn tcp4() -> Packet<'static> {
    Packet {
        net: Net::V4 { header: &IP4 },
        src: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        dst: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        proto: 6,
        transport: Transport::Tcp { header: &TCP },
        payload: b"12345",
        ..bare()
    }
}

fn is(value: u64) -> Num {
    Num::one(NumOp::Eq, value)
}

#[track_caller]
fn check(packet: &Packet<'_>, cases: Vec<(PacketTest, bool)>) {
    for (test, expected) in cases {
        let name = format!("{test:?}");
        assert_eq!(
            evaluate(rule(vec![test], vec![]), packet).0,
            expected,
            "{name}"
        );
    }
}

#[test]
fn ip_and_tcp_fields() {
    let flags = |mode, bits, ignore| PacketTest::TcpFlags { mode, bits, ignore };
    let fragbits = |mode, bits| PacketTest::FragBits { mode, bits };
    check(
        &tcp4(),
        vec![
            (PacketTest::Ttl(is(64)), true),
            (
                PacketTest::Ttl(Num {
                    op: NumOp::Between,
                    a: 64,
                    b: 70,
                }),
                false,
            ),
            (
                PacketTest::Tos {
                    value: 0x10,
                    negated: false,
                },
                true,
            ),
            (
                PacketTest::Tos {
                    value: 0x10,
                    negated: true,
                },
                false,
            ),
            (PacketTest::IpId(0x1234), true),
            (PacketTest::IpOpt(0x94), true),
            (PacketTest::IpOpt(0x83), false),
            (PacketTest::IpOptAny, true),
            (PacketTest::IpProto(is(6)), true),
            (PacketTest::L3 { v4: true }, true),
            (PacketTest::L3 { v4: false }, false),
            (PacketTest::SameIp, false),
            (fragbits(BitsMode::Exact, 2), true),
            (fragbits(BitsMode::All, 2), true),
            (fragbits(BitsMode::Any, 3), true),
            (fragbits(BitsMode::Exact, 3), false),
            (fragbits(BitsMode::Not, 1), true),
            (fragbits(BitsMode::Not, 2), false),
            (PacketTest::FragOffset(is(0)), true),
            (flags(BitsMode::Exact, 0x02, 0), false),
            (flags(BitsMode::Exact, 0x02, 0xc0), true),
            (flags(BitsMode::All, 0x02, 0), true),
            (flags(BitsMode::All, 0x12, 0), false),
            (flags(BitsMode::Any, 0x12, 0), true),
            (flags(BitsMode::Any, 0x11, 0), false),
            (flags(BitsMode::Not, 0x12, 0), true),
            (flags(BitsMode::Not, 0x42, 0), false),
            (flags(BitsMode::Exact, 0, 0), false),
            (PacketTest::TcpSeq(is(7)), true),
            (PacketTest::TcpAck(is(9)), true),
            (
                PacketTest::TcpWindow {
                    value: 512,
                    negated: false,
                },
                true,
            ),
            (
                PacketTest::TcpWindow {
                    value: 512,
                    negated: true,
                },
                false,
            ),
            (PacketTest::TcpMss(Num::one(NumOp::Lt, 1401)), true),
            (PacketTest::TcpWscale(is(6)), true),
            (PacketTest::Dsize(is(5)), true),
            (PacketTest::Dsize(Num::one(NumOp::Gt, 5)), false),
            (PacketTest::IcmpType(Num::one(NumOp::Ge, 0)), false),
            (PacketTest::IcmpId(0), false),
            (PacketTest::IgmpType(Num::one(NumOp::Ge, 0)), false),
            (PacketTest::Icmp6Mtu(Num::one(NumOp::Ge, 0)), false),
            (PacketTest::VlanLayers(is(0)), true),
        ],
    );
}

#[test]
fn payload_sizes() {
    let dsize = |op, a| PacketTest::Dsize(Num::one(op, a));
    let empty = Packet {
        payload: &[],
        ..tcp4()
    };
    check(
        &empty,
        vec![
            (dsize(NumOp::Eq, 0), true),
            (dsize(NumOp::Lt, 5), true),
            (dsize(NumOp::Le, 0), true),
            (dsize(NumOp::Ne, 5), false),
            (dsize(NumOp::Ge, 0), false),
        ],
    );
    check(
        &tcp4(),
        vec![
            (dsize(NumOp::Eq, 0), false),
            (dsize(NumOp::Ne, 4), true),
            (dsize(NumOp::Ge, 5), true),
            (
                PacketTest::Dsize(Num {
                    op: NumOp::Between,
                    a: 4,
                    b: 6,
                }),
                true,
            ),
        ],
    );
    let carrier = Packet {
        no_payload_inspection: true,
        ..tcp4()
    };
    check(
        &carrier,
        vec![(dsize(NumOp::Gt, 0), false), (dsize(NumOp::Lt, 9), true)],
    );
}

/// A test of a field that the packet has not fails, however it is turned.
#[test]
fn negated_tests_need_the_field_too() {
    check(
        &bare(),
        vec![
            (
                PacketTest::Tos {
                    value: 1,
                    negated: true,
                },
                false,
            ),
            (
                PacketTest::TcpWindow {
                    value: 1,
                    negated: true,
                },
                false,
            ),
            (
                PacketTest::TcpFlags {
                    mode: BitsMode::Not,
                    bits: 2,
                    ignore: 0,
                },
                false,
            ),
            (
                PacketTest::FragBits {
                    mode: BitsMode::Not,
                    bits: 2,
                },
                false,
            ),
            (PacketTest::Ttl(Num::one(NumOp::Ne, 1)), false),
            (PacketTest::SameIp, false),
            (PacketTest::IpProto(Num::one(NumOp::Ne, 1)), false),
        ],
    );
}

#[test]
fn icmp_fields() {
    let header = [8, 1, 0, 0, 0x12, 0x34, 0, 5];
    let echo = Packet {
        transport: Transport::Icmp4 { header: &header },
        proto: 1,
        ..tcp4()
    };
    check(
        &echo,
        vec![
            (PacketTest::IcmpType(is(8)), true),
            (PacketTest::IcmpCode(Num::one(NumOp::Gt, 0)), true),
            (PacketTest::IcmpId(0x1234), true),
            (PacketTest::IcmpSeq(5), true),
            (PacketTest::IcmpSeq(6), false),
            (PacketTest::TcpSeq(Num::one(NumOp::Ge, 0)), false),
        ],
    );
}

#[test]
fn vlan_layers() {
    let two = Packet {
        vlan: [200, 300, 0],
        vlan_layers: 2,
        ..bare()
    };
    let id = |id, layer| PacketTest::VlanId { id: is(id), layer };
    check(
        &two,
        vec![
            (id(300, VlanLayer::Any), true),
            (id(0, VlanLayer::Any), false),
            (id(200, VlanLayer::All), false),
            (
                PacketTest::VlanId {
                    id: Num::one(NumOp::Ge, 200),
                    layer: VlanLayer::All,
                },
                true,
            ),
            (id(200, VlanLayer::At(0)), true),
            (id(300, VlanLayer::At(-1)), true),
            (id(200, VlanLayer::At(-2)), true),
            (id(0, VlanLayer::At(2)), false),
            (id(0, VlanLayer::At(-3)), false),
            (id(0, VlanLayer::At(i8::MIN)), false),
            (PacketTest::VlanLayers(is(2)), true),
        ],
    );
    check(
        &bare(),
        vec![(
            PacketTest::VlanId {
                id: Num::one(NumOp::Ge, 0),
                layer: VlanLayer::All,
            },
            false,
        )],
    );
}

#[test]
fn rpc_calls() {
    let mut call = [0u8; 28];
    call[4..8].copy_from_slice(&[0xde, 0xad, 0xbe, 0xef]);
    call[15] = 2;
    call[16..20].copy_from_slice(&100_000u32.to_be_bytes());
    call[23] = 2;
    call[27] = 3;
    let rpc = |program, version, procedure| PacketTest::Rpc {
        program,
        version,
        procedure,
    };
    let cases = || {
        vec![
            (rpc(100_000, Some(2), Some(3)), true),
            (rpc(100_000, None, None), true),
            (rpc(100_000, Some(3), None), false),
            (rpc(100_000, None, Some(2)), false),
            (rpc(100_001, None, None), false),
        ]
    };
    check(
        &Packet {
            payload: &call,
            ..tcp4()
        },
        cases(),
    );
    let udp = Transport::Udp { header: &[0; 8] };
    check(
        &Packet {
            payload: &call[4..],
            transport: udp,
            ..tcp4()
        },
        cases(),
    );
    check(
        &Packet {
            payload: &call[..27],
            ..tcp4()
        },
        vec![(rpc(100_000, None, None), false)],
    );
    let mut reply = call;
    reply[11] = 1;
    check(
        &Packet {
            payload: &reply,
            ..tcp4()
        },
        vec![(rpc(100_000, None, None), false)],
    );
}

#[test]
fn broken_packets_match_decoder_events_alone() {
    let mut packet = Packet {
        invalid: true,
        ..tcp4()
    };
    packet.events.insert(DecoderEvent::Ipv4PktTooSmall);
    let event = || PacketTest::DecodeEvent(DecoderEvent::Ipv4PktTooSmall);
    check(
        &packet,
        vec![(event(), true), (PacketTest::Ttl(is(64)), false)],
    );
    check(&tcp4(), vec![(event(), false)]);
    assert!(!evaluate(rule(vec![], vec![]), &packet).0);
    assert!(
        evaluate(
            rule(vec![event(), PacketTest::Ttl(is(64))], vec![]),
            &packet
        )
        .0
    );
}

#[test]
fn header_buffers() {
    let mut ip6 = [0u8; 40];
    ip6[0] = 0x60;
    ip6[8..24].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
    ip6[39] = 9;
    let extensions = [6, 0, 1, 4, 0, 0, 0, 0];
    let six = Packet {
        net: Net::V6 {
            header: &ip6,
            extensions: &extensions,
        },
        ..bare()
    };
    let bare_six = Packet {
        net: Net::V6 {
            header: &ip6,
            extensions: &[],
        },
        ..bare()
    };
    let ether = [7u8; 14];
    let arp = [1u8; 46];
    let arp = Packet {
        net: Net::Arp(&arp),
        ether: Some(&ether),
        ..bare()
    };
    let size = |size| vec![Op::BSize(is(size))];
    for (packet, buffer, ops, expected) in [
        (&tcp4(), Buffer::Ipv4Hdr, size(24), true),
        (&tcp4(), Buffer::TcpHdr, size(28), true),
        (
            &tcp4(),
            Buffer::TcpHdr,
            ops![content([3, 3, 6]).offset(20)],
            true,
        ),
        (&tcp4(), Buffer::UdpHdr, size(8), false),
        (
            &tcp4(),
            Buffer::IpSrc,
            ops![content([10, 0, 0, 1]).startswith().endswith()],
            true,
        ),
        (
            &tcp4(),
            Buffer::IpDst,
            ops![content([10, 0, 0, 2]).startswith().endswith()],
            true,
        ),
        (&tcp4(), Buffer::EtherHdr, size(14), false),
        (&six, Buffer::Ipv6Hdr, size(48), true),
        (&six, Buffer::Ipv6Hdr, ops![content([9, 6, 0, 1])], true),
        (&bare_six, Buffer::Ipv6Hdr, size(40), true),
        (
            &six,
            Buffer::IpSrc,
            ops![content([0, 1]).endswith(), Op::BSize(is(16))],
            true,
        ),
        (&six, Buffer::IpDst, ops![content([9]).endswith()], true),
        (&six, Buffer::Ipv4Hdr, size(40), false),
        (&arp, Buffer::ArpHdr, size(28), true),
        (&arp, Buffer::EtherHdr, size(14), true),
        (&arp, Buffer::IpSrc, size(4), false),
    ] {
        let plan = BufferPlan {
            buffer,
            transforms: vec![],
            ops,
        };
        let name = format!("{plan:?}");
        assert_eq!(
            evaluate(rule(vec![], vec![plan]), packet).0,
            expected,
            "{name}"
        );
    }
    // All buffers have to match.
    let both = |size_of_tcp| {
        let plan = |buffer, size| BufferPlan {
            buffer,
            transforms: vec![],
            ops: vec![Op::BSize(is(size))],
        };
        vec![plan(Buffer::Ipv4Hdr, 24), plan(Buffer::TcpHdr, size_of_tcp)]
    };
    assert!(evaluate(rule(vec![], both(28)), &tcp4()).0);
    assert!(!evaluate(rule(vec![], both(20)), &tcp4()).0);
}
