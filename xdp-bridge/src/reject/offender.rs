//! What has to be known of a frame to answer it, and whether it may be answered.

use std::net::IpAddr;

use super::{ACK, FIN, ICMP, ICMPV6, RST, SYN};

/// Most VLAN tags of a frame that is answered.
const TAGS: usize = 3;
/// Most extension headers of an IPv6 packet that is answered.
const EXTENSIONS: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// A frame that may be answered, as far as Ethernet and IP go.
pub(super) struct Offender<'a> {
    /// Addresses, tags and type.
    pub(super) link: &'a [u8],
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// The IP packet, without what pads the frame.
    pub(super) packet: &'a [u8],
    /// What it carries.
    pub(super) proto: u8,
    /// The header of that, and what follows.
    pub(super) payload: &'a [u8],
    /// False for a first fragment: more follows.
    pub(super) whole: bool,
}

impl<'a> Offender<'a> {
    /// `None` for what must not be answered, or is not understood.
    pub(super) fn parse(frame: &'a [u8]) -> Option<Self> {
        // A group's address has the lowest bit of its first byte set; the sender is never one.
        if (frame.first()? | frame.get(6)?) & 1 != 0 {
            return None;
        }
        let mut at = 12;
        let mut kind = be16(frame, at)?;
        for _ in 0..TAGS {
            if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            at += 4;
            kind = be16(frame, at)?;
        }
        let (link, ip) = frame.split_at_checked(at + 2)?;
        let offender = match kind {
            0x0800 => Self::v4(link, ip)?,
            0x86dd => Self::v6(link, ip)?,
            _ => return None,
        };
        (is_host(offender.src) && is_host(offender.dst)).then_some(offender)
    }

    fn v4(link: &'a [u8], ip: &'a [u8]) -> Option<Self> {
        let &[first, _, _, _, _, _, flags, offset, _, proto] = ip.first_chunk()?;
        let header = usize::from(first & 0xf) * 4;
        let packet = ip.get(..be16(ip, 2)?.into())?;
        // Not the first fragment.
        let later = flags & 0x1f != 0 || offset != 0;
        if first >> 4 != 4 || header < 20 || later {
            return None;
        }
        Some(Self {
            link,
            src: IpAddr::from(*packet.get(12..)?.first_chunk::<4>()?),
            dst: IpAddr::from(*packet.get(16..)?.first_chunk::<4>()?),
            packet,
            proto,
            payload: packet.get(header..)?,
            whole: flags & 0x20 == 0,
        })
    }

    fn v6(link: &'a [u8], ip: &'a [u8]) -> Option<Self> {
        let length = usize::from(be16(ip, 4)?);
        let packet = ip.get(..40 + length)?;
        let mut payload = packet.get(40..)?;
        let mut proto = *packet.get(6)?;
        let mut whole = true;
        // A length of zero is that of a jumbogram, or of nothing.
        if packet.first()? >> 4 != 6 || length == 0 {
            return None;
        }
        for _ in 0..EXTENSIONS {
            let header = match proto {
                HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                    8 + usize::from(*payload.get(1)?) * 8
                }
                AUTHENTICATION => match usize::from(*payload.get(1)?) {
                    // Shorter than its own fields: who reads it may find an error behind it, or something else.
                    0 => return None,
                    words => 8 + words * 4,
                },
                FRAGMENT => {
                    let word = be16(payload, 2)?;
                    if word & 0xfff8 != 0 {
                        return None;
                    }
                    whole &= word & 1 == 0;
                    8
                }
                _ => break,
            };
            proto = *payload.first()?;
            payload = payload.get(header..)?;
        }
        // What comes behind more of them may be an error, which is not answered.
        if is_extension(proto) {
            return None;
        }
        Some(Self {
            link,
            src: IpAddr::from(*packet.get(8..)?.first_chunk::<16>()?),
            dst: IpAddr::from(*packet.get(24..)?.first_chunk::<16>()?),
            packet,
            proto,
            payload,
            whole,
        })
    }

    /// True for ICMP errors and redirects, and for ICMP of which that cannot be told.
    pub(super) fn is_icmp_error(&self) -> bool {
        let kind = self.payload.first().copied();
        match (self.src, self.proto) {
            (IpAddr::V4(_), ICMP) => matches!(kind, None | Some(3 | 4 | 5 | 11 | 12)),
            (IpAddr::V6(_), ICMPV6) => matches!(kind, None | Some(..128 | 137)),
            _ => false,
        }
    }
}

/// True for the extension headers that are stepped over.
fn is_extension(proto: u8) -> bool {
    matches!(
        proto,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6
    )
}

/// True for the address of one host.
fn is_host(address: IpAddr) -> bool {
    let none = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    match address {
        // 240.0.0.0/4 is reserved, and broadcast is its last one.
        IpAddr::V4(v4) => !none && v4.octets()[0] < 240,
        IpAddr::V6(_) => !none,
    }
}

/// A TCP segment that may be answered.
pub(super) struct Segment {
    /// Source and destination port.
    pub(super) ports: [u16; 2],
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: u8,
    /// The sequence number behind it; `None` when its length is not known.
    pub(super) end: Option<u32>,
}

impl Segment {
    pub(super) fn parse(offender: &Offender<'_>) -> Option<Self> {
        let tcp = offender.payload;
        let header = tcp.first_chunk::<20>()?;
        let flags = header[13];
        let length = usize::from(header[12] >> 4) * 4;
        let data = tcp.get(length..)?;
        if length < 20 || flags & RST != 0 {
            return None;
        }
        let sequence = be32(header, 4)?;
        // SYN and FIN count as a byte each.
        let extra = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let end = sequence.wrapping_add(data.len() as u32).wrapping_add(extra);
        Some(Self {
            ports: [be16(header, 0)?, be16(header, 2)?],
            sequence,
            acknowledgement: be32(header, 8)?,
            flags,
            end: (offender.whole && flags & ACK == 0).then_some(end),
        })
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
