//! States that another process is said to have left, and traffic after them.
//!
//! Whatever is in a file, it is refused or taken over as far as it makes sense; then traffic is inspected as always, and
//! what is left is a state that is taken over whole.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::{Alerts, Engine};
use weir_engine::handover::{around, restore};
use weir_fuzz::handover::{config, save, split};
use weir_fuzz::{Detector, Traffic, rules};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(rules()));

fn new() -> (Engine, Alerts) {
    let alerts = Alerts::new(Arc::clone(&DETECTOR.rules), &config());
    (DETECTOR.engine(config()), alerts)
}

fuzz_target!(|input: &[u8]| {
    let (mut engine, mut alerts) = new();
    let engines = std::slice::from_mut(&mut engine);
    assert!(
        restore(input, engines, &alerts).is_err(),
        "no input gets its checksum right by chance"
    );
    let Some((body, traffic)) = split(input) else {
        return;
    };
    let _ = restore(&around(body), engines, &alerts);
    let mut events = Vec::new();
    let mut now_ns = 0;
    for frame in Traffic::new(traffic).into_iter().flatten() {
        now_ns = frame.ts_ns;
        engine.process(frame, &mut events);
    }
    engine.tick(1 << 20, now_ns, &mut events);
    for event in &events {
        alerts.commit(event, &mut |_| {});
    }
    let (mut next, next_alerts) = new();
    let file = save(&engine, &alerts);
    let engines = std::slice::from_mut(&mut next);
    let restored = restore(&file, engines, &next_alerts).expect("it was just written");
    assert_eq!(restored.flows, engine.counters().flow.active);
    let dropped = [
        restored.flows_dropped,
        restored.streams_dropped,
        restored.fragmented_dropped,
        restored.waiting_dropped,
        restored.useless,
    ];
    assert_eq!(dropped, [0; 5], "{restored:?}");
    assert!(save(&next, &next_alerts) == file, "another state");
    for engine in [&mut engine, &mut next] {
        engine.finish(1 << 21, &mut events);
    }
});
