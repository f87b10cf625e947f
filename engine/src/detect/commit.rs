//! The last stage: what counts across flows, in packet order.

use std::sync::Arc;

use super::{Alert, CarriedOut, Change, EngineConfig, Event, Found, Matched, What};
use crate::plan::{Action, RuleSet};
use crate::state::{Counted, Decision, Due, Limits, SavedCount, Thresholds};

/// Turns what workers found into alerts.
pub struct Alerts {
    rules: Arc<RuleSet>,
    limits: Arc<Limits>,
    thresholds: Arc<Thresholds>,
    alert_max: usize,
    inline: bool,
    suppressed: u64,
    discarded: u64,
}

impl Alerts {
    /// For one rule set.
    pub fn new(rules: Arc<RuleSet>, config: &EngineConfig) -> Self {
        Self {
            limits: Arc::new(Limits::new(&rules, &config.overrides)),
            rules,
            thresholds: Arc::new(Thresholds::new(config.state.counters)),
            alert_max: config.alert_max,
            inline: config.inline,
            suppressed: 0,
            discarded: 0,
        }
    }

    /// Other rules come. All events of the rules before must have been committed; counts of limits that are the same go on.
    pub fn swap(&mut self, change: &Change) {
        let after = change.after();
        self.rules = Arc::clone(after.rules());
        self.limits = Arc::clone(after.state().limits());
    }

    /// The counts, for [`Change::leave`].
    pub fn counts(&self) -> Arc<Thresholds> {
        Arc::clone(&self.thresholds)
    }

    /// Takes the next event. Where it is what a packet matched, hands out its alerts in the order of the rules.
    pub fn commit(&mut self, event: &Event, sink: &mut dyn FnMut(&Alert<'_>)) {
        match &event.what {
            What::Matches(found) => self.matches(found, sink),
            What::Flow(_)
            | What::App(_)
            | What::Tagged(_)
            | What::Counters(_)
            | What::Notice(_) => {}
        }
    }

    fn matches(&mut self, found: &Found, sink: &mut dyn FnMut(&Alert<'_>)) {
        let mut written = 0;
        let carried_out = self.inline.then(|| self.carried_out(found));
        for matched in &found.matches {
            let Some(rule) = self.rules.get(matched.rule) else {
                continue;
            };
            let Decision { due, action } = self.decide(matched, found);
            if due != Due::Alert || rule.noalert {
                self.suppressed += 1;
            } else if written >= self.alert_max {
                self.discarded += 1;
            } else {
                written += 1;
                let blocked = blocked(action, self.inline);
                sink(&Alert {
                    rule,
                    id: matched.rule,
                    blocked,
                    carried_out,
                    packet: &found.packet,
                    app: found.app.as_deref(),
                });
            }
        }
    }

    /// What became of a packet that rules matched.
    fn carried_out(&self, found: &Found) -> CarriedOut {
        let passes = |matched: &Matched| {
            let rule = self.rules.get(matched.rule);
            rule.is_some_and(|rule| rule.action == Action::Pass)
        };
        CarriedOut {
            dropped: found.dropped,
            reject: found.reject,
            passed: !found.dropped && found.matches.iter().any(passes),
        }
    }

    /// What the rule's limits make of the match.
    fn decide(&self, matched: &Matched, found: &Found) -> Decision {
        if self.limits.in_worker(matched.rule) {
            // The worker asked them before it acted.
            return matched.decision;
        }
        let packet = Counted {
            ts_ns: found.packet.ts_ns,
            addresses: found.packet.addresses(),
            flow: found.packet.flow.map(|flow| flow.id),
        };
        self.thresholds
            .decide(&self.limits, matched.rule, matched.decision.action, &packet)
    }

    /// Counts of alerts, for the next process.
    pub(crate) fn save(&self) -> Vec<SavedCount> {
        self.thresholds.export(&self.rules, &self.limits)
    }

    /// Goes on with these counts; returns how many are of no use.
    pub(crate) fn adopt(&self, saved: &[SavedCount]) -> u64 {
        self.thresholds.import(saved, &self.rules, &self.limits)
    }

    /// Matches that gave no alert: `noalert`, or a threshold.
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Matches that gave no alert because the packet had too many.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Threshold counters given up because there were too many.
    pub fn thresholds_evicted(&self) -> u64 {
        self.thresholds.evicted()
    }
}

/// True when alerts of this action say `blocked`. As Suricata, a reject does so also where nothing is carried out.
fn blocked(action: Action, inline: bool) -> bool {
    matches!(action, Action::Reject(_)) || action == Action::Drop && inline
}
