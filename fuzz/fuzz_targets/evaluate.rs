//! The whole packet path on arbitrary frames, with rules that use every operation.
//!
//! It runs twice: with the rules' probes, and with none, so that every rule is a candidate by its header. Both must
//! find the same: a probe only ever saves work.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::{Alerts, Engine, EngineConfig};
use weir_engine::eval::Plain;
use weir_engine::matcher::Software;
use weir_engine::plan::RuleSet;
use weir_fuzz::{Traffic, rules};

static PROBED: LazyLock<Arc<RuleSet>> = LazyLock::new(rules);
static BARE: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let mut rules = PROBED.rules().to_vec();
    for rule in &mut rules {
        rule.probe = None;
    }
    Arc::new(RuleSet::new(rules))
});

fuzz_target!(|input: &[u8]| {
    let probed = alerts(&PROBED, input);
    let bare = alerts(&BARE, input);
    assert_eq!(probed, bare, "probes changed what is found");
});

/// (frame, sid, blocked) of every alert.
fn alerts(rules: &Arc<RuleSet>, input: &[u8]) -> Vec<(u64, u32, bool)> {
    let Some(traffic) = Traffic::new(input) else {
        return Vec::new();
    };
    let config = EngineConfig {
        inline: traffic.options & 2 != 0,
        ..EngineConfig::default()
    };
    let mut committer = Alerts::new(Arc::clone(rules), &config);
    let evaluator = Box::new(Plain::new(Arc::clone(rules)));
    let mut engine = Engine::new(
        Arc::clone(rules),
        Box::new(Software::default()),
        evaluator,
        config,
    )
    .expect("the software matcher takes any probe");
    let (mut found, mut all) = (Vec::new(), Vec::new());
    for frame in traffic {
        engine.process(frame, &mut found);
    }
    for found in &found {
        committer.commit(found, &mut |alert| {
            all.push((alert.packet.number, alert.rule.meta.sid, alert.blocked))
        });
    }
    all
}
