//! The last stage: what counts across flows, in packet order.

use std::sync::Arc;

use super::threshold::{Due, Thresholds};
use super::{Alert, EngineConfig, Event, Found, What};
use crate::plan::{Action, RuleSet};

/// Turns what workers found into alerts.
pub struct Alerts {
    rules: Arc<RuleSet>,
    thresholds: Thresholds,
    alert_max: usize,
    inline: bool,
    suppressed: u64,
    discarded: u64,
}

impl Alerts {
    /// For one rule set.
    pub fn new(rules: Arc<RuleSet>, config: &EngineConfig) -> Self {
        Self {
            rules,
            thresholds: Thresholds::default(),
            alert_max: config.alert_max,
            inline: config.inline,
            suppressed: 0,
            discarded: 0,
        }
    }

    /// Takes the next event. Where it is what a packet matched, hands out its alerts in the order of the rules.
    pub fn commit(&mut self, event: &Event, sink: &mut dyn FnMut(&Alert<'_>)) {
        match &event.what {
            What::Matches(found) => self.matches(found, sink),
            What::Flow(_) => {}
        }
    }

    fn matches(&mut self, found: &Found, sink: &mut dyn FnMut(&Alert<'_>)) {
        let mut written = 0;
        for matched in &found.matches {
            let Some(rule) = self.rules.get(matched.rule) else {
                continue;
            };
            // Rules that decide about packets were counted by the worker, before it acted.
            let due = match rule.action {
                Action::Alert => self.thresholds.count(matched.rule, rule, &found.packet),
                _ if matched.silent => Due::Silent,
                _ => Due::Alert,
            };
            if due != Due::Alert || rule.noalert {
                self.suppressed += 1;
            } else if written >= self.alert_max {
                self.discarded += 1;
            } else {
                written += 1;
                let blocked = blocked(rule.action, self.inline);
                sink(&Alert {
                    rule,
                    id: matched.rule,
                    blocked,
                    packet: &found.packet,
                });
            }
        }
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
        self.thresholds.evicted
    }
}

/// True when alerts of this action say `blocked`. As Suricata, a reject does so also where nothing is carried out.
fn blocked(action: Action, inline: bool) -> bool {
    matches!(action, Action::Reject(_)) || action == Action::Drop && inline
}
