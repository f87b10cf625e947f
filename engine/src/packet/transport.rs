//! TCP, UDP, SCTP, ESP and IGMP.

use super::access::{Options, be16};
use super::decoder::{Decoder, Sink, Step, Work};
use super::{DecoderEvent as Event, Transport, checksum, proto};

impl Decoder {
    /// TCP (RFC 9293).
    pub(super) fn tcp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.tcp += 1;
        let Some(&[s0, s1, d0, d1, _, _, _, _, _, _, _, _, offset, ..]) = data.first_chunk::<20>()
        else {
            return work.fail(Event::TcpPktTooSmall);
        };
        let header_len = usize::from(offset >> 4) * 4;
        let Some((header, payload)) = data.split_at_checked(header_len) else {
            return work.fail(Event::TcpHlenTooSmall);
        };
        let Some(options) = header.get(20..) else {
            return work.fail(Event::TcpInvalidOptlen);
        };
        if !options.is_empty() {
            tcp_options(work, options);
        }
        self.verify_transport(work, data);
        let packet = &mut work.packet;
        packet.transport = Transport::Tcp { header };
        packet.proto = proto::TCP;
        packet.sport = u16::from_be_bytes([s0, s1]);
        packet.dport = u16::from_be_bytes([d0, d1]);
        packet.payload = payload;
        Ok(())
    }

    /// UDP (RFC 768). Bytes behind its length belong to nobody.
    pub(super) fn udp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.udp += 1;
        let Some(&[s0, s1, d0, d1, length_high, length_low, c0, c1]) = data.first_chunk::<8>()
        else {
            return work.fail(Event::UdpHlenTooSmall);
        };
        let mut length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if length == 0 && work.packet.dst.is_ipv6() {
            // Meant for jumbograms (RFC 2675, 4), but receivers take it in others, too: the datagram is all that there is.
            work.note(Event::UdpLenInvalid);
            length = data.len();
        }
        let Some(datagram) = data.get(..length) else {
            return work.fail(Event::UdpPktTooSmall);
        };
        let Some((header, payload)) = datagram.split_at_checked(8) else {
            return work.fail(Event::UdpLenInvalid);
        };
        // A checksum of zero means that there is none.
        if [c0, c1] != [0, 0] {
            self.verify_transport(work, datagram);
        }
        let packet = &mut work.packet;
        packet.transport = Transport::Udp { header };
        packet.proto = proto::UDP;
        packet.sport = u16::from_be_bytes([s0, s1]);
        packet.dport = u16::from_be_bytes([d0, d1]);
        packet.payload = payload;
        self.udp_tunnel(work, payload, sink);
        Ok(())
    }

    /// SCTP common header (RFC 9260).
    pub(super) fn sctp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.sctp += 1;
        let Some((header, payload)) = data.split_at_checked(12) else {
            return work.fail(Event::SctpPktTooSmall);
        };
        let packet = &mut work.packet;
        packet.transport = Transport::Sctp { header };
        packet.proto = proto::SCTP;
        packet.sport = be16(header, 0).unwrap_or(0);
        packet.dport = be16(header, 2).unwrap_or(0);
        packet.payload = payload;
        Ok(())
    }

    /// ESP (RFC 4303): index and sequence number; the rest is encrypted.
    pub(super) fn esp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.esp += 1;
        let Some((header, payload)) = data.split_at_checked(8) else {
            return work.fail(Event::EspPktTooSmall);
        };
        work.packet.transport = Transport::Esp { header };
        work.packet.proto = proto::ESP;
        work.packet.payload = payload;
        Ok(())
    }

    /// IGMP (RFC 3376, RFC 2236, RFC 1112). Sources and group records count as header.
    pub(super) fn igmp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.igmp += 1;
        let Some(&[kind, ..]) = data.first_chunk::<8>() else {
            return work.fail(Event::IgmpPktTooSmall);
        };
        let header_len = match kind {
            0x11 if data.len() >= 12 => Ok(12 + 4 * usize::from(be16(data, 10).unwrap_or(0))),
            0x22 => group_records(data),
            _ => Ok(8),
        };
        let header_len = match header_len {
            Ok(length) => length,
            Err(event) => return work.fail(event),
        };
        let Some((header, payload)) = data.split_at_checked(header_len) else {
            return work.fail(Event::IgmpV3PktTooSmall);
        };
        work.packet.transport = Transport::Igmp { header };
        work.packet.proto = proto::IGMP;
        work.packet.payload = payload;
        Ok(())
    }

    /// Verifies the checksum of `data` with the pseudo header of the packet's addresses.
    pub(super) fn verify_transport(&self, work: &mut Work<'_>, data: &[u8]) {
        if self.config.verify_checksums {
            let packet = &mut work.packet;
            packet.bad_checksum |=
                !checksum::holds_with_pseudo(packet.src, packet.dst, packet.proto, data);
        }
    }
}

/// Bytes of an IGMPv3 report with all its group records.
fn group_records(data: &[u8]) -> Result<usize, Event> {
    let mut at = 8;
    for _ in 0..be16(data, 6).unwrap_or(0) {
        let record = data.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let Some(&[_, auxiliary, sources_high, sources_low, ..]) = record else {
            return Err(Event::IgmpV3PktTooSmall);
        };
        let words =
            usize::from(auxiliary) + usize::from(u16::from_be_bytes([sources_high, sources_low]));
        at += 8 + 4 * words;
        if at > data.len() {
            return Err(Event::IgmpMalformed);
        }
    }
    Ok(at)
}

/// Checks TCP options. None of this spoils the packet: hosts skip what they do not understand.
fn tcp_options(work: &mut Work<'_>, all: &[u8]) {
    let mut seen = 0u8;
    let mut walk = Options::new(all);
    for (kind, value) in walk.by_ref() {
        let (bit, fits) = match kind {
            // Maximum segment size
            2 => (1, value.len() == 2),
            // Window scale
            3 => (1 << 1, value.len() == 1),
            // SACK permitted
            4 => (1 << 2, value.is_empty()),
            // SACK; an empty one is seen in the wild.
            5 => (1 << 3, value.len() <= 32 && value.len().is_multiple_of(8)),
            // Timestamps
            8 => (1 << 4, value.len() == 8),
            // TCP-MD5 (RFC 2385)
            19 => (1 << 5, value.len() == 16),
            // TCP-AO (RFC 5925)
            29 => (1 << 6, value.len() >= 2),
            // Fast open cookie, or the request for one (RFC 7413)
            34 => (
                1 << 7,
                matches!(value.len(), 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16),
            ),
            // The same, in an experimental option (RFC 6994) under its number
            253 | 254 if matches!(value.len(), 2 | 10) && value.starts_with(&[0xf9, 0x89]) => {
                (1 << 7, true)
            }
            _ => continue,
        };
        if !fits {
            work.note(Event::TcpOptInvalidLen);
        } else if seen & bit != 0 {
            work.note(Event::TcpOptDuplicate);
        } else {
            seen |= bit;
        }
    }
    // A lone last byte has no length that could be wrong.
    if walk.rest().len() > 1 {
        work.note(Event::TcpOptInvalidLen);
    }
}
