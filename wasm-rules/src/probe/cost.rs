//! What rules cost, as far as it can be told before there is traffic.

use weir_engine::plan::{Buffer, Content, Op, Rule, RuleKind};

use super::{Candidate, Reason, rarest, rarity};
use crate::frequency::{Estimate, Table};

/// A rule that is expected in a larger share of payloads than this is dear: a thousand such rules would be evaluated once
/// for every payload.
pub const DEAR: f64 = 0.001;

/// When a rule is evaluated, its header permitting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Occasion {
    /// Where its probe is found, which is expected this often.
    Probe(Estimate),
    /// On every packet.
    Packet,
    /// On the first packet of each direction of a flow.
    Flow,
    /// On packets with decoder events.
    Event,
}

/// Why a rule is evaluated often.
#[derive(Clone, Debug, PartialEq)]
pub enum Dear {
    /// It has no content that must be in the payload.
    NoContent,
    /// The best window of its contents is not rare.
    Window {
        /// The window; lower case when `folded`.
        bytes: Vec<u8>,
        /// ASCII case does not matter.
        folded: bool,
        /// Why it is not.
        reason: Reason,
    },
}

/// What a rule costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// When it is evaluated.
    pub occasion: Occasion,
    /// Why that is often; `None` when it is not.
    pub dear: Option<Dear>,
}

impl Cost {
    /// The cost of a rule whose probe was chosen by `table`.
    pub fn of(rule: &Rule, table: &Table) -> Self {
        let occasion = match (rule.kind(), &rule.probe) {
            (RuleKind::DecoderEvent | RuleKind::StreamEvent, _) => Occasion::Event,
            (RuleKind::IpOnly, _) => Occasion::Flow,
            (_, Some(probe)) => Occasion::Probe(table.estimate(&probe.bytes, probe.folded)),
            (_, None) => Occasion::Packet,
        };
        let dear = match (occasion, &rule.probe) {
            (Occasion::Probe(estimate), Some(probe)) if estimate.payloads > DEAR => {
                Some(Dear::Window {
                    bytes: probe.bytes.clone(),
                    folded: probe.folded,
                    reason: rarity(&probe.bytes, probe.folded, table).1,
                })
            }
            (Occasion::Packet, _) => Some(useless(rule, table)),
            _ => None,
        };
        Self { occasion, dear }
    }
}

/// Why a rule has no probe.
fn useless(rule: &Rule, table: &Table) -> Dear {
    let payload = rule
        .buffers
        .iter()
        .filter(|plan| plan.buffer == Buffer::Payload);
    let contents: Vec<Candidate<'_>> = payload
        .flat_map(|plan| &plan.ops)
        .filter_map(|op| match op {
            Op::Content(Content {
                bytes,
                nocase,
                negated: false,
                ..
            }) => Some(Candidate {
                bytes,
                nocase: *nocase,
                preferred: false,
            }),
            _ => None,
        })
        .collect();
    match rarest(contents.iter(), table) {
        None => Dear::NoContent,
        Some(window) => Dear::Window {
            bytes: window.bytes.to_vec(),
            folded: window.folded,
            reason: window.reason,
        },
    }
}
