//! Records that cannot be written hold nothing up.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use weir_testbed::Signal;

use crate::common::wait_for;
use crate::sensor::{Scene, balanced, figure, flow};

const RULES: &str = "alert udp any any -> any 9 (content:\"odd\"; sid:1;)\n";

#[test]
fn traffic_goes_on_where_a_disk_is_full_and_what_is_lost_is_counted() {
    let Some(scene) = Scene::new(1, RULES).map(Scene::patient) else {
        return;
    };
    let sensor = scene.start_by("", "--eve /dev/full --fail closed").ready();
    let came = flow(&scene, 500, b"odd ");
    assert!(came > 450, "{came}");
    let more = flow(&scene, 10, b"odd ");
    assert!(more > 0, "and it goes on");
    let (code, stats, said) = sensor.stop_as();
    assert_eq!(code, Some(1), "it says that something was lost: {said}");
    assert!(
        said.contains("/dev/full") && said.contains("the run goes on"),
        "{said}"
    );
    balanced(&stats);
    // An alert for each; what else a host says of itself causes none.
    let lost = stats["engine"]["records_not_written"].as_u64();
    let lost = lost.expect("a count");
    let inspected = came + more..=figure(&stats, 0, "received");
    assert!(inspected.contains(&lost), "{lost} of {stats:#}");
    assert_eq!(stats["alerts"], 0, "none was written");
    assert!(said.contains(&format!("{lost} records lost")), "{said}");
}

#[test]
fn a_reader_that_does_not_read_holds_nothing_up() {
    let Some(scene) = Scene::new(1, RULES).map(Scene::patient) else {
        return;
    };
    let path = scene.bench.path("e.fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("it runs").success());
    // Without a reader it could not even be opened for writing.
    let mut reader = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .expect("a reader");
    let mut sensor = scene.start_by("", "--eve e.fifo --fail closed").ready();
    // Much more than a pipe holds.
    let came = flow(&scene, 1000, b"odd ");
    assert!(came > 900, "{came}");
    // It is told to end, cannot, and has given up its ports all the same: nothing passes uninspected.
    sensor.child.signal(Signal::TERM).expect("it runs");
    wait_for("the ports to be given up", || flow(&scene, 5, b"odd ") == 0);
    assert!(sensor.child.running().expect("it can be asked"));
    // Now somebody reads, and nothing is missing.
    let mut text = Vec::new();
    wait_for("the sensor to end", || {
        let mut some = vec![0; 1 << 16];
        while let Ok(read @ 1..) = reader.read(&mut some) {
            text.extend_from_slice(&some[..read]);
        }
        !sensor.child.running().expect("it can be asked")
    });
    let (code, stats, said) = sensor.stop_as();
    assert_eq!(code, Some(0), "{said}");
    balanced(&stats);
    let text = String::from_utf8(text).expect("records are text");
    let written = text.lines().count() as u64;
    let inspected = came..=figure(&stats, 0, "received");
    assert!(inspected.contains(&written), "{written} of {stats:#}");
    assert_eq!(stats["wire"]["records_lost"], 0);
}

#[test]
fn records_say_what_becomes_of_frames_while_they_go_through() {
    let rules = "drop udp any any -> any 9 (content:\"odd\"; sid:1;)\n";
    let more = "cpus = \"0\"\n[eve]\ntypes = [\"stats\"]\nstats-interval = 1\n";
    let Some(scene) = Scene::new(1, rules).map(|scene| scene.configured(more)) else {
        return;
    };
    let sensor = scene.sensor("");
    let of = |record: &serde_json::Value, path: &str| {
        let number = record.pointer(&format!("/stats/{path}"));
        number
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_else(|| panic!("no {path}: {record:#}"))
    };
    let mut rounds = 0;
    wait_for("figures of what came", || {
        rounds += 1;
        assert!(flow(&scene, 200, b"calm ") > 190);
        let records = scene.records("stats");
        records
            .last()
            .is_some_and(|record| of(record, "ips/accepted") >= 200)
    });
    assert_eq!(flow(&scene, 100, b"odd "), 0);
    let stats = sensor.stop();
    balanced(&stats);
    let records = scene.records("stats");
    assert!(records.len() > 1, "one in the end, and others before");
    let last = records.last().expect("there are some");
    assert!(
        last["timestamp"].as_str() > Some("2020"),
        "it has a time: {last:#}"
    );
    for (path, name, port) in [
        ("wire/port-a/seen", "seen", 0),
        ("wire/port-a/dropped", "dropped", 0),
        ("wire/port-a/blocked", "blocked", 0),
        ("wire/port-b/seen", "seen", 1),
    ] {
        assert_eq!(of(last, path), figure(&stats, port, name), "{path}");
    }
    let sum = |name: &str| figure(&stats, 0, name) + figure(&stats, 1, name);
    assert_eq!(of(last, "capture/kernel_packets"), sum("seen"));
    assert_eq!(of(last, "capture/kernel_drops"), sum("ring_dropped"));
    assert_eq!(of(last, "ips/accepted"), sum("passed"));
    assert_eq!(of(last, "ips/blocked"), sum("dropped") + sum("blocked"));
    let blocked = of(last, "ips/blocked");
    assert!(
        (90..=100).contains(&blocked),
        "{blocked} in {rounds} rounds"
    );
}
