//! Program, sockets and a worker together: frames with VLAN tags, and a process that hangs. Needs root.

mod host;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::{
    End, balanced, bpffs, bridge, now_ns, on_a_host, say_ready, start_another, tagged, tcp,
};
use weir_xdp::program::{AttachMode, AttachOptions, Attached, Fail, Ports, frame_flow};
use weir_xdp::worker::{Bridge, BridgeOptions, BridgePort, Inspect, Received, Verdict, Worker};
use weir_xdp_common::{Cause, FlowKey, Outcome, TCP, Tally};

/// Long enough for a busy machine not to be taken for dead, and short enough to wait for.
const HEARTBEAT: Duration = Duration::from_millis(400);

fn attach(path: &Path, fail: Fail) -> AttachOptions {
    AttachOptions {
        fail,
        heartbeat: HEARTBEAT,
        ..bridge(path, AttachMode::Native)
    }
}

/// The worker of a bridge with one queue.
fn worker(attached: &Attached) -> Worker {
    let ports = attached.ports().iter().map(|port| BridgePort {
        name: port.name.clone(),
        interface: port.ifindex,
    });
    let options = BridgeOptions {
        ports: ports.collect(),
        heartbeat: HEARTBEAT,
        ..BridgeOptions::default()
    };
    let cell = attached.cell(0).expect("a cell");
    let bridge = Bridge::open(&options, vec![cell], &mut |port, queue, socket| {
        Ok(attached.set_socket(port, queue, socket)?)
    });
    let mut workers = bridge.expect("the bridge opens").into_workers();
    workers.pop().expect("one worker")
}

/// Lets everything through, and keeps what it saw.
#[derive(Default)]
struct Keep(Mutex<Vec<Vec<u8>>>);

impl Inspect for &Keep {
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
        verdicts.fill(Verdict::Pass);
        let mut kept = self.0.lock().expect("nobody panics");
        kept.extend(frames.iter().map(|frame| frame.data.to_vec()));
    }
}

/// VLAN tags, outermost first: type and control.
type Tags = &'static [(u16, u16)];

/// Tags, and the identifiers by which the kernel tells flows apart.
const TAGS: [(Tags, (u16, u16)); 3] = [
    (&[(0x8100, 0x6007)], (7, 0)),
    (&[(0x88a8, 7), (0x8100, 8)], (7, 8)),
    (&[(0x8100, 0xe000)], (0, 0)),
];

#[test]
fn flows_in_vlans_are_bypassed_whole_and_apart() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let attached = Ports::attach(&attach(&path, Fail::Closed)).expect("attached");
        let (client, server) = (End::of("client"), End::of("server"));
        let forth = tcp((1, 1000), (2, 80), 0x10);
        let back = tcp((2, 80), (1, 1000), 0x10);
        let ends = [([10, 0, 0, 1].into(), 1000), ([10, 0, 0, 2].into(), 80)];
        let mut failed = 0;
        for (tags, (outer, inner)) in TAGS {
            let (forth, back) = (tagged(&forth, tags), tagged(&back, tags));
            let key = FlowKey::between(ends[0], ends[1], TCP, outer, inner).expect("a flow");
            assert_eq!(frame_flow(&forth).expect("a flow").key, key);
            attached.bypass(&key, now_ns()).expect("ordered");
            for _ in 0..3 {
                client.send(&forth);
                server.send(&back);
            }
            assert_eq!(server.received(&forth, 3), 3, "{tags:x?}");
            assert_eq!(client.received(&back, 3), 3, "{tags:x?}");
            // The same ends in another VLAN, or one tag deeper, are another flow.
            let strange = [
                tagged(&tcp((1, 1000), (2, 80), 0x10), &[(0x8100, 9)]),
                tagged(&forth, &[(0x88a8, 9)]),
                tagged(&forth, &[(0x88a8, 9), (0x8100, 9)]),
            ];
            for frame in &strange {
                client.send(frame);
                assert_eq!(server.received(frame, 0), 0, "{tags:x?}");
            }
            failed += strange.len() as u64;
            let sweep = attached.sweep(now_ns(), 0).expect("swept");
            let ended = sweep.ended.iter().map(|end| (end.key, end.packets));
            assert_eq!(ended.collect::<Vec<_>>(), [(key, 6)]);
        }
        let counters = attached.counters().expect("counters");
        assert_eq!(counters.outcome(Outcome::Bypassed).packets, 18);
        assert_eq!(counters.outcome(Outcome::FailedClosed).packets, failed);
        balanced(&attached);
        attached.detach().expect("detached");
    });
}

#[test]
fn frames_with_tags_go_through_a_worker_as_they_were() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let attached = Ports::attach(&attach(&path, Fail::Closed)).expect("attached");
        let (client, server) = (End::of("client"), End::of("server"));
        let (stop, kept) = (AtomicBool::new(false), Keep::default());
        let mut sent = Vec::new();
        std::thread::scope(|scope| {
            let mut worker = worker(&attached);
            scope.spawn(|| {
                worker.run(&mut &kept, &stop);
                // Its rings are empty: what is left of them would be counted.
                drop(worker);
            });
            let _stops = Stops(&stop);
            alive(&attached);
            for (tags, _) in TAGS {
                // The smallest, and the largest that this end may send: beyond the MTU there may be one tag.
                let small = tcp((1, 1000), (2, 80), 0x10);
                let mut large = small.clone();
                large.resize(if tags.len() == 1 { 1514 } else { 1506 }, 0xa5);
                sent.extend([tagged(&small, tags), tagged(&large, tags)]);
            }
            for frame in &sent {
                client.send(frame);
                assert_eq!(server.received(frame, 1), 1, "{:x?}", &frame[12..22]);
            }
        });
        assert_eq!(*kept.0.lock().expect("nobody panics"), sent);
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert_eq!(attached.tally(0, Tally::Passed), sent.len() as u64);
        assert_eq!(attached.tally(0, Tally::ReceivedBytes), bytes as u64);
        balanced(&attached);
        attached.detach().expect("detached");
    });
}

/// Stops a worker also when the test fails: nobody would wait for its thread's end for ever.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for a worker's first heartbeat.
fn alive(attached: &Attached) {
    let until = Instant::now() + Duration::from_secs(10);
    while attached.cell(0).expect("a cell").heartbeat() == 0 {
        assert!(Instant::now() < until, "the worker lives");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Not a test: the process that the tests below stop.
#[test]
#[ignore = "started by other tests"]
fn another_bridge() {
    let path = PathBuf::from(std::env::var_os("WEIR_TEST_BPFFS").expect("a folder"));
    let fail = match std::env::var_os("WEIR_TEST_CLOSED") {
        Some(_) => Fail::Closed,
        None => Fail::Open,
    };
    let attached = Ports::attach(&attach(&path, fail)).expect("attached");
    let (stop, kept) = (AtomicBool::new(false), Keep::default());
    std::thread::scope(|scope| {
        let mut worker = worker(&attached);
        let _stops = Stops(&stop);
        let (mut keep, stop) = (&kept, &stop);
        scope.spawn(move || worker.run(&mut keep, stop));
        alive(&attached);
        say_ready(&path);
        // Should nobody kill it, it ends by itself. Until then it says how many frames it has seen.
        for _ in 0..6000 {
            let seen = kept.0.lock().expect("nobody panics").len();
            std::fs::write(path.with_extension("seen"), seen.to_string()).expect("written");
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

/// How many frames that process has seen.
fn seen(path: &Path) -> usize {
    let said = std::fs::read_to_string(path.with_extension("seen")).unwrap_or_default();
    said.parse().unwrap_or(0)
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: numbers, of a process that has not been waited for.
    let sent = unsafe { libc::kill(child.id().cast_signed(), signal) };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

/// Its sockets are there, and the kernel would fill their rings; but its heart does not beat.
fn a_process_that_hangs(fail: Fail) {
    on_a_host(1, move || {
        let (_folder, path) = bpffs();
        let closed = [("WEIR_TEST_CLOSED", "1")];
        let settings = if fail == Fail::Closed {
            &closed[..]
        } else {
            &[]
        };
        let mut child = start_another("another_bridge", &path, settings);
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = |number: u16| tcp((1, number), (2, 80), 0x10);
        let through = |number: u16, wanted: usize| {
            client.send(&frame(number));
            server.received(&frame(number), wanted)
        };
        // The first heartbeat may be late on a busy machine; these frames need it.
        assert_eq!(through(1, 1), 1);
        signal(&child, libc::SIGSTOP);
        std::thread::sleep(HEARTBEAT + Duration::from_millis(50));
        let open = usize::from(fail == Fail::Open);
        for number in 2..12 {
            assert_eq!(through(number, open), open, "frame {number}, {fail:?}");
        }
        signal(&child, libc::SIGCONT);
        // It beats again, and takes its frames back.
        let until = Instant::now() + Duration::from_secs(10);
        let (mut sent, mut came) = (11, open * 10);
        while seen(&path) < 2 {
            assert!(Instant::now() < until, "frames go through its hands again");
            sent += 1;
            came += through(100 + sent, open);
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let attached = Ports::attach(&attach(&path, fail)).expect("adopted");
        let kernel = attached.counters().expect("counters");
        let failed = match fail {
            Fail::Open => kernel.outcome(Outcome::FailedOpen),
            Fail::Closed => kernel.outcome(Outcome::FailedClosed),
        };
        let to_user = kernel.outcome(Outcome::ToUser).packets;
        assert_eq!(failed.packets, kernel.cause(Cause::Late));
        assert!(failed.packets >= 10, "{kernel:?}");
        assert_eq!(failed.packets + to_user, u64::from(sent));
        // Before it was stopped, and after: by its own hands.
        assert!(to_user >= 2, "{kernel:?}");
        assert_eq!(attached.tally(0, Tally::Passed), to_user);
        if fail == Fail::Open {
            assert_eq!(came as u64 + 1, u64::from(sent), "none is lost, or late");
        }
        balanced(&attached);
        attached.detach().expect("detached");
    });
}

#[test]
fn open_a_process_that_hangs_is_passed_by_and_taken_back() {
    a_process_that_hangs(Fail::Open);
}

#[test]
fn closed_a_process_that_hangs_lets_nothing_through() {
    a_process_that_hangs(Fail::Closed);
}
