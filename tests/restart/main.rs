//! A run that is cut and goes on in another process (`--state-dir`): the same records as those of one run.
//!
//! `cargo xtask campaign restart --pcap FILE --rules FILE` does it with captures and rules of any size.

#[path = "../common/mod.rs"]
mod common;
#[expect(dead_code, reason = "reloads are tested with more of it")]
mod traffic;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Bench, Ended, wait_for};
use serde_json::Value;
use traffic::{CONFIG, RULES, Timed};
use weir_capture::CaptureReader;
use weir_capture::generate::{Scenario, demo_rules};
use weir_engine::packet::LinkType;

/// Of all runs over hand-made traffic.
const OPTIONS: &str = "--rules all.rules --eve-types alert,flow,packet --config all.toml";

/// Packets are numbered anew in each process.
fn unnumbered(mut records: Vec<Value>) -> Vec<String> {
    for record in &mut records {
        if let Some(record) = record.as_object_mut() {
            record.remove("pcap_cnt");
            if let Some(tunnel) = record.get_mut("tunnel").and_then(Value::as_object_mut) {
                tunnel.remove("pcap_cnt");
            }
        }
    }
    records.iter().map(ToString::to_string).collect()
}

fn sids(records: &[String]) -> BTreeSet<u64> {
    let sid = |record: &String| {
        let record: Value = serde_json::from_str(record).expect("JSON");
        record.pointer("/alert/signature_id")?.as_u64()
    };
    records.iter().filter_map(sid).collect()
}

struct Cuts {
    bench: Bench,
    link: LinkType,
    packets: Vec<Timed>,
    /// Of all runs.
    options: String,
}

impl Cuts {
    fn new(packets: Vec<Timed>, link: LinkType, rules: &str) -> Self {
        let bench = Bench::new();
        bench.file("all.rules", rules);
        bench.file("all.toml", CONFIG);
        bench.file("all.pcap", traffic::pcap(&packets, link));
        Self {
            bench,
            link,
            packets,
            options: OPTIONS.to_owned(),
        }
    }

    fn hand_made() -> Self {
        Self::new(traffic::all(), LinkType::RAW, RULES)
    }

    fn run(&self, what: &str) -> Ended {
        self.bench.weir(&format!("run {what} {}", self.options))
    }

    /// The records of one run.
    fn whole(&self, workers: usize) -> Vec<String> {
        self.run(&format!(
            "--pcap all.pcap --eve all.json --workers {workers}"
        ))
        .code(0);
        unnumbered(self.bench.eve("all.json"))
    }

    fn part(&self, from: usize, to: usize) {
        let part = traffic::pcap(&self.packets[from..to], self.link);
        self.bench.file("part.pcap", part);
    }

    /// The same of runs that hand over to the next one at each of these places, each with the next number of workers.
    fn cut(&self, places: &[usize], workers: &[usize]) -> Vec<String> {
        self.bench.file("cut.json", "");
        let ends = places.iter().copied().chain([self.packets.len()]);
        let mut from = 0;
        for (at, (end, workers)) in ends.zip(workers.iter().cycle()).enumerate() {
            self.part(from, end);
            let goes_on = at < places.len();
            let handover = if goes_on { "--handover" } else { "" };
            self.run(&format!(
                "--pcap part.pcap --eve cut.json --append --workers {workers} --state-dir state {handover}"
            ))
            .code(0);
            from = end;
        }
        // What outlives flows stays, and would be known to the next.
        std::fs::remove_dir_all(self.bench.path("state")).expect("there is a folder");
        unnumbered(self.bench.eve("cut.json"))
    }
}

#[test]
fn a_run_may_be_cut_after_any_packet() {
    let cuts = Cuts::hand_made();
    let whole = cuts.whole(1);
    assert_eq!(
        sids(&whole),
        [1, 2, 3, 5, 6, 8, 9, 10, 11, 13, 14, 17, 18].into(),
        "everything that is to be handed over has an alert that needs it"
    );
    let places: Vec<usize> = (0..=cuts.packets.len()).collect();
    assert_eq!(cuts.cut(&places, &[1]), whole, "cut after every packet");
    for place in (3..cuts.packets.len()).step_by(20) {
        assert_eq!(cuts.cut(&[place], &[1]), whole, "cut after {place} packets");
    }
}

#[test]
fn the_number_of_workers_may_change() {
    let cuts = Cuts::hand_made();
    let whole = cuts.whole(2);
    assert_eq!(cuts.whole(1), whole);
    for (place, workers) in [(20, [1, 3]), (35, [3, 2]), (50, [2, 1]), (64, [2, 2])] {
        assert_eq!(cuts.cut(&[place], &workers), whole, "{workers:?}");
    }
}

#[test]
fn a_run_may_be_cut_again_and_again() {
    let cuts = Cuts::hand_made();
    let places: Vec<usize> = (5..cuts.packets.len()).step_by(5).collect();
    assert_eq!(cuts.cut(&places, &[1, 2, 3]), cuts.whole(1));
}

#[test]
fn generated_traffic_may_be_cut() {
    let traffic = Scenario::new(11).packets(6_000).generate();
    let packets = traffic
        .frames()
        .map(|frame| (frame.ts_ns, frame.data.to_vec()));
    let cuts = Cuts::new(packets.collect(), LinkType::ETHERNET, demo_rules());
    let whole = cuts.whole(2);
    assert!(sids(&whole).len() > 10);
    let count = cuts.packets.len();
    let places: Vec<usize> = (1..=10).map(|part| count * part / 11).collect();
    assert_eq!(cuts.cut(&places, &[2, 1, 3]), whole);
    for place in [count / 3, count / 2] {
        assert_eq!(cuts.cut(&[place], &[2]), whole);
    }
}

#[test]
fn at_the_end_of_a_capture_flows_end_and_the_rest_is_kept() {
    let cuts = Cuts::hand_made();
    let words = cuts.packets.len() - 3;
    let run = |name: &str, from: usize, to: usize| {
        cuts.part(from, to);
        cuts.run(&format!(
            "--pcap part.pcap --eve {name}.json --state-dir state"
        ))
        .code(0)
        .quiet();
        unnumbered(cuts.bench.eve(&format!("{name}.json")))
    };
    let first = run("first", 0, words);
    assert!(first.iter().any(|record| record.contains("\"shutdown\"")));
    // The bit of the host is known, for a minute less than it was set for; the one of the flow is not.
    let second = sids(&run("second", words, words + 3));
    assert!(second.contains(&8) && !second.contains(&6), "{second:?}");
}

#[test]
fn a_run_that_is_stopped_hands_over() {
    let cuts = Cuts::hand_made();
    let whole = cuts.whole(1);
    let bench = &cuts.bench;
    let place = 50;
    let mut child = bench
        .command(&format!(
            "run --pcap - --eve cut.json --state-dir state {OPTIONS}"
        ))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("weir starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let part = traffic::pcap(&cuts.packets[..place], cuts.link);
    stdin.write_all(&part).expect("weir reads");
    stdin.flush().expect("weir reads");
    let path = bench.path("cut.json");
    wait_for("records of the first part", || {
        std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() > 3)
    });
    // What was written is read in one piece, so all of it has come.
    let signal = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(signal.expect("kill runs").success());
    drop(stdin);
    let ended = child.wait_with_output().expect("weir ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let told: Option<usize> = said.split_whitespace().find_map(|word| word.parse().ok());
    let seen = told.expect("it says after how many packets");
    cuts.part(seen, cuts.packets.len());
    cuts.run("--pcap part.pcap --eve cut.json --append --state-dir state")
        .code(0)
        .quiet();
    assert_eq!(unnumbered(bench.eve("cut.json")), whole);
}

/// A folder with a state in it, of the first 50 packets.
fn handed_over(cuts: &Cuts, options: &str) {
    cuts.part(0, 50);
    cuts.run(&format!(
        "--pcap part.pcap --eve first.json --state-dir state --handover {options}"
    ))
    .code(0)
    .quiet();
    cuts.part(50, cuts.packets.len());
}

#[test]
fn a_state_that_is_not_as_expected_is_refused() {
    let cuts = Cuts::hand_made();
    let bench = &cuts.bench;
    handed_over(&cuts, "");
    let state = bench.path("state/weir.state");
    let good = std::fs::read(&state).expect("there is a state");
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    let long = [&good[..], &[0]].concat();
    for (bytes, says) in [
        (changed(0, 1), "expected it to begin with `weirflow`"),
        (changed(8, 1), "the state is of format 3"),
        (changed(30, 1), "bytes after the head, found"),
        (changed(good.len() / 2, 4), "the state is damaged"),
        (
            good[..good.len() - 1].to_vec(),
            "bytes after the head, found",
        ),
        (good[..20].to_vec(), "expected a head of 40 bytes, found 20"),
        (Vec::new(), "expected it to begin with `weirflow`"),
        (long, "bytes after the head, found"),
    ] {
        std::fs::write(&state, &bytes).expect("written");
        let run = "--pcap part.pcap --eve second.json --state-dir state";
        cuts.run(&format!("{run} --strict"))
            .code(1)
            .says("state/weir.state: ")
            .says(says);
        assert_eq!(std::fs::read(&state).expect("it is still there"), bytes);
        cuts.run(run)
            .code(0)
            .says(says)
            .says("beginning without what was known");
        let without = sids(&unnumbered(bench.eve("second.json")));
        assert!(!without.contains(&17), "{without:?}");
    }
}

#[test]
fn a_state_is_taken_over_once() {
    let cuts = Cuts::hand_made();
    handed_over(&cuts, "");
    let run = |name: &str| {
        let eve = format!("{name}.json");
        cuts.run(&format!("--pcap part.pcap --eve {eve} --state-dir state"))
            .code(0)
            .quiet();
        sids(&unnumbered(cuts.bench.eve(&eve)))
    };
    assert!(run("second").contains(&17));
    assert!(!run("third").contains(&17));
}

#[test]
fn one_process_at_a_time_uses_a_folder() {
    let cuts = Cuts::hand_made();
    let mut child = cuts
        .bench
        .command("run --pcap - --rules all.rules --eve first.json --state-dir state")
        .stdin(Stdio::piped())
        .spawn()
        .expect("weir starts");
    wait_for("the first process", || {
        cuts.bench.path("first.json").exists()
    });
    cuts.bench
        .weir("run --pcap all.pcap --rules all.rules --state-dir state")
        .code(1)
        .says("another process uses this folder");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    cuts.bench
        .weir("run --pcap all.pcap --rules all.rules --state-dir state")
        .code(0);
}

#[test]
fn other_rules_take_over_what_they_have_a_use_for() {
    let cuts = Cuts::hand_made();
    let bench = &cuts.bench;
    handed_over(&cuts, "");
    let sid = |line: &&str, sids: &[&str]| {
        sids.iter()
            .any(|sid| line.ends_with(&format!("sid:{sid};)")))
    };
    // In another order, without the rules that wait for the ends of windows, and one more.
    let mut lines: Vec<&str> = RULES
        .lines()
        .filter(|line| !sid(line, &["11", "10", "8", "7"]))
        .collect();
    lines.push("alert udp any any -> any any (msg:\"new\"; content:\"again\"; sid:99;)");
    lines.reverse();
    bench.file("other.rules", lines.join("\n"));
    let arguments = "run --pcap part.pcap --eve second.json --state-dir state";
    bench
        .weir(&format!("{arguments} {OPTIONS}").replace("all.rules", "other.rules"))
        .code(0)
        .says("a rule waited for more of a stream")
        .says("no rule uses them now");
    let found = sids(&unnumbered(bench.eve("second.json")));
    assert_eq!(found, [2, 3, 5, 9, 13, 17, 18, 99].into(), "{found:?}");
}

/// The format is that of the version that it says. When it changes, so does `VERSION`; then
/// `WEIR_BLESS=1 cargo test --test restart` writes the file again.
#[test]
fn the_format_is_that_of_its_version() {
    const WRITER: std::ops::Range<usize> = 12..28;
    let cuts = Cuts::hand_made();
    handed_over(&cuts, "--workers 2");
    let state = cuts.bench.path("state/weir.state");
    let got = std::fs::read(&state).expect("there is a state");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/weir.state");
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&golden, &got).expect("the golden file is written");
        return;
    }
    let mut expected = std::fs::read(&golden).expect("the golden file is there");
    std::fs::write(&state, &expected).expect("written");
    let whole = cuts.whole(1);
    cuts.run("--pcap part.pcap --eve second.json --state-dir state")
        .code(0)
        .quiet();
    let rest = unnumbered(cuts.bench.eve("second.json"));
    assert!(rest.len() > 10 && whole.ends_with(&rest));
    expected[WRITER].copy_from_slice(&got[WRITER]);
    assert!(got == expected, "another encoding needs another version");
}

/// What `cargo xtask campaign restart` runs: a capture, cut at ten places, or as many as `WEIR_RESTART_CUTS` says.
#[test]
#[ignore = "asks for a capture and rules (WEIR_RESTART_PCAP, WEIR_RESTART_RULES)"]
fn any_capture_may_be_cut() {
    let var = |name: &str| std::env::var(name).ok();
    let path = var("WEIR_RESTART_PCAP").expect("WEIR_RESTART_PCAP names a capture");
    let rules = var("WEIR_RESTART_RULES").expect("WEIR_RESTART_RULES names a file of rules");
    let count = var("WEIR_RESTART_CUTS").map_or(10, |count| count.parse().expect("a number"));
    let mut reader = CaptureReader::open(&path).expect("a capture");
    let (mut packets, mut link) = (Vec::new(), None);
    while reader.advance().expect("a capture that is whole") {
        let frame = reader.frame().expect("there is one");
        assert_eq!(*link.get_or_insert(frame.link), frame.link, "one link type");
        packets.push((frame.ts_ns, frame.data.to_vec()));
    }
    let mut cuts = Cuts::new(packets, link.expect("a frame"), "");
    let config = var("WEIR_RESTART_CONFIG").map(|path| format!("--config {path}"));
    cuts.options = format!(
        "--rules {rules} --eve-types alert {}",
        config.unwrap_or_default()
    );
    let packets = cuts.packets.len();
    let places: Vec<usize> = (1..=count)
        .map(|part| packets * part / (count + 1))
        .collect();
    for workers in [&[1][..], &[2], &[2, 1, 3]] {
        let (whole, cut) = (cuts.whole(workers[0]), cuts.cut(&places, workers));
        let same = whole.iter().zip(&cut).take_while(|(a, b)| a == b).count();
        assert!(
            whole == cut,
            "{workers:?} workers: {} alerts, {} when cut; they differ from the {}th on: {:#?}",
            whole.len(),
            cut.len(),
            same + 1,
            (whole.get(same), cut.get(same))
        );
        println!(
            "{rules}, {workers:?} workers: {packets} packets, cut at {count} places, {} alerts, the same",
            whole.len()
        );
    }
}
