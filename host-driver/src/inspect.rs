//! What a card says of itself, when nobody uses it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use card_protocol::register as r;
use serde::Serialize;

use crate::error::OpenError;
use crate::identity::Identity;
use crate::link::{self, LinkError, Registers};
use crate::status::IdentityStatus;

/// The core's registers that count, and what they count.
const COUNTERS: [(&str, u32); 17] = [
    ("cycles", r::COUNT_CYCLES),
    ("beats", r::COUNT_BEATS),
    ("stalls", r::COUNT_STALLS),
    ("records", r::COUNT_RECORDS),
    ("bytes", r::COUNT_BYTES),
    ("lost", r::COUNT_LOST),
    ("damaged", r::COUNT_DAMAGED),
    ("stale", r::COUNT_STALE),
    ("malformed", r::COUNT_MALFORMED),
    ("overflows", r::COUNT_OVERFLOWS),
    ("candidates", r::COUNT_CANDIDATES),
    ("lookups", r::COUNT_LOOKUPS),
    ("hits", r::COUNT_HITS),
    ("units", r::COUNT_UNITS),
    ("out_stalls", r::COUNT_OUT_STALLS),
    ("table_writes", r::COUNT_TABLE_WRITES),
    ("table_errors", r::COUNT_TABLE_ERRORS),
];

/// What a card says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What messages call the card.
    pub device: String,
    /// What it says it is.
    pub identity: IdentityStatus,
    /// Records are taken.
    pub enabled: bool,
    /// No record is under way.
    pub idle: bool,
    /// It waits for a header.
    pub hunting: bool,
    /// Its counters, modulo 2^32, since it was configured.
    pub counters: BTreeMap<&'static str, u32>,
}

/// Opens the card at a path and reads its registers; nothing is changed.
///
/// # Errors
/// When there is none, somebody else has it, or it is not one that this program knows.
pub fn inspect(path: &Path, patience: Duration) -> Result<Inspection, OpenError> {
    let mut link = link::open(path, patience)?;
    let registers = &mut *link.registers;
    let name = path.display().to_string();
    let identity = Identity::read(&name, registers)?;
    let failed = |error: LinkError| OpenError::Link {
        name: name.clone(),
        error,
    };
    let status = registers.read(r::STATUS).map_err(failed)?;
    Ok(Inspection {
        device: name.clone(),
        identity: identity.into(),
        enabled: registers.read(r::CONTROL).map_err(failed)? & r::CONTROL_ENABLE != 0,
        idle: status & r::STATUS_IDLE != 0,
        hunting: status & r::STATUS_HUNTING != 0,
        counters: counters(registers).map_err(failed)?,
    })
}

/// The core's counters.
pub(crate) fn counters(
    registers: &mut dyn Registers,
) -> Result<BTreeMap<&'static str, u32>, LinkError> {
    COUNTERS
        .iter()
        .map(|&(name, address)| Ok((name, registers.read(address)?)))
        .collect()
}
