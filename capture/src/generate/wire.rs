//! Frames: headers, checksums, and the script that one flow's frames are gathered in.

use std::net::IpAddr;

/// IP protocol numbers.
pub(super) mod proto {
    pub(in super::super) const ICMP: u8 = 1;
    pub(in super::super) const IPIP: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const GRE: u8 = 47;
    pub(in super::super) const ICMPV6: u8 = 58;
}

/// TCP flags.
pub(super) mod flag {
    pub(in super::super) const FIN: u8 = 1;
    pub(in super::super) const SYN: u8 = 2;
    pub(in super::super) const RST: u8 = 4;
    pub(in super::super) const PSH: u8 = 8;
    pub(in super::super) const ACK: u8 = 16;
    pub(in super::super) const URG: u8 = 32;
}

/// Bytes of an Ethernet header without VLAN tag.
pub(super) const ETHERNET: usize = 14;

/// An address, and how it looks from where the capture is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) mac: [u8; 6],
    pub(super) ip: IpAddr,
    /// Time to live that is left when its packets are captured.
    pub(super) ttl: u8,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    /// From client to server.
    Up,
    /// From server to client.
    Down,
}

impl Dir {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// Two ends that talk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) client: Host,
    pub(super) server: Host,
    pub(super) cport: u16,
    pub(super) sport: u16,
    pub(super) vlan: Option<u16>,
    /// Round-trip time in nanoseconds.
    pub(super) rtt: u64,
}

impl Path {
    pub(super) fn ends(&self, dir: Dir) -> (&Host, &Host) {
        match dir {
            Dir::Up => (&self.client, &self.server),
            Dir::Down => (&self.server, &self.client),
        }
    }

    pub(super) fn ports(&self, dir: Dir) -> (u16, u16) {
        match dir {
            Dir::Up => (self.cport, self.sport),
            Dir::Down => (self.sport, self.cport),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    ts_ns: u64,
    start: usize,
    len: usize,
}

/// The frames of one flow, in one buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    next: usize,
    ip_id: u16,
}

impl Script {
    /// Empties the script and keeps its memory.
    pub(super) fn clear(&mut self, ip_id: u16) {
        self.bytes.clear();
        self.marks.clear();
        self.next = 0;
        self.ip_id = ip_id;
    }

    /// Adds a frame that `build` writes.
    pub(super) fn frame(&mut self, ts_ns: u64, build: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        build(&mut self.bytes);
        self.marks.push(Mark {
            ts_ns,
            start,
            len: self.bytes.len() - start,
        });
    }

    /// Brings the frames into the order of time; frames of the same time stay as they were added.
    pub(super) fn sort(&mut self) {
        self.marks.sort_by_key(|mark| mark.ts_ns);
    }

    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Time of the next frame to be taken.
    pub(super) fn due(&self) -> Option<u64> {
        self.marks.get(self.next).map(|mark| mark.ts_ns)
    }

    /// Moves to the frame after the next.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// The frame before the next: the one that was [`advance`](Self::advance)d over last.
    pub(super) fn taken(&self) -> Option<(u64, &[u8])> {
        let mark = self.marks.get(self.next.checked_sub(1)?)?;
        let bytes = self.bytes.get(mark.start..mark.start + mark.len)?;
        Some((mark.ts_ns, bytes))
    }

    /// All frames in their present order.
    pub(super) fn frames(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.marks.iter().filter_map(|mark| {
            let bytes = self.bytes.get(mark.start..mark.start + mark.len)?;
            Some((mark.ts_ns, bytes))
        })
    }

    /// Bytes of all frames.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    fn next_ip_id(&mut self) -> u16 {
        self.ip_id = self.ip_id.wrapping_add(1);
        self.ip_id
    }

    /// Adds an IP packet whose payload is `head` and `data`.
    pub(super) fn ip(
        &mut self,
        ts_ns: u64,
        path: &Path,
        dir: Dir,
        protocol: u8,
        head: &[u8],
        data: &[u8],
    ) {
        let id = self.next_ip_id();
        let (src, dst) = path.ends(dir);
        self.frame(ts_ns, |out| {
            ethernet(out, src, dst, path.vlan, ether_type(src));
            ip_header(out, src, dst, protocol, head.len() + data.len(), id);
            out.extend_from_slice(head);
            out.extend_from_slice(data);
        });
    }

    /// Adds a UDP datagram.
    pub(super) fn udp(&mut self, ts_ns: u64, path: &Path, dir: Dir, data: &[u8]) {
        let head = udp_header(path, dir, data);
        self.ip(ts_ns, path, dir, proto::UDP, &head, data);
    }

    /// Adds an ICMP or ICMPv6 echo request (upwards) or reply (downwards).
    pub(super) fn echo(
        &mut self,
        ts_ns: u64,
        path: &Path,
        dir: Dir,
        (id, sequence): (u16, u16),
        data: &[u8],
    ) {
        let (src, dst) = path.ends(dir);
        let (kind, protocol, pseudo) = match (src.ip, dir) {
            (IpAddr::V4(_), Dir::Up) => (8, proto::ICMP, 0),
            (IpAddr::V4(_), Dir::Down) => (0, proto::ICMP, 0),
            (IpAddr::V6(_), _) => (
                if dir == Dir::Up { 128 } else { 129 },
                proto::ICMPV6,
                pseudo_header(src, dst, proto::ICMPV6, 8 + data.len()),
            ),
        };
        let mut head = [kind, 0, 0, 0, 0, 0, 0, 0];
        head[4..6].copy_from_slice(&id.to_be_bytes());
        head[6..].copy_from_slice(&sequence.to_be_bytes());
        let sum = checksum(pseudo + sum(&head) + sum(data));
        head[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ip(ts_ns, path, dir, protocol, &head, data);
    }

    /// Adds a TCP segment.
    pub(super) fn tcp(&mut self, ts_ns: u64, path: &Path, dir: Dir, segment: &Segment<'_>) {
        let (src, dst) = path.ends(dir);
        let (sport, dport) = path.ports(dir);
        // Options are padded by whoever makes them, and at most 40 bytes.
        let header_len = 20 + segment.options.len();
        let mut head = [0; 60];
        let head = &mut head[..header_len];
        head[..2].copy_from_slice(&sport.to_be_bytes());
        head[2..4].copy_from_slice(&dport.to_be_bytes());
        head[4..8].copy_from_slice(&segment.seq.to_be_bytes());
        head[8..12].copy_from_slice(&segment.ack.to_be_bytes());
        head[12] = (header_len as u8 / 4) << 4;
        head[13] = segment.flags;
        head[14..16].copy_from_slice(&segment.window.to_be_bytes());
        head[20..].copy_from_slice(segment.options);
        let pseudo = pseudo_header(src, dst, proto::TCP, header_len + segment.data.len());
        let sum = checksum(pseudo + sum(head) + sum(segment.data));
        head[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ip(ts_ns, path, dir, proto::TCP, head, segment.data);
    }
}

/// What a TCP segment carries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment<'a> {
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    /// A multiple of 4 bytes, at most 40.
    pub(super) options: &'a [u8],
    pub(super) data: &'a [u8],
}

/// A UDP header with its checksum.
pub(super) fn udp_header(path: &Path, dir: Dir, data: &[u8]) -> [u8; 8] {
    let (src, dst) = path.ends(dir);
    let (sport, dport) = path.ports(dir);
    let mut head = [0; 8];
    head[..2].copy_from_slice(&sport.to_be_bytes());
    head[2..4].copy_from_slice(&dport.to_be_bytes());
    head[4..6].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
    let pseudo = pseudo_header(src, dst, proto::UDP, 8 + data.len());
    // 0 would say that there is no checksum.
    let sum = match checksum(pseudo + sum(&head) + sum(data)) {
        0 => 0xffff,
        sum => sum,
    };
    head[6..].copy_from_slice(&sum.to_be_bytes());
    head
}

pub(super) fn ether_type(host: &Host) -> u16 {
    match host.ip {
        IpAddr::V4(_) => 0x0800,
        IpAddr::V6(_) => 0x86dd,
    }
}

pub(super) fn ethernet(
    out: &mut Vec<u8>,
    src: &Host,
    dst: &Host,
    vlan: Option<u16>,
    ether_type: u16,
) {
    out.extend_from_slice(&dst.mac);
    out.extend_from_slice(&src.mac);
    if let Some(vlan) = vlan {
        out.extend_from_slice(&[0x81, 0x00]);
        out.extend_from_slice(&(vlan & 0xfff).to_be_bytes());
    }
    out.extend_from_slice(&ether_type.to_be_bytes());
}

/// Appends an IPv4 or IPv6 header; both ends must be of one family.
pub(super) fn ip_header(
    out: &mut Vec<u8>,
    src: &Host,
    dst: &Host,
    protocol: u8,
    payload: usize,
    id: u16,
) {
    match (src.ip, dst.ip) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = [0; 20];
            header[0] = 0x45;
            header[2..4].copy_from_slice(&(20 + payload as u16).to_be_bytes());
            header[4..6].copy_from_slice(&id.to_be_bytes());
            // Don't fragment, as nearly all traffic has it.
            header[6] = 0x40;
            header[8] = src.ttl;
            header[9] = protocol;
            header[12..16].copy_from_slice(&from.octets());
            header[16..].copy_from_slice(&to.octets());
            seal_ipv4(&mut header);
            out.extend_from_slice(&header);
        }
        (from, to) => {
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&(payload as u16).to_be_bytes());
            out.extend_from_slice(&[protocol, src.ttl]);
            out.extend_from_slice(&v6(from));
            out.extend_from_slice(&v6(to));
        }
    }
}

/// Writes an IPv4 header's checksum.
pub(super) fn seal_ipv4(header: &mut [u8; 20]) {
    header[10..12].fill(0);
    let sum = checksum(sum(header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Sum of the pseudo header that TCP, UDP and ICMPv6 checksums cover (RFC 9293, RFC 8200 section 8.1).
pub(super) fn pseudo_header(src: &Host, dst: &Host, protocol: u8, len: usize) -> u64 {
    let addresses = match (src.ip, dst.ip) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (from, to) => sum(&v6(from)) + sum(&v6(to)),
    };
    addresses + u64::from(protocol) + len as u64
}

/// Sum of 16-bit words, big endian, the last one padded (RFC 1071).
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let mut total: u64 = 0;
    for word in &mut words {
        // 32 bits at a time: the halves meet when the sum is folded.
        total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_be_bytes(last))
}

pub(super) fn checksum(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
