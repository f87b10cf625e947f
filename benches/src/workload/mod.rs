//! What matchers are measured on: probe sets and buffers.

mod buffers;
mod count;
mod made;
mod rules;
mod traffic;

pub use buffers::Buffers;
pub use made::{genuine, made_probes, near_misses, random_bytes, runs};
pub use rules::{RuleProbes, rule_probes};
pub use traffic::Traffic;

use weir_engine::matcher::Probe;

/// Probes to look for, all in group 0.
#[derive(Clone, Debug)]
pub struct ProbeSet {
    /// What scenarios call it.
    pub name: String,
    /// Where it is from.
    pub about: String,
    /// The probes, no two the same.
    pub probes: Vec<Probe>,
}

/// Without those that are there already, in the order they came.
pub fn distinct(probes: impl IntoIterator<Item = Probe>) -> Vec<Probe> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<Probe> = probes.into_iter().collect();
    kept.retain(|probe| seen.insert(*probe));
    kept
}
