//! Namespaces, programs in them, offloads.

use std::time::{Duration, Instant};

use weir_testbed::{Bed, BedError, BedOptions, Offloads, Signal, ready};

use crate::bed;

#[test]
fn nothing_goes_through_but_by_the_bridge() {
    if !ready(&[weir_testbed::needs::PING]) {
        return;
    }
    let bed = bed(1);
    let (client, server) = (bed.client(), bed.server());
    let pings = |to| client.ping(to, 2).expect("ping runs").len();
    assert_eq!(pings(client.v4().into()), 2);
    assert_eq!(pings(server.v4().into()), 0);
    let bridge = bed.bridge().expect("a bridge can be made");
    assert_eq!(pings(server.v4().into()), 2);
    assert_eq!(pings(server.v6().into()), 2);
    drop(bridge);
    assert_eq!(pings(server.v4().into()), 0);
}

#[test]
fn programs_and_closures_run_inside() {
    if !ready(&[]) {
        return;
    }
    let bed = bed(1);
    let middle = bed.middle();
    let mut show = middle.command("ip");
    show.args(["-o", "link", "show"]);
    let shown = middle
        .run(show)
        .expect("ip runs")
        .success()
        .expect("it is known");
    let (a, b) = bed.ports();
    assert!(
        shown.stdout.contains(&a) && shown.stdout.contains(&b),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("02:77:00:00:00:0a"),
        "{}",
        shown.stdout
    );

    let inside = |host: &weir_testbed::Host| {
        let link = host.enter(|| std::fs::read_link("/proc/thread-self/ns/net"));
        let link = link.expect("it can be entered").expect("the link is there");
        assert!(
            link.to_string_lossy()
                .contains(&host.namespace().inode().expect("it has one").to_string())
        );
        link
    };
    assert_ne!(inside(bed.client()), inside(bed.server()));
    // By its path others come in, too.
    let mut enter = std::process::Command::new("nsenter");
    let mut net = std::ffi::OsString::from("--net=");
    net.push(middle.namespace().path());
    let listed = enter
        .arg(net)
        .args(["cat", "/proc/self/net/dev"])
        .output()
        .expect("nsenter runs");
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&a));

    let mut wrong = middle.command("ip");
    wrong.args(["link", "show", "nobody"]);
    let error = middle
        .run(wrong)
        .expect("ip runs")
        .success()
        .expect_err("there is none")
        .to_string();
    assert!(
        error.contains("ip link show nobody") && error.contains("does not exist"),
        "{error}"
    );
    assert!(matches!(
        middle.counters("nobody"),
        Err(BedError::Invalid(_))
    ));
}

#[test]
fn programs_are_heard_stopped_and_never_left_behind() {
    if !ready(&[]) {
        return;
    }
    let bed = bed(1);
    let shell = |script: &str| {
        let mut command = bed.client().command("sh");
        command.args(["-c", script]);
        bed.client().spawn(command).expect("sh runs")
    };
    let limit = Duration::from_secs(20);
    let mut child =
        shell("echo begun; trap 'echo told >&2; exit 3' TERM; while :; do sleep 0.01; done");
    child.expect("begun", limit).expect("it says so");
    let late = child
        .wait(Duration::from_millis(20))
        .expect_err("it goes on")
        .to_string();
    assert!(late.contains("begun"), "{late}");
    assert!(child.cpu().expect("it lives") > Duration::ZERO);
    let output = child.stop(limit).expect("it ends");
    assert_eq!(
        (output.status.code(), output.stderr.as_str()),
        (Some(3), "told\n")
    );
    let error = child
        .expect("never", limit)
        .expect_err("it has ended")
        .to_string();
    assert!(error.contains("never"), "{error}");

    // One that hears nothing, and has a child.
    let mut deaf = shell("trap '' TERM; sleep 1000 & echo $!; wait");
    deaf.expect("\n", limit)
        .expect("it says its child's number");
    let grandchild = deaf.stdout().trim().to_owned();
    deaf.signal(Signal::TERM).expect("it can be signalled");
    assert!(deaf.running().expect("it can be asked"));
    let pid = deaf.pid();
    drop(deaf);
    for id in [pid.to_string(), grandchild] {
        let begun = Instant::now();
        // A zombie has no command line any more.
        while std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            assert!(begun.elapsed() < limit, "{id} lives on");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_bed_is_gone_with_its_handle() {
    if !ready(&[]) {
        return;
    }
    let bed = bed(1);
    let inode = bed.middle().namespace().inode().expect("it has one");
    let held = || {
        let fds = std::fs::read_dir("/proc/self/fd").expect("they can be listed");
        fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().contains(&format!("net:[{inode}]")))
            .count()
    };
    assert_eq!(held(), 1);
    // Also when a test fails.
    let failed = std::thread::spawn(move || {
        let _bed = bed;
        panic!("this panic belongs to the test");
    });
    assert!(failed.join().is_err());
    assert_eq!(held(), 0);
}

#[test]
fn links_are_as_asked_for() {
    if !ready(&[]) {
        return;
    }
    let ports = ["port-a", "port-b"];
    let options = BedOptions {
        queues: 3,
        mtu: 1400,
        v6: false,
        ends: Offloads::ALL,
        ports: Offloads::NONE,
    };
    let bed = Bed::new(&options).expect("a bed can be made");
    let names = [
        "tx-checksum-ip-generic",
        "rx-checksum",
        "tx-tcp-segmentation",
        "tx-generic-segmentation",
        "rx-gro",
        "tx-vlan-hw-insert",
        "rx-vlan-hw-parse",
    ];
    for name in names {
        for port in ports {
            assert!(
                !bed.middle().feature(port, name).expect("it is known"),
                "{port} {name}"
            );
        }
        assert!(
            bed.client().feature("eth0", name).expect("it is known"),
            "{name}"
        );
    }
    bed.client()
        .set_feature("eth0", "rx-gro", false)
        .expect("it can be turned off");
    assert!(!bed.client().feature("eth0", "rx-gro").expect("it is known"));
    // Segments cannot be left to an interface that does no checksums.
    bed.server()
        .set_feature("eth0", "tx-checksum-ip-generic", false)
        .expect("it can be turned off");
    let refused = bed
        .server()
        .set_feature("eth0", "tx-tcp-segmentation", true);
    let refused = refused.expect_err("it cannot be on").to_string();
    assert!(
        refused.contains("eth0 keeps tx-tcp-segmentation off"),
        "{refused}"
    );
    let unknown = bed
        .server()
        .feature("eth0", "nonsense")
        .expect_err("there is none")
        .to_string();
    assert!(unknown.contains("nonsense"), "{unknown}");

    let mut show = bed.middle().command("ip");
    show.args(["-d", "-o", "link", "show", "port-b"]);
    let shown = bed.middle().run(show).expect("ip runs").stdout;
    for said in ["mtu 1400", "numtxqueues 3", "numrxqueues 3", "LOWER_UP"] {
        assert!(shown.contains(said), "{shown}");
    }
    for (queues, mtu) in [(0, 1500), (65, 1500), (1, 10)] {
        let options = BedOptions {
            queues,
            mtu,
            ..BedOptions::default()
        };
        assert!(Bed::new(&options).is_err(), "{queues} queues, MTU {mtu}");
    }
}
