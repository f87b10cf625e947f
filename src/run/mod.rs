//! `weir run`.

mod again;
mod counters;
pub mod files;
mod handover;
#[cfg(feature = "libpcap")]
mod live;
pub mod matcher;
pub mod pipeline;
mod records;
pub mod reload;
pub mod settings;
mod stages;
mod summary;
pub mod wire;
pub mod workers;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use weir_engine::packet::DecoderEvent;
use weir_events::{Eve, Stats, usage};
use weir_rules::compile::Loaded;

use crate::cli::RunOptions;
use crate::config::{Config, EveType};
use crate::failure::Failure;
use crate::rules;
use crate::ui::progress::Progress;
use again::Again;
pub use again::Fresh;
use files::{Capture, Files};
use handover::StateDir;
use matcher::Matchers;
use pipeline::{Dealt, Job, Outcome};
use records::{Lasting, Records};
use reload::{ControlSocket, Reload};
use workers::Handover;

/// Where traffic comes from.
enum Traffic<'a> {
    Files,
    #[cfg(feature = "libpcap")]
    Live(Box<Dealt<live::Live<'a>>>),
    Wire(Box<wire::Wire<'a>>),
}

/// Reads captures or ports, applies rules, writes alerts, and keeps attacks out.
pub fn run(options: &RunOptions) -> Result<(), Failure> {
    let started = Instant::now();
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?
        .with_frequency(options.frequency.as_deref())
        .with_eve_types(&options.eve_types);
    // Before anything else is read or written.
    let matchers = Matchers::open(options, &config.card)?;
    let total = capture_size(&options.pcap)?;
    #[cfg(feature = "libpcap")]
    let filter = options
        .filter
        .as_deref()
        .map(live::PacketFilter::new)
        .transpose()?;
    let mut context = settings::Context::new(&config)?;
    let plan = wire::Plan::of(options, &config.wire)?;
    if plan.is_some() {
        context.engine.inline = !options.inline.is_empty();
        context.engine.shunt_after = config.wire.shunt;
        context.engine.bypass = plan.as_ref().is_some_and(wire::Plan::bypasses);
    }
    // On the wire, a packet with a wrong checksum is one that its receiver throws away.
    let verify = options.is_live() && config.verify_checksums.is_none();
    context.engine.decoder.verify_checksums |= verify;
    context.engine.profile = options.profile;
    let state = options.state_dir.as_deref();
    let state = state.map(|folder| StateDir::open(folder, options.strict));
    let state = state.transpose()?;
    context.engine.handover = state.is_some();
    context.engine.state.folder = state.as_ref().map(|state| state.folder().to_owned());
    let engine = context.engine.clone();
    let worker_count = match &plan {
        // One for each queue.
        Some(plan) => plan.workers(),
        None => workers(options),
    };
    let again = Again::of(options, worker_count);
    let times = again.times.clone();
    let Fresh {
        rules,
        evaluators,
        loaded,
        ..
    } = again.load(&config, context, None, None)?;
    // Before files are made, or made anew.
    if let Some(plan) = plan.as_ref().filter(|_| options.dry_run) {
        return wire::dry_run(plan, &loaded);
    }
    let mut control = options
        .control
        .as_deref()
        .map(ControlSocket::open)
        .transpose()?;
    let stop = stop_on_signals()?;
    let reload = Reload::new(Box::new(move |paths, before| again.reload(paths, before)))?;
    #[cfg(feature = "libpcap")]
    let live = (options.interface.as_deref())
        .filter(|_| plan.is_none())
        .map(|interface| live::Live::open(interface, options.filter.as_deref(), &stop))
        .transpose()?;
    let sink = records::open(options)?;
    // Nothing holds traffic up from here on but what inspects it.
    let traffic = match plan {
        Some(plan) => Traffic::Wire(Box::new(wire::Wire::open(plan, &stop)?)),
        #[cfg(feature = "libpcap")]
        None => live.map_or(Traffic::Files, |live| Traffic::Live(Box::new(Dealt(live)))),
        #[cfg(not(feature = "libpcap"))]
        None => Traffic::Files,
    };
    // After ports: threads have no more capabilities than who starts them.
    if let Some(control) = &mut control {
        control.begin(&reload.hub)?;
    }
    let captures: Vec<Capture> = options.pcap.iter().cloned().map(Capture::File).collect();
    let mut job = Job {
        rules,
        evaluators,
        engine,
        matchers: Arc::new(matchers),
        workers: worker_count,
        handover: match &state {
            _ if options.handover => Handover::Always,
            Some(_) => Handover::Stopped,
            None => Handover::Never,
        },
        state,
        reload: Some(reload),
    };
    let load_time = started.elapsed();
    let mut records = Records::new(sink, &config.eve, Lasting::of(options));
    let mut on_record = |record: &Eve<'_>| records.take(record);
    let files = || Files::new(&captures, &stop, Progress::new(total));
    let outcome = match traffic {
        Traffic::Wire(wire) => pipeline::run(&mut job, *wire, &mut on_record),
        #[cfg(feature = "libpcap")]
        Traffic::Live(live) => pipeline::run(&mut job, *live, &mut on_record),
        #[cfg(feature = "libpcap")]
        Traffic::Files => pipeline::run(&mut job, Dealt(files().filtered(filter)), &mut on_record),
        #[cfg(not(feature = "libpcap"))]
        Traffic::Files => pipeline::run(&mut job, Dealt(files()), &mut on_record),
    };
    let mut outcome = outcome?;
    if verify {
        outcome.judge_checksums(!options.inline.is_empty());
    }
    if config.eve.wants(EveType::Stats) && outcome.failure.is_none() {
        let gauges = outcome.seen.wire.as_ref().map(wire::Accounts::gauges);
        let record = counters::record(
            outcome.seen.latest_ns,
            &outcome.counters,
            outcome.alerts,
            outcome.reload.as_ref().map(|reload| reload.counts),
            gauges.unwrap_or_default(),
        );
        records.last(&record);
    }
    let records = records.end();
    if let Some(why) = records.failure {
        outcome.failure.get_or_insert(why);
    }
    outcome.judge_flows();
    for warning in &outcome.seen.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(path) = &options.stats {
        let load = (load_time + outcome.setup).as_secs_f64();
        let card = job.matchers.card();
        let times = times.as_ref().map(|times| times.json());
        let stats = stats(&outcome, &loaded, load, (card, records.lost), times);
        if let Err(error) = stats.write(path) {
            let message = format!("cannot write the figures to {}: {error}", path.display());
            // Both are worth knowing; the first failure is what the command ends with.
            match &outcome.failure {
                None => outcome.failure = Some(message),
                Some(_) => tracing::error!("{message}"),
            }
        }
    }
    if options.profile {
        stages::print(&outcome)
            .map_err(|error| Failure::Failed(format!("cannot write to standard error: {error}")))?;
    }
    if let Some(times) = &times {
        times
            .print()
            .map_err(|error| Failure::Failed(format!("cannot write to standard error: {error}")))?;
    }
    if let Some(summary) = &records.summary {
        summary.print(&outcome).map_err(Failure::stdout)?;
    }
    outcome
        .failure
        .map_or(Ok(()), |message| Err(Failure::Failed(message)))
}

/// The size of all captures together, if it is known; complains about those that are not there before anything else is
/// done.
pub fn capture_size(paths: &[PathBuf]) -> Result<Option<u64>, Failure> {
    let mut total = Some(0);
    for path in paths {
        if path == Path::new("-") {
            total = None;
            continue;
        }
        let meta = std::fs::metadata(path).map_err(|error| {
            Failure::Failed(format!(
                "{}: cannot open the capture: {error}",
                path.display()
            ))
        })?;
        total = total
            .filter(|_| meta.is_file())
            .map(|total: u64| total.saturating_add(meta.len()));
    }
    Ok(total)
}

/// Says how many rules were refused and why. No rule to apply is an error, unless all were switched off on purpose: then
/// it is as with rules that are refused, a warning or with `--strict` an error.
fn report_refused(loaded: &Loaded, paths: &[PathBuf], strict: bool) -> Result<(), Failure> {
    for warned in &loaded.warnings {
        tracing::info!("{warned}");
    }
    for refused in &loaded.refused {
        tracing::info!("{refused}");
    }
    let mut why = rules::why_refused(loaded);
    if loaded.counts.evaluated == 0 {
        let nothing = "no rule to apply";
        let all_off = loaded.counts.read == 0 && loaded.comments > 0;
        let named = match paths {
            [path] if path.is_file() => path.display().to_string(),
            _ => "the rule files".to_owned(),
        };
        let message = match &why {
            Some(why) => format!("{nothing}: {why}"),
            None if all_off => format!("{nothing}: only comments in {named}"),
            None if loaded.counts.skipped > 0 => {
                format!("{nothing}: every rule is for another engine, by its own `requires`")
            }
            None => format!("{nothing}: there is none in {named}"),
        };
        if !all_off {
            return Err(Failure::Failed(message));
        }
        why = Some(message);
    }
    match why {
        Some(why) if strict => Err(Failure::Failed(why)),
        Some(why) => {
            tracing::warn!("{why}");
            Ok(())
        }
        None => Ok(()),
    }
}

/// True when packets may come in while they happen: then alerts are wanted at once.
fn is_live(options: &RunOptions) -> bool {
    options.is_live() || options.pcap.iter().any(|path| path == Path::new("-"))
}

/// One worker a core. Several work on blocks of packets, which may take long to fill when packets come in as they
/// happen: then it is one.
fn workers(options: &RunOptions) -> NonZeroUsize {
    match options.workers {
        Some(workers) => workers,
        None if is_live(options) => NonZeroUsize::MIN,
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    }
}

/// A flag that SIGINT and SIGTERM set. A second signal ends the process at once.
pub fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))?;
    }
    Ok(stop)
}

fn stats(
    outcome: &Outcome,
    loaded: &Loaded,
    load_seconds: f64,
    (card, records_lost): (Option<weir_driver::Status>, u64),
    rule_times: Option<serde_json::Value>,
) -> Stats {
    let on_card = card.as_ref().map(|card| card.counters).unwrap_or_default();
    Stats {
        packets: outcome.seen.packets,
        bytes: outcome.seen.bytes,
        alerts: outcome.alerts.written,
        seconds: outcome.time.as_secs_f64(),
        cpu_seconds: outcome.cpu.as_secs_f64(),
        load_seconds,
        peak_rss_bytes: usage::peak_rss_bytes(),
        matcher: outcome.matcher.to_owned(),
        buffers: outcome.sum(|c| c.search.buffers),
        card_buffers: on_card.card_buffers,
        probe_hits: outcome.sum(|c| c.search.probe_hits),
        candidates: outcome.sum(|c| c.candidates),
        rescanned: outcome
            .sum(|c| c.search.rescanned)
            .saturating_add(on_card.rescanned),
        failovers: on_card.failovers,
        dropped: outcome.sum(|c| c.dropped).saturating_add(outcome.seen.lost),
        truncated: outcome.seen.truncated,
        snap_cut: outcome.seen.snap_cut,
        rules: (outcome.reload.as_ref())
            .and_then(|reload| reload.rules)
            .unwrap_or_else(|| rules::counts(loaded.counts)),
        engine: [
            ("alerts_suppressed", outcome.alerts.suppressed),
            ("alerts_over_limit", outcome.alerts.discarded),
            ("thresholds_evicted", outcome.thresholds_evicted),
            ("buffer_bytes", outcome.sum(|c| c.search.buffer_bytes)),
            ("buffers_asked", outcome.sum(|c| c.search.asked)),
            ("buffers_unwanted", outcome.sum(|c| c.search.unwanted)),
            ("stray_reports", outcome.sum(|c| c.search.stray_reports)),
            ("stray_hits", outcome.sum(|c| c.search.stray_hits)),
            ("records_not_written", records_lost),
            ("packets_filtered", outcome.seen.filtered),
            ("packets_lost", outcome.seen.lost),
            ("packets_not_inspected", outcome.sum(|c| c.skipped)),
            ("packets_decoded", outcome.sum(|c| c.decoder.packets)),
            ("packets_invalid", outcome.sum(|c| c.decoder.invalid)),
            (
                "packets_bad_checksum",
                outcome.sum(|c| c.decoder.bad_checksums),
            ),
            (
                "frames_unknown_link",
                outcome.sum(|c| c.decoder.unknown_link),
            ),
            ("flows", outcome.sum(|c| c.flow.created)),
            ("flows_peak", outcome.sum(|c| c.flow.peak)),
            ("flows_timed_out", outcome.sum(|c| c.flow.timed_out)),
            ("flows_evicted", outcome.sum(|c| c.flow.evicted)),
            ("flow_emergencies", outcome.sum(|c| c.flow.emergencies)),
            ("flow_clock_leaps", outcome.sum(|c| c.flow.clock_leaps)),
            ("evaluations", outcome.sum(|c| c.eval.checks)),
            ("evaluations_matched", outcome.sum(|c| c.eval.matches)),
            ("pcre_limits", outcome.sum(|c| c.eval.pcre_limits)),
            ("recursion_limits", outcome.sum(|c| c.eval.recursion_limits)),
            ("work_limits", outcome.sum(|c| c.eval.work_limits)),
        ]
        .into_iter()
        .collect(),
        decoder_events: DecoderEvent::ALL
            .iter()
            .map(|&event| (event.name(), outcome.sum(|c| c.decoder.event(event))))
            .filter(|&(_, count)| count > 0)
            .collect(),
        stages: stages::costs(&outcome.profile),
        modules: (outcome.modules.iter())
            .filter_map(|module| serde_json::to_value(module).ok())
            .collect(),
        reload: outcome.reload.as_ref().map(|reload| reload.stats),
        evaluator: outcome.evaluator,
        rule_times,
        latency_ns: (outcome.seen.wire.as_ref()).and_then(wire::Accounts::latency_json),
        wire: outcome.seen.wire.as_ref().map(wire::Accounts::json),
        card: card.and_then(|card| serde_json::to_value(card).ok()),
    }
}
