//! PPP (RFC 1661) and PPPoE (RFC 2516).

use super::DecoderEvent as Event;
use super::access::be16;
use super::decoder::{Decoder, Sink, Step, Work};

impl Decoder {
    /// PPP, with or without the address and control bytes of HDLC-like framing (RFC 1662).
    pub(super) fn ppp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.ppp += 1;
        if data.len() < 2 {
            return work.fail(Event::PppPktTooSmall);
        }
        work.layer()?;
        let data = match data {
            [0xff, 0x03, rest @ ..] => rest,
            // Control byte left out.
            [0xff, rest @ ..] => rest,
            _ => data,
        };
        self.ppp_protocol(work, data, Event::PppPktTooSmall, sink)
    }

    /// PPPoE session stage.
    pub(super) fn pppoe_session<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        self.counters.ppp += 1;
        let Some((header, rest)) = data.split_at_checked(6) else {
            return work.fail(Event::PppoePktTooSmall);
        };
        if rest.is_empty() {
            return work.fail(Event::PppoePktTooSmall);
        }
        work.layer()?;
        if be16(header, 4) == Some(0) {
            return Ok(());
        }
        self.ppp_protocol(work, rest, Event::PppoePktTooSmall, sink)
    }

    /// Protocol number, one byte where it is compressed (an odd first byte), and what follows.
    fn ppp_protocol<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        too_small: Event,
        sink: Sink<'_>,
    ) -> Step {
        let (protocol, rest) = match *data {
            [short, ref rest @ ..] if short & 1 == 1 => (u16::from(short), rest),
            [high, low, ref rest @ ..] => (u16::from_be_bytes([high, low]), rest),
            _ => return work.fail(too_small),
        };
        match protocol {
            0x0021 if rest.len() < 20 => work.fail(Event::PppIp4PktTooSmall),
            0x0021 => self.ipv4(work, rest, sink),
            0x0057 if rest.len() < 40 => work.fail(Event::PppIp6PktTooSmall),
            0x0057 => self.ipv6(work, rest, sink),
            // Van Jacobson's uncompressed TCP/IP: only the IP protocol field differs from plain IP.
            0x002f if rest.len() < 20 => work.fail(Event::PppVjuPktTooSmall),
            0x002f if rest.first().is_some_and(|first| first >> 4 == 4) => {
                self.ipv4(work, rest, sink)
            }
            0x002f => Ok(()),
            _ if supported_elsewhere(protocol) => {
                work.note(Event::PppUnsupProto);
                Ok(())
            }
            _ => work.fail(Event::PppWrongType),
        }
    }

    /// PPPoE discovery stage: only checked.
    pub(super) fn pppoe_discovery(&mut self, work: &mut Work<'_>, data: &[u8]) -> Step {
        self.counters.ppp += 1;
        let (Some(&code), Some(length), Some(tags)) = (data.get(1), be16(data, 4), data.get(6..))
        else {
            return work.fail(Event::PppoePktTooSmall);
        };
        // PADO, PADI, PADR, PADS, PADT.
        if !matches!(code, 0x07 | 0x09 | 0x19 | 0x65 | 0xa7) {
            return work.fail(Event::PppoeWrongCode);
        }
        if usize::from(length) > tags.len() {
            return work.fail(Event::PppoeMalformedTags);
        }
        Ok(())
    }
}

/// Protocols that exist but are not decoded (<https://www.iana.org/assignments/ppp-numbers>): IPX, OSI, XNS, DECnet,
/// AppleTalk, bridge PDUs, ST-II, VINES, Luxcom, Sigma, MPLS, their control protocols, and PPP's own.
fn supported_elsewhere(protocol: u16) -> bool {
    matches!(
        protocol,
        0x0023
            | 0x0025
            | 0x0027
            | 0x0029
            | 0x002b
            | 0x002d
            | 0x0031
            | 0x0033
            | 0x0035
            | 0x0231
            | 0x0233
            | 0x0281
            | 0x0283
            | 0x8021
            | 0x8023
            | 0x8025
            | 0x8027
            | 0x8029
            | 0x802b
            | 0x8033
            | 0x8035
            | 0x8057
            | 0x8281
            | 0x8283
            | 0xc021
            | 0xc023
            | 0xc025
            | 0xc223
            | 0x0205
    )
}
