//! Clients and servers that talk through a sensor.

use std::net::IpAddr;
use std::time::Duration;

use weir_testbed::serve::{Dns, Http, curl, dig};
use weir_testbed::{Load, Sink, generate, needs};

use crate::common::{pcap_timed, wait_for};
use crate::sensor::{Scene, balanced, figure, sids};

const RULES: &str = "\
alert http any any -> any any (msg:\"a page\"; http.uri; content:\"/index\"; sid:1;)
drop http any any -> any any (msg:\"an attack\"; http.uri; content:\"/attack\"; sid:2;)
alert dns any any -> any any (msg:\"a name\"; dns.query; content:\"good\"; sid:3;)
drop udp any any -> any 53 (msg:\"a bad name\"; content:\"|03|bad\"; sid:4;)
reject tcp any any -> any any (msg:\"no entry\"; content:\"knock knock\"; sid:5;)
drop tcp any any -> any any (msg:\"a bad answer\"; flow:to_client; content:\"INFECTED\"; sid:6;)
";

#[test]
fn clients_and_servers_talk_and_attacks_do_not_get_through() {
    if !weir_testbed::ready(&[needs::CURL, needs::DNSMASQ, needs::DIG]) {
        return;
    }
    // A large rule set beside ours, where somebody has one: WEIR_WIRE_RULES=FILE.
    let more = std::env::var_os("WEIR_WIRE_RULES")
        .map(|path| std::fs::read_to_string(path).expect("rules as text"));
    let rules = format!("{RULES}{}", more.as_deref().unwrap_or_default());
    for queues in [1, 2] {
        let Some(scene) = Scene::new(queues, &rules) else {
            return;
        };
        let bed = &scene.bed;
        let server = IpAddr::V4(bed.server().v4());
        let files: [(&str, &[u8]); 3] = [
            ("/index.html", b"welcome"),
            ("/attack", b"never"),
            ("/page", b"this is INFECTED, really"),
        ];
        let http = Http::start(bed.server(), 80, &files).expect("a web server");
        let names = [("good.example", server), ("bad.example", server)];
        let dns = Dns::start(bed.server(), &names).expect("a name server");
        let sensor = scene.sensor("");
        let taps = scene.taps();
        let fetch = |path: &str| {
            let url = format!("http://{server}{path}");
            curl(bed.client(), &["--max-time", "2", &url]).expect("curl runs")
        };
        for _ in 0..5 {
            let page = fetch("/index.html");
            assert_eq!(page.stdout, "welcome", "{}", page.stderr);
        }
        assert_eq!(
            dig(bed.client(), server, "good.example", &[]).expect("an answer"),
            [server.to_string()]
        );
        assert_ne!(fetch("/attack").status.code(), Some(0));
        assert!(dig(bed.client(), server, "bad.example", &[]).is_err());
        let infected = fetch("/page");
        assert!(!infected.stdout.contains("INFECTED"), "{}", infected.stdout);
        // Who is dropped does not take others along.
        assert_eq!(fetch("/index.html").stdout, "welcome");
        let frames = Scene::sent(taps);
        let stats = sensor.stop();
        balanced(&stats);
        let asked = http.requests();
        assert!(
            asked.iter().all(|request| request.target != "/attack"),
            "{asked:?}"
        );
        assert!(!dns.log().contains("bad.example"), "{}", dns.log());
        let alerts = scene.records("alert");
        let fired = sids(&alerts);
        assert_eq!(fired.get(&1), Some(&6), "{fired:?}");
        for sid in [2, 3, 4, 6] {
            assert!(fired.contains_key(&sid), "{sid} is not in {fired:?}");
        }
        for alert in &alerts {
            let drops = ["an attack", "a bad name", "a bad answer"];
            let signature = alert["alert"]["signature"].as_str().expect("text");
            let (action, verdict) = if drops.contains(&signature) {
                ("blocked", "drop")
            } else {
                ("allowed", "alert")
            };
            assert_eq!(alert["alert"]["action"], action, "{alert}");
            assert_eq!(alert["verdict"]["action"], verdict, "{alert}");
        }
        // The same packets from a file give the same alerts.
        let records: Vec<(u64, Vec<u8>)> = (frames.into_iter())
            .map(|frame| (frame.time_ns, frame.data))
            .collect();
        scene.bench.file("sent.pcap", pcap_timed(&records));
        scene
            .bench
            .weir("run --pcap sent.pcap --rules a.rules --config a.toml --eve f.json")
            .code(0);
        let offline = scene.bench.eve("f.json");
        assert_eq!(sids(&offline), fired, "{queues} queues");
    }
}

#[test]
fn who_is_rejected_is_told() {
    if !weir_testbed::ready(&[needs::CURL]) {
        return;
    }
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let bed = &scene.bed;
    let http = Http::start(bed.server(), 80, &[]).expect("a web server");
    let sensor = scene.sensor("");
    let url = format!("http://{}/", bed.server().v4());
    let ended = curl(
        bed.client(),
        &["--max-time", "20", "--data", "knock knock", &url],
    )
    .expect("curl runs");
    // 56: a reset, long before the time is up.
    assert_eq!(ended.status.code(), Some(56), "{}", ended.stderr);
    assert!(http.requests().is_empty());
    let stats = sensor.stop();
    balanced(&stats);
    assert!(figure(&stats, 0, "rejected") >= 1);
    assert!(figure(&stats, 0, "injected") >= 1);
    let alerts = scene.records("alert");
    let rejected = alerts
        .iter()
        .find(|alert| alert["alert"]["signature_id"] == 5);
    let verdict = &rejected.expect("it fired")["verdict"];
    assert_eq!(
        *verdict,
        serde_json::json!({"action": "drop", "reject-target": "to_client", "reject": ["tcp-reset"]})
    );
}

#[test]
fn every_frame_arrives_or_is_counted() {
    for (queues, mode) in [(1, "native"), (2, "native"), (2, "generic")] {
        let Some(scene) = Scene::new(queues, RULES) else {
            return;
        };
        let sensor = scene.sensor(&format!("--xdp {mode}"));
        for size in [60, 512, 1514] {
            let load = Load {
                frames: 3000,
                size,
                rate: Some(4000.0),
                flows: 64,
                seed: size as u32,
                ..Load::default()
            };
            let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
            let sent = generate(scene.bed.client(), &load).expect("it can send");
            sink.wait_for(sent.frames, Duration::from_secs(10));
            let received = sink.stop().expect("it listened");
            assert_eq!(received.duplicated + received.damaged, 0, "{received:?}");
            // Where the machine is slow, some may be lost, but never without being counted: below.
            assert!(received.unique * 10 >= sent.frames * 9, "{received:?}");
        }
        let stats = sensor.stop();
        balanced(&stats);
        // Who ends in order leaves nothing behind in its rings.
        assert_eq!(figure(&stats, 0, "under_way"), 0, "{stats:#}");
        assert_eq!(stats["wire"]["ports"][0]["mode"], mode);
    }
}

#[test]
fn hosts_without_checksums_are_told_of_while_their_packets_are_dropped() {
    let Some(scene) = Scene::new(1, "alert udp any any -> any 7 (sid:1;)\n") else {
        return;
    };
    let (client, server) = (scene.bed.client(), scene.bed.server());
    let left = client.set_feature(client.interface(), "tx-checksum-ip-generic", true);
    left.expect("a virtual cable leaves checksums to the other end");
    let sensor = scene.sensor("");
    let to = (server.v4(), 9);
    let send = move || -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
        for _ in 0..50 {
            socket.send_to(b"no checksum", to)?;
        }
        Ok(())
    };
    wait_for("a warning", || {
        let sent = client.enter(send).expect("it can enter");
        sent.expect("it can send");
        std::thread::sleep(Duration::from_millis(100));
        sensor
            .child
            .stderr()
            .contains("had a wrong checksum and were dropped")
    });
    let stats = sensor.stop();
    balanced(&stats);
    assert!(figure(&stats, 0, "dropped") >= 10, "{stats:#}");
}
