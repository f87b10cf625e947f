//! Header fields of a packet, read where they stand.
//!
//! Every accessor is a bounds-checked load from a header slice: `None` means that the packet has no such field.

use super::{Net, Packet, Transport};

/// Big-endian 16-bit number at `at`.
#[inline]
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*field))
}

/// Big-endian 32-bit number at `at`.
#[inline]
pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*field))
}

/// Walks TLV options as IPv4 (RFC 791) and TCP (RFC 9293) write them: type 0 ends the list, type 1 is one byte, every
/// other type is followed by a length that counts type and length. Stops at the first malformed option.
#[derive(Clone, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What the walk has not come to: after the last item, nothing, or a malformed option and all behind it.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Options<'a> {
    /// Type and value (without type and length) of one option.
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.0.split_first()?;
        match kind {
            0 => {
                self.0 = &[];
                Some((kind, &[]))
            }
            1 => {
                self.0 = rest;
                Some((kind, &[]))
            }
            _ => {
                let (option, behind) = self.0.split_at_checked(usize::from(*rest.first()?))?;
                let value = option.get(2..)?;
                self.0 = behind;
                Some((kind, value))
            }
        }
    }
}

impl<'a> Packet<'a> {
    /// True where the packet has an IPv4 or IPv6 header.
    pub fn is_ip(&self) -> bool {
        matches!(self.net, Net::V4 { .. } | Net::V6 { .. })
    }

    /// The TCP header, if this is a whole TCP packet.
    pub fn tcp(&self) -> Option<&'a [u8]> {
        match self.transport {
            Transport::Tcp { header } => Some(header),
            _ => None,
        }
    }

    fn ip4(&self) -> Option<&'a [u8]> {
        match self.net {
            Net::V4 { header } => Some(header),
            _ => None,
        }
    }

    /// IPv4 time to live, IPv6 hop limit.
    pub fn ttl(&self) -> Option<u8> {
        match self.net {
            Net::V4 { header } => header.get(8).copied(),
            Net::V6 { header, .. } => header.get(7).copied(),
            _ => None,
        }
    }

    /// IPv4 type of service byte (DSCP and ECN); `None` on IPv6, whose traffic class Suricata's `tos` does not look at.
    pub fn tos(&self) -> Option<u8> {
        self.ip4()?.get(1).copied()
    }

    /// IPv4 identification.
    pub fn ip_id(&self) -> Option<u16> {
        be16(self.ip4()?, 4)
    }

    /// Fragment offset as Suricata's `fragoffset` compares it: in units of 8 bytes on IPv4, in bytes on IPv6, where it
    /// needs a fragment header.
    pub fn frag_offset(&self) -> Option<u16> {
        match self.net {
            Net::V4 { header } => Some(be16(header, 6)? & 0x1fff),
            Net::V6 { header, extensions } => {
                let fragment = super::ipv6::fragment_header(*header.get(6)?, extensions)?;
                Some(be16(fragment, 2)? & 0xfff8)
            }
            _ => None,
        }
    }

    /// The three flag bits of the IPv4 fragment word, in place: 0x8000 reserved, 0x4000 don't fragment, 0x2000 more
    /// fragments.
    pub fn frag_bits(&self) -> Option<u16> {
        Some(be16(self.ip4()?, 6)? & 0xe000)
    }

    /// Types of the IPv4 options, in order, up to the first malformed one; nothing for other packets.
    pub fn ip_options(&self) -> impl Iterator<Item = u8> + use<'a> {
        Options::new(
            self.ip4()
                .and_then(|header| header.get(20..))
                .unwrap_or(&[]),
        )
        .map(|(kind, _)| kind)
    }

    /// TCP flags: FIN 0x01, SYN 0x02, RST 0x04, PSH 0x08, ACK 0x10, URG 0x20, ECE 0x40, CWR 0x80.
    pub fn tcp_flags(&self) -> Option<u8> {
        self.tcp()?.get(13).copied()
    }

    /// TCP sequence number.
    pub fn tcp_seq(&self) -> Option<u32> {
        be32(self.tcp()?, 4)
    }

    /// TCP acknowledgement number, whether or not the ACK flag is set.
    pub fn tcp_ack(&self) -> Option<u32> {
        be32(self.tcp()?, 8)
    }

    /// TCP window as it stands in the header (not scaled).
    pub fn tcp_window(&self) -> Option<u16> {
        be16(self.tcp()?, 14)
    }

    /// The TCP options: type and value.
    pub fn tcp_options(&self) -> Options<'a> {
        Options::new(
            self.tcp()
                .and_then(|header| header.get(20..))
                .unwrap_or(&[]),
        )
    }

    /// First TCP option `kind` whose value has `len` bytes.
    fn tcp_option(&self, kind: u8, len: usize) -> Option<&'a [u8]> {
        self.tcp_options()
            .find_map(|(found, value)| (found == kind && value.len() == len).then_some(value))
    }

    /// TCP maximum segment size, if the option is there (RFC 9293, 3.7.1).
    pub fn tcp_mss(&self) -> Option<u16> {
        be16(self.tcp_option(2, 2)?, 0)
    }

    /// TCP window scale, the shift count as it stands in the option; 0 for a shift above the 14 that RFC 7323 allows,
    /// as Suricata has it.
    pub fn tcp_wscale(&self) -> Option<u8> {
        let shift = *self.tcp_option(3, 1)?.first()?;
        Some(if shift <= 14 { shift } else { 0 })
    }

    /// ICMPv4 or ICMPv6 header.
    fn icmp(&self) -> Option<&'a [u8]> {
        match self.transport {
            Transport::Icmp4 { header } | Transport::Icmp6 { header } => Some(header),
            _ => None,
        }
    }

    /// ICMPv4 or ICMPv6 type.
    pub fn icmp_type(&self) -> Option<u8> {
        self.icmp()?.first().copied()
    }

    /// ICMPv4 or ICMPv6 code.
    pub fn icmp_code(&self) -> Option<u8> {
        self.icmp()?.get(1).copied()
    }

    /// The ICMP header where its type has an identifier and a sequence number: echo, and for ICMPv4 also timestamp,
    /// information and address mask.
    fn icmp_query(&self) -> Option<&'a [u8]> {
        match self.transport {
            Transport::Icmp4 { header } => {
                matches!(header.first()?, 0 | 8 | 13..=18).then_some(header)
            }
            Transport::Icmp6 { header } => matches!(header.first()?, 128 | 129).then_some(header),
            _ => None,
        }
    }

    /// Identifier of an ICMP query or its answer.
    pub fn icmp_id(&self) -> Option<u16> {
        be16(self.icmp_query()?, 4)
    }

    /// Sequence number of an ICMP query or its answer.
    pub fn icmp_seq(&self) -> Option<u16> {
        be16(self.icmp_query()?, 6)
    }

    /// MTU of an ICMPv6 "packet too big" message (RFC 4443, 3.2).
    pub fn icmp6_mtu(&self) -> Option<u32> {
        match self.transport {
            Transport::Icmp6 { header } if header.first() == Some(&2) => be32(header, 4),
            _ => None,
        }
    }

    /// IGMP type.
    pub fn igmp_type(&self) -> Option<u8> {
        match self.transport {
            Transport::Igmp { header } => header.first().copied(),
            _ => None,
        }
    }
}
