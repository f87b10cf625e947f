//! The bridge between real interfaces: pairs of virtual ones in a network of the test's own. Needs root, and `ip`.

mod bpf;
mod net;
mod traffic;
mod whole;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bpf::{Mode, Redirect};
use net::{Tap, in_a_network, index, ip, two_pairs};
use traffic::{Fate, Flow, Sieve, run_both_ways};
use weir_xdp::program::QueueCell;
use weir_xdp::socket::CopyMode;
use weir_xdp::worker::{
    Bridge, BridgeError, BridgeOptions, BridgePort, Ended, Trouble, Worker, ZeroCopy,
};
use weir_xdp_common::Tally;

/// A bridge between `pa` and `pb`, whose workers run.
struct Running {
    cells: Vec<QueueCell>,
    stop: Vec<Arc<AtomicBool>>,
    threads: Vec<JoinHandle<(Worker, Ended)>>,
    _programs: [Redirect; 2],
}

fn options(queues: u32) -> BridgeOptions {
    let port = |name: &str| BridgePort {
        name: name.to_owned(),
        interface: index(name),
    };
    BridgeOptions {
        ports: vec![port("pa"), port("pb")],
        workers: queues,
        ..BridgeOptions::default()
    }
}

fn is_busy(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ResourceBusy
}

fn open(options: &BridgeOptions, mode: Mode) -> (Vec<Worker>, Vec<QueueCell>, [Redirect; 2]) {
    let programs = ["pa", "pb"].map(|name| {
        let mut program = Redirect::attach(index(name), options.workers, mode);
        // On a busy machine the kernel lets go of the one before a little later.
        let until = Instant::now() + Duration::from_secs(20);
        while program.as_ref().is_err_and(is_busy) && Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
            program = Redirect::attach(index(name), options.workers, mode);
        }
        program.expect("the program attaches")
    });
    let cells: Vec<_> = (0..options.workers).map(|_| QueueCell::heap()).collect();
    let bridge = Bridge::open(options, cells.clone(), &mut |port, queue, socket| {
        Ok(programs[port].set(queue, socket)?)
    })
    .expect("the bridge opens");
    (bridge.into_workers(), cells, programs)
}

impl Running {
    fn start(options: &BridgeOptions, mode: Mode) -> Self {
        let (workers, cells, programs) = open(options, mode);
        let stop: Vec<_> = workers
            .iter()
            .map(|_| Arc::new(AtomicBool::new(false)))
            .collect();
        let threads = workers
            .into_iter()
            .zip(&stop)
            .map(|(mut worker, stop)| {
                let stop = Arc::clone(stop);
                thread::spawn(move || {
                    let ended = worker.run(&mut Sieve, &stop);
                    (worker, ended)
                })
            })
            .collect();
        Self {
            cells,
            stop,
            threads,
            _programs: programs,
        }
    }

    /// All workers' sum of a tally.
    fn sum(&self, port: usize, what: Tally) -> u64 {
        self.cells.iter().map(|cell| cell.get(port, what)).sum()
    }

    fn stop(&mut self) -> Vec<(Worker, Ended)> {
        for stop in &self.stop {
            stop.store(true, Ordering::Relaxed);
        }
        self.threads
            .drain(..)
            .map(|thread| thread.join().expect("the worker does not panic"))
            .collect()
    }

    /// What a worker took it has accounted for.
    fn assert_balanced(&self) {
        for (worker, cell) in self.cells.iter().enumerate() {
            for port in 0..2 {
                let got = |what| cell.get(port, what);
                let taken = got(Tally::Received) + got(Tally::TakenOver);
                let out = [
                    Tally::Passed,
                    Tally::Dropped,
                    Tally::Rejected,
                    Tally::TxFull,
                    Tally::Invalid,
                    Tally::HandedOver,
                    Tally::HandOverFull,
                ];
                let out: u64 = out.into_iter().map(got).sum();
                assert_eq!(taken, out, "worker {worker}, port {port}");
            }
        }
    }
}

/// Waits until something holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn both_ways(queues: u32, mode: Mode) {
    two_pairs(queues);
    let mut bridge = Running::start(&options(queues), mode);
    let flows: Vec<Flow> = (0..24).map(Flow).collect();
    let sent = run_both_ways(&flows, 6000);
    eventually("all frames are accounted for", || {
        (0..2).all(|port| bridge.sum(port, Tally::Received) >= sent.total)
    });
    let ended = bridge.stop();
    assert!(ended.iter().all(|(_, ended)| *ended == Ended::Stopped));
    bridge.assert_balanced();
    for port in 0..2 {
        let sum = |what| bridge.sum(port, what);
        assert_eq!(sum(Tally::Received), sent.total);
        assert_eq!(sum(Tally::ReceivedBytes), sent.bytes);
        assert_eq!(sum(Tally::Passed), sent.of(Fate::Pass));
        assert_eq!(sum(Tally::Dropped), sent.of(Fate::Drop));
        assert_eq!(sum(Tally::Rejected), sent.of(Fate::Reject));
        assert_eq!(sum(Tally::HandedOver), sum(Tally::TakenOver));
        for nothing in [Tally::TxFull, Tally::Invalid, Tally::HandOverFull] {
            assert_eq!(sum(nothing), 0, "{nothing:?}");
        }
        // Rejected frames are UDP: their sender is told, on the port they came from.
        assert_eq!(sum(Tally::Injected), sent.of(Fate::Reject));
    }
    let handed = bridge.sum(0, Tally::HandedOver) + bridge.sum(1, Tally::HandedOver);
    assert_eq!(
        handed > 0,
        queues > 1,
        "flows on a queue that is not theirs: {handed}"
    );
    for (worker, _) in &ended {
        assert_eq!(worker.copy_mode(0), Some(CopyMode::Copy));
        assert_eq!(worker.statistics(1).map(|lost| lost.lost()), Some(0));
        assert!(bridge.cells[worker.number() as usize].heartbeat() > 0);
    }
}

#[test]
fn frames_go_both_ways_by_one_queue() {
    in_a_network(|| both_ways(1, Mode::Native));
}

#[test]
fn frames_go_both_ways_by_two_queues() {
    in_a_network(|| both_ways(2, Mode::Native));
}

#[test]
fn frames_go_both_ways_in_generic_mode() {
    in_a_network(|| both_ways(2, Mode::Generic));
}

/// One worker has long ended its own work when the other one begins to, and finds frames that are the first one's.
#[test]
fn a_worker_that_is_to_stop_waits_for_what_others_still_give_it() {
    in_a_network(|| {
        two_pairs(2);
        let (workers, cells, _programs) = open(&options(2), Mode::Native);
        let mut tap = Tap::open("ea").expect("tap");
        for number in 0..128 {
            tap.send(&Flow((number % 32) as u8).frame(true, Fate::Pass, number, 100));
        }
        thread::sleep(Duration::from_millis(50));
        let stop = AtomicBool::new(true);
        thread::scope(|scope| {
            for mut worker in workers {
                let stop = &stop;
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(200) * worker.number());
                    assert_eq!(worker.run(&mut Sieve, stop), Ended::Stopped);
                });
            }
        });
        let sum = |what| cells.iter().map(|cell| cell.get(0, what)).sum::<u64>();
        assert_eq!((sum(Tally::Received), sum(Tally::Passed)), (128, 128));
        assert!(cells[1].get(0, Tally::HandedOver) > 0, "of late, too");
    });
}

#[test]
fn a_removed_interface_is_reported() {
    in_a_network(|| {
        two_pairs(1);
        let mut bridge = Running::start(&options(1), Mode::Native);
        thread::sleep(Duration::from_millis(50));
        ip("link del pb").expect("removed");
        let ended = bridge.threads.remove(0).join().expect("no panic").1;
        assert_eq!(ended, Ended::Broken(Trouble::Gone { port: 1 }));
        let said = format!("{ended:?}");
        assert!(said.contains("port: 1"), "{said}");
        bridge.stop();
    });
}

#[test]
fn an_interface_that_is_down_is_waited_for() {
    in_a_network(|| {
        two_pairs(1);
        let mut bridge = Running::start(&options(1), Mode::Native);
        let (mut from, mut to) = (Tap::open("ea").expect("tap"), Tap::open("eb").expect("tap"));
        let mut buffer = [0; 2048];
        ip("link set pb down").expect("down");
        // The first frame finds out, if no look at the socket did; the others are dropped.
        for number in 0..300 {
            from.send(&Flow(1).frame(true, Fate::Pass, number, 100));
        }
        let counted =
            |bridge: &Running| bridge.sum(0, Tally::Passed) + bridge.sum(0, Tally::TxFull);
        eventually("all are counted", || counted(&bridge) == 300);
        assert!(bridge.sum(0, Tally::TxFull) > 200, "lost, and counted");
        ip("link set pb up").expect("up");
        eventually("frames get through again", || {
            from.send(&Flow(1).frame(true, Fate::Pass, 1000, 100));
            thread::sleep(Duration::from_millis(5));
            let mut arrived = false;
            while let Some(frame) = to.receive(&mut buffer) {
                arrived |= frame == Flow(1).frame(true, Fate::Pass, 1000, 100);
            }
            arrived
        });
        let ended = bridge.stop();
        assert_eq!(ended[0].1, Ended::Stopped);
        bridge.assert_balanced();
    });
}

#[test]
fn a_worker_that_ends_is_missed_by_the_others_and_nothing_vanishes() {
    in_a_network(|| {
        two_pairs(2);
        let mut bridge = Running::start(&options(2), Mode::Native);
        bridge.stop[1].store(true, Ordering::Relaxed);
        let (worker, ended) = bridge.threads.remove(1).join().expect("no panic");
        assert_eq!(ended, Ended::Stopped);
        drop(worker);
        let (worker, ended) = bridge.threads.remove(0).join().expect("no panic");
        assert_eq!(ended, Ended::Broken(Trouble::WorkerGone { worker: 1 }));
        // And a new bridge can be had at once, on the same queues.
        drop(worker);
        bridge.assert_balanced();
        drop(bridge);
        let mut again = Running::start(&options(2), Mode::Native);
        let flows = [Flow(1), Flow(2), Flow(3)];
        let sent = run_both_ways(&flows, 500);
        eventually("all are counted", || {
            again.sum(0, Tally::Received) == sent.total
        });
        again.stop();
        again.assert_balanced();
    });
}

#[test]
fn what_cannot_be_had_is_refused_with_its_reason() {
    in_a_network(|| {
        two_pairs(1);
        let _programs = ["pa", "pb"].map(|name| Redirect::attach(index(name), 1, Mode::Native));
        let refused = |options: &BridgeOptions| {
            let cells = (0..options.workers).map(|_| QueueCell::heap()).collect();
            let refused = Bridge::open(options, cells, &mut |_, _, _| Ok(()));
            refused.expect_err("refused").to_string()
        };
        let mut wrong = options(1);
        wrong.zero_copy = ZeroCopy::Require;
        let error = refused(&wrong);
        assert!(
            error.contains("interface pa, queue 0") && error.contains("copy mode"),
            "{error}"
        );
        let error = refused(&options(2));
        assert!(
            error.contains("queue 1") && error.contains("no such queue"),
            "{error}"
        );
        let mut wrong = options(1);
        wrong.ports[1].interface = 4000;
        let error = refused(&wrong);
        assert!(
            error.contains("interface pb") && error.contains("no such interface"),
            "{error}"
        );
        let cells = Bridge::open(&options(1), Vec::new(), &mut |_, _, _| Ok(()));
        assert!(matches!(
            cells,
            Err(BridgeError::Cells { got: 0, workers: 1 })
        ));
    });
}
