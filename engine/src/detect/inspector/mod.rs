//! Everything behind the decoder: from a packet, and the streams that it belongs to, to what matched.

mod app;
mod endings;
mod saved;
mod scene;
mod settle;
mod streams;
mod swap;
mod transactions;
mod windows;

use std::sync::Arc;

use super::index::{Candidates, Role};
use super::search::{LoadedMatcher, Search, Wanted};
use super::verdict::FlowVerdict;
use super::{
    Counters, EngineConfig, EngineError, Event, FlowFacts, Found, Noticed, PacketFacts, Place,
    Prepared, Profile, Stage, Verdict, What,
};
use crate::app::Apps;
use crate::eval::{AppSubject, Beyond, EvalCounters, Evaluator, Subject};
use crate::flow::{Ended, FlowAction, FlowTable, FlowView};
use crate::matcher::Matcher;
use crate::packet::{Frame, Packet, Transport};
use crate::plan::RuleId;
use crate::state::{Context, Screen, Seat};
use crate::stream::Streams;
use settle::{Settled, Settler};

/// One worker behind its decoder.
pub(super) struct Inspector {
    pub(super) prepared: Arc<Prepared>,
    pub(super) search: Search,
    pub(super) evaluator: Box<dyn Evaluator>,
    /// What those before it counted.
    pub(super) evaluated: EvalCounters,
    pub(super) flows: FlowTable,
    pub(super) streams: Streams,
    pub(super) apps: Apps,
    lists: transactions::Lists,
    /// Records of application layers that are handed out.
    app_records: Vec<&'static str>,
    settler: Settler,
    screen: Screen,
    inline: bool,
    /// UDP ports behind which other packets may be.
    tunnel_ports: Vec<u16>,
    shunt_after: u64,
    /// Of the packet at hand.
    verdict: Verdict,
    /// The flow of the packet at hand, and whether that goes to its server; `None` without one.
    at_hand: Option<(u64, bool)>,
    flow_records: bool,
    /// Tagged packets are handed out.
    tagged_packets: bool,
    /// Count the packets of tagged flows and hosts.
    tags: bool,
    /// The packet at hand, or one that its frame carries, is of a tagged flow or host.
    pub(super) tagged: Option<PacketFacts>,
    candidates: Candidates,
    /// What matched, until it is settled.
    matches: Vec<RuleId>,
    /// Where streams put rules together.
    scratch: windows::Scratch,
    pub(super) counters: Counters,
    pub(super) profile: Profile,
    /// Of the frame at hand.
    pub(super) place: Place,
}

impl Inspector {
    pub(super) fn new(
        prepared: Arc<Prepared>,
        seat: Seat,
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let tags = config.tagged_packets && prepared.state.has_tags();
        let mut flow = config.flow;
        flow.session.inline = config.inline;
        // What is not followed cannot be held back. That connections may be older than this worker, or have been idle for
        // longer than they are kept, is no reason to cut them off.
        flow.session.midstream |= config.inline;
        let mut stream = config.stream;
        stream.inline |= config.inline;
        flow.passed_by |= config.bypass;
        let decoder = &config.decoder;
        let tunnels = [
            &decoder.vxlan_ports,
            &decoder.geneve_ports,
            &decoder.teredo_ports,
        ];
        let loaded = LoadedMatcher::new(matcher, prepared.probes())?;
        Ok(Self {
            search: Search::new(loaded, config.match_deadline),
            candidates: Candidates::new(&prepared.index),
            evaluator,
            evaluated: EvalCounters::default(),
            flows: FlowTable::new(flow),
            streams: Streams::new(stream),
            apps: Apps::new(
                prepared.wants,
                !config.app_records.is_empty(),
                config.app_memory,
            ),
            lists: transactions::Lists::default(),
            prepared,
            app_records: config.app_records,
            settler: Settler::new(seat),
            screen: Screen::default(),
            inline: config.inline,
            tunnel_ports: tunnels.into_iter().flatten().copied().collect(),
            shunt_after: config.shunt_after.unwrap_or(u64::MAX),
            verdict: Verdict::default(),
            at_hand: None,
            flow_records: config.flow_records,
            tagged_packets: config.tagged_packets,
            tags,
            tagged: None,
            matches: Vec::new(),
            scratch: windows::Scratch::default(),
            counters: Counters::default(),
            profile: Profile::new(config.profile),
            place: Place::default(),
        })
    }

    /// Everything before this place is done.
    #[inline]
    pub(super) fn come_to(&mut self, place: Place) {
        self.place = place;
        self.settler.seat.at(place);
    }

    /// Looks at a frame that is not due yet, and has the matcher begin.
    pub(super) fn ahead(&mut self, frame: &Frame<'_>) {
        self.search.ahead(frame, &self.prepared.groups);
    }

    /// Inspects one packet; says which stage it ended in, and what is to become of the packet.
    pub(super) fn inspect(
        &mut self,
        packet: &Packet<'_>,
        out: &mut Vec<Event>,
    ) -> (Stage, Verdict) {
        if packet.bad_checksum {
            // Its receiver throws it away, so it can neither attack nor change a connection. The decoder counted it. It goes no
            // further: who stands between here and the receiver may compute the checksum anew.
            self.counters.dropped += u64::from(self.inline);
            let verdict = Verdict {
                drop: self.inline,
                ..Verdict::default()
            };
            return (Stage::Decode, verdict);
        }
        let flow = self.flows.track(packet);
        self.verdict = Verdict::default();
        self.at_hand = flow.map(|view| (self.flows.get(view).id, view.to_server));
        self.end_flows(out);
        let ended = self.tracked(packet, flow, out);
        if let Some(view) = flow {
            let flow = self.flows.get_mut(view);
            let sum = flow.bytes[0].saturating_add(flow.bytes[1]);
            if flow.action == FlowAction::None && sum >= self.shunt_after {
                flow.action = FlowAction::Bypass;
                self.counters.shunted += 1;
            }
            self.verdict.drop |= flow.action == FlowAction::Drop;
            self.verdict.flow = FlowVerdict::of(packet, flow, &self.tunnel_ports);
        }
        self.verdict.drop &= self.inline;
        self.counters.dropped += u64::from(self.verdict.drop);
        (ended, self.verdict)
    }

    /// Inspects a packet whose flow is known.
    fn tracked(
        &mut self,
        packet: &Packet<'_>,
        flow: Option<FlowView>,
        out: &mut Vec<Event>,
    ) -> Stage {
        if flow.is_some_and(|view| self.flows.get(view).action != FlowAction::None) {
            self.counters.skipped += 1;
            return Stage::Flow;
        }
        self.profile.lap(Stage::Flow);
        let mut flow = flow;
        if let Some(view) = &mut flow {
            self.verdict.drop |= view.step.drop;
            if view.step.rewound {
                self.streams.rewind(self.flows.get(*view).streams, 0);
            }
            // An ICMP error belongs to the flow that it is about, but says nothing in it.
            if packet.proto == self.flows.get(*view).proto {
                self.acknowledge_app(view);
                if !view.step.accepted {
                    self.datagram(packet, view, out);
                }
                self.news(packet, *view, out);
            }
        }
        let ended = match flow {
            Some(view) if view.step.accepted => self.segment(packet, view, out),
            _ => self.alone(packet, flow, Role::Packet, out),
        };
        if let Some(view) = flow.filter(|view| self.inline && view.step.accepted) {
            // The next packet would be one too late.
            self.late_news(packet, view, out);
        }
        if self.tags {
            self.count_tags(packet, flow);
        }
        ended
    }

    /// Counts the packet for the tags of its flow and hosts.
    fn count_tags(&mut self, packet: &Packet<'_>, view: Option<FlowView>) {
        let mut context = Context {
            ts_ns: packet.ts_ns,
            addresses: packet.is_ip().then_some((packet.src, packet.dst)),
            flow: view.map(|view| self.flows.get_mut(view)),
            seat: &mut self.settler.seat,
            buffers: &mut (),
        };
        if self.prepared.state.tagged(&mut context, packet.wire_len) {
            let flow = view.map(|view| FlowFacts::new(self.flows.get(view), view.to_server));
            self.tagged = Some(settle::facts(packet, flow));
        }
    }

    /// Inspects a packet by itself.
    fn alone(
        &mut self,
        packet: &Packet<'_>,
        flow: Option<FlowView>,
        role: Role,
        out: &mut Vec<Event>,
    ) -> Stage {
        self.alone_with(packet, inspected_payload(packet), flow, role, out)
    }

    /// Inspects a segment whose payload is encrypted.
    fn sealed(&mut self, packet: &Packet<'_>, view: FlowView, out: &mut Vec<Event>) -> Stage {
        self.alone_with(packet, &[], Some(view), Role::Packet, out)
    }

    fn alone_with(
        &mut self,
        packet: &Packet<'_>,
        payload: &[u8],
        flow: Option<FlowView>,
        role: Role,
        out: &mut Vec<Event>,
    ) -> Stage {
        let mut hits: &[u32] = &[];
        let app = self.app_of(flow);
        let Prepared { groups, index, .. } = &*self.prepared;
        if !payload.is_empty() && !packet.invalid {
            let group = groups.of_packet(packet, flow.map(|view| view.to_server));
            let wanted = Wanted::payload(group, payload);
            hits = self.search.find(&index.probes, wanted);
            self.profile.lap(Stage::Match);
        }
        let candidates = self.candidates.collect(index, packet, flow, hits, role);
        let of_flow = flow.map(|view| self.flows.get(view));
        (self.prepared.state).screen(candidates, of_flow, &mut self.screen);
        self.matches.clear();
        if candidates.is_empty() {
            return Stage::Candidates;
        }
        self.profile.lap(Stage::Candidates);
        self.counters.candidates += candidates.len() as u64;
        let subject = Subject {
            events: flow.map(|view| view.step.events).unwrap_or_default(),
            app,
            ..Subject::packet(packet, payload)
        };
        let beyond = Beyond {
            flow: of_flow,
            seat: Some(&mut self.settler.seat),
        };
        self.evaluator
            .evaluate(&subject, beyond, candidates, &mut self.matches);
        if self.matches.is_empty() {
            return Stage::Evaluate;
        }
        self.profile.lap(Stage::Evaluate);
        self.settle_packet(&subject, flow, Settled::Packet, out);
        Stage::Settle
    }

    /// What a packet's flow speaks, for rules.
    fn app_of(&self, flow: Option<FlowView>) -> AppSubject<'static> {
        let of_view = |view: FlowView| AppSubject {
            flow: self.flows.get(view).app,
            transaction: None,
            way: u8::from(!view.to_server),
        };
        flow.map(of_view).unwrap_or_default()
    }

    /// Settles what matched in a packet whose flow is in the table; true when the packet is to be dropped.
    fn settle_packet(
        &mut self,
        subject: &Subject<'_>,
        flow: Option<FlowView>,
        how: Settled,
        out: &mut Vec<Event>,
    ) -> bool {
        let flow = flow.map(|view| (self.flows.get_mut(view), view.to_server));
        let found = settle::settle(
            &self.prepared,
            &mut self.settler,
            &self.matches,
            subject,
            flow,
            how,
        );
        self.hand_out(found, out)
    }

    /// Hands out what matched; true when the packet is to be dropped.
    fn hand_out(&mut self, found: Found, out: &mut Vec<Event>) -> bool {
        let dropped = found.dropped && self.inline;
        // What comes of other flows, which gave way or whose time was up, is not about the packet at hand.
        if found.packet.flow.map(|flow| flow.id) == self.at_hand.map(|(id, _)| id) {
            let way = found.packet.flow.map(|flow| flow.to_server);
            let same = way == self.at_hand.map(|(_, to_server)| to_server);
            self.verdict.add(&found, same);
        }
        out.push(Event {
            place: self.place,
            what: What::Matches(Box::new(found)),
        });
        dropped
    }

    /// Hands out what happened in modules.
    pub(super) fn hand_out_notices(&mut self, ts_ns: u64, out: &mut Vec<Event>) {
        for notice in self.evaluator.take_notices() {
            out.push(Event {
                place: self.place,
                what: What::Notice(Box::new(Noticed { ts_ns, notice })),
            });
        }
    }

    /// Flushes the streams of flows that have ended, and hands the flows out where that is wanted.
    fn end_flows(&mut self, out: &mut Vec<Event>) {
        while let Some(mut ended) = self.flows.take_ended() {
            self.end_flow(&mut ended, out);
        }
    }

    fn end_flow(&mut self, ended: &mut Ended, out: &mut Vec<Event>) {
        self.end_streams(ended, out);
        self.release_app(&mut ended.flow);
        self.evaluator.end_flow(ended.flow.id);
        if self.flow_records {
            out.push(Event {
                place: self.place,
                what: What::Flow(Box::new(ended.clone())),
            });
        }
    }

    /// Ends the flows whose time is up at `now_ns`, after frame `number`.
    pub(super) fn tick(&mut self, number: u64, now_ns: u64, out: &mut Vec<Event>) {
        self.flows.look(now_ns);
        if self.prepared.state.crosses_flows() {
            // What their streams still match may change what others see: in the order of all workers, then.
            let mut ended: Vec<Ended> = std::iter::from_fn(|| self.flows.next_over()).collect();
            ended.sort_by_key(|ended| (ended.ts_ns, ended.flow.id));
            for ended in ended {
                self.end_after(number, ended, out);
            }
        } else {
            self.end_all_after(number, out);
        }
        self.hand_out_notices(now_ns, out);
        self.leave(number);
    }

    /// Ends all flows, after the last frame.
    pub(super) fn finish(&mut self, number: u64, out: &mut Vec<Event>) {
        self.flows.close();
        self.end_all_after(number, out);
        self.hand_out_notices(self.place.ts_ns, out);
        self.leave(number);
    }

    fn end_all_after(&mut self, number: u64, out: &mut Vec<Event>) {
        while let Some(ended) = self.flows.next_over() {
            self.end_after(number, ended, out);
        }
    }

    fn end_after(&mut self, number: u64, mut ended: Ended, out: &mut Vec<Event>) {
        self.come_to(Place {
            number,
            after: true,
            ts_ns: ended.ts_ns,
            flow_id: ended.flow.id,
        });
        self.end_flow(&mut ended, out);
    }

    /// Nothing more comes of what was up to frame `number`.
    fn leave(&mut self, number: u64) {
        self.come_to(Place {
            number: number.saturating_add(1),
            ..Place::default()
        });
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
