//! What a file consists of. Changes here, and in all that is named here, need another [`super::VERSION`].

use std::collections::HashMap;
use std::io;

use serde::{Deserialize, Serialize, Serializer};

use super::{Block, HandoverError};
use crate::flow::{SavedEntry, SavedTable};
use crate::packet::SavedFragments;
use crate::plan::{RuleId, RuleSet};
use crate::state::{SavedCount, SavedShared, SavedVars};
use crate::stream::SavedConnection;

/// One record.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most are flows")]
pub(crate) enum Record<'a> {
    /// What flows share.
    Shared(SavedShared),
    /// Counts of alerts.
    Counts(Vec<SavedCount>),
    /// The block that is not full.
    Block(Block),
    /// What follows, up to the next such record, is of this worker.
    Worker {
        at: u32,
        workers: u32,
        table: SavedTable,
    },
    /// A packet that waits for fragments.
    #[serde(borrow)]
    Fragments(SavedFragments<'a>),
    /// A rule; windows name it by its number among these records, from 0.
    Rule { gid: u32, sid: u32 },
    /// A flow.
    Flow(SavedFlow<'a>),
}

/// A flow with all that belongs to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedFlow<'a> {
    pub(crate) entry: SavedEntry<'a>,
    /// `None` where rules keep nothing.
    pub(crate) vars: Option<SavedVars>,
    #[serde(borrow)]
    pub(crate) streams: SavedStreams<'a>,
}

/// The streams of a flow.
#[derive(Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum SavedStreams<'a> {
    /// None yet.
    None,
    /// They had to give way.
    Lost,
    /// These.
    #[serde(borrow)]
    Held(SavedConnection<'a>),
}

/// Where records go.
pub(crate) type Out<'o> = &'o mut dyn FnMut(&Record<'_>) -> io::Result<()>;

/// Serde takes a slice for a sequence, byte by byte, unless it is told.
pub(crate) fn bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// The numbers of rules in a file.
pub(crate) struct Numbers<'r> {
    rules: &'r RuleSet,
    numbers: HashMap<RuleId, u32>,
}

impl<'r> Numbers<'r> {
    pub(super) fn new(rules: &'r RuleSet) -> Self {
        Self {
            rules,
            numbers: HashMap::new(),
        }
    }

    /// The number of a rule, which is written first where it is new.
    pub(crate) fn of(&mut self, rule: RuleId, out: Out<'_>) -> io::Result<u32> {
        if let Some(&number) = self.numbers.get(&rule) {
            return Ok(number);
        }
        let meta = self.rules.get(rule).map(|rule| &rule.meta);
        let (gid, sid) = meta.map_or((0, 0), |meta| (meta.gid, meta.sid));
        out(&Record::Rule { gid, sid })?;
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(rule, number);
        Ok(number)
    }
}

/// The records of a body.
pub(super) struct Records<'a> {
    whole: usize,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            whole: body.len(),
            rest: body,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, HandoverError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match postcard::take_from_bytes(self.rest) {
            Ok((record, rest)) => {
                self.rest = rest;
                Ok(record)
            }
            Err(error) => {
                let at = self.whole - self.rest.len();
                self.rest = &[];
                Err(HandoverError::Content(format!(
                    "expected a record at byte {at} of the body: {error}"
                )))
            }
        })
    }
}
