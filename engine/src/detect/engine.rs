//! One worker of the packet path.

use std::sync::Arc;
use std::time::Duration;

use super::index::Candidates;
use super::search::{Search, SearchCounters};
use super::threshold::{Due, Thresholds};
use super::{Event, FlowFacts, PacketFacts, Place, Prepared, Profile, Stage, What};
use crate::eval::{EvalCounters, Evaluator, Subject};
use crate::flow::{FlowAction, FlowConfig, FlowCounters, FlowTable, FlowView};
use crate::matcher::{Matcher, MatcherError};
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
    /// How long the matcher may take over a buffer before software does it.
    pub match_deadline: Duration,
    /// Measure how long each [`Stage`] takes.
    pub profile: bool,
    /// Hand out flows that ended ([`super::What::Flow`]).
    pub flow_records: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            decoder: DecoderConfig::default(),
            flow: FlowConfig::default(),
            alert_max: 15,
            inline: false,
            match_deadline: Duration::from_millis(100),
            profile: false,
            flow_records: false,
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
    /// The search for probes.
    pub search: SearchCounters,
    /// Rules evaluated after their header was checked.
    pub candidates: u64,
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
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let inspector = Inspector {
            search: Search::new(matcher, prepared.probes(), config.match_deadline)?,
            candidates: Candidates::new(&prepared.index),
            prepared,
            evaluator,
            flows: FlowTable::new(config.flow),
            thresholds: Thresholds::default(),
            inline: config.inline,
            matches: Vec::new(),
            counters: Counters::default(),
            profile: Profile::new(config.profile),
            place: Place::default(),
        };
        Ok(Self {
            decoder: Decoder::new(config.decoder),
            inspector,
        })
    }

    /// Inspects one frame; what it matched is appended to `out`, in the order in which its packets were processed.
    pub fn process(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) {
        let Self { decoder, inspector } = self;
        inspector.place = Place {
            number: frame.number,
            after: false,
            ts_ns: frame.ts_ns,
            flow_id: 0,
        };
        inspector.profile.lap(Stage::Read);
        decoder.decode(frame, &mut |packet| {
            inspector.profile.lap(Stage::Decode);
            let ended = inspector.inspect(packet, out);
            inspector.profile.lap(ended);
        });
        inspector.profile.lap(Stage::Decode);
    }

    /// Time has come to `now_ns`, which is the time of frame `number` or later: ends the flows whose time is up. To be
    /// called after the same frames for all workers, so that they say the same however many they are.
    pub fn tick(&mut self, number: u64, now_ns: u64, out: &mut Vec<Event>) {
        let _ = (number, now_ns, out);
    }

    /// The run is over: ends all flows. `number` is that of the last frame of the run.
    pub fn finish(&mut self, number: u64, out: &mut Vec<Event>) {
        let _ = (number, out);
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
            search: self.inspector.search.counters,
            ..self.inspector.counters.clone()
        }
    }

    /// The backend that matches.
    pub fn matcher(&self) -> &'static str {
        self.inspector.search.backend()
    }
}

/// Everything behind the decoder.
struct Inspector {
    prepared: Arc<Prepared>,
    search: Search,
    evaluator: Box<dyn Evaluator>,
    flows: FlowTable,
    /// Limits of rules that decide about packets; those of rules that only alert are [`super::Alerts`]' matter.
    thresholds: Thresholds,
    inline: bool,
    candidates: Candidates,
    matches: Vec<RuleId>,
    counters: Counters,
    profile: Profile,
    /// Of the frame at hand.
    place: Place,
}

impl Inspector {
    /// Inspects one packet, and says which stage it ended in.
    fn inspect(&mut self, packet: &Packet<'_>, out: &mut Vec<Event>) -> Stage {
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
        let Prepared { groups, index, .. } = &*self.prepared;
        let payload = inspected_payload(packet);
        let mut hits: &[u32] = &[];
        if !payload.is_empty() && !packet.invalid {
            let group = groups.of_packet(packet, flow.map(|view| view.to_server));
            hits = self.search.find(&index.probes, group, payload);
            self.profile.lap(Stage::Match);
        }
        let candidates = self.candidates.collect(index, packet, flow, hits);
        if candidates.is_empty() {
            return Stage::Candidates;
        }
        self.profile.lap(Stage::Candidates);
        self.counters.candidates += candidates.len() as u64;
        self.matches.clear();
        let subject = Subject::packet(packet, payload);
        self.evaluator
            .evaluate(&subject, candidates, &mut self.matches);
        if self.matches.is_empty() {
            return Stage::Evaluate;
        }
        self.profile.lap(Stage::Evaluate);
        let found = self.settle(packet, flow);
        out.push(Event {
            place: self.place,
            what: What::Matches(Box::new(found)),
        });
        Stage::Settle
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
