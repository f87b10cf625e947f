//! `weir rules check`: every problem with its place, and the sum.

mod common;

use common::{Bench, NEEDLE};

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
            "{NEEDLE}alert dns any any -> any any (msg:\"x\"; dns.query; content:\"y\"; sid:2;)\n\
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
        ended.stdout.contains("dns.query"),
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
            "{NEEDLE}alert dns any any -> any any (msg:\"x\"; dns.query; content:\"y\"; sid:2;)\n"
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
