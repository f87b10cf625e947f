//! Generated traffic, held to what it claims to be by a parser that shares nothing with its builder.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use weir_capture::generate::{Kind, Scenario, Traffic, demo_rules};
use weir_capture::{CaptureReader, PcapWriter, Precision};
use weir_engine::packet::LinkType;

/// A TCP segment or UDP datagram as the tests' own parser sees it.
struct Seen<'a> {
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    fragment: bool,
    header: &'a [u8],
    payload: &'a [u8],
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
}

/// RFC 1071, the plain way: 16 bits at a time with the carry put back at once.
fn ones_sum(parts: &[&[u8]]) -> u16 {
    let mut all = parts.concat();
    if all.len() % 2 == 1 {
        all.push(0);
    }
    all.chunks(2).fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(be16(word, 0));
        sum + u16::from(carry)
    })
}

/// Parses an IP packet, asserting every length and checksum in it; `None` for what is neither IPv4 nor IPv6.
fn ip(packet: &[u8], ether_type: u16) -> Option<Seen<'_>> {
    let (src, dst, proto, body, fragment, pseudo);
    match ether_type {
        0x0800 => {
            assert_eq!(packet[0], 0x45);
            let total = usize::from(be16(packet, 2));
            assert!(total <= packet.len());
            assert_eq!(ones_sum(&[&packet[..20]]), 0xffff, "IPv4 header checksum");
            src = IpAddr::from(<[u8; 4]>::try_from(&packet[12..16]).expect("4 bytes"));
            dst = IpAddr::from(<[u8; 4]>::try_from(&packet[16..20]).expect("4 bytes"));
            proto = packet[9];
            body = &packet[20..total];
            fragment = be16(packet, 6) & 0x3fff != 0;
            pseudo = packet[12..20].to_vec();
        }
        0x86dd => {
            assert_eq!(packet[0] >> 4, 6);
            let total = 40 + usize::from(be16(packet, 4));
            assert_eq!(total, packet.len());
            src = IpAddr::from(<[u8; 16]>::try_from(&packet[8..24]).expect("16 bytes"));
            dst = IpAddr::from(<[u8; 16]>::try_from(&packet[24..40]).expect("16 bytes"));
            proto = packet[6];
            body = &packet[40..total];
            fragment = false;
            pseudo = packet[8..40].to_vec();
        }
        _ => return None,
    }
    let header_len = match proto {
        _ if fragment => 0,
        6 => usize::from(body[12] >> 4) * 4,
        17 => {
            assert_eq!(usize::from(be16(body, 4)), body.len());
            assert_ne!(be16(body, 6), 0);
            8
        }
        1 | 58 => 8,
        _ => 0,
    };
    if header_len > 0 {
        let length = (body.len() as u16).to_be_bytes();
        let prefix = [&pseudo[..], &[0, proto], &length].concat();
        let sum = if proto == 1 {
            ones_sum(&[body])
        } else {
            ones_sum(&[&prefix, body])
        };
        assert_eq!(sum, 0xffff, "checksum of protocol {proto}");
    }
    Some(Seen {
        src,
        dst,
        proto,
        fragment,
        header: &body[..header_len],
        payload: &body[header_len..],
    })
}

/// The packets of a frame: the outer one, and what is in its tunnel.
fn packets(frame: &[u8]) -> Vec<Seen<'_>> {
    let mut found = Vec::new();
    let (kind, packet) = match be16(frame, 12) {
        0x8100 => (be16(frame, 16), &frame[18..]),
        kind => (kind, &frame[14..]),
    };
    if let Some(outer) = ip(packet, kind) {
        let inner = match outer.proto {
            47 => Some((be16(outer.payload, 2), &outer.payload[4..])),
            4 => Some((0x0800, outer.payload)),
            17 if !outer.fragment && be16(outer.header, 2) == 4789 => {
                Some((be16(outer.payload, 20), &outer.payload[22..]))
            }
            _ => None,
        };
        found.push(outer);
        if let Some((kind, packet)) = inner {
            found.extend(ip(packet, kind));
        }
    }
    found
}

fn bytes_of(traffic: &Traffic) -> Vec<u8> {
    let mut writer = PcapWriter::with_precision(Vec::new(), LinkType::ETHERNET, Precision::Nano)
        .expect("writes");
    for frame in traffic.frames() {
        writer.write(&frame).expect("writes");
    }
    writer.finish().expect("writes")
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_gives_others() {
    let one = bytes_of(&Scenario::new(1).packets(3000).generate());
    assert!(one == bytes_of(&Scenario::new(1).packets(3000).generate()));
    assert!(one != bytes_of(&Scenario::new(2).packets(3000).generate()));
}

#[test]
fn frames_come_in_order_and_sum_up_to_the_statistics() {
    let scenario = Scenario::new(3).packets(8000);
    let traffic = scenario.generate();
    let stats = traffic.stats();
    let mut last = 0;
    let mut bytes = 0;
    for (i, frame) in traffic.frames().enumerate() {
        assert!(
            frame.ts_ns >= last,
            "frame {i} is earlier than the one before"
        );
        assert_eq!(frame.number, i as u64 + 1);
        last = frame.ts_ns;
        bytes += frame.data.len() as u64;
    }
    assert_eq!(stats.total().packets, traffic.frames().len() as u64);
    assert_eq!(stats.total().bytes, bytes);
    assert!((8000..12_000).contains(&stats.total().packets));
    for kind in [Kind::Http, Kind::Tls, Kind::Dns, Kind::Attack] {
        assert!(stats.of(kind).flows > 10, "{}", kind.name());
    }
    assert_eq!(stats.of(Kind::Attack).flows, traffic.planted().len() as u64);

    let again = CaptureReader::new(std::io::Cursor::new(bytes_of(&traffic)), "generated");
    let mut reader = again.expect("a capture");
    for frame in traffic.frames() {
        let read = reader.next_frame().expect("reads").expect("a frame");
        assert_eq!((read.ts_ns, read.data), (frame.ts_ns, frame.data));
    }
}

#[test]
fn every_length_and_checksum_is_right() {
    for vlan in [None, Some(100)] {
        let traffic = Scenario::new(4)
            .packets(6000)
            .v6_percent(30)
            .vlan(vlan)
            .generate();
        let mut protocols: BTreeMap<u8, usize> = BTreeMap::new();
        let mut v6 = 0;
        for frame in traffic.frames() {
            assert_eq!(be16(frame.data, 12) == 0x8100, vlan.is_some());
            for packet in packets(frame.data) {
                *protocols.entry(packet.proto).or_default() += 1;
                v6 += usize::from(packet.src.is_ipv6());
            }
        }
        for proto in [1, 4, 6, 17, 47, 58] {
            assert!(protocols.contains_key(&proto), "protocol {proto}");
        }
        assert!(v6 > 500);
    }
}

/// What each side of each connection said, put together by sequence number.
#[derive(Default)]
struct Side {
    first: Option<u32>,
    acked: u32,
    said: BTreeMap<u32, Vec<u8>>,
    fin: bool,
}

impl Side {
    /// The bytes from the first on; panics on a hole, or when what was seen twice differs.
    fn stream(&self) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for (&at, data) in &self.said {
            let at = at as usize;
            assert!(at <= out.len(), "a hole at {at}");
            let known = (out.len() - at).min(data.len());
            assert_eq!(out[at..at + known], data[..known]);
            out.extend(&data[known..]);
        }
        out
    }
}

#[test]
fn tcp_streams_reassemble_to_whole_messages() {
    let traffic = Scenario::new(5).packets(20_000).attacks(false).generate();
    let mut sides: HashMap<(IpAddr, u16, IpAddr, u16), Side> = HashMap::new();
    let mut repeated = 0;
    for frame in traffic.frames() {
        for packet in packets(frame.data).into_iter().filter(|p| p.proto == 6) {
            let header = packet.header;
            let (sport, dport) = (be16(header, 0), be16(header, 2));
            let (seq, ack, flags) = (be32(header, 4), be32(header, 8), header[13]);
            let key = (packet.src, sport, packet.dst, dport);
            let peer = (packet.dst, dport, packet.src, sport);
            let side = sides.entry(key).or_default();
            if flags & 2 != 0 {
                assert!(side.first.is_none(), "one SYN a side");
                side.first = Some(seq.wrapping_add(1));
            }
            let first = side.first.expect("begins with a SYN");
            if !packet.payload.is_empty() {
                let before = side
                    .said
                    .insert(seq.wrapping_sub(first), packet.payload.to_vec());
                repeated += usize::from(before.is_some());
            }
            side.fin |= flags & 5 != 0;
            if flags & 16 != 0 {
                let Some(other) = sides.get_mut(&peer) else {
                    panic!("acknowledges a side that never spoke");
                };
                let first = other.first.expect("acknowledges after a SYN");
                let acked = ack.wrapping_sub(first);
                assert!(acked >= other.acked, "an acknowledgement goes back");
                let said: u32 = other
                    .said
                    .iter()
                    .next_back()
                    .map_or(0, |(at, data)| at + data.len() as u32);
                assert!(acked <= said + 1, "acknowledges what was not sent");
                other.acked = acked;
            }
        }
    }
    assert!(repeated > 0, "some segments are seen twice");
    let mut requests = 0;
    let mut records = 0;
    for (key, side) in &sides {
        let stream = side.stream();
        assert!(
            side.fin || sides[&(key.2, key.3, key.0, key.1)].fin,
            "every connection ends"
        );
        if stream.is_empty() {
            continue;
        }
        match (key.1, key.3) {
            (80 | 8080, _) | (_, 80 | 8080) => requests += http_messages(&stream),
            (443, _) | (_, 443) => records += framed(&stream, 5, |head| be16(head, 3).into()),
            (445, _) | (_, 445) => {
                framed(&stream, 4, |head| be32(head, 0) as usize);
            }
            _ => {}
        }
    }
    assert!(requests > 100 && records > 1000, "{requests} {records}");
}

/// Counts the messages of a stream that must consist of whole ones.
fn framed(mut stream: &[u8], head: usize, length: impl Fn(&[u8]) -> usize) -> usize {
    let mut count = 0;
    while !stream.is_empty() {
        stream = &stream[head + length(stream)..];
        count += 1;
    }
    count
}

fn http_messages(mut stream: &[u8]) -> usize {
    let mut count = 0;
    while !stream.is_empty() {
        let end = 4 + stream
            .windows(4)
            .position(|at| at == b"\r\n\r\n")
            .expect("headers end");
        let head = std::str::from_utf8(&stream[..end]).expect("headers are text");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |length| length.parse().expect("a number"));
        stream = &stream[end + length..];
        count += 1;
    }
    count
}

#[test]
fn every_attack_has_its_rule_and_its_packet() {
    let traffic = Scenario::new(6).packets(0).generate();
    let planted = traffic.planted();
    let rules: Vec<&str> = demo_rules()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let sid = |rule: &str| -> u32 {
        let (_, rest) = rule.split_once("sid:").expect("a sid");
        let (sid, _) = rest.split_once(';').expect("an end");
        sid.parse().expect("a number")
    };
    let ruled: HashSet<u32> = rules.iter().map(|rule| sid(rule)).collect();
    let due: HashSet<u32> = planted.iter().map(|attack| attack.sid).collect();
    assert_eq!(ruled, due);
    assert_eq!(rules.len(), planted.len(), "one rule an attack");

    for attack in planted {
        let found = traffic.frames().any(|frame| {
            frame.ts_ns >= attack.ts_ns
                && packets(frame.data).iter().any(|packet| {
                    let ports = match packet.header {
                        [] => attack.sport == 0 || attack.name == "attack in fragments",
                        header if attack.sport != 0 => {
                            (be16(header, 0), be16(header, 2)) == (attack.sport, attack.dport)
                        }
                        _ => true,
                    };
                    let name = match packet.proto {
                        1 => "ICMP",
                        6 => "TCP",
                        17 => "UDP",
                        _ => "other",
                    };
                    ports
                        && (packet.src, packet.dst, name) == (attack.src, attack.dst, attack.proto)
                })
        });
        assert!(found, "{attack:?}");
    }
}

#[test]
fn clean_traffic_has_no_marks_of_attacks() {
    let traffic = Scenario::new(8).packets(10_000).attacks(false).generate();
    assert!(traffic.planted().is_empty());
    let marks: [&[u8]; 8] = [
        b"%3Bcat",
        b"uid=0(root)",
        b"../..",
        b"${jndi",
        b"HTTP/1.1 401",
        b"weir-demo",
        b"SSH-2.0-libssh",
        &[0x90; 16],
    ];
    for frame in traffic.frames() {
        for mark in marks {
            let mut rest = frame.data;
            while let Some(at) = rest.iter().position(|byte| *byte == mark[0]) {
                assert!(!rest[at..].starts_with(mark), "{}", mark.escape_ascii());
                rest = &rest[at + 1..];
            }
        }
    }
}

#[test]
fn a_duration_bounds_the_starts_and_attacks_are_spread() {
    let start = 1_000_000_000_000;
    let traffic = Scenario::new(9)
        .start_at(start)
        .duration(Duration::from_secs(20))
        .flows_per_second(30)
        .generate();
    let benign: u64 = Kind::ALL
        .iter()
        .filter(|kind| **kind != Kind::Attack)
        .map(|kind| traffic.stats().of(*kind).flows)
        .sum();
    assert!((450..750).contains(&benign), "{benign}");
    let planted = traffic.planted();
    let (Some(first), Some(last)) = (planted.first(), planted.last()) else {
        panic!("attacks were asked for");
    };
    assert!(first.ts_ns < start + 2_000_000_000 && last.ts_ns > start + 15_000_000_000);
    assert!(traffic.frames().next().is_some_and(|f| f.ts_ns >= start));
}
