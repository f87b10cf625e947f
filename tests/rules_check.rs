//! `weir rules check`: every problem with its place, and the sum.

mod common;

use common::{Bench, NEEDLE, pcap, udp};

#[test]
fn a_set_without_problems_is_just_counted() {
    let bench = Bench::new();
    bench.file("a.rules", format!("# a comment\n{NEEDLE}"));
    let ended = bench.weir("rules check a.rules").code(0).quiet();
    assert_eq!(
        ended.stdout,
        "rules: 1 read, 1 evaluated, 0 unsupported, 0 syntax errors\n"
    );
}

#[test]
fn every_problem_has_a_place_and_the_sum_comes_last() {
    let bench = Bench::new();
    bench.file(
        "b.rules",
        format!(
            "{NEEDLE}alert ike any any -> any any (msg:\"x\"; ike.vendor; content:\"y\"; sid:2;)\n\
             alert tcp any any -> any any (msg:\"x\"; contnet:\"y\"; sid:3;)\nalert tcp any any => (sid:4;)\n"
        ),
    );
    let ended = bench.weir("rules check b.rules").code(1).quiet();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("b.rules:2:7: "), "{ended:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("b.rules:3:40: ") && line.contains("content")),
        "{ended:#?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("b.rules:4:")),
        "{ended:#?}"
    );
    assert_eq!(
        lines.last(),
        Some(&"rules: 4 read, 1 evaluated, 2 unsupported, 1 syntax errors")
    );
    assert!(
        ended.stdout.contains("ike.vendor"),
        "the table names keywords: {ended:#?}"
    );
    let summary = bench.weir("rules check --summary b.rules").code(1);
    assert!(!summary.stdout.contains("b.rules:"), "{summary:#?}");
    assert!(
        summary
            .stdout
            .ends_with("rules: 4 read, 1 evaluated, 2 unsupported, 1 syntax errors\n")
    );
}

#[test]
fn rules_that_are_not_for_this_engine_are_counted_before_the_last_line() {
    let bench = Bench::new();
    bench.file(
        "c.rules",
        format!("{NEEDLE}alert udp any any -> any any (requires: version >= 10; sid:2;)\n"),
    );
    let ended = bench.weir("rules check c.rules").code(0).quiet();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("1 rule left out: "), "{ended:#?}");
    assert_eq!(
        lines[1..],
        ["rules: 2 read, 1 evaluated, 0 unsupported, 0 syntax errors"]
    );
}

#[test]
fn rules_that_are_all_switched_off_are_no_problem() {
    let bench = Bench::new();
    bench.file("off.rules", format!("#{NEEDLE}"));
    let ended = bench.weir("rules check off.rules").code(0).quiet();
    assert_eq!(
        ended.stdout,
        "rules: 0 read, 0 evaluated, 0 unsupported, 0 syntax errors\n"
    );
}

#[test]
fn the_same_in_json() {
    let bench = Bench::new();
    bench.file(
        "b.rules",
        format!(
            "{NEEDLE}alert ike any any -> any any (msg:\"x\"; ike.vendor; content:\"y\"; sid:2;)\n"
        ),
    );
    let ended = bench.weir("rules check --json b.rules").code(1).quiet();
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert_eq!(json["rules"]["read"], 2);
    assert_eq!(json["rules"]["unsupported"], 1);
    let problem = &json["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&"b.rules".into(), &2.into(), &7.into())
    );
    assert_eq!(problem["kind"], "unsupported");
}

#[test]
fn variables_come_from_the_configuration() {
    let bench = Bench::new();
    bench.file(
        "v.rules",
        "alert tcp $PRINTERS any -> any any (msg:\"x\"; sid:1;)\n",
    );
    bench
        .weir("rules check v.rules")
        .code(1)
        .prints("v.rules:1:11: ");
    bench.file(
        "weir.toml",
        "[vars.address-groups]\nPRINTERS = \"10.1.2.3\"\n",
    );
    bench.weir("rules check v.rules --config weir.toml").code(0);
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("rules")).expect("a folder");
    bench.file("rules/b.rules", "alert bad any any -> any any (sid:1;)\n");
    bench.file("rules/a.rules", "alert worse any any -> any any (sid:2;)\n");
    bench.file(
        "rules/readme.txt",
        "alert worst any any -> any any (sid:3;)\n",
    );
    let ended = bench.weir("rules check rules").code(1);
    let files: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.contains(".rules:"))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(files, ["rules/a.rules", "rules/b.rules"]);
    bench.weir("rules check nowhere").code(1).says("nowhere: ");
}

/// One rule of every kind that the plan tells apart.
const PLANNED: &str = "\
    alert tcp any any -> any 8080 (msg:\"rare\"; content:\"Zq7#wv|00|!\"; nocase; sid:1;)\n\
    alert tcp any any -> any any (msg:\"nothing\"; flags:S; sid:2;)\n\
    alert tcp any any -> any 4000: (msg:\"expression\"; pcre:\"/x+y/\"; sid:3;)\n\
    alert tcp any any -> any any (msg:\"run\"; content:\"|00 00 00 00 00 00 00 00 00|\"; sid:4;)\n\
    alert udp any any -> any 99 (msg:\"short\"; content:\"~\"; content:!\"elsewhere\"; sid:5;)\n\
    alert tcp any any -> any any (msg:\"common\"; content:\"HTTP/1.1\"; nocase; sid:6;)\n\
    alert ip 10.0.0.1 any -> any any (msg:\"addresses\"; sid:7;)\n\
    alert pkthdr any any -> any any (msg:\"event\"; decode-event:ipv4.pkt_too_small; sid:8;)\n\
    alert tcp any any -> any any (msg:\"the same probe\"; content:\"Zq7#wv|00|!\"; nocase; sid:9; gid:3;)\n";

#[test]
fn the_plan_shows_probes_and_what_is_dear_before_the_last_line() {
    let bench = Bench::new();
    bench.file("p.rules", PLANNED);
    let ended = bench.weir("rules check --plan p.rules").code(0).quiet();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let line = |start: &str| {
        let found = lines
            .iter()
            .find(|line| line.trim_start().starts_with(start));
        *found.unwrap_or_else(|| panic!("{start:?} in {ended:#?}"))
    };
    let rare = line("1 ");
    assert!(
        rare.contains(r#""zq7#wv\x00!"i"#) && rare.contains("< 0.01"),
        "{rare}"
    );
    assert!(rare.contains("8080") && line("3:9 ").contains(r#""zq7#wv\x00!"i"#));
    assert!(line("7 ").contains("once a flow") && line("8 ").contains("decoder events"));
    let dear: Vec<&str> = lines
        .iter()
        .skip_while(|line| !line.contains("because of"))
        .skip(2)
        .take_while(|line| !line.is_empty())
        .copied()
        .collect();
    let expected = [
        (
            "2 ",
            "every packet",
            "no content that the payload must have",
        ),
        (
            "3 ",
            "tcp to 4000-65535",
            "no content that the payload must have",
        ),
        (
            "5 ",
            "udp to 99",
            r#"short contents only, the best of them "~""#,
        ),
        (
            "4 ",
            "tcp",
            r#"runs only, such as "\x00\x00\x00\x00\x00\x00\x00\x00""#,
        ),
        (
            "6 ",
            "tcp",
            r#"common contents only, the best of them "http/1.1"i"#,
        ),
    ];
    assert_eq!(dear.len(), expected.len(), "{dear:#?}");
    for (line, (sid, on, why)) in dear.iter().zip(expected) {
        assert!(line.trim_start().starts_with(sid), "{line}");
        assert!(line.contains(on) && line.ends_with(why), "{line}");
    }
    assert!(line("plan:").starts_with("plan: 4 rules by 3 probes, "));
    assert!(
        line("3 rules on every packet")
            .contains("1 of them on any port; 1 once a flow; 1 on decoder")
    );
    assert_eq!(
        lines.last(),
        Some(&"rules: 9 read, 9 evaluated, 0 unsupported, 0 syntax errors")
    );
    let summary = bench
        .weir("rules check --plan --summary p.rules")
        .code(0)
        .stdout;
    assert!(
        summary.contains("because of") && !summary.contains("zq7#"),
        "{summary}"
    );
}

#[test]
fn the_plan_in_json_follows_the_table() {
    let bench = Bench::new();
    bench.file("p.rules", PLANNED);
    let plan = |options: &str| {
        let ended = bench
            .weir(&format!("rules check --plan --json p.rules {options}"))
            .code(0)
            .quiet();
        let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        json["plan"].clone()
    };
    let standard = plan("");
    let rules = standard["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 9);
    assert_eq!(rules[0]["probe"]["hex"], "7a7137237776".to_owned() + "0021");
    assert_eq!(
        (&rules[0]["probe"]["folded"], &rules[0]["line"]),
        (&true.into(), &1.into())
    );
    let by: Vec<&str> = rules
        .iter()
        .filter_map(|rule| rule["candidate_by"].as_str())
        .collect();
    assert_eq!(
        by,
        [
            "probe", "packet", "packet", "probe", "packet", "probe", "flow", "event", "probe"
        ]
    );
    let names = standard["groups"].as_array().expect("groups");
    for rule in rules.iter().filter(|rule| rule["candidate_by"] == "probe") {
        let groups = rule["groups"].as_array().expect("groups");
        assert!(!groups.is_empty());
        for group in groups {
            let name = names.get(group.as_u64().expect("a number") as usize);
            assert!(
                name.and_then(|name| name.as_str())
                    .is_some_and(|name| name.starts_with("tcp"))
            );
        }
    }
    let hits = |plan: &serde_json::Value, at: usize| {
        plan["rules"][at]["hits_per_million_offsets"]
            .as_f64()
            .expect("a number")
    };
    assert!(hits(&standard, 0) < 0.01 && hits(&standard, 5) > 20.0);
    assert_eq!(standard["total"]["probes"], 3);
    let sum = hits(&standard, 0) + hits(&standard, 3) + hits(&standard, 5);
    let total = standard["total"]["hits_per_million_offsets"]
        .as_f64()
        .expect("a number");
    assert!(
        (total - sum).abs() < 1e-6,
        "rules that share a probe share its hits"
    );
    assert_eq!(standard["dear"].as_array().map(Vec::len), Some(5));
    // Where the table was learnt, what was rare elsewhere is common.
    let frames: Vec<_> = (0..50).map(|_| udp(b"ZQ7#wv\0! all the time")).collect();
    bench.file("a.pcap", pcap(&frames));
    bench.weir("rules learn --pcap a.pcap -o a.freq").code(0);
    bench
        .weir("rules check --plan --summary p.rules --frequency a.freq")
        .prints("learnt from 50 packets with 1.0 KiB of payload");
    let ours = plan("--frequency a.freq");
    assert_eq!(ours["frequency"]["packets"], 50);
    assert!(ours["rules"][0]["candidate_by"] == "packet" || hits(&ours, 0) > 1_000.0);
    assert!(ours["rules"][5]["probe"].is_object());
}
