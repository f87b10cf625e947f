//! How often windows of bytes occur in traffic.
//!
//! A [`Table`] is learnt from the payloads of captures ([`Learner`]) and holds, for every window of 1 to 8 bytes that was
//! seen often, how many times and in how many payloads: a tree in which each window hangs below the window that is
//! shorter by its last byte (a pruned count suffix tree, after Krishnan, Vitter and Iyer, SIGMOD 1996). A window that is
//! not there was seen too rarely to be kept, and is estimated from the windows inside it that are there.
//!
//! **What a table gives away.** Only windows that stood at least [`Limits::hits`] times in the traffic, and in at least
//! [`Limits::payloads`] payloads, are in it. What is rarer than that, as anything private should be, cannot be read from
//! it, and nothing longer than 8 bytes is in it at all. Names, addresses and times are not.

mod build;
mod estimate;
mod file;
mod learn;
mod scale;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use weir_engine::matcher::MAX_PROBE;

pub use estimate::Estimate;
pub use file::TableError;
pub use learn::Learner;
use scale::Scaled;

/// What a table was learnt from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Packets, with a payload or without.
    pub packets: u64,
    /// Payloads that rules look into.
    pub payloads: u64,
    /// Bytes in them, and so the byte offsets at which a window can start.
    pub bytes: u64,
}

/// Which windows a table keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fewest times that a window must have been seen.
    pub hits: u64,
    /// Fewest payloads that it must have been seen in.
    pub payloads: u64,
    /// Most windows that are kept; the commonest are.
    pub windows: usize,
}

impl Default for Limits {
    /// A file of about 300 KiB.
    fn default() -> Self {
        Self {
            hits: 16,
            payloads: 8,
            windows: 200_000,
        }
    }
}

/// The windows of one length. Three columns of the same height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Level {
    /// The last byte of each window; ascending among those that have the same bytes before it.
    symbols: Vec<u8>,
    hits: Vec<Scaled>,
    payloads: Vec<Scaled>,
    /// The windows longer by a byte: those of window `i` are `children[i]..children[i + 1]` of the next level. Empty in
    /// the last level.
    children: Vec<u32>,
}

/// The windows of each length. Those of the table that comes with Weir are unpacked when they are first looked at: who loads rules
/// that were compiled before never does.
#[derive(Clone, Debug, Default)]
struct Levels {
    unpacked: OnceLock<[Level; MAX_PROBE]>,
    packed: Option<file::Body<'static>>,
}

impl Levels {
    fn of(levels: [Level; MAX_PROBE]) -> Self {
        Self {
            unpacked: levels.into(),
            packed: None,
        }
    }
}

impl Deref for Levels {
    type Target = [Level; MAX_PROBE];

    fn deref(&self) -> &Self::Target {
        self.unpacked.get_or_init(|| {
            // A test reads the file, so that this does not fail.
            let unpacked = self.packed.and_then(|body| body.unpack().ok());
            unpacked.unwrap_or_default()
        })
    }
}

impl PartialEq for Levels {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Levels {}

/// How often windows of 1 to 8 bytes occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    learnt: Learnt,
    /// A window that is not in the table stood at fewer offsets than this, or in too few payloads to be kept.
    least: u64,
    levels: Levels,
}

/// The table that comes with Weir.
static STANDARD: &[u8] = include_bytes!("../../data/standard.freq");

impl Table {
    /// The table that comes with Weir (`wasm-rules/data/README.md` says what it was learnt from).
    pub fn standard() -> Arc<Self> {
        static TABLE: OnceLock<Arc<Table>> = OnceLock::new();
        // A test reads the file, so that there always is a table.
        Arc::clone(TABLE.get_or_init(|| Arc::new(Self::later(STANDARD).unwrap_or_default())))
    }

    /// What it was learnt from.
    pub fn learnt(&self) -> Learnt {
        self.learnt
    }

    /// How often a window that is not in the table may have been seen, plus one.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// How many windows of all lengths are in it.
    pub fn windows(&self) -> usize {
        (1..=MAX_PROBE).map(|length| self.windows_of(length)).sum()
    }

    /// How many windows of this length, in bytes, are in it.
    pub fn windows_of(&self, length: usize) -> usize {
        let level = length.checked_sub(1).and_then(|at| self.levels.get(at));
        level.map_or(0, |level| level.symbols.len())
    }
}
