//! From frames to alerts: everything that touches the engine.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use weir_engine::detect::{Alerts, Counters, Engine, EngineConfig, Prepared, Profile, What};
use weir_engine::eval::NoticeKind;
use weir_engine::handover::Block;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_engine::state::{Order, Seat, Shared, StateCounters};
use weir_events::{Eve, usage};
use weir_wasm::modules::ModuleCounters;

use super::counters::{self, Gauges};
use super::handover::StateDir;
use super::matcher::Matchers;
use super::reload::{self, InForce, Reload};
use super::wire::Accounts;
use super::workers::changes::{Changes, Step};
use super::workers::{self, Commit, Course, Handover, Source};
use crate::failure::Failure;
use crate::rules::Evaluators;
use crate::ui::figures;

/// What is to be done.
pub struct Job {
    /// Rules.
    pub rules: Arc<RuleSet>,
    /// What evaluates them.
    pub evaluators: Evaluators,
    /// Settings of the engine.
    pub engine: EngineConfig,
    /// What looks for the rules' literals.
    pub matchers: Arc<Matchers>,
    /// Threads that inspect packets.
    pub workers: NonZeroUsize,
    /// What the run takes over, and leaves behind.
    pub state: Option<StateDir>,
    /// Whether another process goes on where the run ends.
    pub handover: Handover,
    /// Where other rules come from while the run goes on; it is taken when the run begins.
    pub reload: Option<Reload>,
}

/// Where frames come from, and how they are moved through the engines.
pub trait Input {
    /// Frames have numbers, from 1, that grow: what they cause is to be the same each time.
    fn is_numbered(&self) -> bool;

    /// What it counts while frames go on; `None` where engines count everything.
    fn gauges(&self) -> Option<Arc<Gauges>> {
        None
    }

    /// Moves frames through the engines, one a worker, until there are no more, or `commit` stops the run. It sees what the
    /// engines have to say: of files, in packet order.
    ///
    /// Returns where the run leaves off; `None` where everything has ended.
    fn drive(
        &mut self,
        engines: &mut [Engine],
        course: Course<'_>,
        commit: Commit<'_>,
    ) -> Option<Block>;

    /// What came.
    fn finish(self) -> Seen;
}

/// A source that says in the end what came from it.
pub trait Supply: Source + Send {
    /// What came.
    fn finish(self) -> Seen;
}

/// An input whose frames a thread reads, and deals out to the workers.
pub struct Dealt<S>(pub S);

impl<S: Supply> Input for Dealt<S> {
    fn is_numbered(&self) -> bool {
        self.0.is_numbered()
    }

    fn drive(
        &mut self,
        engines: &mut [Engine],
        course: Course<'_>,
        commit: Commit<'_>,
    ) -> Option<Block> {
        workers::run(engines, &mut self.0, course, commit)
    }

    fn finish(self) -> Seen {
        self.0.finish()
    }
}

/// What came in.
#[derive(Debug, Default)]
pub struct Seen {
    /// Frames that were handed out.
    pub packets: u64,
    /// Captured bytes of those frames.
    pub bytes: u64,
    /// Frames of which the capture holds less than was on the wire.
    pub snap_cut: u64,
    /// Captures that end in the middle of a record.
    pub truncated: u64,
    /// Frames of a file that a filter kept out.
    pub filtered: u64,
    /// Frames that were on the wire and did not get here: not read in time, or lost by the interface.
    pub lost: u64,
    /// Link type of the first frame.
    pub first_link: Option<LinkType>,
    /// The latest time of a frame, nanoseconds since the Unix epoch.
    pub latest_ns: u64,
    /// What the user should know, though it is no failure.
    pub warnings: Vec<String>,
    /// Why it ended early, or cannot count as done.
    pub failure: Option<String>,
    /// What became of every frame of ports.
    pub wire: Option<Accounts>,
}

impl Seen {
    /// Counts a frame.
    #[inline]
    pub fn count(&mut self, frame: &Frame<'_>) {
        self.packets += 1;
        self.bytes += frame.data.len() as u64;
        self.snap_cut += u64::from((frame.data.len() as u64) < u64::from(frame.wire_len));
        self.first_link.get_or_insert(frame.link);
        self.latest_ns = frame.ts_ns.max(self.latest_ns);
    }

    /// Judges frames of a link type that cannot be decoded: a warning, and a failure where there were no others.
    fn judge_links(&mut self, undecoded: u64) {
        if undecoded == 0 {
            return;
        }
        let message = format!(
            "{} of a link type that cannot be decoded (the first frame is of type {})",
            figures::counted(undecoded, "frame"),
            self.first_link.map_or(0, |link| link.0)
        );
        if undecoded == self.packets {
            self.failure.get_or_insert(message);
        } else {
            self.warnings.push(message);
        }
    }
}

/// What became of matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// Alerts handed out.
    pub written: u64,
    /// Matches without an alert: `noalert`, or a threshold.
    pub suppressed: u64,
    /// Matches without an alert, because the packet had too many.
    pub discarded: u64,
}

impl AlertCounts {
    fn of(alerts: &Alerts, written: u64) -> Self {
        Self {
            written,
            suppressed: alerts.suppressed(),
            discarded: alerts.discarded(),
        }
    }
}

/// What was done.
#[derive(Debug)]
pub struct Outcome {
    /// What came in.
    pub seen: Seen,
    /// What became of matches.
    pub alerts: AlertCounts,
    /// Threshold counters given up for want of room.
    pub thresholds_evicted: u64,
    /// State that flows share: how much there is, and what there was no room for.
    pub state: StateCounters,
    /// What each worker counted.
    pub counters: Vec<Counters>,
    /// How long each stage took, all threads together, where that was to be measured.
    pub profile: Profile,
    /// What evaluated text rules.
    pub evaluator: &'static str,
    /// The matcher that was used.
    pub matcher: &'static str,
    /// Wall-clock time of preparing the rules for the workers.
    pub setup: Duration,
    /// Wall-clock time of packet processing.
    pub time: Duration,
    /// CPU time of packet processing, all threads.
    pub cpu: Duration,
    /// Why it ended early, or cannot count as done.
    pub failure: Option<String>,
    /// What was counted of each module.
    pub modules: Vec<ModuleCounters>,
    /// What came of reloads, where there could be some.
    pub reload: Option<reload::Summary>,
}

impl Outcome {
    /// Warns when so many checksums are wrong that it cannot be the sender. `inline`: traffic goes through.
    pub fn judge_checksums(&mut self, inline: bool) {
        let wrong = self.sum(|counters| counters.decoder.bad_checksums);
        let warning = wrong_checksums(wrong, self.seen.packets, inline);
        self.seen.warnings.extend(warning);
    }

    /// Warns when the flow table was too small for the traffic.
    pub fn judge_flows(&mut self) {
        let (emergencies, evicted) = (
            self.sum(|counters| counters.flow.emergencies),
            self.sum(|counters| counters.flow.evicted),
        );
        if emergencies > 0 {
            self.seen.warnings.push(format!(
                "the flow table was nearly full {}, so that flows were kept for a shorter time, and {} had to go before \
                 their time; memory or max in [flow] of the configuration makes it larger",
                figures::counted(emergencies, "time"),
                figures::counted(evicted, "flow"),
            ));
        }
    }

    /// Warns when there was no room for what rules wanted to remember.
    fn judge_state(&mut self) {
        let state = &self.state;
        for (count, what) in [
            (
                state.host_bits_evicted,
                "bits of hosts were given up before their time",
            ),
            (
                state.counters_evicted,
                "counters of verdicts were given up before their time",
            ),
            (
                state.tagged_hosts_evicted,
                "tagged hosts were given up before their time",
            ),
            (
                state.refused,
                "bits, counters or tags were not set: their flow or host has too many",
            ),
            (
                state.sets_full,
                "members were not added to data sets: they are full",
            ),
        ] {
            if count > 0 {
                let warning = format!("{} {what}", figures::count(count));
                self.seen.warnings.push(warning);
            }
        }
    }

    /// Warns when modules were not asked though they should have been.
    fn judge_modules(&mut self) {
        for module in &self.modules {
            let name = &module.name;
            for (count, why) in [
                (module.budget_skips, "it had used up its time"),
                (module.quarantine_skips, "it had failed too often"),
                (module.lost(), "it failed"),
            ] {
                if count > 0 {
                    self.seen.warnings.push(format!(
                        "module {name}: {} lost, because {why}",
                        figures::counted(count, "evaluation")
                    ));
                }
            }
        }
    }

    /// One of the counters, all workers together.
    pub fn sum(&self, pick: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(pick).sum()
    }
}

/// What is to be said where so many of the packets had a wrong checksum that it cannot be the sender's doing: captured on their
/// way out, or between hosts on one machine, packets may have none yet. `inline`: traffic goes through.
pub fn wrong_checksums(wrong: u64, packets: u64, inline: bool) -> Option<String> {
    // One in ten, as in Suricata.
    let many = wrong > 0 && wrong.saturating_mul(10) >= packets;
    let (fate, why) = if inline {
        (
            "dropped",
            "where hosts on this machine leave them to a network card that is not there, `ethtool -K NAME tx off` on their \
             interfaces has them made; checksums = \"ignore\" in [capture] of the configuration inspects such packets, and \
             lets them through",
        )
    } else {
        (
            "not inspected",
            "this host's own packets get theirs from the network card, after they were captured: checksums = \"ignore\" in \
             [capture] of the configuration inspects them",
        )
    };
    many.then(|| {
        format!(
            "{} of {} had a wrong checksum and were {fate}; {why}",
            figures::count(wrong),
            figures::counted(packets, "packet"),
        )
    })
}

/// What becomes of a record that cannot be taken.
pub enum Untaken {
    /// It is lost, which is counted where it was lost; the run goes on.
    Lost,
    /// The run is to end, and why.
    Ends(String),
}

/// Takes records.
pub type OnRecord<'a> = &'a mut dyn FnMut(&Eve<'_>) -> Result<(), Untaken>;

/// Inspects all frames of an input. What was found before a failure is handed out, and the failure stands in the outcome.
///
/// # Errors
/// When the engine cannot take the rules, or a file with state cannot be used.
pub fn run(
    job: &mut Job,
    mut input: impl Input,
    on_record: OnRecord<'_>,
) -> Result<Outcome, Failure> {
    let setup = Instant::now();
    let prepared = Arc::new(Prepared::new(Arc::clone(&job.rules), &job.engine.overrides));
    let shared = Shared::new(&job.rules, prepared.state(), &job.engine.state);
    let shared = shared.map_err(Failure::failed)?;
    let mut shared = Arc::new(shared);
    let workers = job.workers.get();
    // What rules change for all flows, they change in packet order where packets have one.
    let order = if prepared.state().crosses_flows() && input.is_numbered() {
        Order::new(workers)
    } else {
        Order::none()
    };
    let engine = |at| {
        Engine::sharing(
            Arc::clone(&prepared),
            Seat::new(Arc::clone(&shared), order.turn(at)),
            job.matchers.one()?,
            job.evaluators.one(prepared.state().names())?,
            job.engine.clone(),
        )
        .map_err(Failure::failed)
    };
    let engines: Result<Vec<Engine>, Failure> = (0..workers).map(engine).collect();
    let mut engines = engines?;
    let mut alerts = Alerts::new(Arc::clone(&job.rules), &job.engine);
    let block = match &job.state {
        Some(state) => state.restore(&mut engines, &alerts)?,
        None => Block::default(),
    };
    let reload = job.reload.take();
    let hub = reload.as_ref().map(|reload| Arc::clone(&reload.hub));
    if let (Some(reload), Some(engine)) = (reload, engines.first()) {
        reload.hub.uses(engine.matcher());
        reload.begin(InForce {
            prepared: Arc::clone(&prepared),
            shared: Arc::clone(&shared),
            counts: alerts.counts(),
            state: job.engine.state.clone(),
            matchers: Arc::downgrade(&job.matchers),
            modules: job.evaluators.modules().cloned(),
            workers,
            numbered: input.is_numbered(),
        })?;
    }
    let nothing = Changes::default();
    let changes = hub.as_ref().map_or(&nothing, |hub| &hub.changes);
    // The set before is not needed any more once there is another one.
    drop(prepared);
    let mut written = 0;
    // Of some workers, until all have said what they counted at the same place.
    let mut gathered = Vec::new();
    let mut failure = None;
    let mut profile = Profile::new(job.engine.profile);
    let setup = setup.elapsed();
    let gauges = input.gauges();
    let (started, cpu_before) = (Instant::now(), usage::cpu_time());
    let left = input.drive(
        &mut engines,
        Course {
            order: &order,
            profile: &mut profile,
            block,
            handover: job.handover,
            changes,
        },
        &mut |step| {
            let event = match step {
                Step::Event(event) => event,
                Step::Changed(changed) => {
                    if let Some(now) = hub.as_ref().and_then(|hub| hub.changed(changed)) {
                        alerts.swap(&now.change);
                        shared = now.shared;
                    }
                    return ControlFlow::Continue(());
                }
            };
            let mut record = None;
            if let What::Counters(counters) = &event.what {
                gathered.push(Counters::clone(counters));
                if gathered.len() == workers {
                    let said = AlertCounts::of(&alerts, written);
                    let reloads = hub.as_ref().map(|hub| hub.counts());
                    record = Some(counters::record(
                        event.place.ts_ns,
                        &gathered,
                        said,
                        reloads,
                        gauges
                            .as_ref()
                            .map(|gauges| gauges.get())
                            .unwrap_or_default(),
                    ));
                    gathered.clear();
                }
            }
            let mut hand_out = |record: &Eve<'_>| {
                if failure.is_none() {
                    match on_record(record) {
                        Ok(()) if matches!(record, Eve::Alert(_)) => {
                            written += 1;
                            if let Some(hub) = &hub {
                                hub.alerts.store(written, Ordering::Relaxed);
                            }
                        }
                        Ok(()) | Err(Untaken::Lost) => {}
                        Err(Untaken::Ends(why)) => failure = Some(why),
                    }
                }
            };
            alerts.commit(event, &mut |alert| hand_out(&Eve::Alert(alert)));
            match &event.what {
                What::Matches(_) => {}
                What::Flow(ended) => hand_out(&Eve::Flow(ended)),
                What::Tagged(tagged) => hand_out(&Eve::Packet(tagged)),
                What::App(record) => hand_out(&Eve::App(record)),
                What::Notice(noticed) => {
                    let notice = &noticed.notice;
                    if notice.kind == NoticeKind::Quarantined {
                        let (module, reason) = (&notice.module, &notice.reason);
                        tracing::warn!("module {module} is not asked any more: {reason}");
                    }
                    hand_out(&Eve::Module(noticed));
                }
                What::Counters(_) => {}
            }
            if let Some(record) = &record {
                hand_out(&Eve::Counters(record));
            }
            if failure.is_none() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    );
    if let Some(hub) = &hub {
        hub.end();
    }
    let (time, cpu) = (
        started.elapsed(),
        usage::cpu_time().saturating_sub(cpu_before),
    );
    for engine in &mut engines {
        profile.add(engine.profile());
    }
    let counters: Vec<Counters> = engines.iter().map(Engine::counters).collect();
    let mut seen = input.finish();
    seen.judge_links(
        counters
            .iter()
            .map(|counters| counters.decoder.unknown_link)
            .sum(),
    );
    if shared.unkept() > 0 {
        seen.warnings.push(format!(
            "no folder to keep {} in: what rules put there is gone",
            figures::counted(shared.unkept() as u64, "data set"),
        ));
    }
    if let Err(error) = shared.write_sets() {
        failure.get_or_insert(error.to_string());
    }
    if let Some(state) = &job.state
        && let Err(error) = state.save(&engines, &alerts, left)
    {
        failure.get_or_insert(error.message().unwrap_or_default().to_owned());
    }
    let mut outcome = Outcome {
        alerts: AlertCounts::of(&alerts, written),
        thresholds_evicted: alerts.thresholds_evicted(),
        state: shared.counters(),
        counters,
        profile,
        setup,
        matcher: engines.first().map_or("none", Engine::matcher),
        time,
        cpu,
        failure: failure.or(seen.failure.take()),
        modules: match &hub {
            // A reload may have brought other modules.
            Some(hub) => hub.module_counters(),
            None => job.evaluators.module_counters(),
        },
        evaluator: job.evaluators.name(),
        reload: hub.map(|hub| hub.summary()),
        seen,
    };
    outcome.judge_state();
    outcome.judge_modules();
    Ok(outcome)
}
