//! The whole packet path on arbitrary frames, with rules that use every operation.
//!
//! It runs twice: with the rules' probes, and with none, so that every rule is a candidate by its header. Both must
//! find the same: a probe only ever saves work.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::{Alerts, EngineConfig};
use weir_engine::flow::FlowConfig;
use weir_engine::plan::RuleSet;
use weir_engine::stream::{SessionConfig, StreamConfig};
use weir_fuzz::{Detector, Traffic, rules};

static PROBED: LazyLock<Detector> = LazyLock::new(|| Detector::new(rules()));
static BARE: LazyLock<Detector> = LazyLock::new(|| {
    let mut rules = rules().rules().to_vec();
    for rule in &mut rules {
        rule.probe = None;
    }
    Detector::new(Arc::new(RuleSet::new(rules)))
});

fuzz_target!(|input: &[u8]| {
    let probed = alerts(&PROBED, input);
    let bare = alerts(&BARE, input);
    assert_eq!(probed, bare, "probes changed what is found");
});

/// (frame, sid, blocked) of every alert. Flows and thresholds begin anew with each input.
fn alerts(detector: &'static Detector, input: &[u8]) -> Vec<(u64, u32, bool)> {
    let Some(traffic) = Traffic::new(input) else {
        return Vec::new();
    };
    let config = EngineConfig {
        inline: traffic.options & 2 != 0,
        // A table of the usual size takes longer to set up than an input takes to run; a full one is worth seeing.
        flow: FlowConfig {
            max_flows: 16,
            session: SessionConfig {
                midstream: traffic.options & 4 != 0,
                ..SessionConfig::default()
            },
            ..FlowConfig::default()
        },
        // Segments are looked at by themselves: in a stream, rules without a probe are decided when a window ends.
        stream: StreamConfig {
            memory: 0,
            ..StreamConfig::default()
        },
        ..EngineConfig::default()
    };
    let mut committer = Alerts::new(Arc::clone(&detector.rules), &config);
    let mut engine = detector.engine(config);
    let (mut events, mut all) = (Vec::new(), Vec::new());
    for frame in traffic {
        engine.process(frame, &mut events);
    }
    for event in &events {
        committer.commit(event, &mut |alert| {
            all.push((alert.packet.number, alert.rule.meta.sid, alert.blocked))
        });
    }
    all
}
