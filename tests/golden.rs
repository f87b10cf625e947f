//! The EVE file that Weir writes for generated traffic, record by record.
//!
//! The expected file is `tests/golden/demo.eve.json`. After a change that is meant to alter it, run
//! `WEIR_BLESS=1 cargo test --test golden` and look at the difference before committing it.

mod common;

use std::path::Path;

use common::Bench;
use weir_capture::PcapWriter;
use weir_capture::generate::{Scenario, demo_rules};
use weir_engine::packet::LinkType;

fn bench() -> Bench {
    let bench = Bench::new();
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).expect("a Vec takes it");
    for frame in Scenario::new(42).packets(3_000).generate().frames() {
        writer.write(&frame).expect("a Vec takes it");
    }
    bench.file("demo.pcap", writer.finish().expect("a Vec takes it"));
    bench.file("demo.rules", demo_rules());
    bench
}

#[test]
fn generated_traffic_gives_the_records_that_were_blessed() {
    let bench = bench();
    bench
        .weir("run --pcap demo.pcap --rules demo.rules --eve eve.json")
        .code(0)
        .quiet();
    blessed("demo.eve.json", &bench.read("eve.json"));
}

/// What protocols and files say, in records of their own and in alerts.
#[test]
fn generated_conversations_give_the_records_of_their_protocols() {
    let bench = bench();
    bench.file(
        "app.rules",
        r#"alert http any any -> any any (msg:"a page"; flow:to_client; http.stat_code; content:"404"; sid:1;)
alert dns any any -> any any (msg:"a name"; dns.query; content:"www."; startswith; sid:2;)
alert tls any any -> any any (msg:"a server"; tls.sni; content:"."; ja3.hash; content:!"x"; sid:3;)
alert smtp any any -> any any (msg:"a mail"; smtp.helo; bsize:>0; sid:4;)
alert ssh any any -> any any (msg:"a shell"; ssh.software; content:"OpenSSH"; sid:5;)
alert smb any any -> any any (msg:"a share"; smb.share; content:"$"; sid:6;)
"#,
    );
    bench
        .weir("run --pcap demo.pcap --rules app.rules --eve eve.json --eve-types alert,http,dns,tls,ssh,smtp,smb,fileinfo")
        .code(0)
        .quiet();
    blessed("app.eve.json", &bench.read("eve.json"));
}

/// Holds records to the file in `tests/golden`, or writes that.
fn blessed(name: &str, got: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&golden, got).expect("the golden file is written");
        return;
    }
    let expected = std::fs::read_to_string(&golden).expect("the golden file is there");
    for (number, (got, expected)) in (1..).zip(got.lines().zip(expected.lines())) {
        assert_eq!(got, expected, "record {number}");
    }
    assert_eq!(got.lines().count(), expected.lines().count());
}

#[test]
fn the_records_are_the_same_however_many_workers_there_are() {
    let bench = bench();
    for workers in [1, 2, 5] {
        let eve = format!("eve-{workers}.json");
        bench
            .weir(&format!(
                "run --pcap demo.pcap --rules demo.rules --eve {eve} --workers {workers}"
            ))
            .code(0)
            .quiet();
        assert_eq!(
            bench.read(&eve),
            bench.read("eve-1.json"),
            "{workers} workers"
        );
    }
}
