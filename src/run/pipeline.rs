//! From captures to alerts: everything that touches readers and the engine.

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weir_capture::{CaptureError, CaptureReader};
use weir_engine::detect::{Alert, Alerts, Counters, Engine, EngineConfig, EngineError};
use weir_engine::eval::Plain as PlainEvaluator;
use weir_engine::matcher::Plain as PlainMatcher;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_events::usage;

use super::workers::{self, Source};
use crate::ui::figures;
use crate::ui::progress::Progress;

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Capture {
    /// A file, or standard input (`-`).
    File(PathBuf),
    /// A capture in memory.
    Memory {
        /// What messages call it.
        name: String,
        /// The capture.
        bytes: Arc<[u8]>,
    },
}

impl Capture {
    fn open(&self) -> Result<CaptureReader, CaptureError> {
        match self {
            Self::File(path) => CaptureReader::open(path),
            Self::Memory { name, bytes } => {
                CaptureReader::new(Cursor::new(Arc::clone(bytes)), name.as_str())
            }
        }
    }
}

/// What is to be done.
pub struct Job<'a> {
    /// Captures, in the order in which they are read.
    pub captures: &'a [Capture],
    /// Rules.
    pub rules: Arc<RuleSet>,
    /// Settings of the engine.
    pub engine: EngineConfig,
    /// Threads that inspect packets.
    pub workers: NonZeroUsize,
    /// Becomes true when the user has had enough.
    pub stop: &'a AtomicBool,
}

/// What was done.
#[derive(Debug)]
pub struct Outcome {
    /// Frames read.
    pub packets: u64,
    /// Captured bytes of those frames.
    pub bytes: u64,
    /// Frames of which the capture holds less than was on the wire.
    pub snap_cut: u64,
    /// Captures that end in the middle of a record.
    pub truncated: u64,
    /// Alerts handed out.
    pub alerts: u64,
    /// Matches without an alert: `noalert`, or a threshold.
    pub suppressed: u64,
    /// Matches without an alert, because the packet had too many.
    pub discarded: u64,
    /// Threshold counters given up for want of room.
    pub thresholds_evicted: u64,
    /// What each worker counted.
    pub counters: Vec<Counters>,
    /// The matcher that was used.
    pub matcher: &'static str,
    /// Wall-clock time of packet processing.
    pub time: Duration,
    /// CPU time of packet processing, all threads.
    pub cpu: Duration,
    /// What the user should know, though it is no failure.
    pub warnings: Vec<String>,
    /// Why it ended early, or cannot count as done.
    pub failure: Option<String>,
}

impl Outcome {
    /// One of the counters, all workers together.
    pub fn sum(&self, pick: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(pick).sum()
    }
}

/// Takes alerts; an error ends the run.
pub type OnAlert<'a> = &'a mut dyn FnMut(&Alert<'_>) -> Result<(), String>;

/// Reads all captures and inspects their frames. What was found before a failure is handed out, and the failure stands
/// in the outcome.
///
/// # Errors
/// When the engine cannot take the rules.
pub fn run(
    job: &Job<'_>,
    progress: Progress,
    on_alert: OnAlert<'_>,
) -> Result<Outcome, EngineError> {
    let engine = |_| {
        Engine::new(
            Arc::clone(&job.rules),
            Box::new(PlainMatcher::default()),
            Box::new(PlainEvaluator::new(Arc::clone(&job.rules))),
            job.engine.clone(),
        )
    };
    let mut engines = (0..job.workers.get())
        .map(engine)
        .collect::<Result<Vec<_>, _>>()?;
    let mut reading = Reading::new(job, progress);
    let mut alerts = Alerts::new(Arc::clone(&job.rules), &job.engine);
    let mut written = 0;
    let mut failure = None;
    let (started, cpu_before) = (Instant::now(), usage::cpu_time());
    workers::run(&mut engines, &mut reading, &mut |found| {
        alerts.commit(found, &mut |alert| {
            if failure.is_none() {
                match on_alert(alert) {
                    Ok(()) => written += 1,
                    Err(error) => failure = Some(error),
                }
            }
        });
        if failure.is_none() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    let (time, cpu) = (
        started.elapsed(),
        usage::cpu_time().saturating_sub(cpu_before),
    );
    reading.progress.finish();
    let counters: Vec<Counters> = engines.iter().map(Engine::counters).collect();
    reading.judge_links(
        counters
            .iter()
            .map(|counters| counters.decoder.unknown_link)
            .sum(),
    );
    Ok(Outcome {
        packets: reading.packets,
        bytes: reading.bytes,
        snap_cut: reading.snap_cut,
        truncated: reading.truncated,
        alerts: written,
        suppressed: alerts.suppressed(),
        discarded: alerts.discarded(),
        thresholds_evicted: alerts.thresholds_evicted(),
        counters,
        matcher: engines.first().map_or("none", Engine::matcher),
        time,
        cpu,
        warnings: reading.warnings,
        failure: failure.or(reading.failure),
    })
}

/// The front of the pipeline: frames of all captures, numbered through.
struct Reading<'a> {
    captures: std::slice::Iter<'a, Capture>,
    reader: Option<CaptureReader>,
    stop: &'a AtomicBool,
    progress: Progress,
    /// Bytes of the captures that are behind.
    position: u64,
    packets: u64,
    bytes: u64,
    snap_cut: u64,
    truncated: u64,
    first_link: Option<LinkType>,
    warnings: Vec<String>,
    failure: Option<String>,
}

impl<'a> Reading<'a> {
    fn new(job: &Job<'a>, progress: Progress) -> Self {
        Self {
            captures: job.captures.iter(),
            reader: None,
            stop: job.stop,
            progress,
            position: 0,
            packets: 0,
            bytes: 0,
            snap_cut: 0,
            truncated: 0,
            first_link: None,
            warnings: Vec::new(),
            failure: None,
        }
    }

    /// Goes to the next frame, perhaps of the next capture; false when there is none, or the run is to end.
    fn advance(&mut self) -> bool {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return self.end(format!(
                    "interrupted after {}",
                    figures::counted(self.packets, "packet")
                ));
            }
            let Some(reader) = &mut self.reader else {
                let Some(capture) = self.captures.next() else {
                    return false;
                };
                match capture.open() {
                    Ok(reader) => self.reader = Some(reader),
                    Err(error) => return self.end(error.to_string()),
                }
                continue;
            };
            match reader.advance() {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) if error.is_truncated() => {
                    self.truncated += 1;
                    self.warnings.push(error.to_string());
                }
                Err(error) => return self.end(error.to_string()),
            }
            self.position += reader.bytes_read();
            self.reader = None;
        }
    }

    /// There will be no more frames, and this is why.
    fn end(&mut self, why: String) -> bool {
        self.failure = Some(why);
        self.reader = None;
        self.captures = [].iter();
        false
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

impl Source for Reading<'_> {
    fn next_frame(&mut self) -> Option<Frame<'_>> {
        if !self.advance() {
            return None;
        }
        let reader = self.reader.as_ref()?;
        let frame = reader.frame()?;
        self.packets += 1;
        self.bytes += frame.data.len() as u64;
        self.snap_cut += u64::from((frame.data.len() as u64) < u64::from(frame.wire_len));
        self.first_link.get_or_insert(frame.link);
        self.progress.at(
            self.packets,
            self.bytes,
            self.position + reader.bytes_read(),
        );
        Some(Frame {
            number: self.packets,
            ..frame
        })
    }
}
