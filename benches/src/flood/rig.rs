//! An engine that made-up packets are sent through.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_engine::detect::{Alert, Alerts, Counters, Engine, EngineConfig, Event, Profile, Stage};
use weir_engine::eval::Plain;
use weir_engine::matcher::{Matcher, Software};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_rules::classification::Classification;
use weir_rules::compile::{self, Compiler, Variables};
use weir_rules::syntax::SourceFile;

use crate::BenchError;
use crate::measure::cpu_time;

/// Frames that are made at a time; making them is not measured. As many as stay in a cache.
const BATCH: usize = 256;
/// Frames after which the engine looks at the clock, as in a run.
const LOOK: u64 = 1024;
/// Before any capture.
const START_NS: u64 = 1_000_000_000;

/// Rules from text, every one of which must load.
pub(crate) fn rules(text: String) -> Result<Arc<RuleSet>, BenchError> {
    let source = SourceFile {
        name: "made.rules".into(),
        bytes: text.into_bytes(),
    };
    let compiler = Compiler::new(Variables::stock(), Classification::stock());
    let loaded = compile::load(&[source], &compiler);
    match loaded.refused.first() {
        None => Ok(Arc::new(loaded.rules)),
        Some(refused) => Err(BenchError::Nothing(format!("{refused:?}"))),
    }
}

/// The rules of files and folders, without those that are refused.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Arc<RuleSet>, BenchError> {
    let sources = weir_rules::syntax::load_paths(paths)?;
    let compiler = Compiler::new(Variables::stock(), Classification::stock());
    Ok(Arc::new(compile::load(&sources, &compiler).rules))
}

/// A frame in the batch.
struct Made {
    /// Where it ends.
    end: usize,
    ts_ns: u64,
    link: LinkType,
}

/// The frames of a batch; `sent` came before.
fn frames<'a>(bytes: &'a [u8], frames: &'a [Made], sent: u64) -> impl Iterator<Item = Frame<'a>> {
    let mut from = 0;
    (sent + 1..).zip(frames).map(move |(number, made)| {
        let data = bytes.get(from..made.end).unwrap_or_default();
        from = made.end;
        Frame {
            ts_ns: made.ts_ns,
            number,
            link: made.link,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        }
    })
}

/// One worker, what limits its alerts, and the frames that are on their way to it.
pub(crate) struct Rig<'a> {
    engine: Engine,
    alerts: Alerts,
    on_alert: Box<dyn FnMut(&Alert<'_>) + 'a>,
    events: Vec<Event>,
    bytes: Vec<u8>,
    frames: Vec<Made>,
    /// Frames so far.
    sent: u64,
    now_ns: u64,
    /// Packet time from one frame to the next.
    step_ns: u64,
    spent: Duration,
}

impl<'a> Rig<'a> {
    pub(crate) fn new(
        rules: &Arc<RuleSet>,
        config: &EngineConfig,
        step_ns: u64,
        on_alert: impl FnMut(&Alert<'_>) + 'a,
    ) -> Result<Self, BenchError> {
        let matcher = Box::new(Software::new());
        Self::matching(matcher, rules, config, step_ns, on_alert)
    }

    /// With another matcher than software.
    pub(crate) fn matching(
        matcher: Box<dyn Matcher>,
        rules: &Arc<RuleSet>,
        config: &EngineConfig,
        step_ns: u64,
        on_alert: impl FnMut(&Alert<'_>) + 'a,
    ) -> Result<Self, BenchError> {
        let engine = Engine::new(
            Arc::clone(rules),
            matcher,
            Box::new(Plain::new(Arc::clone(rules))),
            config.clone(),
        );
        let engine = engine.map_err(|error| BenchError::Nothing(error.to_string()))?;
        Ok(Self {
            engine,
            alerts: Alerts::new(Arc::clone(rules), config),
            on_alert: Box::new(on_alert),
            events: Vec::new(),
            bytes: Vec::new(),
            frames: Vec::new(),
            sent: 0,
            now_ns: START_NS,
            step_ns,
            spent: Duration::ZERO,
        })
    }

    /// Sends a packet, which `write` appends to what it is given.
    pub(crate) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.now_ns += self.step_ns;
        self.end_frame(self.now_ns, LinkType::RAW);
    }

    /// Sends a frame of a capture.
    pub(crate) fn replay(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.data);
        self.now_ns = self.now_ns.max(frame.ts_ns);
        self.end_frame(frame.ts_ns, frame.link);
    }

    fn end_frame(&mut self, ts_ns: u64, link: LinkType) {
        let end = self.bytes.len();
        self.frames.push(Made { end, ts_ns, link });
        if self.frames.len() >= BATCH {
            self.flush();
        }
    }

    /// Has the engine take all frames that were sent.
    pub(crate) fn flush(&mut self) {
        let start = cpu_time();
        self.engine.profile().skip();
        if self.engine.runs_ahead() {
            for frame in frames(&self.bytes, &self.frames, self.sent) {
                self.engine.ahead(frame);
            }
            self.engine.flush();
        }
        for frame in frames(&self.bytes, &self.frames, self.sent) {
            self.sent = frame.number;
            let ts_ns = frame.ts_ns;
            self.engine.process(frame, &mut self.events);
            if self.sent.is_multiple_of(LOOK) {
                self.engine.tick(self.sent, ts_ns, &mut self.events);
            }
        }
        self.commit();
        self.engine.profile().lap(Stage::Commit);
        self.spent += cpu_time().saturating_sub(start);
        self.frames.clear();
        self.bytes.clear();
    }

    /// Lets time pass, until all flows have ended.
    pub(crate) fn forget(&mut self) {
        self.flush();
        self.now_ns += 3_600_000_000_000;
        // The first look finds that the clock has leapt, the second one believes it.
        for _ in 0..2 {
            self.engine.tick(self.sent, self.now_ns, &mut self.events);
        }
        self.commit();
    }

    fn commit(&mut self) {
        for event in self.events.drain(..) {
            self.alerts.commit(&event, &mut *self.on_alert);
        }
    }

    /// The run is over.
    pub(crate) fn finish(&mut self) {
        self.flush();
        self.engine.finish(self.sent + 1, &mut self.events);
        self.commit();
    }

    /// Frames so far, and the processor time that the engine took for them.
    pub(crate) fn spent(&mut self) -> (u64, Duration) {
        self.flush();
        (self.sent, self.spent)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.engine.counters()
    }

    pub(crate) fn profile(&mut self) -> Profile {
        self.engine.profile().clone()
    }
}
