//! IPv4 (RFC 791).

use std::net::{IpAddr, Ipv4Addr};

use super::access::{Options, be16};
use super::decoder::{Carries, Decoder, Failed, Sink, Step, Work};
use super::defrag::{Fragment, Front, Key};
use super::{DecoderEvent as Event, Net, Tunnel, checksum, proto};

impl Decoder {
    /// IPv4 and what it carries.
    pub(super) fn ipv4<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.ipv4 += 1;
        work.layer()?;
        // Receivers skip options that they do not know, so that what is wrong with one must not hide the packet.
        let lenient = self.config.defrag.inline;
        let body = match header(work, data, lenient) {
            Ok(body) => body,
            Err(failed) => {
                work.clear_net();
                return Err(failed);
            }
        };
        let Net::V4 { header } = work.packet.net else {
            return Err(Failed);
        };
        if self.config.verify_checksums && !checksum::holds(header) {
            work.packet.bad_checksum = true;
        }
        let fragment = be16(header, 6).unwrap_or(0);
        if fragment & 0x3fff != 0 {
            work.packet.payload = body;
            let key = Key {
                src: work.packet.src,
                dst: work.packet.dst,
                id: be16(header, 4).map_or(0, u32::from),
                proto: work.packet.proto,
                vlan: work.packet.vlan,
            };
            let offset = u32::from(fragment & 0x1fff) * 8;
            let more = fragment & 0x2000 != 0;
            let fragment = Fragment {
                key,
                offset,
                more,
                front: Front::V4 { header },
                data: body,
            };
            if work.packet.bad_checksum {
                // Its receiver throws it away, so it must not stand for a part of the packet here.
                work.packet.fragment = true;
                work.packet.no_payload_inspection = true;
                return Ok(());
            }
            self.fragment(work, fragment, sink);
            return Ok(());
        }
        // A transport that is broken leaves the packet a good IPv4 packet.
        let _ = match work.packet.proto {
            proto::TCP => self.tcp(work, body),
            proto::UDP => self.udp(work, body, sink),
            proto::ICMP => self.icmpv4(work, body),
            proto::SCTP => self.sctp(work, body),
            proto::GRE => self.gre(work, body, sink),
            proto::ESP => self.esp(work, body),
            proto::IGMP => self.igmp(work, body),
            proto::IPV4 => {
                self.tunnel(work, body, Tunnel::Ipv4, Carries::Ipv4, sink);
                Ok(())
            }
            proto::IPV6 => {
                self.tunnel(work, body, Tunnel::Ipv4, Carries::Ipv6, sink);
                Ok(())
            }
            proto::ICMPV6 => work.fail(Event::Ipv4Icmpv6),
            _ => Ok(()),
        };
        Ok(())
    }
}

/// Checks and enters the header; returns what it carries, without what lies behind the total length. `lenient`: the packet
/// stays usable when its options are malformed.
fn header<'a>(work: &mut Work<'a>, data: &'a [u8], lenient: bool) -> Result<&'a [u8], Failed> {
    // The total length cannot say more; a longer frame has a trailer.
    let data = data.get(..usize::from(u16::MAX)).unwrap_or(data);
    let Some(fixed) = data.first_chunk::<20>() else {
        return work.fail(Event::Ipv4PktTooSmall);
    };
    let &[
        first,
        _,
        total_high,
        total_low,
        ..,
        protocol,
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
    if first >> 4 != 4 {
        return work.fail(Event::Ipv4WrongIpVersion);
    }
    let header_len = usize::from(first & 0xf) * 4;
    if header_len < 20 {
        return work.fail(Event::Ipv4HlenTooSmall);
    }
    let total = usize::from(u16::from_be_bytes([total_high, total_low]));
    if total < header_len {
        return work.fail(Event::Ipv4IplenSmallerThanHlen);
    }
    let Some((header, body)) = data
        .get(..total)
        .and_then(|packet| packet.split_at_checked(header_len))
    else {
        return work.fail(Event::Ipv4TruncPkt);
    };
    work.packet.net = Net::V4 { header };
    work.packet.src = IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3));
    work.packet.dst = IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3));
    work.packet.proto = protocol;
    if let Some(all) = header.get(20..).filter(|all| !all.is_empty())
        && options(work, all).is_err()
        && !lenient
    {
        return Err(Failed);
    }
    Ok(body)
}

/// IPv4 option types (<https://www.iana.org/assignments/ip-parameters>).
mod option {
    pub const RECORD_ROUTE: u8 = 7;
    pub const QUICK_START: u8 = 25;
    pub const TIMESTAMP: u8 = 68;
    pub const SECURITY: u8 = 130;
    pub const LOOSE_ROUTE: u8 = 131;
    pub const EXTENDED_SECURITY: u8 = 133;
    pub const COMMERCIAL_SECURITY: u8 = 134;
    pub const STREAM_ID: u8 = 136;
    pub const STRICT_ROUTE: u8 = 137;
    pub const ROUTER_ALERT: u8 = 148;
}

/// Checks the value of an option.
type Check = fn(&[u8]) -> Result<(), Event>;

/// Checks the options. A malformed one spoils the packet; an odd one is only noted.
fn options(work: &mut Work<'_>, all: &[u8]) -> Step {
    if !all.len().is_multiple_of(8) {
        work.note(Event::Ipv4OptPadRequired);
    }
    let mut seen = 0u16;
    let mut walk = Options::new(all);
    for (kind, value) in walk.by_ref() {
        use option::*;
        let (bit, check): (u16, Check) = match kind {
            0 | 1 => continue,
            TIMESTAMP => (1, timestamp),
            RECORD_ROUTE => (1 << 1, route),
            LOOSE_ROUTE => (1 << 2, route),
            STRICT_ROUTE => (1 << 3, route),
            QUICK_START => (1 << 4, |value| length(value.len() >= 6)),
            SECURITY => (1 << 5, |value| length(value.len() == 9)),
            EXTENDED_SECURITY => (1 << 6, |value| length(!value.is_empty())),
            COMMERCIAL_SECURITY => (1 << 7, commercial_security),
            STREAM_ID => (1 << 8, |value| length(value.len() == 2)),
            ROUTER_ALERT => (1 << 9, |value| length(value.len() == 2)),
            _ => {
                work.note(Event::Ipv4OptInvalid);
                continue;
            }
        };
        if seen & bit != 0 {
            work.note(Event::Ipv4OptDuplicate);
            continue;
        }
        seen |= bit;
        if let Err(event) = check(value) {
            return work.fail(event);
        }
    }
    match walk.rest() {
        [] => Ok(()),
        [_] => {
            work.note(Event::Ipv4OptEolRequired);
            Ok(())
        }
        _ => work.fail(Event::Ipv4OptInvalidLen),
    }
}

fn length(fits: bool) -> Result<(), Event> {
    if fits {
        Ok(())
    } else {
        Err(Event::Ipv4OptInvalidLen)
    }
}

/// Routes: a 1-based pointer to the next of the 4-byte addresses, at most one past the last.
fn route(value: &[u8]) -> Result<(), Event> {
    let Some(&pointer) = value.first() else {
        return Err(Event::Ipv4OptInvalidLen);
    };
    if pointer < 4 || !pointer.is_multiple_of(4) || usize::from(pointer) > value.len() + 3 {
        return Err(Event::Ipv4OptMalformed);
    }
    Ok(())
}

/// Timestamps: pointer, overflow and flag, then records of 4 or, with addresses, 8 bytes.
fn timestamp(value: &[u8]) -> Result<(), Event> {
    let &[pointer, overflow_and_flag, ..] = value else {
        return Err(Event::Ipv4OptInvalidLen);
    };
    if value.len() < 3 {
        return Err(Event::Ipv4OptInvalidLen);
    }
    let record = if matches!(overflow_and_flag & 0xf, 1 | 3) {
        8
    } else {
        4
    };
    if pointer < 5
        || !(pointer - 5).is_multiple_of(record)
        || usize::from(pointer) > value.len() + 3
    {
        return Err(Event::Ipv4OptMalformed);
    }
    Ok(())
}

/// CIPSO (FIPS 188): a domain of interpretation, then tags.
fn commercial_security(value: &[u8]) -> Result<(), Event> {
    let Some(mut tags) = value.get(4..).filter(|tags| tags.len() >= 4) else {
        return Err(Event::Ipv4OptInvalidLen);
    };
    while !tags.is_empty() {
        let (&[kind, length, ..], true) = (tags, tags.len() >= 2) else {
            return Err(Event::Ipv4OptMalformed);
        };
        let Some((tag, rest)) = tags.split_at_checked(usize::from(length)) else {
            return Err(Event::Ipv4OptMalformed);
        };
        // All known tags have an alignment byte of zero but type 7, which is free-form.
        let good = match kind {
            1 | 2 | 5 | 6 => tag.len() >= 4 && tag.get(2) == Some(&0),
            7 => tag.len() >= 4,
            _ => false,
        };
        if !good {
            return Err(Event::Ipv4OptMalformed);
        }
        tags = rest;
    }
    Ok(())
}
