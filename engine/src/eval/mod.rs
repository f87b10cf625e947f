//! Evaluation: whether a candidate rule really matches.
//!
//! The caller has already checked the rule's header (protocol, addresses, ports) and its `flow:` test; an evaluator
//! decides the rest: packet tests and buffers.
//!
//! [`Plain`] interprets plans, and is what every other evaluator is held to; [`parts`] is what others share with it.
//! `program` prepares the operations of a buffer, `machine` runs them with a cursor
//! and backtracking; `header` tests header fields, [`Buffers`] finds the bytes and transforms them.

mod app;
pub(crate) mod base64;
mod buffer;
mod entropy;
mod header;
mod machine;
mod needle;
mod number;
pub mod parts;
mod plain;
pub mod program;
mod transform;

pub use buffer::Buffers;
pub use plain::Plain;

use std::any::Any;

use crate::app::{FlowApp, Transaction, Way};
use crate::flow::Flow;
use crate::packet::Packet;
use crate::plan::RuleId;
use crate::state::Seat;
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

/// What lies beyond the subject, for rules that modules decide.
#[derive(Default)]
pub struct Beyond<'a> {
    /// The flow that the subject belongs to.
    pub flow: Option<&'a Flow>,
    /// The worker's seat: who touches what flows share waits for its turn there ([`Seat::wait`]).
    pub seat: Option<&'a mut Seat>,
}

/// Something that happened in a module, for the operator to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Name of the module.
    pub module: std::sync::Arc<str>,
    /// What happened.
    pub kind: NoticeKind,
    /// Why, in words.
    pub reason: String,
    /// How often the module has failed by now.
    pub failures: u64,
}

/// The kinds of [`Notice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// An evaluation was lost: a trap, or a limit.
    Failed,
    /// It is not asked any more, until the rules are loaded again.
    Quarantined,
}

/// Decides candidates.
pub trait Evaluator: Any + Send {
    /// Appends to `matches` those of `candidates` that match, in the order of `candidates`.
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    );

    /// A flow is over: nothing more comes of what was kept for it.
    fn end_flow(&mut self, _id: u64) {}

    /// This one takes the place of another, because other rules come: what that one keeps and this one has a use for goes
    /// on here. `before` is not asked again; `&mut dyn Any` can be made of it, and so what it is.
    fn take_over(&mut self, _before: &mut dyn Evaluator) {}

    /// What has happened since this was asked last, if anything.
    fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

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

impl EvalCounters {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            checks: self.checks + other.checks,
            matches: self.matches + other.matches,
            pcre_limits: self.pcre_limits + other.pcre_limits,
            recursion_limits: self.recursion_limits + other.recursion_limits,
            work_limits: self.work_limits + other.work_limits,
            transform_limits: self.transform_limits + other.transform_limits,
        }
    }
}
