//! A worker's side of the card: buffers to records, ends of records to answers, software where the card is not to be had.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use card_protocol::record::size;
use card_protocol::report::{
    FLAG_DAMAGED, FLAG_MALFORMED, FLAG_OVERFLOW, FLAG_STALE, FLAGS_UNFINISHED,
};
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request, Software};
use weir_tables::share::{Share, pieces};
use weir_tables::{Answers, Ended};

use crate::config::Policy;
use crate::control::judge;
use crate::cost::{Choice, Chooser, Load};
use crate::flight::{Flight, Owner, Sent};
use crate::health::{Active, Counters, Counts, State};
use crate::records::put;
use crate::session::{Batch, COUNT_BITS};
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

    /// Has software look through all that is under way.
    fn take_over(&mut self) {
        if self.flight.staged() > 0 {
            self.flight.seal(Instant::now());
        }
        while self.close(None) {
            self.counts.records_lost += 1;
        }
        self.publish();
    }

    /// Ends the first record under way, by these hits or by software. False when there is none.
    fn close(&mut self, ended: Option<&Ended<'_>>) -> bool {
        let Self {
            flight,
            answers,
            software,
            lane,
            counts,
            found,
            shared,
            ..
        } = self;
        flight.first(|sent, payload| match (sent.owner, ended, lane) {
            (Owner::Known { index }, Some(ended), Some(lane)) => {
                counts.known_answers += 1;
                let records = shared.counters.records.load(Relaxed);
                let plan = &lane.active.set.plan;
                let wrong = judge(software, &lane.share, sent.group, payload, ended.hits);
                let Some(wrong) = wrong else {
                    plan.right(index, records);
                    return;
                };
                Counters::count(&shared.counters.known_wrong);
                let exposure = plan.exposure(index, records);
                shared.counters.exposure_most.fetch_max(exposure, Relaxed);
                let blame = (&*lane.active.session, lane.active.epoch);
                shared.leave(Some(blame), State::Failed, || {
                    format!(
                        "{wrong}; at most {exposure} records were looked through since it was right"
                    )
                });
            }
            (Owner::Known { .. }, ..) => {}
            (Owner::Request { number, start }, Some(ended), Some(lane)) => {
                answers.record(number, |pending| {
                    let Lane { share, .. } = lane;
                    share.translate(ended.hits, sent.group, start, &mut pending.hits);
                    if pending.records == 1 && pending.again == 0 {
                        counts.card_buffers += 1;
                    } else if pending.records == 1 {
                        counts.rescanned += 1;
                    }
                });
            }
            (Owner::Request { number, start }, ..) => {
                let done = search(software, sent.group, sent.carry, payload, found);
                answers.record(number, |pending| {
                    pending.done &= done;
                    pending.again += 1;
                    pending.hits.extend(found.iter().map(|hit| Hit {
                        end: hit.end.saturating_add(start),
                        ..*hit
                    }));
                    if pending.records == 1 {
                        counts.rescanned += 1;
                    }
                });
            }
        })
    }

    /// Takes what has come, and waits for it so long if there is nothing.
    fn collect(&mut self, wait: Duration) {
        let (Some(lane), Some(number)) = (&self.lane, self.number) else {
            return;
        };
        let mut batch = std::mem::take(&mut self.batch);
        let session = Arc::clone(&lane.active.session);
        session.take(number, wait, &mut batch);
        batch.drain(|ended| self.end(&ended));
        self.batch = batch;
    }

    fn end(&mut self, ended: &Ended<'_>) {
        let Some(lane) = &self.lane else { return };
        let (session, epoch) = (Arc::clone(&lane.active.session), lane.active.epoch);
        let due = lane.active.set.generation == ended.generation;
        let before = self.flight.before(ended.sequence & ((1 << COUNT_BITS) - 1));
        let Some(before) = before.filter(|_| due) else {
            self.counts.stray_reports += 1;
            let what = "a report on a record that was not due";
            self.shared.strike(&session, epoch, what);
            return;
        };
        // Ends come in the order of the records.
        if before > 0 {
            // One unit that is lost takes several with it.
            self.shared
                .strike(&session, epoch, "records without an end");
        }
        for _ in 0..before {
            self.counts.records_lost += 1;
            self.close(None);
        }
        let refused = FLAG_DAMAGED | FLAG_STALE | FLAG_MALFORMED;
        let what = if ended.flags & refused != 0 {
            self.counts.records_refused += 1;
            "a record that arrived damaged"
        } else if ended.flags & FLAG_OVERFLOW != 0 {
            self.counts.records_overflowed += 1;
            ""
        } else if !ended.whole {
            self.counts.records_short += 1;
            "hits that were lost"
        } else {
            debug_assert_eq!(ended.flags & FLAGS_UNFINISHED, 0);
            self.counts.records_done += 1;
            ""
        };
        if !what.is_empty() {
            self.shared.strike(&session, epoch, what);
        }
        self.close(ended.finished().then_some(ended));
    }

    /// Hands the staging buffer over, if there is room. False when there is not.
    fn ship(&mut self) -> bool {
        if self.flight.staged() == 0 {
            return true;
        }
        let Some(lane) = &self.lane else { return true };
        let (most_bytes, most_records) = self.shared.share();
        let (bytes, records) = self.flight.load();
        let room = bytes + self.flight.staging.len() <= most_bytes
            && records + self.flight.staged() <= most_records;
        if records > 0 && !room {
            return false;
        }
        let (session, epoch) = (Arc::clone(&lane.active.session), lane.active.epoch);
        let bytes = self.flight.seal(Instant::now());
        self.counts.staging_buffers += 1;
        self.counts.bytes_sent += bytes.len() as u64;
        if !session.send(epoch, bytes) {
            self.shared
                .leave(Some((&session, epoch)), State::Failed, || {
                    "nobody sends any more".to_owned()
                });
        }
        self.publish();
        true
    }

    /// Adds a request's records to the staging buffer.
    fn pack(&mut self, request: Request<'_>) {
        let (Some(lane), Some(port)) = (&mut self.lane, self.number) else {
            return;
        };
        let Lane { active, share } = lane;
        let set = &active.set;
        let nonce = active.session.nonce();
        let sequence = |flight: &Flight| u32::from(port) << COUNT_BITS | flight.next();
        let number = self.answers.number();
        let mut pending = self.answers.begin(request.tag);
        pending.done = share.search(&request, &mut pending.hits);
        let wanted = if share.needs_core(request.group) {
            request.data.len()
        } else {
            0
        };
        let flight = &mut self.flight;
        for piece in pieces(wanted, request.carry) {
            let payload = request.data.get(piece.start..piece.end).unwrap_or_default();
            let record = sequence(flight);
            let staging = &mut flight.staging;
            let at = put(
                staging,
                set,
                nonce,
                record,
                request.group,
                piece.carry,
                payload,
            );
            pending.records += 1;
            self.counts.records += 1;
            self.since_known = self.since_known.saturating_add(1);
            flight.stage(Sent {
                owner: Owner::Request {
                    number,
                    start: piece.start as u32,
                },
                at,
                length: payload.len(),
                group: request.group,
                carry: piece.carry,
            });
        }
        if pending.records == 0 {
            self.counts.software_buffers += 1;
        }
        self.answers.put(pending);
        let every = self.shared.config.known_every;
        if every > 0
            && self.since_known >= every
            && let Some(index) = set.plan.next()
        {
            self.since_known = 0;
            let mut payload = Vec::new();
            let group = set.plan.payload(index, &mut payload);
            let record = sequence(flight);
            let at = put(&mut flight.staging, set, nonce, record, group, 0, &payload);
            flight.stage(Sent {
                owner: Owner::Known { index },
                at,
                length: payload.len(),
                group,
                carry: 0,
            });
        }
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

    /// Bytes of records that a request makes at most.
    fn room(&self, request: &Request<'_>) -> usize {
        let lanes = self
            .lane
            .as_ref()
            .map_or(8, |lane| lane.active.set.geometry.lanes);
        pieces(request.data.len(), request.carry)
            .map(|piece| size(piece.end - piece.start, lanes))
            .sum()
    }

    /// Suspects the card when it keeps records too long.
    fn look_at_the_clock(&mut self) {
        let (Some(lane), Some(oldest)) = (&self.lane, self.flight.oldest()) else {
            return;
        };
        let now = Instant::now();
        let session = &lane.active.session;
        let deadline = self.shared.config.deadline;
        let quiet = now.saturating_duration_since(oldest.max(session.last()));
        let age = now.saturating_duration_since(oldest);
        if quiet <= deadline && age <= deadline.saturating_mul(10) {
            return;
        }
        let (_, records) = self.flight.load();
        Counters::count(&self.shared.counters.deadlines);
        let blame = Some((&**session, lane.active.epoch));
        self.shared.leave(blame, State::Suspect, || {
            format!("{records} records under way for {age:?}, nothing came for {quiet:?}")
        });
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

    fn on_the_card(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        let staging = self.shared.config.staging;
        if self.flight.staging.len() + self.room(&request) > staging && !self.ship() {
            self.collect(Duration::ZERO);
            self.look_at_the_clock();
            self.sync();
            if self.lane.is_some() && !self.ship() {
                return Err(MatcherError::Full);
            }
        }
        if self.lane.is_none() {
            self.in_software(request);
            return Ok(());
        }
        self.pack(request);
        if self.flight.staging.len() >= staging {
            self.ship();
        }
        Ok(())
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
