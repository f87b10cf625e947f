//! Headers of packets: QUIC 1 and 2 (RFC 9000, section 17; RFC 9369), its drafts, and Google's QUIC from 43 to 46.

use super::crypto::VERSION_2;
use crate::app::bytes::Bytes;

/// Google's version 46, from which on its packets look like IETF's.
pub(super) const Q046: u32 = 0x5130_3436;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
    VersionNegotiation,
}

/// A long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) kind: Kind,
    pub(super) version: u32,
    /// The connection that it is for.
    pub(super) destination: &'a [u8],
    /// Bytes of the header; what it says follows.
    pub(super) size: usize,
    /// Bytes of what follows.
    pub(super) len: usize,
}

/// True for a version of Google's that is read.
pub(super) fn is_google(version: u32) -> bool {
    matches!(version, 0x5130_3433..=Q046)
}

/// A number that says its own length (RFC 9000, section 16).
pub(super) fn varint(bytes: &mut Bytes<'_>) -> Option<u64> {
    let first = bytes.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let rest = bytes.take(more)?;
    let number = rest.iter().fold(u64::from(first & 0x3f), |number, byte| {
        number << 8 | u64::from(*byte)
    });
    Some(number)
}

impl<'a> Header<'a> {
    /// The header of the packet at the front; `Ok(None)` for a short one, an error for what is none.
    pub(super) fn read(packet: &'a [u8]) -> Result<Option<Self>, ()> {
        match packet.first() {
            None => Err(()),
            Some(first) if first & 0x80 == 0 => Ok(None),
            Some(_) => Self::read_long(packet).map(Some).ok_or(()),
        }
    }

    fn read_long(packet: &'a [u8]) -> Option<Self> {
        let mut bytes = Bytes(packet);
        let first = bytes.u8()?;
        let version = bytes.u32()?;
        let google = is_google(version);
        let kind = kind(first, version)?;
        let destination;
        if google {
            // Both lengths in a byte; 0 is none, else three more than it says.
            let lengths = bytes.u8()?;
            let [to, from] = [lengths >> 4, lengths & 0x0f]
                .map(|len| if len == 0 { 0 } else { usize::from(len) + 3 });
            destination = bytes.take(to)?;
            bytes.take(from)?;
        } else {
            let to = bytes.u8()?;
            destination = bytes.take(to.into())?;
            let from = bytes.u8()?;
            bytes.take(from.into())?;
        }
        let len = match kind {
            Kind::Initial if google => {
                // Number, and a hash.
                bytes.take(16)?;
                bytes.len()
            }
            Kind::Retry | Kind::VersionNegotiation => bytes.len(),
            _ if google => bytes.len(),
            Kind::Initial | Kind::ZeroRtt | Kind::Handshake => {
                if kind == Kind::Initial {
                    let token = usize::try_from(varint(&mut bytes)?).ok()?;
                    bytes.take(token)?;
                }
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                (len <= bytes.len()).then_some(len)?
            }
        };
        Some(Self {
            kind,
            version,
            destination,
            size: packet.len() - bytes.len(),
            len,
        })
    }
}

fn kind(first: u8, version: u32) -> Option<Kind> {
    if version == 0 {
        return Some(Kind::VersionNegotiation);
    }
    if is_google(version) && version != Q046 {
        return Some(match first & 0x7f {
            0x7f => Kind::Initial,
            0x7e => Kind::Retry,
            0x7d => Kind::Handshake,
            0x7c => Kind::ZeroRtt,
            _ => return None,
        });
    }
    let kinds = if version == VERSION_2 {
        [Kind::Retry, Kind::Initial, Kind::ZeroRtt, Kind::Handshake]
    } else {
        [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry]
    };
    kinds.get(usize::from(first >> 4 & 3)).copied()
}
