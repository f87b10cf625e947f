//! Packet order across workers.
//!
//! Offline, whoever touches what flows share does so in the order of [`Place`]s, however many workers there are. Every
//! worker publishes its place: everything before it is behind the worker. Before it touches shared state it waits until
//! all others are at its place or beyond: then nobody can still touch it at an earlier place, and nobody at a later one
//! does before this worker has moved on, because the same holds for it.
//!
//! Nobody waits for ever, as long as every worker gets its part of every stretch of the capture (a block) and, once it
//! is through, publishes the end of the stretch: the worker that is furthest behind waits for no one here, and neither for
//! the one who deals blocks out nor for the one who collects results, since both are held up only by workers that are
//! further behind still. A worker that ends, even by a panic, publishes that it will never be in the way ([`Guard`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::detect::Place;

/// How often a worker looks before it lets others run.
const SPINS: u32 = 64;

/// Beyond all places.
const NEVER: u64 = u64::MAX;

/// Where a worker is; a cache line of its own, so that publishing disturbs nobody who is not waiting.
#[repr(align(128))]
struct Line {
    /// Twice the number of the frame, and one more for what time causes after it.
    at: AtomicU64,
    /// For the latter, the time and the flow. Written before `at`, so that whoever sees `at` sees these or later ones.
    after: Mutex<(u64, u64)>,
}

impl Line {
    fn publish(&self, place: &Place) {
        if place.after {
            let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
            *after = (place.ts_ns, place.flow_id);
        }
        // What the worker wrote before is there for whoever sees this.
        self.at.store(position(place), Ordering::Release);
    }

    /// True when the worker is at this place or beyond it.
    fn has_reached(&self, place: &Place) -> bool {
        let (at, wanted) = (self.at.load(Ordering::Acquire), position(place));
        if at != wanted || !place.after {
            return at >= wanted;
        }
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        *after >= (place.ts_ns, place.flow_id)
    }
}

fn position(place: &Place) -> u64 {
    place.number.saturating_mul(2) | u64::from(place.after)
}

/// How far each worker of a run is.
#[derive(Clone)]
pub struct Order {
    /// None where there is nobody to wait for.
    lines: Option<Arc<[Line]>>,
}

impl Order {
    /// For so many workers.
    pub fn new(workers: usize) -> Self {
        let line = |_| Line {
            at: AtomicU64::new(0),
            after: Mutex::new((0, 0)),
        };
        Self {
            lines: (workers > 1).then(|| (0..workers).map(line).collect()),
        }
    }

    /// No order: for one worker, for live capture, and for rules that share nothing across flows.
    pub fn none() -> Self {
        Self { lines: None }
    }

    /// What a worker publishes and waits with. Workers are numbered from 0.
    pub fn turn(&self, worker: usize) -> Turn {
        Turn {
            lines: self.lines.clone(),
            worker,
            here: Place::default(),
            granted: false,
        }
    }

    /// When this is dropped, nobody waits for the worker any more.
    pub fn guard(&self, worker: usize) -> Guard {
        Guard {
            lines: self.lines.clone(),
            worker,
        }
    }
}

/// Lets the others go on when a worker ends, however it does.
pub struct Guard {
    lines: Option<Arc<[Line]>>,
    worker: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(line) = self.lines.as_ref().and_then(|lines| lines.get(self.worker)) {
            line.at.store(NEVER, Ordering::Release);
        }
    }
}

/// A worker's part in the order.
pub struct Turn {
    lines: Option<Arc<[Line]>>,
    worker: usize,
    here: Place,
    /// It is the turn of `here`.
    granted: bool,
}

impl Turn {
    /// For a worker that waits for nobody.
    pub fn free() -> Self {
        Order::none().turn(0)
    }

    /// The worker is through with everything before this place. Places do not go back.
    #[inline]
    pub fn at(&mut self, place: Place) {
        if let Some(line) = self.lines.as_ref().and_then(|lines| lines.get(self.worker)) {
            line.publish(&place);
            self.here = place;
            self.granted = false;
        }
    }

    /// Returns once all others are at this worker's place or beyond.
    #[inline]
    pub fn wait(&mut self) {
        if self.lines.is_some() && !self.granted {
            self.wait_for_others();
        }
    }

    #[cold]
    fn wait_for_others(&mut self) {
        for (at, line) in self.lines.iter().flat_map(|lines| lines.iter()).enumerate() {
            let mut looks = 0;
            while at != self.worker && !line.has_reached(&self.here) {
                looks += 1;
                if looks < SPINS {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
        self.granted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64) -> Place {
        Place {
            number,
            ..Place::default()
        }
    }

    /// Frames dealt out to workers by `owner`, in stretches, after each of which time causes something for two flows of
    /// each worker; what workers write in turn.
    fn written(
        workers: usize,
        frames: u64,
        stretch: u64,
        owner: fn(u64, u64) -> u64,
    ) -> Vec<Place> {
        let order = Order::new(workers);
        let log = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (mut turn, guard) = (order.turn(worker), order.guard(worker));
                let log = &log;
                scope.spawn(move || {
                    let _guard = guard;
                    let write = |place: Place, turn: &mut Turn| {
                        turn.at(place);
                        if !place.number.is_multiple_of(3) || place.after {
                            turn.wait();
                            log.lock().expect("nobody panics").push(place);
                        }
                    };
                    for number in 1..=frames {
                        if owner(number, workers as u64) == worker as u64 {
                            write(frame(number), &mut turn);
                        }
                        if number.is_multiple_of(stretch) {
                            for flow in 0..2 {
                                let flow_id = flow * workers as u64 + worker as u64;
                                let place = Place {
                                    number,
                                    after: true,
                                    ts_ns: flow_id % 3 + flow * 3,
                                    flow_id,
                                };
                                write(place, &mut turn);
                            }
                            turn.at(frame(number + 1));
                        }
                    }
                });
            }
        });
        log.into_inner().expect("nobody panicked")
    }

    #[test]
    fn what_is_shared_is_touched_in_packet_order() {
        let mixed =
            |number: u64, workers| (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % workers;
        for (workers, stretch) in [(2, 7), (5, 50), (8, 3)] {
            let found = written(workers, 1500, stretch, mixed);
            assert!(found.is_sorted(), "{workers} workers");
            assert_eq!(
                found.len() as u64,
                1000 + 1500 / stretch * 2 * workers as u64
            );
        }
        assert!(written(3, 1500, 50, |_, _| 2).is_sorted());
    }

    #[test]
    fn nobody_waits_for_a_worker_that_ended() {
        let order = Order::new(2);
        let ended = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _guard = order.guard(0);
                    panic!("planned");
                })
                .join()
        });
        assert!(ended.is_err());
        let mut turn = order.turn(1);
        turn.at(frame(1_000_000));
        turn.wait();
    }

    #[test]
    fn without_order_nobody_waits() {
        for mut turn in [Turn::free(), Order::new(1).turn(0)] {
            turn.at(frame(5));
            turn.wait();
        }
    }
}
