//! Inspection of application layers: what streams and datagrams say to their parsers, and what rules say about
//! transactions.

use std::ops::Range;

use super::super::prepared::wants_of;
use super::super::search::Wanted;
use super::super::{AppFacts, Event, Stage, What};
use super::settle::{self, Settled};
use super::streams::{Scene, Side, headers, in_stream};
use super::{Inspector, inspected_payload};
use crate::app::{AppProto, Told, Way, level};
use crate::eval::{AppSubject, Beyond, Subject};
use crate::flow::{Flow, FlowAction, FlowView, Speaks};
use crate::packet::Packet;
use crate::packet::proto::UDP;
use crate::plan::RuleId;
use crate::stream::{StreamEvents, StreamId};

/// What is needed while transactions are looked at.
#[derive(Default)]
pub(super) struct Lists {
    /// Probes found in a buffer.
    hits: Vec<u32>,
    /// Rules that are to be evaluated.
    due: Vec<RuleId>,
}

/// What a parser is told.
enum Word {
    Data(Range<u64>),
    /// So many bytes are missing, where it is known.
    Gap(Option<u64>),
    End,
}

impl Inspector {
    /// Gives the next bytes of a stream to the flow's parser, and inspects what it makes of them.
    pub(super) fn feed(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        range: Range<u64>,
        out: &mut Vec<Event>,
    ) {
        self.tell(scene, side, Word::Data(range), out);
    }

    /// Tells the flow's parser that bytes are missing.
    pub(super) fn tell_gap(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        missing: Option<u64>,
        out: &mut Vec<Event>,
    ) {
        self.tell(scene, side, Word::Gap(missing), out);
    }

    /// Tells the flow's parser that nothing more comes in a direction.
    pub(super) fn tell_end(&mut self, scene: &mut Scene<'_, '_>, side: Side, out: &mut Vec<Event>) {
        self.tell(scene, side, Word::End, out);
    }

    fn tell(&mut self, scene: &mut Scene<'_, '_>, side: Side, word: Word, out: &mut Vec<Event>) {
        let Self {
            apps,
            flows,
            streams,
            ..
        } = self;
        let flow = match &mut scene.ended {
            Some(flow) => &mut **flow,
            None => flows.get_mut(scene.view),
        };
        if flow.app.over || flow.action != FlowAction::None {
            return;
        }
        let way = Way::of(side.way);
        let now_ns = scene.packet.ts_ns;
        let fresh = match word {
            Word::Data(range) => {
                let Some(direction) = streams.direction(side.id, side.way) else {
                    return;
                };
                let told = Told {
                    client: flow.client,
                    server: flow.server,
                    udp: false,
                    now_ns,
                };
                apps.data(&mut flow.app, way, direction.bytes(range), &told)
            }
            Word::Gap(missing) => apps.gap(&mut flow.app, way, missing, now_ns),
            Word::End => apps.end(&mut flow.app, way, now_ns),
        };
        flow.app.visible |= self.inline && flow.app.proto.is_some();
        let speaks = flow.app.proto.map_or(Speaks::Open, Speaks::Is);
        scene.view.app = speaks;
        self.profile.lap(Stage::App);
        if fresh {
            self.look(scene, Some(side.id), out);
        }
    }

    /// Gives a datagram to its flow's parser, and inspects what it makes of it.
    pub(super) fn datagram(
        &mut self,
        packet: &Packet<'_>,
        view: &mut FlowView,
        out: &mut Vec<Event>,
    ) {
        if packet.proto != UDP || packet.invalid {
            return;
        }
        let payload = inspected_payload(packet);
        let flow = self.flows.get_mut(*view);
        let told = Told {
            client: flow.client,
            server: flow.server,
            udp: true,
            now_ns: packet.ts_ns,
        };
        let way = Way::of(usize::from(!view.to_server));
        let fresh = self.apps.data(&mut flow.app, way, payload, &told);
        view.app = flow.app.proto.map_or(Speaks::Unknown, Speaks::Is);
        self.profile.lap(Stage::App);
        if fresh {
            let mut scene = Scene {
                packet,
                view: *view,
                ended: None,
            };
            self.look(&mut scene, None, out);
        }
    }

    /// Inspects the transactions that have something new.
    fn look(&mut self, scene: &mut Scene<'_, '_>, streams: Option<StreamId>, out: &mut Vec<Event>) {
        let flow = match &scene.ended {
            Some(flow) => &**flow,
            None => self.flows.get(scene.view),
        };
        let own = usize::from(!scene.view.to_server);
        let id = flow.app.id;
        let (other, opposite) = match streams {
            // Datagrams bring what is of their own direction.
            None => (None, None),
            Some(_) => (Some(headers(flow, 1 - own)), Some(1 - own)),
        };
        let other = other
            .as_ref()
            .map(|headers| headers.answered_by(scene.packet));
        let count = self.apps.get(id).map_or(0, |app| app.output.live.len());
        for at in 0..count {
            for way in [Some(own), opposite].into_iter().flatten() {
                let packet = match &other {
                    Some(packet) if way != own => packet,
                    _ => scene.packet,
                };
                self.look_at(scene, at, way, packet, streams, out);
            }
        }
        self.hand_out_records(scene, other.as_ref(), out);
        if let Some(app) = self.apps.get_mut(id) {
            app.output.sweep();
        }
    }

    /// Inspects one direction of a transaction.
    fn look_at(
        &mut self,
        scene: &mut Scene<'_, '_>,
        at: usize,
        way: usize,
        packet: &Packet<'_>,
        streams: Option<StreamId>,
        out: &mut Vec<Event>,
    ) {
        let flow = match &scene.ended {
            Some(flow) => &**flow,
            None => self.flows.get(scene.view),
        };
        let facts = flow.app;
        let Some(proto) = facts.proto.filter(|_| flow.action == FlowAction::None) else {
            return;
        };
        let view = FlowView {
            app: Speaks::Is(proto),
            // What a server takes from a stream is part of a connection, also where it came with the SYN.
            established: streams.is_some() || scene.view.established,
            ..in_stream(scene.view.slot, way)
        };
        let Self {
            apps,
            prepared,
            search,
            candidates,
            lists,
            evaluator,
            counters,
            ..
        } = self;
        let index = &prepared.index;
        let apps_want = apps.wants();
        let Some(app) = apps.get_mut(facts.id) else {
            return;
        };
        let Some(tx) = app.output.live.get_mut(at) else {
            return;
        };
        if !std::mem::take(&mut tx.halves[way].fresh) {
            return;
        }
        candidates.next_packet();
        // Which rules come into question.
        let mut searched = tx.halves[way].searched;
        let mut found = false;
        lists.hits.clear();
        for (number, buffer, bytes) in tx.halves[way].unsearched() {
            searched = number + 1;
            if let Some(group) = prepared.groups.of_buffer(buffer, Way::of(way))
                && !bytes.is_empty()
            {
                let wanted = Wanted {
                    group,
                    carry: 0,
                    data: bytes,
                    payload: &[],
                    at: 0,
                };
                lists
                    .hits
                    .extend_from_slice(search.find(&index.probes, wanted));
                found = true;
            }
        }
        tx.halves[way].searched = searched;
        if found {
            self.profile.lap(Stage::Match);
        }
        // It began under other rules: of what only these look at, some may be missing.
        let partial = tx.whole != apps_want;
        let add = |rules: &[RuleId], tx: &mut crate::app::Transaction| {
            for &rule in rules {
                if partial
                    && !(prepared.rules.get(rule))
                        .is_some_and(|rule| tx.whole.covers(wants_of(rule)))
                {
                    continue;
                }
                let Some(needs) = index.needs(rule).filter(|needs| needs.protos.has(proto)) else {
                    continue;
                };
                // A rule about request and answer is decided with the answer.
                let to = if needs.both { 1 } else { way };
                if needs.ways[to] {
                    let half = &mut tx.halves[to];
                    if let Err(place) = half.candidates.binary_search(&rule)
                        && half.matched.binary_search(&rule).is_err()
                    {
                        half.candidates.insert(place, rule);
                    }
                }
            }
        };
        if !lists.hits.is_empty() {
            let rules = candidates.in_transaction(index, packet, view, &lists.hits);
            add(rules, tx);
        }
        if !std::mem::replace(&mut tx.halves[way].begun, true) {
            let rules = candidates.of_transaction(index, packet, view, proto);
            add(rules, tx);
        }
        // Which of them can be decided now.
        let reached = [tx.halves[0].level, tx.halves[1].level];
        let events = tx.events().len();
        let half = &mut tx.halves[way];
        let new_events = std::mem::replace(&mut half.events_seen, events) < events;
        lists.due.clear();
        half.candidates.retain(|&rule| {
            let Some(needs) = index.needs(rule) else {
                return false;
            };
            let ready =
                reached[way] >= needs.levels[way] && (!needs.both || reached[0] >= needs.levels[0]);
            if ready && (!needs.events || new_events) {
                lists.due.push(rule);
            }
            // An event may still come, or a number.
            let over = reached.iter().all(|&level| level >= level::DONE);
            !ready || needs.events && reached[way] < level::DONE || needs.grows && !over
        });
        if lists.due.is_empty() {
            return;
        }
        let flow = match &scene.ended {
            Some(flow) => &**flow,
            None => self.flows.get(scene.view),
        };
        (self.prepared.state).screen(&mut lists.due, Some(flow), &mut self.screen);
        if lists.due.is_empty() {
            return;
        }
        self.profile.lap(Stage::Candidates);
        counters.candidates += lists.due.len() as u64;
        let tx = &*tx;
        // What rules ask of the payload is asked of the stream as far as it is there.
        let stream = streams.and_then(|id| {
            let end = self.streams.end_of(id, way)?;
            let direction = self.streams.direction(id, way)?;
            Some((
                direction.bytes(direction.base()..end),
                Some(direction.base()),
            ))
        });
        let (payload, stream_offset) = stream.unwrap_or((inspected_payload(packet), None));
        let subject = Subject {
            packet,
            payload,
            stream_offset,
            events: StreamEvents::default(),
            app: AppSubject {
                flow: facts,
                transaction: Some(tx),
                way: way as u8,
            },
        };
        self.matches.clear();
        let beyond = Beyond {
            flow: Some(flow),
            seat: Some(&mut self.settler.seat),
        };
        evaluator.evaluate(&subject, beyond, &lists.due, &mut self.matches);
        self.profile.lap(Stage::Evaluate);
        if self.matches.is_empty() {
            return;
        }
        let flow = match &mut scene.ended {
            Some(flow) => &mut **flow,
            None => self.flows.get_mut(scene.view),
        };
        let mut found = settle::settle(
            &self.prepared,
            &mut self.settler,
            &self.matches,
            &subject,
            Some((flow, way == 0)),
            Settled::Transaction,
        );
        self.scratch.passed |= flow.action == FlowAction::Pass;
        let id = tx.id;
        found.app = self.apps.get(facts.id).and_then(|app| {
            let (kind, fields) = app.describe(id)?;
            Some(Box::new(AppFacts {
                kind,
                fields,
                more: app.describe_more(id),
                tx: id,
            }))
        });
        if let Some(app) = self.apps.get_mut(facts.id)
            && let Some(tx) = app.output.live.get_mut(at)
        {
            for &rule in &self.matches {
                let half = &mut tx.halves[way];
                if let Err(place) = half.matched.binary_search(&rule) {
                    half.matched.insert(place, rule);
                }
                if let Ok(place) = half.candidates.binary_search(&rule) {
                    half.candidates.remove(place);
                }
            }
        }
        self.scratch.dropped |= self.hand_out(found, out);
        self.profile.lap(Stage::Settle);
    }

    /// Hands out what parsers want to have recorded.
    fn hand_out_records(
        &mut self,
        scene: &Scene<'_, '_>,
        other: Option<&Packet<'_>>,
        out: &mut Vec<Event>,
    ) {
        let flow = match &scene.ended {
            Some(flow) => &**flow,
            None => self.flows.get(scene.view),
        };
        let id = flow.app.id;
        let facts = |way: usize, flow: &Flow| {
            let packet = match other {
                Some(packet) if way != usize::from(!scene.view.to_server) => packet,
                _ => scene.packet,
            };
            settle::facts(packet, Some(super::super::FlowFacts::new(flow, way == 0)))
        };
        let Some(app) = self.apps.get_mut(id) else {
            return;
        };
        if app.output.records.is_empty() {
            return;
        }
        for (way, mut record) in std::mem::take(&mut app.output.records) {
            if !self.app_records.contains(&record.kind) {
                continue;
            }
            if record.kind == "fileinfo" {
                let tx = record
                    .fields
                    .get("tx_id")
                    .and_then(serde_json::Value::as_u64);
                record.more = tx.and_then(|tx| app.describe(tx));
            }
            let packet = facts(way as usize, flow);
            out.push(Event {
                place: self.place,
                what: What::App(Box::new(super::super::AppRecord { packet, record })),
            });
        }
    }

    /// The other side acknowledges what a protocol was found in: rules about packets may know of it from now on.
    pub(super) fn acknowledge_app(&mut self, view: &mut FlowView) {
        let flow = self.flows.get_mut(*view);
        let app = &mut flow.app;
        if app.proto.is_none() {
            return;
        }
        let way = usize::from(!view.to_server);
        let of_other = app.found[1 - way].is_some_and(|proto| proto != AppProto::Failed);
        app.visible |= of_other || self.inline;
        view.app = app.seen().map_or(Speaks::Unknown, Speaks::Is);
    }

    /// Rules about which protocol was found are due, once in each direction.
    pub(super) fn news(&mut self, packet: &Packet<'_>, view: FlowView, out: &mut Vec<Event>) {
        let flow = self.flows.get_mut(view);
        let way = usize::from(!view.to_server);
        let app = flow.app;
        // An event is told once.
        let events = std::mem::take(&mut flow.app.events);
        if !std::mem::take(&mut flow.app.news[way]) && events == 0 {
            return;
        }
        let due = self
            .candidates
            .on_protocol(&self.prepared.index, packet, view);
        self.matches.clear();
        if due.is_empty() {
            return;
        }
        let subject = Subject {
            app: AppSubject {
                flow: app,
                transaction: None,
                way: way as u8,
            },
            ..Subject::packet(packet, &[])
        };
        self.counters.candidates += due.len() as u64;
        let beyond = Beyond {
            flow: Some(self.flows.get(view)),
            seat: Some(&mut self.settler.seat),
        };
        self.evaluator
            .evaluate(&subject, beyond, due, &mut self.matches);
        if !self.matches.is_empty() {
            self.settle_packet(&subject, Some(view), Settled::Packet, out);
        }
    }

    /// The flow's application layer is no longer needed.
    pub(super) fn release_app(&mut self, flow: &mut Flow) {
        self.apps.release(&mut flow.app);
    }
}
