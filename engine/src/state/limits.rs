//! What limits the alerts of rules: `threshold` and `detection_filter` in the rules, and the suppressions, thresholds and
//! rate filters of the configuration.

use std::collections::HashSet;

use crate::plan::{Action, HostTest, Rule, RuleId, RuleSet, Threshold, Track};

/// Which rules an entry of the configuration is about; 0 stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// `gid`
    pub gid: u32,
    /// `sid`
    pub sid: u32,
}

impl Which {
    fn is(self, rule: &Rule) -> bool {
        (self.gid == 0 || self.gid == rule.meta.gid) && (self.sid == 0 || self.sid == rule.meta.sid)
    }

    /// True when it names one rule.
    fn is_exact(self) -> bool {
        self.gid != 0 && self.sid != 0
    }
}

/// No alerts, though the rule acts as always.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppression {
    /// Of which rules.
    pub which: Which,
    /// For packets that pass one of these tests; without any, for all.
    pub hosts: Vec<HostTest>,
}

/// A limit that the configuration sets. For one rule it takes the place of the rule's own; where it is for many, those
/// that have one of their own keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverride {
    /// Of which rules.
    pub which: Which,
    /// The limit.
    pub limit: Threshold,
}

/// Another action for rules that match often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateFilter {
    /// Of which rules.
    pub which: Which,
    /// What is counted.
    pub track: Track,
    /// The action changes with the match after so many …
    pub count: u32,
    /// … within so many seconds …
    pub seconds: u32,
    /// … into this …
    pub action: Action,
    /// … for so many seconds.
    pub timeout: u32,
}

/// What the configuration says about limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Suppressions.
    pub suppressions: Vec<Suppression>,
    /// Thresholds.
    pub limits: Vec<LimitOverride>,
    /// Rate filters.
    pub rate_filters: Vec<RateFilter>,
}

/// A limit's number. A rule set that takes another one's place keeps the numbers of the limits that go on.
pub(super) type LimitId = u32;

/// One limit of a rule, each with counters of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Threshold(Threshold),
    Rate(RateFilter),
}

impl Limit {
    pub(super) fn track(&self) -> Track {
        match self {
            Self::Threshold(limit) => limit.track,
            Self::Rate(filter) => filter.track,
        }
    }

    /// True when counts of the one are counts of the other.
    pub(super) fn counts_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Threshold(one), Self::Threshold(other)) => one == other,
            (Self::Rate(one), Self::Rate(other)) => {
                let counted = |filter: &RateFilter| {
                    (filter.track, filter.count, filter.seconds, filter.timeout)
                };
                counted(one) == counted(other)
            }
            _ => false,
        }
    }
}

/// All limits of a rule.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleLimits {
    /// Never an alert.
    pub(super) silent: bool,
    pub(super) suppressed: Vec<HostTest>,
    /// In the order in which they are asked, each with the number that its counters are under.
    pub(super) limits: Vec<(LimitId, Limit)>,
    /// The packet's or another packet's fate, or what is logged of it, depends on the counts, so that they are kept where
    /// packets are decided about: in the worker.
    pub(super) in_worker: bool,
    /// Some limit counts what several flows do.
    pub(super) crosses_flows: bool,
}

/// The limits of all rules of a set.
#[derive(Debug, Default)]
pub struct Limits {
    rules: Vec<Option<Box<RuleLimits>>>,
    /// Numbers from here on were never given.
    fresh: LimitId,
    verdicts_cross_flows: bool,
}

impl Limits {
    /// Brings together what rules and configuration say.
    pub fn new(rules: &RuleSet, overrides: &Overrides) -> Self {
        Self::after(rules, overrides, &Self::default(), &|_| None)
    }

    /// The same for a set that takes another one's place. `was` says which rule of that a rule was: where it has the same
    /// limit in the same place, its counts go on.
    pub(super) fn after(
        rules: &RuleSet,
        overrides: &Overrides,
        before: &Self,
        was: &dyn Fn(RuleId) -> Option<RuleId>,
    ) -> Self {
        let mut all = Self {
            fresh: before.fresh,
            ..Self::default()
        };
        let used = before.numbers();
        let mut free: Vec<LimitId> = (0..before.fresh).filter(|id| !used.contains(id)).collect();
        for (id, rule) in (0..).zip(rules.rules()) {
            let mut limits = of_rule(rule, overrides);
            let old = was(id).and_then(|id| before.of(id));
            for (at, (number, limit)) in limits.limits.iter_mut().enumerate() {
                let known = old.and_then(|old| old.limits.get(at));
                let known = known.filter(|(_, old)| old.counts_as(limit));
                *number = known
                    .map(|(number, _)| *number)
                    .or_else(|| free.pop())
                    .unwrap_or_else(|| {
                        let number = all.fresh;
                        all.fresh = number.saturating_add(1);
                        number
                    });
            }
            let none = !limits.silent && limits.suppressed.is_empty() && limits.limits.is_empty();
            all.verdicts_cross_flows |= limits.in_worker && limits.crosses_flows;
            all.rules.push((!none).then(|| Box::new(limits)));
        }
        all
    }

    fn numbers(&self) -> HashSet<LimitId> {
        let limits = self.rules.iter().flatten();
        limits
            .flat_map(|rule| rule.limits.iter().map(|(number, _)| *number))
            .collect()
    }

    /// Numbers that `before` has given and this has not.
    pub(super) fn left(&self, before: &Self) -> HashSet<LimitId> {
        let here = self.numbers();
        let mut left = before.numbers();
        left.retain(|number| !here.contains(number));
        left
    }

    /// The limits of all rules that have some.
    pub(super) fn each(&self) -> impl Iterator<Item = (RuleId, &RuleLimits)> {
        let rules = (0..).zip(&self.rules);
        rules.filter_map(|(id, limits)| Some((id, limits.as_deref()?)))
    }

    /// True when a verdict depends on counts that flows share.
    pub fn verdicts_cross_flows(&self) -> bool {
        self.verdicts_cross_flows
    }

    /// True when the rule's matches are counted in the worker; otherwise where alerts are committed.
    pub fn in_worker(&self, rule: RuleId) -> bool {
        self.of(rule).is_some_and(|limits| limits.in_worker)
    }

    /// True when the rule's limits count what several flows do.
    pub(super) fn crosses_flows(&self, rule: RuleId) -> bool {
        self.of(rule).is_some_and(|limits| limits.crosses_flows)
    }

    #[inline]
    pub(super) fn of(&self, rule: RuleId) -> Option<&RuleLimits> {
        self.rules.get(rule as usize)?.as_deref()
    }
}

/// The limits of a rule, which have no numbers yet.
fn of_rule(rule: &Rule, overrides: &Overrides) -> RuleLimits {
    let unnumbered = |limit: Limit| (0, limit);
    let mut limits = RuleLimits::default();
    for suppression in &overrides.suppressions {
        if suppression.which.is(rule) {
            limits.silent |= suppression.hosts.is_empty();
            limits.suppressed.extend(suppression.hosts.iter().cloned());
        }
    }
    let own = || {
        [rule.detection_filter, rule.threshold]
            .into_iter()
            .flatten()
    };
    let mut configured = overrides.limits.iter().filter(|limit| limit.which.is(rule));
    // As in Suricata, the last one for this very rule counts; of those for many, all do.
    match configured.clone().rfind(|limit| limit.which.is_exact()) {
        Some(exact) => limits.limits.push((0, Limit::Threshold(exact.limit))),
        None if own().next().is_some() => {
            limits
                .limits
                .extend(own().map(Limit::Threshold).map(unnumbered));
        }
        None => configured
            .by_ref()
            .for_each(|limit| limits.limits.push((0, Limit::Threshold(limit.limit)))),
    }
    let filters = overrides.rate_filters.iter();
    limits.limits.extend(
        filters
            .filter(|filter| filter.which.is(rule))
            .copied()
            .map(Limit::Rate)
            .map(unnumbered),
    );
    let changes_verdict =
        |limit: &Limit| matches!(limit, Limit::Rate(filter) if filter.action != Action::Alert);
    let tags = rule
        .state_actions
        .iter()
        .any(|action| matches!(action, crate::plan::StateAction::Tag { .. }));
    limits.in_worker = rule.action != Action::Alert
        || tags
        || limits
            .limits
            .iter()
            .any(|(_, limit)| changes_verdict(limit));
    limits.crosses_flows = limits
        .limits
        .iter()
        .any(|(_, limit)| limit.track() != Track::ByFlow);
    limits
}
