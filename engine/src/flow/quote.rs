//! The packet that an ICMP error is about: the error quotes its start (RFC 792, RFC 4443).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Endpoint, icmp_ends, icmp_is_error};
use crate::packet::proto::{ICMP, ICMPV6, SCTP, TCP, UDP};
use crate::packet::{DecoderEvent, Packet, Transport, ipv6_upper_layer};

/// What a quoted packet says of its flow.
pub(super) struct Quoted {
    pub from: Endpoint,
    pub to: Endpoint,
    pub proto: u8,
}

/// The start of an IP packet.
struct Start<'a> {
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    /// What follows the headers of the network layer, as far as it is quoted.
    upper: &'a [u8],
}

/// What an ICMP error quotes; `None` for any other packet, and where the quotation does not tell a flow.
pub(super) fn quoted(packet: &Packet<'_>) -> Option<Quoted> {
    if packet.invalid || packet.fragment {
        return None;
    }
    let (v6, quotes) = match (packet.transport, packet.icmp_type()?) {
        (Transport::Icmp4 { .. }, kind) => (false, icmp_is_error(kind, false)),
        // The others that are errors are not assigned.
        (Transport::Icmp6 { .. }, kind) => (true, matches!(kind, 1..=4)),
        _ => return None,
    };
    // With a code that is not known, the payload need not be a quotation.
    if !quotes
        || packet.events.contains(DecoderEvent::Icmpv4UnknownCode)
        || packet.events.contains(DecoderEvent::Icmpv6UnknownCode)
    {
        return None;
    }
    let start = if v6 {
        ipv6(packet.payload)?
    } else {
        ipv4(packet.payload)?
    };
    // An error goes to the sender of what it quotes. One that does not is forged.
    if start.src != packet.dst {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes(*start.upper.get(at..)?.first_chunk()?));
    let (sport, dport) = match start.proto {
        TCP | UDP | SCTP => (word(0)?, word(2)?),
        ICMP | ICMPV6 => icmp_ends(*start.upper.first()?, v6)?,
        _ => return None,
    };
    Some(Quoted {
        from: (start.src, sport),
        to: (start.dst, dport),
        proto: start.proto,
    })
}

fn ipv4(bytes: &[u8]) -> Option<Start<'_>> {
    let fixed = bytes.first_chunk::<20>()?;
    let &[
        first,
        _,
        _,
        _,
        _,
        _,
        fragment,
        offset,
        _,
        proto,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = fixed;
    let header_len = usize::from(first & 0xf) * 4;
    // Only the first fragment has ports.
    if first >> 4 != 4 || header_len < 20 || (fragment & 0x1f, offset) != (0, 0) {
        return None;
    }
    Some(Start {
        src: Ipv4Addr::new(s0, s1, s2, s3).into(),
        dst: Ipv4Addr::new(d0, d1, d2, d3).into(),
        proto,
        upper: bytes.get(header_len..)?,
    })
}

fn ipv6(bytes: &[u8]) -> Option<Start<'_>> {
    let (header, rest) = bytes.split_first_chunk::<40>()?;
    let (first, next) = (header.first()?, *header.get(6)?);
    if first >> 4 != 6 {
        return None;
    }
    let address = |at: usize| Some(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?));
    let (proto, upper) = ipv6_upper_layer(next, rest)?;
    Some(Start {
        src: address(8)?.into(),
        dst: address(24)?.into(),
        proto,
        upper,
    })
}
