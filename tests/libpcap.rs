//! What the cargo feature `libpcap` adds to `weir run`: filters, and live capture.
#![cfg(feature = "libpcap")]

mod common;

use std::net::UdpSocket;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use common::{Bench, NEEDLE, needles, pcap_of, udp, wait_for};
use weir_engine::packet::LinkType;

/// Ports that nobody listens on, one for each test that captures.
const PORTS: [u16; 3] = [40_973, 40_974, 40_975];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.file("a.rules", NEEDLE);
    bench.file("weir.toml", "[capture]\nchecksums = \"ignore\"\n");
    bench
}

#[test]
fn a_filter_leaves_packets_out_and_their_numbers_as_they_are() {
    let bench = bench();
    let frames =
        ["a needle", "hay", "a needle in hay", "a needle"].map(|text| udp(text.as_bytes()));
    bench.file("in.pcap", pcap_of(LinkType::ETHERNET, &frames, usize::MAX));
    let mut command =
        bench.command("run --pcap in.pcap --rules a.rules --eve eve.json --stats stats.json");
    command.args(["--filter", "udp port 2000 and less 51"]);
    common::run(command, &[]).code(0).quiet();
    let numbers: Vec<_> = bench
        .eve("eve.json")
        .iter()
        .map(|record| record["pcap_cnt"].as_u64())
        .collect();
    assert_eq!(numbers, [Some(1), Some(4)]);
    let stats = bench.json("stats.json");
    assert_eq!(
        (&stats["packets"], &stats["engine"]["packets_filtered"]),
        (&3.into(), &1.into())
    );
    let mut command = bench.command("run --pcap in.pcap --rules a.rules");
    command.args(["--filter", "tcp"]);
    common::run(command, &[])
        .code(0)
        .prints("0 alerts by 0 signatures in 0 packets");
}

#[test]
fn a_filter_applies_to_captures_of_different_link_types() {
    let bench = bench();
    let frame = udp(b"a needle");
    bench.file(
        "raw.pcap",
        pcap_of(LinkType::RAW, &[frame[14..].to_vec()], usize::MAX),
    );
    bench.file("in.pcap", needles(1));
    let run = |filter: &str| {
        let mut command =
            bench.command("run --pcap in.pcap raw.pcap --rules a.rules --eve eve.json");
        command.args(["--filter", filter]);
        common::run(command, &[])
    };
    run("host 10.0.0.2").code(0).quiet();
    assert_eq!(bench.eve("eve.json").len(), 2);
    run("ether host 02:00:00:00:00:01")
        .code(1)
        .says("filter \"ether host 02:00:00:00:00:01\"");
    assert_eq!(bench.eve("eve.json").len(), 1, "what was found is kept");
}

#[test]
fn a_wrong_filter_or_interface_is_said_before_anything_is_written() {
    let bench = bench();
    bench.file("in.pcap", needles(1));
    bench
        .weir("run --pcap in.pcap --filter nonsense --rules a.rules --eve eve.json")
        .code(2)
        .says("filter \"nonsense\": ");
    bench
        .weir("run --interface no-such-one --capture libpcap --rules a.rules --eve eve.json")
        .code(1)
        .says("no-such-one: cannot capture: ");
    bench
        .weir("run --interface lo --capture libpcap --pcap in.pcap --rules a.rules --eve eve.json")
        .code(2)
        .says("--interface <IF>");
    bench
        .weir("run --rules a.rules --eve eve.json")
        .code(2)
        .says("<--pcap <FILE>...|--interface <IF>|--inline <IF_A,IF_B>>");
    assert!(!bench.path("eve.json").exists());
}

#[test]
fn help_shows_what_this_build_can_do() {
    let help = bench().weir("run --help").code(0);
    help.prints("--interface <IF>")
        .prints("--filter <EXPR>")
        .prints("weir run --interface");
}

/// Starts a live capture of what goes to a port on the loopback interface. `None`, with the reason on standard error, where this process may not
/// capture.
fn live(bench: &Bench, port: u16, arguments: &str) -> Option<Child> {
    let mut command = bench.command(&format!(
        "run --interface lo --capture libpcap --rules a.rules --eve eve.json --stats stats.json {arguments}"
    ));
    command
        .args(["--filter", &format!("udp dst port {port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("weir starts");
    let mut ended = false;
    // The interface is open before this file is.
    wait_for("the capture to start", || {
        ended = child.try_wait().expect("it can be asked").is_some();
        ended || bench.path("eve.json").exists()
    });
    if !ended {
        return Some(child);
    }
    let output = child.wait_with_output().expect("weir ends");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    let allowed = std::env::var_os("WEIR_CI").is_none_or(|value| value != "1");
    assert!(why.contains("CAP_NET_RAW") && allowed, "{why}");
    eprintln!("skipped: {why}");
    None
}

fn signal(child: Child, signal: &str) -> Output {
    let sent = std::process::Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    child.wait_with_output().expect("weir ends")
}

#[test]
fn what_is_on_an_interface_is_inspected_until_a_signal_comes() {
    let [port, ..] = PORTS;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sport = socket.local_addr().expect("an address").port();
    for (workers, name) in [(1, "-INT"), (3, "-TERM")] {
        let bench = bench();
        let arguments = format!("--config weir.toml --workers {workers}");
        let Some(child) = live(&bench, port, &arguments) else {
            return;
        };
        for _ in 0..3 {
            socket
                .send_to(b"a needle", ("127.0.0.1", port))
                .expect("it is sent");
        }
        // Alerts are written while the capture goes on.
        wait_for("three alerts", || {
            bench.read("eve.json").lines().count() >= 3
        });
        let output = signal(child, name);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*log), (Some(0), ""));
        let records = bench.eve("eve.json");
        for record in &records {
            assert_eq!(
                (&record["src_port"], &record["dest_port"]),
                (&sport.into(), &port.into())
            );
            assert_eq!(record["dest_ip"], "127.0.0.1");
            assert!(record["pcap_cnt"].is_null(), "live packets have no number");
            assert_eq!(record["in_iface"], "lo");
        }
        let stats = bench.json("stats.json");
        assert_eq!(
            (&stats["packets"], &stats["alerts"], &stats["dropped"]),
            (&3.into(), &3.into(), &0.into())
        );
    }
}

#[test]
fn an_interface_without_traffic_does_not_keep_it_from_stopping() {
    let bench = bench();
    let [_, port, _] = PORTS;
    let Some(child) = live(&bench, port, "") else {
        return;
    };
    let output = signal(child, "-INT");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(bench.json("stats.json")["packets"], 0);
}

/// Linux leaves the checksums of packets that never leave the host as they are: wrong.
#[cfg(target_os = "linux")]
#[test]
fn checksums_are_verified_on_the_wire() {
    let bench = bench();
    let [.., port] = PORTS;
    let Some(child) = live(&bench, port, "") else {
        return;
    };
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket
        .send_to(b"a needle", ("127.0.0.1", port))
        .expect("it is sent");
    // Longer than packets wait to be read.
    std::thread::sleep(Duration::from_secs(1));
    let output = signal(child, "-INT");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0));
    assert!(log.contains("1 of 1 packet had a wrong checksum"), "{log}");
    assert_eq!(bench.eve("eve.json").len(), 0);
    assert_eq!(
        bench.json("stats.json")["engine"]["packets_bad_checksum"],
        1
    );
}
