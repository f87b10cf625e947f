//! Sets of data that rules ask and change.

mod file;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StateError;
use super::sharded::Sharded;
use crate::plan::{Compare, DataSet, DatasetOp, SetKind};

/// What a member takes beside its bytes: the entry of the map, and its part of the map's free places.
const ENTRY_BYTES: u64 = 80;

/// A set and its members.
pub(super) struct Set {
    definition: DataSet,
    memcap: u64,
    held: Arc<Held>,
}

/// What is in a set.
struct Held {
    /// Members and their reputation.
    members: Sharded<Box<[u8]>, u16>,
    used: AtomicU64,
    full: AtomicU64,
}

/// A file of a set: its place, and whether it must be there.
struct Source {
    path: PathBuf,
    required: bool,
    /// What it held, where that is known: then it is not opened.
    contents: Option<Arc<[u8]>>,
}

impl Set {
    /// An empty set; `memcap` where its definition has none.
    fn empty(definition: &DataSet, memcap: u64) -> Self {
        Self {
            definition: definition.clone(),
            memcap: definition.memcap.unwrap_or(memcap),
            held: Arc::new(Held {
                // Bytes are what limits it; members beyond are refused, not others forgotten.
                members: Sharded::new(usize::MAX),
                used: AtomicU64::new(0),
                full: AtomicU64::new(0),
            }),
        }
    }

    /// The set as other rules define it, with the members that it has; `None` where it is of another kind.
    pub(super) fn redefined(&self, definition: &DataSet, memcap: u64) -> Option<Self> {
        (self.definition.kind == definition.kind).then(|| Self {
            definition: definition.clone(),
            memcap: definition.memcap.unwrap_or(memcap),
            held: Arc::clone(&self.held),
        })
    }

    /// Reads the set's files: the one it is loaded from, and what an earlier run left in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read, has something in it that is no member, or is more than the set may hold.
    pub(super) fn read(
        definition: &DataSet,
        memcap: u64,
        folder: Option<&Path>,
    ) -> Result<Self, StateError> {
        let set = Self::empty(definition, memcap);
        let load = definition.load.iter().map(|path| Source {
            path: path.clone(),
            required: true,
            contents: definition.contents.clone(),
        });
        let restored = definition.save.iter().filter(|_| definition.restore);
        let restored = restored.zip(folder).map(|(name, folder)| Source {
            path: folder.join(name),
            required: false,
            contents: None,
        });
        for source in load.chain(restored) {
            file::read(&set, &source)?;
        }
        Ok(set)
    }

    /// Writes the set into `folder`, if its definition says so. The file is whole or as it was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StateError> {
        match &self.definition.save {
            Some(name) => file::write(self, &folder.join(name)),
            None => Ok(()),
        }
    }

    /// What the set is called and what it may hold.
    pub(super) fn definition(&self) -> &DataSet {
        &self.definition
    }

    /// True when the test holds; a test that changes the set has done so.
    pub(super) fn test(&self, op: DatasetOp, bytes: &[u8]) -> bool {
        let Some(member) = self.member(bytes) else {
            // Not of the set's kind: not in it, and not to be put in.
            return op == DatasetOp::IsNotSet && !bytes.is_empty();
        };
        match op {
            DatasetOp::IsSet => self.held.members.with(&member, |found| found.is_some()),
            DatasetOp::IsNotSet => self.held.members.with(&member, |found| found.is_none()),
            DatasetOp::Set => self.add(member, 0),
            DatasetOp::Unset => self.remove(&member),
        }
    }

    /// Compares the reputation of a member; false for what is not in the set.
    pub(super) fn reputation(&self, bytes: &[u8], compare: Compare, value: u16) -> bool {
        self.member(bytes)
            .and_then(|member| self.held.members.with(&member, |found| found.copied()))
            .is_some_and(|reputation| {
                super::eval::compare(compare, reputation.into(), value.into())
            })
    }

    /// Members that were not added for want of memory.
    pub(super) fn full(&self) -> u64 {
        self.held.full.load(Ordering::Relaxed)
    }

    /// Members.
    pub(super) fn len(&self) -> usize {
        self.held.members.len()
    }

    /// Adds a member; false when it was there, or there is no room.
    fn add(&self, member: Box<[u8]>, reputation: u16) -> bool {
        let bytes = member.len() as u64 + ENTRY_BYTES;
        if self.held.members.with(&member, |found| found.is_some()) {
            return false;
        }
        if self.held.used.load(Ordering::Relaxed).saturating_add(bytes) > self.memcap {
            self.held.full.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let mut new = false;
        let make = || {
            new = true;
            reputation
        };
        self.held.members.entry(&member, make, |_| false, |_| ());
        if new {
            self.held.used.fetch_add(bytes, Ordering::Relaxed);
        }
        new
    }

    fn remove(&self, member: &[u8]) -> bool {
        let removed = self.held.members.remove(&Box::from(member)).is_some();
        if removed {
            let bytes = member.len() as u64 + ENTRY_BYTES;
            self.held.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        removed
    }

    /// The bytes that stand for a value in the set; `None` when it cannot be a member.
    fn member(&self, bytes: &[u8]) -> Option<Box<[u8]>> {
        match self.definition.kind {
            SetKind::String => (!bytes.is_empty()).then(|| bytes.into()),
            SetKind::Md5 => (bytes.len() == 16).then(|| bytes.into()),
            SetKind::Sha256 => (bytes.len() == 32).then(|| bytes.into()),
            SetKind::Ipv4 => (bytes.len() == 4).then(|| bytes.into()),
            SetKind::Ip => match bytes.len() {
                4 => {
                    let four: [u8; 4] = bytes.try_into().ok()?;
                    Some(Ipv4Addr::from(four).to_ipv6_mapped().octets().into())
                }
                16 => Some(bytes.into()),
                _ => None,
            },
        }
    }

    /// A member as files have it.
    fn written(&self, member: &[u8]) -> Option<String> {
        Some(match self.definition.kind {
            SetKind::String => encode_base64(member),
            SetKind::Md5 | SetKind::Sha256 => {
                member.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            SetKind::Ipv4 => Ipv4Addr::from(<[u8; 4]>::try_from(member).ok()?).to_string(),
            SetKind::Ip => {
                let address = Ipv6Addr::from(<[u8; 16]>::try_from(member).ok()?);
                address
                    .to_ipv4_mapped()
                    .map_or_else(|| address.to_string(), |address| address.to_string())
            }
        })
    }

    /// The member that a file means; in JSON, strings stand for themselves. `None` when it is none.
    fn parsed(&self, text: &str, plain: bool) -> Option<Box<[u8]>> {
        let bytes = match self.definition.kind {
            SetKind::String if plain => text.as_bytes().to_vec(),
            SetKind::String => decode_base64(text)?,
            SetKind::Md5 | SetKind::Sha256 => decode_hex(text)?,
            SetKind::Ipv4 => text.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
            SetKind::Ip => match text.parse().ok()? {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            },
        };
        self.member(&bytes)
    }

    /// All members as files have them, with their reputation, in the order in which they came.
    pub(super) fn export(&self) -> Vec<(String, u16)> {
        self.held
            .members
            .export(|member, &reputation| Some((self.written(member)?, reputation)))
    }

    /// Makes these, and no others, the members; returns how many of them are none of the set's kind or find no room.
    pub(super) fn import(&self, members: &[(String, u16)]) -> u64 {
        let wanted: HashSet<&str> = members.iter().map(|(text, _)| text.as_str()).collect();
        for (text, _) in self.export() {
            if !wanted.contains(text.as_str())
                && let Some(member) = self.parsed(&text, false)
            {
                self.remove(&member);
            }
        }
        let mut refused = 0;
        for (text, reputation) in members {
            let Some(member) = self.parsed(text, false) else {
                refused += 1;
                continue;
            };
            let there = self.held.members.with(&member, |found| found.is_some());
            refused += u64::from(!there && !self.add(member, *reputation));
        }
        refused
    }
}

/// Base64 with padding, as files have it.
fn encode_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let sextet = (bits >> shift & 63) as usize;
            text.push(match ALPHABET.get(sextet) {
                Some(&letter) if index <= group.len() => letter.into(),
                _ => '=',
            });
        }
    }
    text
}

/// Base64 with padding; `None` when it is none, or stands for nothing.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    crate::eval::base64::decode_strict(text.as_bytes(), &mut bytes);
    (!bytes.is_empty()).then_some(bytes)
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |&byte: &u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
