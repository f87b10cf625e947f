//! Connections of which not all is seen: their start, or one of their directions.

use super::segment::{Extras, MAX_SCALE, Stamp};
use super::side::Side;
use super::{Event, MIDSTREAM, ONE_SIDED, SCALES, STAMPS, Session, TcpState, Turn};

impl Session {
    /// A connection whose start was not seen.
    pub(super) fn pick_up(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn {
            segment,
            config,
            way,
            ..
        } = *turn;
        self.state = TcpState::Established;
        self.set(MIDSTREAM, true);
        self.set(ONE_SIDED, config.async_oneside);
        let stamp = Extras::of(turn.packet).stamp;
        self.set(STAMPS, stamp.is_some());
        let [sender, receiver] = self.ends(way);
        sender.start(segment.seq.wrapping_sub(1), segment.seq);
        receiver.start(segment.ack.wrapping_sub(1), segment.ack);
        // Whether windows are scaled is not known, so they are taken for as large as can be.
        (sender.scale, receiver.scale) = (MAX_SCALE, MAX_SCALE);
        if let Some(Stamp { value, echo }) = stamp {
            (sender.stamp, sender.echoed) = (value, value);
            (receiver.stamp, receiver.echoed) = (echo, echo);
        }
        self.transfer(turn);
    }

    /// A connection whose SYN was not seen.
    pub(super) fn pick_up_answer(&mut self, turn: &mut Turn<'_, '_>) {
        turn.step.reversed = turn.way == 0;
        turn.way = 1;
        self.sides = [Side::default(); 2];
        self.sides[1].set(Side::SEEN, true);
        self.set(MIDSTREAM, true);
        self.set(ONE_SIDED, turn.config.async_oneside);
        let extras = Extras::of(turn.packet);
        // The server answers with options that the client had offered.
        self.set(SCALES, extras.scale.is_some());
        let [client, server] = &mut self.sides;
        client.start(turn.segment.ack.wrapping_sub(1), turn.segment.ack);
        server.scale = if extras.scale.is_some() { MAX_SCALE } else { 0 };
        if let Some(Stamp { echo, .. }) = extras.stamp {
            client.set(Side::STAMPS, true);
            (client.stamp, client.echoed) = (echo, echo);
        }
        self.answered(turn, extras);
    }

    /// The client goes on without an answer that was seen.
    pub(super) fn one_sided(&mut self, turn: &mut Turn<'_, '_>) {
        let segment = turn.segment;
        if segment.seq != self.sides[0].next {
            turn.raise(Event::ThreeWhsAsyncWrongSeq);
            return;
        }
        self.set(ONE_SIDED, true);
        let stamp = Extras::of(turn.packet).stamp;
        let stamps = stamp.is_some() && self.sides[0].has(Side::STAMPS);
        self.set(STAMPS, stamps);
        let scales = self.has(SCALES);
        let [client, server] = &mut self.sides;
        client.scale = if scales { MAX_SCALE } else { 0 };
        client.acked = segment.seq;
        server.start(segment.ack.wrapping_sub(1), segment.ack);
        if let Some(Stamp { echo, .. }) = stamp {
            (server.stamp, server.echoed) = (echo, echo);
        }
        self.state = TcpState::Established;
        self.transfer(turn);
    }
}
