//! Inspection of streams: what a segment adds to its stream, and what ends.

use std::ops::Range;

use super::super::index::Role;
use super::super::search::Wanted;
use super::super::{Event, Prepared, Stage};
use super::settle::Settled;
use super::windows::When;
use super::{Inspector, inspected_payload};
use crate::eval::{AppSubject, Beyond, Subject};
use crate::flow::{Ended, Endpoint, Flow, FlowAction, FlowView, Speaks};
use crate::packet::Packet;
use crate::plan::RuleId;
use crate::stream::{Headers, MOST_CANDIDATES, StreamEvent, StreamId, Streams};

/// Bytes before a buffer that a probe may begin in.
const CARRY: u64 = 7;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// Connections that give way to one that needs room, at most, before it does without.
const MOST_EVICTED: usize = 16;

/// Where something in a stream was found.
pub(super) struct Scene<'p, 'f> {
    /// A packet of the stream's direction.
    pub(super) packet: &'p Packet<'p>,
    pub(super) view: FlowView,
    /// The flow, where it is no longer in the table.
    pub(super) ended: Option<&'f mut Flow>,
}

/// A stream: a direction of a connection.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) id: StreamId,
    pub(super) way: usize,
}

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
        self.counters.dropped += u64::from(view.step.drop && self.inline);
        if view.step.rewound {
            self.streams.rewind(flow.streams, 0);
        }
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
        let first = self.flows.get(*view).tcp.first_byte(view.to_server);
        let connection = self.streams.get_mut(id)?;
        let first = first.filter(|_| !connection.restarted);
        if usize::from(connection.turn) != way {
            // The other side has been answered: what it said is complete.
            connection.turn = way as u8;
            self.end_turn(packet, *view, Side { id, way: 1 - way }, out);
        }
        if let Some(urgent) = view.step.urgent {
            let seq = seq.wrapping_add(urgent.into());
            self.streams.leave_out(id, way, first, seq);
        }
        let mut arrival = self.streams.insert(id, way, first, seq, taken)?;
        // Attempts that find no room may have taken in a part.
        let start = arrival.fresh.start;
        for _ in 0..MOST_EVICTED {
            if !arrival.no_room || !self.evict(id, out) {
                break;
            }
            arrival = self.streams.insert(id, way, first, seq, taken)?;
            arrival.fresh.start = start;
        }
        if arrival.no_room {
            self.give_way(packet, view, side, arrival.fresh, out);
            arrival = self.streams.insert(id, way, first, seq, taken)?;
        }
        if arrival.differs {
            let event = StreamEvent::ReassemblyOverlapDifferentData;
            view.step.events.insert(event);
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
        while self.streams.overfull(side.id, side.way) {
            // So much waits that what is missing will not come.
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
            self.streams.take_back(side.id, side.way, before);
        }
        stage
    }

    /// Looks for probes in bytes that have become contiguous, and ends the windows that they fill. The probes of all of
    /// them are in the scratch lists afterwards.
    fn inspect_fresh(
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

    /// The other side has spoken: ends the window of this one, as seen from `cause`, a packet of the other.
    fn end_turn(&mut self, cause: &Packet<'_>, view: FlowView, side: Side, out: &mut Vec<Event>) {
        let Some(end) = self.streams.end_of(side.id, side.way) else {
            return;
        };
        let flow = self.flows.get(view);
        let (from, to) = ends(flow, side.way);
        let quiet = self.streams.quiet(side.id, side.way);
        if quiet && !self.prepared.index.wants_windows_of(from, to) {
            self.streams.close_window(side.id, side.way, end);
            return;
        }
        let headers = self.headers(view, side.way);
        let packet = headers.answered_by(cause);
        let mut scene = Scene {
            packet: &packet,
            view: in_stream(view.slot, side.way),
            ended: None,
        };
        self.close_window(&mut scene, side, end, When::Ends, out);
    }

    /// Headers of a packet of one direction of a flow.
    fn headers(&self, view: FlowView, way: usize) -> Headers {
        let flow = self.flows.get(view);
        headers(flow, way)
    }

    /// Gives up the gaps of the other direction behind which there is what `cause` acknowledges.
    fn give_up_gaps(
        &mut self,
        cause: &Packet<'_>,
        view: &mut FlowView,
        side: Side,
        acked: u32,
        out: &mut Vec<Event>,
    ) {
        let overtaken = |streams: &Streams| {
            let direction = streams.direction(side.id, side.way);
            direction.is_some_and(|direction| direction.waits() && direction.overtaken(acked))
        };
        if !overtaken(&self.streams) {
            return;
        }
        let headers = self.headers(*view, side.way);
        let packet = headers.answered_by(cause);
        let mut scene = Scene {
            packet: &packet,
            view: in_stream(view.slot, side.way),
            ended: None,
        };
        while overtaken(&self.streams) {
            self.give_up_gap(&mut scene, side, out);
        }
        view.step.events.insert(StreamEvent::ReassemblySeqGap);
    }

    /// Gives up a gap, and inspects what waited behind it.
    fn give_up_gap(&mut self, scene: &mut Scene<'_, '_>, side: Side, out: &mut Vec<Event>) {
        let Some(end) = self.streams.end_of(side.id, side.way) else {
            return;
        };
        self.close_window(scene, side, end, When::Last, out);
        let fresh = self.streams.skip_gap(side.id, side.way);
        let missing = fresh.start.checked_sub(end).filter(|&missing| missing > 0);
        self.tell_gap(scene, side, missing, out);
        self.streams.restart_window(side.id, side.way, fresh.start);
        scene.view.step.events.insert(StreamEvent::ReassemblySeqGap);
        let hits = std::mem::take(&mut self.scratch.hits);
        self.inspect_fresh(scene, side, fresh, out);
        self.scratch.hits = hits;
    }

    /// The connection is over: decides all that waits, in both directions.
    fn close(&mut self, cause: &Packet<'_>, view: FlowView, out: &mut Vec<Event>) {
        let id = std::mem::take(&mut self.flows.get_mut(view).streams);
        for way in [0, 1] {
            let side = Side { id, way };
            let headers = self.headers(view, way);
            let packet = headers.answered_by(cause);
            let mut scene = Scene {
                packet: &packet,
                view: in_stream(view.slot, way),
                ended: None,
            };
            self.flush(&mut scene, side, out);
            self.tell_end(&mut scene, side, out);
        }
        let app = &mut self.flows.get_mut(view).app;
        app.over = true;
        self.apps.release(app);
        self.streams.end(id);
    }

    /// Decides all that waits in the streams of a flow that has left the table.
    pub(super) fn end_streams(&mut self, ended: &mut Ended, out: &mut Vec<Event>) {
        let id = std::mem::take(&mut ended.flow.streams);
        if self.streams.get(id).is_none() {
            return;
        }
        ended.streams = self.streams.facts(id);
        if ended.flow.action == FlowAction::None {
            for way in [0, 1] {
                let headers = headers(&ended.flow, way);
                let packet = headers.packet(ended.ts_ns);
                let mut scene = Scene {
                    packet: &packet,
                    view: in_stream(u32::MAX, way),
                    ended: Some(&mut ended.flow),
                };
                self.flush(&mut scene, Side { id, way }, out);
                self.tell_end(&mut scene, Side { id, way }, out);
            }
        }
        self.streams.end(id);
    }

    /// Decides all that waits in one direction, what is behind gaps included.
    fn flush(&mut self, scene: &mut Scene<'_, '_>, side: Side, out: &mut Vec<Event>) {
        let waits = |streams: &Streams| {
            let direction = streams.direction(side.id, side.way);
            direction.is_some_and(|direction| direction.waits())
        };
        while waits(&self.streams) {
            self.give_up_gap(scene, side, out);
        }
        if let Some(end) = self.streams.end_of(side.id, side.way) {
            self.close_window(scene, side, end, When::Last, out);
        }
    }

    /// Has another connection give way: decides all that waits in it, and takes its room. False when there is none.
    fn evict(&mut self, than: StreamId, out: &mut Vec<Event>) -> bool {
        let Some((id, slot)) = self.streams.oldest(than) else {
            return false;
        };
        self.streams.counters.evicted += 1;
        for way in [0, 1] {
            let view = in_stream(slot, way);
            let headers = self.headers(view, way);
            let packet = headers.packet(self.place.ts_ns);
            let mut scene = Scene {
                packet: &packet,
                view,
                ended: None,
            };
            self.flush(&mut scene, Side { id, way }, out);
            self.tell_gap(&mut scene, Side { id, way }, None, out);
        }
        self.flows.get_mut(in_stream(slot, 0)).streams = StreamId::LOST;
        self.streams.end(id);
        true
    }
}

/// The acknowledgement number, where the packet acknowledges anything.
fn acknowledged(packet: &Packet<'_>) -> Option<u32> {
    let flags = packet.tcp_flags()?;
    packet.tcp_ack().filter(|_| flags & ACK != 0)
}

pub(super) fn headers(flow: &Flow, way: usize) -> Headers {
    let (from, to) = ends(flow, way);
    Headers::new(from, to)
}

/// Sender and receiver of one direction.
fn ends(flow: &Flow, way: usize) -> (Endpoint, Endpoint) {
    match way {
        0 => (flow.client, flow.server),
        _ => (flow.server, flow.client),
    }
}

/// What the flow table would say of a packet whose data is in the stream.
pub(super) fn in_stream(slot: u32, way: usize) -> FlowView {
    FlowView {
        slot,
        to_server: way == 0,
        established: true,
        first: false,
        step: crate::stream::Step::default(),
        app: Speaks::Open,
    }
}
