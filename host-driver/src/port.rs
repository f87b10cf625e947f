//! A worker's side of the card: buffers to records, ends of records to answers, software where the card is not to be had.

mod ends;
mod pack;

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request, Software};
use weir_tables::Answers;
use weir_tables::share::Share;

use crate::config::Policy;
use crate::cost::{Choice, Chooser, Load};
use crate::flight::Flight;
use crate::health::{Active, Counts};
use crate::session::Batch;
use crate::shared::Shared;

/// Buffers that are decided on together.
const BATCH: u64 = 128;
/// One call in so many is timed.
const TIMED: u64 = 8;
/// Buffers under way at once at most.
const MOST_DEPTH: usize = 4096;

/// A worker's use of the card.
struct Lane {
    active: Active,
    share: Share,
}

/// What a batch was measured to take.
#[derive(Default)]
struct Meter {
    load: Load,
    /// Calls, and those that were timed.
    timed: Load,
    took: Duration,
    collecting: Duration,
    waiting: Duration,
}

/// A worker's matcher on the card.
pub struct Port {
    shared: Arc<Shared>,
    number: Option<u8>,
    probes: Arc<[Probe]>,
    /// For all probes.
    software: Software,
    lane: Option<Lane>,
    /// The turn in which `lane` was taken.
    turn: u64,
    flight: Flight,
    answers: Answers,
    batch: Batch,
    found: Vec<Hit>,
    since_known: u32,
    chooser: Chooser,
    meter: Meter,
    counts: Counts,
}

impl Port {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let place = shared.enter();
        if place.is_none() {
            tracing::warn!(
                "card {}: it has too many workers; this one has software",
                shared.name
            );
        }
        let (number, next) = place.unzip();
        Self {
            shared,
            number,
            probes: Arc::default(),
            software: Software::new(),
            lane: None,
            turn: 0,
            flight: Flight::new(next.unwrap_or(0)),
            answers: Answers::default(),
            batch: Batch::default(),
            found: Vec::new(),
            since_known: 0,
            chooser: Chooser::default(),
            meter: Meter::default(),
            counts: Counts::default(),
        }
    }

    /// Takes note of changes of the card. What is under way on a card that is not to be used any more is done by software.
    fn sync(&mut self) {
        if self.shared.turn() == self.turn {
            return;
        }
        let (active, turn) = self.shared.active();
        self.turn = turn;
        let alive = self.lane.take().zip(self.flight.oldest());
        let alive = alive.map(|(lane, oldest)| lane.active.session.last().max(oldest));
        self.take_over();
        if let Some(alive) = alive {
            self.shared.counters.takeover(alive.elapsed());
        }
        self.lane = active
            .filter(|active| self.number.is_some() && active.set.probes[..] == self.probes[..])
            .and_then(|active| {
                let share = Share::new(&self.probes, &active.set.split).ok()?;
                // What is there already was said to somebody else.
                let mut stale = Batch::default();
                let number = self.number?;
                active.session.take(number, Duration::ZERO, &mut stale);
                Some(Lane { active, share })
            });
    }

    /// Answers a request by software.
    fn in_software(&mut self, request: Request<'_>) {
        let mut pending = self.answers.begin(request.tag);
        self.counts.software_buffers += 1;
        let Request {
            group, carry, data, ..
        } = request;
        pending.done = search(&mut self.software, group, carry, data, &mut self.found);
        pending.hits.extend_from_slice(&self.found);
        self.answers.put(pending);
    }

    /// Ends a batch: what it took is learnt, and the next one is decided on.
    fn decide(&mut self) {
        let Meter {
            load,
            timed,
            took,
            collecting,
            waiting,
        } = std::mem::take(&mut self.meter);
        if timed.bytes > 0 {
            // What was timed stands for all.
            let all = took.mul_f64(load.bytes as f64 / timed.bytes as f64);
            match self.chooser.choice {
                Choice::Software => self.chooser.software.add(load, all),
                Choice::Card => {
                    self.chooser.host.add(load, all + collecting);
                    self.chooser.stall.add(load, waiting);
                }
            }
        }
        self.chooser.choose(self.shared.config.policy, load);
        *crate::session::lock(&self.shared.costs) = self.chooser.costs();
    }

    fn publish(&mut self) {
        self.shared.counters.add(&mut self.counts);
    }
}

/// Has software look through a buffer; false when it could not finish.
fn search(
    software: &mut Software,
    group: u8,
    carry: u8,
    data: &[u8],
    found: &mut Vec<Hit>,
) -> bool {
    found.clear();
    let request = Request {
        tag: 0,
        group,
        carry,
        data,
    };
    let mut done = false;
    if software.submit(request).is_ok() {
        software.poll(&mut |report| {
            done = report.outcome == Outcome::Done;
            found.extend_from_slice(report.hits);
        });
    }
    done
}

impl Matcher for Port {
    fn name(&self) -> &'static str {
        "card"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        // What is under way belongs to the probes before.
        self.sync();
        self.lane = None;
        self.take_over();
        self.turn = 0;
        let mut software = Software::new();
        software.load(probes)?;
        self.software = software;
        self.probes = self.shared.want(probes);
        self.sync();
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.sync();
        let card = self.lane.is_some();
        let software = !card || self.chooser.choice == Choice::Software;
        let bytes = request.data.len() as u64;
        let timed = card && self.meter.load.buffers.is_multiple_of(TIMED);
        let start = timed.then(Instant::now);
        if software {
            self.in_software(request);
        } else {
            self.on_the_card(request)?;
        }
        if !card {
            return Ok(());
        }
        let meter = &mut self.meter;
        meter.load.buffers += 1;
        meter.load.bytes += bytes;
        if let Some(start) = start {
            meter.took += start.elapsed();
            meter.timed.buffers += 1;
            meter.timed.bytes += bytes;
        }
        if meter.load.buffers >= BATCH {
            self.decide();
        }
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.sync();
        if self.lane.is_some() && self.flight.oldest().is_some() {
            let start = Instant::now();
            self.collect(Duration::ZERO);
            self.meter.collecting += start.elapsed();
        }
        if !self.answers.any() && self.answers.waiting() > 0 {
            let start = Instant::now();
            if let Some(since) = self.flight.staged_since(start)
                && (self.flight.oldest().is_none()
                    || start.saturating_duration_since(since) >= self.shared.config.linger)
            {
                self.ship();
            }
            self.collect(self.shared.config.wait);
            self.meter.waiting += start.elapsed();
            if !self.answers.any() {
                self.look_at_the_clock();
            }
            self.sync();
        }
        self.answers.deliver(deliver)
    }

    fn depth(&self) -> usize {
        // Also while the card is away: it comes back.
        if self.number.is_none() || self.shared.config.policy == Policy::Software {
            return 1;
        }
        let (bytes, records) = self.shared.share();
        let last = self.chooser.costs();
        let mean = last
            .batch_bytes
            .checked_div(last.batch_buffers)
            .unwrap_or(512);
        // With what stands before the payload.
        let buffers = bytes / (mean as usize + 64);
        buffers.min(records).clamp(16, MOST_DEPTH)
    }

    fn flush(&mut self) {
        self.sync();
        self.ship();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.publish();
        if let Some(number) = self.number {
            self.shared.exit(number, self.flight.next());
        }
    }
}
