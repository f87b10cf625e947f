//! Workers in this process, one frame after the other, whose rules change between frames.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use weir_engine::detect::{Alerts, Change, Engine, EngineConfig, Event, Prepared, Successor, What};
use weir_engine::eval;
use weir_engine::flow::{FlowConfig, shard};
use weir_engine::handover;
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request, Software};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_engine::state::{Overrides, Seat, Shared, Turn};
use weir_rules::classification::Classification;
use weir_rules::compile::{self, Compiler, Variables};
use weir_rules::syntax::SourceFile;
use weir_tables::{Geometry, Key, Model, Size};

use crate::faulty::{Fault, Faulty};

/// Frames after which all workers look at the clock, and frames that are looked at ahead.
const BLOCK: usize = 16;

/// Rules from text, every one of which must load.
pub fn rules(text: &str) -> Arc<RuleSet> {
    let source = SourceFile {
        name: "reload.rules".into(),
        bytes: text.as_bytes().to_vec(),
    };
    let compiler = Compiler::new(Variables::stock(), Classification::stock());
    let loaded = compile::load(&[source], &compiler);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Arc::new(loaded.rules)
}

/// What came, with its time.
pub type Timed = (u64, Vec<u8>);

/// An alert, by the number of its frame and its sid; a tagged packet has sid 0.
pub type Alerted = (u64, u32);

/// A backend that is far away: answers come after a few polls, and now and then none comes.
struct Far {
    right: Software,
    buffers: u64,
    under_way: Vec<(u64, u32, Vec<Hit>)>,
}

impl Matcher for Far {
    fn name(&self) -> &'static str {
        "far"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.right.load(probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.right.submit(request)?;
        let mut hits = Vec::new();
        self.right.poll(&mut |report| hits.extend(report.hits));
        self.buffers += 1;
        if !self.buffers.is_multiple_of(11) {
            let polls = (self.buffers % 3) as u32;
            self.under_way.push((request.tag, polls, hits));
        }
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let before = self.under_way.len();
        self.under_way.retain_mut(|(tag, polls, hits)| {
            let ready = *polls == 0;
            *polls = polls.saturating_sub(1);
            if ready {
                deliver(Report {
                    tag: *tag,
                    outcome: Outcome::Done,
                    hits,
                });
            }
            !ready
        });
        before - self.under_way.len()
    }

    fn depth(&self) -> usize {
        64
    }
}

/// Backends that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Software,
    Model,
    Faulty,
    Far,
}

impl Backend {
    pub const ALL: [Self; 4] = [Self::Software, Self::Model, Self::Faulty, Self::Far];

    fn matcher(self) -> Box<dyn Matcher> {
        match self {
            Self::Software => Box::new(Software::new()),
            Self::Model => {
                let geometry = Geometry::new(8, Size::Compact);
                Box::new(Model::new(geometry, Key::from_seed(3), u16::MAX))
            }
            Self::Faulty => Box::new(Faulty::new(&Fault::ALL)),
            Self::Far => Box::new(Far {
                right: Software::new(),
                buffers: 0,
                under_way: Vec::new(),
            }),
        }
    }
}

pub struct Sensor {
    config: EngineConfig,
    backend: Backend,
    prepared: Arc<Prepared>,
    shared: Arc<Shared>,
    engines: Vec<Engine>,
    alerts: Alerts,
    link: LinkType,
    found: Vec<Alerted>,
}

impl Sensor {
    pub fn new(rules: &Arc<RuleSet>, workers: usize, backend: Backend, link: LinkType) -> Self {
        let mut config = EngineConfig {
            flow: FlowConfig {
                max_flows: 512,
                ..FlowConfig::default()
            },
            match_deadline: Duration::from_micros(50),
            handover: true,
            tagged_packets: true,
            ..EngineConfig::default()
        };
        config.decoder.defrag.max_bytes = 1 << 20;
        config.stream.memory = 8 << 20;
        let prepared = Arc::new(Prepared::new(Arc::clone(rules), &config.overrides));
        let shared = Shared::new(rules, prepared.state(), &config.state).expect("no files");
        let shared = Arc::new(shared);
        let engine = |_| {
            Engine::sharing(
                Arc::clone(&prepared),
                Seat::new(Arc::clone(&shared), Turn::free()),
                backend.matcher(),
                Box::new(eval::Plain::new(Arc::clone(rules))),
                config.clone(),
            )
            .expect("it holds few probes")
        };
        Self {
            engines: (0..workers).map(engine).collect(),
            alerts: Alerts::new(Arc::clone(rules), &config),
            prepared,
            shared,
            backend,
            config,
            link,
            found: Vec::new(),
        }
    }

    /// All workers change to these rules.
    pub fn reload(&mut self, rules: &Arc<RuleSet>) {
        let change = Arc::new(Change::new(
            &self.prepared,
            Arc::clone(rules),
            &Overrides::default(),
        ));
        let now = change.shared(&self.shared, &self.config.state);
        let now = Arc::new(now.expect("no files"));
        let mut events = Vec::new();
        for engine in &mut self.engines {
            let seat = Seat::new(Arc::clone(&now), Turn::free());
            let evaluator = Box::new(eval::Plain::new(Arc::clone(rules)));
            let matcher = self.backend.matcher();
            let successor = Successor::new(Arc::clone(&change), seat, matcher, evaluator);
            let successor = successor.expect("it holds few probes");
            let retired = engine.swap(successor, &mut events);
            let Ok(retired) = retired else {
                panic!("these rules are in force");
            };
            drop(retired);
        }
        assert!(events.is_empty(), "there are no modules");
        self.alerts.swap(&change);
        let left = change.leave(&self.shared, &now, &self.alerts.counts());
        left.expect("nothing is written");
        self.prepared = Arc::clone(change.after());
        self.shared = now;
    }

    fn frame<'a>(&self, frames: &'a [Timed], at: usize) -> Frame<'a> {
        let (ts_ns, data) = &frames[at];
        Frame {
            ts_ns: *ts_ns,
            number: at as u64 + 1,
            link: self.link,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        }
    }

    fn worker(&mut self, frame: &Frame<'_>) -> &mut Engine {
        let at = shard(frame) as usize % self.engines.len();
        &mut self.engines[at]
    }

    fn commit(&mut self, events: &mut Vec<Event>) {
        events.sort_by_key(|event| event.place);
        for event in events.drain(..) {
            let found = &mut self.found;
            self.alerts.commit(&event, &mut |alert| {
                found.push((alert.packet.number, alert.rule.meta.sid));
            });
            if let What::Tagged(tagged) = &event.what {
                self.found.push((tagged.packet.number, 0));
            }
        }
    }

    /// Looks at a block ahead, where there is one and the workers want to.
    fn ahead(&mut self, frames: &[Timed], from: usize) {
        if self.engines.iter().any(Engine::runs_ahead) {
            for at in from..frames.len().min(from + BLOCK) {
                let frame = self.frame(frames, at);
                self.worker(&frame).ahead(frame);
            }
            self.engines.iter_mut().for_each(Engine::flush);
        }
    }

    /// Frames up to `until`; `reloads` says which rules come before which frames.
    pub fn run(
        &mut self,
        frames: &[Timed],
        range: std::ops::Range<usize>,
        reloads: &BTreeMap<usize, Arc<RuleSet>>,
    ) {
        let mut events = Vec::new();
        self.ahead(frames, range.start);
        for at in range.clone() {
            if (at - range.start).is_multiple_of(BLOCK) {
                self.ahead(frames, at + BLOCK);
            }
            if let Some(rules) = reloads.get(&at) {
                self.reload(rules);
            }
            let frame = self.frame(frames, at);
            self.worker(&frame).process(frame, &mut events);
            self.commit(&mut events);
            if (at + 1).is_multiple_of(BLOCK) {
                for engine in &mut self.engines {
                    engine.tick(frame.number, frame.ts_ns, &mut events);
                }
                self.commit(&mut events);
            }
        }
    }

    /// Ends all flows; what was found.
    pub fn finish(mut self, frames: &[Timed]) -> Vec<Alerted> {
        let mut events = Vec::new();
        for engine in &mut self.engines {
            engine.finish(frames.len() as u64 + 1, &mut events);
        }
        self.commit(&mut events);
        self.found
    }

    /// What is known goes to another process that has these rules.
    pub fn hand_over(mut self, rules: &Arc<RuleSet>) -> Self {
        let mut file = Cursor::new(Vec::new());
        let block = Some(handover::Block::default());
        handover::save(&self.engines, &self.alerts, block, &mut file).expect("a Vec takes it");
        let mut next = Self::new(rules, self.engines.len(), self.backend, self.link);
        handover::restore(file.get_ref(), &mut next.engines, &next.alerts).expect("as written");
        next.found = std::mem::take(&mut self.found);
        next
    }
}

/// A whole run.
pub fn alerts(
    rules: &Arc<RuleSet>,
    (workers, backend): (usize, Backend),
    (link, frames): (LinkType, &[Timed]),
    reloads: &BTreeMap<usize, Arc<RuleSet>>,
) -> Vec<Alerted> {
    let mut sensor = Sensor::new(rules, workers, backend, link);
    sensor.run(frames, 0..frames.len(), reloads);
    sensor.finish(frames)
}
