//! Evaluation: whether a candidate rule really matches.
//!
//! The caller has already checked the rule's header (protocol, addresses, ports) and its `flow:` test; an evaluator
//! decides the rest: packet tests and buffers.
//!
//! [`Plain`] is the evaluator there is. `program` prepares the operations of a buffer, `machine` runs them with a cursor
//! and backtracking; `header` tests header fields, [`Buffers`] finds the bytes and transforms them.

mod app;
pub(crate) mod base64;
mod buffer;
mod entropy;
mod header;
mod machine;
mod needle;
mod number;
mod plain;
mod program;
mod transform;

pub use buffer::Buffers;
pub use plain::Plain;

use crate::app::{FlowApp, Transaction, Way};
use crate::packet::Packet;
use crate::plan::RuleId;
use crate::stream::StreamEvents;

/// What rules are evaluated against.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The packet.
    pub packet: &'a Packet<'a>,
    /// What the buffer [`crate::plan::Buffer::Payload`] stands for: the packet's payload, or stream data.
    pub payload: &'a [u8],
    /// Where `payload` is stream data: the offset of its first byte in the stream.
    pub stream_offset: Option<u64>,
    /// What the stream engine found wrong with the packet.
    pub events: StreamEvents,
    /// What is known of the application layer.
    pub app: AppSubject<'a>,
}

/// What rules are evaluated against of the application layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppSubject<'a> {
    /// What the flow speaks, and what was found.
    pub flow: FlowApp,
    /// The transaction at hand.
    pub transaction: Option<&'a Transaction>,
    /// Its direction at hand, or that of the packet: 0 to the server, 1 to the client.
    pub way: u8,
}

impl AppSubject<'_> {
    /// The direction at hand.
    pub fn way(&self) -> Way {
        Way::of(self.way.into())
    }
}

impl<'a> Subject<'a> {
    /// A packet with the payload that rules may look into.
    pub fn packet(packet: &'a Packet<'a>, payload: &'a [u8]) -> Self {
        Self {
            packet,
            payload,
            stream_offset: None,
            events: StreamEvents::default(),
            app: AppSubject::default(),
        }
    }
}

/// Decides candidates.
pub trait Evaluator: Send {
    /// Appends to `matches` those of `candidates` that match, in the order of `candidates`.
    fn evaluate(&mut self, subject: &Subject<'_>, candidates: &[RuleId], matches: &mut Vec<RuleId>);

    /// What has been counted so far.
    fn counters(&self) -> EvalCounters;
}

/// Counters of an evaluator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvalCounters {
    /// Rules evaluated.
    pub checks: u64,
    /// Rules that matched.
    pub matches: u64,
    /// Regular expressions given up at their match limit.
    pub pcre_limits: u64,
    /// Evaluations given up at the backtracking limit.
    pub recursion_limits: u64,
    /// Evaluations given up because they had looked at too many bytes, again and again.
    pub work_limits: u64,
    /// Decompressions of buffers cut off at their `max-size`.
    pub transform_limits: u64,
}
