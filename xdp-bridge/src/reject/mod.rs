//! Answers to packets that were rejected: pure functions from a frame to a frame.
//!
//! A TCP segment is answered with a reset, to either end or both: what the other end would have sent had it no such connection
//! (RFC 9293, 3.10.7.1). To the sender of the segment it carries the sequence number that the segment acknowledges, or, of a
//! segment without acknowledgement, acknowledges the segment. To its receiver it comes in the place of the segment.
//!
//! Anything else over IP is answered to its sender with "destination unreachable, communication administratively prohibited": of
//! ICMP type 3, code 13 (RFC 792, RFC 1812), of ICMPv6 type 1, code 1 (RFC 4443). There is nothing to tell the receiver of a packet
//! that it never gets.
//!
//! Nothing is answered that must not be (RFC 1122, 3.2.2; RFC 4443, 2.4): resets, ICMP errors, what was sent to or from more than
//! one host, fragments other than the first; nor what is not understood, among it packets whose length does not hold.
//!
//! The answer has the VLAN tags of the frame, its addresses turned round as needed, and the 60 bytes that Ethernet wants.

mod offender;
mod write;

use std::net::IpAddr;

use weir_engine::packet::checksum;

use offender::{Offender, Segment};
use write::{Writer, ip_header};

/// An answer: from a frame, its Ethernet header first, into a buffer. Its length; `None` where there is no answer, or the buffer is
/// too short for it: [`LONGEST`] bytes do.
pub type Answer = fn(&[u8], &mut [u8]) -> Option<usize>;

/// No answer is longer: Ethernet, three VLAN tags, and the smallest MTU of IPv6.
pub const LONGEST: usize = 14 + 3 * 4 + MTU_V6;

/// An ICMP error is not longer than this (RFC 1812, 4.3.2.3).
const LONGEST_V4: usize = 576;
/// The smallest MTU of IPv6, which an ICMPv6 error does not exceed (RFC 4443, 3.1).
const MTU_V6: usize = 1280;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What the sender of a frame is answered: a TCP reset, or an ICMP error.
pub fn to_source(frame: &[u8], answer: &mut [u8]) -> Option<usize> {
    let offender = Offender::parse(frame)?;
    let mut out = Writer::new(answer);
    out.link(offender.link, true)?;
    match offender.proto {
        TCP => {
            let segment = Segment::parse(&offender)?;
            let reset = if segment.flags & ACK != 0 {
                Reset {
                    sequence: segment.acknowledgement,
                    acknowledgement: None,
                }
            } else {
                Reset {
                    sequence: 0,
                    acknowledgement: Some(segment.end?),
                }
            };
            let ports = [segment.ports[1], segment.ports[0]];
            reset.write(&mut out, offender.dst, offender.src, ports)?;
        }
        _ if offender.is_icmp_error() => return None,
        _ => unreachable(&mut out, &offender)?,
    }
    out.finish()
}

/// What the receiver of a frame is answered in its place: a TCP reset.
pub fn to_destination(frame: &[u8], answer: &mut [u8]) -> Option<usize> {
    let offender = Offender::parse(frame)?;
    if offender.proto != TCP {
        return None;
    }
    let segment = Segment::parse(&offender)?;
    let mut out = Writer::new(answer);
    out.link(offender.link, false)?;
    let reset = Reset {
        // A SYN takes a number of its own, and a connection that has one is behind it.
        sequence: match segment.flags & SYN {
            0 => segment.sequence,
            _ => segment.sequence.wrapping_add(1),
        },
        acknowledgement: (segment.flags & ACK != 0).then_some(segment.acknowledgement),
    };
    reset.write(&mut out, offender.src, offender.dst, segment.ports)?;
    out.finish()
}

/// The numbers of a reset.
struct Reset {
    sequence: u32,
    acknowledgement: Option<u32>,
}

impl Reset {
    fn write(
        &self,
        out: &mut Writer<'_>,
        src: IpAddr,
        dst: IpAddr,
        [sport, dport]: [u16; 2],
    ) -> Option<()> {
        let mut tcp = [0; 20];
        let flags = match self.acknowledgement {
            Some(_) => RST | ACK,
            None => RST,
        };
        let fields = [
            &sport.to_be_bytes()[..],
            &dport.to_be_bytes(),
            &self.sequence.to_be_bytes(),
            &self.acknowledgement.unwrap_or(0).to_be_bytes(),
            // Five words of header, flags, no window.
            &[0x50, flags],
        ];
        for (to, &from) in tcp.iter_mut().zip(fields.into_iter().flatten()) {
            *to = from;
        }
        let sum = checksum::of_with_pseudo(src, dst, TCP, &tcp);
        out.put(ip_header(src, dst, TCP, tcp.len())?.bytes())?;
        out.put_with_checksum(&tcp, 16, sum)
    }
}

/// The ICMP error for a packet, to its sender, as if from its receiver.
fn unreachable(out: &mut Writer<'_>, offender: &Offender<'_>) -> Option<()> {
    let (src, dst) = (offender.dst, offender.src);
    let (proto, kind, code, longest) = match src {
        IpAddr::V4(_) => (ICMP, 3, 13, LONGEST_V4 - 20),
        IpAddr::V6(_) => (ICMPV6, 1, 1, MTU_V6 - 40),
    };
    let mut message = [0; MTU_V6];
    let quoted = offender.packet.len().min(longest - 8);
    let (head, quote) = message.split_at_mut(8);
    head.get_mut(..2)?.copy_from_slice(&[kind, code]);
    quote
        .get_mut(..quoted)?
        .copy_from_slice(offender.packet.get(..quoted)?);
    let message = message.get(..8 + quoted)?;
    let sum = match src {
        IpAddr::V4(_) => checksum::of(message),
        IpAddr::V6(_) => checksum::of_with_pseudo(src, dst, proto, message),
    };
    out.put(ip_header(src, dst, proto, message.len())?.bytes())?;
    out.put_with_checksum(message, 2, sum)
}

#[cfg(test)]
mod tests;
