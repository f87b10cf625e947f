//! Link layers, and the layers between them and the network layer.

use super::access::{be16, be32};
use super::decoder::{Decoder, Failed, Sink, Step, Work};
use super::{DecoderEvent as Event, Net};

/// EtherTypes (<https://www.iana.org/assignments/ieee-802-numbers>).
pub(super) mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const BRIDGE: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const PPP: u16 = 0x880b;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_DISCOVERY: u16 = 0x8863;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const QINQ: u16 = 0x88a8;
    pub const ERSPAN: u16 = 0x88be;
    pub const IEEE_8021AH: u16 = 0x88e7;
    pub const FABRIC_PATH: u16 = 0x8903;
    pub const VNTAG: u16 = 0x8926;
    pub const NSH: u16 = 0x894f;
    pub const QINQ_OLD: u16 = 0x9100;
}

/// Whether the type of a payload is known. Most carriers do not mind when it is not.
#[derive(PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

impl Decoder {
    /// Ethernet II. A length in place of the type (802.3) is an unknown type, as in Suricata.
    pub(super) fn ethernet<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        self.counters.ethernet += 1;
        let Some((header, rest)) = data.split_at_checked(14) else {
            return work.fail(Event::EthernetPktTooSmall);
        };
        work.layer()?;
        work.packet.ether = Some(header);
        self.network(work, be16(header, 12).unwrap_or(0), rest, sink);
        Ok(())
    }

    /// Dispatches on an EtherType. What goes wrong further in is the inner layer's to report.
    fn network<'a>(
        &mut self,
        work: &mut Work<'a>,
        kind: u16,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Known {
        let _ = match kind {
            ethertype::IPV4 => self.ipv4(work, data, sink),
            ethertype::IPV6 => self.ipv6(work, data, sink),
            ethertype::ARP => self.arp(work, data),
            ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD => self.vlan(work, data, sink),
            ethertype::MPLS | ethertype::MPLS_MULTICAST => self.mpls(work, data, sink),
            ethertype::PPPOE_SESSION => self.pppoe_session(work, data, sink),
            ethertype::PPPOE_DISCOVERY => self.pppoe_discovery(work, data),
            ethertype::IEEE_8021AH => self.ieee8021ah(work, data, sink),
            ethertype::VNTAG => self.vntag(work, data, sink),
            ethertype::NSH => self.nsh(work, data, sink),
            ethertype::FABRIC_PATH => self.fabric_path(work, data, sink),
            _ => {
                self.counters.unknown_ethertype += 1;
                work.note(Event::EthernetUnknownEthertype);
                return Known::No;
            }
        };
        Known::Yes
    }

    /// 802.1Q tag, at most three.
    pub(super) fn vlan<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.vlan += 1;
        let Some((tag, rest)) = data.split_at_checked(4) else {
            return work.fail(Event::VlanHeaderTooSmall);
        };
        work.layer()?;
        let id = be16(tag, 0).unwrap_or(0) & 0x0fff;
        if !push_vlan(work, id) {
            work.note(Event::VlanTooManyLayers);
            return Err(Failed);
        }
        if self.network(work, be16(tag, 2).unwrap_or(0), rest, sink) == Known::No {
            return work.fail(Event::VlanUnknownType);
        }
        Ok(())
    }

    /// 802.1ah: backbone service tag with the customer's addresses.
    fn ieee8021ah<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        let Some((header, rest)) = data.split_at_checked(18) else {
            return work.fail(Event::Ieee8021ahHeaderTooSmall);
        };
        work.layer()?;
        self.network(work, be16(header, 16).unwrap_or(0), rest, sink);
        Ok(())
    }

    /// 802.1Qbh VN-Tag.
    fn vntag<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        let Some((header, rest)) = data.split_at_checked(6) else {
            return work.fail(Event::VntagHeaderTooSmall);
        };
        work.layer()?;
        if self.network(work, be16(header, 4).unwrap_or(0), rest, sink) == Known::No {
            return work.fail(Event::VntagUnknownType);
        }
        Ok(())
    }

    /// Cisco FabricPath: two bytes, then another Ethernet frame.
    fn fabric_path<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        match data.get(2..) {
            Some(frame) if frame.len() >= 14 => self.ethernet(work, frame, sink),
            _ => work.fail(Event::DcePktTooSmall),
        }
    }

    /// MPLS: the payload has no type, so after the labels it is told by the last label or its first four bits.
    fn mpls<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        self.counters.mpls += 1;
        work.layer()?;
        let mut rest = data;
        let label = loop {
            let Some(entry) = be32(rest, 0) else {
                return work.fail(Event::MplsHeaderTooSmall);
            };
            rest = rest.get(4..).unwrap_or(&[]);
            if entry & 0x100 != 0 {
                break entry >> 12;
            }
        };
        match label {
            0 => return self.ipv4(work, rest, sink),
            1 => work.note(Event::MplsBadLabelRouterAlert),
            2 => return self.ipv6(work, rest, sink),
            3 => work.note(Event::MplsBadLabelImplicitNull),
            4..15 => work.note(Event::MplsBadLabelReserved),
            _ => return self.mpls_payload(work, rest, sink),
        }
        Ok(())
    }

    fn mpls_payload<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        let Some((&[first, ..], behind_control_word)) = data.split_first_chunk::<4>() else {
            return work.fail(Event::MplsPktTooSmall);
        };
        let _ = match first >> 4 {
            4 => self.ipv4(work, data, sink),
            6 => self.ipv6(work, data, sink),
            // RFC 4448: an Ethernet pseudowire puts a control word that starts with four zero bits in front.
            0 => self.ethernet(work, behind_control_word, sink),
            _ => {
                work.spoil(Event::MplsUnknownPayloadType);
                Ok(())
            }
        };
        Ok(())
    }

    /// Network service header, RFC 8300.
    fn nsh<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8], sink: Sink<'_>) -> Step {
        let (Some(first), Some(&[kind, next]), true) = (
            be16(data, 0),
            data.get(2..).and_then(|d| d.first_chunk::<2>()),
            data.len() >= 8,
        ) else {
            return work.fail(Event::NshHeaderTooSmall);
        };
        work.layer()?;
        if first >> 14 != 0 {
            work.note(Event::NshUnsupportedVersion);
            return Ok(());
        }
        let length = usize::from(first & 0x3f) * 4;
        // Something must be left behind the header.
        let payload = match data.get(length..) {
            Some(payload) if !payload.is_empty() => payload,
            _ => return work.fail(Event::NshBadHeaderLength),
        };
        match kind {
            0 | 0xf => {
                work.note(Event::NshReservedType);
                return Ok(());
            }
            1 if length != 24 => return work.fail(Event::NshBadHeaderLength),
            1 | 2 => {}
            _ => {
                work.note(Event::NshUnsupportedType);
                return Ok(());
            }
        }
        match next {
            1 => self.ipv4(work, payload, sink),
            2 => self.ipv6(work, payload, sink),
            3 => self.ethernet(work, payload, sink),
            5 => self.mpls(work, payload, sink),
            _ => {
                work.note(Event::NshUnknownPayload);
                Ok(())
            }
        }
    }

    /// ARP for IPv4 over Ethernet, RFC 826.
    pub(super) fn arp<'a>(&mut self, work: &mut Work<'a>, data: &'a [u8]) -> Step {
        self.counters.arp += 1;
        let Some(
            &[
                hardware_high,
                hardware_low,
                protocol_high,
                protocol_low,
                hardware_size,
                protocol_size,
                op_high,
                op_low,
            ],
        ) = data.first_chunk::<8>()
        else {
            return work.fail(Event::ArpPktTooSmall);
        };
        work.layer()?;
        if [hardware_high, hardware_low] != [0, 1] {
            return work.fail(Event::ArpUnsupportedHardware);
        }
        if u16::from_be_bytes([protocol_high, protocol_low]) != ethertype::IPV4 {
            return work.fail(Event::ArpUnsupportedProtocol);
        }
        let Some(packet) = data.get(..28) else {
            return work.fail(Event::ArpUnsupportedPkt);
        };
        if hardware_size != 6 {
            return work.fail(Event::ArpInvalidHardwareSize);
        }
        if protocol_size != 4 {
            return work.fail(Event::ArpInvalidProtocolSize);
        }
        if !matches!([op_high, op_low], [0, 1..=4]) {
            return work.fail(Event::ArpUnsupportedOpcode);
        }
        work.packet.net = Net::Arp(packet);
        Ok(())
    }

    /// Raw IP: the version tells which.
    pub(super) fn raw_ip<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        match data.first() {
            Some(first) if data.len() >= 20 => match first >> 4 {
                4 => self.ipv4(work, data, sink),
                6 => self.ipv6(work, data, sink),
                _ => {
                    work.note(Event::IprawInvalidIpVersion);
                    Ok(())
                }
            },
            _ => work.fail(Event::Ipv4PktTooSmall),
        }
    }

    /// Linux cooked capture, version 1.
    pub(super) fn linux_sll<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        let Some((header, rest)) = data.split_at_checked(16) else {
            return work.fail(Event::SllPktTooSmall);
        };
        work.layer()?;
        self.network(work, be16(header, 14).unwrap_or(0), rest, sink);
        Ok(())
    }

    /// Linux cooked capture, version 2.
    pub(super) fn linux_sll2<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        let Some((header, rest)) = data.split_at_checked(20) else {
            return work.fail(Event::Sll2PktTooSmall);
        };
        work.layer()?;
        self.network(work, be16(header, 0).unwrap_or(0), rest, sink);
        Ok(())
    }

    /// BSD loopback: an address family in the byte order of the capturing host. It is a small number, so the order
    /// shows.
    pub(super) fn loopback<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        let Some(family) = be32(data, 0) else {
            return work.fail(Event::LtnullPktTooSmall);
        };
        let family = if family > 0xffff {
            family.swap_bytes()
        } else {
            family
        };
        let rest = data.get(4..).unwrap_or(&[]);
        match family {
            2 => self.ipv4(work, rest, sink),
            // AF_INET6 of Linux, Windows, OpenBSD and NetBSD, Solaris, FreeBSD, macOS.
            10 | 23 | 24 | 26 | 28 | 30 => self.ipv6(work, rest, sink),
            _ => {
                work.note(Event::LtnullUnsupportedType);
                Ok(())
            }
        }
    }

    /// Cisco HDLC: address, control, EtherType.
    pub(super) fn chdlc<'a>(
        &mut self,
        work: &mut Work<'a>,
        data: &'a [u8],
        sink: Sink<'_>,
    ) -> Step {
        let Some((header, rest)) = data.split_at_checked(4) else {
            return work.fail(Event::ChdlcPktTooSmall);
        };
        work.layer()?;
        self.network(work, be16(header, 2).unwrap_or(0), rest, sink);
        Ok(())
    }
}

/// Adds a VLAN layer; false when there are three already.
pub(super) fn push_vlan(work: &mut Work<'_>, id: u16) -> bool {
    let packet = &mut work.packet;
    match packet.vlan.get_mut(usize::from(packet.vlan_layers)) {
        Some(place) => {
            *place = id;
            packet.vlan_layers += 1;
            true
        }
        None => false,
    }
}
