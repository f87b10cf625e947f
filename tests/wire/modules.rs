//! A module that never ends does not hold the wire up.

use std::time::Duration;

use weir_testbed::{Load, Sink, generate};

use crate::guest::{guest, rule};
use crate::sensor::{Scene, balanced, figure};

#[test]
fn a_module_that_never_ends_loses_no_packet() {
    let text = "alert udp any any -> any any (msg:\"text\"; content:\"needle\"; sid:3;)\n";
    let Some(scene) = Scene::new(1, text) else {
        return;
    };
    let mut hostile = guest("hostile", vec![rule(1)]);
    hostile.evaluate = "(loop (br 0)) (unreachable)".to_owned();
    scene.bench.file("hostile.wasm", hostile.build());
    scene
        .bench
        .file("a.toml", "[eve]\ntypes = [\"alert\", \"module\"]\n");
    // It is asked about every packet; closed, so that one that nobody takes is lost.
    let sensor = scene.sensor("--fail closed --rules hostile.wasm");
    let load = Load {
        frames: 4000,
        rate: Some(2000.0),
        size: 200,
        flows: 50,
        content: b"a needle ".to_vec(),
        ..Load::default()
    };
    let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
    let sent = generate(scene.bed.client(), &load).expect("it can send");
    sink.wait_for(sent.frames, Duration::from_secs(10));
    let received = sink.stop().expect("it listened");
    let stats = sensor.stop();
    balanced(&stats);
    // Whatever the machine did meanwhile, the sensor lost none that came to it.
    for lost in ["ring_dropped", "tx_full", "under_way"] {
        assert_eq!(figure(&stats, 0, lost), 0, "{lost}: {stats:#}");
    }
    let late = figure(&stats, 0, "failed_closed");
    let dropped = received.missing(&sent);
    assert!(dropped <= late + sent.dropped_by_link, "{received:?}");
    let module = &stats["modules"][0];
    assert_eq!(module["name"], "hostile", "{module}");
    assert!(module["quarantine_skips"].as_u64() > Some(0), "{module}");
    // Hosts say something of their own now and then.
    let fired = scene.alerts()[&3] as u64;
    assert!((received.unique..=figure(&stats, 0, "received")).contains(&fired));
}
