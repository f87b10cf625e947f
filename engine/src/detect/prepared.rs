//! What all workers of a rule set share.

use std::sync::Arc;

use super::Groups;
use super::index::Index;
use crate::app::{AppBuffer, Wants};
use crate::matcher::Probe;
use crate::plan::{AppTest, Rule, RuleSet};
use crate::state::{Overrides, Plan};

/// A rule set, sorted by what makes its rules candidates. Made once; every worker reads it.
pub struct Prepared {
    pub(super) rules: Arc<RuleSet>,
    pub(super) groups: Groups,
    pub(super) index: Index,
    pub(super) state: Plan,
    /// Buffers of transactions that rules look at.
    pub(super) wants: Wants,
}

impl Prepared {
    /// Prepares a rule set; `overrides` is what the configuration says about limits.
    pub fn new(rules: Arc<RuleSet>, overrides: &Overrides) -> Self {
        // Neither needs the other, and with tens of thousands of rules both take long.
        let (state, indexed) = std::thread::scope(|scope| {
            let state = scope.spawn(|| Plan::new(&rules, overrides));
            let indexed = indexed(&rules);
            let state = state.join();
            let state = state.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (state, indexed)
        });
        Self::of(rules, state, indexed)
    }

    /// The same with what the rules do with state, where that is known.
    pub(super) fn with(rules: Arc<RuleSet>, state: Plan) -> Self {
        let indexed = indexed(&rules);
        Self::of(rules, state, indexed)
    }

    fn of(rules: Arc<RuleSet>, state: Plan, (groups, index): (Groups, Index)) -> Self {
        let mut wants = Wants::default();
        for rule in rules.rules() {
            looks_at(rule).for_each(|buffer| wants.add(buffer));
        }
        Self {
            rules,
            groups,
            index,
            state,
            wants,
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

fn indexed(rules: &RuleSet) -> (Groups, Index) {
    let groups = Groups::new(rules);
    let index = Index::new(rules, &groups);
    (groups, index)
}

/// Buffers of transactions that a rule looks at.
fn looks_at(rule: &Rule) -> impl Iterator<Item = AppBuffer> {
    let of_tests = rule.app.tests.iter().filter_map(AppTest::buffer);
    let of_module = rule.module.iter().flat_map(|module| module.looks_at.iter());
    rule.app_buffers().chain(of_tests).chain(of_module.copied())
}

/// The same as a set.
pub(super) fn wants_of(rule: &Rule) -> Wants {
    let mut wants = Wants::default();
    looks_at(rule).for_each(|buffer| wants.add(buffer));
    wants
}
