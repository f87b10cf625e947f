//! Packets of numbered hosts and connections, from the IP header on, with checksums that hold.

use std::net::Ipv4Addr;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Sequence numbers of the first byte of each side's stream.
const FIRST: [u32; 2] = [1_001, 2_001];

/// A family of connections: their clients are in a network of their own, so that no two families share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Family(pub(crate) u8);

impl Family {
    /// The client of a connection: address and port.
    fn client(self, number: usize) -> (Ipv4Addr, u16) {
        let host = number as u32 & 0x00ff_ffff;
        let port = 1024 + (number >> 24) as u16;
        (
            Ipv4Addr::from(u32::from(self.0) << 24 | host),
            port.wrapping_add(31 * (number as u16 & 0x3ff)),
        )
    }

    /// The connection that a client belongs to.
    pub(crate) fn number(self, client: std::net::IpAddr) -> Option<usize> {
        let std::net::IpAddr::V4(client) = client else {
            return None;
        };
        let bits = u32::from(client);
        (bits >> 24 == u32::from(self.0)).then_some(bits as usize & 0x00ff_ffff)
    }
}

const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(172, 16, 0, 80), 80);

/// A segment of a numbered connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) of: (Family, usize),
    pub(crate) to_server: bool,
    pub(crate) flags: u8,
    /// Offsets in the sender's stream, and in the receiver's: what is sent and what is acknowledged.
    pub(crate) at: [u32; 2],
    pub(crate) data: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Data to the server, at an offset of the stream.
    pub(crate) fn data(of: (Family, usize), at: u32, data: &'a [u8]) -> Self {
        Self {
            of,
            to_server: true,
            flags: ACK,
            at: [at, 0],
            data,
        }
    }

    /// The three packets that a connection begins with.
    pub(crate) fn handshake(of: (Family, usize)) -> [Segment<'static>; 3] {
        let begin = Segment {
            flags: SYN,
            // A SYN takes the number before the first byte.
            at: [u32::MAX, 0],
            ..Segment::data(of, 0, &[])
        };
        let answer = Segment {
            flags: SYN | ACK,
            to_server: false,
            ..begin
        };
        [begin, answer, Segment::data(of, 0, &[])]
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (family, number) = self.of;
        let client = family.client(number);
        let (from, to, [mine, theirs]) = if self.to_server {
            (client, SERVER, FIRST)
        } else {
            (SERVER, client, [FIRST[1], FIRST[0]])
        };
        let seq = mine.wrapping_add(self.at[0]);
        let ack = match self.flags & ACK {
            0 => 0,
            _ => theirs.wrapping_add(self.at[1]),
        };
        let start = ipv4(out, from.0, to.0, TCP, (0, 0), 20 + self.data.len());
        let at = out.len();
        out.extend(from.1.to_be_bytes());
        out.extend(to.1.to_be_bytes());
        out.extend(seq.to_be_bytes());
        out.extend(ack.to_be_bytes());
        out.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend_from_slice(self.data);
        seal(out, start, at, TCP, 16);
    }
}

/// A UDP datagram of a numbered host.
pub(crate) fn datagram(out: &mut Vec<u8>, (family, number): (Family, usize), data: &[u8]) {
    let (from, to) = (family.client(number), (SERVER.0, 53u16));
    let length = 8 + data.len();
    let start = ipv4(out, from.0, to.0, UDP, (0, 0), length);
    let at = out.len();
    out.extend(from.1.to_be_bytes());
    out.extend(to.1.to_be_bytes());
    out.extend((length as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend_from_slice(data);
    seal(out, start, at, UDP, 6);
}

/// A fragment, not the last one, of a numbered packet, at an offset in blocks of 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) of: (Family, usize),
    pub(crate) v6: bool,
    pub(crate) block: u16,
    pub(crate) data: &'a [u8],
}

impl Fragment<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (family, number) = self.of;
        let source = family.client(number).0;
        if !self.v6 {
            let place = (number as u16, 0x2000 | self.block);
            ipv4(out, source, SERVER.0, UDP, place, self.data.len());
            out.extend_from_slice(self.data);
            return;
        }
        out.extend([0x60, 0, 0, 0]);
        out.extend((8 + self.data.len() as u16).to_be_bytes());
        // Next comes a fragment header.
        out.extend([44, 64]);
        out.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(source.octets());
        out.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend(SERVER.0.octets());
        out.extend([UDP, 0]);
        out.extend((self.block << 3 | 1).to_be_bytes());
        out.extend((number as u32).to_be_bytes());
        out.extend_from_slice(self.data);
    }
}

/// Writes an IPv4 header in front of so many bytes; where it begins. `place`: identification, and flags with offset.
fn ipv4(
    out: &mut Vec<u8>,
    from: Ipv4Addr,
    to: Ipv4Addr,
    proto: u8,
    place: (u16, u16),
    length: usize,
) -> usize {
    let start = out.len();
    out.extend([0x45, 0]);
    out.extend((20 + length as u16).to_be_bytes());
    out.extend(place.0.to_be_bytes());
    out.extend(place.1.to_be_bytes());
    out.extend([64, proto, 0, 0]);
    out.extend(from.octets());
    out.extend(to.octets());
    let sum = !fold(sum(&out[start..]));
    out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    start
}

/// Puts the checksum of what stands at `at`, in a packet that begins at `start`, where it belongs.
fn seal(out: &mut [u8], start: usize, at: usize, proto: u8, place: usize) {
    let pseudo = sum(&out[start + 12..start + 20]) + u64::from(proto) + (out.len() - at) as u64;
    let sum = !fold(pseudo + sum(&out[at..]));
    out[at + place..at + place + 2].copy_from_slice(&sum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let whole: u64 = (pairs.iter())
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum();
    whole + rest.first().map_or(0, |&last| u64::from(last) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
