//! Frames of first packets (RFC 9000, section 19), and the tags of Google's hellos.

use super::packet::varint;
use crate::app::bytes::Bytes;

/// Tags that are known, in the order of their names; shorter ones end with zeros on the wire.
const TAGS: [&str; 30] = [
    "AEAD", "CCRT", "CCS", "CETV", "CFCW", "CHLO", "COPT", "CSCT", "CTIM", "ICSL", "IRTT", "KEXS",
    "MIDS", "MSPC", "NONC", "NONP", "PAD", "PDMD", "PUBS", "SCID", "SCLS", "SFCW", "SMHL", "SNI",
    "SNO", "STK", "TCID", "UAID", "VER", "XLCT",
];

/// A tag and its value.
pub(super) type Tag<'a> = (&'static str, &'a [u8]);

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A piece of the handshake, and where it belongs.
    Crypto { offset: u64, data: &'a [u8] },
    /// A message of Google's handshake.
    Tags(Vec<Tag<'a>>),
}

/// All frames of a packet; `None` where they make no sense.
pub(super) fn read(packet: &[u8]) -> Option<Vec<Frame<'_>>> {
    let mut frames = Vec::new();
    let mut bytes = Bytes(packet);
    while let Some(kind) = bytes.u8() {
        match kind {
            0 | 1 => {}
            2 | 3 => acknowledgement(&mut bytes, kind == 3)?,
            6 => {
                let offset = varint(&mut bytes)?;
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                let data = bytes.take(len)?;
                frames.push(Frame::Crypto { offset, data });
            }
            8 => {
                varint(&mut bytes)?;
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                frames.extend(tags(bytes.take(len)?).map(Frame::Tags));
            }
            kind if kind & 0x80 != 0 => {
                let data = stream(&mut bytes, kind)?;
                frames.extend(tags(data).map(Frame::Tags));
            }
            // Nobody knows how long it is.
            _ => break,
        }
    }
    Some(frames)
}

fn acknowledgement(bytes: &mut Bytes<'_>, counts: bool) -> Option<()> {
    let (_largest, _delay) = (varint(bytes)?, varint(bytes)?);
    let ranges = varint(bytes)?;
    varint(bytes)?;
    for _ in 0..ranges {
        varint(bytes)?;
        varint(bytes)?;
    }
    if counts {
        for _ in 0..3 {
            varint(bytes)?;
        }
    }
    Some(())
}

/// The data of a stream frame of Google's: `1fdoooss`.
fn stream<'a>(bytes: &mut Bytes<'a>, kind: u8) -> Option<&'a [u8]> {
    bytes.take(usize::from(kind & 3) + 1)?;
    let offset = usize::from(kind >> 2 & 7);
    bytes.take(if offset == 0 { 0 } else { offset + 1 })?;
    if kind & 0x20 != 0 {
        bytes.counted16()
    } else {
        Some(bytes.rest())
    }
}

/// A message of tags: its own tag, how many follow, each with where its value ends, then the values.
fn tags(message: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut bytes = Bytes(message);
    tag(&mut bytes)?;
    let count = little(bytes.take(2)?);
    bytes.take(2)?;
    let mut ends = Vec::new();
    for _ in 0..count {
        let tag = tag(&mut bytes)?;
        ends.push((tag, little(bytes.take(4)?)));
    }
    let mut tags = Vec::new();
    let mut before = 0;
    for (tag, end) in ends {
        tags.push((tag, bytes.take(end.checked_sub(before)?)?));
        before = end;
    }
    bytes.is_empty().then_some(tags)
}

fn tag(bytes: &mut Bytes<'_>) -> Option<&'static str> {
    let name = bytes.take(4)?;
    let end = name
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    let name = name.get(..end)?;
    TAGS.into_iter().find(|tag| tag.as_bytes() == name)
}

fn little(bytes: &[u8]) -> usize {
    let digits = bytes.iter().rev().map(|&byte| usize::from(byte));
    digits.fold(0, |number, byte| number << 8 | byte)
}
