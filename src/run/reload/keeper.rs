//! The thread that makes other rules ready.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::json;
use weir_engine::detect::{Change, Prepared, Successor};
use weir_engine::state::{Order, Seat, Shared, StateConfig, Thresholds};

use weir_wasm::modules::Modules;

use super::hub::{Answer, Offer, Request};
use super::{Reload, stand_back};
use crate::failure::Failure;
use crate::rules::Evaluators;
use crate::run::Fresh;
use crate::run::matcher::Matchers;
use crate::run::workers::changes;

/// How often signals are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks waits no longer than this for packets that new rules could begin with.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is in force, and what it takes to make something else.
pub struct InForce {
    /// The rules.
    pub prepared: Arc<Prepared>,
    /// What flows share.
    pub shared: Arc<Shared>,
    /// Counts of alerts.
    pub counts: Arc<Thresholds>,
    /// How much state is kept, and which files it comes from.
    pub state: StateConfig,
    /// What makes matchers; it ends with the run.
    pub matchers: Weak<Matchers>,
    /// The modules that decide some of the rules.
    pub modules: Option<Arc<Modules>>,
    /// How many workers there are.
    pub workers: usize,
    /// Frames have numbers: what rules change for all flows, they change in the order of these.
    pub numbered: bool,
}

/// Starts it. It ends when the run has ended; a run does not wait for it while it only reads rules.
pub(super) fn start(reload: Reload, in_force: InForce) -> Result<(), Failure> {
    let rules = in_force.prepared.rules().rules().len();
    reload.hub.in_force(rules);
    reload.hub.has_modules(in_force.modules.as_ref());
    let keeper = std::thread::Builder::new().name("rules".to_owned());
    let spawned = keeper.spawn(move || {
        stand_back();
        Keeper { reload, in_force }.run();
    });
    match spawned {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!(
            "cannot start a thread that reloads rules: {error}"
        ))),
    }
}

struct Keeper {
    reload: Reload,
    in_force: InForce,
}

impl Keeper {
    fn run(mut self) {
        loop {
            let request = match self.reload.requests.recv_timeout(LOOK) {
                Ok(request) => request,
                Err(RecvTimeoutError::Timeout) => {
                    if self.reload.hub.has_ended() {
                        return;
                    }
                    if !self.reload.asked.swap(false, Ordering::Relaxed) {
                        continue;
                    }
                    Request {
                        rules: None,
                        answer: None,
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.answer(request);
        }
    }

    fn answer(&mut self, request: Request) {
        let Request { rules, mut answer } = request;
        let mut tell = |said: Answer| {
            if let Some(answer) = answer.take() {
                // Who does not wait any more is not told.
                let _ = answer.try_send(said);
            }
        };
        let done = self.load(rules, &mut tell);
        match &done {
            Ok(said) => tracing::info!("rules reloaded: {said}"),
            Err(why) => {
                tracing::error!("rules not reloaded, those before stay in force: {why}");
                self.reload.hub.fail(why);
            }
        }
        tell(done);
    }

    /// Loads rules and has all workers change to them.
    fn load(&mut self, paths: Option<Vec<PathBuf>>, tell: &mut dyn FnMut(Answer)) -> Answer {
        let started = Instant::now();
        let failed = |failure: Failure| failure.message().unwrap_or("refused").to_owned();
        let before = self.in_force.modules.as_ref();
        let fresh = (self.reload.load)(paths.as_deref(), before).map_err(failed)?;
        let Fresh {
            rules,
            evaluators,
            loaded,
            overrides,
        } = fresh;
        let (count, refused) = (rules.rules().len(), loaded.refused.len());
        let read = crate::rules::counts(loaded.counts);
        let InForce {
            prepared,
            shared,
            counts,
            state,
            ..
        } = &self.in_force;
        let change = Arc::new(Change::new(prepared, rules, &overrides));
        let now = change
            .shared(shared, state)
            .map_err(|error| error.to_string())?;
        let now = Arc::new(now);
        let hub = Arc::clone(&self.reload.hub);
        if !hub.prepare() {
            return Err(ENDED.to_owned());
        }
        let parts = self.parts(&change, &now, &evaluators);
        let parts = parts.inspect_err(|_| hub.give_up())?;
        let load = started.elapsed();
        let offer = Offer {
            change: Arc::clone(&change),
            shared: Arc::clone(&now),
        };
        let ready = json!({
            "rules": count,
            "refused": refused,
            "load_seconds": load.as_secs_f64(),
            "waits": "no packet has come since; with the next one the rules are in force",
        });
        let slow = || tell(Ok(ready));
        let Some(changed) = hub.offer(offer, parts, PATIENCE, slow) else {
            return Err(ENDED.to_owned());
        };
        let left = change.leave(shared, &now, counts);
        hub.count(load, changed.took, read);
        hub.in_force(count);
        hub.has_modules(evaluators.modules());
        self.in_force.modules = evaluators.modules().cloned();
        let after = Arc::clone(change.after());
        (self.in_force.prepared, self.in_force.shared) = (after, now);
        if let Err(error) = left {
            tracing::warn!("{error}");
        }
        Ok(json!({
            "rules": count,
            "refused": refused,
            "load_seconds": load.as_secs_f64(),
            "swap_us": u64::try_from(changed.took.as_micros()).unwrap_or(u64::MAX),
        }))
    }

    /// What each worker changes to, with matchers that have the new probes.
    fn parts(
        &self,
        change: &Arc<Change>,
        shared: &Arc<Shared>,
        evaluators: &Evaluators,
    ) -> Result<changes::Change<Successor>, String> {
        let InForce {
            matchers,
            workers,
            numbered,
            ..
        } = &self.in_force;
        let matchers = matchers.upgrade().ok_or(ENDED)?;
        let order = if *numbered && change.after().state().crosses_flows() {
            Order::new(*workers)
        } else {
            Order::none()
        };
        let part = |at| {
            let matcher = matchers
                .one()
                .map_err(|failure| failure.message().unwrap_or("no matcher").to_owned())?;
            let evaluator = evaluators
                .one(change.after().state().names())
                .map_err(|failure| failure.message().unwrap_or("no evaluator").to_owned())?;
            Successor::new(
                Arc::clone(change),
                Seat::new(Arc::clone(shared), order.turn(at)),
                matcher,
                evaluator,
            )
            .map_err(|error| error.to_string())
        };
        let parts: Result<Vec<Successor>, String> = (0..*workers).map(part).collect();
        Ok(changes::Change {
            parts: parts?,
            order,
        })
    }
}

const ENDED: &str = "the run has ended";
