//! A sensor that is fed slowly, and told to load its rules again.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use weir_capture::PcapWriter;
use weir_capture::generate::{Scenario, demo_rules};

use crate::common::{Bench, udp, wait_for};

/// Between two frames while a reload is under way.
const STEP: Duration = Duration::from_millis(3);

/// A sensor that reads from a pipe.
struct Sensor {
    child: Child,
    stdin: Option<ChildStdin>,
    /// A capture's head, then its records.
    pieces: std::vec::IntoIter<Vec<u8>>,
}

impl Sensor {
    fn start(bench: &Bench, options: &str, pieces: Vec<Vec<u8>>) -> Self {
        let mut command = bench.command(&format!("run --pcap - --control socket {options}"));
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        let stdin = child.stdin.take();
        let mut sensor = Self {
            child,
            stdin,
            pieces: pieces.into_iter(),
        };
        assert!(sensor.feed(), "the head of the capture");
        wait_for("the socket", || {
            UnixStream::connect(bench.path("socket")).is_ok()
        });
        sensor
    }

    /// Feeds the next frame; false when there is none.
    fn feed(&mut self) -> bool {
        let Some(piece) = self.pieces.next() else {
            return false;
        };
        let stdin = self.stdin.as_mut().expect("not closed");
        stdin.write_all(&piece).expect("it reads");
        true
    }

    /// Ends the capture; what was said on standard error.
    fn end(mut self) -> String {
        while self.feed() {}
        self.stdin = None;
        let output = self.child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }
}

/// A capture as its head and its records.
fn pieces<'a>(frames: impl Iterator<Item = weir_engine::packet::Frame<'a>>) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for frame in frames {
        let write = |frames: &[weir_engine::packet::Frame<'_>]| {
            let mut writer = PcapWriter::new(Vec::new(), frame.link).expect("a Vec takes it");
            for frame in frames {
                writer.write(frame).expect("a Vec takes it");
            }
            writer.finish().expect("a Vec takes it")
        };
        let head = write(&[]);
        let record = write(&[frame]).split_off(head.len());
        if pieces.is_empty() {
            pieces.push(head);
        }
        pieces.push(record);
    }
    pieces
}

/// Datagrams with this text.
fn datagrams(count: u64, text: &str) -> Vec<Vec<u8>> {
    let data = udp(text.as_bytes());
    let frames = (1..=count).map(|number| weir_engine::packet::Frame {
        ts_ns: 1_600_000_000_000_000_000 + number * 1_000_000,
        number,
        link: weir_engine::packet::LinkType::ETHERNET,
        data: &data,
        wire_len: data.len() as u32,
        ..weir_engine::packet::Frame::default()
    });
    pieces(frames)
}

/// Asks a sensor, and feeds it until it answers.
fn ask(bench: &Bench, command: &Value, mut feed: impl FnMut()) -> Value {
    let mut socket = UnixStream::connect(bench.path("socket")).expect("it listens");
    socket.set_read_timeout(Some(STEP)).expect("a timeout");
    writeln!(socket, "{command}").expect("it reads");
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    let mut turns = 0;
    while socket.read_line(&mut line).is_err() {
        turns += 1;
        assert!(turns < 20_000, "no answer to {command}");
        feed();
    }
    serde_json::from_str(&line).expect("an answer")
}

fn status(bench: &Bench) -> Value {
    let answer = ask(bench, &json!({"command": "status"}), || ());
    assert_eq!(answer["return"], "OK", "{answer}");
    answer["message"].clone()
}

/// Waits until so many frames have come.
fn comes_to(bench: &Bench, packets: u64) {
    wait_for("packets", || status(bench)["packets"] == packets);
}

/// Where alerts of a rule were, by the number of the packet.
fn alerts(bench: &Bench, sid: u64) -> Vec<u64> {
    let records = bench.eve("eve.json").into_iter();
    let of_rule = records.filter(|record| record["alert"]["signature_id"] == sid);
    of_rule
        .map(|record| record["pcap_cnt"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_hundred_reloads_change_no_alert() {
    let bench = Bench::new();
    let traffic = Scenario::new(5).packets(12_000).generate();
    let pieces = pieces(traffic.frames());
    bench.file("all.pcap", pieces.concat());
    bench.file("all.rules", demo_rules());
    let options = "--rules all.rules --eve-types alert,flow,http,dns";
    bench
        .weir(&format!(
            "run --pcap all.pcap --eve whole.json --workers 1 {options}"
        ))
        .code(0);
    let whole = bench.read("whole.json");
    assert!(whole.matches("\"alert\"").count() > 20);
    for workers in [1, 2] {
        let run = format!("{options} --eve eve.json --workers {workers} --stats stats.json");
        let mut sensor = Sensor::start(&bench, &run, pieces.clone());
        for _ in 0..100 {
            let answer = ask(&bench, &json!({"command": "reload"}), || {
                assert!(sensor.feed(), "too little traffic for so many reloads");
            });
            assert_eq!(answer["return"], "OK", "{answer}");
        }
        let fed = sensor.pieces.len();
        assert_eq!(sensor.end(), "");
        assert!(fed > 0, "the last reload came before the last packet");
        let stats = bench.json("stats.json");
        assert_eq!(stats["reload"]["count"], 100, "{stats}");
        assert_eq!(stats["reload"]["failed"], 0);
        assert!(bench.read("eve.json") == whole, "{workers} workers");
    }
}

#[test]
fn a_new_rule_fires_after_the_reload_and_not_before() {
    let bench = Bench::new();
    let old = "alert udp any any -> any any (msg:\"old\"; content:\"ping\"; sid:1;)\n";
    let new = "alert udp any any -> any any (msg:\"new\"; content:\"in\"; sid:2;)\n";
    bench.file("all.rules", old);
    let run = "--rules all.rules --eve eve.json --eve-types alert,stats --stats stats.json";
    let mut sensor = Sensor::start(&bench, run, datagrams(2000, "ping"));
    (0..5).for_each(|_| assert!(sensor.feed()));
    comes_to(&bench, 5);
    let first = status(&bench);
    assert_eq!(
        (&first["rules"], &first["alerts"]),
        (&json!(1), &json!(5)),
        "{first}"
    );
    assert_eq!(first["matcher"], "software");

    // Broken, of nothing, and not there.
    let reload = json!({"command": "reload"});
    for (broken, why) in [
        (
            "alert udp any any -> any any (content:\"ping\"; sid:3; nonsense:1;)\n",
            "no rule to apply",
        ),
        ("", "no rule to apply"),
    ] {
        bench.file("all.rules", broken);
        let answer = ask(&bench, &reload, || ());
        assert_eq!(answer["return"], "NOK", "{answer}");
        let message = answer["message"].as_str().expect("a reason");
        assert!(message.contains(why), "{message}");
    }
    let elsewhere = json!({"command": "reload", "rules": ["nowhere.rules"]});
    let answer = ask(&bench, &elsewhere, || ());
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|why| why.contains("nowhere.rules"))
    );
    let still = status(&bench);
    assert_eq!(still["rules"], 1);
    assert_eq!(still["reload"]["failed"], 3);
    assert!(sensor.feed());
    comes_to(&bench, 6);
    assert_eq!(status(&bench)["alerts"], 6, "the old rules are in force");

    bench.file("all.rules", format!("{old}{new}"));
    let answer = ask(&bench, &reload, || assert!(sensor.feed()));
    assert_eq!(answer["return"], "OK", "{answer}");
    assert_eq!(answer["message"]["rules"], 2);
    let reloaded = status(&bench)["packets"].as_u64().expect("a number");
    (0..3).for_each(|_| assert!(sensor.feed()));
    comes_to(&bench, reloaded + 3);

    // By signal, without the old rule.
    bench.file("all.rules", new);
    let pid = Pid::from_child(&sensor.child);
    kill_process(pid, Signal::USR2).expect("it is there");
    wait_for("the signal to be heard", || {
        assert!(sensor.feed());
        status(&bench)["reload"]["count"] == 2
    });
    let without = status(&bench)["packets"].as_u64().expect("a number");
    let said = sensor.end();
    assert_eq!(said.matches("not reloaded").count(), 3, "{said}");
    let (olds, news) = (alerts(&bench, 1), alerts(&bench, 2));
    assert!(news.iter().all(|&at| at > 6), "{news:?}");
    assert_eq!(
        news,
        (news[0]..=2000).collect::<Vec<_>>(),
        "from then on always"
    );
    assert!(news[0] <= reloaded + 1);
    assert_eq!(olds, (1..=olds.len() as u64).collect::<Vec<_>>());
    assert!(olds.len() as u64 <= without && olds.len() as u64 > reloaded);
    let stats = bench.json("stats.json");
    assert_eq!(stats["reload"]["failed"], 3);
    let records = bench.eve("eve.json");
    let detect = &records.last().expect("a record")["stats"]["detect"];
    assert_eq!(detect["reloads"], 2, "{detect}");
    assert_eq!(detect["reloads_failed"], 3);
    assert_eq!(detect["rules_loaded"], 1);
}

#[test]
fn the_commands_ask_and_one_sensor_listens() {
    let bench = Bench::new();
    bench.file(
        "all.rules",
        "alert udp any any -> any any (content:\"ping\"; sid:1;)\n",
    );
    let other = "alert udp any any -> any any (content:\"pong\"; sid:2;)\n";
    let other = bench.file(
        "other.rules",
        format!("{other}{}", other.replace("sid:2", "sid:3")),
    );
    let mut sensor = Sensor::start(
        &bench,
        "--rules all.rules --eve eve.json",
        datagrams(50, "pong"),
    );
    bench
        .weir("run --pcap - --rules all.rules --control socket")
        .code(1)
        .says("another process listens there");
    bench
        .weir("status --control socket")
        .code(0)
        .prints("\"rules\": 1");
    bench
        .weir("reload --control socket --rules nowhere")
        .code(1)
        .says("nowhere");
    // No packet comes, so that it is in force with the next one.
    let waits = bench.weir("reload --control socket --rules other.rules");
    waits.code(0).prints("with the next one");
    assert!(sensor.feed());
    wait_for("other rules", || status(&bench)["rules"] == 2);
    std::fs::remove_file(other).expect("it was there");
    sensor.end();
    assert_eq!(alerts(&bench, 3).len(), 50);
    assert!(!bench.path("socket").exists());
    bench
        .weir("status --control socket")
        .code(1)
        .says("cannot reach a sensor");
}
