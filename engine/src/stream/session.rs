//! TCP connections, as far as rules ask for them: the handshake, and whether it is over.
//!
//! Whoever can make a monitor lose a connection that its ends keep hides from every rule that asks for an established
//! one. So a segment ends a connection, or starts another on the same ports, only where the receiver must believe it:
//! a RST or FIN counts when it stands exactly at the next byte that its receiver waits for (RFC 9293, 3.10.7.4, with
//! RFC 5961, 3.2). One that is missed, after loss, costs little: the connection stays until its timeout.

use super::StreamEvents;
use crate::packet::Packet;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// How far a TCP connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpState {
    /// No handshake was seen.
    #[default]
    None,
    /// A SYN was seen.
    SynSent,
    /// SYN and SYN+ACK were seen.
    SynReceived,
    /// Both ends sent a SYN before either acknowledged one; whether the client, the server has acknowledged by now.
    Crossed([bool; 2]),
    /// The handshake is complete.
    Established,
    /// FINs were seen: to server, to client.
    Closing([bool; 2]),
    /// Both FINs or a RST were seen.
    Closed,
}

/// A TCP connection. Pairs are of the directions to server and to client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    state: TcpState,
    /// Next sequence number that the receiver waits for.
    next: [u32; 2],
    /// False where `next` is not known, or several SYNs made different claims.
    sure: [bool; 2],
}

/// What a packet did to its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The receiver takes the segment, so that its data belongs into the stream.
    pub accepted: bool,
    /// What was wrong with it.
    pub events: StreamEvents,
}

/// What a segment says.
#[derive(Clone, Copy)]
struct Segment {
    flags: u8,
    seq: u32,
    ack: u32,
    data: u32,
}

impl Segment {
    fn of(packet: &Packet<'_>) -> Option<Self> {
        Some(Self {
            flags: packet.tcp_flags()?,
            seq: packet.tcp_seq()?,
            ack: packet.tcp_ack()?,
            data: u32::try_from(packet.payload.len()).ok()?,
        })
    }

    fn has(self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// True when `a` is `b` or comes after it.
fn not_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

impl Session {
    /// How far it is.
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// True once the handshake is complete, also afterwards.
    pub fn established(&self) -> bool {
        matches!(
            self.state,
            TcpState::Established | TcpState::Closing(_) | TcpState::Closed
        )
    }

    /// True when a SYN starts a new connection on the same ports.
    pub(crate) fn reusable(&self) -> bool {
        matches!(self.state, TcpState::None | TcpState::Closed)
    }

    /// Takes the next packet. `midstream`: take up connections whose start was not seen.
    pub(crate) fn advance(
        &mut self,
        packet: &Packet<'_>,
        to_server: bool,
        midstream: bool,
    ) -> Step {
        if let Some(segment) = Segment::of(packet) {
            self.take(segment, to_server, midstream);
        }
        Step {
            accepted: matches!(self.state, TcpState::Established | TcpState::Closing(_)),
            events: StreamEvents::default(),
        }
    }

    fn take(&mut self, segment: Segment, to_server: bool, midstream: bool) {
        let way = usize::from(!to_server);
        match self.state {
            TcpState::None => self.begin(segment, to_server, midstream),
            TcpState::SynSent => self.in_syn_sent(segment, to_server),
            _ if segment.has(RST) => {
                // In a connection that was picked up, the first segment of a direction is believed.
                let picked_up = self.established() && !self.sure[way];
                if picked_up || self.sure[way] && segment.seq == self.next[way] {
                    self.state = TcpState::Closed;
                }
            }
            TcpState::SynReceived => self.in_syn_received(segment, to_server),
            TcpState::Crossed(mut acked) => {
                if segment.has(ACK) && segment.ack == self.next[1 - way] {
                    acked[way] = true;
                    self.state = TcpState::Crossed(acked);
                }
                if acked == [true; 2] {
                    self.state = TcpState::Established;
                    self.transfer(segment, way);
                }
            }
            TcpState::Established | TcpState::Closing(_) => self.transfer(segment, way),
            TcpState::Closed => {}
        }
    }

    fn begin(&mut self, segment: Segment, to_server: bool, midstream: bool) {
        if segment.has(RST) {
            return;
        }
        if segment.has(SYN) {
            if !segment.has(ACK) && to_server {
                self.state = TcpState::SynSent;
                self.next[0] = segment.seq.wrapping_add(1);
                self.sure[0] = true;
            }
        } else if midstream {
            self.state = TcpState::Established;
            self.transfer(segment, usize::from(!to_server));
        }
    }

    fn in_syn_sent(&mut self, segment: Segment, to_server: bool) {
        let initial = segment.seq.wrapping_add(1);
        // With TCP Fast Open (RFC 7413) the SYN's data may be acknowledged as well.
        let acks = segment.has(ACK) && (!self.sure[0] || not_before(segment.ack, self.next[0]));
        match to_server {
            true if segment.has(RST) && self.sure[0] && segment.seq == self.next[0] => {
                self.state = TcpState::Closed;
            }
            // Which of several SYNs the server took shows when it answers.
            true if segment.has(SYN) && !segment.has(ACK) && !segment.has(RST) => {
                self.sure[0] &= initial == self.next[0];
                self.next[0] = initial;
            }
            false if acks && segment.has(RST) => self.state = TcpState::Closed,
            false if acks && segment.has(SYN) => {
                self.state = TcpState::SynReceived;
                self.next = [segment.ack, initial];
                self.sure = [true; 2];
            }
            false if segment.has(SYN) && !segment.has(ACK) && !segment.has(RST) => {
                self.state = TcpState::Crossed([false; 2]);
                self.next[1] = initial;
                self.sure[1] = true;
            }
            _ => {}
        }
    }

    /// Anything but a RST.
    fn in_syn_received(&mut self, segment: Segment, to_server: bool) {
        if to_server {
            let acks = segment.has(ACK) && (!self.sure[1] || not_before(segment.ack, self.next[1]));
            if acks && !segment.has(SYN) {
                self.state = TcpState::Established;
                self.next[1] = segment.ack;
                self.sure[1] = true;
                self.transfer(segment, 0);
            }
        } else if segment.has(SYN | ACK) {
            // Again, or another: which of them the client took shows when it answers.
            let next = [segment.ack, segment.seq.wrapping_add(1)];
            for (way, next) in next.into_iter().enumerate() {
                self.sure[way] &= next == self.next[way];
                self.next[way] = next;
            }
        }
    }

    /// Data, acknowledgement and FIN of an established connection.
    fn transfer(&mut self, segment: Segment, way: usize) {
        if segment.has(SYN) {
            return;
        }
        let other = 1 - way;
        if !self.sure[way] {
            self.sure[way] = true;
            self.next[way] = segment.seq;
        }
        if segment.has(ACK) && (!self.sure[other] || not_before(segment.ack, self.next[other])) {
            // What the other end has, although it was not seen to be sent.
            self.sure[other] = true;
            self.next[other] = segment.ack;
        }
        // Without a gap; what is there already does not count again.
        if self.next[way].wrapping_sub(segment.seq) > segment.data {
            return;
        }
        let end = segment.seq.wrapping_add(segment.data);
        self.next[way] = end;
        if segment.has(FIN) {
            self.next[way] = end.wrapping_add(1);
            let mut closed = match self.state {
                TcpState::Closing(closed) => closed,
                _ => [false; 2],
            };
            closed[way] = true;
            self.state = if closed == [true; 2] {
                TcpState::Closed
            } else {
                TcpState::Closing(closed)
            };
        }
    }
}

/// True for a SYN without ACK.
pub(crate) fn is_syn(packet: &Packet<'_>) -> bool {
    packet
        .tcp_flags()
        .is_some_and(|flags| flags & (SYN | ACK | RST | FIN) == SYN)
}
