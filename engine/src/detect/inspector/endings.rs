//! What ends in streams: windows, gaps that are given up, connections.

use super::super::Event;
use super::Inspector;
use super::scene::{Scene, Side, ends, headers, in_stream};
use super::windows::When;
use crate::flow::{Ended, FlowAction, FlowView};
use crate::packet::Packet;
use crate::stream::{Headers, StreamEvent, StreamId, Streams};

impl Inspector {
    /// The other side has spoken: ends the window of this one, as seen from `cause`, a packet of the other.
    pub(super) fn end_turn(
        &mut self,
        cause: &Packet<'_>,
        view: FlowView,
        side: Side,
        out: &mut Vec<Event>,
    ) {
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
    pub(super) fn headers(&self, view: FlowView, way: usize) -> Headers {
        let flow = self.flows.get(view);
        headers(flow, way)
    }

    /// Gives up the gaps of the other direction behind which there is what `cause` acknowledges.
    pub(super) fn give_up_gaps(
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
        if self.inline
            && let Some(end) = self.streams.end_of(side.id, side.way)
        {
            // Its receiver has it: what is to be dropped of the flow is to be known before anything else comes.
            self.close_window(&mut scene, side, end, When::Ends, out);
        }
        view.step.events.insert(StreamEvent::ReassemblySeqGap);
    }

    /// Gives up a gap, and inspects what waited behind it.
    pub(super) fn give_up_gap(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        out: &mut Vec<Event>,
    ) {
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
    pub(super) fn close(&mut self, cause: &Packet<'_>, view: FlowView, out: &mut Vec<Event>) {
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
        let held = self.streams.get(id).is_some();
        if held {
            ended.streams = self.streams.facts(id);
        }
        // What a connection has said that gave way is over only now.
        if (held || id == StreamId::LOST) && ended.flow.action == FlowAction::None {
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
    pub(super) fn flush(&mut self, scene: &mut Scene<'_, '_>, side: Side, out: &mut Vec<Event>) {
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
    pub(super) fn evict(&mut self, than: StreamId, out: &mut Vec<Event>) -> bool {
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
