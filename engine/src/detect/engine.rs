//! One worker of the packet path.

use std::sync::Arc;

use super::index;
use super::threshold::{Due, Thresholds};
use super::{FlowFacts, PacketFacts, Prepared, Profile, Stage, header};
use crate::eval::{EvalCounters, Evaluator, Subject};
use crate::flow::{FlowAction, FlowConfig, FlowCounters, FlowTable, FlowView};
use crate::matcher::{Matcher, MatcherError, Outcome, Plain, Request};
use crate::packet::{Decoder, DecoderConfig, DecoderCounters, Frame, Packet, Transport};
use crate::plan::{Action, RuleId, RuleKind, RuleSet};

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Decoding and defragmentation.
    pub decoder: DecoderConfig,
    /// The flow table.
    pub flow: FlowConfig,
    /// Most alerts of one packet (Suricata's `packet-alert-max`).
    pub alert_max: usize,
    /// Verdicts are carried out; otherwise they are only remembered, and alerts of `drop` rules say `allowed`.
    pub inline: bool,
    /// Measure how long each [`Stage`] takes.
    pub profile: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            decoder: DecoderConfig::default(),
            flow: FlowConfig::default(),
            alert_max: 15,
            inline: false,
            profile: false,
        }
    }
}

/// Why a worker could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The matcher refused the probes of the rule set.
    #[error("the matcher cannot hold the probes of this rule set: {0}")]
    Matcher(#[from] MatcherError),
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Which.
    pub rule: RuleId,
    /// Its limit was used up: it acted, but gives no alert.
    pub silent: bool,
}

/// What one packet matched.
#[derive(Clone, Debug)]
pub struct Found {
    /// The packet.
    pub packet: PacketFacts,
    /// The rules, in order.
    pub matches: Vec<Matched>,
    /// The packet is to be dropped.
    pub dropped: bool,
}

/// What a worker counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Decoding and defragmentation.
    pub decoder: DecoderCounters,
    /// The flow table.
    pub flow: FlowCounters,
    /// The evaluator.
    pub eval: EvalCounters,
    /// Buffers given to the matcher.
    pub buffers: u64,
    /// Bytes in them.
    pub buffer_bytes: u64,
    /// Probes found (the first occurrence in each buffer).
    pub probe_hits: u64,
    /// Rules evaluated after their header was checked.
    pub candidates: u64,
    /// Buffers that the matcher could not finish and software did.
    pub rescanned: u64,
    /// Packets not inspected because their flow had been passed or dropped.
    pub skipped: u64,
    /// Packets that a rule, or their flow's verdict, says to drop.
    pub dropped: u64,
}

/// One worker: frames in, matches out.
pub struct Engine {
    decoder: Decoder,
    inspector: Inspector,
}

impl Engine {
    /// The only worker for a rule set; the probes are loaded into `matcher`.
    ///
    /// # Errors
    /// When the matcher cannot hold the probes.
    pub fn new(
        rules: Arc<RuleSet>,
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        Self::sharing(Arc::new(Prepared::new(rules)), matcher, evaluator, config)
    }

    /// One of several workers for a rule set, which share what was prepared of it; the probes are loaded into
    /// `matcher`.
    ///
    /// # Errors
    /// When the matcher cannot hold the probes.
    pub fn sharing(
        prepared: Arc<Prepared>,
        mut matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        matcher.load(prepared.probes())?;
        let inspector = Inspector {
            prepared,
            matcher,
            fallback: None,
            evaluator,
            flows: FlowTable::new(config.flow),
            thresholds: Thresholds::default(),
            inline: config.inline,
            candidates: Vec::new(),
            matches: Vec::new(),
            counters: Counters::default(),
            profile: Profile::new(config.profile),
        };
        Ok(Self {
            decoder: Decoder::new(config.decoder),
            inspector,
        })
    }

    /// Inspects one frame; what it matched is appended to `out`, in the order in which its packets were processed.
    pub fn process(&mut self, frame: Frame<'_>, out: &mut Vec<Found>) {
        let Self { decoder, inspector } = self;
        inspector.profile.lap(Stage::Read);
        decoder.decode(frame, &mut |packet| {
            inspector.profile.lap(Stage::Decode);
            let ended = inspector.inspect(packet, out);
            inspector.profile.lap(ended);
        });
        inspector.profile.lap(Stage::Decode);
    }

    /// The worker's stop watch. What passes between two calls of [`Engine::process`] counts as [`Stage::Read`], unless
    /// the caller says otherwise.
    pub fn profile(&mut self) -> &mut Profile {
        &mut self.inspector.profile
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            decoder: self.decoder.counters().clone(),
            flow: self.inspector.flows.counters(),
            eval: self.inspector.evaluator.counters(),
            ..self.inspector.counters.clone()
        }
    }

    /// The backend that matches.
    pub fn matcher(&self) -> &'static str {
        self.inspector.matcher.name()
    }
}

/// Everything behind the decoder.
struct Inspector {
    prepared: Arc<Prepared>,
    matcher: Box<dyn Matcher>,
    /// Finishes what another backend could not; made when it is first needed.
    fallback: Option<Plain>,
    evaluator: Box<dyn Evaluator>,
    flows: FlowTable,
    /// Limits of rules that decide about packets; those of rules that only alert are [`super::Alerts`]' matter.
    thresholds: Thresholds,
    inline: bool,
    candidates: Vec<RuleId>,
    matches: Vec<RuleId>,
    counters: Counters,
    profile: Profile,
}

impl Inspector {
    /// Inspects one packet, and says which stage it ended in.
    fn inspect(&mut self, packet: &Packet<'_>, out: &mut Vec<Found>) -> Stage {
        if packet.bad_checksum {
            // Its receiver throws it away, so it can neither attack nor change a connection. The decoder counted it.
            return Stage::Decode;
        }
        let flow = self.flows.track(packet);
        match flow.map_or(FlowAction::None, |view| self.flows.get(view).action) {
            FlowAction::None => {}
            action => {
                self.counters.skipped += 1;
                self.counters.dropped += u64::from(action == FlowAction::Drop);
                return Stage::Flow;
            }
        }
        self.profile.lap(Stage::Flow);
        self.candidates.clear();
        self.prepared.index.collect(
            packet,
            flow.is_none_or(|view| view.first),
            &mut self.candidates,
        );
        self.profile.lap(Stage::Candidates);
        let payload = inspected_payload(packet);
        if !payload.is_empty() && !packet.invalid {
            self.look_for_probes(packet, flow, payload);
            self.profile.lap(Stage::Match);
        }
        if self.candidates.is_empty() {
            return Stage::Candidates;
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        let rules = &self.prepared.rules;
        self.candidates.retain(|&id| {
            rules
                .get(id)
                .is_some_and(|rule| header::concerns(rule, packet, flow))
        });
        if self.candidates.is_empty() {
            return Stage::Candidates;
        }
        self.profile.lap(Stage::Candidates);
        self.counters.candidates += self.candidates.len() as u64;
        self.matches.clear();
        self.evaluator.evaluate(
            &Subject { packet, payload },
            &self.candidates,
            &mut self.matches,
        );
        if self.matches.is_empty() {
            return Stage::Evaluate;
        }
        self.profile.lap(Stage::Evaluate);
        out.push(self.settle(packet, flow));
        Stage::Settle
    }

    /// Makes the rules of every probe in the payload candidates.
    fn look_for_probes(&mut self, packet: &Packet<'_>, flow: Option<FlowView>, payload: &[u8]) {
        let Self {
            matcher,
            fallback,
            prepared,
            candidates,
            counters,
            ..
        } = self;
        let index = &prepared.index;
        let group = index::group(packet, flow.map(|view| view.to_server));
        let request = Request {
            tag: 0,
            group,
            carry: 0,
            data: payload,
        };
        counters.buffers += 1;
        counters.buffer_bytes += payload.len() as u64;
        let mut finished = false;
        let mut take = |report: crate::matcher::Report<'_>| {
            finished = report.outcome == Outcome::Done;
            for hit in report.hits {
                candidates.extend_from_slice(index.of_probe(hit.probe));
            }
            counters.probe_hits += report.hits.len() as u64;
        };
        if matcher.submit(request).is_ok() {
            while matcher.poll(&mut take) == 0 {}
        }
        if !finished {
            counters.rescanned += 1;
            let software = fallback.get_or_insert_with(|| {
                let mut software = Plain::new();
                // It holds any set that another backend holds.
                let _ = software.load(&index.probes);
                software
            });
            if software.submit(request).is_ok() {
                software.poll(&mut |report| {
                    for hit in report.hits {
                        candidates.extend_from_slice(index.of_probe(hit.probe));
                    }
                });
            }
        }
    }

    /// Goes through the matches in order: a pass ends it, a drop holds, both may hold for the flow.
    fn settle(&mut self, packet: &Packet<'_>, flow: Option<FlowView>) -> Found {
        let facts = facts(packet, flow.map(|view| self.flow_facts(view)));
        let mut found = Found {
            packet: facts,
            matches: Vec::with_capacity(self.matches.len()),
            dropped: false,
        };
        for &id in &self.matches {
            let Some(rule) = self.prepared.rules.get(id) else {
                continue;
            };
            let due = match rule.action {
                Action::Alert => Due::Alert,
                _ => self.thresholds.count(id, rule, &found.packet),
            };
            let kind = self.prepared.index.kind(id);
            let for_flow = matches!(kind, RuleKind::IpOnly | RuleKind::LikeIpOnly)
                || kind == RuleKind::Stream
                    && flow.is_some_and(|view| self.flows.get(view).tcp.established());
            let flow_action = match rule.action {
                _ if due == Due::Nothing => FlowAction::None,
                Action::Drop | Action::Reject(_) => {
                    found.dropped = true;
                    FlowAction::Drop
                }
                // What was dropped stays dropped.
                Action::Pass if !found.dropped => FlowAction::Pass,
                Action::Pass | Action::Alert => FlowAction::None,
            };
            if let Some(view) = flow
                && for_flow
                && flow_action != FlowAction::None
            {
                self.flows.decide(view, flow_action);
            }
            if due != Due::Nothing {
                found.matches.push(Matched {
                    rule: id,
                    silent: due == Due::Silent,
                });
            }
            if rule.action == Action::Pass && due != Due::Nothing {
                break;
            }
        }
        self.counters.dropped += u64::from(found.dropped && self.inline);
        found
    }

    fn flow_facts(&self, view: FlowView) -> FlowFacts {
        let flow = self.flows.get(view);
        FlowFacts {
            id: flow.id,
            to_server: view.to_server,
            start_ns: flow.start_ns,
            packets: flow.packets,
            bytes: flow.bytes,
            client: flow.client,
            server: flow.server,
        }
    }
}

/// The bytes that payload keywords look at: none where no transport was decoded (fragments, unknown protocols,
/// carriers of tunnels), as in Suricata.
pub fn inspected_payload<'a>(packet: &Packet<'a>) -> &'a [u8] {
    match packet.transport {
        _ if packet.no_payload_inspection => &[],
        Transport::None | Transport::Gre { .. } => &[],
        _ => packet.payload,
    }
}

fn facts(packet: &Packet<'_>, flow: Option<FlowFacts>) -> PacketFacts {
    let ports = match packet.transport {
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Sctp { .. } => {
            Some((packet.sport, packet.dport))
        }
        _ => None,
    };
    let mac = |at: usize| {
        packet
            .ether
            .and_then(|header| header.get(at..at + 6)?.try_into().ok())
    };
    PacketFacts {
        ts_ns: packet.ts_ns,
        number: packet.number,
        is_ip: packet.is_ip(),
        is_arp: matches!(packet.net, crate::packet::Net::Arp(_)),
        src: packet.src,
        dst: packet.dst,
        proto: packet.proto,
        ports,
        icmp: packet.icmp_type().zip(packet.icmp_code()),
        vlan: (packet.vlan, packet.vlan_layers),
        macs: mac(6).zip(mac(0)),
        origin: packet.origin,
        depth: packet.depth,
        carrier: packet.carrier,
        flow,
    }
}
