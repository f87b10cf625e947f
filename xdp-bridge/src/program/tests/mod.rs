//! The program in the kernel, run on made frames, against what it is meant to do. Needs root.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use weir_xdp_common::{
    CLOSED, Cause, Count, FlowEntry, INLINE, LAYOUT, OPEN, Outcome, PASSIVE, PortCounters,
    PortSettings, Record, Settings, TCP, action, socket_index,
};

mod made;

use made::{Case, case};

use super::cells::Mapped;
use super::object::{Loaded, load};
use super::{counters, frame_flow, sys};
use crate::interface::Facts;

/// `XDP_DROP`, `XDP_PASS`, `XDP_REDIRECT`.
const DROP: u32 = 1;
const PASS: u32 = 2;
const REDIRECT: u32 = 4;

const QUEUES: u32 = 3;
const SECOND: u64 = 1_000_000_000;

/// What the program is to do, said as plainly as possible: its answer, its counts, and the flow's entry.
fn meant(case: &Case, before: Option<FlowEntry>) -> (u32, PortCounters, Option<FlowEntry>) {
    let mut counts = PortCounters::default();
    let mut entry = before;
    let one = Count {
        packets: 1,
        bytes: case.frame.len() as u64,
    };
    counts.received = one;
    let forward = |outcome: Outcome| match (case.passive, case.peer) {
        (true, _) => (PASS, outcome),
        (false, true) => (REDIRECT, outcome),
        (false, false) => (DROP, Outcome::NoPeer),
    };
    let flow = frame_flow(&case.frame);
    if case.orders && flow.is_none() {
        counts.causes[Cause::NoFlow as usize] = 1;
    }
    let mut ordered = None;
    if let (true, Some(flow), Some(entry)) = (case.orders, flow, &mut entry) {
        let in_time = case.flow.is_some_and(|(_, in_time)| in_time);
        match entry.action {
            action::BLOCK if in_time => ordered = Some((DROP, Outcome::Blocked)),
            action::BYPASS if flow.opens => {
                entry.action = action::ENDED;
                counts.causes[Cause::Reopened as usize] = 1;
            }
            action::BYPASS => ordered = Some(forward(Outcome::Bypassed)),
            _ => {}
        }
        if ordered.is_some() {
            entry.packets += 1;
            entry.bytes += one.bytes;
        }
    }
    let (answer, outcome) = ordered.unwrap_or_else(|| {
        let seconds = case.beats[case.queue as usize];
        let cause = if case.queue >= case.queues {
            Cause::NoWorker
        } else if seconds > 10 {
            Cause::Late
        } else if !case.socket {
            Cause::NoSocket
        } else {
            return (REDIRECT, Outcome::ToUser);
        };
        counts.causes[cause as usize] = 1;
        if case.closed {
            (DROP, Outcome::FailedClosed)
        } else {
            forward(Outcome::FailedOpen)
        }
    });
    counts.outcomes[outcome as usize] = one;
    (answer, counts, entry)
}

fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * SECOND + now.tv_nsec as u64
}

/// Interfaces of the test's own, on this thread.
fn own_interfaces() -> Result<[Facts; 2], String> {
    // SAFETY: of this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(format!(
            "network namespaces: {}",
            std::io::Error::last_os_error()
        ));
    }
    let many = format!("numrxqueues {QUEUES} numtxqueues {QUEUES}");
    let words = format!("link add name p {many} type veth peer name q {many}");
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|error| format!("`ip` (package iproute2): {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let facts = |name| Facts::by_name(name).ok().flatten().ok_or("no interface");
    Ok([facts("p")?, facts("q")?])
}

fn arrange(
    case: &Case,
    loaded: &Loaded,
    ports: &[Facts; 2],
    socket: &OwnedFd,
    now: u64,
) -> Option<FlowEntry> {
    let maps = &loaded.maps;
    let settings = Settings {
        record: Record {
            layout: LAYOUT,
            ports: std::array::from_fn(|port| PortSettings {
                ifindex: ports[port].ifindex,
                changed: 0,
            }),
        },
        mode: if case.passive { PASSIVE } else { INLINE },
        fail: if case.closed { CLOSED } else { OPEN },
        queues: case.queues,
        orders: case.orders.into(),
        pid: 0,
        timeout_ns: 10 * SECOND,
    };
    maps.settings
        .set(&0, &settings, sys::ANY)
        .expect("settings");
    for (port, other) in [(0, 1), (1, 0)] {
        if case.peer {
            sys::map_set_device(maps.peers.as_fd(), port, ports[other].ifindex).expect("a peer");
        } else {
            sys::map_remove(maps.peers.as_fd(), port).expect("no peer");
        }
    }
    for port in 0..2 {
        for queue in 0..QUEUES {
            let index = socket_index(port, queue);
            // The one that counts is the frame's own; all others are the other way round.
            if case.socket == (port == case.port && queue == case.queue) {
                let fd = socket.as_raw_fd().unsigned_abs();
                sys::map_set(maps.xsks.as_fd(), index, fd).expect("a socket");
            } else {
                sys::map_remove(maps.xsks.as_fd(), index).expect("no socket");
            }
        }
    }
    let (kind, in_time) = case.flow?;
    let entry = FlowEntry {
        action: kind,
        packets: 5,
        bytes: 500,
        last_ns: 1,
        until_ns: if in_time { now + 1000 * SECOND } else { now },
        ..FlowEntry::default()
    };
    let flow = frame_flow(&case.frame)?;
    maps.flows.set(&flow.key, &entry, sys::ANY).expect("a flow");
    Some(entry)
}

fn difference(after: &PortCounters, before: &PortCounters) -> PortCounters {
    let count = |after: Count, before: Count| Count {
        packets: after.packets - before.packets,
        bytes: after.bytes - before.bytes,
    };
    PortCounters {
        received: count(after.received, before.received),
        outcomes: std::array::from_fn(|i| count(after.outcomes[i], before.outcomes[i])),
        causes: std::array::from_fn(|i| after.causes[i] - before.causes[i]),
    }
}

fn check_all(ports: &[Facts; 2]) {
    let loaded = load(None, 64).expect("the kernel takes the program");
    let cells = Mapped::new(loaded.maps.workers.as_fd()).expect("mapped");
    // SAFETY: without conditions; the descriptor is new.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0)) };
    let seen = RefCell::new(PortCounters::default());
    let cases = Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        cases,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let result = runner.run(&case(), |case| {
        let now = now_ns();
        for (worker, &seconds) in case.beats.iter().enumerate() {
            let beat = now as i128 - i128::from(seconds) * i128::from(SECOND);
            cells
                .get(worker)
                .expect("a cell")
                .beat(u64::try_from(beat).unwrap_or(0));
        }
        let before = arrange(&case, &loaded, ports, &socket, now);
        let (answer, counts, entry) = meant(&case, before);
        let counted = counters::read(&loaded.maps).expect("read");
        let ifindex = ports[case.port as usize].ifindex;
        let (got, _) = sys::test_run(loaded.program.as_fd(), &case.frame, ifindex, case.queue, 1)
            .expect("run");
        let after = counters::read(&loaded.maps).expect("read");
        let port = case.port as usize;
        prop_assert_eq!(difference(&after[port], &counted[port]), counts);
        prop_assert_eq!(after[1 - port], counted[1 - port]);
        prop_assert_eq!(got, answer);
        if let Some(flow) = frame_flow(&case.frame) {
            let mut found = loaded.maps.flows.take(&flow.key).expect("read");
            if let (Some(found), Some(entry)) = (&mut found, entry) {
                let counted = found.packets != before.map_or(0, |before| before.packets);
                prop_assert_eq!(found.last_ns >= now, counted);
                found.last_ns = entry.last_ns;
            }
            prop_assert_eq!(found, entry);
        }
        seen.borrow_mut().add(&counts);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // All ways through the program were gone.
    let seen = seen.into_inner();
    let all = seen
        .outcomes
        .iter()
        .map(|outcome| outcome.packets)
        // That frames were not sent is not said by the program.
        .chain(seen.causes.into_iter().take(Cause::XmitDropped as usize));
    assert!(all.min().is_some_and(|least| least > 20), "{seen:?}");
}

/// Prints how long the program takes for a frame, by what becomes of it.
fn measure(ports: &[Facts; 2]) {
    let loaded = load(None, 65_536).expect("the kernel takes the program");
    let cells = Mapped::new(loaded.maps.workers.as_fd()).expect("mapped");
    // SAFETY: without conditions; the descriptor is new.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0)) };
    let mut frame = vec![2; 12];
    frame.extend([
        8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    frame.extend([
        0, 99, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 1, 0, 0, 0, 0,
    ]);
    let base = Case {
        frame,
        passive: false,
        closed: false,
        orders: false,
        queues: 1,
        port: 0,
        queue: 0,
        beats: [-1000; QUEUES as usize],
        socket: true,
        peer: true,
        flow: None,
    };
    let orders = Case {
        orders: true,
        ..base.clone()
    };
    let cases = [
        ("to user space, no orders", base.clone()),
        ("to user space, not ordered", orders.clone()),
        (
            "bypassed",
            Case {
                flow: Some((action::BYPASS, true)),
                ..orders.clone()
            },
        ),
        (
            "blocked",
            Case {
                flow: Some((action::BLOCK, true)),
                ..orders.clone()
            },
        ),
        (
            "failed open",
            Case {
                beats: [1000; QUEUES as usize],
                ..base
            },
        ),
    ];
    for (what, case) in cases {
        let now = now_ns();
        let beat = i128::from(now) - i128::from(case.beats[0]) * i128::from(SECOND);
        cells
            .get(0)
            .expect("a cell")
            .beat(u64::try_from(beat).unwrap_or(0));
        arrange(&case, &loaded, ports, &socket, now);
        let run = || {
            let program = loaded.program.as_fd();
            sys::test_run(program, &case.frame, ports[0].ifindex, 0, 1_000_000)
                .expect("run")
                .1
        };
        let mut times: [u32; 5] = std::array::from_fn(|_| run());
        times.sort_unstable();
        println!("{what}: {} ns (of five: {times:?})", times[2]);
    }
}

/// Runs a test on interfaces of its own, or says why it does not.
pub(super) fn on_interfaces(test: fn(&[Facts; 2])) {
    // A thread of its own, which takes its network namespace with it.
    let thread = std::thread::spawn(move || match own_interfaces() {
        Ok(ports) => test(&ports),
        Err(why) => {
            let ci = std::env::var_os("WEIR_CI").is_some_and(|v| v == "1");
            assert!(!ci, "may not be skipped in CI: {why}");
            eprintln!("skipped: {why}");
        }
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn the_program_does_what_it_is_meant_to() {
    on_interfaces(check_all);
}

#[test]
#[ignore = "a measurement"]
fn how_long_the_program_takes() {
    on_interfaces(measure);
}
