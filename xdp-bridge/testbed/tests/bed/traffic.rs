//! Real clients and servers.

use std::time::Duration;

use weir_testbed::needs::{CURL, DIG, DNSMASQ, IPERF3};
use weir_testbed::serve::{Dns, Echo, Http, Iperf, Pulse, curl, dig, iperf};
use weir_testbed::{Tap, ready};

use crate::bed;

#[test]
fn http_goes_through_and_is_remembered() {
    if !ready(&[CURL]) {
        return;
    }
    let bed = bed(2);
    let _bridge = bed.bridge().expect("a bridge can be made");
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let files: [(&str, &[u8]); 2] = [("/", b"hello\n"), ("/large", &large)];
    let http = Http::start(bed.server(), 80, &files).expect("it can be served");
    let base = format!("http://{}", bed.server().v4());
    let tap = Tap::start(bed.client(), "eth0").expect("a tap can be had");
    let fetched = curl(
        bed.client(),
        &[&format!("{base}/?a=1"), &format!("{base}/")],
    );
    let fetched = fetched
        .expect("curl runs")
        .success()
        .expect("it is fetched");
    assert_eq!(fetched.stdout, "hello\nhello\n");
    let trace = tap.stop().expect("it can be stopped");
    assert!(
        trace
            .frames
            .iter()
            .any(|frame| frame.data.ends_with(b"hello\n"))
    );
    assert!(
        trace.frames.iter().any(|frame| frame.outgoing)
            && trace.frames.iter().any(|frame| !frame.outgoing)
    );
    // Nothing is left undone for the interface: that is what offloads are off for.
    assert!(trace.frames.iter().all(|frame| !frame.unfinished));

    let large_v6 = format!("http://[{}]/large", bed.server().v6());
    let fetched = curl(
        bed.client(),
        &["-w", "%{size_download}", "-o", "/dev/null", &large_v6],
    );
    assert_eq!(
        fetched
            .expect("curl runs")
            .success()
            .expect("it is fetched")
            .stdout,
        "3000000"
    );
    let posted = curl(bed.client(), &["-d", "attack=1", &format!("{base}/form")]);
    assert_eq!(posted.expect("curl runs").stdout, "taken\n");
    let absent = curl(bed.client(), &["-f", &format!("{base}/absent")]);
    assert!(absent.expect("curl runs").success().is_err());

    let requests = http.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.target))
        .collect();
    assert_eq!(
        lines,
        [
            "GET /?a=1",
            "GET /",
            "GET /large",
            "POST /form",
            "GET /absent"
        ]
    );
    assert_eq!(requests[3].body, b"attack=1");
    assert!(
        requests[0]
            .headers
            .iter()
            .any(|header| header.starts_with("User-Agent: curl/"))
    );
}

#[test]
fn names_are_answered() {
    if !ready(&[DNSMASQ, DIG]) {
        return;
    }
    let bed = bed(1);
    let _bridge = bed.bridge().expect("a bridge can be made");
    let known = "192.0.2.7".parse().expect("an address");
    let dns = Dns::start(bed.server(), &[("host.example", known)]).expect("it can be served");
    let server = bed.server().v4().into();
    let ask = |name: &str, arguments: &[&str]| {
        dig(bed.client(), server, name, arguments).expect("it is answered")
    };
    assert_eq!(ask("host.example", &[]), ["192.0.2.7"]);
    assert_eq!(ask("host.example", &["+tcp"]), ["192.0.2.7"]);
    assert_eq!(ask("other.example", &[]), Vec::<String>::new());
    assert!(
        dns.log().contains("query[A] host.example from 10.77.0.1"),
        "{}",
        dns.log()
    );
    drop(dns);
    assert!(dig(bed.client(), server, "host.example", &[]).is_err());
}

#[test]
fn iperf_measures() {
    if !ready(&[IPERF3]) {
        return;
    }
    let bed = bed(2);
    let _bridge = bed.bridge().expect("a bridge can be made");
    let server = Iperf::start(bed.server()).expect("it can be served");
    let second = Duration::from_secs(1);
    for arguments in [&["-R"][..], &["-u", "-b", "20M"]] {
        let measured =
            iperf(bed.client(), bed.server().v4().into(), second, arguments).expect("it runs");
        assert!(measured.received > 1_000_000, "{arguments:?} {measured:?}");
        assert!(
            measured.sent >= measured.received,
            "{arguments:?} {measured:?}"
        );
    }
    drop(server);
    let refused = iperf(bed.client(), bed.server().v4().into(), second, &[]);
    let refused = refused.expect_err("nobody is there").to_string();
    assert!(refused.contains("refused"), "{refused}");
}

#[test]
fn a_connection_tells_how_long_it_was_silent() {
    if !ready(&[]) {
        return;
    }
    let bed = bed(1);
    let bridge = bed.bridge().expect("a bridge can be made");
    let echo = Echo::start(bed.server(), 0).expect("it can be served");
    let beat = Duration::from_millis(2);
    let to = bed.server().v4().into();
    let pulse = Pulse::start(bed.client(), to, echo.port(), beat).expect("it connects");
    let reach = |count: u64| {
        let begun = std::time::Instant::now();
        while pulse.so_far() < count {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{} of {count}",
                pulse.so_far()
            );
            std::thread::sleep(beat);
        }
    };
    reach(20);
    drop(bridge);
    std::thread::sleep(Duration::from_millis(100));
    let _bridge = bed.bridge().expect("a bridge can be made");
    reach(pulse.so_far() + 50);
    let pulses = pulse.stop();
    assert_eq!((pulses.sent, &pulses.broken), (pulses.echoed, &None));
    assert!(
        pulses.longest_gap >= Duration::from_millis(95),
        "{pulses:?}"
    );

    // A server that goes away is a connection that breaks.
    let pulse = Pulse::start(bed.client(), to, echo.port(), beat).expect("it connects");
    while pulse.so_far() < 3 {
        std::thread::sleep(beat);
    }
    drop(echo);
    std::thread::sleep(10 * beat);
    assert!(pulse.stop().broken.is_some());
}
