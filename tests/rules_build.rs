//! `weir rules build` and `weir rules key`, and what `weir run` makes of built sets.

mod common;

use common::{Bench, NEEDLE, needles, pcap, udp};

const RULES: &str = "alert udp $CLIENTS any -> any any (msg:\"from a client\"; content:\"needle\"; sid:7; rev:3;)\n\
                     alert udp any any -> any any (msg:\"expressed\"; content:\"hay\"; pcre:\"/ha+y/\"; sid:8;)\n";

/// What was alerted, as far as rules decide it.
fn alerts(bench: &Bench, name: &str) -> Vec<String> {
    let records = bench.eve(name);
    let told = records.iter().map(|record| {
        format!(
            "{} {} {} {}",
            record["timestamp"], record["pcap_cnt"], record["src_ip"], record["alert"]
        )
    });
    told.collect()
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.file("text.rules", format!("{NEEDLE}{RULES}"));
    bench.file(
        "one.pcap",
        pcap(&[udp(b"a needle in the haaay"), udp(b"hay"), udp(b"-")]),
    );
    bench
}

#[test]
fn a_built_set_alerts_as_its_text_does() {
    let bench = bench();
    bench.file("vars.toml", "[vars.address-groups]\nCLIENTS = \"any\"\n");
    // The variable is nobody's business when the set is built.
    let ended = bench.weir("rules build text.rules -o set.weir").code(0);
    let ended = ended.says("1 of 3 rules refused");
    let checked = bench.weir("rules check text.rules").code(1);
    assert!(ended.stdout.starts_with("text.rules:"), "{ended:#?}");
    assert!(
        ended
            .stdout
            .contains("rules: 3 read, 2 evaluated, 0 unsupported, 1 syntax errors\nset.weir: "),
        "{ended:#?}"
    );
    assert!(
        checked
            .stdout
            .contains("rules: 3 read, 2 evaluated, 0 unsupported, 1 syntax errors")
    );
    for (rules, out) in [("text.rules", "text"), ("set.weir", "built")] {
        for (config, name) in [("", "stock"), ("--config vars.toml", "own")] {
            let run = format!("run --pcap one.pcap --rules {rules} --eve {out}-{name} {config}");
            bench.weir(&run).code(0);
        }
    }
    assert_eq!(alerts(&bench, "text-own"), alerts(&bench, "built-own"));
    assert_eq!(alerts(&bench, "text-stock"), alerts(&bench, "built-stock"));
    assert!(alerts(&bench, "built-own").len() > alerts(&bench, "built-stock").len());
    // `check` says of the set what it says of its text.
    let of_set = bench
        .weir("rules check set.weir --config vars.toml")
        .code(0);
    assert_eq!(
        of_set.stdout,
        "rules: 3 read, 3 evaluated, 0 unsupported, 0 syntax errors\n"
    );
    // Text beside it: rules that are there already are refused, others are added.
    bench.file(
        "more.rules",
        "alert udp any any -> any any (msg:\"more\"; content:\"in the\"; sid:9;)\n",
    );
    bench
        .weir("run --pcap one.pcap --rules set.weir more.rules --eve both --config vars.toml")
        .code(0);
    assert_eq!(
        alerts(&bench, "both").len(),
        alerts(&bench, "built-own").len() + 1
    );
    let twice = bench
        .weir("rules check set.weir text.rules --config vars.toml")
        .code(1);
    twice.prints("is already there, in revision");
}

#[test]
fn files_of_data_sets_go_with_the_set() {
    let bench = bench();
    bench.file("names.csv", "bmVlZGxl\n");
    bench.file("sets.rules", "alert udp any any -> any any (ip.src; dataset:isset,hosts,type ip,load hosts.csv; sid:1;)\n");
    bench.file("hosts.csv", "0.0.0.1\n10.0.0.1\n192.0.2.1\n");
    bench
        .weir("run --pcap one.pcap --rules sets.rules --eve text")
        .code(0);
    bench.weir("rules build sets.rules -o set.weir").code(0);
    std::fs::remove_file(bench.path("hosts.csv")).expect("removed");
    bench
        .weir("run --pcap one.pcap --rules set.weir --eve built")
        .code(0);
    assert_eq!(alerts(&bench, "text"), alerts(&bench, "built"));
}

#[test]
fn signatures_are_required_where_they_are_asked_for() {
    let bench = bench();
    bench.weir("rules key site.key").code(0).prints("weir-key:");
    bench
        .weir("rules key site.key")
        .code(1)
        .says("there already");
    bench.weir("rules key other.key").code(0);
    bench.file("trust.toml", "[rules]\ntrusted-keys = [\"site.key.pub\"]\n");
    let key = bench.read("site.key.pub");
    bench.file(
        "text.toml",
        format!("[rules]\ntrusted-keys = [\"{}\"]\n", key.trim()),
    );
    bench
        .weir("rules build text.rules -o ours.weir --sign site.key")
        .code(0)
        .prints(key.trim());
    bench
        .weir("rules build text.rules -o theirs.weir --sign other.key")
        .code(0);
    bench.weir("rules build text.rules -o nobodys.weir").code(0);
    let run = |rules: &str, config: &str| {
        bench.weir(&format!(
            "run --pcap one.pcap --rules {rules} --eve out --require-signature --config {config}"
        ))
    };
    run("ours.weir", "trust.toml").code(0);
    run("ours.weir", "text.toml").code(0);
    run("theirs.weir", "trust.toml")
        .code(1)
        .says("theirs.weir: not signed by a trusted key");
    run("nobodys.weir", "trust.toml")
        .code(1)
        .says("not signed by a trusted key");
    run("text.rules", "trust.toml")
        .code(1)
        .says("text.rules: not signed");
    run("ours.weir text.rules", "trust.toml")
        .code(1)
        .says("text.rules: not signed");
    bench.file("empty.toml", "");
    run("ours.weir", "empty.toml")
        .code(2)
        .says("no key is trusted");
    bench.file("wrong.toml", "[rules]\ntrusted-keys = [\"site.key\"]\n");
    run("ours.weir", "wrong.toml")
        .code(2)
        .says("this is a secret key");
    bench.file("short.toml", "[rules]\ntrusted-keys = [\"weir-key:12\"]\n");
    run("ours.weir", "short.toml")
        .code(2)
        .says("64 hexadecimal digits");
    // A signature that does not fit is refused whether one is asked for or not.
    let mut forged = std::fs::read(bench.path("ours.weir")).expect("is there");
    // Within the name of the version that made it.
    forged[18] ^= 1;
    bench.file("forged.weir", &forged);
    let ended = bench.weir("run --pcap one.pcap --rules forged.weir --eve out --config trust.toml");
    ended
        .code(1)
        .says("forged.weir: forged or damaged: the signature of the trusted key");
}

#[test]
fn what_is_no_built_set_is_refused() {
    let bench = bench();
    bench.weir("rules build text.rules -o set.weir").code(0);
    let whole = std::fs::read(bench.path("set.weir")).expect("is there");
    bench.file("cut.weir", &whole[..whole.len() - 9]);
    let mut version = whole.clone();
    version[8] = 99;
    bench.file("version.weir", &version);
    let mut damaged = whole.clone();
    *damaged.last_mut().expect("is long") ^= 4;
    bench.file("damaged.weir", &damaged);
    bench.file("text.weir", NEEDLE);
    bench.file("text.wasm", NEEDLE);
    bench.file("core.wasm", b"\0asm\x01\0\0\0");
    bench.file("set.rules", &whole);
    for (file, says) in [
        ("cut.weir", "cut off or damaged: it ends at byte"),
        ("version.weir", "build it again"),
        ("damaged.weir", "is not what its header says"),
        ("text.weir", "expected a built rule set, found text"),
        (
            "text.wasm",
            "expected a rule module (a component of WebAssembly), found text",
        ),
        ("core.wasm", "found a core module of WebAssembly"),
        ("set.rules", "expected text, found a built rule set"),
        ("none.weir", "No such file"),
    ] {
        bench
            .weir(&format!("rules check {file}"))
            .code(1)
            .says(says);
        bench
            .weir(&format!("run --pcap one.pcap --rules {file} --eve out"))
            .code(1)
            .says(file);
    }
    bench
        .weir("rules build set.weir -o again.weir")
        .code(1)
        .says("has been built");
    bench.file("none.rules", "# nothing\n");
    bench
        .weir("rules build none.rules -o none.weir")
        .code(1)
        .says("no rule to build");
    bench
        .weir("rules build text.rules -o strict.weir --strict")
        .code(1)
        .says("refused");
    bench
        .weir("rules build text.rules -o no/such/folder.weir")
        .code(1)
        .says("cannot write the rule set");
    assert!(!bench.path("none.weir").exists());
}

/// The key that says that native code was made here is for its owner alone; without it, work goes on.
#[test]
fn the_key_of_the_machine_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let bench = bench();
    bench.weir("rules build text.rules -o set.weir").code(0);
    let key = bench.path("state/weir/machine.key");
    let mode = key.metadata().expect("was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("changed");
    let run = "run --pcap one.pcap --rules set.weir --eve out";
    bench
        .weir(run)
        .code(0)
        .says("others can read or change this secret key");
    bench
        .weir("rules build text.rules -o again.weir")
        .code(0)
        .says("not signed as this machine's own");
}

/// Many rules: more than one piece, in the order of text.
#[test]
fn many_rules_keep_their_order() {
    let bench = Bench::new();
    let rules: String = (1..1500)
        .map(|sid| {
            let action = if sid % 3 == 0 { "drop" } else { "alert" };
            format!("{action} udp any any -> any any (msg:\"{sid}\"; content:\"need\"; priority:{}; sid:{sid};)\n", 1 + sid % 5)
        })
        .collect();
    bench.file("many.rules", rules);
    bench.file("limit.toml", "[detect]\nalert-max = 2000\n");
    bench.file("one.pcap", needles(1));
    bench
        .weir("rules build many.rules -o many.weir")
        .code(0)
        .quiet();
    for (rules, out) in [("many.rules", "text"), ("many.weir", "built")] {
        bench
            .weir(&format!(
                "run --pcap one.pcap --rules {rules} --eve {out} --config limit.toml"
            ))
            .code(0);
    }
    assert_eq!(alerts(&bench, "text"), alerts(&bench, "built"));
    assert_eq!(alerts(&bench, "built").len(), 1499);
}
