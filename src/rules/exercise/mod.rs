//! `weir rules exercise`: a capture in which every rule fires once, and nearly fires once.
//!
//! What `weir_rules::exercise` makes for rules is shown to the engine, all at once; what does not fire is made another
//! way. Then near misses are shown, until one is silent. What is left is written, and shown once more as it is written.

mod frames;
pub mod proof;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use weir_engine::plan::{Rule, RuleId, RuleSet};
use weir_rules::exercise::{Exercise, Exerciser, Miss, Talk, Unmet};

use crate::cli::ExerciseOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::run::settings::Context;
use proof::{Stage, tape};
use report::Report;

/// How often something else is tried for a rule that does not fire.
const ATTEMPTS: usize = 8;
/// Near misses that are tried for a rule.
const MISSES: usize = 10;

/// What came of a rule.
pub struct Outcome {
    /// The rule.
    pub id: RuleId,
    /// The conversation on which it fires, and the near miss with what is broken about it; or why there is none.
    pub result: Result<(Talk, Talk, String), Unmet>,
}

/// Makes traffic for rules, proves it, writes it.
pub fn exercise(options: &ExerciseOptions) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let context = Context::new(&config)?;
    let mut engine = context.engine.clone();
    // Everything that is made is to be seen, also many rules that fire on the same packet.
    engine.alert_max = usize::from(u16::MAX);
    engine.flow_records = false;
    let trusted = super::Trusted::new(&config, false)?;
    let loaded = super::load(&options.paths, context, &trusted, 1, None)?.loaded;
    let rules = Arc::new(audible(&loaded.rules));
    let stage = Stage {
        rules: Arc::clone(&rules),
        engine,
    };
    let exerciser = Exerciser::new(Arc::clone(&rules));
    let found = fire(&exerciser, &stage)?;
    let outcomes = miss(&exerciser, &stage, found)?;
    let outcomes = settle(&stage, outcomes)?;
    let report = Report {
        rules: &loaded.rules,
        loaded: &loaded,
        outcomes: &outcomes,
    };
    report.write(options)
}

/// The rules, all of which alert: what a rule with `noalert` matches is to be seen, too.
fn audible(rules: &RuleSet) -> RuleSet {
    let rules_of = rules.rules().iter().map(|rule| Rule {
        noalert: false,
        ..rule.clone()
    });
    RuleSet::new(rules_of.collect()).with_data_sets(rules.data_sets().to_vec())
}

/// A rule on its way.
struct Found {
    id: RuleId,
    result: Result<(Exercise, Talk), Unmet>,
}

/// Does something for each of many, on all cores; results come in order.
fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let run = || {
            let mut own = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(one) = all.get(at) else {
                    return own;
                };
                own.push((at, work(one)));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Tries until rules fire.
fn fire(exerciser: &Exerciser, stage: &Stage) -> Result<Vec<Found>, Failure> {
    let count = stage.rules.rules().len() as u32;
    let mut all: Vec<Found> = Vec::new();
    let mut open: Vec<(RuleId, Unmet)> = (0..count).map(|id| (id, Unmet::Silent)).collect();
    for attempt in 0..ATTEMPTS {
        // What cannot be made three times over cannot be made a fourth way either.
        let (tried, given_up) = std::mem::take(&mut open).into_iter().partition(|(_, why)| {
            attempt < 3 || matches!(why, Unmet::Silent | Unmet::FlowProperty)
        });
        open = tried;
        let made = each(&open, |(id, _)| {
            let exercise = exerciser.make(*id, attempt)?;
            let talk = exerciser.talk(&exercise, *id)?;
            Ok((exercise, talk))
        });
        let (mut shown, mut still): (Vec<_>, Vec<_>) = (Vec::new(), given_up);
        for ((id, before), made) in open.into_iter().zip(made) {
            match made {
                Ok((exercise, talk)) => shown.push((id, exercise, talk)),
                // What was made once says more than what failed now.
                Err(why) if attempt == 0 || before != Unmet::Silent => still.push((id, why)),
                Err(_) => still.push((id, before)),
            }
        }
        let talks: Vec<&Talk> = shown.iter().map(|(_, _, talk)| talk).collect();
        let taped = tape(talks.iter().copied()).map_err(Failure::failed)?;
        let fired = stage.fired(&talks, taped)?;
        tracing::info!(
            "attempt {attempt}: {} shown, {} without",
            talks.len(),
            still.len()
        );
        for ((id, exercise, talk), fired) in shown.into_iter().zip(fired) {
            if fired.contains(&id) {
                all.push(Found {
                    id,
                    result: Ok((exercise, talk)),
                });
            } else {
                still.push((id, exerciser.why_silent(id)));
            }
        }
        open = still;
        if open.is_empty() {
            break;
        }
    }
    all.extend(open.into_iter().map(|(id, why)| Found {
        id,
        result: Err(why),
    }));
    all.sort_by_key(|found| found.id);
    Ok(all)
}

/// Tries near misses until one is silent.
fn miss(exerciser: &Exerciser, stage: &Stage, found: Vec<Found>) -> Result<Vec<Outcome>, Failure> {
    let count = stage.rules.rules().len() as u32;
    let mut all = Vec::new();
    let mut open: Vec<(RuleId, Talk, std::vec::IntoIter<Miss>)> = Vec::new();
    let (good, bad): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| found.result.is_ok());
    all.extend(bad.into_iter().filter_map(|found| {
        Some(Outcome {
            id: found.id,
            result: Err(found.result.err()?),
        })
    }));
    let misses = each(&good, |found| match &found.result {
        Ok((exercise, _)) => exerciser.misses(exercise),
        Err(_) => Vec::new(),
    });
    for (found, misses) in good.into_iter().zip(misses) {
        if let Ok((_, talk)) = found.result {
            open.push((found.id, talk, misses.into_iter()));
        }
    }
    for _ in 0..MISSES {
        let (mut shown, mut still) = (Vec::new(), Vec::new());
        for (id, talk, mut misses) in std::mem::take(&mut open) {
            let said = misses.find_map(|miss| {
                let said = exerciser.talk(&miss.exercise, id + count).ok()?;
                (said != talk).then_some((said, miss.broken))
            });
            match said {
                Some((said, broken)) => shown.push((id, talk, said, broken, misses)),
                None => all.push(Outcome {
                    id,
                    result: Err(Unmet::NoMiss),
                }),
            }
        }
        if shown.is_empty() {
            break;
        }
        let talks: Vec<&Talk> = shown.iter().map(|(_, _, said, _, _)| said).collect();
        let taped = tape(talks.iter().copied()).map_err(Failure::failed)?;
        let fired = stage.fired(&talks, taped)?;
        for ((id, talk, said, broken, misses), fired) in shown.into_iter().zip(fired) {
            if fired.contains(&id) {
                still.push((id, talk, misses));
            } else {
                all.push(Outcome {
                    id,
                    result: Ok((talk, said, broken)),
                });
            }
        }
        open = still;
    }
    all.extend(open.into_iter().map(|(id, _, _)| Outcome {
        id,
        result: Err(Unmet::NoMiss),
    }));
    all.sort_by_key(|outcome| outcome.id);
    Ok(all)
}

/// Shows everything together, as it will be written, and drops what does not hold then.
fn settle(stage: &Stage, mut outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, Failure> {
    let talks: Vec<&Talk> = pairs(&outcomes)
        .flat_map(|(_, fires, miss, _)| [fires, miss])
        .collect();
    let taped = tape(talks.iter().copied()).map_err(Failure::failed)?;
    let fired = stage.fired(&talks, taped)?;
    let mut at = 0;
    for outcome in &mut outcomes {
        if outcome.result.is_err() {
            continue;
        }
        let [first, second] = [at, at + 1].map(|at| {
            fired
                .get(at)
                .is_some_and(|fired| fired.contains(&outcome.id))
        });
        at += 2;
        if !first {
            outcome.result = Err(Unmet::Silent);
        } else if second {
            outcome.result = Err(Unmet::NoMiss);
        }
    }
    Ok(outcomes)
}

/// The conversations of the rules that have them.
fn pairs(outcomes: &[Outcome]) -> impl Iterator<Item = (RuleId, &Talk, &Talk, &str)> {
    outcomes.iter().filter_map(|outcome| {
        let (fires, miss, broken) = outcome.result.as_ref().ok()?;
        Some((outcome.id, fires, miss, broken.as_str()))
    })
}

/// A name beside the capture's: `FILE.pcap` becomes `FILE.` and this.
fn beside(path: &std::path::Path, end: &str) -> PathBuf {
    path.with_extension(end)
}
