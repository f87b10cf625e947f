//! Inspection of transactions: which rules are due, what they say, what is recorded.

use super::super::prepared::wants_of;
use super::super::search::Wanted;
use super::super::{AppFacts, Event, Stage, What};
use super::scene::{Scene, headers, in_stream};
use super::settle::{self, Settled};
use super::{Inspector, inspected_payload};
use crate::app::{AppId, AppProto, Transaction, Way, level};
use crate::eval::{AppSubject, Beyond, Subject};
use crate::flow::{Flow, FlowAction, FlowView, Speaks};
use crate::packet::Packet;
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

impl Inspector {
    /// Inspects the transactions that have something new.
    pub(super) fn look(
        &mut self,
        scene: &mut Scene<'_, '_>,
        streams: Option<StreamId>,
        out: &mut Vec<Event>,
    ) {
        let flow = scene.flow(&self.flows);
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
            // Again its own: what the other one says may be the rest of what rules about both wait for.
            for way in [Some(own), opposite, opposite.map(|_| own)]
                .into_iter()
                .flatten()
            {
                let tx = self.apps.transaction_mut(id, at);
                if !tx.is_some_and(|tx| tx.halves[way].fresh) {
                    continue;
                }
                let packet = match &other {
                    Some(packet) if way != own => packet,
                    _ => scene.packet,
                };
                self.look_at(scene, at, way, packet, streams, out);
            }
        }
        self.hand_out_records(scene, other.as_ref(), out);
        self.apps.looked(&mut scene.flow_mut(&mut self.flows).app);
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
        let flow = scene.flow(&self.flows);
        let mut facts = flow.app;
        let decided = flow.action != FlowAction::None;
        let Some(tx) = self.apps.transaction_mut(facts.id, at) else {
            return;
        };
        facts.proto = tx.past.or(facts.proto);
        let Some(proto) = facts.proto.filter(|_| !decided) else {
            return;
        };
        if !std::mem::take(&mut tx.halves[way].fresh) {
            return;
        }
        let view = FlowView {
            app: Speaks::Is(proto),
            // What a server takes from a stream is part of a connection, also where it came with the SYN.
            established: streams.is_some() || scene.view.established,
            ..in_stream(scene.view.slot, way)
        };
        self.find_candidates(facts.id, at, way, packet, view, proto);
        self.find_due(facts.id, at, way);
        if self.lists.due.is_empty() {
            return;
        }
        let flow = scene.flow(&self.flows);
        (self.prepared.state).screen(&mut self.lists.due, Some(flow), &mut self.screen);
        if self.lists.due.is_empty() {
            return;
        }
        self.profile.lap(Stage::Candidates);
        self.counters.candidates += self.lists.due.len() as u64;
        let app = self.apps.get(facts.id);
        let Some((app, tx)) = app.and_then(|app| Some((app, app.output.live.get(at)?))) else {
            return;
        };
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
            flow: Some(scene.flow(&self.flows)),
            seat: Some(&mut self.settler.seat),
        };
        (self.evaluator).evaluate(&subject, beyond, &self.lists.due, &mut self.matches);
        self.profile.lap(Stage::Evaluate);
        if self.matches.is_empty() {
            return;
        }
        let flow = scene.flow_mut(&mut self.flows);
        let mut found = settle::settle(
            &self.prepared,
            &mut self.settler,
            &self.matches,
            &subject,
            Some((flow, way == 0)),
            Settled::Transaction,
        );
        self.scratch.passed |= flow.action == FlowAction::Pass;
        found.app = app.describe(tx.id).map(|(kind, fields)| {
            Box::new(AppFacts {
                kind,
                fields,
                more: app.describe_more(tx.id),
                tx: tx.id,
            })
        });
        if let Some(tx) = self.apps.transaction_mut(facts.id, at) {
            let half = &mut tx.halves[way];
            for &rule in &self.matches {
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

    /// Searches what is complete of a transaction for probes: which rules come into question.
    fn find_candidates(
        &mut self,
        id: AppId,
        at: usize,
        way: usize,
        packet: &Packet<'_>,
        view: FlowView,
        proto: AppProto,
    ) {
        let Self {
            apps,
            prepared,
            search,
            candidates,
            lists,
            profile,
            ..
        } = self;
        let index = &prepared.index;
        let wants = apps.wants();
        let Some(tx) = apps.transaction_mut(id, at) else {
            return;
        };
        candidates.next_packet();
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
                (lists.hits).extend_from_slice(search.find(&index.probes, wanted));
                found = true;
            }
        }
        tx.halves[way].searched = searched;
        if found {
            profile.lap(Stage::Match);
        }
        // It began under other rules: of what only these look at, some may be missing.
        let partial = tx.whole != wants;
        let add = |rules: &[RuleId], tx: &mut Transaction| {
            for &rule in rules {
                let of_rule = || prepared.rules.get(rule).map(wants_of);
                if partial && !of_rule().is_some_and(|of_rule| tx.whole.covers(of_rule)) {
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
        // Where the answer was there first, rules about both have waited for the request.
        if way == 0 && tx.halves[1].has_said() {
            let both = |rule: &RuleId| index.needs(*rule).is_some_and(|needs| needs.both);
            tx.halves[1].fresh |= tx.halves[1].candidates.iter().any(both);
        }
    }

    /// Lists the candidates that can be decided now.
    fn find_due(&mut self, id: AppId, at: usize, way: usize) {
        let Self {
            apps,
            prepared,
            lists,
            ..
        } = self;
        lists.due.clear();
        let Some(tx) = apps.transaction_mut(id, at) else {
            return;
        };
        let reached = [tx.halves[0].level, tx.halves[1].level];
        let events = tx.events().len();
        let half = &mut tx.halves[way];
        let new_events = std::mem::replace(&mut half.events_seen, events) < events;
        half.candidates.retain(|&rule| {
            let Some(needs) = prepared.index.needs(rule) else {
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
    }

    /// Hands out what parsers want to have recorded.
    fn hand_out_records(
        &mut self,
        scene: &Scene<'_, '_>,
        other: Option<&Packet<'_>>,
        out: &mut Vec<Event>,
    ) {
        let flow = scene.flow(&self.flows);
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
}
