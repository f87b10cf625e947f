//! `weir bench`: it runs without files, and says what it measured.

#![cfg(feature = "bench")]

mod common;

use common::Bench;

#[test]
fn the_matcher_can_be_measured_without_any_files() {
    let bench = Bench::new();
    let run = "bench matcher --rounds 1 --probes 50 --bytes 30000 --only probes-50/ -o report";
    bench
        .weir(run)
        .code(0)
        .quiet()
        .prints("probes-50/64: 50 probes")
        .prints("software/scalar")
        .prints("wrote report/throughput.svg");
    let report = bench.json("report/report.json");
    let scenarios = report["scenarios"].as_array().expect("a list");
    assert_eq!(scenarios.len(), 4);
    assert!(
        scenarios[0]["rows"][0]["latency_ns"]["p99"]
            .as_u64()
            .expect("a number")
            > 0
    );
}

#[test]
fn what_cannot_be_measured_is_said_to_be_so() {
    let bench = Bench::new();
    bench
        .weir("bench matcher --bytes 1 --only nonsense")
        .code(1)
        .says("no such scenario; there are: made/payloads");
    bench.weir("bench nonsense").code(2);
    bench.weir("bench --rounds 0").code(2);
    bench
        .weir("bench --pcap missing.pcap")
        .code(1)
        .says("missing.pcap");
}

#[test]
fn the_flow_table_can_be_measured() {
    let bench = Bench::new();
    bench
        .weir("bench flow --rounds 1 --flows 100,1000 --flood 1000 -o report")
        .code(0)
        .quiet()
        .prints("lookup ns")
        .prints("flood of 1000 SYNs")
        .prints("10000 of 10000 established connections")
        .prints("wrote report/flow.json");
    let report = bench.json("report/flow.json");
    assert_eq!(report["costs"][1]["flows"], 1000);
    assert_eq!(report["floods"].as_array().map(Vec::len), Some(2));
}
