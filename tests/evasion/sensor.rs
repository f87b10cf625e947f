//! The engine, from rule text and packets to the rules that alert.

use std::net::IpAddr;
use std::sync::Arc;

use weir_engine::detect::{Alerts, Counters, Engine, EngineConfig};
use weir_engine::eval;
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::Plain;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_rules::classification::Classification;
use weir_rules::compile::{self, Compiler, Variables};
use weir_rules::syntax::SourceFile;

const MILLISECOND: u64 = 1_000_000;

/// Rules from text, every one of which must load.
pub fn rules(text: &str) -> Arc<RuleSet> {
    let text: String = text
        .lines()
        .flat_map(|line| [line.trim_start(), "\n"])
        .collect();
    let source = SourceFile {
        name: "evasion.rules".into(),
        bytes: text.into_bytes(),
    };
    let compiler = Compiler::new(Variables::stock(), Classification::stock());
    let loaded = compile::load(&[source], &compiler);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Arc::new(loaded.rules)
}

/// Settings for one small connection.
pub fn config() -> EngineConfig {
    let mut config = EngineConfig {
        flow: FlowConfig {
            max_flows: 16,
            ..FlowConfig::default()
        },
        ..EngineConfig::default()
    };
    config.decoder.verify_checksums = true;
    config
}

/// The sids that alert, in order; packets come a millisecond apart.
pub fn run(config: &EngineConfig, rules: &Arc<RuleSet>, packets: &[Vec<u8>]) -> Vec<u32> {
    counted(config, rules, packets).0
}

/// The same, and what was counted.
pub fn counted(
    config: &EngineConfig,
    rules: &Arc<RuleSet>,
    packets: &[Vec<u8>],
) -> (Vec<u32>, Counters) {
    let (alerts, counters) = observed(config, rules, packets);
    (alerts.into_iter().map(|(sid, _)| sid).collect(), counters)
}

/// The same with the client of each alert's flow.
pub fn observed(
    config: &EngineConfig,
    rules: &Arc<RuleSet>,
    packets: &[Vec<u8>],
) -> (Vec<(u32, IpAddr)>, Counters) {
    let evaluator = eval::Plain::new(Arc::clone(rules));
    let matcher = Box::new(Plain::new());
    let mut engine = Engine::new(
        Arc::clone(rules),
        matcher,
        Box::new(evaluator),
        config.clone(),
    )
    .expect("the plain matcher holds any set");
    let mut alerts = Alerts::new(Arc::clone(rules), config);
    let (mut events, mut found) = (Vec::new(), Vec::new());
    for (number, data) in (1..).zip(packets) {
        let frame = Frame {
            ts_ns: number * MILLISECOND,
            number,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        engine.process(frame, &mut events);
    }
    engine.finish(packets.len() as u64 + 1, &mut events);
    for event in &events {
        alerts.commit(event, &mut |alert| {
            let client = alert
                .packet
                .flow
                .map_or(alert.packet.src, |flow| flow.client.0);
            found.push((alert.rule.meta.sid, client));
        });
    }
    (found, engine.counters())
}
