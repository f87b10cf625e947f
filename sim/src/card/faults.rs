//! Faults that are armed, and those that happened.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::{Fault, Kind};

/// A fault that happens now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    /// What it may draw from.
    pub(crate) seed: u64,
}

/// A fault that waits.
struct Armed {
    fault: Fault,
    rng: fastrand::Rng,
    seen: u64,
    bytes: u64,
    done: u64,
}

impl Armed {
    fn over(&self) -> bool {
        self.fault.times > 0 && self.done >= self.fault.times
    }

    /// One more record or unit, of so many bytes.
    fn strike(&mut self, bytes: usize) -> Option<Strike> {
        let due = self.seen >= self.fault.after && self.bytes >= self.fault.bytes;
        self.seen = self.seen.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if !due || self.over() || self.rng.f64() >= self.fault.probability {
            return None;
        }
        self.done += 1;
        Some(Strike {
            fault: self.fault,
            seed: self.rng.u64(..),
        })
    }
}

#[derive(Default)]
struct State {
    armed: Vec<Armed>,
    happened: BTreeMap<Kind, u64>,
    /// Faults that could not happen, there being nothing to change.
    idle: u64,
    cleared: bool,
}

/// The faults of a card: a handle that can be copied, for the card and for who commands it.
#[derive(Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Something is armed or was cleared: nobody else has to look.
    any: Arc<AtomicBool>,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a fault; records and units are counted from now on.
    pub fn add(&self, fault: Fault) {
        self.state().armed.push(Armed {
            fault,
            rng: fastrand::Rng::with_seed(fault.seed),
            seen: 0,
            bytes: 0,
            done: 0,
        });
        self.any.store(true, Ordering::SeqCst);
    }

    /// Disarms all, and ends those that last. Counts stay.
    pub fn clear(&self) {
        let mut state = self.state();
        state.armed.clear();
        state.cleared = true;
        self.any.store(true, Ordering::SeqCst);
    }

    /// How often each kind happened, those that did.
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        self.state().happened.clone()
    }

    /// How often a kind happened.
    pub fn count(&self, kind: Kind) -> u64 {
        self.state().happened.get(&kind).copied().unwrap_or(0)
    }

    /// Faults that still may happen.
    pub fn armed(&self) -> usize {
        self.state().armed.len()
    }

    /// True when there is nothing to ask for.
    pub(crate) fn none(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    /// Those that happen at a record or a unit of so many bytes.
    pub(crate) fn strikes(&self, reports: bool, bytes: usize, into: &mut Vec<Strike>) {
        into.clear();
        if self.none() {
            return;
        }
        let mut state = self.state();
        let armed = state.armed.iter_mut().filter(|armed| !armed.fault.now);
        let armed = armed.filter(|armed| armed.fault.kind.of_reports() == reports);
        into.extend(armed.filter_map(|armed| armed.strike(bytes)));
        self.tidy(&mut state);
    }

    /// Those that happen at once; whether all that lasts is to end comes first.
    pub(crate) fn at_once(&self, into: &mut Vec<Strike>) -> bool {
        into.clear();
        if self.none() {
            return false;
        }
        let mut state = self.state();
        let cleared = std::mem::take(&mut state.cleared);
        let armed = state.armed.iter_mut().filter(|armed| armed.fault.now);
        into.extend(armed.filter_map(|armed| {
            let strike = armed.strike(0);
            // Once: there is nothing that it could happen at again.
            armed.fault.times = 1;
            armed.done = 1;
            strike
        }));
        self.tidy(&mut state);
        cleared
    }

    fn tidy(&self, state: &mut State) {
        state.armed.retain(|armed| !armed.over());
        let any = !state.armed.is_empty() || state.cleared;
        self.any.store(any, Ordering::SeqCst);
    }

    /// One has happened.
    pub(crate) fn happened(&self, kind: Kind) {
        tracing::info!("fault: {}", kind.name());
        *self.state().happened.entry(kind).or_default() += 1;
    }

    /// One could not happen.
    pub(crate) fn missed(&self, kind: Kind) {
        tracing::warn!("fault: nothing to change for {}", kind.name());
        self.state().idle += 1;
    }
}

impl fmt::Display for Faults {
    /// A line for each kind that happened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        for (kind, count) in &state.happened {
            writeln!(f, "{} {count}", kind.name())?;
        }
        writeln!(f, "armed {}", state.armed.len())?;
        writeln!(f, "without-effect {}", state.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(faults: &Faults, reports: bool, bytes: usize) -> usize {
        let mut strikes = Vec::new();
        faults.strikes(reports, bytes, &mut strikes);
        strikes.len()
    }

    #[test]
    fn faults_happen_after_what_they_wait_for_and_as_often_as_they_say() {
        let faults = Faults::default();
        faults.add(Fault::new(Kind::DropRecord).after(3));
        assert_eq!(
            (0..8).map(|_| of(&faults, false, 64)).collect::<Vec<_>>(),
            [0, 0, 0, 1, 0, 0, 0, 0]
        );
        assert!(faults.none(), "nothing is left");

        let mut later = Fault::new(Kind::DropReport);
        (later.bytes, later.times) = (100, 2);
        faults.add(later);
        assert_eq!(of(&faults, false, 500), 0, "records are not reports");
        assert_eq!(
            (0..6).map(|_| of(&faults, true, 64)).collect::<Vec<_>>(),
            [0, 0, 1, 1, 0, 0]
        );

        faults.add(Fault::new(Kind::CorruptRecord).with_probability(0.1, 5));
        let often: usize = (0..10_000).map(|_| of(&faults, false, 64)).sum();
        assert!((800..1200).contains(&often), "{often} of 10,000");
        faults.clear();
        assert_eq!(of(&faults, false, 64), 0);
        assert_eq!(faults.armed(), 0);
    }

    #[test]
    fn what_happens_at_once_happens_once() {
        let faults = Faults::default();
        faults.add(Fault::new(Kind::Reset).now());
        assert_eq!(of(&faults, false, 64), 0, "not at a record");
        let mut strikes = Vec::new();
        assert!(!faults.at_once(&mut strikes));
        assert_eq!(strikes.len(), 1);
        faults.at_once(&mut strikes);
        assert!(strikes.is_empty());
        faults.clear();
        assert!(faults.at_once(&mut strikes), "what lasts is to end");
        assert!(!faults.at_once(&mut strikes), "told once");
    }
}
