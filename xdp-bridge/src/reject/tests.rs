use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use weir_engine::packet::{
    Decoder, DecoderConfig, Frame, LinkType, Net, Packet, Transport, checksum,
};

use super::*;

const UDP: u8 = 17;
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x5];

/// A frame from client to server.
#[derive(Clone, Debug)]
struct Offence {
    tags: Vec<u16>,
    v6: bool,
    proto: u8,
    /// Header and data of the transport.
    payload: Vec<u8>,
    padding: usize,
    /// IPv4 options, or IPv6 destination options, in units of eight bytes.
    options: u8,
    /// The fragment word: offset in units of eight bytes, more follows.
    fragment: (u16, bool),
}

impl Offence {
    fn new(v6: bool, proto: u8, payload: Vec<u8>) -> Self {
        Self {
            tags: Vec::new(),
            v6,
            proto,
            payload,
            padding: 0,
            options: 0,
            fragment: (0, false),
        }
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        if self.v6 {
            let host = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
            (host(1), host(2))
        } else {
            let host = |last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
            (host(1), host(2))
        }
    }

    fn frame(&self) -> Vec<u8> {
        let mut frame = [SERVER_MAC, CLIENT_MAC].concat();
        for &tag in &self.tags {
            frame.extend([0x81, 0]);
            frame.extend(tag.to_be_bytes());
        }
        let (src, dst) = self.addresses();
        let (offset, more) = self.fragment;
        let fragmented = self.fragment != (0, false);
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend([8, 0]);
                let options = usize::from(self.options) * 8;
                let mut header = vec![0x45 + self.options * 2, 0];
                header.extend((20 + options as u16 + self.payload.len() as u16).to_be_bytes());
                header.extend([0x12, 0x34]);
                header.extend((offset | u16::from(more) << 13).to_be_bytes());
                header.extend([60, self.proto, 0, 0]);
                header.extend(src.octets());
                header.extend(dst.octets());
                // No operation.
                header.extend(vec![1; options]);
                let sum = checksum::of(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend(header);
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                let mut extensions = Vec::new();
                let mut next = self.proto;
                if fragmented {
                    extensions.extend([next, 0]);
                    extensions.extend((offset << 3 | u16::from(more)).to_be_bytes());
                    extensions.extend([0, 0, 0, 7]);
                    next = 44;
                }
                for _ in 0..self.options {
                    let header = [next, 0, 1, 4, 0, 0, 0, 0];
                    extensions.splice(0..0, header);
                    next = 60;
                }
                frame.extend(((extensions.len() + self.payload.len()) as u16).to_be_bytes());
                frame.extend([next, 60]);
                frame.extend(src.octets());
                frame.extend(dst.octets());
                frame.extend(extensions);
            }
            _ => unreachable!("both of one family"),
        }
        frame.extend(&self.payload);
        frame.extend(vec![0; self.padding]);
        frame
    }
}

fn tcp(sequence: u32, acknowledgement: u32, flags: u8, options: u8, data: usize) -> Vec<u8> {
    let mut segment = vec![0x80, 0x01, 0, 80];
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgement.to_be_bytes());
    segment.extend([(5 + options) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(vec![1; usize::from(options) * 4]);
    segment.extend(vec![b'x'; data]);
    segment
}

/// Has the engine's decoder look at an answer, and checks what all answers have in common.
fn check<T>(
    offence: &Offence,
    answer: &[u8],
    back: bool,
    look: impl FnOnce(&Packet<'_>) -> T,
) -> T {
    let mut decoder = Decoder::new(DecoderConfig {
        verify_checksums: true,
        ..DecoderConfig::default()
    });
    let frame = Frame {
        ts_ns: 0,
        number: 1,
        link: LinkType::ETHERNET,
        data: answer,
        wire_len: answer.len() as u32,
        ..Frame::default()
    };
    let mut look = Some(look);
    let mut got = None;
    decoder.decode(frame, &mut |packet| {
        assert!(!packet.invalid && !packet.bad_checksum, "{packet:?}");
        let (from, to) = offence.addresses();
        let addresses = if back { (to, from) } else { (from, to) };
        assert_eq!((packet.src, packet.dst), addresses);
        let macs = if back {
            [CLIENT_MAC, SERVER_MAC]
        } else {
            [SERVER_MAC, CLIENT_MAC]
        };
        assert_eq!(packet.ether.expect("Ethernet")[..12], macs.concat());
        let tags: Vec<u16> = offence.tags.iter().map(|tag| tag & 0xfff).collect();
        assert_eq!(packet.vlan[..packet.vlan_layers.into()], tags);
        assert_eq!(packet.ttl(), Some(64));
        got = Some(look.take().expect("one packet")(packet));
    });
    assert_eq!(decoder.counters().packets, 1, "nothing else in it");
    assert!((60..=LONGEST).contains(&answer.len()));
    got.expect("a packet")
}

fn answer(make: Answer, frame: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0xEE; LONGEST];
    let length = make(frame, &mut buffer)?;
    // It fits exactly, or not at all.
    assert_eq!(make(frame, &mut vec![0; length]), Some(length));
    assert_eq!(make(frame, &mut vec![0; length - 1]), None);
    buffer.truncate(length);
    Some(buffer)
}

/// Ports, flags, sequence and acknowledgement number of a reset.
fn reset(packet: &Packet<'_>) -> (u16, u16, u8, u32, u32) {
    assert!(packet.payload.is_empty());
    (
        packet.sport,
        packet.dport,
        packet.tcp_flags().expect("TCP"),
        packet.tcp_seq().expect("TCP"),
        packet.tcp_ack().expect("TCP"),
    )
}

fn offence(proto: u8, payload: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Offence> {
    (
        prop::collection::vec(0u16..4095, 0..=3),
        any::<bool>(),
        payload,
        0usize..20,
        0u8..3,
    )
        .prop_map(move |(tags, v6, payload, padding, options)| Offence {
            tags,
            padding,
            options,
            ..Offence::new(v6, proto, payload)
        })
}

fn segment() -> impl Strategy<Value = Vec<u8>> {
    let numbers = (any::<u32>(), any::<u32>());
    (numbers, any::<u8>(), 0u8..=10, 0usize..1400).prop_map(
        |((sequence, acknowledgement), flags, options, data)| {
            tcp(sequence, acknowledgement, flags, options, data)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn segments_are_answered_with_resets(offence in offence(TCP, segment())) {
        let frame = offence.frame();
        let (to_source, to_destination) = (answer(to_source, &frame), answer(to_destination, &frame));
        let segment = &offence.payload;
        let number = |at: usize| u32::from_be_bytes(*segment[at..].first_chunk().expect("in it"));
        let flags = segment[13];
        if flags & RST != 0 {
            prop_assert_eq!((to_source, to_destination), (None, None));
            return Ok(());
        }
        let data = segment.len() as u32 - u32::from(segment[12] >> 4) * 4;
        let (syn, fin) = (u32::from(flags & SYN != 0), u32::from(flags & FIN != 0));
        let back = check(&offence, &to_source.expect("an answer"), true, reset);
        let forth = check(&offence, &to_destination.expect("an answer"), false, reset);
        if flags & ACK != 0 {
            prop_assert_eq!(back, (80, 0x8001, RST, number(8), 0));
            prop_assert_eq!(forth, (0x8001, 80, RST | ACK, number(4).wrapping_add(syn), number(8)));
        } else {
            let end = number(4).wrapping_add(data).wrapping_add(syn + fin);
            prop_assert_eq!(back, (80, 0x8001, RST | ACK, 0, end));
            prop_assert_eq!(forth, (0x8001, 80, RST, number(4).wrapping_add(syn), 0));
        }
    }

    #[test]
    fn other_packets_are_answered_with_errors(
        offence in offence(UDP, prop::collection::vec(any::<u8>(), 8..1400)),
    ) {
        let frame = offence.frame();
        prop_assert_eq!(answer(to_destination, &frame), None);
        let answer = answer(to_source, &frame).expect("an answer");
        let packet = &frame[14 + offence.tags.len() * 4..frame.len() - offence.padding];
        check(&offence, &answer, true, |got| {
            let (kind, longest) = if offence.v6 { ((1, 1), 1280 - 48) } else { ((3, 13), 576 - 28) };
            assert_eq!((got.icmp_type(), got.icmp_code()), (Some(kind.0), Some(kind.1)));
            let (Transport::Icmp4 { header } | Transport::Icmp6 { header }) = got.transport else {
                panic!("{got:?}");
            };
            assert_eq!(header[4..8], [0; 4]);
            assert_eq!(got.payload, &packet[..packet.len().min(longest)], "quoted");
            assert!(matches!((got.net, offence.v6), (Net::V4 { .. }, false) | (Net::V6 { .. }, true)));
        });
    }

    /// Any bytes, and good frames with some bytes changed or cut: no panic, and what is answered has no fault.
    #[test]
    fn broken_frames_do_no_harm(
        offence in prop_oneof![
            offence(TCP, segment()),
            offence(UDP, prop::collection::vec(any::<u8>(), 0..40)),
            offence(ICMP, prop::collection::vec(any::<u8>(), 0..40)),
            offence(ICMPV6, prop::collection::vec(any::<u8>(), 0..40)),
        ],
        changes in prop::collection::vec((0usize..80, any::<u8>()), 0..4),
        cut in 0usize..120,
    ) {
        let mut frame = offence.frame();
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(cut);
        for make in [to_source as Answer, to_destination] {
            if let Some(answer) = answer(make, &frame) {
                let mut decoder = Decoder::new(DecoderConfig {
                    verify_checksums: true,
                    ..DecoderConfig::default()
                });
                let (data, wire_len) = (&answer[..], answer.len() as u32);
                let link = LinkType::ETHERNET;
                let frame = Frame { number: 1, link, data, wire_len, ..Frame::default() };
                decoder.decode(frame, &mut |packet| {
                    assert!(!packet.invalid && !packet.bad_checksum, "{packet:?}");
                });
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        answer(to_source, &frame);
        answer(to_destination, &frame);
    }
}

/// Both answers to a frame.
fn answers(frame: &[u8]) -> [bool; 2] {
    [to_source as Answer, to_destination].map(|make| answer(make, frame).is_some())
}

#[test]
fn what_must_not_be_answered_is_not() {
    let ack = tcp(7, 9, ACK, 0, 10);
    for v6 in [false, true] {
        let good = Offence::new(v6, TCP, ack.clone());
        assert_eq!(answers(&good.frame()), [true, true]);
        let address = if v6 { 14 + 8 } else { 14 + 12 };
        let length = if v6 { 16 } else { 4 };
        // Groups and nobodies, as either end.
        for end in [address, address + length] {
            let nobodies: &[&[u8]] = match v6 {
                false => &[
                    &[224, 0, 0, 1],
                    &[255; 4],
                    &[0; 4],
                    &[127, 0, 0, 1],
                    &[240, 0, 0, 1],
                ],
                true => &[
                    &[0xff; 16],
                    &[0; 16],
                    &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
                ],
            };
            for nobody in nobodies {
                let mut frame = good.frame();
                frame[end..end + length].copy_from_slice(nobody);
                assert_eq!(answers(&frame), [false, false], "{nobody:?} at {end}");
            }
        }
        for mac in [0, 6] {
            let mut frame = good.frame();
            frame[mac] |= 1;
            assert_eq!(
                answers(&frame),
                [false, false],
                "a group's hardware address"
            );
        }
        // Fragments: of the first one the length is not known, which matters only where it is acknowledged.
        let fragment = |fragment, payload: &Vec<u8>| {
            let offence = Offence {
                fragment,
                ..Offence::new(v6, TCP, payload.clone())
            };
            answers(&offence.frame())
        };
        assert_eq!(fragment((0, true), &ack), [true, true]);
        assert_eq!(fragment((0, true), &tcp(7, 0, SYN, 0, 0)), [false, true]);
        assert_eq!(fragment((1, true), &ack), [false, false]);
        assert_eq!(fragment((185, false), &ack), [false, false]);
        // Errors; but queries are answered.
        let proto = if v6 { ICMPV6 } else { ICMP };
        let icmp = |kind| Offence::new(v6, proto, vec![kind, 0, 0, 0, 0, 0, 0, 0]).frame();
        let (errors, query): (&[u8], u8) = match v6 {
            false => (&[3, 4, 5, 11, 12], 8),
            true => (&[1, 2, 3, 4, 100, 127, 137], 128),
        };
        for &kind in errors {
            assert_eq!(answers(&icmp(kind)), [false, false], "type {kind}");
        }
        assert_eq!(answers(&icmp(query)), [true, false]);
        assert_eq!(
            answers(&Offence::new(v6, proto, Vec::new()).frame()),
            [false, false]
        );
        // Lengths that do not hold.
        let frame = good.frame();
        for cut in 0..frame.len() {
            assert_eq!(answers(&frame[..cut]), [false, false], "cut at {cut}");
        }
    }
    // Not IP; more tags than are followed.
    let mut arp = Offence::new(false, TCP, ack.clone()).frame();
    arp[13] = 6;
    assert_eq!(answers(&arp), [false, false]);
    let tags = vec![1; 4];
    let tagged = Offence {
        tags,
        ..Offence::new(false, TCP, ack)
    };
    assert_eq!(answers(&tagged.frame()), [false, false]);
}

/// Behind however many extension headers, an error is an error; behind more than are followed anything may be one.
#[test]
fn errors_far_behind_are_not_answered() {
    for kind in [60, 135, 139, 140] {
        for headers in 0..12_u8 {
            let behind = |proto: u8, message: &[u8]| {
                let mut payload = Vec::new();
                for left in (0..headers).rev() {
                    let next = if left == 0 { proto } else { kind };
                    payload.extend([next, 0, 1, 4, 0, 0, 0, 0]);
                }
                payload.extend(message);
                let first = if headers == 0 { proto } else { kind };
                answers(&Offence::new(true, first, payload).frame())
            };
            let error = behind(ICMPV6, &[1, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(error, [false, false], "{headers} of {kind}");
            let few = headers <= 8;
            let query = behind(ICMPV6, &[128, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(query, [few, false], "{headers} of {kind}");
            let segment = behind(TCP, &tcp(7, 9, ACK, 0, 10));
            assert_eq!(segment, [few, few], "{headers} of {kind}");
        }
    }
}

/// An authentication header that says that it is shorter than its own fields (RFC 4302, 2.2): receivers differ in where the next one
/// begins, and there may be an error.
#[test]
fn nothing_is_said_to_what_readers_take_for_different_packets() {
    let mut buffer = [0; LONGEST];
    for (words, answered) in [(0, false), (1, true), (4, true)] {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        let header = 8 + 4 * usize::from(words);
        let length = (header + 16) as u8;
        frame.extend([0x60, 0, 0, 0, 0, length, 51, 64]);
        for last in [1, 2] {
            frame.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        // Behind it is UDP.
        frame.extend([17, words]);
        frame.resize(14 + 40 + header, 0);
        frame.extend([0, 7, 0, 9, 0, 16, 1, 1]);
        frame.extend([0; 8]);
        let answer = to_source(&frame, &mut buffer);
        assert_eq!(answer.is_some(), answered, "{words}");
    }
}
