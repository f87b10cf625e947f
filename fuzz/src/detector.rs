//! A matcher and an evaluator for engine after engine.

use std::sync::{Arc, Mutex, MutexGuard};

use weir_engine::detect::{Engine, EngineConfig, Prepared};
use weir_engine::eval::{self, Beyond, EvalCounters, Evaluator, Subject};
use weir_engine::matcher::{self, Matcher, MatcherError, Probe, Report, Request};
use weir_engine::plan::{RuleId, RuleSet};
use weir_engine::state::{self, Overrides, Seat, Turn};

/// What depends on rules alone. It is made once: tables and regular expressions cost more than an input.
pub struct Detector {
    /// The rules.
    pub rules: Arc<RuleSet>,
    prepared: Arc<Prepared>,
    matcher: Mutex<(bool, matcher::Plain)>,
    evaluator: Mutex<eval::Plain>,
}

impl Detector {
    /// For these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let evaluator = Mutex::new(eval::Plain::new(Arc::clone(&rules)));
        let prepared = Arc::new(Prepared::new(Arc::clone(&rules), &Overrides::default()));
        Self {
            rules,
            prepared,
            matcher: Mutex::default(),
            evaluator,
        }
    }

    /// An engine that has seen nothing. There may be several, one at work at a time.
    pub fn engine(&'static self, config: EngineConfig) -> Engine {
        let state = self.prepared.state();
        let kept = state::Shared::new(&self.rules, state, &config.state);
        let kept = Arc::new(kept.expect("no rule names a file"));
        Engine::sharing(
            Arc::clone(&self.prepared),
            Seat::new(kept, Turn::free()),
            Box::new(Shared(self)),
            Box::new(Shared(self)),
            config,
        )
        .expect("the software matcher takes any probe")
    }
}

/// A detector's matcher and evaluator, lent to one engine after the other.
struct Shared(&'static Detector);

impl Shared {
    fn matcher(&self) -> MutexGuard<'_, (bool, matcher::Plain)> {
        self.0.matcher.lock().expect("a panic ends the process")
    }

    fn evaluator(&self) -> MutexGuard<'_, eval::Plain> {
        self.0.evaluator.lock().expect("a panic ends the process")
    }
}

impl Matcher for Shared {
    fn name(&self) -> &'static str {
        "software"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        let mut matcher = self.matcher();
        let (loaded, matcher) = &mut *matcher;
        if !std::mem::replace(loaded, true) {
            matcher.load(probes)?;
        }
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.matcher().1.submit(request)
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.matcher().1.poll(deliver)
    }
}

impl Evaluator for Shared {
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        self.evaluator()
            .evaluate(subject, beyond, candidates, matches);
    }

    fn counters(&self) -> EvalCounters {
        self.evaluator().counters()
    }
}
