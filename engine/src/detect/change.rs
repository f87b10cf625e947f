//! From one rule set to the next, while packets go on.
//!
//! All that can be made aside is made aside, by whoever is not in a hurry: the set itself ([`Change`]), and for each worker its
//! evaluator and a matcher that has the new probes ([`Successor`]). What is left for the worker, between two frames, is to
//! exchange pointers, and to give the rules that wait somewhere the numbers that they have now.
//!
//! Rules are the same where `gid` and `sid` are; bits, counters and data sets, where their names are; counts of limits, where
//! rule and limit are. What is gone is forgotten; what is new sees traffic from now on. All workers change after the same
//! frame. Until the last one has, both sets are in use, over the same shared state: so names and limits that go on keep
//! their numbers, and numbers that are left are given again by the change after this one at the earliest.

use std::collections::HashMap;
use std::sync::Arc;

use super::header::Check;
use super::prepared::wants_of;
use super::search::LoadedMatcher;
use super::{EngineError, Prepared};
use crate::eval::Evaluator;
use crate::matcher::Matcher;
use crate::plan::{RuleId, RuleSet};
use crate::state::{Left, Overrides, Plan, Seat, Shared, StateConfig, StateError, Thresholds};

/// What becomes of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// Its number in the new set; `u32::MAX` where it has none.
    number: RuleId,
    /// It concerns the same traffic, and asks for the same buffers.
    same: bool,
}

impl Fate {
    pub(super) const GONE: Self = Self {
        number: RuleId::MAX,
        same: false,
    };

    /// The number that it has now.
    pub(super) fn number(self) -> Option<RuleId> {
        (self != Self::GONE).then_some(self.number)
    }

    /// The number that it has now, where it goes on as it was.
    pub(super) fn same(self) -> Option<RuleId> {
        self.same.then_some(self.number)
    }
}

/// From one rule set to the next. Made once for all workers.
pub struct Change {
    pub(super) before: Arc<Prepared>,
    pub(super) after: Arc<Prepared>,
    /// By the number that rules had.
    pub(super) fates: Box<[Fate]>,
    renumbers: bool,
    left: Left,
}

impl Change {
    /// Prepares a set that is to take the place of another. `overrides` is what the configuration says about limits.
    pub fn new(before: &Arc<Prepared>, rules: Arc<RuleSet>, overrides: &Overrides) -> Self {
        let numbers = pair(&before.rules, &rules);
        let mut was = vec![None; rules.rules().len()];
        for (old, new) in (0..).zip(&numbers) {
            if let Some(place) = new.and_then(|new| was.get_mut(new as usize)) {
                *place = Some(old);
            }
        }
        let was = |id: RuleId| was.get(id as usize).copied().flatten();
        let state = Plan::after(&rules, overrides, &before.state, &was);
        let after = Arc::new(Prepared::with(rules, state));
        let fates: Box<[Fate]> = (0..)
            .zip(numbers)
            .map(|(old, new)| match new {
                Some(number) => Fate {
                    number,
                    same: is_same((before, old), (&after, number)),
                },
                None => Fate::GONE,
            })
            .collect();
        let as_before = |(id, fate): (RuleId, &Fate)| fate.same() == Some(id);
        Self {
            renumbers: !(0..).zip(&fates).all(as_before),
            left: after.state.left(&before.state),
            before: Arc::clone(before),
            after,
            fates,
        }
    }

    /// The new set.
    pub fn after(&self) -> &Arc<Prepared> {
        &self.after
    }

    /// What flows share, for the new set: `shared` is what they share now. Files that rules and configuration name are read.
    ///
    /// # Errors
    /// When one of them cannot be used; nothing has changed then.
    pub fn shared(&self, shared: &Shared, config: &StateConfig) -> Result<Shared, StateError> {
        shared.after(
            &self.before.state,
            &self.after.rules,
            &self.after.state,
            config,
        )
    }

    /// All workers have changed, and what they found before is committed: what only the rules before had a use for is
    /// forgotten, of what flows `shared` before, which is `now` something else, and of the `counts` of alerts. To be called
    /// before the next change is prepared, from any thread.
    ///
    /// # Errors
    /// When a data set that rules wanted kept cannot be written.
    pub fn leave(
        &self,
        shared: &Shared,
        now: &Shared,
        counts: &Thresholds,
    ) -> Result<(), StateError> {
        counts.forget(&self.left);
        shared.leave(now, &self.left)
    }

    /// False when every rule that was there has the number and the meaning that it had.
    pub(super) fn renumbers(&self) -> bool {
        self.renumbers
    }

    pub(super) fn left(&self) -> &Left {
        &self.left
    }
}

/// A worker's part in a change. Made aside, too: it takes as long as it takes to load probes into a matcher.
pub struct Successor {
    pub(super) change: Arc<Change>,
    pub(super) seat: Seat,
    pub(super) matcher: LoadedMatcher,
    pub(super) evaluator: Box<dyn Evaluator>,
}

impl Successor {
    /// `seat` is one to what [`Change::shared`] gave; the probes are loaded into `matcher`; `evaluator` is one for the new set.
    ///
    /// # Errors
    /// When the matcher cannot hold the probes.
    pub fn new(
        change: Arc<Change>,
        seat: Seat,
        matcher: Box<dyn Matcher>,
        evaluator: Box<dyn Evaluator>,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            matcher: LoadedMatcher::new(matcher, change.after.probes())?,
            change,
            seat,
            evaluator,
        })
    }
}

/// What a worker does not need any more. To drop it may take a while: best where nobody waits.
pub struct Retired {
    pub(super) _parts: (Box<dyn Evaluator>, LoadedMatcher, Seat, Arc<Change>),
}

/// For each rule of a set its number in another one, by `gid` and `sid`; where several rules have these in common, in their order.
fn pair(before: &RuleSet, after: &RuleSet) -> Vec<Option<RuleId>> {
    let mut ids: HashMap<(u32, u32), Vec<RuleId>> = HashMap::new();
    for (id, rule) in (0..).zip(after.rules()) {
        let key = (rule.meta.gid, rule.meta.sid);
        ids.entry(key).or_default().push(id);
    }
    // The first one is taken first.
    ids.values_mut().for_each(|ids| ids.reverse());
    let rules = before.rules().iter();
    rules
        .map(|rule| ids.get_mut(&(rule.meta.gid, rule.meta.sid))?.pop())
        .collect()
}

/// True when a rule concerns the same traffic in the same role, so that what was found out about traffic for the one holds for
/// the other.
fn is_same((before, old): (&Prepared, RuleId), (after, new): (&Prepared, RuleId)) -> bool {
    let (Some(old_rule), Some(new_rule)) = (before.rules.get(old), after.rules.get(new)) else {
        return false;
    };
    before.index.kind(old) == after.index.kind(new)
        && before.index.needs(old) == after.index.needs(new)
        && wants_of(old_rule) == wants_of(new_rule)
        && Check::new(old_rule) == Check::new(new_rule)
}
