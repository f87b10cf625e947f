//! The evaluator that asks modules.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Trap;
use weir_engine::eval::{Beyond, EvalCounters, Evaluator, Notice, NoticeKind, Subject};
use weir_engine::plan::{RuleId, RuleSet};
use weir_engine::state::Names;
use weir_rules::compile::module::{Scope, buffer_named};

use super::counters::Counts;
use super::guest::{Data, Exceeded, Facts, Live};
use super::load::reason;
use super::set::{Loaded, Modules};
use super::state::Key;
use super::view::{Asked, View};
use crate::lent::{self, Lender};

/// Module and index of a rule that a module decides.
type OfRule = Option<(u16, u32)>;

/// Asks modules about those rules that another evaluator lets through and that a module decides. One a worker.
pub struct Hosted {
    inner: Box<dyn Evaluator>,
    set: Arc<Modules>,
    of_rule: Arc<[OfRule]>,
    guests: Vec<Guest>,
    /// Guests that are to be asked.
    due: Vec<u16>,
    notices: Vec<Notice>,
}

/// A module in a worker.
struct Guest {
    loaded: Arc<Loaded>,
    facts: Arc<Facts>,
    live: Option<(Lender<Asked>, Live)>,
    counts: Arc<Counts>,
    /// The second at hand, and what was used in it.
    budget: (Instant, Duration),
    /// What it is to be asked: index and rule.
    asked: Vec<(u32, RuleId)>,
    indexes: Vec<u32>,
    /// Rules that it said fire.
    fired: Vec<RuleId>,
}

/// How an evaluation was lost.
enum Lost {
    NoInstance(String),
    Trap(String),
    Overrun,
    Limit(String),
    BadAnswer(String),
}

impl Hosted {
    pub(super) fn new(
        set: Arc<Modules>,
        inner: Box<dyn Evaluator>,
        rules: &RuleSet,
        names: &Names,
    ) -> Self {
        let of_rule = rules.rules().iter().map(|rule| {
            let of_module = rule.module.as_ref()?;
            Some((of_module.module, of_module.index))
        });
        let facts = |loaded: &Arc<Loaded>| {
            let declaration = loaded.module.declaration();
            // All of them are there: the declaration was checked.
            let buffers = declaration.buffers.iter();
            let bits = declaration.flow_bits.iter();
            Arc::new(Facts {
                name: Arc::clone(&loaded.module.0.name),
                buffers: buffers.filter_map(|name| buffer_named(name)).collect(),
                flow_bits: bits.map(|name| names.find_flow_bit(name)).collect(),
                tables: loaded.tables.clone(),
                grants: loaded.module.0.grants.clone(),
            })
        };
        let guests = (set.loaded.iter())
            .map(|loaded| Guest::new(Arc::clone(loaded), facts(loaded)))
            .collect();
        Self {
            of_rule: of_rule.collect(),
            guests,
            inner,
            set,
            due: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The same for another worker, around an evaluator of its own.
    pub fn another(&self, inner: Box<dyn Evaluator>) -> Self {
        let guest = |guest: &Guest| Guest::new(Arc::clone(&guest.loaded), Arc::clone(&guest.facts));
        Self {
            inner,
            set: Arc::clone(&self.set),
            of_rule: Arc::clone(&self.of_rule),
            guests: self.guests.iter().map(guest).collect(),
            due: Vec::new(),
            notices: Vec::new(),
        }
    }
}

impl Evaluator for Hosted {
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        let Beyond { flow, mut seat } = beyond;
        let from = matches.len();
        let of_inner = Beyond {
            flow,
            seat: seat.as_deref_mut(),
        };
        self.inner.evaluate(subject, of_inner, candidates, matches);
        let Self {
            set,
            of_rule,
            guests,
            due,
            notices,
            ..
        } = self;
        let of = |rule: RuleId| of_rule.get(rule as usize).copied().flatten();
        due.clear();
        for &rule in matches.get(from..).unwrap_or_default() {
            if let Some((module, index)) = of(rule)
                && let Some(guest) = guests.get_mut(usize::from(module))
            {
                if guest.asked.is_empty() {
                    due.push(module);
                }
                guest.asked.push((index, rule));
            }
        }
        if due.is_empty() {
            return;
        }
        let view = View {
            subject,
            flow,
            seat: RefCell::new(seat),
        };
        for &module in &*due {
            if let Some(guest) = guests.get_mut(usize::from(module)) {
                guest.ask(set, &view, notices);
            }
        }
        let mut at = 0;
        matches.retain(|&rule| {
            at += 1;
            let guest = || {
                let (module, _) = of(rule)?;
                guests.get(usize::from(module))
            };
            // A rule whose module is not there has nobody to decide it.
            at <= from
                || of(rule).is_none()
                || guest().is_some_and(|guest| guest.fired.contains(&rule))
        });
        for guest in guests {
            guest.fired.clear();
        }
    }

    fn end_flow(&mut self, id: u64) {
        self.inner.end_flow(id);
        for guest in &self.guests {
            if let Some(table) = guest.facts.tables.of(Scope::Flow) {
                table.remove(&Key::Flow(id));
            }
        }
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        let mut all = self.inner.take_notices();
        all.append(&mut self.notices);
        all
    }

    fn counters(&self) -> EvalCounters {
        self.inner.counters()
    }
}

impl Guest {
    fn new(loaded: Arc<Loaded>, facts: Arc<Facts>) -> Self {
        Self {
            counts: loaded.counts(),
            loaded,
            facts,
            live: None,
            budget: (Instant::now(), Duration::ZERO),
            asked: Vec::new(),
            indexes: Vec::new(),
            fired: Vec::new(),
        }
    }

    /// Asks the module what it is to be asked; what it says fires is in `fired` then.
    fn ask(&mut self, set: &Modules, view: &View<'_>, notices: &mut Vec<Notice>) {
        self.fired.clear();
        self.asked.sort_unstable();
        let asked = self.asked.len() as u64;
        let begun = Instant::now();
        if self.loaded.is_quarantined() {
            self.counts.quarantine_skips.add(asked);
            self.live = None;
        } else if !self.has_budget(set, begun) {
            self.counts.budget_skips.add(asked);
        } else if let Err(lost) = self.call(set, view, begun) {
            self.live = None;
            self.fired.clear();
            self.lose(set, view.subject.packet.ts_ns, &lost, notices);
        }
        self.asked.clear();
    }

    /// False when it has used up its time in this second.
    fn has_budget(&mut self, set: &Modules, now: Instant) -> bool {
        let Some(budget) = set.limits.budget_per_second else {
            return true;
        };
        let (since, used) = &mut self.budget;
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *used) = (now, Duration::ZERO);
        }
        *used < budget
    }

    fn call(&mut self, set: &Modules, view: &View<'_>, begun: Instant) -> Result<(), Lost> {
        let (lender, live) = match &mut self.live {
            Some(live) => live,
            place => place.insert(make(set, &self.loaded, &self.facts, &self.counts)?),
        };
        self.indexes.clear();
        self.indexes
            .extend(self.asked.iter().map(|(index, _)| *index));
        let indexes = &self.indexes;
        let answer = lender.lend(view, || live.evaluate(indexes));
        let used = live.store.data().used;
        let time = begun.elapsed().saturating_sub(used.waited);
        self.budget.1 = self.budget.1.saturating_add(time);
        let counts = &self.counts;
        counts.calls.add(1);
        counts.evaluations.add(indexes.len() as u64);
        counts.host_calls.add(used.host_calls.into());
        counts.host_bytes.add(used.host_bytes as u64);
        counts.memory_refusals.add(used.refusals);
        counts.log_dropped.add(used.log_dropped);
        counts
            .nanoseconds
            .add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let answer = answer.map_err(|error| lost(&error))?;
        for index in answer {
            let at = self.asked.binary_search_by_key(&index, |(of, _)| *of);
            let Some((_, rule)) = at.ok().and_then(|at| self.asked.get(at)) else {
                return Err(Lost::BadAnswer(format!(
                    "it answered with rule {index}, which it was not asked about"
                )));
            };
            if !self.fired.contains(rule) {
                self.fired.push(*rule);
            }
        }
        self.counts.matches.add(self.fired.len() as u64);
        Ok(())
    }

    /// Takes down that an evaluation was lost.
    fn lose(&self, set: &Modules, now_ns: u64, lost: &Lost, notices: &mut Vec<Notice>) {
        let (count, reason) = match lost {
            Lost::NoInstance(why) => (
                &self.counts.no_instance,
                format!("no instance of it could be made: {why}"),
            ),
            Lost::Trap(why) => (&self.counts.traps, why.clone()),
            Lost::Overrun => (
                &self.counts.overruns,
                format!("it took longer than {:?}", set.limits.call),
            ),
            Lost::Limit(why) => (&self.counts.limits, why.clone()),
            Lost::BadAnswer(why) => (&self.counts.bad_answers, why.clone()),
        };
        count.add(1);
        let (failures, quarantined) = self.loaded.offence(now_ns, set.offences);
        let mut notice = |kind, reason| {
            notices.push(Notice {
                module: Arc::clone(&self.facts.name),
                kind,
                reason,
                failures,
            });
        };
        notice(NoticeKind::Failed, reason.clone());
        if quarantined {
            notice(NoticeKind::Quarantined, reason);
        }
    }
}

/// Makes an instance of a module.
fn make(
    set: &Modules,
    loaded: &Loaded,
    facts: &Arc<Facts>,
    counts: &Counts,
) -> Result<(Lender<Asked>, Live), Lost> {
    // SAFETY: the borrower goes into the store of the instance that stands beside the lender, and nothing but the closure
    // that is given to `lend` calls into that store from then on.
    let (lender, borrower) = unsafe { lent::pair() };
    let timer = set.runtime.timer();
    let data = Data::new(timer, Arc::clone(facts), set.limits, Some(borrower));
    let live = Live::new(&set.runtime, &loaded.module.0.pre, data)
        .map_err(|error| Lost::NoInstance(reason(&error)))?;
    counts.instances.add(1);
    Ok((lender, live))
}

/// How a call failed.
fn lost(error: &wasmtime::Error) -> Lost {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return Lost::Limit(exceeded.to_string());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Lost::Overrun,
        Some(trap) => Lost::Trap(trap.to_string()),
        None => Lost::BadAnswer(reason(error)),
    }
}
