//! Writing an answer.

use std::net::IpAddr;

use weir_engine::packet::checksum;

/// Hops of an answer.
const HOPS: u8 = 64;
/// Bytes of the smallest Ethernet frame, without its checksum.
const SMALLEST: usize = 60;

/// A frame that is being written.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// `None` when there is no room.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.out.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    /// Puts bytes whose checksum goes to `at` in them.
    pub(super) fn put_with_checksum(&mut self, bytes: &[u8], at: usize, sum: u16) -> Option<()> {
        let start = self.at;
        self.put(bytes)?;
        let field = self.out.get_mut(start..)?.get_mut(at..)?;
        *field.first_chunk_mut()? = sum.to_be_bytes();
        Some(())
    }

    /// An Ethernet header with its tags, `back` to where it came from or on to where it goes.
    pub(super) fn link(&mut self, link: &[u8], back: bool) -> Option<()> {
        let (addresses, rest) = link.split_at_checked(12)?;
        let (destination, source) = addresses.split_at_checked(6)?;
        if back {
            self.put(source)?;
            self.put(destination)?;
        } else {
            self.put(addresses)?;
        }
        self.put(rest)
    }

    /// The frame's length, padded as Ethernet wants it.
    pub(super) fn finish(mut self) -> Option<usize> {
        let padding = SMALLEST.saturating_sub(self.at);
        self.put([0; SMALLEST].get(..padding)?)?;
        Some(self.at)
    }
}

/// An IP header of either version, without options.
pub(super) enum IpHeader {
    V4([u8; 20]),
    V6([u8; 40]),
}

impl IpHeader {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(header) => header,
            Self::V6(header) => header,
        }
    }
}

/// The header of a packet that carries `length` bytes of `proto`.
pub(super) fn ip_header(src: IpAddr, dst: IpAddr, proto: u8, length: usize) -> Option<IpHeader> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let [high, low] = u16::try_from(20 + length).ok()?.to_be_bytes();
            // Not to be fragmented, so that it needs no identification (RFC 6864).
            let fixed = [0x45, 0, high, low, 0, 0, 0x40, 0, HOPS, proto, 0, 0];
            let mut header = [0; 20];
            let fields = fixed.into_iter().chain(src.octets()).chain(dst.octets());
            for (to, from) in header.iter_mut().zip(fields) {
                *to = from;
            }
            [header[10], header[11]] = checksum::of(&header).to_be_bytes();
            Some(IpHeader::V4(header))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
            let fixed = [0x60, 0, 0, 0, high, low, proto, HOPS];
            let mut header = [0; 40];
            let fields = fixed.into_iter().chain(src.octets()).chain(dst.octets());
            for (to, from) in header.iter_mut().zip(fields) {
                *to = from;
            }
            Some(IpHeader::V6(header))
        }
        _ => None,
    }
}
