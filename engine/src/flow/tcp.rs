//! The TCP handshake, as far as rules ask for it.

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
    /// SYN seen; its sequence number.
    SynSent(u32),
    /// SYN and SYN+ACK seen; the sequence numbers that the client and the server start from.
    SynReceived(u32, u32),
    /// The handshake is complete.
    Established,
    /// A FIN was seen; to server, to client.
    Closing([bool; 2]),
    /// Both FINs or a RST were seen.
    Closed,
}

impl TcpState {
    /// True once the handshake is complete, also afterwards.
    pub fn established(self) -> bool {
        matches!(self, Self::Established | Self::Closing(_) | Self::Closed)
    }

    /// True when a SYN may start a new connection on the same ports.
    pub(super) fn reusable(self) -> bool {
        matches!(self, Self::Closed)
    }

    /// The state after a packet. `midstream`: take up connections whose start was not seen.
    pub(super) fn next(self, packet: &Packet<'_>, to_server: bool, midstream: bool) -> Self {
        let (Some(flags), Some(seq), Some(ack)) =
            (packet.tcp_flags(), packet.tcp_seq(), packet.tcp_ack())
        else {
            return self;
        };
        let has = |bits: u8| flags & bits == bits;
        match self {
            Self::None if has(SYN) && !has(ACK) && !has(RST) && to_server => Self::SynSent(seq),
            Self::None if midstream && !has(RST) && !has(SYN) => Self::Established,
            Self::SynSent(client)
                if has(SYN | ACK) && !to_server && ack == client.wrapping_add(1) =>
            {
                Self::SynReceived(client, seq)
            }
            // With TCP Fast Open (RFC 7413) the SYN's data may be acknowledged as well.
            Self::SynSent(client)
                if has(SYN | ACK)
                    && !to_server
                    && ack.wrapping_sub(client) < 0x8000_0000
                    && ack != client =>
            {
                Self::SynReceived(ack.wrapping_sub(1), seq)
            }
            Self::SynSent(_) | Self::SynReceived(..) if has(RST) => Self::Closed,
            // A SYN again, perhaps with another number.
            Self::SynSent(_) if has(SYN) && !has(ACK) && to_server => Self::SynSent(seq),
            Self::SynReceived(_, server)
                if has(ACK)
                    && !has(SYN)
                    && to_server
                    && ack.wrapping_sub(server) < 0x8000_0000
                    && ack != server =>
            {
                if has(FIN) {
                    Self::Closing([true, false])
                } else {
                    Self::Established
                }
            }
            Self::Established | Self::Closing(_) if has(RST) => Self::Closed,
            Self::Established | Self::Closing(_) if has(FIN) => {
                let mut closed = if let Self::Closing(closed) = self {
                    closed
                } else {
                    [false; 2]
                };
                closed[usize::from(!to_server)] = true;
                if closed == [true; 2] {
                    Self::Closed
                } else {
                    Self::Closing(closed)
                }
            }
            same => same,
        }
    }
}

/// True for a SYN without ACK.
pub(super) fn is_syn(packet: &Packet<'_>) -> bool {
    packet
        .tcp_flags()
        .is_some_and(|flags| flags & (SYN | ACK | RST | FIN) == SYN)
}
