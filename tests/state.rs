//! State that rules keep across flows, from the command line: the same alerts whatever the number of workers.

mod common;

use std::collections::BTreeMap;

use common::{Bench, pcap, udp};

/// A datagram between two hosts of 10.0.0.0/24.
fn between(src: u8, dst: u8, payload: &str) -> Vec<u8> {
    let mut frame = udp(payload.as_bytes());
    frame[26..30].copy_from_slice(&[10, 0, 0, src]);
    frame[30..34].copy_from_slice(&[10, 0, 0, dst]);
    frame
}

/// Hosts and words as they fall: sender, receiver, payload.
fn mixed(count: u32) -> Vec<(u8, u8, &'static str)> {
    let mut state = 0x2545_F491_u32;
    let mut next = |most: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % most
    };
    let words = ["set it", "unset it", "ask for it", "nothing", "nothing"];
    (0..count)
        .map(|_| {
            let (src, dst) = (next(12) as u8, next(12) as u8);
            (src, dst, words[next(5) as usize])
        })
        .collect()
}

/// Packet number and sid of every alert of a run with so many workers.
fn alerts(bench: &Bench, workers: usize, config: &str) -> Vec<(u64, u64)> {
    bench
        .weir(&format!(
            "run --pcap a.pcap --rules a.rules --eve a.json --workers {workers} {config}"
        ))
        .code(0);
    let number = |record: &serde_json::Value, key: &str| {
        record.pointer(key).and_then(serde_json::Value::as_u64)
    };
    let of = |record: serde_json::Value| {
        (
            number(&record, "/pcap_cnt").expect("a number"),
            number(&record, "/alert/signature_id").expect("a sid"),
        )
    };
    bench.eve("a.json").into_iter().map(of).collect()
}

#[test]
fn bits_of_hosts_are_set_and_asked_for_in_packet_order() {
    let bench = Bench::new();
    let packets = mixed(6000);
    let frames: Vec<Vec<u8>> = packets
        .iter()
        .map(|&(src, dst, word)| between(src, dst, word))
        .collect();
    bench.file("a.pcap", pcap(&frames));
    bench.file(
        "a.rules",
        "alert udp any any -> any any (content:\"set it\"; startswith; hostbits:set,x,src; noalert; sid:1;)\n\
         alert udp any any -> any any (content:\"unset it\"; hostbits:unset,x,dst; noalert; sid:2;)\n\
         alert udp any any -> any any (content:\"ask\"; hostbits:isset,x,dst; sid:3;)\n",
    );
    // Packets are a millisecond apart, so no bit expires.
    let mut set: BTreeMap<u8, ()> = BTreeMap::new();
    let mut expected = Vec::new();
    for (number, (src, dst, word)) in (1..).zip(packets) {
        match word {
            "set it" => drop(set.insert(src, ())),
            "unset it" => drop(set.remove(&dst)),
            "ask for it" if set.contains_key(&dst) => expected.push((number, 3)),
            _ => {}
        }
    }
    assert!(expected.len() > 100);
    for workers in [1, 2, 5] {
        assert!(alerts(&bench, workers, "") == expected, "{workers} workers");
    }
}

#[test]
fn verdicts_count_across_flows_with_any_number_of_workers() {
    let bench = Bench::new();
    let packets = mixed(6000);
    let frames: Vec<Vec<u8>> = packets
        .iter()
        .map(|&(src, dst, word)| between(src, dst, word))
        .collect();
    bench.file("a.pcap", pcap(&frames));
    // Every seventh packet that is asked for is passed, and then the rule after it does not alert.
    bench.file(
        "a.rules",
        "pass udp any any -> any any (content:\"ask\"; threshold:type threshold, track by_rule, count 7, seconds 600; sid:1;)\n\
         alert udp any any -> any any (content:\"ask\"; sid:2;)\n",
    );
    let asked = (1..)
        .zip(packets)
        .filter(|(_, (_, _, word))| *word == "ask for it");
    let seventh = |at: &usize| at % 7 == 6;
    let expected: Vec<(u64, u64)> = (0..)
        .zip(asked)
        .filter(|(at, _)| !seventh(at))
        .map(|(_, (number, _))| (number, 2))
        .collect();
    // What is passed is passed as a packet: rules about payloads of datagrams do not decide about flows.
    for workers in [1, 2, 5] {
        assert!(alerts(&bench, workers, "") == expected, "{workers} workers");
    }
}

#[test]
fn alerts_are_suppressed_limited_and_changed_as_configured() {
    let bench = Bench::new();
    let frames: Vec<Vec<u8>> = (0..8).map(|at| between(at % 2, 9, "ask for it")).collect();
    bench.file("a.pcap", pcap(&frames));
    bench.file(
        "a.rules",
        "alert udp any any -> any any (content:\"ask\"; sid:1;)\n\
         alert udp any any -> any any (content:\"ask\"; threshold:type limit, track by_dst, count 3, seconds 60; sid:2;)\n\
         alert udp any any -> any any (content:\"ask\"; sid:3;)\n",
    );
    bench.file(
        "weir.toml",
        "[rules]\nthresholds = \"threshold.config\"\n\
         [[threshold]]\ngid = 1\nsid = 2\ntype = \"limit\"\ntrack = \"by_src\"\ncount = 1\nseconds = 60\n\
         [[rate-filter]]\ngid = 1\nsid = 3\ntrack = \"by_dst\"\ncount = 6\nseconds = 60\n\
         new-action = \"reject\"\ntimeout = 60\n",
    );
    bench.file(
        "threshold.config",
        "suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.1\n",
    );
    let both = |number| [(number, 1), (number, 3)];
    let mut expected = vec![(1, 1), (1, 2), (1, 3), (2, 2), (2, 3)];
    for number in 3..=8 {
        expected.extend(both(number).into_iter().skip(usize::from(number % 2 == 0)));
    }
    for workers in [1, 3] {
        assert_eq!(alerts(&bench, workers, "--config weir.toml"), expected);
    }
    let action = |record: &serde_json::Value| record["alert"]["action"].to_string();
    let actions: Vec<String> = bench
        .eve("a.json")
        .iter()
        .filter(|record| record["alert"]["signature_id"] == 3)
        .map(action)
        .collect();
    let expected = ["\"allowed\""; 6].into_iter().chain(["\"blocked\""; 2]);
    assert_eq!(actions, expected.collect::<Vec<_>>());
    bench.file("threshold.config", "suppress gen_id 1\n");
    bench
        .weir("run --pcap a.pcap --rules a.rules --config weir.toml")
        .code(2)
        .says("threshold.config:1: expected a `sig_id`");
}

#[test]
fn files_of_data_sets_are_read_and_complained_about_with_their_place() {
    let bench = Bench::new();
    let frames = [between(1, 9, "x"), between(2, 9, "x"), between(3, 9, "x")];
    bench.file("a.pcap", pcap(&frames));
    bench.file(
        "a.rules",
        "alert udp any any -> any any (ip.src; dataset:isset,known,type ip,load known.lst; sid:1;)\n\
         alert udp any any -> any any (ip.src; dataset:isnotset,known; sid:2;)\n\
         alert udp any any -> any any (ip.dst; dataset:set,seen,type ip; sid:3;)\n",
    );
    bench.file("known.lst", "10.0.0.1\n10.0.0.3\n");
    let expected = [(1, 1), (1, 3), (2, 2), (3, 1)];
    for workers in [1, 2] {
        let mut found = alerts(&bench, workers, "");
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let kept =
        "alert udp any any -> any any (ip.dst; dataset:set,seen,type ip,save seen.lst; sid:3;)\n";
    bench.file("kept.rules", kept);
    bench
        .weir("run --pcap a.pcap --rules kept.rules")
        .code(0)
        .says("no folder to keep 1 data set in: what rules put there is gone");
    bench.file("known.lst", "10.0.0.1\nten\n");
    bench
        .weir("run --pcap a.pcap --rules a.rules")
        .code(1)
        .says("known.lst:2: expected an IP address, found `ten`");
}
