//! Packets of one connection, as an attacker may write them.

pub const CLIENT: ([u8; 4], u16) = ([10, 1, 2, 3], 40_001);
pub const SERVER: ([u8; 4], u16) = ([10, 9, 8, 7], 4444);
/// Initial sequence numbers; the client's stream wraps around soon.
pub const CLIENT_ISN: u32 = u32::MAX - 700;
pub const SERVER_ISN: u32 = 77_000;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;
pub const URG: u8 = 0x20;

/// A TCP segment, before it becomes a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub to_server: bool,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub data: Vec<u8>,
    /// TSval of the timestamps option, where there is one.
    pub timestamp: Option<u32>,
    pub bad_checksum: bool,
}

impl Segment {
    /// Data of the client, at an offset in its stream.
    pub fn data(offset: usize, data: &[u8]) -> Self {
        Self {
            to_server: true,
            flags: ACK,
            seq: CLIENT_ISN.wrapping_add(1).wrapping_add(offset as u32),
            ack: SERVER_ISN.wrapping_add(1),
            data: data.to_vec(),
            timestamp: None,
            bad_checksum: false,
        }
    }

    /// The offset of its data in the client's stream.
    pub fn offset(&self) -> usize {
        self.seq.wrapping_sub(CLIENT_ISN.wrapping_add(1)) as usize
    }

    /// The server's answer: it has so many bytes of the client, and sends some of its own from `offset` on.
    pub fn answer(received: usize, offset: usize, data: &[u8]) -> Self {
        Self {
            to_server: false,
            flags: ACK,
            seq: SERVER_ISN.wrapping_add(1).wrapping_add(offset as u32),
            ack: CLIENT_ISN.wrapping_add(1).wrapping_add(received as u32),
            data: data.to_vec(),
            timestamp: None,
            bad_checksum: false,
        }
    }

    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let (from, to) = if self.to_server {
            (CLIENT, SERVER)
        } else {
            (SERVER, CLIENT)
        };
        let mut options = Vec::new();
        if let Some(value) = self.timestamp {
            options.extend([1, 1, 8, 10]);
            options.extend(value.to_be_bytes());
            options.extend([0; 4]);
        }
        let mut tcp = Vec::new();
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([
            ((20 + options.len() as u8) / 4) << 4,
            self.flags,
            0xff,
            0xff,
            0,
            0,
            0,
            u8::from(self.flags & URG != 0),
        ]);
        tcp.extend(options);
        tcp.extend(&self.data);
        let mut sum = checksum_of(from.0, to.0, &tcp);
        if self.bad_checksum {
            sum = !sum;
        }
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        ipv4(from.0, to.0, 1, 0, false, &tcp)
    }

    /// The packet in fragments of so many blocks of 8 bytes each.
    pub fn fragments(&self, blocks: usize, id: u16) -> Vec<Vec<u8>> {
        let whole = self.packet();
        let (src, dst) = (address(&whole, 12), address(&whole, 16));
        let body = &whole[20..];
        let parts: Vec<&[u8]> = body.chunks(8 * blocks).collect();
        let last = parts.len() - 1;
        parts
            .iter()
            .enumerate()
            .map(|(at, part)| ipv4(src, dst, id, at * blocks, at != last, part))
            .collect()
    }
}

fn address(packet: &[u8], at: usize) -> [u8; 4] {
    [packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]
}

/// An IPv4 packet, or a fragment of one that starts `blocks` times 8 bytes into it.
pub fn ipv4(
    src: [u8; 4],
    dst: [u8; 4],
    id: u16,
    blocks: usize,
    more: bool,
    body: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend((blocks as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
    packet.extend([64, 6, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(body);
    packet
}

/// The Internet checksum (RFC 1071) of parts that follow on each other, all but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn checksum_of(src: [u8; 4], dst: [u8; 4], tcp: &[u8]) -> u16 {
    let length = (tcp.len() as u16).to_be_bytes();
    checksum(&[&src, &dst, &[0, 6], &length, tcp])
}

/// The handshake that every connection begins with.
pub fn handshake(timestamp: Option<u32>) -> Vec<Segment> {
    let base = Segment::data(0, b"");
    vec![
        Segment {
            flags: SYN,
            seq: CLIENT_ISN,
            ack: 0,
            timestamp,
            ..base.clone()
        },
        Segment {
            to_server: false,
            flags: SYN | ACK,
            seq: SERVER_ISN,
            ack: CLIENT_ISN.wrapping_add(1),
            timestamp,
            ..base.clone()
        },
        Segment { timestamp, ..base },
    ]
}

/// Both sides say that they have no more to send; the client after so many bytes.
pub fn goodbye(sent: usize) -> Vec<Segment> {
    let fin = Segment {
        flags: FIN | ACK,
        ..Segment::data(sent, b"")
    };
    let answer = Segment {
        flags: FIN | ACK,
        ..Segment::answer(sent + 1, 0, b"")
    };
    let last = Segment {
        ack: SERVER_ISN.wrapping_add(2),
        ..Segment::data(sent + 1, b"")
    };
    vec![fin, answer, last]
}
