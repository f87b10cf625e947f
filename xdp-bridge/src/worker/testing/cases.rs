//! What must hold, whatever the kernel does.

use std::time::Duration;

use proptest::prelude::*;
use weir_xdp_common::Tally;

use super::super::crossing::Parcel;
use super::super::inspect::{Inspect, Received, Verdict};
use super::super::turn::Trouble;
use super::{Bench, Event, FRAMES, Obey, RING, event};
use crate::socket::Kick;
use crate::umem::Place;

fn run(workers: u32, events: &[Event]) {
    let mut bench = Bench::new(workers);
    for &event in events {
        bench.happen(event);
        bench.assert_balanced();
        bench.assert_conserved();
    }
    bench.settle();
    bench.assert_balanced();
    let census = bench.shared.umem.census();
    for worker in 0..workers as u8 {
        for port in [0, 64] {
            assert_eq!(census.get(&Place::sending(port + worker)), None);
        }
    }
    for place in [Place::CROSSING, Place::HOMEWARD] {
        assert_eq!(census.get(&place), None, "{census:?}");
    }
    for (number, worker) in (0..).zip(&bench.workers) {
        let filled = [0, 64].map(|port| census.get(&Place::receiving(port + number)));
        let filled: u32 = filled.into_iter().flatten().sum();
        assert_eq!(
            worker.free() + filled,
            FRAMES,
            "worker {number} has its own frames again"
        );
    }
    for port in 0..2 {
        let (delivered, forged) = (bench.delivered[port], bench.forged[port]);
        assert_eq!(bench.sum(port, &[Tally::Received]), delivered + forged);
        assert_eq!(bench.sum(port, &[Tally::Invalid]), forged);
        let crossed = bench.sum(port, &[Tally::HandedOver]);
        assert_eq!(crossed, bench.sum(port, &[Tally::TakenOver]));
        // What came out of a port is what was passed to it, and what we made ourselves.
        let sent: usize = (0..workers)
            .map(|worker| bench.device(worker, port).sent.len())
            .sum();
        let passed = bench.sum(1 - port, &[Tally::Passed]) + bench.sum(port, &[Tally::Injected]);
        assert_eq!(sent as u64, passed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_worker_loses_and_doubles_nothing(events in prop::collection::vec(event(1), 0..150)) {
        run(1, &events);
    }

    #[test]
    fn three_workers_lose_and_double_nothing(events in prop::collection::vec(event(3), 0..250)) {
        run(3, &events);
    }
}

/// Delivers a packet and gives the worker a turn.
fn one_packet(bench: &mut Bench, fate: u8) {
    let (worker, port, owner, count) = (0, 0, 0, 1);
    bench.deliver(worker, port, owner, fate, count);
    bench.turn(0);
}

#[test]
fn a_packet_that_is_delivered_twice_comes_once() {
    let mut bench = Bench::new(1);
    let (worker, port, owner, fate, count) = (0, 0, 0, 0, 1);
    bench.deliver(worker, port, owner, fate, count);
    {
        let mut device = bench.device(0, 0);
        let [address, length] = device.last;
        device.receive.push([address, length]);
        device.receive.publish();
    }
    bench.turn(0);
    assert_eq!(bench.sum(0, &[Tally::Passed]), 1);
    assert_eq!(bench.sum(0, &[Tally::Invalid]), 1);
    bench.assert_balanced();
    bench.assert_conserved();
}

#[test]
fn an_answer_to_the_sender_goes_back_to_where_the_packet_came_from() {
    for (port, fate, sent) in [(0, 2, [1, 0]), (1, 2, [0, 1]), (0, 4, [0, 0])] {
        let mut bench = Bench::new(1);
        let (worker, owner, count) = (0, 0, 1);
        bench.deliver(worker, port, owner, fate, count);
        bench.turn(0);
        for (port, sent) in sent.into_iter().enumerate() {
            let count = 255;
            bench.happen(Event::Take {
                worker,
                port,
                count,
            });
            assert_eq!(bench.device(0, port).sent.len(), sent);
            assert_eq!(bench.sum(port, &[Tally::Injected]), sent as u64);
        }
        assert_eq!(bench.sum(port, &[Tally::Rejected]), 1);
    }
}

#[test]
fn some_frames_are_kept_for_answers_and_the_ports_share_the_rest() {
    let bench = Bench::with_frames(1, 128);
    let census = bench.shared.umem.census();
    assert_eq!(census[&Place::HELD], 64);
    assert_eq!(census[&Place::receiving(0)], 32);
    assert_eq!(census[&Place::receiving(64)], 32);
}

#[test]
fn a_full_ring_costs_frames_that_are_counted_and_ends_with_the_jam() {
    let mut bench = Bench::new(1);
    for _ in 0..RING + 10 {
        one_packet(&mut bench, 0);
    }
    let passed = bench.sum(0, &[Tally::Passed]);
    let full = bench.sum(0, &[Tally::TxFull]);
    assert_eq!((passed, full), (RING.into(), 10));
    bench.settle();
    one_packet(&mut bench, 0);
    assert_eq!(bench.sum(0, &[Tally::Passed]), u64::from(RING) + 1);
}

#[test]
fn a_ring_that_does_not_move_is_kicked_then_given_up_and_the_heart_stops() {
    let mut bench = Bench::new(1);
    one_packet(&mut bench, 0);
    let mut obey = Obey {
        batch: 64,
        owner: 0,
        workers: 1,
        seen: 0,
    };
    let trouble = (0..2000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        bench.workers[0].turn(&mut obey).trouble
    });
    assert_eq!(trouble, Some(Trouble::Stalled { port: 1 }));
    assert_eq!(bench.sum(1, &[Tally::Kicked]), 8);
    let beat = bench.cells[0].heartbeat();
    bench.turn(0);
    assert_eq!(bench.cells[0].heartbeat(), beat, "no heartbeat any more");
}

#[test]
fn a_worker_that_gets_on_has_a_heartbeat() {
    let mut bench = Bench::new(1);
    let mut last = 0;
    for _ in 0..3 {
        bench.turn(0);
        let beat = bench.cells[0].heartbeat();
        assert!(beat > last);
        last = beat;
    }
}

#[test]
fn what_is_lost_in_the_kernel_is_counted_once() {
    let mut bench = Bench::new(1);
    bench.device(0, 1).lost = 5;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(110));
        bench.turn(0);
    }
    bench.device(0, 1).lost = 7;
    std::thread::sleep(Duration::from_millis(110));
    bench.turn(0);
    assert_eq!(bench.sum(1, &[Tally::RingDropped]), 7);
    assert_eq!(bench.sum(0, &[Tally::RingDropped]), 0);
}

#[test]
fn an_interface_that_is_gone_is_reported() {
    let mut bench = Bench::new(1);
    bench.device(0, 1).answer = Kick::Gone;
    one_packet(&mut bench, 0);
    one_packet(&mut bench, 0);
    let mut obey = Obey {
        batch: 64,
        owner: 0,
        workers: 1,
        seen: 0,
    };
    assert_eq!(
        bench.workers[0].turn(&mut obey).trouble,
        Some(Trouble::Gone { port: 1 })
    );
    bench.assert_balanced();
}

#[test]
fn frames_for_a_worker_that_ended_are_lost_and_counted() {
    let mut bench = Bench::new(2);
    drop(bench.workers.remove(1));
    let (worker, port, owner, fate, count) = (0, 0, 1, 0, 5);
    bench.deliver(worker, port, owner, fate, count);
    bench.turn(0);
    assert_eq!(bench.sum(0, &[Tally::HandOverFull]), 5);
    bench.assert_balanced();
}

#[test]
fn a_worker_that_does_not_keep_up_costs_frames_that_are_counted() {
    let mut bench = Bench::new(2);
    let room = (0..)
        .take_while(|_| {
            bench
                .shared
                .crossing(0, 1)
                .is_some_and(|crossing| crossing.has_room())
        })
        .take(10_000);
    assert!(room.count() > 0);
    // More than all frames of worker 0 cannot be under way.
    for _ in 0..40 {
        let (worker, port, owner, fate, count) = (0, 0, 1, 0, 20);
        bench.deliver(worker, port, owner, fate, count);
        bench.turn(0);
        bench.assert_balanced();
        bench.assert_conserved();
    }
    let before = bench.delivered[0];
    assert!(before <= u64::from(FRAMES));
    bench.settle();
    assert_eq!(bench.sum(0, &[Tally::Passed, Tally::TxFull]), before);
}

#[test]
fn what_a_worker_leaves_behind_is_counted() {
    let mut bench = Bench::new(2);
    for owner in [0, 1] {
        let (worker, port, fate, count) = (0, 1, 0, 7);
        bench.deliver(worker, port, owner, fate, count);
    }
    bench.turn(0);
    // Seven are on their way to worker 1, and five wait on its queue.
    let (worker, port, owner, fate, count) = (1, 0, 1, 0, 5);
    bench.deliver(worker, port, owner, fate, count);
    bench.device(1, 1).lost = 3;
    drop(bench.workers.pop());
    assert_eq!(bench.sum(1, &[Tally::LostInHands]), 7);
    assert_eq!(bench.sum(0, &[Tally::LostInRings]), 5);
    assert_eq!(bench.sum(1, &[Tally::RingDropped]), 3);
    assert_eq!(
        bench.sum(1, &[Tally::Received]),
        bench.sum(1, &[Tally::Passed, Tally::LostInHands])
    );
}

/// Counts how often it was told that there is nothing to inspect.
#[derive(Default)]
struct Waits(u32);

impl Inspect for Waits {
    fn batch(&mut self, _frames: &[Received<'_>], _verdicts: &mut [Verdict]) {
        panic!("nothing here is this worker's");
    }

    fn idle(&mut self, _now_ns: u64) {
        self.0 += 1;
    }
}

#[test]
fn time_passes_for_a_worker_all_of_whose_frames_are_others() {
    let mut bench = Bench::new(2);
    let mut waits = Waits::default();
    for turn in 1..=3 {
        let (worker, port, owner, fate, count) = (0, 0, 1, 0, 5);
        bench.deliver(worker, port, owner, fate, count);
        let done = bench.workers[0].turn(&mut waits);
        assert!(!done.idle && done.inspected == 0);
        assert_eq!(waits.0, turn);
    }
    assert_eq!(bench.sum(0, &[Tally::HandedOver]), 15);
}

#[test]
fn what_was_given_to_a_worker_while_it_ended_is_counted_by_the_last() {
    let mut bench = Bench::new(3);
    let ended = bench.workers.remove(1);
    drop(ended);
    // Worker 0 looked before that.
    let crossing = bench.shared.crossing(0, 1).expect("there are three");
    for port in [0, 1, 1] {
        let (address, length, ts_ns) = (0, 60, 0);
        assert!(crossing.push(Parcel {
            address,
            length,
            port,
            ts_ns,
        }));
    }
    drop(bench.workers.remove(0));
    assert_eq!(bench.sum(1, &[Tally::LostInHands]), 0, "one is left");
    drop(bench.workers.remove(0));
    assert_eq!(bench.sum(0, &[Tally::LostInHands]), 1);
    assert_eq!(bench.sum(1, &[Tally::LostInHands]), 2);
}

#[test]
fn a_ring_that_is_always_full_but_moves_is_not_stalled() {
    let mut bench = Bench::new(1);
    for _ in 0..RING + 10 {
        one_packet(&mut bench, 0);
    }
    let mut obey = Obey {
        batch: 64,
        owner: 0,
        workers: 1,
        seen: 0,
    };
    let began = std::time::Instant::now();
    // Longer than it takes a stalled one to be given up.
    while began.elapsed() < Duration::from_millis(250) {
        let (worker, port, count, latest) = (0, 1, 1, false);
        bench.happen(Event::Take {
            worker,
            port,
            count,
        });
        bench.happen(Event::Complete {
            worker,
            port,
            count,
            latest,
        });
        let (port, owner, fate) = (0, 0, 0);
        bench.deliver(worker, port, owner, fate, count);
        assert_eq!(bench.workers[0].turn(&mut obey).trouble, None);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(bench.sum(1, &[Tally::Kicked]), 0);
    assert!(bench.sum(0, &[Tally::Passed]) > u64::from(RING));
}
