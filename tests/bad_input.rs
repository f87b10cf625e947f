//! Input that is broken, missing, or too much: a clear error or a counted event, and what was found is written.

mod common;

use std::path::Path;

use common::{Bench, NEEDLE, needles, pcap, pcap_of, udp};
use weir_engine::packet::LinkType;

const RUN: &str = "run --pcap in.pcap --rules a.rules --eve eve.json --stats stats.json";

fn bench(capture: &[u8]) -> Bench {
    let bench = Bench::new();
    bench.file("in.pcap", capture);
    bench.file("a.rules", NEEDLE);
    bench
}

/// Bytes of a record of the capture that [`needles`] makes: all have the same length.
fn record_length() -> usize {
    needles(2).len() - needles(1).len()
}

#[test]
fn a_capture_cut_in_its_last_record_is_a_warning() {
    let whole = needles(5);
    let (header, record) = (whole.len() - 5 * record_length(), record_length());
    for cut in [1, record / 2, record - 1] {
        let bench = bench(&whole[..header + 3 * record + cut]);
        bench.weir(RUN).code(0).says("in.pcap: cut at byte ");
        assert_eq!(
            bench.eve("eve.json").len(),
            3,
            "cut {cut} bytes into a record"
        );
        let stats = bench.json("stats.json");
        assert_eq!(
            (&stats["truncated"], &stats["packets"]),
            (&1.into(), &3.into())
        );
    }
}

#[test]
fn a_corrupt_capture_gives_what_was_found_before() {
    let mut capture = needles(5);
    let third = capture.len() - 3 * record_length();
    capture[third + 8..third + 16].fill(0xff);
    let bench = bench(&capture);
    bench.weir(RUN).code(1).says("in.pcap: corrupt at byte ");
    assert_eq!(bench.eve("eve.json").len(), 2);
    assert_eq!(bench.json("stats.json")["packets"], 2);
}

#[test]
fn what_is_no_capture_is_said_to_be_none() {
    for (bytes, says) in [
        (b"".as_slice(), "the file is empty"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a capture"),
        (b"\xd4\xc3\xb2\xa1", "in.pcap: "),
        (b"\x1f\x8b\x08\x00 not really gzip", "in.pcap: "),
    ] {
        let bench = bench(bytes);
        bench.weir(RUN).code(1).says(says);
        assert_eq!(bench.eve("eve.json").len(), 0);
    }
    let bench = bench(b"");
    bench
        .weir("run --pcap none.pcap --rules a.rules --eve eve.json")
        .code(1)
        .says("none.pcap: cannot open the capture");
    assert!(!bench.path("eve.json").exists());
    bench
        .weir("run --pcap . --rules a.rules")
        .code(1)
        .says(".: cannot open the capture");
}

#[test]
fn a_capture_without_packets_is_fine() {
    let bench = bench(&needles(0));
    bench.weir(RUN).code(0).quiet();
    assert_eq!(bench.eve("eve.json").len(), 0);
    assert_eq!(bench.json("stats.json")["packets"], 0);
}

#[test]
fn a_link_type_that_cannot_be_decoded_is_an_error_that_names_it() {
    let bench = bench(&pcap_of(LinkType(147), &[udp(b"needle")], usize::MAX));
    bench
        .weir(RUN)
        .code(1)
        .says("1 frame of a link type that cannot be decoded (the first frame is of type 147)");
    assert_eq!(bench.json("stats.json")["engine"]["frames_unknown_link"], 1);
}

#[test]
fn the_wrong_link_type_does_not_make_weir_fall_over() {
    for link in [
        LinkType::NULL,
        LinkType::PPP,
        LinkType::RAW,
        LinkType::LINUX_SLL,
        LinkType::LINUX_SLL2,
        LinkType::IPV6,
    ] {
        let frames: Vec<_> = (0..20).map(|at| udp(&vec![b'x'; at * 7])).collect();
        let bench = bench(&pcap_of(link, &frames, usize::MAX));
        bench.weir(RUN).code(0);
        assert_eq!(bench.json("stats.json")["packets"], 20, "{link:?}");
    }
}

#[test]
fn frames_cut_by_the_snap_length_are_counted() {
    let frames: Vec<_> = (0..60).map(|_| udp(b"a long way to the needle")).collect();
    for snap in [0, 13, 14, 33, 34, 41, 42, 50] {
        let bench = bench(&pcap_of(LinkType::ETHERNET, &frames, snap));
        bench.weir(RUN).code(0);
        let stats = bench.json("stats.json");
        assert_eq!(
            (&stats["packets"], &stats["snap_cut"]),
            (&60.into(), &60.into()),
            "snap length {snap}"
        );
        assert_eq!(
            bench.eve("eve.json").len(),
            0,
            "what was not captured is not there"
        );
    }
}

#[test]
fn the_second_capture_can_be_the_broken_one() {
    let bench = bench(&needles(3));
    bench.file("bad.pcap", "no capture at all");
    bench
        .weir("run --pcap in.pcap bad.pcap --rules a.rules --eve eve.json")
        .code(1)
        .says("bad.pcap: not a capture");
    assert_eq!(bench.eve("eve.json").len(), 3);
}

#[test]
fn rules_that_are_not_there_are_an_error() {
    let bench = bench(&needles(1));
    std::fs::create_dir(bench.path("empty")).expect("a folder");
    bench
        .weir("run --pcap in.pcap --rules none.rules")
        .code(1)
        .says("none.rules: ");
    bench
        .weir("run --pcap in.pcap --rules empty")
        .code(1)
        .says("empty: the folder has no *.rules file");
    for nothing in ["", "\n  \n"] {
        bench.file("nothing.rules", nothing);
        bench
            .weir("run --pcap in.pcap --rules nothing.rules")
            .code(1)
            .says("no rule to apply: there is none in nothing.rules");
    }
    bench.file(
        "other.rules",
        "# for another engine\nalert udp any any -> any any (requires: version >= 10; sid:1;)\n",
    );
    bench
        .weir("run --pcap in.pcap --rules other.rules")
        .code(1)
        .says("no rule to apply: every rule is for another engine");
    bench.file(
        "refused.rules",
        "alert nonsense any any -> any any (sid:1;)\n",
    );
    bench
        .weir("run --pcap in.pcap --rules refused.rules")
        .code(1)
        .says("no rule to apply: 1 of 1 rules refused");
}

#[test]
fn rules_that_are_all_switched_off_are_a_warning() {
    let bench = bench(&needles(2));
    bench.file("off.rules", format!("# switched off\n#{NEEDLE}\n"));
    let warning = "no rule to apply: only comments in off.rules";
    bench
        .weir("run --pcap in.pcap --rules off.rules --eve eve.json --stats stats.json")
        .code(0)
        .says(warning);
    assert_eq!(bench.eve("eve.json").len(), 0);
    assert_eq!(bench.json("stats.json")["packets"], 2);
    bench
        .weir("run --pcap in.pcap --rules off.rules")
        .code(0)
        .prints("0 alerts by 0 signatures in 2 packets");
    bench
        .weir("run --pcap in.pcap --rules off.rules --strict")
        .code(1)
        .says(warning);
    let refused = "alert nonsense any any -> any any (sid:1;)\n";
    bench.file("off.rules", format!("#{NEEDLE}{refused}"));
    bench
        .weir("run --pcap in.pcap --rules off.rules")
        .code(1)
        .says("no rule to apply: 1 of 1 rules refused");
}

#[test]
fn a_rule_line_of_10_megabytes_ends_in_time() {
    let bench = bench(&needles(1));
    let long = format!(
        "alert udp any any -> any any (msg:\"{}\"; content:\"needle\"; sid:5;)\n",
        "m".repeat(10 << 20)
    );
    bench.file("long.rules", format!("{long}{NEEDLE}"));
    bench
        .weir("run --pcap in.pcap --rules long.rules --eve eve.json")
        .code(0);
    assert!(
        bench
            .eve("eve.json")
            .iter()
            .any(|record| record["alert"]["signature_id"] == 1)
    );
    // The same length without any structure, and with far too much of it.
    for filler in ["(", "a", ";", "\\", "\"", "content:\"a\"; ", "[", "!"] {
        let line = format!(
            "alert udp any any -> any any ({}x",
            filler.repeat((10 << 20) / filler.len())
        );
        bench.file("long.rules", format!("{line}\n{NEEDLE}"));
        bench
            .weir("run --pcap in.pcap --rules long.rules --eve eve.json")
            .code(0)
            .says("1 of 2 rules refused");
        assert_eq!(bench.eve("eve.json").len(), 1, "{filler}");
    }
}

#[test]
fn rules_that_are_not_utf8_are_refused_as_suricata_does_and_the_rest_loads() {
    let bench = bench(&needles(1));
    let mut rules =
        b"# \xff\xfe\nalert udp any any -> any any (msg:\"caf\xe9\"; content:\"needle\"; sid:7;)\n"
            .to_vec();
    rules.extend(b"alert \xff any any -> any any (sid:8;)\n");
    rules.extend(NEEDLE.bytes());
    bench.file("bytes.rules", rules);
    bench
        .weir("run --pcap in.pcap --rules bytes.rules --eve eve.json")
        .code(0)
        .says("2 of 3 rules refused");
    assert_eq!(bench.eve("eve.json").len(), 1);
    bench
        .weir("rules check bytes.rules")
        .code(1)
        .prints("bytes.rules:2:39: ");
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    for packets in [1, 2000] {
        let bench = bench(&needles(packets));
        bench
            .weir("run --pcap in.pcap --rules a.rules --eve /dev/full --stats stats.json")
            .code(1)
            .says("cannot write EVE records to /dev/full: No space left on device");
        assert!(
            bench.json("stats.json")["packets"].is_number(),
            "the figures are still written"
        );
    }
    let bench = bench(&needles(1));
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json --stats /dev/full")
        .code(1)
        .says("cannot write the figures to /dev/full: No space left on device");
    assert_eq!(bench.eve("eve.json").len(), 1);
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve no/such/folder")
        .code(1)
        .says("cannot open no/such/folder");
}

#[test]
fn a_closed_pipe_is_an_error_and_no_panic() {
    let bench = bench(&needles(2000));
    for arguments in [
        "run --pcap in.pcap --rules a.rules --eve -",
        "run --pcap in.pcap --rules a.rules",
        "rules check a.rules",
    ] {
        let mut command = bench.command(arguments);
        command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("weir ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {stderr}");
        assert!(
            stderr.contains("standard output: Broken pipe"),
            "{arguments}: {stderr}"
        );
    }
}

#[test]
fn random_bytes_after_a_good_header_neither_hang_nor_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..8 {
        let mut capture = pcap(&[udp(b"needle")]);
        for _ in 0..4096 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            capture.push((state >> 56) as u8);
        }
        let bench = bench(&capture);
        let ended = bench.weir(RUN);
        assert!(
            matches!(ended.code, Some(0 | 1)),
            "round {round}: {ended:?}"
        );
        assert_eq!(bench.eve("eve.json").len(), 1, "round {round}");
    }
}
