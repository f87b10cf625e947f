//! What all workers of a rule set share.

use std::sync::Arc;

use super::Groups;
use super::index::Index;
use crate::matcher::Probe;
use crate::plan::RuleSet;
use crate::state::{Overrides, Plan};

/// A rule set, sorted by what makes its rules candidates. Made once; every worker reads it.
pub struct Prepared {
    pub(super) rules: Arc<RuleSet>,
    pub(super) groups: Groups,
    pub(super) index: Index,
    pub(super) state: Plan,
}

impl Prepared {
    /// Prepares a rule set; `overrides` is what the configuration says about limits.
    pub fn new(rules: Arc<RuleSet>, overrides: &Overrides) -> Self {
        // Neither needs the other, and with tens of thousands of rules both take long.
        let (state, (groups, index)) = std::thread::scope(|scope| {
            let state = scope.spawn(|| Plan::new(&rules, overrides));
            let groups = Groups::new(&rules);
            let index = Index::new(&rules, &groups);
            let state = state.join();
            let state = state.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (state, (groups, index))
        });
        Self {
            rules,
            groups,
            index,
            state,
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// What the rules do with state, and what limits their alerts.
    pub fn state(&self) -> &Plan {
        &self.state
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
