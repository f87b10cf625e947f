//! `weir rules learn`, and what is done with what it writes.

mod common;

use std::collections::HashMap;
use std::io::Write;

use common::{Bench, NEEDLE, needles, pcap, udp};
use flate2::Compression;
use flate2::write::GzEncoder;
use weir_capture::PcapWriter;
use weir_capture::generate::{Scenario, Traffic};
use weir_engine::detect::inspected_payload;
use weir_engine::packet::{Decoder, DecoderConfig, LinkType};
use weir_rules::frequency::{Learner, Limits, Table};

fn table(bench: &Bench, name: &str) -> Table {
    Table::read(&std::fs::read(bench.path(name)).expect("a file")).expect("a table")
}

fn traffic() -> Traffic {
    Scenario::new(11).packets(120).generate()
}

fn capture(traffic: &Traffic) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).expect("a Vec takes it");
    for frame in traffic.frames() {
        writer.write(&frame).expect("a Vec takes it");
    }
    writer.finish().expect("a Vec takes it")
}

/// The payloads that rules look into.
fn payloads(traffic: &Traffic) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut payloads = Vec::new();
    for frame in traffic.frames() {
        decoder.decode(frame, &mut |packet| {
            let payload = inspected_payload(packet);
            if !packet.invalid && !payload.is_empty() {
                payloads.push(payload.to_vec());
            }
        });
    }
    payloads
}

#[test]
fn a_table_is_learnt_and_says_what_it_holds() {
    let bench = Bench::new();
    bench.file("a.pcap", needles(40));
    let ended = bench
        .weir("rules learn --pcap a.pcap -o a.freq")
        .code(0)
        .says("of payload only")
        .prints("learnt from 40 packets: 40 payloads, ")
        .prints("a.freq");
    assert!(
        ended.stdout.contains("\" with a \""),
        "the commonest windows: {ended:#?}"
    );
    let learnt = table(&bench, "a.freq");
    assert_eq!(
        (learnt.learnt().packets, learnt.learnt().payloads),
        (40, 40)
    );
    assert!(learnt.rarity(b"a needle", false) < 6.0);
    assert!(learnt.rarity(b"haystack", false) > learnt.rarity(b"a needle", false) + 2.0);
    // The same again, from a pipe and compressed.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&needles(40)).expect("a Vec takes it");
    bench.file("a.pcap.gz", gzip.finish().expect("a Vec takes it"));
    bench.weir("rules learn --pcap a.pcap.gz -o b.freq").code(0);
    bench
        .weir_with("rules learn --pcap - -o c.freq", &needles(40))
        .code(0);
    for other in ["b.freq", "c.freq"] {
        assert_eq!(table(&bench, other), learnt, "{other}");
    }
}

#[test]
fn packets_are_numbered_through_and_can_be_left_out() {
    let bench = Bench::new();
    bench.file("a.pcap", needles(30));
    bench.file("b.pcap", pcap(&vec![udp(b"something else"); 30]));
    bench
        .weir("rules learn --pcap a.pcap b.pcap --packets 11-30,41- -o half.freq")
        .code(0)
        .prints("learnt from 40 packets");
    let half = table(&bench, "half.freq");
    let of = |window: &[u8]| half.estimate(window, false).payloads;
    assert!((0.5..0.63).contains(&of(b"needle")), "{}", of(b"needle"));
    assert!((0.5..0.63).contains(&of(b"thing e")), "{}", of(b"thing e"));
    bench
        .weir("rules learn --pcap a.pcap --packets 9-8 -o x.freq")
        .code(2)
        .says("the first packet is behind the last");
    bench
        .weir("rules learn --pcap a.pcap --packets 31- -o x.freq")
        .code(1)
        .says("nothing to learn from");
    assert!(!bench.path("x.freq").exists());
}

#[test]
fn rare_windows_stay_out_of_the_file() {
    let bench = Bench::new();
    let mut frames: Vec<_> = (0..50)
        .map(|at| udp(format!("packet {at}").as_bytes()))
        .collect();
    frames.extend(vec![udp(b"QQ hunter2 QQ"); 7]);
    bench.file("a.pcap", pcap(&frames));
    let file = |options: &str| {
        bench
            .weir(&format!("rules learn --pcap a.pcap -o a.freq {options}"))
            .code(0);
        table(&bench, "a.freq").estimate(b"hunter2", false).payloads
    };
    assert!(file("--hits 2 --payloads 7") > 0.1);
    assert!(file("--hits 2") < 0.01);
    assert!(file("--payloads 1") < 0.01);
    bench
        .weir("rules learn --pcap a.pcap -o a.freq --windows 100")
        .code(0)
        .prints("kept ");
    assert!(table(&bench, "a.freq").windows() <= 100);
}

#[test]
fn a_capture_that_ends_early_still_teaches() {
    let bench = Bench::new();
    let whole = needles(40);
    bench.file("cut.pcap", &whole[..whole.len() - 5]);
    bench
        .weir("rules learn --pcap cut.pcap -o cut.freq")
        .code(0)
        .says("cut.pcap");
    assert_eq!(table(&bench, "cut.freq").learnt().packets, 39);
    let mut broken = whole;
    let middle = broken.len() / 2;
    broken.truncate(middle);
    broken.extend([0xff; 4000]);
    bench.file("broken.pcap", broken);
    bench
        .weir("rules learn --pcap broken.pcap -o broken.freq")
        .code(1)
        .says("broken.pcap");
    assert!(table(&bench, "broken.freq").learnt().packets > 10);
    bench
        .weir("rules learn --pcap missing.pcap -o x.freq")
        .code(1)
        .says("missing.pcap");
    bench
        .weir("rules learn --pcap cut.pcap -o no/such/folder.freq")
        .code(1)
        .says("cannot write the frequency table");
}

#[test]
fn runs_and_checks_take_a_table_by_option_or_configuration() {
    let bench = Bench::new();
    bench.file("a.pcap", needles(20));
    bench.file("a.rules", NEEDLE);
    bench.weir("rules learn --pcap a.pcap -o ours.freq").code(0);
    bench
        .weir("run --pcap a.pcap --rules a.rules --frequency ours.freq --eve eve.json")
        .code(0)
        .quiet();
    assert_eq!(bench.eve("eve.json").len(), 20);
    bench
        .weir("rules check a.rules --frequency ours.freq")
        .code(0);
    // Beside the configuration file, as other files that it names.
    std::fs::create_dir(bench.path("etc")).expect("a folder");
    bench.file("etc/weir.toml", "[rules]\nfrequency = \"theirs.freq\"\n");
    bench
        .weir("rules check a.rules --config etc/weir.toml")
        .code(2)
        .says("etc/theirs.freq: cannot read the frequency table");
    std::fs::copy(bench.path("ours.freq"), bench.path("etc/theirs.freq")).expect("a copy");
    bench
        .weir("rules check a.rules --config etc/weir.toml")
        .code(0);
    for (name, bytes, why) in [
        ("capture", needles(1), "not a frequency table"),
        ("short", b"weirfreq\x01\0".to_vec(), "cut short"),
        ("newer", b"weirfreq\x09\0".to_vec(), "of version 9"),
    ] {
        bench.file(name, bytes);
        for command in ["rules check a.rules", "run --pcap a.pcap --rules a.rules"] {
            bench
                .weir(&format!("{command} --frequency {name}"))
                .code(2)
                .says(name)
                .says(why);
        }
    }
}

#[test]
fn what_generated_traffic_has_often_is_never_taken_for_rare() {
    let traffic = traffic();
    let payloads = payloads(&traffic);
    let mut learner = Learner::new();
    for payload in &payloads {
        learner.payload(payload);
    }
    let limits = Limits {
        hits: 8,
        payloads: 1,
        windows: 5_000,
    };
    let table = learner.finish(limits);
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    assert_eq!(table.learnt().bytes, bytes as u64);
    let mut frequent = 0;
    for (length, folded) in [(2, false), (3, true), (5, true), (8, false)] {
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for payload in &payloads {
            for window in payload.windows(length) {
                let window = if folded {
                    window.to_ascii_lowercase()
                } else {
                    window.to_vec()
                };
                *counts.entry(window).or_default() += 1;
            }
        }
        for (window, hits) in counts {
            let exact = (bytes as f64 / hits as f64).log2() as f32;
            let rarity = table.rarity(&window, folded);
            // Spellings that are rare by themselves are left out: what is left is at least one of them.
            let letters = window
                .iter()
                .filter(|byte| byte.is_ascii_alphabetic())
                .count();
            let left_out = if folded {
                ((1 << letters) - 1) * (table.least() - 1)
            } else {
                0
            };
            if hits >= table.least() + left_out {
                let most = (bytes as f64 / (hits - left_out) as f64).log2() as f32;
                assert!(
                    rarity <= most + 0.001,
                    "{window:?}: {rarity} bits, {exact} by count"
                );
                frequent += 1;
            }
            assert!(
                rarity + 0.33 > exact.min((bytes as f32 / table.least() as f32).log2()),
                "{window:?}: {rarity} bits, {exact} by count"
            );
        }
    }
    assert!(frequent > 500, "{frequent} windows were frequent");
    let bench = Bench::new();
    bench.file("g.pcap", capture(&traffic));
    bench
        .weir("rules learn --pcap g.pcap --hits 8 --payloads 1 --windows 5000 -o g.freq")
        .code(0);
    // The command counts the payloads that the engine looks into, and packets besides.
    let by_command = self::table(&bench, "g.freq");
    assert_eq!(by_command.learnt().bytes, table.learnt().bytes);
    assert_eq!(by_command.windows(), table.windows());
}
