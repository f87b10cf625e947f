//! From nothing to established.

use super::segment::{ACK, Extras, FIN, RST, SYN, Segment, Stamp, after, not_before};
use super::side::Side;
use super::{
    CROSSED, Event, FAST_OPEN, MAX_CLAIMS, MAX_SYNS, MIDSTREAM, ONE_SIDED, SCALES, STAMPS,
    SUCCESSOR, Session, TcpState, Turn, UNSURE,
};

impl Session {
    /// The first packet.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn {
            segment,
            config,
            way,
            ..
        } = *turn;
        if segment.has(RST) {
            turn.raise(Event::RstButNoSession);
        } else if segment.has(FIN) {
            if config.midstream && segment.data > 0 && segment.has(ACK) {
                self.pick_up(turn);
            } else {
                turn.raise(Event::FinButNoSession);
            }
        } else if segment.has(SYN | ACK) {
            if config.midstream || config.async_oneside {
                self.pick_up_answer(turn);
            }
        } else if segment.has(SYN) {
            if way == 0 {
                self.set(ONE_SIDED, config.async_oneside);
                self.state = TcpState::SynSent;
                self.syn(turn);
            }
        } else if segment.has(ACK) && config.midstream {
            self.pick_up(turn);
        }
    }

    /// The client's SYN, the first or another one. Which of several the server took shows when it answers.
    fn syn(&mut self, turn: &mut Turn<'_, '_>) {
        let segment = turn.segment;
        let extras = Extras::of(turn.packet);
        let (scales, fast_open) = (self.has(SCALES), self.has(FAST_OPEN));
        let [client, server] = &mut self.sides;
        let again = client.has(Side::KNOWN);
        let same_isn = again && client.isn == segment.seq;
        let same = match extras.stamp {
            Some(Stamp { value, .. }) => client.has(Side::STAMPS) && value == client.stamp,
            None => !client.has(Side::STAMPS),
        };
        if again && !(same_isn && same) {
            if self.syns < MAX_SYNS {
                self.syns += 1;
            } else {
                turn.step.raise(Event::ThreeWhsSynFlood);
            }
        }
        let old = client.isn;
        let first = segment.seq.wrapping_add(1);
        if !same_isn {
            client.start(segment.seq, first);
            client.limit = first;
        }
        // As far as the server may acknowledge.
        let end = first.wrapping_add(segment.data);
        if after(end, client.limit) {
            client.limit = end;
        }
        if let Some(Stamp { value, .. }) = extras.stamp {
            // From the first to the latest: the server may echo each of them.
            let none = !client.has(Side::STAMPS);
            if none || after(client.echoed, value) {
                client.echoed = value;
            }
            if none || after(value, client.stamp) {
                client.stamp = value;
            }
            client.set(Side::STAMPS, true);
        }
        // The largest window of all is the one to be careful with.
        server.window = server.window.max(segment.window);
        server.scale = server.scale.max(extras.scale.unwrap_or(0));
        // Some servers keep what comes with any SYN; whether this one did, its answer says.
        let taken = (extras.fast_open || turn.config.inline) && segment.data > 0;
        if taken {
            client.take(first, end);
        }
        self.set(SCALES, scales || extras.scale.is_some());
        self.set(FAST_OPEN, fast_open || extras.fast_open);
        if again && !same_isn {
            self.claim(old);
        }
        if taken {
            turn.step.accept(&segment, None);
        }
    }

    /// Remembers an initial sequence number that may turn out to be the right one; false for want of room.
    fn claim(&mut self, isn: u32) -> bool {
        let claims = usize::from(self.claims);
        if self.others.iter().take(claims).any(|&other| other == isn) {
            return true;
        }
        match self.others.get_mut(claims) {
            Some(place) => {
                *place = isn;
                self.claims += 1;
                true
            }
            None => {
                self.set(UNSURE, true);
                false
            }
        }
    }

    pub(super) fn claimed(&self, isn: u32) -> bool {
        let claims = usize::from(self.claims).min(MAX_CLAIMS);
        self.others.iter().take(claims).any(|&other| other == isn)
    }

    /// After the client's SYN.
    pub(super) fn in_syn_sent(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn {
            segment,
            config,
            way,
            ..
        } = *turn;
        if way == 1 && !self.echoes_syn(Extras::of(turn.packet).stamp) {
            turn.raise(Event::PktInvalidTimestamp);
        } else if segment.has(RST) {
            self.refused(turn);
        } else if segment.has(SYN | ACK) {
            if way == 1 {
                self.answer(turn)
            } else {
                self.crossed_answer(turn)
            }
        } else if segment.has(FIN) {
            // Of no meaning yet.
        } else if segment.has(SYN) {
            if way == 0 {
                self.syn(turn)
            } else {
                self.crossing_syn(turn)
            }
        } else if segment.has(ACK) && way == 0 && config.async_oneside {
            self.one_sided(turn);
        } else {
            // The server cannot take it, or its answer goes another way.
            turn.step.void = !self.has(SUCCESSOR);
        }
    }

    /// RST after the SYN. The client's is not believed: whether the server ever had the SYN shows when it answers. The
    /// server's must acknowledge the SYN; if it answers nevertheless, it has not refused.
    fn refused(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        if segment.data > 0 {
            turn.raise(Event::RstWithData);
        }
        if way == 0 || !segment.has(ACK) {
            return;
        }
        if self.acks_syn(segment.ack) {
            self.close_by_reset(1, true);
        } else if segment.ack != 0 {
            turn.raise(Event::RstInvalidAck);
            turn.raise(Event::PktInvalidAck);
        }
    }

    /// True when a SYN that was seen is acknowledged, perhaps with data that came with it.
    fn acks_syn(&self, ack: u32) -> bool {
        let client = &self.sides[0];
        self.has(UNSURE)
            || not_before(ack, client.first()) && not_before(client.limit, ack)
            || self.claimed(ack.wrapping_sub(1))
    }

    /// The server's SYN/ACK.
    fn answer(&mut self, turn: &mut Turn<'_, '_>) {
        let ack = turn.segment.ack;
        let extras = Extras::of(turn.packet);
        if self.has(FAST_OPEN) || extras.fast_open {
            self.set(FAST_OPEN, true);
        }
        let client = &self.sides[0];
        if ack != client.next {
            let without_data = ack == client.first();
            turn.raise(if without_data {
                Event::ThreeWhsSynackTfoDataIgnored
            } else {
                Event::ThreeWhsSynackWithWrongAck
            });
            if !self.acks_syn(ack) {
                return;
            }
        }
        let client = &mut self.sides[0];
        // Less than what was sent, or another SYN than the latest.
        turn.step.rewound = client.next != client.first() && ack != client.next;
        let within = not_before(ack, client.first()) && not_before(client.limit, ack);
        let isn = if within {
            client.isn
        } else {
            ack.wrapping_sub(1)
        };
        client.start(isn, ack);
        self.answered(turn, extras);
    }

    /// The server echoes a timestamp that the client has sent, or none.
    fn echoes_syn(&self, stamp: Option<Stamp>) -> bool {
        let client = &self.sides[0];
        match stamp {
            None => true,
            Some(Stamp { echo: 0, .. }) => true,
            Some(_) if !client.has(Side::STAMPS) => false,
            Some(Stamp { echo, .. }) => {
                client.stamp == 0
                    || not_before(echo, client.echoed) && not_before(client.stamp, echo)
            }
        }
    }

    /// A SYN/ACK of the server counts.
    pub(super) fn answered(&mut self, turn: &mut Turn<'_, '_>, extras: Extras) {
        let segment = turn.segment;
        let scaled = self.has(SCALES) && extras.scale.is_some();
        let midstream = self.has(MIDSTREAM);
        let [client, server] = &mut self.sides;
        let first = segment.seq.wrapping_add(1);
        // Data behind it is what RFC 7413 allows; whether it was taken shows in the client's answer.
        server.start(segment.seq, first.wrapping_add(segment.data));
        client.acked = segment.ack;
        client.scale = if scaled { extras.scale.unwrap_or(0) } else { 0 };
        if !scaled {
            server.scale = 0;
        }
        client.offer(segment.window, false);
        if !midstream {
            let offered = server.window;
            server.offer(offered, false);
        }
        let stamps = client.has(Side::STAMPS) && extras.stamp.is_some();
        if let Some(Stamp { value, echo }) = extras.stamp {
            (server.stamp, server.echoed) = (value, value);
            // Of several SYNs, that of the one that is answered.
            let sent = if echo == 0 { client.stamp } else { echo };
            (client.stamp, client.echoed) = (sent, sent);
        }
        self.set(STAMPS, stamps);
        let crossed = self.has(CROSSED) && self.state == TcpState::SynReceived;
        self.set(CROSSED, false);
        self.claims = 0;
        self.set(UNSURE, false);
        self.state = if crossed {
            TcpState::Established
        } else {
            TcpState::SynReceived
        };
        if self.has(FAST_OPEN) && segment.data > 0 {
            turn.step.accept(&segment, None);
        }
    }

    /// A SYN of the server before it has answered: both begin.
    fn crossing_syn(&mut self, turn: &mut Turn<'_, '_>) {
        let segment = turn.segment;
        let extras = Extras::of(turn.packet);
        self.set(CROSSED, true);
        let scales = self.has(SCALES) && extras.scale.is_some();
        self.set(SCALES, scales);
        let [client, server] = &mut self.sides;
        let offered = server.window;
        server.start(segment.seq, segment.seq.wrapping_add(1));
        server.window = offered;
        client.window = segment.window;
        client.scale = if scales { extras.scale.unwrap_or(0) } else { 0 };
        if !scales {
            server.scale = 0;
        }
        server.set(Side::STAMPS, extras.stamp.is_some());
        if let Some(Stamp { value, .. }) = extras.stamp {
            (server.stamp, server.echoed) = (value, value);
        }
    }

    /// The client's SYN/ACK.
    fn crossed_answer(&mut self, turn: &mut Turn<'_, '_>) {
        let segment = turn.segment;
        if !self.has(CROSSED) {
            turn.raise(Event::ThreeWhsSynackInWrongDirection);
            return;
        }
        let [client, server] = &mut self.sides;
        if segment.ack != server.first() {
            turn.step.raise(Event::FourWhsSynackWithWrongAck);
        } else if segment.seq != client.isn {
            turn.step.raise(Event::FourWhsSynackWithWrongSyn);
        } else {
            client.acked = client.first();
            server.offer(segment.window, false);
            let offered = client.window;
            client.offer(offered, false);
            let stamps = client.has(Side::STAMPS) && server.has(Side::STAMPS);
            self.set(STAMPS, stamps);
            self.state = TcpState::SynReceived;
        }
    }

    /// After SYN and SYN/ACK; anything but a RST.
    pub(super) fn in_syn_received(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        if segment.has(SYN | ACK) {
            self.answer_again(turn);
        } else if segment.has(SYN) {
            if way == 1 {
                turn.raise(Event::ThreeWhsSynToclientOnSynRecv);
            } else if segment.seq != self.sides[0].isn {
                turn.raise(Event::ThreeWhsSynResendDiffSeqOnSynRecv);
            }
        } else if segment.has(ACK) && !self.too_old(turn) {
            let complete = match (way, self.has(CROSSED)) {
                (0, _) => self.third_packet(turn),
                (_, true) => self.fourth_packet(turn),
                (_, false) => self.server_goes_on(turn),
            };
            if complete {
                self.state = TcpState::Established;
                self.claims = 0;
                self.set(UNSURE | CROSSED, false);
                self.transfer(turn);
            }
        }
    }

    /// Another SYN/ACK. Which of them the client took shows when it answers.
    fn answer_again(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        let [client, server] = &self.sides;
        let crossed = self.has(CROSSED);
        if way == 0 {
            if !(crossed && segment.seq == client.isn && segment.ack == server.first()) {
                turn.raise(Event::ThreeWhsSynackToserverOnSynRecv);
            }
        } else if segment.ack != client.acked {
            turn.raise(Event::ThreeWhsSynackResendWithDifferentAck);
            self.set(UNSURE, true);
        } else if crossed && segment.seq == server.isn {
            // Both have answered by now.
            let extras = Extras::of(turn.packet);
            self.answered(turn, extras);
        } else if segment.seq != server.isn && !self.claim(segment.seq) {
            turn.raise(Event::ThreeWhsSynackFlood);
        }
    }

    /// The client's answer to the SYN/ACK: true when it completes the handshake.
    fn third_packet(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let segment = turn.segment;
        let [client, server] = self.sides;
        let (expected, limit) = (client.next, client.limit);
        // Data that came with the SYN/ACK may have been taken or not.
        let right = not_before(segment.ack, server.first()) && not_before(server.next, segment.ack);
        let in_order = segment.seq == expected;
        if in_order && right {
            self.settle_answer(server.isn, &segment);
            turn.step.established = segment.data > 0;
            return true;
        }
        let isn = segment.ack.wrapping_sub(1);
        if self.has(UNSURE) || in_order && self.claimed(isn) {
            let [client, _] = self.ends(0);
            if !in_order {
                client.start(segment.seq.wrapping_sub(1), segment.seq);
                client.offer_again();
            }
            self.settle_answer(isn, &segment);
            turn.step.established = segment.data > 0;
            return true;
        }
        if right && after(segment.seq, expected) && not_before(limit, segment.seq) {
            // The packet that was to come first is missing.
            self.settle_answer(server.isn, &segment);
            return true;
        }
        turn.raise(if in_order {
            Event::ThreeWhsRightSeqWrongAckEvasion
        } else {
            Event::ThreeWhsWrongSeqWrongAck
        });
        false
    }

    /// The client has taken this SYN/ACK.
    fn settle_answer(&mut self, isn: u32, segment: &Segment) {
        let server = &mut self.sides[1];
        if isn != server.isn || segment.ack != server.next {
            server.start(isn, segment.ack);
            server.offer_again();
        }
    }

    /// Both began, and the server answers the client's SYN/ACK.
    fn fourth_packet(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let segment = turn.segment;
        let [server, client] = self.ends(1);
        if segment.seq != server.next {
            turn.raise(Event::FourWhsWrongSeq);
            false
        } else if !client.acknowledgeable(segment.ack, false) {
            turn.raise(Event::FourWhsInvalidAck);
            turn.raise(Event::PktInvalidAck);
            false
        } else {
            true
        }
    }

    /// The server sends before the client's answer was seen: true when that shows that there was one.
    fn server_goes_on(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let Turn {
            segment, config, ..
        } = *turn;
        let open = self.has(FAST_OPEN) || self.has(MIDSTREAM);
        let [server, client] = self.ends(1);
        let exact = segment.seq == server.next && segment.ack == client.acked;
        if config.inline && !open {
            turn.raise(if exact && segment.data > 0 {
                Event::ThreeWhsAckDataInject
            } else {
                Event::ThreeWhsAckInWrongDir
            });
            return false;
        }
        // It acknowledges data of the client that is missing here.
        let missing = not_before(segment.seq, server.next)
            && not_before(server.limit, segment.seq)
            && after(segment.ack, client.acked)
            && client.acknowledgeable(segment.ack, false);
        if !exact && !missing {
            turn.raise(Event::ThreeWhsWrongSeqWrongAck);
        }
        exact || missing
    }

    /// Sender and receiver.
    pub(super) fn ends(&mut self, way: usize) -> [&mut Side; 2] {
        let [client, server] = &mut self.sides;
        if way == 0 {
            [client, server]
        } else {
            [server, client]
        }
    }
}
