//! How a worker's loop ends: asked to, or broken.

use std::sync::atomic::{AtomicBool, Ordering};

use weir_xdp_common::Tally;

use super::super::Ended;
use super::super::inspect::{Inspect, Received, Verdict};
use super::super::turn::Trouble;
use super::{Bench, Event, Obey};
use crate::socket::Kick;
use crate::umem::Place;

/// Lets everything through, and may then ask for the end.
struct Through<'a> {
    seen: usize,
    stop: Option<&'a AtomicBool>,
}

impl Inspect for Through<'_> {
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
        self.seen += frames.len();
        verdicts.fill(Verdict::Pass);
        if let Some(stop) = self.stop {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Delivers packets of a worker's own flows.
fn deliver(bench: &mut Bench, worker: u32, port: usize, count: u8) {
    bench.deliver(worker, port, worker, 0, count);
}

#[test]
fn what_is_in_rings_when_it_is_to_stop_is_inspected_and_sent() {
    let mut bench = Bench::new(1);
    // Two batches, of which the kernel sends a few at a time.
    for (port, count) in [(0, 40), (1, 30)] {
        deliver(&mut bench, 0, port, count);
        bench.device(0, port).each_call = 3;
    }
    let mut all = Through {
        seen: 0,
        stop: None,
    };
    let ended = bench.workers[0].run(&mut all, &AtomicBool::new(true));
    assert_eq!((ended, all.seen), (Ended::Stopped, 70));
    for (port, passed) in [(0, 40), (1, 30)] {
        assert_eq!(bench.sum(port, &[Tally::Passed]), passed);
        let place = Place::sending(port as u8 * 64);
        assert_eq!(bench.shared.umem.census().get(&place), None, "all was sent");
    }
    bench.assert_balanced();
    bench.assert_conserved();
    drop(bench.workers.pop());
    for port in 0..2 {
        let left = [Tally::LostInRings, Tally::LostInHands, Tally::Unsent];
        assert_eq!(bench.sum(port, &left), 0);
    }
}

#[test]
fn what_others_gave_is_inspected_too_however_small_batches_are() {
    let mut bench = Bench::with_batch(2, 1);
    let mut through = Through {
        seen: 0,
        stop: None,
    };
    bench.deliver(0, 0, 1, 0, 9);
    while !bench.workers[0].turn(&mut through).idle {}
    drop(bench.workers.remove(0));
    assert_eq!(through.seen, 0);
    bench.device(1, 1).each_call = 9;
    let ended = bench.workers[0].run(&mut through, &AtomicBool::new(true));
    assert_eq!((ended, through.seen), (Ended::Stopped, 9));
    drop(bench.workers.pop());
    assert_eq!(bench.sum(0, &[Tally::Passed]), 9);
    assert_eq!(bench.sum(0, &[Tally::LostInHands]), 0);
}

#[test]
fn an_end_that_never_comes_is_not_waited_for() {
    let mut bench = Bench::new(2);
    deliver(&mut bench, 0, 0, 5);
    let mut through = Through {
        seen: 0,
        stop: None,
    };
    // Worker 1 does not say that it receives no more, and nothing is sent.
    let ended = bench.workers[0].run(&mut through, &AtomicBool::new(true));
    assert_eq!((ended, through.seen), (Ended::Stopped, 5));
    assert_eq!(bench.sum(1, &[Tally::Unsent]), 0);
    drop(bench.workers.remove(0));
    assert_eq!(bench.sum(0, &[Tally::Passed]), 5);
    assert_eq!(bench.sum(1, &[Tally::Unsent]), 5, "and that is known");
}

#[test]
fn trouble_ends_it_unless_it_is_to_end_anyway() {
    for (stops, expected) in [
        (false, Ended::Broken(Trouble::Gone { port: 1 })),
        (true, Ended::Stopped),
    ] {
        let mut bench = Bench::new(1);
        bench.device(0, 1).answer = Kick::Gone;
        deliver(&mut bench, 0, 0, 1);
        let stop = AtomicBool::new(false);
        let mut through = Through {
            seen: 0,
            stop: stops.then_some(&stop),
        };
        assert_eq!(bench.workers[0].run(&mut through, &stop), expected);
        assert_eq!(through.seen, 1);
        bench.assert_balanced();
    }
}

#[test]
fn completions_that_are_none_are_counted() {
    let mut bench = Bench::new(1);
    let mut obey = Obey {
        batch: 64,
        owner: 0,
        workers: 1,
        seen: 0,
    };
    for address in [0, 4096] {
        let (worker, port) = (0, 1);
        bench.happen(Event::Miscomplete {
            worker,
            port,
            address,
        });
    }
    bench.workers[0].turn(&mut obey);
    drop(bench.workers.pop());
    assert_eq!(bench.sum(1, &[Tally::OddCompletions]), 2);
    assert_eq!(bench.sum(0, &[Tally::OddCompletions]), 0);
}
