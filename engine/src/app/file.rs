//! Files in transactions: what is kept of them, their hashes, and what they are.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::magic;
use super::transaction::Way;

/// How much of a file rules can look into (Suricata's default `response-body-limit` and `request-body-limit`).
pub const FILE_LIMIT: usize = 100 * 1024;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It has not.
    Open,
    /// All of it was seen.
    Closed,
    /// It broke off.
    Truncated,
}

/// A file.
#[derive(Debug)]
pub struct File {
    way: Way,
    name: Vec<u8>,
    data: Vec<u8>,
    size: u64,
    state: FileState,
    gaps: bool,
    /// Its data was given away: no more is kept.
    full: bool,
    magic: Option<&'static str>,
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
}

impl File {
    pub(crate) fn new(way: Way, name: &[u8], [md5, sha1, sha256]: [bool; 3]) -> Self {
        Self {
            way,
            name: name.to_vec(),
            data: Vec::new(),
            size: 0,
            state: FileState::Open,
            gaps: false,
            full: false,
            magic: None,
            md5: md5.then(Md5::new),
            sha1: sha1.then(Sha1::new),
            sha256: sha256.then(Sha256::new),
        }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if !self.full {
            let room = FILE_LIMIT.saturating_sub(self.data.len()).min(bytes.len());
            self.data
                .extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        if let Some(hash) = &mut self.md5 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha1 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
    }

    pub(crate) fn gap(&mut self) {
        self.gaps = true;
    }

    pub(crate) fn close(&mut self, state: FileState) {
        self.state = state;
        if self.gaps || state != FileState::Closed {
            // The hash of a part is no hash of the file.
            (self.md5, self.sha1, self.sha256) = (None, None, None);
        }
    }

    /// Gives away what is kept, and finds out what it is; from then on nothing is kept.
    pub(crate) fn fill(&mut self) -> Vec<u8> {
        self.magic = Some(magic::describe(&self.data)).filter(|_| !self.data.is_empty());
        self.full = true;
        std::mem::take(&mut self.data)
    }

    /// Its data was given away.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// MD5, SHA-1 and SHA-256, where they are known and wanted.
    pub fn hashes(&self) -> [Option<Vec<u8>>; 3] {
        [
            self.md5.clone().map(|hash| hash.finalize().to_vec()),
            self.sha1.clone().map(|hash| hash.finalize().to_vec()),
            self.sha256.clone().map(|hash| hash.finalize().to_vec()),
        ]
    }

    /// What kind of file it is, once its data was given away.
    pub fn magic(&self) -> Option<&'static str> {
        self.magic
    }

    /// What EVE says of it in a record of type `fileinfo`; `tx`: its transaction.
    pub fn describe(&self, tx: u64) -> serde_json::Value {
        let state = match self.state {
            FileState::Open => "UNKNOWN",
            FileState::Closed => "CLOSED",
            FileState::Truncated => "TRUNCATED",
        };
        let mut fields = serde_json::json!({
            "filename": String::from_utf8_lossy(&self.name),
            "gaps": self.gaps,
            "state": state,
            "stored": false,
            "size": self.size,
            "tx_id": tx,
        });
        let mut put = |key: &str, value: String| {
            if let Some(fields) = fields.as_object_mut() {
                fields.insert(key.to_owned(), value.into());
            }
        };
        if let Some(magic) = self.magic {
            put("magic", magic.to_owned());
        }
        for (key, hash) in ["md5", "sha1", "sha256"].into_iter().zip(self.hashes()) {
            if let Some(hash) = hash {
                put(key, hash.iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        fields
    }

    /// Which way it goes.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Its name; empty where none was said.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is kept of it while it is open.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.name.capacity() + self.data.capacity()
    }

    /// How many bytes were seen.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How it ended.
    pub fn state(&self) -> FileState {
        self.state
    }

    /// Some of it is missing.
    pub fn gaps(&self) -> bool {
        self.gaps
    }
}
