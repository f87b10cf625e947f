//! Inspection of streams: what a segment adds to its stream, and what ends.

use std::ops::Range;

use super::super::index::Role;
use super::super::search::Wanted;
use super::super::{Event, Prepared, Stage};
use super::scene::{Scene, Side};
use super::settle::Settled;
use super::windows::When;
use super::{Inspector, inspected_payload};
use crate::eval::{AppSubject, Beyond, Subject};
use crate::flow::{FlowAction, FlowView, Speaks};
use crate::packet::Packet;
use crate::plan::RuleId;
use crate::stream::{MOST_CANDIDATES, Refusal, StreamEvent, StreamId};

/// Bytes before a buffer that a probe may begin in.
const CARRY: u64 = 7;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// Connections that give way to one that needs room, at most, before it does without.
const MOST_EVICTED: usize = 16;

impl Inspector {
    /// Inspects a segment that its receiver takes: its data in the stream, and the segment by itself.
    pub(super) fn segment(
        &mut self,
        packet: &Packet<'_>,
        mut view: FlowView,
        out: &mut Vec<Event>,
    ) -> Stage {
        let payload = inspected_payload(packet);
        let way = usize::from(!view.to_server);
        let flow = self.flows.get(view);
        if let Some(acked) = acknowledged(packet) {
            let id = flow.streams;
            self.give_up_gaps(packet, &mut view, Side { id, way: 1 - way }, acked, out);
        }
        if !payload.is_empty() && self.flows.get(view).app.opaque {
            if self.flows.get(view).streams != StreamId::NONE {
                self.close(packet, view, out);
            }
            return self.sealed(packet, view, out);
        }
        let stage = if payload.is_empty() {
            self.alone(packet, Some(view), Role::Segment, out)
        } else {
            match self.put(packet, &mut view, payload, out) {
                Some((side, fresh, whole)) => {
                    let whole = whole.then_some(payload);
                    let stage = self.put_in(packet, view, side, fresh, whole, out);
                    // Where rules wait is part of what streams take.
                    while self.streams.is_over() && self.evict(side.id, out) {}
                    stage
                }
                None => self.alone(packet, Some(view), Role::Packet, out),
            }
        };
        if view.step.closed {
            self.close(packet, view, out);
        }
        stage
    }

    /// Puts a segment's data into its stream. Returns what became contiguous, and whether that is the payload; `None`
    /// when the segment has to be inspected by itself.
    fn put(
        &mut self,
        packet: &Packet<'_>,
        view: &mut FlowView,
        payload: &[u8],
        out: &mut Vec<Event>,
    ) -> Option<(Side, Range<u64>, bool)> {
        let way = usize::from(!view.to_server);
        let flags = packet.tcp_flags()?;
        let seq = packet.tcp_seq()?.wrapping_add(u32::from(flags & SYN != 0));
        let id = self.streams_of(*view, out)?;
        let side = Side { id, way };
        let taken = usize::from(view.step.taken);
        let taken = payload.get(..taken).unwrap_or(payload);
        if taken.is_empty() {
            return None;
        }
        let tcp = &self.flows.get(*view).tcp;
        let numbers = (tcp.first_byte(view.to_server), tcp.heard(view.to_server));
        let connection = self.streams.get_mut(id)?;
        let first = numbers.0.filter(|_| !connection.restarted);
        let numbers = (first, numbers.1);
        if usize::from(connection.turn) != way {
            // The other side has been answered: what it said is complete.
            connection.turn = way as u8;
            self.end_turn(packet, *view, Side { id, way: 1 - way }, out);
        }
        if let Some(urgent) = view.step.urgent {
            let seq = seq.wrapping_add(urgent.into());
            self.streams.leave_out(id, way, first, seq);
        }
        if self.inline {
            // Of what the segment brings nothing is missing.
            let acked = (numbers.1).map(|acked| if before(acked, seq) { acked } else { seq });
            self.catch_up(packet, view, side, (numbers.0, acked), out);
        }
        if self.inline
            && let Some(refusal) = self.streams.refuses(id, way, numbers.1, seq, taken)
        {
            self.refuse(view, refusal);
            return None;
        }
        let mut arrival = self.streams.insert(id, way, numbers, seq, taken)?;
        // Attempts that find no room may have taken in a part.
        let start = arrival.fresh.start;
        for _ in 0..MOST_EVICTED {
            if !arrival.no_room || !self.evict(id, out) {
                break;
            }
            arrival = self.streams.insert(id, way, numbers, seq, taken)?;
            arrival.fresh.start = start;
        }
        if arrival.no_room {
            self.give_way(packet, view, side, arrival.fresh, out);
            arrival = self.streams.insert(id, way, numbers, seq, taken)?;
        }
        if arrival.differs {
            let event = StreamEvent::ReassemblyOverlapDifferentData;
            view.step.events.insert(event);
        }
        if arrival.no_room && self.inline {
            self.refuse(view, Refusal::Full);
            self.streams.take_back(id, way, arrival.fresh.start);
            return None;
        }
        if arrival.no_room {
            self.streams.pass_over(id, way, seq, taken.len());
        }
        if !arrival.added {
            let beyond = self.streams.ended(id, way);
            self.streams.counters.beyond_depth += u64::from(beyond);
            if beyond {
                let mut scene = Scene {
                    packet,
                    view: *view,
                    ended: None,
                };
                self.tell_end(&mut scene, side, out);
            }
            return None;
        }
        let whole = arrival.whole && taken.len() == payload.len();
        Some((side, arrival.fresh, whole))
    }

    /// What its receiver has acknowledged and was not seen here will not come: the stream goes on behind it, so that what does
    /// come does not wait for it.
    fn catch_up(
        &mut self,
        packet: &Packet<'_>,
        view: &FlowView,
        side: Side,
        (first, acked): (Option<u32>, Option<u32>),
        out: &mut Vec<Event>,
    ) {
        let Some(acked) = acked else { return };
        if self.streams.missed(side.id, side.way, first, acked) == 0 {
            return;
        }
        let mut scene = Scene {
            packet,
            view: *view,
            ended: None,
        };
        self.flush(&mut scene, side, out);
        // Less, where some of it had waited.
        let missed = self.streams.missed(side.id, side.way, first, acked);
        if missed > 0 {
            self.streams.catch_up(side.id, side.way, acked);
            self.tell_gap(&mut scene, side, Some(missed), out);
        }
    }

    /// A segment does not go on: its receiver would put together something else than was inspected.
    fn refuse(&mut self, view: &mut FlowView, refusal: Refusal) {
        self.verdict.drop = true;
        match refusal {
            Refusal::Different => {
                self.streams.counters.different += 1;
                let event = StreamEvent::ReassemblyOverlapDifferentData;
                view.step.events.insert(event);
            }
            Refusal::Full => self.streams.counters.no_room += 1,
        }
    }

    /// A stream gives way to its own next bytes: decides all that waits in it. `fresh` has not been inspected.
    fn give_way(
        &mut self,
        packet: &Packet<'_>,
        view: &mut FlowView,
        side: Side,
        fresh: Range<u64>,
        out: &mut Vec<Event>,
    ) {
        let mut scene = Scene {
            packet,
            view: *view,
            ended: None,
        };
        self.inspect_fresh(&mut scene, side, fresh, out);
        self.flush(&mut scene, side, out);
        view.step.events = scene.view.step.events;
        self.streams.give_way(side.id, side.way);
    }

    /// The streams of the flow, which are begun where there are none; `None` for want of room.
    fn streams_of(&mut self, view: FlowView, out: &mut Vec<Event>) -> Option<StreamId> {
        let flow = self.flows.get(view);
        let (id, client, server) = (flow.streams, flow.client.0, flow.server.0);
        if self.streams.get(id).is_some() {
            return Some(id);
        }
        let mut begun = self.streams.begin(view.slot, client, server);
        for _ in 0..MOST_EVICTED {
            if begun.is_some() || !self.evict(StreamId::NONE, out) {
                break;
            }
            begun = self.streams.begin(view.slot, client, server);
        }
        let Some(begun) = begun else {
            self.streams.counters.no_room += 1;
            return None;
        };
        if let Some(connection) = self.streams.get_mut(begun) {
            connection.restarted = id == StreamId::LOST;
            connection.turn = u8::from(!view.to_server);
        }
        self.flows.get_mut(view).streams = begun;
        Some(begun)
    }

    /// Inspects what a segment added to its stream, and the segment by itself.
    fn put_in(
        &mut self,
        packet: &Packet<'_>,
        view: FlowView,
        side: Side,
        fresh: Range<u64>,
        whole: Option<&[u8]>,
        out: &mut Vec<Event>,
    ) -> Stage {
        self.profile.lap(Stage::Stream);
        self.scratch.settled.clear();
        self.scratch.dropped = false;
        self.scratch.passed = false;
        let before = fresh.start;
        let mut scene = Scene {
            packet,
            view,
            ended: None,
        };
        scene.view.app = Speaks::Open;
        let since = fresh.start;
        self.inspect_fresh(&mut scene, side, fresh, out);
        while !self.inline && self.streams.overfull(side.id, side.way) {
            // So much waits that what is missing will not come. Where segments can be dropped instead, they are.
            self.give_up_gap(&mut scene, side, out);
        }
        let events = scene.view.step.events;
        // Packets know of a protocol from when it was acknowledged.
        let view = FlowView {
            app: view.app,
            ..scene.view
        };
        let passed = self.flows.get(view).action == FlowAction::Pass && self.scratch.passed;
        if self.flows.get(view).action != FlowAction::None && !passed {
            // A window that ended decided about the flow.
            return Stage::Settle;
        }
        // What a transaction has passed, it has from the next packet on, as in Suricata: this one has rules of its own.
        if !passed && let Some(end) = self.streams.end_of(side.id, side.way) {
            self.decide(&scene, side, end, When::Open { since });
        }
        let payload = inspected_payload(packet);
        let Self {
            prepared,
            search,
            candidates,
            evaluator,
            counters,
            profile,
            scratch,
            matches,
            flows,
            screen,
            settler,
            ..
        } = self;
        let Prepared {
            groups,
            index,
            state,
            ..
        } = &**prepared;
        let hits = match whole {
            // The probes of the payload, and perhaps some that begin before it: the rule itself decides.
            Some(_) => &scratch.hits,
            None => {
                let group = groups.of_packet(packet, Some(view.to_server));
                search.find(&index.probes, Wanted::payload(group, payload))
            }
        };
        profile.lap(Stage::Match);
        let due = candidates.collect(index, packet, Some(view), hits, Role::Segment);
        state.screen(due, Some(flows.get(view)), screen);
        profile.lap(Stage::Candidates);
        matches.clear();
        let subject = Subject {
            events,
            app: AppSubject {
                flow: flows.get(view).app,
                transaction: None,
                way: side.way as u8,
            },
            ..Subject::packet(packet, payload)
        };
        if !due.is_empty() {
            counters.candidates += due.len() as u64;
            let beyond = Beyond {
                flow: Some(flows.get(view)),
                seat: Some(&mut settler.seat),
            };
            evaluator.evaluate(&subject, beyond, due, matches);
        }
        // What has matched in the stream has matched: a segment is looked at for want of a stream.
        matches.retain(|rule| !scratch.settled.contains(rule));
        let in_stream = !scratch.matched.is_empty();
        if in_stream {
            matches.extend_from_slice(&scratch.matched);
            matches.sort_unstable();
            matches.dedup();
        }
        let mut dropped = scratch.dropped;
        let mut stage = Stage::Evaluate;
        if !matches.is_empty() {
            profile.lap(Stage::Evaluate);
            let how = if in_stream {
                Settled::Stream
            } else {
                Settled::Packet
            };
            dropped |= self.settle_packet(&subject, Some(view), how, out);
            stage = Stage::Settle;
        }
        if dropped {
            // Its receiver goes on waiting for these bytes, and what comes for them may differ.
            let whole = self.streams.take_back(side.id, side.way, before);
            let flow = self.flows.get_mut(view);
            if !whole && flow.action == FlowAction::None {
                // What the receiver has is not known any more.
                flow.action = FlowAction::Drop;
            }
        }
        stage
    }

    /// Looks for probes in bytes that have become contiguous, and ends the windows that they fill. The probes of all of
    /// them are in the scratch lists afterwards.
    pub(super) fn inspect_fresh(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        mut fresh: Range<u64>,
        out: &mut Vec<Event>,
    ) {
        self.scratch.hits.clear();
        let group = self
            .prepared
            .groups
            .of_packet(scene.packet, Some(scene.view.to_server));
        let since = fresh.start;
        let mut from = since;
        loop {
            if from >= fresh.end {
                // More than the buffer has room for may have waited.
                fresh = self.streams.go_on(side.id, side.way);
                from = fresh.start;
                if fresh.is_empty() {
                    return;
                }
            }
            let Some(window) = self.streams.window_end(side.id, side.way) else {
                return;
            };
            let to = window.min(fresh.end).max(from + 1);
            self.feed(scene, side, from..to, out);
            let Self {
                prepared,
                streams,
                search,
                candidates,
                scratch,
                ..
            } = self;
            let index = &prepared.index;
            let Some(direction) = streams.direction(side.id, side.way) else {
                return;
            };
            let before = CARRY.min(from - direction.base().min(from));
            let data = direction.bytes(from - before..to);
            let wanted = Wanted {
                group,
                carry: before as u8,
                data,
                payload: inspected_payload(scene.packet),
                at: usize::try_from(from - since).unwrap_or(usize::MAX),
            };
            let hits = search.find(&index.probes, wanted);
            if !hits.is_empty() {
                scratch.hits.extend_from_slice(hits);
                let rules = candidates.in_stream(index, scene.packet, scene.view, hits);
                if streams.crowded(side.id, side.way, rules.len()) {
                    let mut crowd = std::mem::take(&mut scratch.crowd);
                    crowd.clear();
                    crowd.extend_from_slice(rules);
                    self.wait_in_turns(scene, side, &crowd, to, out);
                    self.scratch.crowd = crowd;
                } else {
                    streams.wait_for_window(side.id, side.way, rules, to);
                }
            }
            self.profile.lap(Stage::Match);
            if to == window {
                self.close_window(scene, side, to, When::Ends, out);
            }
            from = to;
        }
    }

    /// More rules come to wait than may: those that wait are decided now, as if the window ended at `end`, so that a crowd of
    /// probes drives none of them out.
    fn wait_in_turns(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        rules: &[RuleId],
        end: u64,
        out: &mut Vec<Event>,
    ) {
        for some in rules.chunks(MOST_CANDIDATES / 2) {
            if self.streams.crowded(side.id, side.way, some.len()) {
                self.close_window(scene, side, end, When::Last, out);
                self.streams.forget(side.id, side.way);
            }
            self.streams.wait_for_window(side.id, side.way, some, end);
        }
    }
}

/// True when a sequence number stands before another.
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// The acknowledgement number, where the packet acknowledges anything.
fn acknowledged(packet: &Packet<'_>) -> Option<u32> {
    let flags = packet.tcp_flags()?;
    packet.tcp_ack().filter(|_| flags & ACK != 0)
}
