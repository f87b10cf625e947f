//! ICMPv4 (RFC 792) and ICMPv6 (RFC 4443).

use super::access::be16;
use super::decoder::{Decoder, Step, Work};
use super::{DecoderEvent as Event, Transport, checksum, proto};

impl Decoder {
    /// ICMPv4.
    pub(super) fn icmpv4<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.icmpv4 += 1;
        let Some((&[kind, code, _, _, addresses, address_words, _, _], payload)) =
            data.split_first_chunk::<8>()
        else {
            return work.fail(Event::Icmpv4PktTooSmall);
        };
        if self.config.verify_checksums && !checksum::holds(data) {
            work.packet.bad_checksum = true;
        }
        // Bytes behind the first eight that belong to the header, and the highest code that the type has.
        let (more, highest) = match kind {
            // Echo, information, address mask
            0 | 8 | 15..=18 => (0, 0),
            // Destination unreachable
            3 => (0, 15),
            // Source quench, parameter problem
            4 | 12 => (0, 0),
            // Redirect
            5 => (0, 3),
            // Router advertisement (RFC 1256); its codes are not checked.
            9 => (
                usize::from(addresses) * usize::from(address_words) * 4,
                u8::MAX,
            ),
            // Time exceeded
            11 => (0, 1),
            // Timestamps
            13 | 14 => (12, 0),
            _ => {
                work.note(Event::Icmpv4UnknownType);
                (0, u8::MAX)
            }
        };
        if code > highest {
            work.note(Event::Icmpv4UnknownCode);
        } else if matches!(kind, 3 | 5 | 11 | 12) && !payload.is_empty() || kind == 4 {
            embedded_ipv4(work, payload);
        }
        let header = match data.get(..8 + more) {
            Some(header) => header,
            None => {
                work.note(Event::Icmpv4Ipv4TruncPkt);
                data.get(..8).unwrap_or(data)
            }
        };
        work.packet.transport = Transport::Icmp4 { header };
        work.packet.proto = proto::ICMP;
        work.packet.payload = payload;
        Ok(())
    }

    /// ICMPv6.
    pub(super) fn icmpv6<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.icmpv6 += 1;
        let Some((&[kind, code, ..], _)) = data.split_first_chunk::<8>() else {
            return work.fail(Event::Icmpv6PktTooSmall);
        };
        let (header, payload) = data.split_at_checked(8).unwrap_or((data, &[]));
        work.packet.proto = proto::ICMPV6;
        self.verify_transport(work, data);
        let known = match kind {
            // Destination unreachable
            1 => code <= 6,
            // Packet too big, echo
            2 | 128 | 129 => code == 0,
            // Time exceeded
            3 => code <= 1,
            // Parameter problem
            4 => code <= 2,
            // Multicast listener discovery (RFC 2710)
            130..=132 => {
                if work.packet.ttl() != Some(1) {
                    work.note(Event::Icmpv6MldMessageWithInvalidHl);
                }
                code == 0
            }
            // Neighbour discovery (RFC 4861), inverse (RFC 3122), listener report v2 (RFC 3810), mobility (RFC 6275),
            // certification path (RFC 3971), fast handovers (RFC 5568), ILNP (RFC 6743), duplicate addresses
            // (RFC 6775), MPL (RFC 7731)
            133..=137 | 141..=149 | 154 | 156..=159 => code == 0,
            // Router renumbering (RFC 2894)
            138 => code <= 2 || code == 255,
            // Node information (RFC 4620)
            139 | 140 => code <= 2,
            // Experimental mobility (RFC 4065), multicast router discovery (RFC 4286)
            150..=153 => true,
            // RPL (RFC 6550)
            155 => matches!(code, 0..=3 | 128..=132),
            100 | 101 | 200 | 201 => {
                work.note(Event::Icmpv6ExperimentationType);
                true
            }
            5..=99 | 102..=126 | 160..=199 | 202..=255 => {
                work.note(Event::Icmpv6UnassignedType);
                true
            }
            0 | 127 => {
                work.note(Event::Icmpv6UnknownType);
                true
            }
        };
        if !known {
            work.note(Event::Icmpv6UnknownCode);
        } else if kind <= 4 && kind != 0 {
            embedded_ipv6(work, payload);
        }
        work.packet.transport = Transport::Icmp6 { header };
        // Errors and echo have an 8-byte header. Of any other message Suricata inspects what follows the first four
        // bytes, and, having counted the header twice, eight bytes less than there are.
        work.packet.payload = match kind {
            1..=4 | 128 | 129 if known => payload,
            _ => data.get(4..data.len().saturating_sub(8)).unwrap_or(&[]),
        };
        Ok(())
    }
}

/// Checks the packet that an error quotes.
fn embedded_ipv4(work: &mut Work<'_>, quoted: &[u8]) {
    match quoted {
        [first, ..] if quoted.len() >= 20 => {
            if first >> 4 != 4 {
                work.spoil(Event::Icmpv4Ipv4UnknownVer);
            }
        }
        _ => work.spoil(Event::Icmpv4Ipv4TruncPkt),
    }
}

/// Checks the packet that an error quotes.
fn embedded_ipv6(work: &mut Work<'_>, quoted: &[u8]) {
    match be16(quoted, 0) {
        Some(first) if quoted.len() >= 40 => {
            if first >> 12 != 6 {
                work.spoil(Event::Icmpv6Ipv6UnknownVersion);
            }
        }
        _ => work.spoil(Event::Icmpv6Ipv6TruncPkt),
    }
}
