//! Generator, sink and tap.

use std::sync::Arc;
use std::time::Duration;

use weir_testbed::{
    Bed, BedOptions, CpuUse, Generator, Host, Load, Sink, Steer, Tap, generate, inject, ready,
};

/// A bed of so many queues on which there is nothing but what these tests send.
fn bed(queues: u32) -> Bed {
    let options = BedOptions {
        queues,
        v6: false,
        ..BedOptions::default()
    };
    Bed::new(&options).expect("a bed can be made")
}

const LIMIT: Duration = Duration::from_secs(20);

/// How many frames came by each RX queue of an interface.
fn by_queue(host: &Host, interface: &str) -> Vec<u64> {
    let counted = host.statistics(interface).expect("they can be read");
    let packets = |name: &str| name.starts_with("rx_queue_") && name.ends_with("_xdp_packets");
    let of_queues = counted.into_iter().filter(|(name, _)| packets(name));
    of_queues.map(|(_, count)| count).collect()
}

#[test]
fn every_frame_comes_through_once_and_whole() {
    if !ready(&[]) {
        return;
    }
    for queues in [1, 3] {
        let bed = bed(queues);
        let _bridge = bed.bridge().expect("a bridge can be made");
        let plain = Load {
            frames: 1000,
            rate: Some(20_000.0),
            flows: 50,
            ..Load::default()
        };
        let loads = [
            plain.clone(),
            Load {
                size: 512,
                v6: true,
                ..plain.clone()
            },
            Load {
                size: 1514,
                seed: 7,
                vlans: vec![5],
                content: b"abc".to_vec(),
                ..plain.clone()
            },
            Load {
                size: 100,
                vlans: vec![7, 8],
                steer: Steer::One(queues - 1),
                threads: 2,
                ..plain
            },
        ];
        for load in loads {
            for (from, to) in [(bed.client(), bed.server()), (bed.server(), bed.client())] {
                let sink = Sink::start(to, &load).expect("a sink can be had");
                let sent = generate(from, &load).expect("it can be sent");
                let received = sink.stop().expect("it can be stopped");
                assert_eq!(
                    (sent.frames, sent.bytes),
                    (1000, 1000 * load.size as u64),
                    "{load:?}"
                );
                assert_eq!(
                    (received.unique, received.bytes),
                    (sent.frames, sent.bytes),
                    "{load:?}"
                );
                let wrong = (
                    received.duplicated,
                    received.reordered,
                    received.damaged,
                    received.lost_in_sink,
                );
                assert_eq!(wrong, (0, 0, 0, 0), "{load:?}");
                assert_eq!(received.latency.len() + received.before_sent, 1000);
                // A frame takes some time, and 1,000 at 20,000 a second take 50 ms.
                assert!(received.latency.min() > 0);
                assert!(
                    sent.elapsed >= Duration::from_millis(49),
                    "{:?}",
                    sent.elapsed
                );
                assert_eq!(sent.late.len(), 1000);
            }
        }
    }
}

#[test]
fn what_is_lost_twice_or_changed_is_told() {
    if !ready(&[]) {
        return;
    }
    let bed = bed(1);
    let bridge = bed.bridge().expect("a bridge can be made");
    let load = Load {
        frames: 1000,
        rate: Some(50_000.0),
        flows: 10,
        ..Load::default()
    };
    // A capture of the load, before the sink is there.
    let tap = Tap::start(bed.server(), "eth0").expect("a tap can be had");
    let sent = generate(bed.client(), &load).expect("it can be sent");
    let trace = tap.stop().expect("it can be stopped");
    assert_eq!(
        (trace.frames.len(), trace.lost, sent.frames),
        (1000, 0, 1000)
    );
    assert!(
        trace
            .frames
            .iter()
            .all(|frame| !frame.outgoing && !frame.unfinished)
    );
    let mut frames: Vec<Vec<u8>> = trace.frames.into_iter().map(|frame| frame.data).collect();

    let sink = Sink::start(bed.server(), &load).expect("a sink can be had");
    frames.truncate(100);
    // Lost: 0. Twice: 5. Late: 30 after 40, of the same flow. Changed: 50, in its payload. Somebody else's: 60.
    let five = frames[5].clone();
    frames.push(five);
    frames.swap(30, 40);
    frames[50][59] ^= 1;
    frames[60][45] ^= 1;
    frames.remove(0);
    inject(bed.client(), &frames).expect("they can be sent");
    let mut received = sink.stop().expect("it can be stopped");
    assert_eq!((received.unique, received.missing(&sent)), (97, 903));
    let seen = (
        received.duplicated,
        received.reordered,
        received.damaged,
        received.foreign,
    );
    assert_eq!(seen, (1, 1, 1, 1));
    assert_eq!(received.latency.len(), 97);

    // A path that is closed for a while.
    let endless = Load {
        frames: 100_000,
        rate: Some(5000.0),
        ..load
    };
    let sink = Sink::start(bed.server(), &endless).expect("a sink can be had");
    let generator = Generator::start(bed.client(), &endless).expect("it can be sent");
    assert!(sink.wait_for(100, LIMIT));
    drop(bridge);
    std::thread::sleep(Duration::from_millis(80));
    let _bridge = bed.bridge().expect("a bridge can be made");
    let before = sink.so_far();
    assert!(sink.wait_for(before + 100, LIMIT));
    let sent = generator.stop().expect("it can be stopped");
    assert!(sent.frames < 100_000);
    received = sink.stop().expect("it can be stopped");
    assert!(
        received.missing(&sent) >= 300,
        "{}",
        received.missing(&sent)
    );
    assert!(
        received.longest_gap >= Duration::from_millis(75),
        "{:?}",
        received.longest_gap
    );
    assert!(received.longest_gap < LIMIT);
}

#[test]
fn flows_go_by_the_queues_that_they_are_told() {
    if !ready(&[]) {
        return;
    }
    let queues = 4;
    let mut options = BedOptions {
        queues,
        v6: false,
        ..BedOptions::default()
    };
    // With GRO the ports poll, and count by queue.
    options.ports.gro = true;
    let bed = Bed::new(&options).expect("a bed can be made");
    let port = bed.ports().0;
    let load = Load {
        frames: 400,
        rate: Some(20_000.0),
        flows: 8,
        ..Load::default()
    };
    let last_of_source = |frame: &[u8]| u64::from(frame[29]) / 4;
    let cases = [
        (Steer::Spread, [100, 100, 100, 100]),
        (Steer::One(2), [0, 0, 400, 0]),
        // Flows 0 to 3 have sources that end with 0 to 3, 4 to 7 the others.
        (Steer::By(Arc::new(last_of_source)), [200, 200, 0, 0]),
    ];
    for (steer, expected) in cases {
        let load = Load {
            steer,
            ..load.clone()
        };
        let before = by_queue(bed.middle(), &port);
        let sent = generate(bed.client(), &load).expect("it can be sent");
        assert_eq!(
            (sent.frames, sent.refused, sent.dropped_by_link),
            (400, 0, 0)
        );
        std::thread::sleep(Duration::from_millis(20));
        let after = by_queue(bed.middle(), &port);
        let came: Vec<u64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after - before)
            .collect();
        assert_eq!(came, expected, "{load:?}");
    }
    let wrong = Load {
        steer: Steer::One(queues),
        ..load
    };
    assert!(generate(bed.client(), &wrong).is_err());
}

#[test]
fn a_link_that_is_down_takes_nothing() {
    if !ready(&[]) {
        return;
    }
    for queues in [1, 2] {
        let bed = bed(queues);
        let _bridge = bed.bridge().expect("a bridge can be made");
        let load = Load {
            frames: 200,
            flows: 2,
            ..Load::default()
        };
        bed.middle()
            .ip("link set port-a down\n")
            .expect("it goes down");
        let sink = Sink::start(bed.server(), &load).expect("a sink can be had");
        let sent = generate(bed.client(), &load).expect("it can be sent");
        assert_eq!(sink.stop().expect("it can be stopped").unique, 0);
        assert_eq!(
            (sent.frames + sent.refused, sent.dropped_by_link),
            (200, 200)
        );
        bed.middle()
            .ip("link set port-a up\n")
            .expect("it comes up");
    }
}

#[test]
fn flat_out_sent_is_received_and_counted_drops() {
    if !ready(&[]) {
        return;
    }
    // A ring and polling at each interface, or the backlog of the CPU; two threads fill either.
    for polled in [false, true] {
        let mut options = BedOptions {
            queues: 2,
            v6: false,
            ..BedOptions::default()
        };
        options.ends.gro = polled;
        options.ports.gro = polled;
        let bed = Bed::new(&options).expect("a bed can be made");
        let _bridge = bed.bridge().expect("a bridge can be made");
        let load = Load {
            frames: 100_000,
            flows: 64,
            threads: 2,
            ..Load::default()
        };
        let before = bed.counters().expect("they can be read");
        let busy = CpuUse::now().expect("it can be read");
        let sink = Sink::start(bed.server(), &load).expect("a sink can be had");
        let sent = generate(bed.client(), &load).expect("it can be sent");
        let received = sink.stop().expect("it can be stopped");
        let used = CpuUse::now().expect("it can be read").since(&busy);
        let counted = bed.counters().expect("they can be read").since(&before);
        assert_eq!(sent.frames + sent.refused, load.frames);
        assert_eq!(sent.dropped_by_link, counted.client.tx_dropped);
        let drops = [counted.client, counted.a, counted.b, counted.server];
        let drops: u64 = drops.iter().map(weir_testbed::LinkCounters::dropped).sum();
        let seen = received.unique + received.lost_in_sink + drops;
        assert_eq!(seen, sent.frames, "{counted:?}");
        assert_eq!((received.duplicated, received.damaged), (0, 0));
        assert!(sent.elapsed > Duration::ZERO && sent.cpu > Duration::ZERO);
        assert!(received.cpu > Duration::ZERO && used.busy() > Duration::ZERO);
        println!(
            "{:.0} frames a second, {drops} dropped, {} in the sink, {} late, CPU: generator {:?}, sink {:?}, machine {:?}",
            sent.rate(),
            received.lost_in_sink,
            received.reordered,
            sent.cpu,
            received.cpu,
            used.busy()
        );
    }
}
