//! What all threads around a card share.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use card_protocol::reports;
use weir_engine::matcher::Probe;

use crate::config::Config;
use crate::cost::Costs;
use crate::health::{Active, Counters, Health, State};
use crate::link::LinkError;
use crate::session::{COUNT_BITS, PORTS, Session, Watch, lock};

/// A worker's place: its number stays its own while the worker lives, and its count goes on after it.
#[derive(Clone, Copy, Default)]
struct Place {
    taken: bool,
    next: u32,
}

/// What all threads around a card share.
pub(crate) struct Shared {
    pub config: Config,
    pub name: String,
    pub counters: Counters,
    pub costs: Mutex<Costs>,
    health: Mutex<Health>,
    /// Tells of changes of the health.
    changed: Condvar,
    /// Counts the times that what workers use has changed.
    turn: AtomicU64,
    strikes: AtomicU32,
    places: Mutex<[Place; PORTS]>,
    workers: AtomicUsize,
    /// Numbers given so far.
    entered: AtomicUsize,
}

impl Shared {
    pub fn new(name: String, config: Config) -> Self {
        Self {
            config,
            name,
            counters: Counters::default(),
            costs: Mutex::default(),
            health: Mutex::new(Health::new()),
            changed: Condvar::new(),
            turn: AtomicU64::new(1),
            strikes: AtomicU32::new(0),
            places: Mutex::new([Place::default(); PORTS]),
            workers: AtomicUsize::new(0),
            entered: AtomicUsize::new(0),
        }
    }

    /// The health; whoever changes it says so.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }

    /// Wakes all that wait for a change.
    pub fn tell(&self) {
        self.changed.notify_all();
    }

    /// Waits for a change.
    pub fn wait<'a>(
        &self,
        health: MutexGuard<'a, Health>,
        time: Duration,
    ) -> MutexGuard<'a, Health> {
        match self.changed.wait_timeout(health, time) {
            Ok((health, _)) => health,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Counts the times that what workers use has changed.
    pub fn turn(&self) -> u64 {
        self.turn.load(SeqCst)
    }

    /// What workers are to use now, and the turn.
    pub fn active(&self) -> (Option<Active>, u64) {
        let health = self.health();
        (health.active.clone(), self.turn())
    }

    /// Has workers use the card, if it is healthy so far.
    pub fn activate(&self, active: Active, reason: String) {
        self.strikes.store(0, SeqCst);
        let mut health = self.health();
        health.active = Some(active);
        health.away = None;
        Counters::count(&self.counters.recoveries);
        health.change(&self.name, State::Healthy, reason);
        self.turn.fetch_add(1, SeqCst);
        self.tell();
    }

    /// Has workers use software, because the card is in this state. Where `epoch` is given, only if that is the one in use.
    pub fn leave(
        &self,
        session: Option<(&Session, u64)>,
        state: State,
        reason: impl FnOnce() -> String,
    ) {
        let mut health = self.health();
        if let Some((session, epoch)) = session {
            let same = |active: &Active| {
                std::ptr::eq(Arc::as_ptr(&active.session), session) && active.epoch == epoch
            };
            if !health.active.as_ref().is_some_and(same) {
                return;
            }
        }
        if health.active.take().is_some() {
            // New tables are no failure.
            if state != State::Probing {
                Counters::count(&self.counters.failovers);
            }
            health.away = Some(Instant::now());
            self.turn.fetch_add(1, SeqCst);
        }
        health.change(&self.name, state, reason());
        self.tell();
    }

    /// Has workers use software, because all is to end.
    pub fn retire(&self) {
        let mut health = self.health();
        health.active = None;
        self.turn.fetch_add(1, SeqCst);
        self.tell();
    }

    /// Has the card loaded with these probes, and waits until that was tried. Those who want the same share what is loaded.
    pub fn want(&self, probes: &[Probe]) -> Arc<[Probe]> {
        let mut health = self.health();
        let wanted = match &health.wanted {
            Some(wanted) if wanted[..] == *probes => Arc::clone(wanted),
            _ => Arc::from(probes),
        };
        health.wanted = Some(Arc::clone(&wanted));
        self.tell();
        let since = Instant::now();
        let is_wanted = |other: &Option<Arc<[Probe]>>| {
            other
                .as_ref()
                .is_some_and(|other| Arc::ptr_eq(other, &wanted))
        };
        while !health.stop && is_wanted(&health.wanted) && !is_wanted(&health.tried) {
            let left = self.config.load_wait.saturating_sub(since.elapsed());
            if left.is_zero() {
                tracing::warn!(
                    "card {}: the tables are not loaded after {:?}; software does the work until they are",
                    self.name,
                    self.config.load_wait
                );
                break;
            }
            health = self.wait(health, left);
        }
        wanted
    }

    /// Something small went wrong. Too much of that, and the card is suspect.
    pub fn strike(&self, session: &Session, epoch: u64, what: &str) {
        let strikes = self.strikes.fetch_add(1, SeqCst) + 1;
        if strikes > self.config.strikes {
            self.leave(Some((session, epoch)), State::Suspect, || {
                format!("{what}, the {strikes}. fault within a second")
            });
        }
    }

    /// A second has passed.
    pub fn forgive(&self) {
        self.strikes.store(0, SeqCst);
    }

    /// A worker's number, and the count of its next record. `None` when there are too many.
    pub fn enter(&self) -> Option<(u8, u32)> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one is for the thread that tries the card. A number is given again as late as can be: what the card still has to say
        // to the one before is not for the one after.
        const WORKERS: usize = PORTS - 1;
        let first = self.entered.fetch_add(1, Relaxed) % WORKERS;
        for number in (0..WORKERS).map(|after| (first + after) % WORKERS) {
            if let Some(place) = places.get_mut(number)
                && !place.taken
            {
                place.taken = true;
                self.workers.fetch_add(1, SeqCst);
                return Some((number as u8, place.next));
            }
        }
        None
    }

    /// A worker goes; `next` is the count of its next record.
    pub fn exit(&self, number: u8, next: u32) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get_mut(usize::from(number)) {
            *place = Place { taken: false, next };
            self.workers.fetch_sub(1, SeqCst);
        }
    }

    /// Bytes and records that a worker may have under way.
    pub fn share(&self) -> (usize, usize) {
        let workers = self.workers.load(Relaxed).max(1);
        // The count of a record must not come round while it is under way.
        let records = (self.config.room_records / workers).clamp(1, 1 << (COUNT_BITS - 2));
        (self.config.room_bytes / workers, records)
    }

    /// The epoch in use, if it is of this session.
    fn epoch_of(&self, session: &Session) -> Option<u64> {
        let health = self.health();
        let active = health.active.as_ref()?;
        std::ptr::eq(Arc::as_ptr(&active.session), session).then_some(active.epoch)
    }
}

impl Watch for Shared {
    fn link_failed(&self, session: &Session, error: &LinkError) {
        Counters::count(&self.counters.link_errors);
        let Some(epoch) = self.epoch_of(session) else {
            return;
        };
        let state = match error {
            LinkError::TimedOut { .. } => State::Suspect,
            _ => State::Failed,
        };
        self.leave(Some((session, epoch)), state, || error.to_string());
    }

    fn reports_wrong(&self, session: &Session, counts: reports::Counts) {
        let faults = counts.gaps + counts.unknown + u64::from(counts.skipped > 0);
        self.counters.report_faults.fetch_add(faults, Relaxed);
        if let Some(epoch) = self.epoch_of(session) {
            let reports::Counts {
                gaps,
                skipped,
                unknown,
                ..
            } = counts;
            let what = format!(
                "reports: {gaps} gaps, {skipped} bytes of no unit, {unknown} words that are no items"
            );
            self.strike(session, epoch, &what);
        }
    }
}
