//! State that rules keep: bits, counters and tags of flows; bits, counts and tags of hosts; data sets; and what files say
//! about addresses.
//!
//! [`Plan`] is what the rules of a set do with state, by number instead of by name. [`FlowVars`] is what they keep for one
//! flow; it lives in the flow's slot. [`Shared`] is what flows share: tables of limited size, a lock per shard, a keyed hash,
//! because whoever sends packets chooses the keys. [`Order`] makes workers touch it in packet order, so that a capture
//! gives the same alerts however many they are.
//!
//! A run has one `Plan`, one `Shared` and one `Order`, a worker a [`Seat`]. For each packet the worker calls
//!
//! 1. [`Plan::screen`] on the candidates, before they are evaluated;
//! 2. [`Plan::settle`] on each rule that matched, in rule order; `None` means it did not match after all, otherwise the
//!    [`Decision`] has the action to take and goes into the match;
//! 3. [`Plan::tagged`], which says whether the packet is to be logged though no rule matched it.
//!
//! What a limit makes of a match is decided in `settle` where a verdict or a tag depends on it ([`Limits::in_worker`]), and by
//! [`crate::detect::Alerts`] for all others, so that most rule sets with thresholds need no order between workers.
//!
//! Everything can be saved by names ([`FlowVars::export`], [`Shared::export`], [`Thresholds::export`]) and taken over by a
//! process with other rules.

mod country;
mod counts;
mod eval;
#[cfg(test)]
mod example;
mod limits;
mod order;
mod plan;
mod property;
mod reputation;
mod set;
mod sharded;
mod shared;
mod tag;
#[cfg(test)]
mod tests;
mod vars;

use std::path::{Path, PathBuf};

pub use counts::{Counted, Decision, Due, SavedCount, Thresholds};
pub use eval::{Buffers, Context, Screen};
pub use limits::{LimitOverride, Limits, Overrides, RateFilter, Suppression, Which};
pub use order::{Guard, Order, Turn};
pub use plan::{CounterId, FlowBitId, Names, Plan};
pub use reputation::ReputationFiles;
pub use sharded::Sharded;
pub use shared::{SAVED_VERSION, SavedShared, Seat, Shared, StateConfig, StateCounters};
pub use tag::Tag;
pub use vars::{FlowVars, MOST_BITS, MOST_COUNTERS, SavedVars};

/// Why state could not be set up, taken over or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A file cannot be used.
    #[error("{}{}: {what}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    File {
        /// Which.
        path: PathBuf,
        /// 1-based line, where it is one.
        line: Option<usize>,
        /// What is wrong and what was expected.
        what: String,
    },
    /// Saved state has another form.
    #[error("the saved state is of version {found}; this program reads version {expected}")]
    Version {
        /// The version that is known.
        expected: u32,
        /// The version that was found.
        found: u32,
    },
}

impl StateError {
    fn at(path: &Path, line: Option<usize>, what: String) -> Self {
        Self::File {
            path: path.to_owned(),
            line,
            what,
        }
    }

    fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Self {
        Self::at(path, None, format!("cannot read {what}: {error}"))
    }
}
