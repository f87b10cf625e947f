//! Verdicts that are carried out: what was dropped does not get through in another way.

use std::sync::Arc;

use weir_engine::detect::{Engine, EngineConfig, Verdict};
use weir_engine::eval;
use weir_engine::flow::FlowAction;
use weir_engine::matcher::Plain;
use weir_engine::packet::{DecoderConfig, DefragConfig, Frame, LinkType};
use weir_engine::plan::{Action, RuleSet};

use crate::build;
use crate::fallback::{WORDS, rule};
use crate::talk::{SECOND, config};

const MORE: u16 = 0x2000;

/// An engine that drops what has one of the words.
fn engine(config: EngineConfig) -> Engine {
    let mut rules = WORDS.map(rule).to_vec();
    rules.iter_mut().for_each(|rule| rule.action = Action::Drop);
    let rules = Arc::new(RuleSet::new(rules));
    let evaluator = Box::new(eval::Plain::new(Arc::clone(&rules)));
    Engine::new(rules, Box::new(Plain::new()), evaluator, config).expect("holds four probes")
}

fn process(engine: &mut Engine, ts_ns: u64, data: &[u8]) -> Verdict {
    let frame = Frame {
        ts_ns,
        number: 0,
        link: LinkType::RAW,
        data,
        wire_len: data.len() as u32,
        ..Frame::default()
    };
    engine.process(frame, &mut Vec::new())
}

/// Two fragments of a datagram that has a word only as a whole.
fn halves(id: u16, payload: &[u8; 24]) -> [Vec<u8>; 2] {
    let whole = build::udp(4000, 5000, payload);
    let (first, second) = whole.split_at(16);
    [
        build::ipv4_with(17, id, MORE, &[], first),
        build::ipv4_with(17, id, 2, &[], second),
    ]
}

#[test]
fn a_dropped_fragment_is_not_let_through_when_it_is_sent_again() {
    let mut engine = engine(config());
    let bad = halves(7, b"12345alpha-and-some-more");
    let good = halves(8, b"12345-and-some-more-text");
    let mut drops = |at: u64, data: &[u8]| process(&mut engine, at * SECOND, data).drop;
    assert!(!drops(1, &bad[0]), "it alone is nothing");
    assert!(drops(2, &bad[1]), "it completes the datagram");
    // The first one waits at the receiver.
    assert!(drops(3, &bad[1]));
    assert!(drops(4, &bad[0]));
    assert!(!drops(5, &good[0]) && !drops(5, &good[1]), "another packet");
    // By now nobody waits for it any more.
    assert!(!drops(80, &bad[1]));
    let counters = engine.counters();
    assert_eq!(counters.decoder.defrag.refused, 2);
    assert_eq!(counters.dropped, 3);
    // Where nothing is carried out, all is as it was.
    let mut offline = self::engine(EngineConfig {
        inline: false,
        ..config()
    });
    let seen = [&bad[0], &bad[1], &bad[1]].map(|data| process(&mut offline, SECOND, data).drop);
    assert_eq!(seen, [false; 3]);
    assert_eq!(offline.counters().decoder.defrag.refused, 0);
}

#[test]
fn fragments_that_cannot_be_kept_do_not_go_on() {
    let defrag = DefragConfig {
        max_trackers: 1,
        ..DefragConfig::default()
    };
    let mut engine = engine(EngineConfig {
        decoder: DecoderConfig {
            defrag,
            ..DecoderConfig::default()
        },
        ..config()
    });
    let [first, second] = halves(7, b"12345alpha-and-some-more");
    let [other, _] = halves(8, b"12345-and-some-more-text");
    assert!(!process(&mut engine, SECOND, &first).drop);
    assert!(
        !process(&mut engine, SECOND, &other).drop,
        "it drives the first out"
    );
    assert_eq!(engine.counters().decoder.defrag.evicted, 1);
    assert!(process(&mut engine, SECOND, &second).drop);
    assert!(process(&mut engine, SECOND, &first).drop);
}

#[test]
fn a_fragment_with_a_wrong_checksum_is_no_part_of_its_packet() {
    let mut engine = engine(EngineConfig {
        decoder: DecoderConfig {
            verify_checksums: true,
            ..DecoderConfig::default()
        },
        ..config()
    });
    let bad = halves(7, b"12345alpha-and-some-more");
    let mut decoy = halves(7, b"1234567-and-some-more!!!");
    decoy[0][10] ^= 0xff;
    // Whoever stands between here and its receiver may make it right; it stands for nothing here.
    assert!(process(&mut engine, SECOND, &decoy[0]).drop);
    assert!(!process(&mut engine, SECOND, &bad[0]).drop);
    assert!(process(&mut engine, SECOND, &bad[1]).drop);
}

#[test]
fn a_flow_that_carries_others_is_not_left_to_the_kernel() {
    let mut engine = engine(EngineConfig {
        shunt_after: Some(1),
        ..config()
    });
    let action = |verdict: Verdict| verdict.flow.map(|flow| flow.action);
    let plain = build::ipv4(17, &build::udp(4000, 5000, b"nothing"));
    assert_eq!(
        action(process(&mut engine, SECOND, &plain)),
        Some(FlowAction::Bypass)
    );
    // VXLAN: eight bytes, then a frame.
    let inside = build::ethernet(0x0800, &build::ipv4(17, &build::udp(1, 2, b"nothing")));
    let vxlan = build::concat(&[&[8, 0, 0, 0, 0, 0, 5, 0], &inside]);
    let carrier = build::ipv4(17, &build::udp(4001, 4789, &vxlan));
    let verdict = process(&mut engine, SECOND, &carrier);
    assert_eq!(engine.counters().decoder.tunnelled, 1);
    assert_eq!(action(verdict), None);
    // It could carry something.
    let empty = build::ipv4(17, &build::udp(4001, 4789, b"x"));
    assert_eq!(action(process(&mut engine, SECOND, &empty)), None);
}
