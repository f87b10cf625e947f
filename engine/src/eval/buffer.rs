//! The buffers of a packet, as rules look at them.

use super::Subject;
use super::transform::Transformer;
use crate::packet::{Net, Transport};
use crate::plan::{Buffer, Transform};

/// Finds the bytes of buffers and transforms them, in memory that is kept from one to the next.
#[derive(Debug)]
pub struct Buffers {
    /// Where the parts of a buffer are put together.
    joined: Vec<u8>,
    transformer: Transformer,
}

impl Buffers {
    /// With no memory yet.
    pub fn new() -> Self {
        Self {
            joined: Vec::with_capacity(256),
            transformer: Transformer::new(),
        }
    }

    /// The bytes of a buffer after these transforms; `None` where the subject has no such thing.
    #[inline]
    pub fn bytes<'a>(
        &'a mut self,
        buffer: Buffer,
        transforms: &[Transform],
        subject: &Subject<'a>,
    ) -> Option<&'a [u8]> {
        let bytes = select(buffer, subject, &mut self.joined)?;
        Some(self.transformer.apply(transforms, bytes))
    }

    /// Bytes after these transforms.
    #[inline]
    pub fn transformed<'a>(&'a mut self, transforms: &[Transform], bytes: &'a [u8]) -> &'a [u8] {
        self.transformer.apply(transforms, bytes)
    }

    /// How many decompressions were cut off at their limit, and how many expressions were given up at theirs.
    pub fn limits(&self) -> (u64, u64) {
        (self.transformer.cut, self.transformer.pcre_limits)
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of an ARP packet for IPv4 over Ethernet, which is what `arp.hdr` shows.
const ARP_HEADER: usize = 28;

/// The bytes of a buffer, `None` where the packet has no such thing. `joined` is where parts are put together that do
/// not lie side by side.
fn select<'a>(buffer: Buffer, subject: &Subject<'a>, joined: &'a mut Vec<u8>) -> Option<&'a [u8]> {
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
        Buffer::App(_) | Buffer::AppOf(..) => {
            let (buffer, way) = super::parts::of_transaction(buffer, subject)?;
            subject.app.transaction?.buffers(way, buffer).next()
        }
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
