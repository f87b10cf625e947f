//! `weir run`: what it writes, and where.

mod common;

use common::{Bench, NEEDLE, needles, pcap, udp, wait_for};

fn bench(packets: usize) -> Bench {
    let bench = Bench::new();
    bench.file("in.pcap", needles(packets));
    bench.file("a.rules", NEEDLE);
    bench
}

#[test]
fn alerts_come_out_as_eve_records_in_packet_order() {
    let bench = bench(3);
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json --stats stats.json")
        .code(0)
        .quiet();
    let records = bench.eve("eve.json");
    assert_eq!(
        records
            .iter()
            .map(|record| record["pcap_cnt"].as_u64())
            .collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
    let first = &records[0];
    for (key, value) in [
        ("timestamp", "2020-01-01T00:00:00.000000+0000"),
        ("event_type", "alert"),
        ("src_ip", "10.0.0.1"),
        ("dest_ip", "10.0.0.2"),
        ("proto", "UDP"),
        ("direction", "to_server"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!(
        (&first["src_port"], &first["dest_port"]),
        (&1000.into(), &2000.into())
    );
    let alert = &first["alert"];
    assert_eq!(
        (&alert["signature_id"], &alert["rev"], &alert["severity"]),
        (&1.into(), &2.into(), &3.into())
    );
    assert_eq!(
        (&alert["signature"], &alert["category"]),
        (&"a needle".into(), &"Misc activity".into())
    );
    let stats = bench.json("stats.json");
    assert_eq!(
        (
            &stats["packets"],
            &stats["alerts"],
            &stats["rules"]["evaluated"]
        ),
        (&3.into(), &3.into(), &1.into())
    );
    assert_eq!(stats["matcher"], "software");
    assert!(
        stats["peak_rss_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0)
    );
}

#[test]
fn a_profile_shows_where_the_time_went_and_changes_nothing_else() {
    let bench = bench(3);
    for workers in [1, 2] {
        let run =
            format!("run --pcap in.pcap --rules a.rules --stats stats.json --workers {workers}");
        bench
            .weir(&format!("{run} --eve plain.json"))
            .code(0)
            .quiet();
        assert!(bench.json("stats.json").get("stages").is_none());
        let ended = bench
            .weir(&format!("{run} --eve eve.json --profile"))
            .code(0);
        assert_eq!(bench.read("eve.json"), bench.read("plain.json"));
        let stages = &bench.json("stats.json")["stages"];
        for (stage, laps) in [("flow", 3), ("match", 3), ("evaluate", 3), ("settle", 3)] {
            assert_eq!(stages[stage]["laps"], laps, "{stage}, {workers} workers");
        }
        for stage in ["read", "decode", "candidates", "commit", "all"] {
            assert!(ended.stderr.contains(stage), "{}", ended.stderr);
            let measured = stages[stage]["laps"].as_u64();
            assert_eq!(measured.is_some_and(|laps| laps > 0), stage != "all");
        }
    }
}

#[test]
fn without_a_file_the_alerts_are_summed_up() {
    let bench = bench(3);
    let ended = bench
        .weir("run --pcap in.pcap --rules a.rules")
        .code(0)
        .quiet();
    assert!(
        ended
            .stdout
            .contains("     3         3        1:1  a needle\n"),
        "{}",
        ended.stdout
    );
    ended.prints("3 alerts by 1 signature in 3 packets");
}

#[test]
fn records_go_to_standard_output_and_captures_come_from_standard_input() {
    let bench = bench(0);
    let ended = bench
        .weir_with("run --pcap - --rules a.rules --eve -", &needles(2))
        .code(0)
        .quiet();
    assert_eq!(ended.stdout.lines().count(), 2);
    for line in ended.stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a JSON object");
    }
}

#[test]
fn several_captures_are_one_run_with_one_numbering() {
    let bench = bench(2);
    bench.file("more.pcap", needles(3));
    bench
        .weir("run --pcap in.pcap more.pcap --rules a.rules --eve eve.json")
        .code(0);
    let numbers: Vec<_> = bench
        .eve("eve.json")
        .iter()
        .map(|record| record["pcap_cnt"].as_u64())
        .collect();
    assert_eq!(numbers, (1..=5).map(Some).collect::<Vec<_>>());
}

#[test]
fn an_existing_file_is_emptied_unless_append_is_given() {
    let bench = bench(1);
    bench.file("eve.json", "{\"old\":1}\n{\"torn\":");
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json --append")
        .code(0);
    let lines: Vec<String> = bench.read("eve.json").lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[0].as_str()), (3, "{\"old\":1}"));
    serde_json::from_str::<serde_json::Value>(&lines[2]).expect("the new record stands alone");
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json")
        .code(0);
    assert_eq!(bench.eve("eve.json").len(), 1);
}

#[test]
fn rules_that_cannot_be_evaluated_are_left_out_and_named() {
    let bench = bench(1);
    let two = format!(
        "{NEEDLE}alert ike any any -> any any (msg:\"later\"; ike.vendor; content:\"x\"; sid:2;)\n"
    );
    bench.file("two.rules", two);
    let ended = bench
        .weir("run --pcap in.pcap --rules two.rules --eve eve.json")
        .code(0);
    let ended = ended.says("1 of 2 rules refused");
    assert!(ended.stderr.contains("protocol ike"), "{}", ended.stderr);
    assert_eq!(bench.eve("eve.json").len(), 1);
    bench
        .weir("run --pcap in.pcap --rules two.rules --eve strict.json --strict")
        .code(1)
        .says("1 of 2 rules refused");
    assert!(
        !bench.path("strict.json").exists(),
        "nothing is written when the rules are not taken"
    );
}

#[test]
fn variables_of_the_configuration_decide() {
    let bench = bench(1);
    bench.file(
        "home.rules",
        "alert udp $HOME_NET any -> $PRINTERS $LPD (msg:\"m\"; content:\"needle\"; sid:1;)",
    );
    bench.file(
        "weir.toml",
        "[vars.address-groups]\nHOME_NET = \"10.0.0.1\"\nPRINTERS = \"[10.0.0.0/30,!10.0.0.1]\"\n\
         [vars.port-groups]\nLPD = \"[2000:2010]\"\n[capture]\nchecksums = \"ignore\"\n[stream]\nmidstream = false\ndepth = \"1 MiB\"\n",
    );
    bench
        .weir("run --pcap in.pcap --rules home.rules --config weir.toml --eve eve.json")
        .code(0)
        .quiet();
    assert_eq!(bench.eve("eve.json").len(), 1);
    bench.file("other.toml", "[vars.address-groups]\nHOME_NET = \"10.0.0.9\"\nPRINTERS = \"any\"\n[vars.port-groups]\nLPD = \"any\"\n");
    bench
        .weir("run --pcap in.pcap --rules home.rules --config other.toml --eve eve.json")
        .code(0);
    assert_eq!(bench.eve("eve.json").len(), 0);
}

#[test]
fn verified_checksums_leave_wrong_packets_out() {
    let bench = bench(1);
    bench.file("weir.toml", "[capture]\nchecksums = \"verify\"\n");
    bench.weir("run --pcap in.pcap --rules a.rules --config weir.toml --eve eve.json --stats stats.json").code(0);
    assert_eq!(bench.eve("eve.json").len(), 0);
    assert_eq!(
        bench.json("stats.json")["engine"]["packets_bad_checksum"],
        1
    );
}

#[test]
fn a_wrong_configuration_or_command_line_ends_with_2() {
    let bench = bench(1);
    bench.file("weir.toml", "[stream]\nmidstraem = true\n");
    bench
        .weir("run --pcap in.pcap --rules a.rules --config weir.toml")
        .code(2)
        .says("weir.toml:2:1: unknown key `midstraem` in [stream]; did you mean `midstream`?");
    bench.file(
        "loop.toml",
        "[vars.address-groups]\nA = \"$B\"\nB = \"$A\"\n",
    );
    bench
        .weir("run --pcap in.pcap --rules a.rules --config loop.toml")
        .code(2)
        .says("loop.toml:2:5: ");
    bench
        .weir("run --pcap in.pcap --rules a.rules --config none.toml")
        .code(2)
        .says("none.toml: cannot read");
    for arguments in [
        "run --rules a.rules",
        "run --pcap in.pcap",
        "run --pcap in.pcap --rules a.rules --workers 0",
        "run --pcap in.pcap --rules a.rules --append",
        "run --pcap in.pcap --rules a.rules --matcher abacus",
        "rules",
        "frobnicate",
    ] {
        let ended = bench.weir(arguments).code(2);
        assert!(
            ended.stdout.is_empty() && !ended.stderr.is_empty(),
            "{arguments}: {ended:?}"
        );
    }
}

#[test]
fn matchers_that_are_not_there_are_refused() {
    let bench = bench(1);
    bench
        .weir("run --pcap in.pcap --rules a.rules --matcher card --device nothing")
        .code(1)
        .says("nothing: no such device");
    for matcher in ["software", "model"] {
        bench
            .weir(&format!(
                "run --pcap in.pcap --rules a.rules --matcher {matcher}"
            ))
            .code(0);
    }
    bench
        .weir("run --pcap in.pcap --rules a.rules --matcher rtl --lanes 9")
        .code(2)
        .says("expected 8, 16, 32 or 64");
}

#[cfg(not(feature = "libpcap"))]
#[test]
fn what_takes_libpcap_does_not_exist_without_it() {
    let bench = bench(1);
    for option in ["--filter tcp", "--interface lo --capture libpcap"] {
        let said = bench
            .weir(&format!("run --rules a.rules {option}"))
            .code(2)
            .stderr;
        let refused = ["unexpected argument", "invalid value"];
        assert!(refused.iter().any(|words| said.contains(words)), "{said}");
    }
    let help = bench.weir("run --help").code(0).stdout;
    assert!(!help.contains("--filter"));
}

#[test]
fn help_is_everywhere_and_has_examples() {
    let bench = Bench::new();
    for arguments in [
        "--help",
        "run --help",
        "rules --help",
        "rules check --help",
        "demo --help",
    ] {
        let ended = bench.weir(arguments).code(0).prints("Example");
        assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe");
    }
    bench.weir("--version").code(0).prints("weir ");
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_found() {
    use std::io::Write;
    use std::process::Stdio;

    let bench = bench(0);
    let mut command =
        bench.command("run --pcap - --rules a.rules --eve eve.json --stats stats.json");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("weir starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&needles(4)).expect("weir reads");
    stdin.flush().expect("weir reads");
    // Alerts on live input are written at once.
    wait_for("the alerts", || {
        std::fs::read_to_string(bench.path("eve.json")).is_ok_and(|text| text.lines().count() >= 3)
    });
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    std::thread::sleep(std::time::Duration::from_millis(200));
    // One more packet lets the reader return from its wait.
    let more = pcap(&[udp(b"needle")]);
    let _ = stdin.write_all(more.get(24..).expect("a record"));
    drop(stdin);
    let output = child.wait_with_output().expect("weir ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted after "));
    assert!(bench.eve("eve.json").len() >= 4);
    assert!(
        bench.json("stats.json")["alerts"]
            .as_u64()
            .is_some_and(|alerts| alerts >= 4)
    );
}
