//! GRE, ERSPAN, VXLAN, Geneve and Teredo.

use super::access::be16;
use super::decoder::{Carries, Decoder, Failed, Sink, Step, Work};
use super::link::{ethertype, push_vlan};
use super::{DecoderEvent as Event, Transport, Tunnel, proto};

impl Decoder {
    /// GRE version 0 (RFC 1701, RFC 2784) and version 1 (PPTP, RFC 2637).
    pub(super) fn gre<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.gre += 1;
        let Some((header @ &[flags, version, ..], _)) = data.split_first_chunk::<4>() else {
            return work.fail(Event::GrePktTooSmall);
        };
        work.layer()?;
        work.packet.transport = Transport::Gre { header };
        work.packet.proto = proto::GRE;
        let kind = be16(header, 2).unwrap_or(0);
        let (checksum, routing, key, sequence) = (
            flags & 0x80 != 0,
            flags & 0x40 != 0,
            flags & 0x20 != 0,
            flags & 0x10 != 0,
        );
        // From here on the packet stays what it is, GRE, whatever is wrong with it.
        let length = match version & 7 {
            0 => gre_v0(
                data,
                flags,
                version,
                routing,
                4 * (usize::from(key) + usize::from(sequence) + usize::from(checksum || routing)),
            ),
            1 => {
                let acknowledged = version & 0x80 != 0;
                let length = 8 + 4 * (usize::from(sequence) + usize::from(acknowledged));
                gre_v1(data, flags, version, kind, length)
            }
            _ => Err(Event::GreWrongVersion),
        };
        let payload = match length.map(|length| data.get(length..)) {
            Ok(payload) => payload.unwrap_or(&[]),
            Err(event) => {
                work.spoil(event);
                return Ok(());
            }
        };
        let carries = match kind {
            ethertype::IPV4 => Carries::Ipv4,
            ethertype::IPV6 => Carries::Ipv6,
            ethertype::VLAN => Carries::Vlan,
            ethertype::BRIDGE => Carries::Ethernet,
            ethertype::ARP => Carries::Arp,
            // Version 1 counts its payload: nothing, in a mere acknowledgement.
            ethertype::PPP if version & 7 == 1 && be16(data, 4) == Some(0) => return Ok(()),
            ethertype::PPP => Carries::Ppp,
            // Type I has no header of its own and no sequence number.
            ethertype::ERSPAN if sequence => Carries::Erspan,
            ethertype::ERSPAN => Carries::Ethernet,
            _ => return Ok(()),
        };
        self.tunnel(work, payload, Tunnel::Gre, carries, sink);
        Ok(())
    }

    /// ERSPAN type II (draft-foschiano-erspan-03): its VLAN, then the mirrored frame.
    pub(super) fn erspan<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        let Some((header, frame)) = data.split_at_checked(8) else {
            return work.fail(Event::ErspanHeaderTooSmall);
        };
        work.layer()?;
        let first = be16(header, 0).unwrap_or(0);
        if first >> 12 != 1 {
            return work.fail(Event::ErspanUnsupportedVersion);
        }
        let vlan = first & 0x0fff;
        if vlan > 0 && !push_vlan(work, vlan) {
            return work.fail(Event::ErspanTooManyVlanLayers);
        }
        self.ethernet(work, frame, sink)
    }

    /// Tries the tunnels that the ports stand for.
    pub(super) fn udp_tunnel<'a>(
        &mut self,
        work: &mut Work<'a>,
        payload: &'a [u8],
        sink: Sink<'_>,
    ) {
        let ports = [work.packet.sport, work.packet.dport];
        let on = |configured: &[u16]| configured.iter().any(|port| ports.contains(port));
        // Teredo's servers have a port, but what its hosts and relays say to each other goes from any port to any.
        if self.teredo(work, payload, sink) {
            // Elsewhere it may also be something else that looks like it: then rules look into that, too.
            work.packet.no_payload_inspection &= on(&self.config.teredo_ports);
            return;
        }
        if on(&self.config.geneve_ports) && self.geneve(work, payload, sink).is_ok() {
            return;
        }
        if on(&self.config.vxlan_ports) {
            // Not VXLAN then; it stays a UDP packet like any other.
            let _ = self.vxlan(work, payload, sink);
        }
    }

    /// Teredo (RFC 4380): perhaps an origin indication, then an IPv6 packet of exactly the right length.
    fn teredo<'a>(&mut self, work: &mut Work<'a>, payload: &'a [u8], sink: Sink<'_>) -> bool {
        let inner = match payload {
            [0, 0, ..] => payload.get(8..).unwrap_or(&[]),
            _ => payload,
        };
        if inner.len() < 40 || inner.first().is_none_or(|first| first >> 4 != 6) {
            return false;
        }
        let exact = be16(inner, 4).is_some_and(|length| usize::from(length) + 40 == inner.len());
        exact && self.tunnel(work, inner, Tunnel::Teredo, Carries::Ipv6, sink)
    }

    /// Geneve (RFC 8926).
    fn geneve<'a>(&mut self, work: &mut Work<'a>, payload: &'a [u8], sink: Sink<'_>) -> Step {
        let Some(&[first, flags, kind_high, kind_low, _, _, _, reserved]) =
            payload.first_chunk::<8>()
        else {
            return Err(Failed);
        };
        work.layer()?;
        let options_len = usize::from(first & 0x3f) * 4;
        let Some((options, inner)) = payload
            .get(8..)
            .and_then(|rest| rest.split_at_checked(options_len))
        else {
            return Err(Failed);
        };
        if first >> 6 != 0 || flags & 0x3f != 0 || reserved != 0 || !geneve_options_fit(options) {
            return Err(Failed);
        }
        let carries = match u16::from_be_bytes([kind_high, kind_low]) {
            ethertype::IPV4 => Carries::Ipv4,
            ethertype::IPV6 => Carries::Ipv6,
            ethertype::BRIDGE => Carries::Ethernet,
            ethertype::ARP => return Ok(()),
            _ => {
                work.spoil(Event::GeneveUnknownPayloadType);
                return Ok(());
            }
        };
        self.tunnel(work, inner, Tunnel::Geneve, carries, sink);
        Ok(())
    }

    /// VXLAN (RFC 7348).
    fn vxlan<'a>(&mut self, work: &mut Work<'a>, payload: &'a [u8], sink: Sink<'_>) -> Step {
        let Some((&[flags, .., reserved], inner)) = payload.split_first_chunk::<8>() else {
            return Err(Failed);
        };
        if inner.len() < 14 {
            return Err(Failed);
        }
        work.layer()?;
        if flags & 0x08 == 0 || reserved != 0 {
            return Err(Failed);
        }
        self.tunnel(work, inner, Tunnel::Vxlan, Carries::Ethernet, sink);
        Ok(())
    }
}

/// Length of a version 0 header; `optional` bytes of it follow the first four, then source routes.
fn gre_v0(
    data: &[u8],
    flags: u8,
    version: u8,
    routing: bool,
    optional: usize,
) -> Result<usize, Event> {
    if flags & 0x07 != 0 {
        return Err(Event::GreVersion0Recur);
    }
    if version & 0x78 != 0 {
        return Err(Event::GreVersion0Flags);
    }
    let mut length = 4 + optional;
    if length > data.len() {
        return Err(Event::GreVersion0HdrTooBig);
    }
    if !routing {
        return Ok(length);
    }
    loop {
        let entry = data.get(length..).and_then(|rest| rest.first_chunk::<4>());
        let Some(&[family_high, family_low, _, size]) = entry else {
            return Err(Event::GreVersion0MalformedSreHdr);
        };
        length += 4;
        if [family_high, family_low, size] == [0, 0, 0] {
            return Ok(length);
        }
        length += usize::from(size);
        if length > data.len() {
            return Err(Event::GreVersion0MalformedSreHdr);
        }
    }
}

/// Checks a version 1 header of `length` bytes.
fn gre_v1(data: &[u8], flags: u8, version: u8, kind: u16, length: usize) -> Result<usize, Event> {
    let checks = [
        (flags & 0x80 != 0, Event::GreVersion1Chksum),
        (flags & 0x40 != 0, Event::GreVersion1Route),
        (flags & 0x08 != 0, Event::GreVersion1Ssr),
        (flags & 0x07 != 0, Event::GreVersion1Recur),
        (version & 0x78 != 0, Event::GreVersion1Flags),
        (kind != ethertype::PPP, Event::GreVersion1WrongProtocol),
        (flags & 0x20 == 0, Event::GreVersion1NoKey),
        (length > data.len(), Event::GreVersion1HdrTooBig),
    ];
    checks
        .into_iter()
        .find_map(|(wrong, event)| wrong.then_some(event))
        .map_or(Ok(length), Err)
}

/// True when the options fill their place exactly.
fn geneve_options_fit(mut options: &[u8]) -> bool {
    while let Some(&[_, _, _, length]) = options.first_chunk::<4>() {
        match options.get(4 + usize::from(length & 0x1f) * 4..) {
            Some(rest) => options = rest,
            None => return false,
        }
    }
    options.is_empty()
}
