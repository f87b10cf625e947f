//! TCP connections: the handshake, sequence and acknowledgement numbers, windows, timestamps, and the end.
//!
//! States and events are Suricata's. What is believed is not always: whoever can make a monitor lose a connection that
//! its ends keep hides from every rule that asks for an established one, and from reassembly. So
//!
//! * a segment ends a connection, or a direction, only where its receiver must believe it: a RST or FIN counts when it
//!   stands exactly at the next byte that the receiver waits for (RFC 9293, 3.10.7.4, with RFC 5961, 3.2), and no longer
//!   once its sender goes on behind it. One that is missed, after loss, costs little: the connection stays until its
//!   timeout;
//! * which of several SYNs or SYN/ACKs counts is what the answer to it says;
//! * a timestamp is too old when its receiver has echoed a later one, not when the monitor has seen one;
//! * an event is raised where Suricata raises it, also where the segment is taken nevertheless.
//!
//! Of a connection both ends are treated alike, so that no rule below is there twice.

mod close;
mod handshake;
mod partial;
mod segment;
mod side;
mod transfer;

use serde::{Deserialize, Serialize};

use self::segment::{ACK, Extras, FIN, MAX_SCALE, RST, SYN, Segment, Stamp};
use self::side::Side;
use super::event::{StreamEvent as Event, StreamEvents};
use crate::packet::Packet;

/// How far a TCP connection is. After the handshake as the server sees it, as in Suricata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TcpState {
    /// No handshake was seen.
    #[default]
    None,
    /// A SYN was seen, perhaps one of each end.
    SynSent,
    /// SYN and SYN+ACK were seen.
    SynReceived,
    /// The handshake is complete.
    Established,
    /// The server has sent a FIN.
    FinWait1,
    /// The client has acknowledged it.
    FinWait2,
    /// The client has sent a FIN of its own since.
    TimeWait,
    /// The client had sent a FIN; now the server has sent its own.
    LastAck,
    /// The client has sent a FIN.
    CloseWait,
    /// Both have sent a FIN, and neither has acknowledged the other's.
    Closing,
    /// It is over: both FINs were acknowledged, or a RST was seen.
    Closed,
}

impl TcpState {
    /// Its name in EVE.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }

    /// The handshake is complete, and the connection may still carry data.
    pub fn connected(self) -> bool {
        !matches!(
            self,
            Self::None | Self::SynSent | Self::SynReceived | Self::Closed
        )
    }
}

/// What becomes of urgent data (`stream.urgent`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrgentPolicy {
    /// The last urgent byte is out of band, as most systems have it (RFC 6093, 3.1): it is no part of the stream.
    OutOfBand,
    /// It stays in the stream, as in Suricata unless it is told otherwise.
    #[default]
    Inline,
    /// Segments with urgent data are left out of the stream.
    Gap,
    /// They are left out, and inline they are dropped.
    Drop,
}

/// How connections are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionConfig {
    /// Take up connections whose start was not seen.
    pub midstream: bool,
    /// Take up connections of which only one direction is seen.
    pub async_oneside: bool,
    /// No packet is missed, because all of them pass through: then a server that sends before the handshake is complete
    /// is not believed.
    pub inline: bool,
    /// What becomes of urgent data.
    pub urgent: UrgentPolicy,
    /// What becomes of it after 65,535 bytes out of band in one direction; [`UrgentPolicy::OutOfBand`] means `Drop`.
    pub urgent_limit: UrgentPolicy,
}

/// A TCP connection. It sits in every flow's place in the table, so it is small: 124 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    state: TcpState,
    /// The state before the end.
    before: TcpState,
    flags: u16,
    /// Different SYNs seen in [`TcpState::SynSent`], beyond the first.
    syns: u8,
    /// How many of `others` are set.
    claims: u8,
    /// The client, the server.
    sides: [Side; 2],
    /// Initial sequence numbers that were claimed beside the one in force: in [`TcpState::SynSent`] of the client, in
    /// [`TcpState::SynReceived`] of the server.
    others: [u32; MAX_CLAIMS],
}

/// Different SYNs, or SYN/ACKs, that are kept until one is answered (Suricata's `stream.max-synack-queued`).
const MAX_CLAIMS: usize = 5;
/// Different SYNs before there is an event (Suricata's `stream.max-syn-queued`).
const MAX_SYNS: u8 = 10;

/// What a packet did to its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The receiver takes the segment, so that its data belongs into the stream.
    pub accepted: bool,
    /// How many bytes of the payload lie in the window, from the first; those behind it the receiver cuts off.
    pub taken: u16,
    /// What was wrong with it.
    pub events: StreamEvents,
    /// Place in the payload of a byte that is out of band, and so no part of the stream.
    pub urgent: Option<u16>,
    /// Inline, the packet is to be dropped: it carries urgent data, or data that has no place in the connection, which its
    /// receiver might take nevertheless.
    pub drop: bool,
    /// It is nothing to its receiver: that has had all of it, or cannot take it.
    pub void: bool,
    /// This packet ended the connection.
    pub closed: bool,
    /// This packet completed the handshake and carries data: rules see it in an established connection.
    pub established: bool,
    /// The server did not take the data that came with the client's SYN: it is no part of the stream.
    pub rewound: bool,
    /// The connection was picked up at a SYN/ACK, so the packet's sender is the server: client and server of the flow
    /// are to be exchanged. In the session they are.
    pub reversed: bool,
}

impl Step {
    fn raise(&mut self, event: Event) {
        self.events.insert(event);
    }

    /// The receiver takes the segment, up to `limit`.
    fn accept(&mut self, segment: &Segment, limit: Option<u32>) {
        let inside = limit.map_or(segment.data, |limit| limit.wrapping_sub(segment.seq));
        self.accepted = true;
        self.taken = u16::try_from(inside.min(segment.data)).unwrap_or(u16::MAX);
    }
}

/// Both ends sent a SYN before either answered one.
const CROSSED: u16 = 1;
/// Windows are not known, because the connection was picked up.
const MIDSTREAM: u16 = 1 << 1;
/// Only one direction is seen.
const ONE_SIDED: u16 = 1 << 2;
/// The client asks for TCP Fast Open.
const FAST_OPEN: u16 = 1 << 3;
/// Both ends use timestamps.
const STAMPS: u16 = 1 << 4;
/// The SYN offers window scaling.
const SCALES: u16 = 1 << 5;
/// More was claimed in the handshake than is kept: the answer decides.
const UNSURE: u16 = 1 << 6;
/// The server has sent something in the established connection.
const CONFIRMED: u16 = 1 << 7;
/// The server's FIN came first.
const SERVER_FIRST: u16 = 1 << 8;
/// A RST has ended it.
const RESET: u16 = 1 << 9;
/// That RST was the server's.
const RESET_BY_SERVER: u16 = 1 << 10;
/// That RST may have been ignored: whatever else its sender sends is reason to doubt.
const DOUBTED: u16 = 1 << 11;
/// There was another connection on the same ports, which was dropped, and of which its ends may still know.
const SUCCESSOR: u16 = 1 << 12;

/// A packet on its way through the session.
struct Turn<'a, 'p> {
    segment: Segment,
    packet: &'a Packet<'p>,
    config: &'a SessionConfig,
    /// Its sender: 0 the client, 1 the server.
    way: usize,
    /// Its timestamp, in a connection that uses them.
    stamp: Option<Stamp>,
    step: Step,
}

impl Turn<'_, '_> {
    fn raise(&mut self, event: Event) {
        self.step.raise(event);
    }
}

impl Session {
    /// How far it is.
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// True once the handshake is complete, also afterwards.
    pub fn established(&self) -> bool {
        match self.state {
            TcpState::Closed => self.before.connected(),
            state => state.connected(),
        }
    }

    /// True for what a session can have become; what is read from a file may be anything.
    pub(crate) fn is_sound(&self) -> bool {
        usize::from(self.claims) <= MAX_CLAIMS
            && self.sides.iter().all(|side| side.scale <= MAX_SCALE)
    }

    /// True when a SYN starts a new connection on the same ports: it is over, or both ends have sent everything and the
    /// server has the client's FIN.
    pub(crate) fn reusable(&self) -> bool {
        match self.state {
            TcpState::None | TcpState::Closed => true,
            TcpState::LastAck | TcpState::TimeWait | TcpState::Closing => self.sides[0].fin_acked(),
            _ => false,
        }
    }

    /// Sequence number of the first byte of the stream that this side sends; `None` while unknown.
    pub fn first_byte(&self, to_server: bool) -> Option<u32> {
        self.side(to_server).map(Side::first)
    }

    /// True for a SYN/ACK to a SYN that was seen in the connection: the server knows nothing of that, and begins another.
    pub(crate) fn renewed_by(&self, packet: &Packet<'_>, to_server: bool) -> bool {
        let answers =
            (packet.tcp_flags()).is_some_and(|flags| flags & (SYN | ACK | RST | FIN) == SYN | ACK);
        let begun = !matches!(self.state, TcpState::SynSent | TcpState::SynReceived);
        answers
            && begun
            && !to_server
            && packet
                .tcp_ack()
                .is_some_and(|ack| self.claimed(ack.wrapping_sub(1)))
    }

    /// True when a SYN with this number is not the connection's own.
    pub(crate) fn differs_from(&self, syn: &Packet<'_>, to_server: bool) -> bool {
        syn.tcp_seq().map(|seq| seq.wrapping_add(1)) != self.first_byte(to_server)
    }

    /// It takes the place of a connection that was dropped: who sends on in that is not to be let through.
    pub(crate) fn succeed(&mut self) {
        self.set(SUCCESSOR, true);
    }

    /// The sequence number after the last byte of this side that was seen.
    pub fn next_seq(&self, to_server: bool) -> Option<u32> {
        self.side(to_server).map(|side| side.next)
    }

    /// The highest sequence number of this side that the other has acknowledged. Where only one direction is seen,
    /// everything counts as acknowledged.
    pub fn acked(&self, to_server: bool) -> Option<u32> {
        self.side(to_server).map(|side| side.acked)
    }

    /// The same, where the other side has been heard to say so.
    pub(crate) fn heard(&self, to_server: bool) -> Option<u32> {
        self.acked(to_server).filter(|_| !self.has(ONE_SIDED))
    }

    /// Bytes sent by this side, by its sequence numbers; the SYN counts, as in Suricata's `stream_size`.
    pub fn sent(&self, to_server: bool) -> u32 {
        self.side(to_server).map_or(0, |side| {
            // Suricata counts the server's FIN, but not the client's.
            let fin = to_server && side.has(Side::FIN) && side.next == side.fin;
            side.next.wrapping_sub(side.isn).wrapping_sub(fin.into())
        })
    }

    /// Urgent bytes of this side that were left out of its stream; 65,535 at most.
    pub fn urgent_bytes(&self, to_server: bool) -> u32 {
        self.side(to_server).map_or(0, |side| side.urgent.into())
    }

    fn side(&self, to_server: bool) -> Option<&Side> {
        let [client, server] = &self.sides;
        Some(if to_server { client } else { server }).filter(|side| side.has(Side::KNOWN))
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u16, on: bool) {
        self.flags = if on {
            self.flags | flag
        } else {
            self.flags & !flag
        };
    }

    /// Takes the next packet.
    pub(crate) fn advance(
        &mut self,
        packet: &Packet<'_>,
        to_server: bool,
        config: &SessionConfig,
    ) -> Step {
        let Some(segment) = Segment::of(packet) else {
            return Step::default();
        };
        let mut turn = Turn {
            segment,
            packet,
            config,
            way: usize::from(!to_server),
            stamp: if self.has(STAMPS) {
                Extras::of(packet).stamp
            } else {
                None
            },
            step: Step::default(),
        };
        if !segment.has(ACK) && segment.ack != 0 {
            turn.raise(Event::PktBrokenAck);
        }
        self.sides[turn.way].set(Side::SEEN, true);
        if self.sides.iter().all(|side| side.has(Side::SEEN)) {
            self.set(ONE_SIDED, false);
        }
        let before = self.state;
        self.dispatch(&mut turn);
        turn.step.closed = self.state == TcpState::Closed && before != TcpState::Closed;
        if turn.step.accepted {
            self.leave_urgent_out(&mut turn);
        } else if config.inline && segment.data > 0 && !segment.has(RST) && !turn.step.void {
            turn.step.drop = true;
        }
        turn.step
    }

    fn dispatch(&mut self, turn: &mut Turn<'_, '_>) {
        match self.state {
            TcpState::None => self.begin(turn),
            TcpState::SynSent => self.in_syn_sent(turn),
            TcpState::Closed => self.after_reset(turn),
            _ if turn.segment.has(RST) => self.reset(turn),
            TcpState::SynReceived => self.in_syn_received(turn),
            _ if turn.segment.any(SYN) && !turn.segment.any(FIN) => self.late_syn(turn),
            _ => self.transfer(turn),
        }
    }

    /// Finds the urgent byte, or leaves the whole segment out.
    fn leave_urgent_out(&mut self, turn: &mut Turn<'_, '_>) {
        let Turn {
            segment,
            config,
            way,
            step,
            ..
        } = turn;
        let Some(at) = segment.urgent.checked_sub(1) else {
            return;
        };
        let side = &mut self.sides[*way];
        let mut policy = config.urgent;
        if policy == UrgentPolicy::OutOfBand && side.urgent == u16::MAX {
            policy = match config.urgent_limit {
                UrgentPolicy::OutOfBand => UrgentPolicy::Drop,
                other => other,
            };
        }
        match policy {
            UrgentPolicy::Inline => {}
            // The byte may also be one of a segment to come; which will say so again.
            UrgentPolicy::OutOfBand if at < step.taken => {
                side.urgent += 1;
                step.urgent = Some(at);
            }
            UrgentPolicy::OutOfBand => {}
            UrgentPolicy::Gap => step.accepted = false,
            UrgentPolicy::Drop => (step.accepted, step.drop) = (false, true),
        }
    }
}

/// True for a SYN without ACK.
pub(crate) fn is_syn(packet: &Packet<'_>) -> bool {
    packet
        .tcp_flags()
        .is_some_and(|flags| flags & (SYN | ACK | RST | FIN) == SYN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the documentation of [`Session`] says.
    #[test]
    fn a_session_takes_as_much_as_documented() {
        assert_eq!(size_of::<Session>(), 124);
    }
}
