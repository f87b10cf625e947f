//! Sockets and the XDP program together: what the one gives away, the others have.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use weir_xdp::program::{AttachOptions, Ports, QueueCell};
use weir_xdp::worker::{Bridge, BridgeOptions, Ended, Inspect, Received, Verdict};
use weir_xdp_common::{Outcome, Tally};

use super::net::{Tap, in_a_network, two_pairs};
use super::traffic::{Fate, Flow, Sieve};
use super::{eventually, options};

/// Too slow for what comes.
struct Slow;

impl Inspect for Slow {
    fn batch(&mut self, _: &[Received<'_>], verdicts: &mut [Verdict]) {
        verdicts.fill(Verdict::Pass);
        thread::sleep(Duration::from_millis(4));
    }
}

#[test]
fn what_the_program_gives_away_is_received_or_counted_as_lost() {
    in_a_network(|| {
        const EACH: u32 = 15_000;
        two_pairs(2);
        let heartbeat = Duration::from_secs(5);
        let mut attach = AttachOptions::new(["pa", "pb"]);
        attach.queues = Some(2);
        attach.heartbeat = heartbeat;
        let attached = Ports::attach(&attach).expect("the program attaches");
        let options = BridgeOptions {
            heartbeat,
            ring: 256,
            ..options(2)
        };
        let cells: Vec<QueueCell> = (0..2)
            .map(|worker| attached.cell(worker).expect("a cell"))
            .collect();
        let bridge = Bridge::open(&options, cells.clone(), &mut |port, queue, socket| {
            Ok(attached.set_socket(port, queue, socket)?)
        });
        let workers = bridge.expect("the bridge opens").into_workers();
        let stop = AtomicBool::new(false);
        let sum = |port, what| cells.iter().map(|cell| cell.get(port, what)).sum::<u64>();
        thread::scope(|scope| {
            for mut worker in workers {
                let stop = &stop;
                scope.spawn(move || {
                    worker.run(&mut Slow, stop);
                });
            }
            eventually("the workers live", || {
                cells.iter().all(|cell| cell.heartbeat() > 0)
            });
            // As fast as it goes.
            thread::scope(|scope| {
                for (end, forth) in [("ea", true), ("eb", false)] {
                    scope.spawn(move || {
                        let mut tap = Tap::open(end).expect("a tap");
                        for number in 0..EACH {
                            let flow = Flow((number % 32) as u8);
                            tap.send(&flow.frame(forth, Fate::Pass, number, 64));
                        }
                    });
                }
            });
            let mut before = 0;
            eventually("all that is to be received is", || {
                thread::sleep(Duration::from_millis(120));
                let now = sum(0, Tally::Received) + sum(1, Tally::Received);
                std::mem::replace(&mut before, now) == now
            });
            stop.store(true, Ordering::Relaxed);
        });
        let kernel = attached.counters().expect("counters");
        for port in 0..2 {
            let counted = &kernel.ports[port];
            let to_user = counted.outcome(Outcome::ToUser).packets;
            let (received, lost) = (sum(port, Tally::Received), sum(port, Tally::RingDropped));
            assert_eq!(to_user, received + lost + sum(port, Tally::LostInRings));
            assert!(lost > 0, "it was to be too much: {to_user}");
            // The far end's own queue loses some before the program sees them.
            assert!(counted.received.packets <= EACH.into());
            assert_eq!(counted.received.packets, to_user, "nothing failed");
            let out = sum(port, Tally::Passed) + sum(port, Tally::TxFull);
            assert_eq!(received, out + sum(port, Tally::HandOverFull));
        }
        attached.detach().expect("detached");
    });
}

/// A bridge that ends in the middle of traffic: whatever the program gave away until then goes through.
#[test]
fn what_is_under_way_when_a_bridge_ends_is_forwarded() {
    in_a_network(|| {
        const HEARTBEAT: Duration = Duration::from_secs(5);
        two_pairs(2);
        let mut attach = AttachOptions::new(["pa", "pb"]);
        attach.queues = Some(2);
        attach.heartbeat = HEARTBEAT;
        let attached = Ports::attach(&attach).expect("the program attaches");
        let options = BridgeOptions {
            heartbeat: HEARTBEAT,
            ..options(2)
        };
        let cells = || (0..2).filter_map(|worker| attached.cell(worker)).collect();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for (end, forth) in [("ea", true), ("eb", false)] {
                let over = &over;
                scope.spawn(move || {
                    let mut tap = Tap::open(end).expect("a tap");
                    for number in 0.. {
                        let flow = Flow((number % 32) as u8);
                        tap.send(&flow.frame(forth, Fate::Pass, number, 64));
                        if number % 64 == 0 {
                            thread::sleep(Duration::from_micros(500));
                        }
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                });
            }
            let _over = Over(&over);
            for _ in 0..5 {
                let stop = AtomicBool::new(false);
                let bridge = Bridge::open(&options, cells(), &mut |port, queue, socket| {
                    Ok(attached.set_socket(port, queue, socket)?)
                });
                let mut workers = bridge.expect("the bridge opens").into_workers();
                thread::scope(|scope| {
                    let _stops = Over(&stop);
                    for worker in &mut workers {
                        scope.spawn(|| {
                            assert_eq!(worker.run(&mut Sieve, &stop), Ended::Stopped);
                            // It ends with the others, or before.
                        });
                    }
                    thread::sleep(Duration::from_millis(100));
                    attached.unset_sockets().expect("told");
                });
                drop(workers);
                let kernel = attached.counters().expect("counters");
                for port in 0..2 {
                    let sum = |what| attached.tally(port, what);
                    let to_user = kernel.ports[port].outcome(Outcome::ToUser).packets;
                    assert!(to_user > 0);
                    assert_eq!(to_user, sum(Tally::Received) + sum(Tally::RingDropped));
                    assert_eq!(sum(Tally::Received), sum(Tally::Passed));
                    assert_eq!(sum(Tally::Unsent) + sum(Tally::LostInHands), 0);
                }
            }
        });
        attached.detach().expect("detached");
    });
}

/// Says that it is over, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
