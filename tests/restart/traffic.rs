//! Traffic in which, at any time, something is still to be decided.

use weir_capture::PcapWriter;
use weir_engine::packet::{Frame, LinkType};

type End = ([u8; 4], u16);

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const FIN_ACK: u8 = 0x11;

const SERVER: End = ([10, 0, 0, 9], 80);
const TENTH_NS: u64 = 100_000_000;
const START_NS: u64 = 1_577_836_800_000_000_000;

/// What happens in the traffic, by rules. Each has something of its own that a restart could lose.
pub const RULES: &str = "\
# content over a segment border\n\
alert tcp any any -> any any (msg:\"split\"; flow:established,to_server; content:\"/evil/path\"; sid:1;)\n\
# segments that wait for one before them\n\
alert tcp any any -> any any (msg:\"late\"; flow:established,to_server; content:\"backdoor\"; sid:2;)\n\
# a datagram in fragments\n\
alert udp any any -> any any (msg:\"fragments\"; content:\"in many fragments\"; sid:3;)\n\
# bits and counters of flows\n\
alert udp any any -> any any (msg:\"login\"; content:\"login\"; flowbits:set,in; flowint:tries,+,1; noalert; sid:4;)\n\
alert udp any any -> any any (msg:\"admin\"; content:\"admin\"; flowbits:isset,in; tag:session,5,packets; sid:5;)\n\
alert udp any any -> any any (msg:\"tries\"; content:\"login\"; flowint:tries,>,2; sid:6;)\n\
# bits of hosts\n\
alert udp any any -> any any (msg:\"mark\"; content:\"mark\"; xbits:set,seen,track ip_src,expire 900; noalert; sid:7;)\n\
alert udp any any -> any any (msg:\"marked\"; content:\"again\"; xbits:isset,seen,track ip_src; tag:host,3,packets,src; sid:8;)\n\
# counts of alerts, and of what comes before one\n\
alert udp any any -> any any (msg:\"limit\"; content:\"again\"; threshold:type limit,track by_src,count 2,seconds 60; sid:9;)\n\
alert udp any any -> any any (msg:\"often\"; content:\"again\"; detection_filter:track by_src,count 3,seconds 60; sid:10;)\n\
# what only the end of a window decides\n\
alert tcp any any -> any any (msg:\"window\"; flow:established,to_server; content:\"USER\"; content:!\"PASS\"; sid:11;)\n\
# sets\n\
alert udp any any -> any any (msg:\"set\"; content:\"member\"; ip.src; dataset:set,hosts,type ip; noalert; sid:12;)\n\
alert udp any any -> any any (msg:\"in the set\"; content:\"er of\"; ip.src; dataset:isset,hosts,type ip; sid:13;)\n\
# the handshake, and what is wrong with a connection\n\
alert tcp any any -> any any (msg:\"event\"; stream-event:reassembly_overlap_different_data; sid:14;)\n\
# a rule whose flow is not inspected any more\n\
pass tcp any any -> any any (msg:\"pass\"; flow:established,to_server; content:\"let me pass\"; sid:15;)\n\
alert tcp any any -> any any (msg:\"passed\"; flow:established; content:\"secret\"; sid:16;)\n\
# before and behind a gap\n\
alert tcp any any -> any any (msg:\"gap\"; flow:established,to_server; content:\"behind the gap\"; sid:17;)\n\
# what a flow has carried lately\n\
alert udp any any -> any any (msg:\"much\"; flow.elephant:toserver; content:\"again\"; sid:18;)\n";

/// Configuration to go with them.
pub const CONFIG: &str = "[flow.elephant]\nbytes = \"300\"\ninterval = 60\n";

/// A packet and when it came, nanoseconds since the Unix epoch.
pub type Timed = (u64, Vec<u8>);

fn ipv4(proto: u8, fragment: u16, (src, dst): ([u8; 4], [u8; 4]), body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, proto, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(body);
    packet
}

fn datagram(from: End, to: End, payload: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(from.1.to_be_bytes());
    body.extend(to.1.to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload.as_bytes());
    body
}

fn udp(from: End, payload: &str) -> Vec<u8> {
    ipv4(
        17,
        0,
        (from.0, SERVER.0),
        &datagram(from, (SERVER.0, 53), payload),
    )
}

/// One end's view of a connection with `SERVER`: sequence numbers of both ends.
struct Connection {
    client: End,
    next: [u32; 2],
}

impl Connection {
    fn new(host: u8) -> Self {
        Self {
            client: ([10, 0, 1, host], 40_000),
            next: [1000, u32::MAX - 3],
        }
    }

    fn segment(&self, way: usize, flags: u8, ahead: i32, payload: &str) -> Vec<u8> {
        let ends = [self.client, SERVER];
        let (from, to) = (ends[way], ends[1 - way]);
        let seq = self.next[way].wrapping_add_signed(ahead);
        let ack = if flags == SYN { 0 } else { self.next[1 - way] };
        let mut body = Vec::new();
        body.extend(from.1.to_be_bytes());
        body.extend(to.1.to_be_bytes());
        body.extend(seq.to_be_bytes());
        body.extend(ack.to_be_bytes());
        body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        body.extend(payload.as_bytes());
        ipv4(6, 0, (from.0, to.0), &body)
    }

    /// The next segment of a direction.
    fn says(&mut self, way: usize, flags: u8, payload: &str) -> Vec<u8> {
        let segment = self.segment(way, flags, 0, payload);
        let counted = u32::from(flags & (SYN | 1) != 0);
        self.next[way] = self.next[way].wrapping_add(payload.len() as u32 + counted);
        segment
    }

    fn handshake(&mut self) -> Vec<Vec<u8>> {
        vec![
            self.says(0, SYN, ""),
            self.says(1, SYN_ACK, ""),
            self.says(0, ACK, ""),
        ]
    }
}

/// A connection: who says what, one after the other (0: the client).
pub fn conversation(lines: &[(usize, &str)]) -> Vec<Vec<u8>> {
    let mut connection = Connection::new(99);
    let mut packets = connection.handshake();
    packets.extend(
        lines
            .iter()
            .map(|(way, text)| connection.says(*way, ACK, text)),
    );
    packets
}

/// The conversations, one after the other, each of them a list of packets.
fn conversations() -> Vec<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut of = |host: u8, talk: &mut dyn FnMut(&mut Connection, &mut Vec<Vec<u8>>)| {
        let mut connection = Connection::new(host);
        let mut packets = connection.handshake();
        talk(&mut connection, &mut packets);
        all.push(packets);
    };
    of(1, &mut |c, out| {
        for part in ["GET /e", "vil/pa", "th HTTP/1.0\r\n\r\n"] {
            out.push(c.says(0, ACK, part));
        }
        out.push(c.says(1, ACK, "HTTP/1.0 404\r\n"));
        out.push(c.says(0, FIN_ACK, ""));
        out.push(c.says(1, FIN_ACK, ""));
        out.push(c.says(0, ACK, ""));
    });
    of(2, &mut |c, out| {
        out.push(c.segment(0, ACK, 8, "or is open"));
        out.push(c.segment(0, ACK, 4, "ckdo"));
        out.push(c.segment(0, ACK, 0, "a ba"));
        c.next[0] = c.next[0].wrapping_add(18);
        out.push(c.says(1, ACK, "yes"));
    });
    // Nothing but time ends this one.
    of(3, &mut |c, out| {
        out.push(c.says(0, ACK, "USER root\r\n"));
    });
    of(4, &mut |c, out| {
        out.push(c.says(0, ACK, "USER root\r\n"));
        out.push(c.says(0, ACK, "PASS x\r\n"));
        out.push(c.says(1, ACK, "no\r\n"));
        out.push(c.says(0, ACK, "USER toor\r\n"));
        out.push(c.says(1, ACK, "?\r\n"));
    });
    of(5, &mut |c, out| {
        out.push(c.says(0, ACK, "nothing to see"));
        // The same place again, other bytes; the receiver has acknowledged none of them.
        out.push(c.segment(0, ACK, -14, "something else"));
        out.push(c.says(1, ACK, "ok"));
    });
    of(6, &mut |c, out| {
        out.push(c.says(0, ACK, "let me pass"));
        out.push(c.says(1, ACK, "do"));
        out.push(c.says(0, ACK, "secret"));
        out.push(c.says(1, ACK, "secret"));
    });
    of(7, &mut |c, out| {
        out.push(c.says(0, ACK, "before"));
        c.next[0] = c.next[0].wrapping_add(50);
        out.push(c.says(0, ACK, "behind "));
        out.push(c.says(0, ACK, "the gap"));
        out.push(c.says(1, ACK, "I have it all"));
    });
    let whole = datagram(
        ([10, 0, 2, 1], 5000),
        SERVER,
        "a packet that comes in many fragments to you",
    );
    let fragment = |at: usize| {
        let part = &whole[at..whole.len().min(at + 16)];
        let more = u16::from(at + 16 < whole.len()) << 13;
        ipv4(17, more | (at / 8) as u16, ([10, 0, 2, 1], SERVER.0), part)
    };
    let mut fragments = vec![udp(([10, 0, 2, 1], 5000), "nothing"); 3];
    fragments.extend([16, 0, 48, 32].map(fragment));
    all.push(fragments);
    let words = [
        "login", "admin", "login", "login", "mark", "again", "admin", "again", "again", "again",
    ];
    all.push(words.map(|word| udp(([10, 0, 3, 1], 6000), word)).into());
    let words = [
        "again",
        "admin",
        "a member of",
        "mark",
        "a member of",
        "again",
        "er of",
        "again",
        "login",
    ];
    all.push(words.map(|word| udp(([10, 0, 3, 2], 6000), word)).into());
    all
}

/// All conversations at once, a packet of each at a time; then, after a while in which flows time out, one more.
pub fn all() -> Vec<Timed> {
    let mut conversations: Vec<_> = conversations().into_iter().map(Vec::into_iter).collect();
    let mut packets = Vec::new();
    loop {
        let round: Vec<Vec<u8>> = conversations
            .iter_mut()
            .filter_map(Iterator::next)
            .collect();
        if round.is_empty() {
            break;
        }
        packets.extend(round);
    }
    let mut timed: Vec<Timed> = (0..)
        .zip(packets)
        .map(|(at, packet)| (START_NS + at * TENTH_NS, packet))
        .collect();
    let late = START_NS + 700_000_000_000;
    for (at, word) in (0..).zip(["again", "mark", "login"]) {
        timed.push((late + at * TENTH_NS, udp(([10, 0, 3, 1], 6000), word)));
    }
    timed
}

/// A capture of these packets.
pub fn pcap(packets: &[Timed], link: LinkType) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), link).expect("a Vec takes it");
    for (number, (ts_ns, data)) in (1..).zip(packets) {
        let frame = Frame {
            ts_ns: *ts_ns,
            number,
            link,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        writer.write(&frame).expect("a Vec takes it");
    }
    writer.finish().expect("a Vec takes it")
}
