//! Frames (RFC 9113, 4 and 6).

use super::hpack::Field;
use crate::app::bytes::Bytes;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
const HAS_PRIORITY: u8 = 0x20;

/// A frame's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) len: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Header {
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let mut ahead = *bytes;
        let header = Self {
            len: ahead.u24()?,
            kind: ahead.u8()?,
            flags: ahead.u8()?,
            stream: ahead.u32()? & 0x7fff_ffff,
        };
        *bytes = ahead;
        Some(header)
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What a frame says.
#[derive(Debug)]
pub(super) enum Said {
    Data,
    /// Headers, and a weight.
    Headers(Vec<Field>, Option<u8>),
    /// The promised stream, headers, and whether there are no more.
    Promise(u32, Vec<Field>, bool),
    /// Headers, and whether there are no more.
    Continuation(Vec<Field>, bool),
    Priority(u8),
    Reset(u32),
    Goaway(u32),
    Settings(Vec<(u16, u32)>),
    Window(u32),
    /// Nothing that is looked at, or nothing that can be read.
    Nothing,
}

/// Frames of one size: what they say, `None` where they have another.
pub(super) fn fixed(header: Header, payload: &[u8]) -> Option<Said> {
    let mut rest = Bytes(payload);
    let said = match header.kind {
        PRIORITY => {
            rest.u32()?;
            Said::Priority(rest.u8()?)
        }
        RST_STREAM => Said::Reset(rest.u32()?),
        _ => Said::Window(rest.u32()? & 0x7fff_ffff),
    };
    rest.is_empty().then_some(said)
}

/// Settings that are known.
pub(super) fn settings(payload: &[u8]) -> Vec<(u16, u32)> {
    let mut rest = Bytes(payload);
    let mut settings = Vec::new();
    while let (Some(id), Some(value)) = (rest.u16(), rest.u32()) {
        // What follows one that is not known is not looked at, as in Suricata.
        if !(1..=6).contains(&id) {
            break;
        }
        settings.push((id, value));
    }
    settings
}

/// A body without its padding.
pub(super) fn unpadded(header: Header, payload: &[u8]) -> &[u8] {
    match payload.split_first() {
        Some((&padding, rest)) if header.has(PADDED) => {
            let len = rest.len().checked_sub(padding.into());
            len.and_then(|len| rest.get(..len)).unwrap_or(payload)
        }
        _ => payload,
    }
}

/// What comes before a block of headers: a weight, or a promised stream; and the block.
pub(super) fn before_block(
    header: Header,
    payload: &[u8],
) -> Option<(Option<u8>, Option<u32>, &[u8])> {
    let mut rest = Bytes(payload);
    let padding = if header.has(PADDED) { rest.u8()? } else { 0 };
    let (mut weight, mut promised) = (None, None);
    if header.kind == PUSH_PROMISE {
        promised = Some(rest.u32()? & 0x7fff_ffff);
    } else if header.has(HAS_PRIORITY) {
        rest.u32()?;
        weight = Some(rest.u8()?);
    }
    let block = rest.len().saturating_sub(padding.into());
    Some((weight, promised, rest.take(block)?))
}
