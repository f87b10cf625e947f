//! What the operator allows modules.

use std::collections::{BTreeMap, BTreeSet};

use crate::runtime::Limits;

/// Something that a module may do only where the operator has granted it by the module's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Write lines to the sensor's log.
    Log,
    /// Read a clock.
    Clock,
    /// Get random numbers.
    Random,
    /// Declare rules that drop, reject or pass.
    Verdict,
}

impl Grant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log, Self::Clock, Self::Random, Self::Verdict];

    /// Its name in the configuration, and, but for verdicts, that of its interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Verdict => "verdict",
        }
    }

    /// The grant of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }
}

/// How many offences make a module be asked no more. An offence is an evaluation that was lost: a trap, an overrun, a
/// limit, an answer that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offences {
    /// So many
    pub burst: u32,
    /// within so many seconds of packet time,
    pub seconds: u32,
    /// or so many in all.
    pub total: u32,
}

impl Default for Offences {
    fn default() -> Self {
        Self {
            burst: 5,
            seconds: 10,
            total: 20,
        }
    }
}

/// What the operator allows modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is granted, by the names of modules.
    pub grants: BTreeMap<String, BTreeSet<Grant>>,
    /// How much each may use.
    pub limits: Limits,
    /// When one is asked no more.
    pub offences: Offences,
}

impl Policy {
    /// Nothing is granted; limits as these.
    pub fn new(limits: Limits) -> Self {
        Self {
            grants: BTreeMap::new(),
            limits,
            offences: Offences::default(),
        }
    }

    /// True when a module of this name may do this.
    pub fn grants(&self, module: &str, grant: Grant) -> bool {
        self.grants
            .get(module)
            .is_some_and(|grants| grants.contains(&grant))
    }
}
