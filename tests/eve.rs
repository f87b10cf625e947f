//! EVE records beside alerts: flows, tagged packets, counters.

mod common;

use common::{Bench, NEEDLE, pcap_spaced, udp, udp_between};

/// Datagrams of three hosts, 20 seconds between the first and the second, 100 to the third.
fn bench() -> Bench {
    let bench = Bench::new();
    let frames = [
        (0, udp(b"a needle")),
        (20, udp(b"another needle")),
        (100, udp_between(3, 4, b"nothing")),
        (101, udp_between(4, 3, b"nothing")),
        (102, udp_between(5, 6, b"a needle")),
    ];
    bench.file("in.pcap", pcap_spaced(&frames));
    bench.file("a.rules", NEEDLE);
    bench
}

fn types(records: &[serde_json::Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["event_type"].as_str().expect("a string"))
        .collect()
}

#[test]
fn only_alerts_are_written_unless_more_is_asked_for() {
    let bench = bench();
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json")
        .code(0)
        .quiet();
    assert_eq!(types(&bench.eve("eve.json")), ["alert"; 3]);
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json --eve-types flow --stats s.json")
        .code(0)
        .quiet();
    assert_eq!(types(&bench.eve("eve.json")), ["flow"; 3]);
    // They were found all the same.
    assert_eq!(bench.json("s.json")["alerts"], 3);
}

#[test]
fn flows_and_counters_are_the_same_however_many_workers_there_are() {
    let bench = bench();
    bench.file(
        "weir.toml",
        "[eve]\ntypes = [\"alert\", \"flow\", \"stats\"]\nstats-interval = 50\n",
    );
    let records = |workers: u8| {
        bench
            .weir(&format!(
                "run --pcap in.pcap --rules a.rules --eve eve.json --config weir.toml --workers {workers}"
            ))
            .code(0)
            .quiet();
        bench.eve("eve.json")
    };
    let one = records(1);
    for workers in [2, 3] {
        assert_eq!(records(workers), one);
    }
    let flows: Vec<_> = one
        .iter()
        .filter(|record| record["event_type"] == "flow")
        .collect();
    assert_eq!(flows.len(), 3);
    let flow = &flows[0];
    for (key, value) in [
        ("src_ip", "10.0.0.1".into()),
        ("dest_port", 2000.into()),
        ("ip_v", 4.into()),
        ("proto", "UDP".into()),
    ] {
        let value: serde_json::Value = value;
        assert_eq!(flow[key], value, "{key}");
    }
    let about = &flow["flow"];
    assert_eq!(
        (&about["pkts_toserver"], &about["age"], &about["alerted"]),
        (&2.into(), &20.into(), &true.into())
    );
    assert_eq!(
        (&flows[1]["flow"]["state"], &flows[1]["flow"]["alerted"]),
        (&"established".into(), &false.into())
    );
    let last = one.last().expect("records");
    assert_eq!(last["event_type"], "stats");
    let stats = &last["stats"];
    assert_eq!(stats["uptime"], 102);
    assert_eq!(stats["decoder"]["pkts"], 5);
    assert_eq!(stats["flow"]["udp"], 3);
    assert_eq!(stats["flow"]["end"]["state"]["new"], 2);
    assert_eq!(stats["detect"]["alert"], 3);
}

#[test]
fn counters_come_from_time_to_time() {
    let bench = Bench::new();
    // A block is 1,024 frames: after it there is a look at the clock.
    let frames: Vec<_> = (0..5_000).map(|at| (at / 10, udp(b"a needle"))).collect();
    bench.file("in.pcap", pcap_spaced(&frames));
    bench.file("a.rules", NEEDLE);
    bench.file(
        "weir.toml",
        "[eve]\ntypes = [\"stats\"]\nstats-interval = 100\n",
    );
    for workers in 1..3 {
        bench
            .weir(&format!(
                "run --pcap in.pcap --rules a.rules --eve eve.json --config weir.toml --workers {workers}"
            ))
            .code(0)
            .quiet();
        let records = bench.eve("eve.json");
        let packets: Vec<_> = records
            .iter()
            .map(|record| record["stats"]["decoder"]["pkts"].as_u64())
            .collect();
        let expected = [1024 * 2, 1024 * 3, 1024 * 4, 5_000].map(Some);
        assert_eq!(packets, expected, "{workers} workers");
        assert_eq!(records[0]["stats"]["uptime"], 204);
    }
}

#[test]
fn tagged_packets_are_written_whole() {
    let bench = bench();
    bench.file(
        "a.rules",
        "alert udp any any -> any 2000 (msg:\"m\"; content:\"a needle\"; depth:8; tag:session,5,packets; sid:1;)\n",
    );
    bench
        .weir("run --pcap in.pcap --rules a.rules --eve eve.json --eve-types packet")
        .code(0)
        .quiet();
    let records = bench.eve("eve.json");
    let tagged = records
        .iter()
        .find(|record| record["pcap_cnt"] == 2)
        .expect("the second packet of the flow");
    assert_eq!(tagged["event_type"], "packet");
    assert_eq!(tagged["packet_info"]["linktype_name"], "EN10MB");
    assert_eq!(tagged["src_port"], 1000);
    // The first bytes of the frame: a MAC address of the test's own.
    let text = tagged["packet"].as_str().expect("base 64");
    assert!(text.starts_with("AgAAAAAC"), "{text}");
}
