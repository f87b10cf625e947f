//! `--profile-rules`: how often each rule is evaluated, how often it matches, and what that takes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use weir_engine::eval::{Beyond, EvalCounters, Evaluator, Notice, Subject};
use weir_engine::plan::{RuleId, RuleSet};

use crate::ui::figures;
use crate::ui::table::{Align, Table, clean};

/// Rules that are printed.
const SHOWN: usize = 30;

/// Columns for a rule's message.
const MESSAGE: usize = 60;

/// What was measured of a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    checks: u64,
    matches: u64,
    took: Duration,
}

impl Time {
    fn add(&mut self, other: &Self) {
        self.checks += other.checks;
        self.matches += other.matches;
        self.took += other.took;
    }
}

/// What was measured of all rules by all workers, by `gid` and `sid`: rules may be loaded again meanwhile.
#[derive(Debug, Default)]
pub struct RuleTimes(Mutex<HashMap<(u32, u32), (String, Time)>>);

impl RuleTimes {
    /// The dearest rules first.
    fn sorted(&self) -> Vec<((u32, u32), String, Time)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = (all.iter())
            .map(|(key, (message, time))| (*key, message.clone(), *time))
            .collect();
        all.sort_by_key(|(key, _, time)| (std::cmp::Reverse(time.took), *key));
        all
    }

    /// A table of the dearest rules, to standard error.
    pub fn print(&self) -> io::Result<()> {
        let all = self.sorted();
        let whole: Duration = all.iter().map(|(_, _, time)| time.took).sum();
        let mut table = Table::new([
            ("gid:sid", Align::Left),
            ("checks", Align::Right),
            ("matches", Align::Right),
            ("time", Align::Right),
            ("each", Align::Right),
            ("share", Align::Right),
            ("message", Align::Left),
        ]);
        for ((gid, sid), message, time) in all.iter().take(SHOWN) {
            let each = time.took.as_nanos() / u128::from(time.checks.max(1));
            let share = time.took.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
            table.row([
                format!("{gid}:{sid}"),
                figures::count(time.checks),
                figures::count(time.matches),
                format!("{:.3} ms", time.took.as_secs_f64() * 1e3),
                format!("{each} ns"),
                format!("{:.1} %", share * 100.0),
                clean(message, MESSAGE),
            ]);
        }
        let mut out = io::stderr().lock();
        table.write(&mut out, "")?;
        writeln!(
            out,
            "{} evaluated, {:.3} ms in all; measuring adds about 50 ns to each evaluation",
            figures::counted(all.len() as u64, "rule"),
            whole.as_secs_f64() * 1e3
        )
    }

    /// All rules that were evaluated, for the figures of a run.
    pub fn json(&self) -> serde_json::Value {
        let rule = |((gid, sid), message, time): ((u32, u32), String, Time)| {
            json!({
                "gid": gid,
                "sid": sid,
                "message": message,
                "checks": time.checks,
                "matches": time.matches,
                "nanoseconds": u64::try_from(time.took.as_nanos()).unwrap_or(u64::MAX),
            })
        };
        self.sorted().into_iter().map(rule).collect()
    }
}

/// An evaluator that is asked about one rule at a time, and timed.
pub struct Timed {
    inner: Box<dyn Evaluator>,
    rules: Arc<RuleSet>,
    times: Vec<Time>,
    sum: Arc<RuleTimes>,
}

impl Timed {
    /// Around another evaluator.
    pub fn new(inner: Box<dyn Evaluator>, rules: &Arc<RuleSet>, sum: &Arc<RuleTimes>) -> Self {
        Self {
            inner,
            rules: Arc::clone(rules),
            times: vec![Time::default(); rules.rules().len()],
            sum: Arc::clone(sum),
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let mut sum = self.sum.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, time) in self.rules.rules().iter().zip(&self.times) {
            if time.checks > 0 {
                let key = (rule.meta.gid, rule.meta.sid);
                let entry = sum.entry(key).or_default();
                entry.0.clone_from(&rule.meta.msg);
                entry.1.add(time);
            }
        }
    }
}

impl Evaluator for Timed {
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        let Beyond { flow, mut seat } = beyond;
        for rule in candidates {
            let before = matches.len();
            let beyond = Beyond {
                flow,
                seat: seat.as_deref_mut(),
            };
            let started = Instant::now();
            let one = std::slice::from_ref(rule);
            self.inner.evaluate(subject, beyond, one, matches);
            if let Some(time) = self.times.get_mut(*rule as usize) {
                time.add(&Time {
                    checks: 1,
                    matches: (matches.len() - before) as u64,
                    took: started.elapsed(),
                });
            }
        }
    }

    fn end_flow(&mut self, id: u64) {
        self.inner.end_flow(id);
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.inner.take_notices()
    }

    fn counters(&self) -> EvalCounters {
        self.inner.counters()
    }
}
