//! The program on real ports: it comes, fails open and closed, is adopted, and goes. Needs root.

mod host;

use std::os::fd::AsFd;
use std::time::Duration;

use host::{
    BPF, End, NET_ADMIN, NET_RAW, PERFMON, balanced, bpffs, bridge, cable, drop_privileges, ip,
    keep_capabilities, mount_tracefs, now_ns, on_a_host, set_gro, tcp, unbound_xsk,
};
use weir_xdp::interface::{Change, Facts, Monitor};
use weir_xdp::program::{
    AttachMode, AttachOptions, Error, Fail, Mode, Ports, check, detach, frame_flow,
};
use weir_xdp_common::{Cause, Outcome};

fn comes_fails_and_goes(mode: AttachMode, expected: Mode) {
    let (_folder, path) = bpffs();
    let attached = Ports::attach(&bridge(&path, mode)).expect("attached");
    assert_eq!(attached.mode(), expected);
    assert!(attached.adopted().is_none());
    for name in ["a", "b"] {
        let facts = Facts::by_name(name).expect("asked").expect("there");
        assert!(facts.promiscuous);
        assert_eq!(
            facts.program.map(|p| p.native),
            Some(expected == Mode::Native)
        );
    }
    let (client, server) = (End::of("client"), End::of("server"));
    let frame = tcp((1, 1000), (2, 80), 0x10);
    let back = tcp((2, 80), (1, 1000), 0x10);
    for _ in 0..10 {
        client.send(&frame);
        server.send(&back);
    }
    assert_eq!(server.received(&frame, 10), 10);
    assert_eq!(client.received(&back, 10), 10);
    // Another process would have it otherwise.
    attached.leave();
    let attached = Ports::attach(&AttachOptions {
        fail: Fail::Closed,
        ..bridge(&path, mode)
    })
    .expect("adopted");
    for _ in 0..5 {
        client.send(&frame);
    }
    assert_eq!(server.received(&frame, 0), 0);
    balanced(&attached);
    let counters = attached.counters().expect("counters");
    let [a, b] = counters.ports.as_slice() else {
        panic!("{counters:?}");
    };
    assert_eq!(a.outcome(Outcome::FailedOpen).packets, 10);
    assert_eq!(a.outcome(Outcome::FailedOpen).bytes, 600);
    assert_eq!(a.outcome(Outcome::FailedClosed).packets, 5);
    assert_eq!(a.cause(Cause::Late), 15);
    assert_eq!(b.received.packets, 10);

    // A worker that beats, without a socket; then with one.
    let cell = attached.cell(0).expect("a cell");
    let socket = unbound_xsk();
    for (set, cause) in [(false, Some(Cause::NoSocket)), (true, None)] {
        if set {
            for (port, queue) in [(0, 1), (0, 64), (2, 0)] {
                let refused = attached.set_socket(port, queue, socket.as_fd());
                assert!(
                    refused.is_err(),
                    "nobody serves queue {queue} of port {port}"
                );
            }
            attached.set_socket(0, 0, socket.as_fd()).expect("set");
        }
        let before = attached.counters().expect("counters").ports[0];
        cell.beat(now_ns() + 1_000_000_000);
        client.send(&frame);
        assert_eq!(server.received(&frame, 0), 0);
        let after = attached.counters().expect("counters").ports[0];
        match cause {
            Some(cause) => assert_eq!(after.cause(cause), before.cause(cause) + 1),
            None => assert_eq!(after.outcome(Outcome::ToUser).packets, 1),
        }
    }
    let problems = attached.detach().expect("detached");
    assert_eq!(problems, Vec::<String>::new());
    for name in ["a", "b"] {
        let facts = Facts::by_name(name).expect("asked").expect("there");
        assert!(!facts.promiscuous && facts.program.is_none(), "{facts:?}");
    }
    assert!(
        !path
            .join("weir")
            .read_dir()
            .is_ok_and(|mut left| left.next().is_some())
    );
    assert!(matches!(detach("a", &path), Err(Error::NothingThere(_))));
}

#[test]
fn a_native_bridge_comes_fails_and_goes() {
    on_a_host(1, || comes_fails_and_goes(AttachMode::Native, Mode::Native));
}

#[test]
fn a_generic_bridge_comes_fails_and_goes() {
    on_a_host(1, || {
        comes_fails_and_goes(AttachMode::Generic, Mode::Generic)
    });
}

#[test]
fn native_mode_that_would_lose_frames_is_refused_or_avoided() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        set_gro("server", false);
        match Ports::attach(&bridge(&path, AttachMode::Native)) {
            Err(Error::CannotForward { interface, .. }) => assert_eq!(interface, "b"),
            other => panic!("{other:?}"),
        }
        let attached = Ports::attach(&bridge(&path, AttachMode::Auto)).expect("attached");
        assert_eq!(attached.mode(), Mode::Generic);
        assert!(attached.warnings().iter().any(|w| w.contains("gro on")));
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        client.send(&frame);
        assert_eq!(server.received(&frame, 1), 1);
        attached.detach().expect("detached");
        set_gro("server", true);
        let attached = Ports::attach(&bridge(&path, AttachMode::Auto)).expect("attached");
        assert_eq!(attached.mode(), Mode::Native);
        assert_eq!(attached.warnings(), Vec::<String>::new());
        attached.detach().expect("detached");
    });
}

#[test]
fn a_driver_that_will_not_says_why() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        // Larger than a page, in which the driver would have to put it.
        for name in ["client", "a"] {
            ip(&format!("link set dev {name} mtu 9000"));
        }
        match Ports::attach(&bridge(&path, AttachMode::Native)) {
            Err(Error::NoNative { interface, why }) => {
                assert_eq!(interface, "a");
                assert!(why.contains("MTU"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        for name in ["a", "b"] {
            let facts = Facts::by_name(name).expect("asked").expect("there");
            assert!(facts.program.is_none() && !facts.promiscuous, "{facts:?}");
        }
        assert!(
            !path
                .join("weir")
                .read_dir()
                .is_ok_and(|mut left| left.next().is_some())
        );
        let attached = Ports::attach(&bridge(&path, AttachMode::Auto)).expect("attached");
        assert_eq!(attached.mode(), Mode::Generic);
        assert!(attached.warnings().iter().any(|w| w.contains("MTU")));
        attached.detach().expect("detached");
    });
}

#[test]
fn without_privileges_it_says_which_are_needed() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        drop_privileges();
        let options = bridge(&path, AttachMode::Native);
        let error = Ports::attach(&options).expect_err("refused").to_string();
        assert!(error.contains("mount -t bpf"), "{error}");
        let checked = check(&options);
        assert_eq!(checked.ports.len(), 2);
        let load = checked.problems.last().expect("problems").to_string();
        assert!(load.contains("CAP_BPF"), "{load}");
    });
}

#[test]
fn four_capabilities_are_enough() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let options = bridge(&path, AttachMode::Native);
        // Mounting takes another one; where systemd or an administrator has done so it is not needed.
        Ports::attach(&options)
            .expect("attached")
            .detach()
            .expect("detached");
        mount_tracefs();
        keep_capabilities(&[NET_ADMIN, NET_RAW, PERFMON, BPF]);
        let attached = Ports::attach(&options).expect("attached");
        assert_eq!(
            (attached.mode(), attached.warnings()),
            (Mode::Native, &[][..])
        );
        let frame = tcp((1, 1000), (2, 80), 0x10);
        let key = frame_flow(&frame).expect("a flow").key;
        attached.bypass(&key, now_ns()).expect("ordered");
        assert_eq!(attached.sweep(now_ns(), u64::MAX).expect("swept").flows, 1);
        attached.leave();
        let attached = Ports::attach(&options).expect("adopted");
        assert!(attached.adopted().is_some_and(|adopted| !adopted.replaced));
        balanced(&attached);
        assert_eq!(attached.detach().expect("detached"), Vec::<String>::new());
    });
}

#[test]
fn programs_and_bridges_of_others_are_refused() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let alone = AttachOptions {
            bpffs: path.clone(),
            ..AttachOptions::new(["a"])
        };
        Ports::attach(&alone).expect("attached").leave();
        match Ports::attach(&bridge(&path, AttachMode::Auto)) {
            Err(Error::OtherBridge { interface, bridge }) => {
                assert_eq!((interface.as_str(), bridge.as_str()), ("a", "a"));
            }
            other => panic!("{other:?}"),
        }
        // Seen from another file system, its program is a stranger's.
        let (_folder, elsewhere) = bpffs();
        let options = bridge(&elsewhere, AttachMode::Auto);
        match Ports::attach(&options) {
            Err(Error::Foreign { interface, program }) => {
                assert_eq!(interface, "a");
                assert!(program.starts_with("weir (number "), "{program}");
            }
            other => panic!("{other:?}"),
        }
        let checked = check(&options);
        assert!(
            matches!(checked.problems.as_slice(), [Error::Foreign { .. }]),
            "{checked:?}"
        );
        assert!(
            !Facts::by_name("b")
                .expect("asked")
                .expect("there")
                .promiscuous
        );
        detach("a", &path).expect("detached");
        let checked = check(&options);
        assert!(
            checked.problems.is_empty() && !checked.adopts,
            "{checked:?}"
        );
        assert_eq!(
            (checked.mode, checked.workers),
            (Some(Mode::Native), Some(1))
        );
        assert!(
            Facts::by_name("a")
                .expect("asked")
                .expect("there")
                .program
                .is_none()
        );
    });
}

#[test]
fn a_passive_sensor_lets_the_host_have_what_it_does_not_take() {
    on_a_host(2, || {
        let (_folder, path) = bpffs();
        let mut options = AttachOptions {
            bpffs: path,
            ..AttachOptions::new(["a"])
        };
        let attached = Ports::attach(&options).expect("attached");
        assert_eq!((attached.workers(), attached.ports().len()), (2, 1));
        let (client, host) = (End::of("client"), End::of("a"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        client.send(&frame);
        assert_eq!(host.received(&frame, 1), 1);
        attached.leave();
        options.fail = Fail::Closed;
        let attached = Ports::attach(&options).expect("adopted");
        client.send(&frame);
        assert_eq!(host.received(&frame, 0), 0);
        balanced(&attached);
        attached.detach().expect("detached");
    });
}

#[test]
fn queues_that_nobody_serves_are_refused() {
    on_a_host(2, || {
        let (_folder, path) = bpffs();
        let options = AttachOptions {
            queues: Some(1),
            ..bridge(&path, AttachMode::Native)
        };
        match Ports::attach(&options) {
            Err(Error::Queues {
                has: 2, served: 1, ..
            }) => {}
            other => panic!("{other:?}"),
        }
        for (options, what) in [
            (AttachOptions::new(Vec::<String>::new()), "0 interfaces"),
            (AttachOptions::new(["a", "a"]), "itself"),
            (AttachOptions::new(["a", "nowhere"]), "no interface nowhere"),
            (
                AttachOptions::new(["a", "an-interface-with-a-long-name"]),
                "no interface",
            ),
        ] {
            let error = Ports::attach(&options).expect_err("refused").to_string();
            assert!(error.contains(what), "{error}");
        }
    });
}

/// What is heard until this is; the kernel looks at carriers in its own time.
fn heard(monitor: &mut Monitor, awaited: &(usize, Change)) -> Vec<(usize, Change)> {
    let mut all = Vec::new();
    for _ in 0..500 {
        all.extend(monitor.changes().expect("heard"));
        if all.contains(awaited) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    all
}

#[test]
fn interfaces_that_vanish_and_return_are_noticed_and_attached_to_again() {
    on_a_host(1, || {
        let (_folder, path) = bpffs();
        let mut attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("attached");
        let mut monitor = Monitor::new(["a", "b"]).expect("listening");
        assert_eq!(monitor.changes().expect("heard"), []);
        ip("link set dev a mtu 1400");
        ip("link set dev server down");
        let mtu = Change::Mtu {
            before: 1500,
            now: 1400,
        };
        let down = (1, Change::Link { up: false });
        let changes = heard(&mut monitor, &down);
        assert_eq!(changes, [(0, mtu), down]);
        ip("link del dev a");
        let changes = monitor.changes().expect("heard");
        assert_eq!(changes.last(), Some(&(0, Change::Vanished)), "{changes:?}");
        assert!(matches!(attached.reattach(0), Err(Error::NoInterface(_))));
        cable("a", "client", 1);
        ip("link set dev server up");
        // It is not yet as it was: frames would be lost unseen, or the driver will not.
        set_gro("client", false);
        match attached.reattach(0) {
            Err(Error::CannotForward { interface, .. }) => assert_eq!(interface, "a"),
            other => panic!("{other:?}"),
        }
        set_gro("client", true);
        for mtu in [9000, 1500] {
            for name in ["client", "a"] {
                ip(&format!("link set dev {name} mtu {mtu}"));
            }
            if mtu > 1500 {
                let refused = attached.reattach(0);
                assert!(matches!(refused, Err(Error::Attach { .. })), "{refused:?}");
            }
        }
        let changes = heard(&mut monitor, &(1, Change::Link { up: true }));
        let facts = Facts::by_name("a").expect("asked").expect("there");
        let returned = Change::Returned {
            ifindex: facts.ifindex,
        };
        assert!(changes.contains(&(0, returned)), "{changes:?}");
        assert!(
            changes.contains(&(1, Change::Link { up: true })),
            "{changes:?}"
        );
        attached.reattach(0).expect("attached again");
        attached.reattach(1).expect("it never left");
        let (client, server) = (End::of("client"), End::of("server"));
        let frame = tcp((1, 1000), (2, 80), 0x10);
        let back = tcp((2, 80), (1, 1000), 0x10);
        client.send(&frame);
        server.send(&back);
        assert_eq!(server.received(&frame, 1), 1);
        assert_eq!(client.received(&back, 1), 1);
        balanced(&attached);
        drop(attached);
        // A process that comes later finds the new port's link, too.
        let attached = Ports::attach(&bridge(&path, AttachMode::Native)).expect("adopted");
        assert!(attached.adopted().is_some_and(|adopted| !adopted.replaced));
        assert_eq!(attached.detach().expect("detached"), Vec::<String>::new());
        // Also what the tries that failed had changed is as it was.
        for name in ["a", "b"] {
            let facts = Facts::by_name(name).expect("asked").expect("there");
            assert!(!facts.promiscuous, "{facts:?}");
        }
    });
}
