//! Application layers: what streams and datagrams say to their parsers, and rules about which protocol was found.

use std::ops::Range;

use super::super::{Event, Stage};
use super::scene::{Scene, Side};
use super::settle::Settled;
use super::{Inspector, inspected_payload};
use crate::app::{AppProto, Told, Way};
use crate::eval::{AppSubject, Beyond, Subject};
use crate::flow::{Flow, FlowAction, FlowView, Speaks};
use crate::packet::Packet;
use crate::packet::proto::UDP;

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
        let now_ns = scene.packet.ts_ns;
        let flow = scene.flow_mut(flows);
        if flow.app.over || flow.action != FlowAction::None {
            return;
        }
        let way = Way::of(side.way);
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

    /// The segment at hand may have shown what the flow speaks.
    pub(super) fn late_news(
        &mut self,
        packet: &Packet<'_>,
        mut view: FlowView,
        out: &mut Vec<Event>,
    ) {
        let flow = self.flows.get(view);
        let way = usize::from(!view.to_server);
        if flow.action == FlowAction::None && flow.app.news[way] {
            self.acknowledge_app(&mut view);
            self.news(packet, view, out);
        }
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
