//! Connections as packets.

use crate::data::{self, BEACON, EXCHANGES, KINDS, Random};

/// Connections of each kind.
const OF_EACH: u16 = 2;
/// Most bytes of a segment.
const SEGMENT: usize = 1400;
/// Bytes of an exchange of a video that are kept, so that the capture stays small.
const MOST: u32 = 60_000;
/// When it begins: 1 January 2024.
const START: f64 = 1_704_067_200.0;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// A capture, and the client ports of the beacons in it.
pub fn capture(seed: u64) -> (Vec<u8>, Vec<u16>) {
    let mut random = Random::new(seed);
    let mut packets: Vec<(f64, Vec<u8>)> = Vec::new();
    let mut beacons = Vec::new();
    for connection in 0..OF_EACH * KINDS.len() as u16 {
        let kind = usize::from(connection) % KINDS.len();
        let port = 40_000 + connection;
        if kind == BEACON {
            beacons.push(port);
        }
        let mut tcp = Tcp {
            packets: &mut packets,
            port,
            next: [1000, 5000],
            time: START + f64::from(connection),
        };
        tcp.segment(true, SYN, 0);
        tcp.segment(false, SYN | ACK, 0);
        tcp.segment(true, ACK, 0);
        for exchange in data::exchanges(kind, &mut random) {
            tcp.time += exchange.pause;
            tcp.say(true, exchange.up);
            tcp.say(false, exchange.down.min(MOST));
        }
        tcp.segment(true, FIN | ACK, 0);
        tcp.segment(false, FIN | ACK, 0);
        tcp.segment(true, ACK, 0);
    }
    packets.sort_by(|a, b| a.0.total_cmp(&b.0));
    (file(&packets), beacons)
}

struct Tcp<'a> {
    packets: &'a mut Vec<(f64, Vec<u8>)>,
    port: u16,
    /// Next sequence numbers of client and server.
    next: [u32; 2],
    time: f64,
}

impl Tcp<'_> {
    fn say(&mut self, up: bool, mut bytes: u32) {
        while bytes > 0 {
            let part = bytes.min(SEGMENT as u32);
            self.segment(up, PSH | ACK, part as usize);
            bytes -= part;
        }
        self.segment(!up, ACK, 0);
    }

    fn segment(&mut self, up: bool, flags: u8, payload: usize) {
        let (own, other) = if up { (0, 1) } else { (1, 0) };
        let ports = if up {
            [self.port, 443]
        } else {
            [443, self.port]
        };
        let ends = [[192, 0, 2, 7], [203, 0, 113, 5]];
        let mut tcp = Vec::new();
        tcp.extend(ports[0].to_be_bytes());
        tcp.extend(ports[1].to_be_bytes());
        tcp.extend(self.next[own].to_be_bytes());
        let acknowledged = if flags & ACK == 0 {
            0
        } else {
            self.next[other]
        };
        tcp.extend(acknowledged.to_be_bytes());
        tcp.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        tcp.resize(tcp.len() + payload, 0x17);
        let length = tcp.len() as u16;
        let pseudo = [&ends[own][..], &ends[other], &[0, 6], &length.to_be_bytes()].concat();
        let sum = checksum(&[&pseudo[..], &tcp].concat());
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut ip = vec![0x45, 0];
        ip.extend((20 + length).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        ip.extend(ends[own]);
        ip.extend(ends[other]);
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let ethernet = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..], &ip, &tcp].concat();
        self.time += 0.000_2;
        self.packets.push((self.time, ethernet));
        self.next[own] += payload as u32 + u32::from(flags & (SYN | FIN) != 0);
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A pcap file, in microseconds.
fn file(packets: &[(f64, Vec<u8>)]) -> Vec<u8> {
    debug_assert!(packets.len() > EXCHANGES);
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (time, packet) in packets {
        let length = packet.len() as u32;
        let micros = (time.fract() * 1e6) as u32;
        for word in [*time as u32, micros, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    bytes
}
