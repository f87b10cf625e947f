//! The wire stays up when the process does not, or nothing passes: as it was chosen.

use std::net::IpAddr;
use std::time::Duration;

use weir_sim::card::{Config, Ended, Listener, Transport};
use weir_testbed::serve::{Echo, Iperf, Pulse, iperf};
use weir_testbed::{Load, Signal, Sink, generate, needs};

use crate::common::wait_for;
use crate::sensor::{KEPT, PATIENCE, Scene, balanced, figure, flow};

const RULES: &str = "alert udp any any -> any 7 (sid:1;)\n";

/// A connection that beats through the sensor.
fn pulse(scene: &Scene, echo: &Echo) -> Pulse {
    let to = IpAddr::V4(scene.bed.server().v4());
    let every = Duration::from_millis(2);
    Pulse::start(scene.bed.client(), to, echo.port(), every).expect("a connection")
}

fn goes_on(pulse: &Pulse) {
    let before = pulse.so_far();
    wait_for("the connection to go on", || pulse.so_far() > before + 20);
}

#[test]
fn open_a_connection_survives_the_death_of_the_sensor() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let mut sensor = scene.sensor("--fail open");
    let echo = Echo::start(scene.bed.server(), 0).expect("a server");
    let pulse = pulse(&scene, &echo);
    goes_on(&pulse);
    sensor.child.signal(Signal::KILL).expect("it runs");
    sensor.child.wait(PATIENCE).expect("it is dead");
    goes_on(&pulse);
    // The next one takes the ports over, and says what the dead one lost.
    let sensor = scene.sensor("--fail open");
    goes_on(&pulse);
    let pulses = pulse.stop();
    assert_eq!((pulses.broken, pulses.echoed), (None, pulses.sent));
    let stats = sensor.stop();
    balanced(&stats);
    assert!(stats["wire"]["adopted"].is_object(), "{stats:#}");
}

#[test]
fn closed_nothing_passes_uninspected() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let load = |seed| Load {
        frames: 200,
        rate: Some(2000.0),
        seed,
        ..Load::default()
    };
    let through = |seed| {
        let load = load(seed);
        let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
        let sent = generate(scene.bed.client(), &load).expect("it can send");
        assert_eq!(sent.frames, 200);
        sink.stop().expect("it listened").unique
    };
    let mut sensor = scene.sensor("--fail closed");
    let came = through(1);
    assert!(came > 150, "{came}");
    sensor.child.signal(Signal::KILL).expect("it runs");
    sensor.child.wait(PATIENCE).expect("it is dead");
    assert_eq!(through(2), 0);
    // Whoever comes next begins where it was, and all that was dropped is in the books.
    let sensor = scene.sensor("--fail closed");
    let came = through(3);
    assert!(came > 150, "{came}");
    let stats = sensor.stop();
    balanced(&stats);
    assert_eq!(through(4), 0, "an orderly end leaves the choice in force");
    // Taken away, the ports are two interfaces like any other.
    let (code, out, error) = scene.weir("detach port-b");
    assert_eq!(code, 0, "{out}{error}");
}

#[test]
fn open_a_sensor_that_hangs_is_passed_by_and_taken_back() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let mut sensor = scene.sensor("--fail open");
    let echo = Echo::start(scene.bed.server(), 0).expect("a server");
    let pulse = pulse(&scene, &echo);
    goes_on(&pulse);
    sensor.child.signal(Signal::STOP).expect("it runs");
    goes_on(&pulse);
    sensor.child.signal(Signal::CONT).expect("it is there");
    goes_on(&pulse);
    let pulses = pulse.stop();
    assert_eq!((pulses.broken, pulses.echoed), (None, pulses.sent));
    let stats = sensor.stop();
    balanced(&stats);
    assert!(figure(&stats, 0, "failed_open") > 0, "{stats:#}");
}

#[test]
fn a_port_that_vanishes_and_returns_is_taken_up_again() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let sensor = scene.sensor("--fail closed");
    let middle = scene.bed.middle();
    for state in ["down", "up"] {
        middle
            .ip(&format!("link set port-b {state}\n"))
            .expect("it can be set");
        std::thread::sleep(Duration::from_millis(300));
    }
    let load = |seed| Load {
        frames: 100,
        rate: Some(1000.0),
        seed,
        ..Load::default()
    };
    let mut seed = 0;
    wait_for("frames to go through again", || {
        seed += 1;
        let load = load(seed);
        let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
        generate(scene.bed.client(), &load).expect("it can send");
        sink.stop().expect("it listened").unique > 90
    });
    balanced(&sensor.stop());
}

#[test]
fn a_card_that_dies_takes_no_alert_with_it() {
    let rules = "alert udp any any -> any 9 (content:\"planted\"; sid:1;)\n";
    let Some(scene) = Scene::new(1, rules).map(Scene::patient) else {
        return;
    };
    let folder = scene.bench.path("card");
    let card = Listener::start(&folder, Transport::Shm, None, &Config::default());
    let card = card.expect("a card");
    let sensor = scene.sensor("--matcher card --device card --fail closed");
    let before = flow(&scene, 500, b"planted ");
    assert!(before > 450, "{before}");
    // The card's own threads, too, may do no more than ports take.
    let threads = sensor.capabilities();
    assert!(threads.iter().all(|mask| mask & !KEPT == 0), "{threads:x?}");
    let came = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| flow(&scene, 2000, b"planted "));
        std::thread::sleep(Duration::from_millis(300));
        card.faults().add("die".parse().expect("a fault"));
        assert!(card.wait(PATIENCE), "it was to die under traffic");
        traffic.join().expect("it ended well")
    });
    assert!(came > 1800, "{came}");
    assert!(matches!(card.stop(), Ok(Ended::Died)));
    let stats = sensor.stop();
    balanced(&stats);
    assert!(stats["card_buffers"].as_u64() > Some(0), "{stats:#}");
    assert!(stats["failovers"].as_u64() > Some(0), "{stats:#}");
    // What else a host says of itself causes none.
    let inspected = before + came..=figure(&stats, 0, "received");
    let alerts = scene.alerts()[&1] as u64;
    assert!(inspected.contains(&alerts), "{alerts} of {stats:#}");
}

#[test]
fn open_a_bulk_transfer_is_inspected_from_its_middle_on_and_loses_nothing() {
    if !weir_testbed::ready(&[needs::IPERF3]) {
        return;
    }
    let rules = "drop tcp any any -> any any (content:\"what nobody says here\"; sid:1;)\n";
    let Some(scene) = Scene::new(1, rules).map(Scene::patient) else {
        return;
    };
    let mut sensor = scene.sensor("--fail open");
    let (client, server) = (scene.bed.client(), scene.bed.server());
    let _iperf = Iperf::start(server).expect("a server");
    let to = IpAddr::V4(server.v4());
    // Both ways at once.
    let came = std::thread::scope(|scope| {
        let time = Duration::from_secs(6);
        let transfer = scope.spawn(move || iperf(client, to, time, &["--bidir", "-M", "1200"]));
        std::thread::sleep(Duration::from_secs(2));
        sensor.child.signal(Signal::KILL).expect("it runs");
        sensor.child.wait(PATIENCE).expect("it is dead");
        // The next one has not seen how the connections began.
        sensor = scene.sensor("--fail open");
        transfer.join().expect("it ended well").expect("it ran")
    });
    let stats = sensor.stop();
    balanced(&stats);
    assert!(came.received > 1 << 20, "{came:?}");
    for port in [0, 1] {
        let received = figure(&stats, port, "received");
        assert!(received > 1000, "{stats:#}");
        // What went by uninspected before may leave a few segments without a place in the connection: they are sent again.
        let dropped = figure(&stats, port, "dropped");
        assert!(dropped * 100 <= received, "{stats:#}");
    }
}
