//! Texts and places in records of SMB 1.

use super::state::{NAME_LIMIT, Record};
use super::transaction::FileId;

/// A string that ends with zero, and where the next one begins. Of UTF-16 the low bytes are kept, as Suricata does.
pub(super) fn string(r: &Record<'_>, mut at: usize) -> Option<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    let width = if r.unicode { 2 } else { 1 };
    if r.unicode {
        at += at % 2;
    }
    loop {
        let unit = r.bytes.get(at..at + width)?;
        at += width;
        if unit.iter().all(|&byte| byte == 0) {
            return Some((text, at));
        }
        if text.len() < NAME_LIMIT {
            text.extend(unit.first());
        }
    }
}

/// A string of one byte each.
pub(super) fn narrow(r: &Record<'_>, at: usize) -> Option<String> {
    let rest = r.bytes.get(at..)?;
    let end = memchr::memchr(0, rest)?;
    let text = rest.get(..end.min(NAME_LIMIT))?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// A file: its number, and who opened it.
pub(super) fn file(r: &Record<'_>, at: usize) -> Option<FileId> {
    Some(FileId::from(r.u16(at)?) | FileId::from(r.session) << 16)
}

/// Where the bytes begin, behind the words of a command at this place.
pub(super) fn bytes_at(r: &Record<'_>, at: usize) -> Option<usize> {
    Some(at + 3 + 2 * usize::from(r.u8(at)?))
}

/// Operating system and LAN manager.
pub(super) fn hosts(r: &Record<'_>, at: usize) -> Option<(String, String)> {
    let (os, next) = string(r, at)?;
    let (manager, _) = string(r, next)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(os), text(manager)))
}
