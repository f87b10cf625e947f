//! One worker of the packet path.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::inspector::Inspector;
use super::interval::Interval;
use super::search::SearchCounters;
use super::{
    Event, PacketFacts, Place, Prepared, Profile, Retired, Stage, Successor, Tagged, Verdict, What,
};
use crate::eval::{EvalCounters, Evaluator};
use crate::flow::{FlowConfig, FlowCounters, SavedTable, shard};
use crate::handover::{Numbers, Out, Record, Restored, SavedFlow};
use crate::matcher::{Matcher, MatcherError};
use crate::packet::{Decoder, DecoderConfig, DecoderCounters, Frame, SavedFragments};
use crate::plan::{RejectTo, RuleId, RuleSet};
use crate::state::{Decision, Overrides, Seat, Shared, StateConfig, StateError, Turn};
use crate::stream::{StreamConfig, StreamCounters};

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Decoding and defragmentation.
    pub decoder: DecoderConfig,
    /// The flow table.
    pub flow: FlowConfig,
    /// Reassembly.
    pub stream: StreamConfig,
    /// Most alerts of one packet (Suricata's `packet-alert-max`).
    pub alert_max: usize,
    /// Verdicts are carried out; otherwise they are only remembered, and alerts of `drop` rules say `allowed`.
    pub inline: bool,
    /// Bytes on the wire, of both directions, after which a flow is not inspected any more, if there is an end to it: what is
    /// wrong with a flow shows in its beginning, and a few large ones are most of the traffic.
    pub shunt_after: Option<u64>,
    /// Flows that need no inspection are left to whoever carries [`Verdict::flow`] out, and their packets may not come here any
    /// more.
    pub bypass: bool,
    /// How long the matcher may take over a buffer before software does it.
    pub match_deadline: Duration,
    /// Measure how long each [`Stage`] takes.
    pub profile: bool,
    /// What the configuration says about limits on alerts.
    pub overrides: Arc<Overrides>,
    /// How much state is kept, and which files it comes from.
    pub state: StateConfig,
    /// Hand out what has been counted this often, in nanoseconds of packet time ([`super::What::Counters`]); 0 is never.
    pub counters_every_ns: u64,
    /// Hand out flows that ended ([`super::What::Flow`]).
    pub flow_records: bool,
    /// Hand out these records of application layers ([`super::What::App`]), by their names in EVE.
    pub app_records: Vec<&'static str>,
    /// Most bytes that the application layers of a worker hold; flows that begin when they hold more are not read.
    pub app_memory: usize,
    /// Hand out packets that rules have tagged ([`super::What::Tagged`]).
    pub tagged_packets: bool,
    /// What is known may go to another process ([`crate::handover`]), which needs to know where frames came from.
    pub handover: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            decoder: DecoderConfig::default(),
            flow: FlowConfig::default(),
            stream: StreamConfig::default(),
            alert_max: 15,
            inline: false,
            shunt_after: None,
            bypass: false,
            match_deadline: Duration::from_millis(100),
            profile: false,
            overrides: Arc::default(),
            state: StateConfig::default(),
            counters_every_ns: 0,
            flow_records: false,
            app_records: Vec::new(),
            app_memory: 256 << 20,
            tagged_packets: false,
            handover: false,
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
    /// A file that rules or the configuration name cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The worker has other rules than those that were to be changed.
    #[error("the change is from other rules than the worker has")]
    NotInForce,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Which.
    pub rule: RuleId,
    /// What its limits make of the match, where a verdict depends on that. The limits of other rules are asked when
    /// the match is committed.
    pub decision: Decision,
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
    /// Who is to be told, where a rule rejects it.
    pub reject: Option<RejectTo>,
    /// The transaction that they matched in, if it is one.
    pub app: Option<Box<super::AppFacts>>,
}

/// What a worker counted.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Time of the first frame, nanoseconds since the Unix epoch.
    pub first_ns: Option<u64>,
    /// Decoding and defragmentation.
    pub decoder: DecoderCounters,
    /// The flow table.
    pub flow: FlowCounters,
    /// Reassembly.
    pub streams: StreamCounters,
    /// The evaluator.
    pub eval: EvalCounters,
    /// Application layers.
    pub app: crate::app::AppCounters,
    /// The search for probes.
    pub search: SearchCounters,
    /// Rules evaluated after their header was checked.
    pub candidates: u64,
    /// Packets not inspected because their flow had been passed or dropped.
    pub skipped: u64,
    /// Packets that are dropped: inline, because a rule, their flow's verdict, or reassembly says so.
    pub dropped: u64,
    /// Flows not inspected any more because they are so large.
    pub shunted: u64,
}

/// One worker: frames in, matches out.
pub struct Engine {
    decoder: Decoder,
    inspector: Inspector,
    report: Interval,
    handover: bool,
    inline: bool,
}

impl Engine {
    /// The only worker for a rule set; the probes are loaded into `matcher`.
    ///
    /// # Errors
    /// When the matcher cannot hold the probes, or a file with state cannot be used.
    pub fn new(
        rules: Arc<RuleSet>,
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let prepared = Arc::new(Prepared::new(rules, &config.overrides));
        let shared = Shared::new(&prepared.rules, &prepared.state, &config.state)?;
        let seat = Seat::new(Arc::new(shared), Turn::free());
        Self::sharing(prepared, seat, matcher, evaluator, config)
    }

    /// One of several workers for a rule set, which share what was prepared of it, and state by their seats; the probes
    /// are loaded into `matcher`.
    ///
    /// # Errors
    /// When the matcher cannot hold the probes.
    pub fn sharing(
        prepared: Arc<Prepared>,
        seat: Seat,
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let mut of_decoder = config.decoder.clone();
        of_decoder.defrag.inline |= config.inline;
        let decoder = Decoder::new(of_decoder);
        let inline = config.inline;
        let report = Interval::new(config.counters_every_ns);
        let handover = config.handover;
        let mut inspector = Inspector::new(prepared, seat, matcher, evaluator, config)?;
        if handover {
            inspector.flows.keep_origins();
        }
        Ok(Self {
            decoder,
            inspector,
            report,
            handover,
            inline,
        })
    }

    /// True where verdicts are carried out.
    pub fn is_inline(&self) -> bool {
        self.inline
    }

    /// True when something is gained by looking at frames [ahead](Self::ahead); as it is said first it stays.
    pub fn runs_ahead(&self) -> bool {
        self.inspector.search.runs_ahead()
    }

    /// Looks at a frame that is not due yet, so that the matcher can begin with its payload. Frames must then be
    /// [processed](Self::process) in the same order and at the same place in memory, all of them. Decides nothing: a run gives
    /// the same with and without.
    pub fn ahead(&mut self, frame: Frame<'_>) {
        self.inspector.ahead(&frame);
        self.inspector.profile.lap(Stage::Match);
    }

    /// No more frames are looked at ahead for now.
    pub fn flush(&mut self) {
        self.inspector.search.flush();
        self.inspector.profile.lap(Stage::Match);
    }

    /// Inspects one frame; what it matched is appended to `out`, in the order in which its packets were processed.
    ///
    /// Says what is to become of the frame.
    pub fn process(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Verdict {
        let Self {
            decoder,
            inspector,
            handover,
            inline,
            ..
        } = self;
        inspector.counters.first_ns.get_or_insert(frame.ts_ns);
        inspector.come_to(Place {
            number: frame.number,
            after: false,
            ts_ns: frame.ts_ns,
            flow_id: 0,
        });
        inspector.search.next_frame();
        let mut verdict = Verdict::default();
        inspector.profile.lap(Stage::Read);
        decoder.decode(frame, &mut |packet| {
            inspector.profile.lap(Stage::Decode);
            let (ended, of_packet) = inspector.inspect(packet, out);
            verdict |= of_packet;
            inspector.profile.lap(ended);
        });
        if *inline {
            if decoder.refuses() && !verdict.drop {
                verdict.drop = true;
                inspector.counters.dropped += 1;
            }
            if verdict.drop {
                decoder.refuse(frame.ts_ns);
            }
        }
        inspector.hand_out_notices(frame.ts_ns, out);
        if *handover && (decoder.is_unplaced() || inspector.flows.is_unplaced()) {
            // 31 bits.
            let origin = shard(&frame) as u32;
            decoder.come_from(origin);
            inspector.flows.come_from(origin);
        }
        if let Some(packet) = inspector.tagged.take() {
            out.push(Event {
                place: inspector.place,
                what: What::Tagged(Box::new(Tagged {
                    packet,
                    link: frame.link,
                    bytes: frame.data.to_vec(),
                })),
            });
        }
        inspector.profile.lap(Stage::Decode);
        verdict
    }

    /// Time has come to `now_ns`, which is the time of frame `number` or later: ends the flows whose time is up. To be
    /// called after the same frames for all workers, so that they say the same however many they are.
    pub fn tick(&mut self, number: u64, now_ns: u64, out: &mut Vec<Event>) {
        self.inspector.tick(number, now_ns, out);
        if self.report.is_due(now_ns) {
            // Behind all flows that ended until now.
            let place = Place {
                number,
                after: true,
                ts_ns: now_ns,
                flow_id: u64::MAX,
            };
            let what = What::Counters(Box::new(self.counters()));
            out.push(Event { place, what });
        }
    }

    /// The run is over: ends all flows. `number` is greater than those of all frames.
    pub fn finish(&mut self, number: u64, out: &mut Vec<Event>) {
        self.inspector.finish(number, out);
    }

    /// Goes on with other rules, between two frames: flows, streams, fragments, transactions, and what rules keep stay. What has
    /// been found so far is of the rules before and is to be committed before [`super::Alerts::swap`]; what modules had to
    /// say is appended to `out`. What [ran ahead](Self::ahead) is done by software when it is due, so that best nothing does.
    ///
    /// # Errors
    /// When the worker's rules are not those that the change is from; then all is as before.
    pub fn swap(
        &mut self,
        successor: Successor,
        out: &mut Vec<Event>,
    ) -> Result<Retired, EngineError> {
        if !Arc::ptr_eq(&successor.change.before, &self.inspector.prepared) {
            return Err(EngineError::NotInForce);
        }
        Ok(self.inspector.swap(successor, out))
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.inspector.prepared.rules
    }

    /// What this worker shares with the others.
    pub(crate) fn shares(&self) -> (Arc<Prepared>, Arc<Shared>) {
        let shared = self.inspector.shared();
        (Arc::clone(&self.inspector.prepared), Arc::clone(shared))
    }

    /// What its flow table knows beside flows.
    pub(crate) fn table(&self) -> SavedTable {
        self.inspector.flows.save()
    }

    /// Hands out what it knows, flow by flow.
    pub(crate) fn save(&self, numbers: &mut Numbers<'_>, out: Out<'_>) -> io::Result<()> {
        for fragments in self.decoder.saved() {
            out(&Record::Fragments(fragments))?;
        }
        self.inspector.save(numbers, out)
    }

    /// Goes on where another worker was; to be called before flows are taken over.
    pub(crate) fn resume(&mut self, table: &SavedTable) {
        self.inspector.flows.resume(table);
    }

    /// Takes fragments over; false where they have no place here.
    pub(crate) fn adopt_fragments(&mut self, saved: &SavedFragments<'_>) -> bool {
        self.decoder.adopt(saved)
    }

    /// Takes a flow over, and counts what became of it. `rules`: those that the file names by number.
    pub(crate) fn adopt(
        &mut self,
        saved: SavedFlow<'_>,
        rules: &[Option<RuleId>],
        restored: &mut Restored,
    ) {
        self.inspector.adopt(saved, rules, restored);
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
            eval: (self.inspector.evaluated).and(self.inspector.evaluator.counters()),
            app: self.inspector.apps.counters.clone(),
            search: self.inspector.search.counters,
            streams: self.inspector.streams.counters(),
            ..self.inspector.counters.clone()
        }
    }

    /// The backend that matches.
    pub fn matcher(&self) -> &'static str {
        self.inspector.search.backend()
    }
}
