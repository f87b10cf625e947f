//! Resets, and SYNs where they do not belong.

use super::segment::{ACK, Extras, RST, SYN};
use super::side::Side;
use super::{
    CONFIRMED, DOUBTED, Event, ONE_SIDED, RESET, RESET_BY_SERVER, Session, TcpState, Turn, UNSURE,
};

impl Session {
    /// A RST after the handshake's answer.
    pub(super) fn reset(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        if self.too_old(turn) {
            return;
        }
        if segment.data > 0 {
            turn.raise(Event::RstWithData);
        }
        let one_sided = self.has(ONE_SIDED);
        let acks = segment.has(ACK) && segment.ack != 0;
        if acks && !self.sides[1 - way].acknowledgeable(segment.ack, one_sided) {
            turn.raise(Event::PktInvalidAck);
            turn.raise(Event::RstInvalidAck);
            return;
        }
        // As long as it is open which SYN/ACK counts, so is where a RST would stand.
        if self.state == TcpState::SynReceived && (self.claims > 0 || self.has(UNSURE)) {
            return;
        }
        let sender = &self.sides[way];
        if sender.has(Side::KNOWN) && sender.in_place(segment.seq) {
            // Whether its receiver can verify it is not known.
            self.close_by_reset(way, Extras::of(turn.packet).signed);
        }
    }

    pub(super) fn close_by_reset(&mut self, way: usize, doubted: bool) {
        self.set(RESET, true);
        self.set(RESET_BY_SERVER, way == 1);
        self.set(DOUBTED, doubted);
        self.before = self.state;
        self.state = TcpState::Closed;
    }

    /// After a RST. Its sender has nothing more to send: if it does, someone else has sent the RST.
    pub(super) fn after_reset(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        let by_sender = self.has(RESET) && self.has(RESET_BY_SERVER) == (way == 1);
        if segment.has(RST) || !by_sender {
            return;
        }
        let goes_on = self.before.connected()
            && segment.data > 0
            && segment.has(ACK)
            && !segment.any(SYN)
            && self.sides[way].in_place(segment.seq);
        if !self.has(DOUBTED) && !goes_on {
            return;
        }
        turn.raise(Event::SuspectedRstInject);
        self.set(RESET | DOUBTED, false);
        self.state = self.before;
        self.before = TcpState::None;
        self.dispatch(turn);
    }

    /// SYN and SYN/ACK in a connection.
    pub(super) fn late_syn(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn { segment, way, .. } = *turn;
        if way == 0 && !segment.any(ACK) && segment.seq != self.sides[0].isn {
            // Whether it begins another connection, the server's answer says.
            (self.claims, self.others[0]) = (1, segment.seq);
        }
        let [client, server] = &self.sides;
        if self.state != TcpState::Established {
            turn.raise(Event::ShutdownSynResend);
        } else if segment.has(SYN | ACK) {
            if way == 0 {
                turn.raise(Event::EstSynackToserver);
            } else if segment.ack != client.acked {
                turn.raise(Event::EstSynackResendWithDifferentAck);
            } else if segment.seq != server.isn {
                turn.raise(Event::EstSynackResendWithDiffSeq);
            } else if self.has(CONFIRMED) {
                turn.raise(Event::EstSynackResend);
            }
        } else if way == 1 {
            turn.raise(Event::EstSynToclient);
        } else if segment.seq != client.isn {
            turn.raise(Event::EstSynResendDiffSeq);
        } else {
            turn.raise(Event::EstSynResend);
        }
    }
}
