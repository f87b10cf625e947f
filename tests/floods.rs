//! Small floods through the whole engine: every attack on connections that live through them is seen, and memory stays
//! within what is configured. `cargo xtask campaign flood` sends ten million packets of each kind.

#![cfg(feature = "bench")]

mod common;

use common::Bench;

/// Packets of a flood, few enough for a build without optimisations.
const PACKETS: u32 = 30_000;

fn flood(name: &str) -> serde_json::Value {
    let bench = Bench::new();
    let line = format!("bench flood --flood {PACKETS} --only {name} -o report");
    bench.weir(&line).code(0).quiet().prints(name);
    let report = bench.json("report/flood.json");
    let flood = report["floods"][0].clone();
    assert_eq!(flood["name"], name);
    for attacks in flood["attacks"].as_array().expect("three phases") {
        assert_eq!(attacks, &serde_json::json!([100, 100]), "{name}");
    }
    flood
}

/// What gave way, by counter: a flood that displaces nothing shows nothing.
fn given_up(flood: &serde_json::Value, counter: &str) -> u64 {
    let counters = flood["given_up"].as_array().expect("a list");
    let of = counters.iter().find(|pair| pair[0] == counter);
    of.and_then(|pair| pair[1].as_u64()).unwrap_or(0)
}

#[test]
fn flows_that_nobody_answers() {
    for name in ["udp", "syn"] {
        assert!(given_up(&flood(name), "flow.evicted") > 10_000, "{name}");
    }
}

#[test]
fn fragments_of_packets_that_never_become_whole() {
    for name in ["fragments", "overlaps"] {
        assert!(given_up(&flood(name), "defrag.evicted") > 100, "{name}");
    }
}

#[test]
fn bytes_behind_gaps() {
    for name in ["large-gaps", "gaps"] {
        let flood = flood(name);
        let gave_way = given_up(&flood, "stream.evicted") + given_up(&flood, "stream.gaps");
        assert!(gave_way > 1_000, "{name}");
    }
}

#[test]
fn streams_of_all_sizes() {
    for name in ["data", "sizes"] {
        assert!(given_up(&flood(name), "stream.evicted") > 100, "{name}");
    }
}

#[test]
fn windows_full_of_probes() {
    let flood = flood("probes");
    assert!(flood["packets"].as_u64() > Some(600));
}

#[test]
fn a_flood_that_there_is_none_of() {
    Bench::new()
        .weir("bench flood --only nonsense")
        .code(1)
        .says("no such flood; there are: udp, syn");
}
