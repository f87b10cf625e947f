//! `[eve]`: which records are written.

use std::collections::BTreeSet;

use clap::ValueEnum;

use super::ConfigError;
use super::read::Section;

/// Types of EVE records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum EveType {
    /// A rule matched
    Alert,
    /// A flow ended
    Flow,
    /// A packet of a flow or host that a rule has tagged
    Packet,
    /// What has been counted, from time to time and at the end
    Stats,
}

/// Types by name.
const TYPES: [(&str, EveType); 4] = [
    ("alert", EveType::Alert),
    ("flow", EveType::Flow),
    ("packet", EveType::Packet),
    ("stats", EveType::Stats),
];

/// What `[eve]` says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EveSection {
    /// `types`
    pub types: Option<BTreeSet<EveType>>,
    /// `stats-interval`, in seconds.
    pub stats_interval: Option<usize>,
}

impl EveSection {
    /// Reads the table.
    pub fn read(eve: &Section<'_, '_>) -> Result<Self, ConfigError> {
        eve.only(&["types", "stats-interval"])?;
        Ok(Self {
            types: eve
                .choices("types", &TYPES)?
                .map(|types| types.into_iter().collect()),
            stats_interval: eve.number("stats-interval", 1, 86_400)?,
        })
    }

    /// True for a type of records that is to be written: the alerts, unless others are named.
    pub fn wants(&self, kind: EveType) -> bool {
        match &self.types {
            Some(types) => types.contains(&kind),
            None => kind == EveType::Alert,
        }
    }
}
