//! Rule modules from the outside: `weir run` with some of them, a hostile one among them, and `weir rules check`.

mod common;
#[path = "../wasm-rules/wasm/tests/modules/guest.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod guest;

use common::{Bench, pcap, udp};
use guest::{guest, rule};

const TEXT: &str = r#"alert udp any any -> any any (msg:"text"; content:"needle"; sid:3;)
"#;

/// Packet number and `sid` of each alert.
fn alerts(records: &[serde_json::Value]) -> Vec<(u64, u64)> {
    records
        .iter()
        .filter(|record| record["event_type"] == "alert")
        .map(|record| {
            let number = record["pcap_cnt"].as_u64().expect("a number");
            (
                number,
                record["alert"]["signature_id"].as_u64().expect("a sid"),
            )
        })
        .collect()
}

/// A folder with a good module, a hostile one, a text rule, and a capture of ten packets.
fn bench() -> Bench {
    let bench = Bench::new();
    let mut good = guest("good", vec![rule(2)]);
    good.declaration.rules[0].message = "quotes \" semicolons ; backslashes \\ |41|".to_owned();
    good.declaration.rules[0].class = Some("trojan-activity".to_owned());
    good.declaration.rules[0].references =
        vec![("url".to_owned(), "example.org/;\"x\"".to_owned())];
    good.declaration.rules[0].metadata = vec![("made".to_owned(), "by; hand".to_owned())];
    bench.file("good.wasm", good.build());
    let mut hostile = guest("hostile", vec![rule(1)]);
    hostile.evaluate = "(unreachable)".to_owned();
    bench.file("hostile.wasm", hostile.build());
    bench.file("a.rules", TEXT);
    let frames: Vec<Vec<u8>> = (0..10)
        .map(|at| udp(if at % 2 == 0 { b"a needle" } else { b"nothing" }))
        .collect();
    bench.file("a.pcap", pcap(&frames));
    bench.file("a.toml", "[eve]\ntypes = [\"alert\", \"module\"]\n");
    bench
}

#[test]
fn a_hostile_module_changes_no_other_alert() {
    let bench = bench();
    let run = "run --pcap a.pcap --config a.toml --stats stats.json --eve";
    bench
        .weir(&format!("{run} alone.json --rules a.rules good.wasm"))
        .code(0);
    let alone = alerts(&bench.eve("alone.json"));
    assert_eq!(alone.len(), 15);
    let rules = "--rules a.rules hostile.wasm good.wasm";
    for workers in [1, 2] {
        bench
            .weir(&format!("{run} both.json {rules} --workers {workers}"))
            .code(0)
            .says("module hostile");
        let records = bench.eve("both.json");
        assert_eq!(alerts(&records), alone);
        let notices: Vec<&serde_json::Value> = records
            .iter()
            .filter(|record| record["event_type"] == "module")
            .map(|record| &record["module"])
            .collect();
        assert_eq!(notices.len(), 6, "{notices:?}");
        assert!(notices.iter().all(|notice| notice["name"] == "hostile"));
        assert_eq!(notices[5]["event"], "quarantined");
        assert_eq!(notices[5]["failures"], 5);
        let stats = bench.json("stats.json");
        let modules = stats["modules"].as_array().expect("modules");
        assert_eq!(modules[0]["name"], "hostile");
        assert_eq!(modules[0]["traps"], 5);
        assert_eq!(modules[0]["quarantine_skips"], 5);
        assert_eq!(modules[1]["matches"], 10);
    }
    // What a module says of its rule comes out as it is.
    let records = bench.eve("both.json");
    let alert = (records.iter()).find(|record| record["alert"]["signature_id"] == 2);
    let alert = &alert.expect("an alert")["alert"];
    assert_eq!(
        alert["signature"],
        "quotes \" semicolons ; backslashes \\ |41|"
    );
    assert_eq!(alert["category"], "A Network Trojan was detected");
    assert_eq!(alert["metadata"]["made"][0], "by; hand");
}

#[test]
fn what_is_no_module_is_refused_and_the_others_go_on() {
    let bench = bench();
    // A file that is not what its name says is a mistake of the command line's.
    bench.file("text.wasm", TEXT);
    bench
        .weir("run --pcap a.pcap --eve out.json --rules a.rules text.wasm")
        .code(1)
        .says("expected a rule module (a component of WebAssembly), found text");
    // A module that cannot be used is like a rule that cannot.
    let component = std::fs::read(bench.path("good.wasm")).expect("a module");
    bench.file("cut.wasm", &component[..component.len() / 2]);
    let run = "run --pcap a.pcap --eve out.json --rules a.rules cut.wasm";
    bench.weir(run).code(0).says("cut.wasm");
    assert_eq!(alerts(&bench.eve("out.json")).len(), 5);
    bench.weir(&format!("{run} --strict")).code(1);
    bench
        .weir("run --pcap a.pcap --eve out.json --rules cut.wasm")
        .code(1)
        .says("no rule to apply");
}

#[test]
fn a_module_is_told_about_before_it_runs() {
    let bench = bench();
    let told = bench.weir("rules check a.rules good.wasm").code(0);
    for expected in [
        "good.wasm: module good 0.1, 1 rule\n",
        "exports  declare, evaluate",
        "granted  nothing",
        "buffers: payload",
        "memory   begins with",
        "evaluate always ends: it reaches 1 function",
        "rules: 2 read, 2 evaluated, 0 unsupported, 0 syntax errors\n",
    ] {
        assert!(told.stdout.contains(expected), "{expected}: {told:#?}");
    }
    let mut ticking = guest("ticking", vec![rule(9)]);
    ticking.imports =
        r#"(import "weir:rules/clock@1.0.0" "now" (func $now (result i64)))"#.to_owned();
    ticking.evaluate = format!("(loop (br_if 0 (i64.eqz (call $now)))) {}", guest::ALL);
    bench.file("ticking.wasm", ticking.build());
    let refused = bench.weir("rules check ticking.wasm").code(1);
    assert!(
        refused.stdout.contains("ticking.wasm:1:1: module: the module ticking imports weir:rules/clock, which the operator has not granted"),
        "{refused:#?}"
    );
    bench.file(
        "grant.toml",
        "[modules]\ngrant = { ticking = [\"clock\"] }\n",
    );
    let told = bench
        .weir("rules check --config grant.toml ticking.wasm")
        .code(0);
    assert!(
        told.stdout.contains("imports  weir:rules/clock@1.0.0: now"),
        "{told:#?}"
    );
    assert!(
        told.stdout.contains("no end can be told of loops in"),
        "{told:#?}"
    );
    let json = bench.weir("rules check --json good.wasm").code(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["modules"][0]["name"], "good");
    assert_eq!(json["modules"][0]["evaluate"]["bounded"], true);
}

#[test]
fn two_rules_of_one_number_are_one_too_many() {
    let bench = bench();
    bench.file("other.wasm", guest("other", vec![rule(3)]).build());
    let refused = bench.weir("rules check a.rules other.wasm").code(1);
    assert!(
        refused
            .stdout
            .contains("the rule 1:3 is already there (a.rules:1)"),
        "{refused:#?}"
    );
    bench.file("twin.wasm", guest("good", vec![rule(8)]).build());
    let refused = bench.weir("rules check good.wasm twin.wasm").code(1);
    assert!(
        refused
            .stdout
            .contains("there is already a module with the name good"),
        "{refused:#?}"
    );
}
