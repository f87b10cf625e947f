//! Conversations: several TCP connections whose segments lie near the numbers that they are at.
//!
//! ```text
//! options (5 bytes)  then, until the end, steps of 8 bytes:
//!     where  flags  seq (2)  ack  time  length  what
//! ```
//!
//! The numbers are relative to those that the two ends are at, so that most random segments mean something. Data is a part
//! of one long text, chosen by its place in the stream: what is sent again is the same, unless a step says otherwise.

use std::sync::LazyLock;

use weir_engine::detect::EngineConfig;
use weir_engine::flow::FlowConfig;
use weir_engine::packet::LinkType;
use weir_engine::stream::{SessionConfig, StreamConfig, StreamPolicy, UrgentPolicy};

/// Bytes of the options.
pub const OPTIONS: usize = 5;
/// Bytes of a step.
pub const STEP: usize = 8;

/// `where`: the first three bits are the connection.
pub const TO_CLIENT: u8 = 0x08;
/// `where`: the packet comes in fragments.
pub const FRAGMENTS: u8 = 0x10;
/// `where`: what comes in several frames comes in reverse.
pub const REVERSED: u8 = 0x20;
/// `where`: the clocks are looked at behind it.
pub const TICK: u8 = 0x40;
/// `where`: the data is not what it was before.
pub const OTHER: u8 = 0x80;

/// The length byte that stands for as much data as a packet holds; others choose from [`LENGTHS`].
pub const MOST: u8 = 0xff;
/// Lengths of data to choose from.
pub const LENGTHS: [usize; 32] = [
    0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 20, 31, 40, 63, 64, 65, 100, 150, 250, 400, 512,
    1000, 1460, 1460, 2000, 3000, 9000,
];
const WINDOWS: [u32; 8] = [64, 65, 100, 256, 1000, 2560, 4096, 70_000];
const DEPTHS: [u64; 8] = [0, 1, 100, 1000, 5000, 100_000, 1 << 20, u64::MAX];
const MEMORY: [usize; 8] = [
    0,
    2 << 10,
    6 << 10,
    20 << 10,
    100 << 10,
    400 << 10,
    2 << 20,
    64 << 20,
];
const FLOWS: [usize; 8] = [1, 2, 3, 4, 8, 16, 64, 64];
const WAITING: [usize; 4] = [0, 300, 20_000, 1 << 20];
const SECOND: u64 = 1_000_000_000;

/// The settings that an input asks for.
pub fn settings(options: &[u8; OPTIONS]) -> EngineConfig {
    let &[switches, sizes, more, policies, flows] = options;
    let pick = |bits: u8| usize::from(bits & 7);
    let urgent = [
        UrgentPolicy::OutOfBand,
        UrgentPolicy::Inline,
        UrgentPolicy::Gap,
        UrgentPolicy::Drop,
    ];
    let policy = StreamPolicy::NAMES[usize::from(policies >> 4) % StreamPolicy::NAMES.len()].1;
    let mut config = EngineConfig {
        inline: switches & 1 != 0,
        flow: FlowConfig {
            max_flows: FLOWS[pick(flows)],
            session: SessionConfig {
                midstream: switches & 2 != 0,
                async_oneside: switches & 4 != 0,
                urgent: urgent[usize::from(policies & 3)],
                urgent_limit: urgent[usize::from(policies >> 2 & 3)],
                ..SessionConfig::default()
            },
            ..FlowConfig::default()
        },
        stream: StreamConfig {
            policy,
            window: WINDOWS[pick(sizes)],
            depth: DEPTHS[pick(sizes >> 3)],
            waiting: WAITING[usize::from(sizes >> 6)],
            memory: MEMORY[pick(more)],
            ..StreamConfig::default()
        },
        alert_max: 1000,
        flow_records: switches & 8 != 0,
        tagged_packets: switches & 16 != 0,
        ..EngineConfig::default()
    };
    config.decoder.defrag.max_bytes = if more & 8 != 0 { 4 << 10 } else { 8 << 20 };
    config
}

/// One frame, and whether clocks are looked at behind it.
pub struct Sent {
    pub ts_ns: u64,
    pub bytes: Vec<u8>,
    pub tick: bool,
}

/// The link that frames are sent over.
pub const LINK: LinkType = LinkType::ETHERNET;

/// The frames that an input's steps stand for. `greet`: connections begin with a handshake of their own.
pub fn frames(steps: &[u8], greet: bool) -> Vec<Sent> {
    let mut talk = Talk {
        ends: Default::default(),
        greeted: [!greet; 8],
        ts_ns: 1_700_000_000 * SECOND,
        sent: Vec::new(),
        id: 0,
    };
    for step in steps.chunks_exact(STEP) {
        let &[place, flags, s0, s1, ack, time, length, what] = step else {
            continue;
        };
        talk.pass(time);
        let number = usize::from(place & 7);
        if !std::mem::replace(&mut talk.greeted[number], true) {
            talk.greet(number);
        }
        let first = talk.sent.len();
        talk.step(
            place,
            flags,
            i16::from_be_bytes([s0, s1]),
            ack as i8,
            if length == MOST {
                65_000
            } else {
                LENGTHS[usize::from(length & 31)]
            },
            length >> 5,
            what,
        );
        if place & REVERSED != 0 {
            talk.sent[first..].reverse();
        }
        let mut ts_ns = talk.ts_ns;
        for sent in &mut talk.sent[first..] {
            sent.ts_ns = ts_ns;
            ts_ns += 1000;
        }
        talk.ts_ns = ts_ns;
        if let Some(last) = talk.sent.last_mut() {
            last.tick |= place & TICK != 0;
        }
    }
    talk.sent
}

/// One end of a connection: its first sequence number, and the next one.
#[derive(Clone, Copy, Default)]
struct End {
    first: u32,
    next: u32,
}

struct Talk {
    ends: [Option<[End; 2]>; 8],
    greeted: [bool; 8],
    ts_ns: u64,
    sent: Vec<Sent>,
    id: u16,
}

impl Talk {
    /// Time goes on.
    fn pass(&mut self, time: u8) {
        self.ts_ns += match time {
            0..=200 => 1_000_000 * u64::from(time + 1),
            201..=230 => SECOND,
            231..=245 => 61 * SECOND,
            246..=250 => 601 * SECOND,
            251..=253 => 4000 * SECOND,
            254 => 0,
            255 => {
                self.ts_ns -= 20 * SECOND;
                0
            }
        };
    }

    fn ends(&mut self, number: usize) -> &mut [End; 2] {
        // Some wrap around soon.
        let first = [u32::MAX - 700, 1000, u32::MAX - 70_000, (1 << 31) - 1000];
        self.ends[number].get_or_insert_with(|| {
            [0, 1].map(|way| {
                let first = first[(number + way) % first.len()];
                End { first, next: first }
            })
        })
    }

    fn greet(&mut self, number: usize) {
        for (place, flags) in [(0, 0x02), (TO_CLIENT, 0x12), (0, 0x10)] {
            self.ts_ns += 1000;
            self.step(number as u8 | place, flags, 0, 0, 0, 0, 0);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a step")]
    fn step(&mut self, place: u8, flags: u8, seq: i16, ack: i8, length: usize, kind: u8, what: u8) {
        let number = usize::from(place & 7);
        let way = usize::from(place & TO_CLIENT != 0);
        let ends = self.ends(number);
        let (own, other) = (ends[way], ends[1 - way]);
        let seq = own.next.wrapping_add_signed(seq.into());
        let ack = other.next.wrapping_add_signed(ack.into());
        let syn = u32::from(flags >> 1 & 1);
        let start = seq.wrapping_add(syn);
        let data = data(
            start.wrapping_sub(own.first.wrapping_add(1)),
            length,
            place,
            what,
        );
        let end = start
            .wrapping_add(data.len() as u32)
            .wrapping_add(u32::from(flags & 1));
        let ahead = end.wrapping_sub(own.next) as i32;
        // Resets move nothing.
        if ahead > 0 && flags & 4 == 0 {
            ends[way].next = end;
        }
        let window: u16 = [0xffff, 0xffff, 0xffff, 0xffff, 0, 1, 100, 4000][usize::from(kind)];
        let mut tcp = Vec::with_capacity(20 + data.len());
        let (client, server) = (40_000 + number as u16 / 2, [80, 4444][number % 2]);
        let ports = if way == 0 {
            [client, server]
        } else {
            [server, client]
        };
        ports.iter().for_each(|port| tcp.extend(port.to_be_bytes()));
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, flags]);
        tcp.extend(window.to_be_bytes());
        tcp.extend([0, 0, 0, what % 32]);
        tcp.extend(data);
        self.packet(number, way, place & FRAGMENTS != 0, &tcp);
    }

    /// Sends a packet of a connection, whole or in fragments.
    fn packet(&mut self, number: usize, way: usize, fragments: bool, body: &[u8]) {
        self.id = self.id.wrapping_add(1);
        let size = if fragments {
            (body.len() / 3).next_multiple_of(8).max(8)
        } else {
            body.len()
        };
        let parts = body.chunks(size).count();
        for (at, part) in body.chunks(size).enumerate() {
            let offset = (at * size / 8) as u16;
            let more = at + 1 < parts;
            let bytes = self.frame(number, way, (parts > 1).then_some((offset, more)), part);
            self.sent.push(Sent {
                ts_ns: self.ts_ns,
                bytes,
                tick: false,
            });
        }
    }

    /// A frame: connections 0 to 3 are IPv4, the others IPv6; 2 and 6 are in a VLAN. Pairs of them share their addresses.
    fn frame(&self, number: usize, way: usize, part: Option<(u16, bool)>, body: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if number % 4 == 2 {
            frame.extend([0x81, 0, 0, 7]);
        }
        let host = |way: usize| [10, number as u8 / 2, 0, 1 + way as u8];
        let (offset, more) = part.unwrap_or_default();
        if number < 4 {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend((20 + body.len() as u16).to_be_bytes());
            frame.extend(self.id.to_be_bytes());
            frame.extend((offset | u16::from(more) << 13).to_be_bytes());
            frame.extend([64, 6, 0, 0]);
            frame.extend(host(way));
            frame.extend(host(1 - way));
        } else {
            let header = 8 * usize::from(part.is_some());
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(((header + body.len()) as u16).to_be_bytes());
            frame.extend([if part.is_some() { 44 } else { 6 }, 64]);
            for way in [way, 1 - way] {
                frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
                frame.extend(host(way));
            }
            if part.is_some() {
                frame.extend([6, 0]);
                frame.extend((offset << 3 | u16::from(more)).to_be_bytes());
                frame.extend(u32::from(self.id).to_be_bytes());
            }
        }
        frame.extend(body);
        frame
    }
}

/// The words that rules look for, among others.
const WORDS: [&str; 16] = [
    "alpha",
    "omega",
    "gamma",
    "delta",
    "alph",
    "omeg",
    "mma",
    "first",
    "second",
    "x",
    "omegagamma",
    "delta 1 omega",
    "gamma{",
    "alpha omega",
    "let it through",
    "stop it here",
];

/// What is sent: words with more or less between them.
static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut text = Vec::new();
    let mut state = 7u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    while text.len() < 80_000 {
        // Verdicts are rare: nothing is seen behind them.
        let words = if next(60) == 0 { 16 } else { 14 };
        text.extend(WORDS[next(words)].as_bytes());
        let between = [0, 1, 3, 20, 70, 300][next(6)];
        text.extend((0..between).map(|_| b'a' + next(16) as u8));
    }
    text
});

/// Data for a place in a stream. `what` shifts the text, or with [`OTHER`] picks one word.
fn data(offset: u32, length: usize, place: u8, what: u8) -> Vec<u8> {
    if place & OTHER != 0 {
        let word = WORDS[usize::from(what) % WORDS.len()].as_bytes();
        return word.iter().copied().cycle().take(length).collect();
    }
    let from = offset as usize % TEXT.len();
    TEXT.iter()
        .copied()
        .cycle()
        .skip(from)
        .take(length)
        .collect()
}
