//! What the packet path, the keeper of the rules and the clients of the socket share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_engine::detect::{Change, Successor};
use weir_engine::state::Shared;
use weir_events::stats::{ReloadStats, RuleCounts};
use weir_wasm::modules::{ModuleCounters, Modules};

use crate::run::workers::changes::{self, Changed, Changes};

/// Changes whose times are kept, for the median.
const KEPT: usize = 1024;

/// What came of a reload, or why nothing did.
pub type Answer = Result<Value, String>;

/// Somebody wants rules to be loaded.
pub struct Request {
    /// Other paths than those of the command line.
    pub rules: Option<Vec<PathBuf>>,
    /// Who is told.
    pub answer: Option<SyncSender<Answer>>,
}

/// A change on its way.
#[derive(Clone)]
pub struct Offer {
    /// The change.
    pub change: Arc<Change>,
    /// What flows share afterwards.
    pub shared: Arc<Shared>,
}

/// How far a change is.
enum Stage {
    None,
    /// Matchers are in use that end with the run.
    Preparing,
    Offered(Offer),
    Done(Changed),
    /// The run is over.
    Ended,
}

/// How often rules were reloaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// With success.
    pub done: u64,
    /// In vain: the rules before stayed in force.
    pub failed: u64,
    /// Rules in force.
    pub rules: u64,
}

/// What came of all reloads of a run.
#[derive(Debug)]
pub struct Summary {
    /// For the figures of a run.
    pub stats: ReloadStats,
    /// How often.
    pub counts: Counts,
    /// What happened to the rules that were read last; `None` where these are those of the start.
    pub rules: Option<RuleCounts>,
}

/// What is shared.
pub struct Hub {
    /// Where the packet path finds changes.
    pub changes: Changes<Successor>,
    /// Alerts written so far.
    pub alerts: AtomicU64,
    started: Instant,
    stage: Mutex<Stage>,
    moved: Condvar,
    to_keeper: SyncSender<Request>,
    seen: Mutex<SeenOfRules>,
}

/// What is known of the rules and their changes.
#[derive(Default)]
struct SeenOfRules {
    counts: Counts,
    matcher: &'static str,
    modules: Option<Arc<Modules>>,
    swaps: Vec<Duration>,
    longest_swap: Duration,
    longest_load: Duration,
    last_failure: Option<String>,
    read: Option<RuleCounts>,
}

impl Hub {
    pub(super) fn new(to_keeper: SyncSender<Request>) -> Self {
        Self {
            changes: Changes::default(),
            alerts: AtomicU64::new(0),
            started: Instant::now(),
            stage: Mutex::new(Stage::None),
            moved: Condvar::new(),
            to_keeper,
            seen: Mutex::default(),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, SeenOfRules> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a reload; `Err` where too many wait already, or nobody is there to do it.
    pub fn ask(&self, rules: Option<Vec<PathBuf>>) -> Result<Receiver<Answer>, String> {
        let (answer, told) = sync_channel(1);
        let request = Request {
            rules,
            answer: Some(answer),
        };
        match self.to_keeper.try_send(request) {
            Ok(()) => Ok(told),
            Err(_) => Err("too many reloads wait already".to_owned()),
        }
    }

    /// So many rules are in force.
    pub(super) fn in_force(&self, rules: usize) {
        self.seen().counts.rules = rules as u64;
    }

    /// The matcher that is used.
    pub fn uses(&self, matcher: &'static str) {
        self.seen().matcher = matcher;
    }

    /// The modules that decide some of the rules in force.
    pub(super) fn has_modules(&self, modules: Option<&Arc<Modules>>) {
        self.seen().modules = modules.cloned();
    }

    /// What was counted of each module.
    pub fn module_counters(&self) -> Vec<ModuleCounters> {
        let seen = self.seen();
        let modules = seen.modules.as_ref();
        modules
            .map(|modules| modules.counters())
            .unwrap_or_default()
    }

    /// How often rules were reloaded.
    pub fn counts(&self) -> Counts {
        self.seen().counts
    }

    /// The packet path has changed. Returns what is in force now.
    pub fn changed(&self, changed: Changed) -> Option<Offer> {
        let mut stage = self.stage();
        let Stage::Offered(offer) = &*stage else {
            return None;
        };
        let offer = offer.clone();
        *stage = Stage::Done(changed);
        self.moved.notify_all();
        Some(offer)
    }

    /// The packet path has ended. Returns when nobody makes matchers any more, or after a while.
    pub fn end(&self) {
        let until = Instant::now() + Duration::from_secs(5);
        let mut stage = self.stage();
        while matches!(*stage, Stage::Preparing | Stage::Done(_)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            stage = match self.moved.wait_timeout(stage, left) {
                Ok((stage, _)) => stage,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        *stage = Stage::Ended;
        self.moved.notify_all();
        drop(stage);
        // With what is in it.
        drop(self.changes.take());
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(*self.stage(), Stage::Ended)
    }

    /// Matchers will be made; false when the run has ended.
    pub(super) fn prepare(&self) -> bool {
        let mut stage = self.stage();
        let goes_on = !matches!(*stage, Stage::Ended);
        if goes_on {
            *stage = Stage::Preparing;
        }
        goes_on
    }

    /// Nothing came of it.
    pub(super) fn give_up(&self) {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Preparing) {
            *stage = Stage::None;
            self.moved.notify_all();
        }
    }

    /// Offers a change to the packet path, and waits until all workers have taken it and what they found before is
    /// committed. Calls `slow` once if that takes longer than `patience`. `None` when the run has ended.
    pub(super) fn offer(
        &self,
        offer: Offer,
        change: changes::Change<Successor>,
        patience: Duration,
        slow: impl FnOnce(),
    ) -> Option<Changed> {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Ended) {
            return None;
        }
        *stage = Stage::Offered(offer);
        self.changes.offer(change);
        self.moved.notify_all();
        let since = Instant::now();
        let mut slow = Some(slow);
        loop {
            match std::mem::replace(&mut *stage, Stage::None) {
                Stage::Done(changed) => {
                    self.moved.notify_all();
                    return Some(changed);
                }
                Stage::Ended => {
                    *stage = Stage::Ended;
                    return None;
                }
                other => *stage = other,
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero()
                && let Some(slow) = slow.take()
            {
                slow();
            }
            let wait = if left.is_zero() {
                Duration::from_secs(3600)
            } else {
                left
            };
            stage = match self.moved.wait_timeout(stage, wait) {
                Ok((stage, _)) => stage,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// A reload went well.
    pub(super) fn count(&self, load: Duration, swap: Duration, read: RuleCounts) {
        let mut seen = self.seen();
        seen.read = Some(read);
        seen.counts.done += 1;
        seen.longest_load = seen.longest_load.max(load);
        seen.longest_swap = seen.longest_swap.max(swap);
        if seen.swaps.len() >= KEPT {
            seen.swaps.remove(0);
        }
        seen.swaps.push(swap);
    }

    /// A reload went wrong.
    pub(super) fn fail(&self, why: &str) {
        let mut seen = self.seen();
        seen.counts.failed += 1;
        seen.last_failure = Some(why.to_owned());
    }

    /// What came of all reloads.
    pub fn summary(&self) -> Summary {
        Summary {
            stats: self.stats(),
            counts: self.counts(),
            rules: self.seen().read,
        }
    }

    fn stats(&self) -> ReloadStats {
        let seen = self.seen();
        let mut swaps = seen.swaps.clone();
        swaps.sort_unstable();
        let median = swaps.get(swaps.len() / 2).copied().unwrap_or_default();
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        ReloadStats {
            count: seen.counts.done,
            failed: seen.counts.failed,
            median_swap_us: us(median),
            longest_swap_us: us(seen.longest_swap),
            longest_load_us: us(seen.longest_load),
        }
    }

    /// What `status` says.
    pub fn status(&self) -> Value {
        let stats = self.stats();
        let seen = self.seen();
        json!({
            "uptime": self.started.elapsed().as_secs(),
            "packets": self.changes.frames(),
            "alerts": self.alerts.load(Ordering::Relaxed),
            "rules": seen.counts.rules,
            "matcher": seen.matcher,
            "modules": seen.modules.as_ref().map(|modules| modules.counters()).unwrap_or_default(),
            "reload": stats,
            "last_failure": seen.last_failure,
        })
    }
}
