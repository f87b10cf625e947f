//! Traffic for rules: for each a conversation that makes it fire, and one that nearly does.
//!
//! ```text
//! rule ─► fill: bytes for each buffer (layout, strings; judged by the evaluator)
//!      ─► messages of its protocol that show them ─► Talk: who says what, after whatever sets the bits it asks for
//!      ─► near misses: the same with one condition broken
//! ```
//!
//! Nothing here claims that a rule fires: that is for an engine to say, to which the conversations are shown. An
//! [`Exerciser`] makes another attempt at a rule where one did not do.

mod canonical;
mod checker;
mod der;
mod dns;
mod ends;
mod fill;
#[cfg(test)]
mod hostile;
mod http;
mod layout;
mod mail;
mod messages;
mod near;
mod numbers;
mod packet;
mod parts;
mod pattern;
mod render;
mod set;
mod state;
mod strings;
mod talk;
#[cfg(test)]
mod tests;
mod tls;
mod transform;
mod unmet;

use std::sync::Arc;

use weir_engine::plan::{
    Buffer, PacketTest, Rule, RuleId, RuleSet, StateTest, Threshold, ThresholdKind,
};

use checker::Checker;
use fill::{Filled, fill};
pub use near::Miss;
pub use render::Wrong;
use state::Setters;
pub use talk::{Carrier, Fields, Say, Talk};
pub use unmet::Unmet;

/// How often a conversation is held at most, for rules that count.
const MOST_TIMES: u32 = 120;
/// Rules that must have matched before, at most.
const MOST_BEFORE: usize = 6;
/// Rules that are tried for those, at most.
const MOST_TRIED: u32 = 64;

/// Makes conversations for the rules of a set.
pub struct Exerciser {
    rules: Arc<RuleSet>,
    setters: Setters,
}

/// One rule's share of a conversation.
#[derive(Clone, Debug)]
struct Part {
    rule: RuleId,
    filled: Vec<Filled>,
}

/// What must have matched before a rule, as far as it is known.
struct Before {
    attempt: usize,
    /// The rule, and those that are being made for it.
    under_way: Vec<RuleId>,
    parts: Vec<Part>,
    /// How many more may be tried.
    tries: u32,
}

/// What was made for a rule.
#[derive(Clone, Debug)]
pub struct Exercise {
    rule: RuleId,
    /// Those of the rules that must match before, and its own.
    parts: Vec<Part>,
    attempt: usize,
    times: u32,
    wrong: Option<Wrong>,
}

impl Exercise {
    /// The rule.
    pub fn rule(&self) -> RuleId {
        self.rule
    }
}

impl Exerciser {
    /// For these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            setters: Setters::new(&rules),
            rules,
        }
    }

    /// Makes bytes for a rule; each attempt another way.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn make(&self, id: RuleId, attempt: usize) -> Result<Exercise, Unmet> {
        let rule = self.rules.get(id).ok_or(Unmet::Header)?;
        refused(rule)?;
        let mut before = Before {
            attempt,
            under_way: vec![id],
            parts: Vec::new(),
            tries: MOST_TRIED,
        };
        self.before(rule, &mut before)?;
        let mut parts = before.parts;
        parts.push(self.part(id, rule, attempt)?);
        let exercise = Exercise {
            rule: id,
            parts,
            attempt,
            times: times(rule)?,
            wrong: None,
        };
        // What cannot be said is found out now.
        self.talk(&exercise, 0)?;
        Ok(exercise)
    }

    fn part(&self, id: RuleId, rule: &Rule, attempt: usize) -> Result<Part, Unmet> {
        let mut checker = Checker::new(rule);
        let mut filled = fill(rule, &mut checker, attempt)?;
        let payload = filled
            .iter()
            .position(|filled| filled.buffer == Buffer::Payload && !filled.plans.is_empty());
        if let Some(at) = payload.filter(|_| attempt % 2 == 1 && messages::is_http(rule)) {
            // The message itself may be what the payload must hold.
            let mut extra = 0;
            for _ in 0..3 {
                let message = http::around(rule, &filled, attempt, extra);
                let plans = filled
                    .get(at)
                    .map(|filled| filled.plans.clone())
                    .unwrap_or_default();
                let Some(whole) = fill::over(rule, &mut checker, attempt, &plans, &message) else {
                    break;
                };
                let longer = whole
                    .bytes
                    .as_ref()
                    .map_or(0, Vec::len)
                    .saturating_sub(message.len());
                if longer == extra {
                    if let Some(place) = filled.get_mut(at) {
                        *place = whole;
                    }
                    break;
                }
                extra = longer;
            }
        }
        Ok(Part { rule: id, filled })
    }

    /// What must have matched before, the first first.
    fn before(&self, rule: &Rule, before: &mut Before) -> Result<(), Unmet> {
        for test in &rule.state_tests {
            let setters = match self.setters.of(test) {
                state::Need::Nothing => continue,
                state::Need::Impossible(why) => return Err(why),
                state::Need::One(setters) => setters,
            };
            let done = before.parts.iter().any(|part| setters.contains(&part.rule));
            let own = setters.len() == 1 && before.under_way.iter().any(|id| setters.contains(id));
            if done || own {
                continue;
            }
            let turn = before.attempt / 2 % setters.len().max(1);
            let order = setters
                .iter()
                .cycle()
                .skip(turn)
                .take(setters.len().min(12));
            if !order.copied().any(|id| self.sets(id, rule, before)) {
                return Err(Unmet::State);
            }
        }
        Ok(())
    }

    /// True when a rule can match before another one, and does.
    fn sets(&self, id: RuleId, rule: &Rule, before: &mut Before) -> bool {
        let few = before.parts.len() < MOST_BEFORE && before.under_way.len() <= MOST_BEFORE;
        if !few || before.under_way.contains(&id) {
            return false;
        }
        let Some(setter) = self.rules.get(id).filter(|setter| refused(setter).is_ok()) else {
            return false;
        };
        if !render::together(rule, setter) {
            return false;
        }
        let Some(tries) = before.tries.checked_sub(1) else {
            return false;
        };
        before.tries = tries;
        let kept = before.parts.len();
        before.under_way.push(id);
        let made = self
            .before(setter, before)
            .and_then(|()| self.part(id, setter, before.attempt));
        before.under_way.pop();
        match made {
            Ok(part) => before.parts.push(part),
            Err(_) => before.parts.truncate(kept),
        }
        before.parts.len() > kept
    }

    /// Says it, between addresses of its own: each conversation of a capture has another `number`.
    ///
    /// # Errors
    /// Why no conversation shows what was made.
    pub fn talk(&self, exercise: &Exercise, number: u32) -> Result<Talk, Unmet> {
        render::talk(&self.rules, exercise, number)
    }

    /// The same with one condition broken, in several ways, the best first.
    pub fn misses(&self, exercise: &Exercise) -> Vec<Miss> {
        near::misses(&self.rules, exercise)
    }

    /// Why a rule may be silent whatever was made for it.
    pub fn why_silent(&self, id: RuleId) -> Unmet {
        match self.rules.get(id) {
            Some(rule) if !rule.flow_properties.is_empty() => Unmet::FlowProperty,
            _ => Unmet::Silent,
        }
    }
}

/// What nothing is made for.
fn refused(rule: &Rule) -> Result<(), Unmet> {
    for test in &rule.state_tests {
        if matches!(
            test,
            StateTest::Dataset { .. }
                | StateTest::DataRep { .. }
                | StateTest::IpRep { .. }
                | StateTest::GeoIp { .. }
        ) {
            return Err(Unmet::Data);
        }
    }
    let event = |test: &PacketTest| {
        matches!(
            test,
            PacketTest::DecodeEvent(_) | PacketTest::StreamEvent(_)
        )
    };
    if rule.tests.iter().any(event) {
        return Err(Unmet::Event);
    }
    Ok(())
}

/// How often a rule must match before it alerts.
fn times(rule: &Rule) -> Result<u32, Unmet> {
    let of = |threshold: &Option<Threshold>| match threshold {
        None => 1,
        Some(threshold) => match threshold.kind {
            ThresholdKind::Limit => 1,
            ThresholdKind::Threshold | ThresholdKind::Both | ThresholdKind::Backoff { .. } => {
                threshold.count
            }
            ThresholdKind::DetectionFilter => threshold.count.saturating_add(1),
        },
    };
    let times = of(&rule.threshold).max(of(&rule.detection_filter));
    if times > MOST_TIMES {
        Err(Unmet::Count)
    } else {
        Ok(times.max(1))
    }
}
