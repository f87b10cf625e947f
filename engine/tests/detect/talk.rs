//! A TCP connection through an engine whose verdicts are carried out, segment by segment.

use std::sync::Arc;

use weir_engine::detect::{Engine, EngineConfig, Verdict};
use weir_engine::eval;
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::Plain;
use weir_engine::packet::{DecoderConfig, Frame, LinkType};
use weir_engine::plan::{Action, PacketTest, Rule, RuleSet};

use crate::build;
use crate::fallback::{WORDS, rule};

pub const SECOND: u64 = 1_000_000_000;
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
/// The client's first byte; the server's.
pub const CLIENT: u32 = 1001;
pub const SERVER: u32 = 5001;
/// What the server's window holds.
pub const WINDOW: u16 = 60_000;

pub fn config() -> EngineConfig {
    EngineConfig {
        inline: true,
        bypass: true,
        flow: FlowConfig {
            max_flows: 16,
            ..FlowConfig::default()
        },
        ..EngineConfig::default()
    }
}

/// The same, where checksums are looked at.
pub fn verifying() -> EngineConfig {
    EngineConfig {
        decoder: DecoderConfig {
            verify_checksums: true,
            ..DecoderConfig::default()
        },
        ..config()
    }
}

/// Rules that drop a flow in whose stream one of the words is.
pub fn words() -> Vec<Rule> {
    let of_word = |word| Rule {
        action: Action::Drop,
        needs_packet: false,
        needs_stream: true,
        ..rule(word)
    };
    WORDS.map(of_word).to_vec()
}

/// A rule that drops packets with a word, and nothing else of their flow.
pub fn packets_with(word: &str) -> Rule {
    Rule {
        action: Action::Drop,
        ..rule(word)
    }
}

/// A rule that drops packets of which a test holds.
pub fn packets_that(test: PacketTest) -> Rule {
    Rule {
        action: Action::Drop,
        tests: vec![test],
        buffers: vec![],
        probe: None,
        ..rule(WORDS[0])
    }
}

/// A segment from the client, or from the server.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    pub from_client: bool,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// Options of IP.
    pub ip: &'a [u8],
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// From the IP header on, with checksums.
    pub fn packet(&self) -> Vec<u8> {
        let (from, to): ([u8; 4], [u8; 4]) = match self.from_client {
            true => ([10, 0, 0, 1], [10, 0, 0, 2]),
            false => ([10, 0, 0, 2], [10, 0, 0, 1]),
        };
        let ports: [u8; 4] = match self.from_client {
            true => [0x0f, 0xa0, 0, 80],
            false => [0, 80, 0x0f, 0xa0],
        };
        let mut tcp = build::concat(&[
            &ports,
            &self.seq.to_be_bytes(),
            &self.ack.to_be_bytes(),
            &[0x50, self.flags],
            &self.window.to_be_bytes(),
            &[0, 0, 0, 0],
            self.payload,
        ]);
        let length = (tcp.len() as u16).to_be_bytes();
        let pseudo = build::concat(&[&from, &to, &[0, 6], &length, &tcp]);
        let sum = build::checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = build::ipv4_with(6, 1, 0x4000, self.ip, &tcp);
        packet[12..16].copy_from_slice(&from);
        packet[16..20].copy_from_slice(&to);
        packet[10..12].copy_from_slice(&[0, 0]);
        let header = 20 + self.ip.len();
        let sum = build::checksum(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    }
}

/// An engine, and the time.
pub struct Talk {
    pub engine: Engine,
    pub now_ns: u64,
}

impl Talk {
    pub fn new(rules: Vec<Rule>, config: EngineConfig) -> Self {
        let rules = Arc::new(RuleSet::new(rules));
        let evaluator = Box::new(eval::Plain::new(Arc::clone(&rules)));
        let engine = Engine::new(rules, Box::new(Plain::new()), evaluator, config);
        Self {
            engine: engine.expect("holds the probes"),
            now_ns: SECOND,
        }
    }

    /// With the words, and past the handshake.
    pub fn connected() -> Self {
        let mut talk = Self::new(words(), config());
        talk.connect();
        talk
    }

    pub fn frame(&mut self, data: &[u8]) -> Verdict {
        self.now_ns += 1_000_000;
        let frame = Frame {
            ts_ns: self.now_ns,
            number: 0,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        self.engine.process(frame, &mut Vec::new())
    }

    /// True when the segment is dropped.
    pub fn drops(&mut self, segment: Segment<'_>) -> bool {
        self.frame(&segment.packet()).drop
    }

    /// The handshake, from these numbers on.
    pub fn connect_at(&mut self, client: u32, server: u32) {
        let (client, server) = (client.wrapping_sub(1), server.wrapping_sub(1));
        let syn = segment(true, client, 0, SYN, b"");
        assert!(!self.drops(syn), "SYN");
        let answer = segment(false, server, client.wrapping_add(1), SYN | ACK, b"");
        assert!(!self.drops(answer), "SYN+ACK");
        let (client, server) = (client.wrapping_add(1), server.wrapping_add(1));
        assert!(!self.drops(segment(true, client, server, ACK, b"")), "ACK");
    }

    pub fn connect(&mut self) {
        self.connect_at(CLIENT, SERVER);
    }

    /// Data of the client; true when it is dropped.
    pub fn client(&mut self, at: u32, payload: &[u8]) -> bool {
        self.drops(segment(true, CLIENT.wrapping_add(at), SERVER, ACK, payload))
    }

    /// The server acknowledges so many bytes; true when that is dropped.
    pub fn acks(&mut self, bytes: u32) -> bool {
        let ack = CLIENT.wrapping_add(bytes);
        self.drops(segment(false, SERVER, ack, ACK, b""))
    }
}

pub fn segment(from_client: bool, seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Segment<'_> {
    Segment {
        from_client,
        seq,
        ack,
        flags,
        window: WINDOW,
        ip: &[],
        payload,
    }
}
