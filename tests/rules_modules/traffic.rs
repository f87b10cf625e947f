//! Frames for captures.

use std::net::{IpAddr, Ipv4Addr};

use weir_capture::generate::{Carried, Craft};

/// A TCP connection as frames.
pub struct Tcp {
    ends: [(Ipv4Addr, u16); 2],
    next: [u32; 2],
    frames: Vec<Vec<u8>>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

impl Tcp {
    /// With a handshake, from a host's port to a server's.
    pub fn open(client: (u8, u16), server: u16) -> Self {
        let host = |last| Ipv4Addr::new(192, 0, 2, last);
        let mut tcp = Self {
            ends: [(host(client.0), client.1), (host(200), server)],
            next: [1000, 9000],
            frames: Vec::new(),
        };
        tcp.segment(0, SYN, b"");
        tcp.segment(1, SYN | ACK, b"");
        tcp.segment(0, ACK, b"");
        tcp
    }

    /// The client says it.
    pub fn up(mut self, bytes: &[u8]) -> Self {
        self.segment(0, PSH | ACK, bytes);
        self.segment(1, ACK, b"");
        self
    }

    /// The server says it.
    pub fn down(mut self, bytes: &[u8]) -> Self {
        self.segment(1, PSH | ACK, bytes);
        self.segment(0, ACK, b"");
        self
    }

    /// The server ends it.
    pub fn close(mut self) -> Vec<Vec<u8>> {
        self.segment(1, FIN | ACK, b"");
        self.segment(0, FIN | ACK, b"");
        self.segment(1, ACK, b"");
        self.frames
    }

    fn segment(&mut self, from: usize, flags: u8, payload: &[u8]) {
        let to = 1 - from;
        let ends = (self.ends[from].0, self.ends[to].0);
        let carried = Carried::Tcp {
            ports: (self.ends[from].1, self.ends[to].1),
            seq: self.next[from],
            ack: if flags & ACK == 0 { 0 } else { self.next[to] },
            flags,
            window: 64_240,
        };
        self.frames.push(frame(ends, carried, payload));
        let taken = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[from] += taken;
    }
}

/// A DNS query of a host.
pub fn dns(host: u8, message: &[u8]) -> Vec<u8> {
    let ends = (
        Ipv4Addr::new(192, 0, 2, host),
        Ipv4Addr::new(198, 51, 100, 53),
    );
    frame(
        ends,
        Carried::Udp {
            ports: (40_053, 53),
        },
        message,
    )
}

/// An ICMP echo request.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    let ends = (Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(198, 51, 100, 1));
    let echo = Carried::Icmp {
        kind: 8,
        code: 0,
        rest: [0, 1, 0, 1],
    };
    frame(ends, echo, payload)
}

fn frame(ends: (Ipv4Addr, Ipv4Addr), carried: Carried, payload: &[u8]) -> Vec<u8> {
    Craft {
        ends: (IpAddr::V4(ends.0), IpAddr::V4(ends.1)),
        carried,
        payload,
        ttl: 64,
        tos: 0,
        id: 1,
        fragment: 0x4000,
        option: None,
    }
    .frame()
}
