//! IPv6 (RFC 8200).

use std::net::{IpAddr, Ipv6Addr};

use super::access::{be16, be32};
use super::decoder::{Carries, Decoder, Failed, Sink, Step, Work};
use super::defrag::{Fragment, Front, Key};
use super::{DecoderEvent as Event, Net, Tunnel, proto};

/// Length of the fixed header.
const FIXED: usize = 40;

impl Decoder {
    /// IPv6 and what it carries.
    pub(super) fn ipv6<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.ipv6 += 1;
        work.layer()?;
        let (header, body) = match header(work, data) {
            Ok(parts) => parts,
            Err(failed) => {
                work.clear_net();
                return Err(failed);
            }
        };
        work.packet.net = Net::V6 {
            header,
            extensions: &[],
        };
        let next = header.get(6).copied().unwrap_or(proto::NO_NEXT);
        work.packet.proto = next;
        match next {
            proto::IPV6 => self.ipv6_in_ipv6(work, body, sink),
            proto::GRE => {
                let _ = self.gre(work, body, sink);
            }
            proto::TCP | proto::UDP | proto::ICMPV6 | proto::SCTP | proto::IPV4 | proto::ICMP => {
                self.upper(work, next, body, sink);
            }
            proto::HOP_BY_HOP
            | proto::ROUTING
            | proto::FRAGMENT
            | proto::ESP
            | proto::AUTH
            | proto::NO_NEXT
            | proto::DESTINATION
            | proto::MOBILITY
            | proto::HIP
            | proto::SHIM6 => self.extensions(work, header, body, sink),
            _ => work.note(Event::Ipv6UnknownNextHeader),
        }
        Ok(())
    }

    /// A protocol that ends the chain of headers. What is wrong inside is for that protocol to report.
    fn upper<'a>(&mut self, work: &mut Work<'a>, next: u8, body: &'a [u8], sink: Sink<'_>) {
        let _ = match next {
            proto::TCP => self.tcp(work, body),
            proto::UDP => self.udp(work, body, sink),
            proto::ICMPV6 => self.icmpv6(work, body),
            proto::SCTP => self.sctp(work, body),
            proto::ESP => self.esp(work, body),
            proto::IPV4 => {
                self.ipv4_in_ipv6(work, body, sink);
                Ok(())
            }
            proto::ICMP => {
                work.note(Event::Ipv6Icmpv4);
                Ok(())
            }
            _ => {
                work.note(Event::Ipv6UnknownNextHeader);
                Ok(())
            }
        };
    }

    fn ipv4_in_ipv6<'a>(&mut self, work: &mut Work<'a>, body: &'a [u8], sink: Sink<'_>) {
        match body.first() {
            Some(first) if body.len() >= 20 => {
                if first >> 4 == 4 {
                    self.tunnel(work, body, Tunnel::Ipv6, Carries::Ipv4, sink);
                } else {
                    work.spoil(Event::Ipv6Ipv4InIpv6WrongVersion);
                }
            }
            _ => work.spoil(Event::Ipv6Ipv4InIpv6TooSmall),
        }
    }

    fn ipv6_in_ipv6<'a>(&mut self, work: &mut Work<'a>, body: &'a [u8], sink: Sink<'_>) {
        match body.first() {
            Some(first) if body.len() >= FIXED => {
                if first >> 4 == 6 {
                    self.tunnel(work, body, Tunnel::Ipv6, Carries::Ipv6, sink);
                } else {
                    work.spoil(Event::Ipv6Ipv6InIpv6WrongVersion);
                }
            }
            _ => work.spoil(Event::Ipv6Ipv6InIpv6TooSmall),
        }
    }

    /// Walks the extension headers in `body` up to the protocol behind them.
    fn extensions<'a>(
        &mut self,
        work: &mut Work<'a>,
        header: &'a [u8],
        body: &'a [u8],
        sink: Sink<'_>,
    ) {
        let mut chain = Chain::default();
        let mut next = header.get(6).copied().unwrap_or(proto::NO_NEXT);
        let mut at = 0;
        // Offset of the next header field that named `next`.
        let mut named_at = 6;
        loop {
            let (walked, rest) = body.split_at_checked(at).unwrap_or((body, &[]));
            work.packet.net = Net::V6 {
                header,
                extensions: walked,
            };
            if next == proto::NO_NEXT {
                if !rest.is_empty() {
                    work.note(Event::Ipv6DataAfterNoneHeader);
                }
                return;
            }
            if rest.len() < 2 {
                return work.spoil(Event::Ipv6TruncExthdr);
            }
            work.packet.proto = next;
            let Some(length) = extension_len(next, rest) else {
                return self.upper(work, next, rest, sink);
            };
            let Some((extension, behind)) = rest.split_at_checked(length) else {
                return work.spoil(Event::Ipv6TruncExthdr);
            };
            if chain.enter(work, next, extension) == Walk::Fragment {
                let end = body.get(..at + length).unwrap_or(walked);
                work.packet.net = Net::V6 {
                    header,
                    extensions: end,
                };
                return self.ipv6_fragment(
                    work,
                    Unfragmentable {
                        header,
                        walked,
                        named_at,
                    },
                    extension,
                    behind,
                    sink,
                );
            }
            next = extension.first().copied().unwrap_or(proto::NO_NEXT);
            named_at = FIXED + at;
            at += length;
        }
    }

    fn ipv6_fragment<'a>(
        &mut self,
        work: &mut Work<'a>,
        front: Unfragmentable<'_>,
        extension: &[u8],
        payload: &'a [u8],
        sink: Sink<'_>,
    ) {
        let word = be16(extension, 2).unwrap_or(0);
        let more = word & 1 != 0;
        // Suricata measures with the fragment header, whose 8 bytes change nothing.
        if more && !payload.len().is_multiple_of(8) {
            work.note(Event::Ipv6FragInvalidLength);
        }
        work.packet.payload = payload;
        let key = Key {
            src: work.packet.src,
            dst: work.packet.dst,
            id: be32(extension, 4).unwrap_or(0),
            // RFC 8200, 4.5: addresses and identification tell what belongs together.
            proto: 0,
            vlan: work.packet.vlan,
        };
        let next = extension.first().copied().unwrap_or(proto::NO_NEXT);
        let front = Front::V6 {
            header: front.header,
            extensions: front.walked,
            named_at: front.named_at,
            next,
        };
        let offset = u32::from(word & 0xfff8);
        self.fragment(
            work,
            Fragment {
                key,
                offset,
                more,
                front,
                data: payload,
            },
            sink,
        );
    }
}

/// What stands in front of a fragment header.
struct Unfragmentable<'a> {
    header: &'a [u8],
    walked: &'a [u8],
    /// Offset of the next header field that names the fragment header.
    named_at: usize,
}

/// Checks the fixed header; returns it and what it carries, without what lies behind the payload length.
fn header<'a>(work: &mut Work<'a>, data: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Failed> {
    let Some((header, rest)) = data.split_at_checked(FIXED) else {
        return work.fail(Event::Ipv6PktTooSmall);
    };
    if header.first().is_none_or(|first| first >> 4 != 6) {
        return work.fail(Event::Ipv6WrongIpVersion);
    }
    let Some(body) = be16(header, 4).and_then(|length| rest.get(..usize::from(length))) else {
        return work.fail(Event::Ipv6TruncPkt);
    };
    let address = |at: usize| {
        header
            .get(at..)?
            .first_chunk::<16>()
            .map(|bytes| IpAddr::V6(Ipv6Addr::from(*bytes)))
    };
    if let (Some(src), Some(dst)) = (address(8), address(24)) {
        work.packet.src = src;
        work.packet.dst = dst;
    }
    Ok((header, body))
}

/// Length in bytes of the extension header that `bytes` start with; `None` when `kind` ends the chain, or when there
/// are not even two bytes.
fn extension_len(kind: u8, bytes: &[u8]) -> Option<usize> {
    let field = usize::from(*bytes.get(1)?);
    match kind {
        proto::HOP_BY_HOP
        | proto::ROUTING
        | proto::DESTINATION
        | proto::MOBILITY
        | proto::HIP
        | proto::SHIM6 => Some(8 + 8 * field),
        // In 4-byte words, the first of them part of the fixed 12 bytes (Suricata's reading of RFC 4302, 2.2).
        proto::AUTH => Some(12 + 4 * field.saturating_sub(1)),
        proto::FRAGMENT => Some(8),
        _ => None,
    }
}

/// The first fragment header (8 bytes) of a chain of extension headers; `next` is what the fixed header names.
pub(super) fn fragment_header(next: u8, extensions: &[u8]) -> Option<&[u8]> {
    let (mut next, mut rest) = (next, extensions);
    loop {
        if next == proto::FRAGMENT {
            return rest.get(..8);
        }
        let length = extension_len(next, rest)?;
        next = *rest.first()?;
        rest = rest.get(length..)?;
    }
}

/// The protocol behind a chain of extension headers, and what there is of it; `next` is what the fixed header names.
/// `None` where the chain is cut short, and for fragments other than the first.
pub(crate) fn upper_layer(mut next: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        if next == proto::FRAGMENT && be16(rest, 2)? & 0xfff8 != 0 {
            return None;
        }
        let Some(length) = extension_len(next, rest) else {
            return Some((next, rest));
        };
        next = *rest.first()?;
        rest = rest.get(length..)?;
    }
}

/// How a walk over extension headers goes on.
#[derive(PartialEq, Eq)]
enum Walk {
    /// With the next header.
    On,
    /// Not: the rest is a fragment.
    Fragment,
}

/// Which headers have been met.
#[derive(Default)]
struct Chain {
    hop_by_hop: bool,
    routing: bool,
    fragment: bool,
    auth: bool,
    /// One may stand before a routing header and one before the upper layer.
    destination: u8,
}

impl Chain {
    /// Checks the extension header `kind`; `extension` is all of it.
    fn enter(&mut self, work: &mut Work<'_>, kind: u8, extension: &[u8]) -> Walk {
        match kind {
            proto::ROUTING => {
                if std::mem::replace(&mut self.routing, true) {
                    work.note(Event::Ipv6ExthdrDuplRh);
                } else if extension.get(2) == Some(&0) {
                    work.note(Event::Ipv6RhType0);
                }
            }
            proto::HOP_BY_HOP => {
                if std::mem::replace(&mut self.hop_by_hop, true) {
                    work.note(Event::Ipv6ExthdrDuplHh);
                } else {
                    let events = [Event::Ipv6HopoptsUnknownOpt, Event::Ipv6HopoptsOnlyPadding];
                    options(work, extension.get(2..).unwrap_or(&[]), events);
                }
            }
            proto::DESTINATION => {
                if self.destination == 2 {
                    work.note(Event::Ipv6ExthdrDuplDh);
                } else {
                    self.destination += 1;
                    let events = [Event::Ipv6DstoptsUnknownOpt, Event::Ipv6DstoptsOnlyPadding];
                    options(work, extension.get(2..).unwrap_or(&[]), events);
                }
            }
            proto::AUTH => {
                if extension.get(2..4) != Some(&[0, 0]) {
                    work.note(Event::Ipv6ExthdrAhResNotNull);
                }
                if std::mem::replace(&mut self.auth, true) {
                    work.note(Event::Ipv6ExthdrDuplAh);
                }
            }
            proto::FRAGMENT => {
                if extension.get(1) != Some(&0) {
                    work.note(Event::Ipv6FhNonZeroReservedField);
                }
                let again = std::mem::replace(&mut self.fragment, true);
                if again {
                    work.note(Event::Ipv6ExthdrDuplFh);
                }
                // Behind one that says that the packet is whole, another may say that it is not.
                if be16(extension, 2).is_some_and(|word| word & 0xfff9 != 0) {
                    return Walk::Fragment;
                } else if !again {
                    work.note(Event::Ipv6ExthdrUselessFh);
                }
            }
            // Mobility, HIP and SHIM6 are only stepped over.
            _ => {}
        }
        Walk::On
    }
}

/// Checks hop-by-hop or destination options; `events` are for an unknown option and for nothing but padding.
fn options(work: &mut Work<'_>, all: &[u8], events: [Event; 2]) {
    let [unknown, only_padding] = events;
    let (mut padding, mut other) = (false, false);
    let mut rest = all;
    while let Some((&kind, tail)) = rest.split_first() {
        if kind == 0 {
            padding = true;
            rest = tail;
            continue;
        }
        let Some((value, behind)) = tail
            .split_first()
            .and_then(|(&length, tail)| tail.split_at_checked(usize::from(length)))
        else {
            work.spoil(Event::Ipv6ExthdrInvalidOptlen);
            break;
        };
        let needed = match kind {
            // PadN
            1 => {
                padding = true;
                if value.is_empty() {
                    work.note(Event::Ipv6ZeroLenPadn);
                }
                0
            }
            // Router alert (RFC 2711)
            0x05 => 2,
            // Jumbo payload (RFC 2675)
            0xc2 => 4,
            // Home address (RFC 6275)
            0xc9 => 16,
            _ => {
                work.note(unknown);
                0
            }
        };
        if value.len() < needed {
            work.spoil(Event::Ipv6ExthdrInvalidOptlen);
            break;
        }
        // A jumbo payload option counts neither as padding nor as anything else in Suricata.
        other |= !matches!(kind, 1 | 0xc2);
        rest = behind;
    }
    if padding && !other {
        work.note(only_padding);
    }
}
