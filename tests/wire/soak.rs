//! Mixed traffic for a while, with reloads: nothing is lost without being counted, and memory does not grow.
//!
//! `WEIR_SOAK_SECONDS` says how long; `cargo xtask campaign soak` takes half an hour.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use weir_testbed::serve::{Echo, Http, Pulse, curl};
use weir_testbed::{Generator, Load, Sink, needs};

use crate::sensor::{Scene, balanced, figure};

const RULES: &str = "\
alert http any any -> any any (msg:\"a page\"; http.uri; content:\"/index\"; threshold:type limit,track by_src,count 1,seconds 1; sid:1;)
drop http any any -> any any (msg:\"an attack\"; http.uri; content:\"/attack\"; sid:2;)
alert udp any any -> any any (msg:\"odd\"; content:\"odd\"; threshold:type limit,track by_src,count 1,seconds 1; sid:3;)
pass udp any any -> any 4321 (sid:4;)
";

/// Memory that is resident, in KiB.
fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[test]
fn memory_stays_flat_under_mixed_traffic() {
    let seconds = std::env::var("WEIR_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(6, |text| text.parse().expect("a number of seconds"));
    if !weir_testbed::ready(&[needs::CURL]) {
        return;
    }
    let Some(scene) = Scene::new(2, RULES) else {
        return;
    };
    // Flows end soon, so that as many end as begin.
    scene.bench.file(
        "a.toml",
        "[flow.timeouts]\nudp = { new = 1, established = 1 }\n[eve]\ntypes = [\"alert\", \"flow\"]\n",
    );
    let sensor = scene.sensor("--fail open --control c.sock");
    let pid = sensor.child.pid();
    let server = IpAddr::V4(scene.bed.server().v4());
    let http = Http::start(scene.bed.server(), 80, &[("/index", &[7; 20_000])]).expect("a server");
    let echo = Echo::start(scene.bed.server(), 0).expect("a server");
    let beat = Duration::from_millis(3);
    let pulse = Pulse::start(scene.bed.client(), server, echo.port(), beat).expect("a connection");
    let load = Load {
        frames: weir_testbed::MAX_FRAMES,
        duration: Some(Duration::from_secs(seconds)),
        rate: Some(3000.0),
        size: 300,
        flows: 2000,
        content: b"nothing odd in here ".to_vec(),
        ..Load::default()
    };
    let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
    let generator = Generator::start(scene.bed.client(), &load).expect("it can send");
    let (begun, mut memory, mut round) = (Instant::now(), Vec::new(), 0_u64);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let path = if round % 5 == 4 { "/attack" } else { "/index" };
        let url = format!("http://{server}{path}");
        let got = curl(scene.bed.client(), &["--max-time", "1", &url]).expect("curl runs");
        assert_eq!(got.stdout.is_empty(), path == "/attack", "{}", got.stderr);
        if round % 7 == 3 {
            let (code, out, error) = scene.weir("reload --control c.sock");
            assert_eq!(code, 0, "{out}{error}");
        }
        memory.push(resident(pid));
        round += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let sent = generator.wait().expect("it sent");
    let received = sink.stop().expect("it listened");
    let pulses = pulse.stop();
    assert_eq!((pulses.broken, pulses.echoed), (None, pulses.sent));
    assert!(!http.requests().is_empty());
    let stats = sensor.stop();
    balanced(&stats);
    assert_eq!(received.duplicated + received.damaged, 0, "{received:?}");
    let third = memory.len() / 3;
    let (middle, last) = (
        median(&memory[third..2 * third]),
        median(&memory[2 * third..]),
    );
    println!(
        "{seconds} s, {} frames sent, {} missing, {round} rounds; resident: {middle} KiB in the middle third, {last} KiB in the last, \
         {} KiB at most; longest gap of a connection {:?}; {} failed open",
        sent.frames,
        received.missing(&sent),
        memory.iter().max().copied().unwrap_or(0),
        pulses.longest_gap,
        figure(&stats, 0, "failed_open") + figure(&stats, 1, "failed_open"),
    );
    // The short run is still filling its tables.
    let slack = if seconds < 60 { 64 << 10 } else { 4 << 10 };
    assert!(last <= middle + middle / 50 + slack, "{memory:?}");
}
