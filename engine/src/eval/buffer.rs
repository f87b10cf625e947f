//! The buffers of a packet.

use super::Subject;
use crate::packet::{Net, Transport};
use crate::plan::Buffer;

/// Bytes of an ARP packet for IPv4 over Ethernet, which is what `arp.hdr` shows.
const ARP_HEADER: usize = 28;

/// The bytes of a buffer, `None` where the packet has no such thing. `joined` is where parts are put together that do
/// not lie side by side.
pub(super) fn select<'a>(
    buffer: Buffer,
    subject: &Subject<'a>,
    joined: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    let packet = subject.packet;
    match buffer {
        // A payload of no bytes is as good as none: Suricata does not look at such packets for the rules that do.
        Buffer::Payload => Some(subject.payload).filter(|payload| !payload.is_empty()),
        Buffer::EtherHdr => packet.ether,
        Buffer::ArpHdr => match packet.net {
            Net::Arp(bytes) => Some(bytes.get(..ARP_HEADER).unwrap_or(bytes)),
            _ => None,
        },
        Buffer::Ipv4Hdr => match packet.net {
            Net::V4 { header } => Some(header),
            _ => None,
        },
        Buffer::Ipv6Hdr => match packet.net {
            Net::V6 {
                header,
                extensions: [],
            } => Some(header),
            Net::V6 { header, extensions } => {
                joined.clear();
                joined.extend_from_slice(header);
                joined.extend_from_slice(extensions);
                Some(joined)
            }
            _ => None,
        },
        Buffer::TcpHdr => packet.tcp(),
        Buffer::UdpHdr => match packet.transport {
            Transport::Udp { header } => Some(header),
            _ => None,
        },
        Buffer::Icmp4Hdr => match packet.transport {
            Transport::Icmp4 { header } => Some(header),
            _ => None,
        },
        Buffer::Icmp6Hdr => match packet.transport {
            Transport::Icmp6 { header } => Some(header),
            _ => None,
        },
        Buffer::IgmpHdr => match packet.transport {
            Transport::Igmp { header } => Some(header),
            _ => None,
        },
        Buffer::IpSrc => match packet.net {
            Net::V4 { header } => header.get(12..16),
            Net::V6 { header, .. } => header.get(8..24),
            _ => None,
        },
        Buffer::IpDst => match packet.net {
            Net::V4 { header } => header.get(16..20),
            Net::V6 { header, .. } => header.get(24..40),
            _ => None,
        },
    }
}
