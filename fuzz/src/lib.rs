//! What the fuzz targets share: how bytes become frames, and rules to hold them against.
//!
//! An input that stands for traffic is
//!
//! ```text
//! link (1 byte)  options (1 byte)  then, until the end:  length (2 bytes, big endian)  bytes
//! ```
//!
//! `link` picks from [`LINKS`]. Of a `length`, the low 13 bits count the frame's bytes; bit 15 lets more than a
//! minute pass before the frame (so that fragments time out), bit 14 says that the frame was longer on the wire.

pub mod app;
mod cases;
mod detector;
pub mod handover;
pub mod segment;
pub mod talk;
pub mod wire;

use std::sync::Arc;

use weir_engine::packet::{Frame, LinkType, Packet};
use weir_engine::plan::RuleSet;
use weir_rules::classification::Classification;
use weir_rules::compile::{Compiler, Variables, load};
use weir_rules::syntax::SourceFile;

pub use cases::{Cases, TIMES};
pub use detector::Detector;

/// Link types to choose from, and one that nobody knows.
pub const LINKS: [LinkType; 13] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::PPP,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::CHDLC,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::RAW_12,
    LinkType::RAW_14,
    LinkType(0xfffe),
];

/// Time goes on by this much where more than a minute passes.
const LONG_NS: u64 = 61_000_000_000;
/// And by this much otherwise.
const SHORT_NS: u64 = 1_000_000;
/// Set in a frame's length when a long time passed before it.
pub const LATE: u16 = 1 << 15;
/// Set in a frame's length when the frame was longer on the wire.
pub const CUT: u16 = 1 << 14;
/// Longest frame that the format can say.
pub const MAX_FRAME: usize = (1 << 13) - 1;

/// The frames that an input stands for.
pub struct Traffic<'a> {
    /// Free for a target to use.
    pub options: u8,
    link: LinkType,
    rest: &'a [u8],
    ts_ns: u64,
    number: u64,
}

impl<'a> Traffic<'a> {
    /// `None` when the input is too short to say anything.
    pub fn new(input: &'a [u8]) -> Option<Self> {
        let (&[link, options], rest) = input.split_first_chunk()?;
        let link = *LINKS.get(usize::from(link) % LINKS.len())?;
        Some(Self {
            options,
            link,
            rest,
            ts_ns: 1_700_000_000_000_000_000,
            number: 0,
        })
    }
}

impl<'a> Iterator for Traffic<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (&head, rest) = self.rest.split_first_chunk::<2>()?;
        let head = u16::from_be_bytes(head);
        let wanted = usize::from(head) & MAX_FRAME;
        let (data, rest) = rest.split_at(wanted.min(rest.len()));
        self.rest = rest;
        self.ts_ns += if head & LATE != 0 { LONG_NS } else { SHORT_NS };
        self.number += 1;
        let missing = if head & CUT != 0 { 100 } else { 0 };
        Some(Frame {
            ts_ns: self.ts_ns,
            number: self.number,
            link: self.link,
            data,
            wire_len: data.len() as u32 + missing,
            ..Frame::default()
        })
    }
}

/// Reads every field and byte that a packet offers, so that a bad slice or a failing accessor shows.
pub fn read_all(packet: &Packet<'_>) -> u64 {
    let bytes = |slice: &[u8]| slice.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let facts = [
        packet.ttl().map(u64::from),
        packet.tos().map(u64::from),
        packet.ip_id().map(u64::from),
        packet.frag_offset().map(u64::from),
        packet.frag_bits().map(u64::from),
        packet.tcp_flags().map(u64::from),
        packet.tcp_seq().map(u64::from),
        packet.tcp_ack().map(u64::from),
        packet.tcp_window().map(u64::from),
        packet.tcp_mss().map(u64::from),
        packet.tcp_wscale().map(u64::from),
        packet.icmp_type().map(u64::from),
        packet.icmp_code().map(u64::from),
        packet.icmp_id().map(u64::from),
        packet.icmp_seq().map(u64::from),
        packet.icmp6_mtu().map(u64::from),
        packet.igmp_type().map(u64::from),
    ];
    facts.iter().flatten().sum::<u64>()
        + packet.ip_options().map(u64::from).sum::<u64>()
        + packet
            .events
            .iter()
            .map(|event| event.name().len() as u64)
            .sum::<u64>()
        + packet.ether.map_or(0, bytes)
        + packet.tcp().map_or(0, bytes)
        + bytes(packet.payload)
}

/// A compiler with the stock variables and classes.
pub fn compiler() -> Compiler {
    Compiler::new(Variables::stock(), Classification::stock())
}

/// Rules written to reach every operation of the evaluator, the demo's among them.
pub fn rules() -> Arc<RuleSet> {
    compiled(&[
        ("evaluate.rules", include_str!("../rules/evaluate.rules")),
        ("demo.rules", weir_capture::generate::demo_rules()),
    ])
}

/// Rules of every kind that there is about streams.
pub fn stream_rules() -> Arc<RuleSet> {
    compiled(&[("stream.rules", include_str!("../rules/stream.rules"))])
}

fn compiled(files: &[(&str, &str)]) -> Arc<RuleSet> {
    let source = |(name, text): &(&str, &str)| SourceFile {
        name: (*name).into(),
        bytes: text.as_bytes().to_vec(),
    };
    let sources: Vec<SourceFile> = files.iter().map(source).collect();
    let loaded = load(&sources, &compiler());
    assert!(
        loaded.refused.is_empty(),
        "a rule for fuzzing does not compile: {:?}",
        loaded.refused
    );
    Arc::new(loaded.rules)
}
