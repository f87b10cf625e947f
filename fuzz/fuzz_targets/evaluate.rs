//! The whole packet path on arbitrary frames, with rules that use every operation.
//!
//! It runs twice: with the rules' probes, and with none, so that every rule is a candidate by its header. Both must
//! find the same: a probe only ever saves work.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::{Alerts, Engine, EngineConfig};
use weir_engine::eval::{self, EvalCounters, Evaluator, Subject};
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::{self, Matcher, MatcherError, Probe, Report, Request};
use weir_engine::plan::{RuleId, RuleSet};
use weir_engine::stream::SessionConfig;
use weir_fuzz::{Traffic, rules};

static PROBED: LazyLock<Detector> = LazyLock::new(|| Detector::new(rules()));
static BARE: LazyLock<Detector> = LazyLock::new(|| {
    let mut rules = rules().rules().to_vec();
    for rule in &mut rules {
        rule.probe = None;
    }
    Detector::new(Arc::new(RuleSet::new(rules)))
});

fuzz_target!(|input: &[u8]| {
    let probed = PROBED.alerts(input);
    let bare = BARE.alerts(input);
    assert_eq!(probed, bare, "probes changed what is found");
});

/// What depends on rules alone. It is made once: tables and regular expressions cost more than an input.
struct Detector {
    rules: Arc<RuleSet>,
    matcher: Mutex<(bool, matcher::Plain)>,
    evaluator: Mutex<eval::Plain>,
}

impl Detector {
    fn new(rules: Arc<RuleSet>) -> Self {
        let evaluator = Mutex::new(eval::Plain::new(Arc::clone(&rules)));
        Self {
            rules,
            matcher: Mutex::default(),
            evaluator,
        }
    }

    /// (frame, sid, blocked) of every alert. Flows and thresholds begin anew with each input.
    fn alerts(&'static self, input: &[u8]) -> Vec<(u64, u32, bool)> {
        let Some(traffic) = Traffic::new(input) else {
            return Vec::new();
        };
        let config = EngineConfig {
            inline: traffic.options & 2 != 0,
            // A table of the usual size takes longer to set up than an input takes to run; a full one is worth seeing.
            flow: FlowConfig {
                max_flows: 16,
                session: SessionConfig {
                    midstream: traffic.options & 4 != 0,
                    ..SessionConfig::default()
                },
                ..FlowConfig::default()
            },
            ..EngineConfig::default()
        };
        let mut committer = Alerts::new(Arc::clone(&self.rules), &config);
        let mut engine = Engine::new(
            Arc::clone(&self.rules),
            Box::new(Shared(self)),
            Box::new(Shared(self)),
            config,
        )
        .expect("the software matcher takes any probe");
        let (mut events, mut all) = (Vec::new(), Vec::new());
        for frame in traffic {
            engine.process(frame, &mut events);
        }
        for event in &events {
            committer.commit(event, &mut |alert| {
                all.push((alert.packet.number, alert.rule.meta.sid, alert.blocked))
            });
        }
        all
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
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        self.evaluator().evaluate(subject, candidates, matches);
    }

    fn counters(&self) -> EvalCounters {
        self.evaluator().counters()
    }
}
