//! What all workers of a rule set share.

use std::sync::Arc;

use super::Groups;
use super::index::Index;
use crate::matcher::Probe;
use crate::plan::RuleSet;

/// A rule set, sorted by what makes its rules candidates. Made once; every worker reads it.
pub struct Prepared {
    pub(super) rules: Arc<RuleSet>,
    pub(super) groups: Groups,
    pub(super) index: Index,
}

impl Prepared {
    /// Prepares a rule set.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let groups = Groups::new(&rules);
        let index = Index::new(&rules, &groups);
        Self {
            rules,
            groups,
            index,
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// How traffic is divided.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The probes that a matcher has to look for, each once. A hit names one by its place here.
    pub fn probes(&self) -> &[Probe] {
        &self.index.probes
    }
}
