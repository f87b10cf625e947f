//! `weir demo`: every planted attack is found, nothing else is.

mod common;

use common::Bench;

#[test]
fn every_planted_attack_is_found_and_nothing_else() {
    let bench = Bench::new();
    for seed in [1, 2, 3] {
        let ended = bench
            .weir(&format!("demo --seed {seed} --packets 3000"))
            .code(0)
            .quiet();
        let ended = ended.prints("0 false alarms");
        assert!(
            !ended.stdout.contains("missed") && !ended.stdout.contains('\u{1b}'),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn what_is_kept_can_be_run_again_with_the_same_alerts() {
    let bench = Bench::new();
    bench
        .weir("demo --packets 2000 --keep kept")
        .code(0)
        .prints("weir run --pcap kept/demo.pcap");
    bench
        .weir("run --pcap kept/demo.pcap --rules kept/demo.rules --eve again.json --strict")
        .code(0)
        .quiet();
    assert_eq!(bench.read("again.json"), bench.read("kept/eve.json"));
    bench.weir("rules check kept/demo.rules").code(0);
    bench.file("taken", "a file");
    bench
        .weir("demo --packets 100 --keep taken")
        .code(1)
        .says("cannot keep the files in taken");
}
