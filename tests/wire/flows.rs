//! Flows that the kernel takes over.

use std::net::IpAddr;
use std::time::Duration;

use weir_testbed::serve::{Echo, Pulse};

use crate::sensor::{Scene, balanced, figure, flow};

/// More than this of 2,000 frames come through, also where the machine is so busy that a few are lost, which is counted.
const MOST: u64 = 1800;

#[test]
fn what_needs_no_inspection_goes_through_the_kernel() {
    let rules = "alert udp any any -> any 9 (content:\"enough\"; bypass; sid:1;)";
    let Some(scene) = Scene::new(1, rules) else {
        return;
    };
    let sensor = scene.sensor("");
    let came = flow(&scene, 2000, b"enough ");
    let stats = sensor.stop();
    balanced(&stats);
    assert!(came > MOST, "{came}");
    let bypassed = figure(&stats, 0, "bypassed");
    assert!(bypassed > 1500, "{stats:#}");
    assert_eq!(figure(&stats, 0, "flows_bypassed"), 1);
    assert_eq!(scene.alerts()[&1], 1);
}

#[test]
fn a_flow_that_was_dropped_is_dropped_by_the_kernel() {
    // About addresses alone, so that it is about the flow, not about a packet.
    let rules = "drop ip 198.18.0.0/15 any -> any any (sid:1;)";
    let Some(scene) = Scene::new(1, rules) else {
        return;
    };
    let sensor = scene.sensor("");
    assert_eq!(flow(&scene, 2000, b"attack "), 0);
    let stats = sensor.stop();
    balanced(&stats);
    assert!(figure(&stats, 0, "blocked") > 1500, "{stats:#}");
    assert_eq!(figure(&stats, 0, "flows_blocked"), 1);
}

#[test]
fn large_flows_are_shunted() {
    let rules = "alert udp any any -> any 9 (content:\"x\"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)";
    let Some(scene) = Scene::new(1, rules) else {
        return;
    };
    scene.bench.file("a.toml", "[wire]\nshunt = \"20 KiB\"\n");
    let sensor = scene.sensor("");
    let came = flow(&scene, 2000, b"x");
    assert!(came > MOST, "{came}");
    let stats = sensor.stop();
    balanced(&stats);
    // 171 frames of 120 bytes are 20 KiB.
    let inspected = figure(&stats, 0, "received");
    assert!((171..1000).contains(&inspected), "{stats:#}");
}

#[test]
fn flows_stay_with_user_space_where_that_is_wanted() {
    let rules = "pass udp any any -> any 9 (sid:1;)\nalert udp any any -> any 10 (sid:2;)";
    let Some(scene) = Scene::new(1, rules) else {
        return;
    };
    scene.bench.file("a.toml", "[wire]\nbypass = false\n");
    let sensor = scene.sensor("");
    let came = flow(&scene, 2000, b"x");
    assert!(came > MOST, "{came}");
    let stats = sensor.stop();
    balanced(&stats);
    assert_eq!(figure(&stats, 0, "bypassed"), 0);
    assert!(figure(&stats, 0, "passed") >= came);
}

#[test]
fn a_connection_goes_on_while_rules_change() {
    let Some(scene) = Scene::new(
        2,
        "alert tcp any any -> any any (msg:\"first\"; flow:established; sid:1;)",
    ) else {
        return;
    };
    let sensor = scene.sensor("--control c.sock");
    let echo = Echo::start(scene.bed.server(), 0).expect("a server");
    let to = IpAddr::V4(scene.bed.server().v4());
    let every = Duration::from_millis(5);
    let pulse = Pulse::start(scene.bed.client(), to, echo.port(), every).expect("a connection");
    for (at, word) in ["second", "third", "fourth"].into_iter().enumerate() {
        let rules = format!(
            "alert tcp any any -> any any (msg:\"{word}\"; flow:established; threshold:type limit,track by_src,count 1,seconds 600; sid:{};)",
            at + 2
        );
        scene.bench.file("a.rules", rules);
        let (code, out, error) = scene.weir("reload --control c.sock");
        assert_eq!(code, 0, "{out}{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let pulses = pulse.stop();
    assert_eq!((pulses.broken, pulses.echoed), (None, pulses.sent));
    let stats = sensor.stop();
    balanced(&stats);
    let fired = scene.alerts();
    assert!((1..=4).all(|sid| fired.contains_key(&sid)), "{fired:?}");
}
