//! Data, acknowledgements and FINs once the handshake is complete.

use super::segment::{ACK, FIN, RST, SYN, Segment, Stamp, after, not_before};
use super::side::Side;
use super::{CONFIRMED, Event, MIDSTREAM, ONE_SIDED, SERVER_FIRST, Session, TcpState, Turn};

/// How a state complains.
struct Complaints {
    /// Of what is out of the window.
    place: Option<Event>,
    /// Of an acknowledgement number.
    ack: Event,
    /// Of what was acknowledged before.
    old: Option<Event>,
}

impl Complaints {
    fn of(state: TcpState, fin: bool) -> Self {
        let (place, fin_place, ack, old) = match state {
            TcpState::FinWait1 => (
                Event::Fin1AckWrongSeq,
                Some(Event::Fin1FinWrongSeq),
                Event::Fin1InvalidAck,
                None,
            ),
            TcpState::FinWait2 => (
                Event::Fin2AckWrongSeq,
                Some(Event::Fin2FinWrongSeq),
                Event::Fin2InvalidAck,
                None,
            ),
            TcpState::CloseWait => (
                Event::ClosewaitAckOutOfWindow,
                Some(Event::ClosewaitFinOutOfWindow),
                Event::ClosewaitInvalidAck,
                Some(Event::ClosewaitPktBeforeLastAck),
            ),
            TcpState::Closing => (
                Event::ClosingAckWrongSeq,
                None,
                Event::ClosingInvalidAck,
                None,
            ),
            TcpState::LastAck => (
                Event::LastackAckWrongSeq,
                None,
                Event::LastackInvalidAck,
                None,
            ),
            TcpState::TimeWait => (
                Event::TimewaitAckWrongSeq,
                None,
                Event::TimewaitInvalidAck,
                None,
            ),
            _ => (
                Event::EstPacketOutOfWindow,
                Some(Event::FinOutOfWindow),
                if fin {
                    Event::FinInvalidAck
                } else {
                    Event::EstInvalidAck
                },
                Some(Event::EstPktBeforeLastAck),
            ),
        };
        if fin {
            Self {
                place: fin_place,
                ack,
                old: fin_place,
            }
        } else {
            Self {
                place: Some(place),
                ack,
                old,
            }
        }
    }
}

/// Where a segment lies.
enum Place {
    /// All of it, or the part that matters, may be taken.
    Good,
    /// Nothing of it is new.
    Old,
    /// Behind the window, or where nothing can come any more.
    Bad,
}

impl Session {
    /// A segment without RST, and without SYN unless it has a FIN.
    pub(super) fn transfer(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        if !segment.any(ACK | FIN) {
            return;
        }
        let fin = segment.has(FIN);
        if way == 1 && !fin && self.state == TcpState::Established {
            self.set(CONFIRMED, true);
        }
        if !fin && self.keeps_alive(&segment, way) {
            turn.step.void = true;
            return;
        }
        let shrinks = !fin && self.shrinks_window(&segment, way);
        if shrinks {
            turn.raise(Event::PktBadWindowUpdate);
        } else if self.outdated(&segment, way) {
            return;
        }
        self.note_repetition(turn);
        if self.too_old(turn) {
            return;
        }
        let complaints = Complaints::of(self.state, fin);
        if segment.has(ACK) && !self.believes_ack(turn, complaints.ack) {
            turn.raise(Event::PktInvalidAck);
            turn.raise(complaints.ack);
            let receiver = &mut self.sides[1 - way];
            let beyond = after(segment.ack, receiver.acked);
            if !(beyond && receiver.agree(Side::HEARD, segment.ack, segment.ack)) {
                // Nobody takes a segment that acknowledges what was not sent, unless it was sent, and missed here.
                turn.step.void = beyond;
                return;
            }
        }
        let probe = self.probes_window(&segment, way);
        let place = if probe {
            Place::Good
        } else {
            self.place(&segment, way)
        };
        let cut = !probe && !self.unbounded(way) && after(segment.end, self.sides[way].limit);
        let complaint = if matches!(place, Place::Old) {
            complaints.old
        } else {
            complaints.place
        };
        let sender = &mut self.sides[way];
        if !matches!(place, Place::Good) || cut || sender.contradicts_fin(&segment) {
            complaint.into_iter().for_each(|event| turn.raise(event));
        }
        match place {
            Place::Good => {}
            Place::Old => {
                turn.step.void = true;
                return;
            }
            Place::Bad => {
                let beyond = after(segment.end, sender.limit) && !sender.fin_acked();
                if !(beyond && sender.agree(Side::SAID, segment.seq, segment.end)) {
                    turn.step.void = true;
                    return;
                }
            }
        }
        if segment.has(SYN) {
            turn.raise(Event::FinSyn);
            return;
        }
        // Some receivers take all of a segment that begins in their window.
        let limit = Some(sender.limit).filter(|_| cut && !turn.config.inline);
        turn.step.accept(&segment, limit);
        let end = segment.seq.wrapping_add(turn.step.taken.into());
        self.take(turn, end, probe, shrinks);
        if fin && end == segment.end {
            self.sides[way].finish(end);
        }
        self.settle();
    }

    /// There is no window that the segments of this end must keep to.
    fn unbounded(&self, way: usize) -> bool {
        self.has(MIDSTREAM) || self.has(ONE_SIDED) || !self.sides[way].has(Side::LIMITED)
    }

    /// A keep-alive repeats the last byte, or names its place, when all has arrived (RFC 9293, 3.8.4).
    fn keeps_alive(&self, segment: &Segment, way: usize) -> bool {
        let (sender, receiver) = (&self.sides[way], &self.sides[1 - way]);
        let had = segment.data == 0 || not_before(sender.acked, sender.next);
        segment.data <= 1
            && segment.seq == sender.next.wrapping_sub(1)
            && segment.ack == receiver.acked
            && not_before(sender.run, sender.next)
            && had
    }

    /// The window closes further than by what was acknowledged, around data that was not seen: Suricata's issue 1238.
    fn shrinks_window(&self, segment: &Segment, way: usize) -> bool {
        let (sender, receiver) = (&self.sides[way], &self.sides[1 - way]);
        let window = receiver.scaled(segment.window);
        let Some(less) = receiver.window.checked_sub(window) else {
            return false;
        };
        let acked = segment.ack.wrapping_sub(receiver.acked);
        let margin = if window > 1024 { 32 } else { 0 };
        less > segment.data
            && after(segment.ack, receiver.next)
            && after(segment.seq, sender.next)
            && less > acked.saturating_add(margin)
    }

    /// An acknowledgement that came after a later one.
    fn outdated(&self, segment: &Segment, way: usize) -> bool {
        segment.data == 0
            && !segment.any(SYN | FIN | RST)
            && segment.seq == self.sides[way].next
            && after(self.sides[1 - way].acked, segment.ack)
            && !self.sides[1 - way].acked_long_ago(segment.ack)
    }

    /// Raises the events of data that was seen before.
    fn note_repetition(&self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        let sender = &self.sides[way];
        // Where only one direction is seen, nothing is known of what arrived.
        if segment.data == 0 || self.has(ONE_SIDED) {
            return;
        }
        if not_before(sender.acked, segment.end) && not_before(sender.run, segment.end) {
            turn.raise(Event::PktSpuriousRetransmission);
        }
        let known = not_before(sender.next, segment.end)
            || after(sender.acked, segment.seq) && after(segment.end, sender.acked);
        if known && self.state != TcpState::Established {
            turn.raise(Event::PktRetransmission);
        }
    }

    /// Checks the timestamp (RFC 7323, 5.3). The event is raised for one that is older than the latest in place. But
    /// whether that arrived, only its receiver knows: the segment is refused when it has echoed a later one.
    pub(super) fn too_old(&self, turn: &mut Turn<'_, '_>) -> bool {
        let Some(Stamp { value, .. }) = turn.stamp else {
            return false;
        };
        let sender = &self.sides[turn.way];
        if value == 0 && sender.stamp != 0 || after(sender.stamp, value) {
            turn.raise(Event::PktInvalidTimestamp);
        }
        // Linux takes those that are older by one.
        after(sender.echoed, value.wrapping_add(1))
    }

    fn believes_ack(&mut self, turn: &mut Turn<'_, '_>, complaint: Event) -> bool {
        let Turn { segment, way, .. } = *turn;
        let one_sided = self.has(ONE_SIDED);
        let receiver = &mut self.sides[1 - way];
        let probed = receiver.has(Side::PROBED);
        receiver.set(Side::PROBED, false);
        if probed && segment.ack == receiver.next.wrapping_add(1) {
            turn.raise(Event::EstAckZwpData);
            receiver.take(receiver.next, segment.ack);
            return true;
        }
        if receiver.acked_long_ago(segment.ack) {
            turn.raise(Event::PktInvalidAck);
            turn.raise(complaint);
        }
        receiver.acknowledgeable(segment.ack, one_sided)
    }

    /// One byte into a closed window, to see whether it opens.
    fn probes_window(&mut self, segment: &Segment, way: usize) -> bool {
        let sender = &mut self.sides[way];
        let probe = segment.data == 1
            && !segment.has(FIN)
            && segment.seq == sender.next
            && sender.window == 0
            && sender.has(Side::LIMITED);
        if probe {
            sender.set(Side::PROBED, true);
        }
        probe
    }

    fn place(&self, segment: &Segment, way: usize) -> Place {
        let sender = &self.sides[way];
        if sender.has(Side::FIN) {
            if segment.has(FIN) && segment.end.wrapping_add(1) == sender.fin {
                return Place::Good;
            }
            if sender.fin_acked() && after(segment.end, sender.fin) {
                return Place::Bad;
            }
            // After both FINs only the last acknowledgements are left.
            let last = [sender.fin, sender.fin.wrapping_sub(1)].contains(&segment.seq);
            let over = matches!(self.state, TcpState::Closing | TcpState::TimeWait);
            if over && segment.data == 0 && !last {
                return Place::Bad;
            }
            if self.state == TcpState::LastAck
                && after(segment.seq, sender.fin)
                && segment.data == 0
            {
                return Place::Bad;
            }
        }
        if !self.unbounded(way)
            && after(segment.end, sender.limit)
            && !after(sender.limit, segment.seq)
        {
            return Place::Bad;
        }
        let had = after(sender.acked, segment.end);
        if had && !self.has(ONE_SIDED) && (segment.has(FIN) || !after(segment.end, sender.run)) {
            return Place::Old;
        }
        Place::Good
    }

    /// Takes the numbers of a segment whose data goes up to `end`.
    fn take(&mut self, turn: &Turn<'_, '_>, end: u32, probe: bool, shrinks: bool) {
        let Turn {
            segment,
            way,
            stamp,
            ..
        } = *turn;
        let one_sided = self.has(ONE_SIDED);
        let [sender, receiver] = self.ends(way);
        let in_order = not_before(sender.run, segment.seq);
        if sender.contradicts_fin(&segment) {
            sender.forget_fin();
        }
        if !probe && (segment.data > 0 || segment.has(FIN)) {
            sender.take(segment.seq, end);
        }
        if one_sided {
            sender.acknowledge(sender.next);
        }
        if segment.has(ACK) {
            receiver.acknowledge(segment.ack);
        }
        if !shrinks {
            receiver.offer(segment.window, true);
        }
        if let Some(Stamp { value, echo }) = stamp {
            if in_order && after(value, sender.stamp) {
                sender.stamp = value;
            }
            if after(echo, receiver.echoed) && not_before(receiver.stamp, echo) {
                receiver.echoed = echo;
            }
        }
    }

    /// The state that follows from what is known of both FINs.
    fn settle(&mut self) {
        let [client, server] = &self.sides;
        let acked = [client.fin_acked(), server.fin_acked()];
        let (state, server_first) = match (client.ended(), server.ended()) {
            (false, false) => (TcpState::Established, false),
            (true, false) => (TcpState::CloseWait, false),
            (false, true) if acked[1] => (TcpState::FinWait2, true),
            (false, true) => (TcpState::FinWait1, true),
            (true, true) => {
                let server_first = self.has(SERVER_FIRST);
                let state = match acked {
                    [true, true] => TcpState::Closed,
                    _ if !server_first => TcpState::LastAck,
                    [_, true] => TcpState::TimeWait,
                    [_, false] => TcpState::Closing,
                };
                (state, server_first)
            }
        };
        if state == TcpState::Closed {
            self.before = self.state;
        }
        self.state = state;
        self.set(SERVER_FIRST, server_first);
    }
}
