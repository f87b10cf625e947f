//! Compiled rules decide as the plain evaluator does: whatever the rules, whatever the buffers, limits included.

mod rules;

use std::sync::Arc;

use proptest::prelude::*;
use weir_engine::eval::{Beyond, EvalCounters, Evaluator, Plain, Subject};
use weir_engine::packet::Packet;
use weir_engine::plan::{Rule, RuleId, RuleSet};
use weir_wasm::code;
use weir_wasm::compiled::{Code, Compiled, engine};

/// What both evaluators say of all rules about a payload at a place in its stream.
struct Both {
    plain: Plain,
    compiled: Compiled,
    all: Vec<RuleId>,
}

impl Both {
    fn new(rules: Vec<Rule>) -> Self {
        let rules = Arc::new(RuleSet::new(rules));
        let wasm = code::compile(&rules).expect("compiles");
        let engine = engine().expect("runs here");
        let code = Code::new(&engine, &wasm, &rules).expect("is a module of these rules");
        Self {
            all: (0..rules.rules().len() as RuleId).collect(),
            plain: Plain::new(Arc::clone(&rules)),
            compiled: Compiled::new(Arc::new(code), rules).expect("instantiates"),
        }
    }

    fn matches(&mut self, subject: &Subject<'_>) -> [Vec<RuleId>; 2] {
        let Self {
            plain,
            compiled,
            all,
        } = self;
        let of = |evaluator: &mut dyn Evaluator| {
            let mut matches = Vec::new();
            evaluator.evaluate(subject, Beyond::default(), all, &mut matches);
            matches
        };
        let both = [of(plain), of(compiled)];
        assert_eq!(compiled.failures(), 0, "a call failed");
        both
    }

    fn counters(&self) -> [EvalCounters; 2] {
        [self.plain.counters(), self.compiled.counters()]
    }
}

fn payloads() -> impl Strategy<Value = Vec<(Vec<u8>, Option<u64>)>> {
    let bytes = prop::collection::vec(rules::byte(), 0..90);
    let offset = prop_oneof![
        2 => Just(None),
        1 => Just(Some(0)),
        2 => (1u64..40).prop_map(Some),
        1 => Just(Some(1 << 33)),
    ];
    prop::collection::vec((bytes, offset), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Any operations, on any payload.
    #[test]
    fn operations_decide_the_same(
        lists in prop::collection::vec(rules::operations(), 1..24),
        payloads in payloads(),
    ) {
        let rules: Vec<Rule> = lists.into_iter().map(rules::of_payload).collect();
        let shown = rules.clone();
        let mut both = Both::new(rules);
        for (payload, offset) in &payloads {
            let packet = Packet { payload, ..Packet::new(0, 1, 0) };
            let subject = Subject { stream_offset: *offset, ..Subject::packet(&packet, payload) };
            let [plain, compiled] = both.matches(&subject);
            let differ = plain.iter().find(|rule| !compiled.contains(rule))
                .or_else(|| compiled.iter().find(|rule| !plain.contains(rule)));
            prop_assert_eq!(
                &plain, &compiled, "at {:?}: {} against {:#?}", offset, payload.escape_ascii(),
                differ.map(|&rule| &shown[rule as usize].buffers)
            );
        }
        let [plain, compiled] = both.counters();
        prop_assert_eq!(plain, compiled);
    }

    /// Tests on header fields, on packets as they come and on broken ones.
    #[test]
    fn header_tests_decide_the_same(
        tests in prop::collection::vec(rules::tests(), 1..24),
        frames in prop::collection::vec(rules::frame(), 1..12),
    ) {
        let rules = tests.into_iter().map(rules::of_header).collect();
        let mut both = Both::new(rules);
        for frame in &frames {
            rules::decoded(frame, &mut |packet| {
                let [plain, compiled] = both.matches(&Subject::packet(packet, packet.payload));
                assert_eq!(plain, compiled, "{frame:02x?}");
            });
        }
    }
}

/// More where `WEIR_CASES` says so.
fn cases() -> u32 {
    let cases = std::env::var("WEIR_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

/// A payload that is made to cost as much as it can is given up by both, at the same place.
#[test]
fn limits_are_the_same() {
    use weir_engine::plan::{Content, Op, Value};
    let content = |bytes: &[u8], nocase: bool, within: Option<i64>| {
        Op::Content(Content {
            bytes: bytes.to_vec(),
            nocase,
            within: within.map(Value::Const),
            distance: within.map(|_| Value::Const(0)),
            ..Content::default()
        })
    };
    // Many ways to go on, none of which leads anywhere.
    let steps = vec![
        content(b"a", false, None),
        content(b"a", false, Some(9)),
        content(b"a", false, Some(9)),
        content(b"a", false, Some(9)),
        content(b"b", false, Some(1)),
    ];
    // An anchor that is everywhere, and comparisons that end late.
    let literal: Vec<u8> = [vec![b'q'; 60], vec![b'x']].concat();
    let work = vec![content(&literal, true, None); 3];
    let enough = vec![content(b"a", false, None), content(b"qq", true, None)];
    let rules = [steps, work, enough].map(rules::of_payload).to_vec();
    let mut both = Both::new(rules);
    let payload = [vec![b'a'; 4000], vec![b'q'; 200_000]].concat();
    let packet = Packet {
        payload: &payload,
        ..Packet::new(0, 1, 0)
    };
    let [plain, compiled] = both.matches(&Subject::packet(&packet, &payload));
    assert_eq!((&plain, &plain), (&compiled, &vec![2]));
    let [plain, compiled] = both.counters();
    assert_eq!(plain, compiled);
    assert_eq!((plain.recursion_limits, plain.work_limits), (1, 1));
}

/// A buffer that does not fit the memory that there is makes it larger.
#[test]
fn memory_grows_with_buffers() {
    use weir_engine::plan::{Content, Op};
    let content = Op::Content(Content {
        bytes: b"needle".to_vec(),
        ..Content::default()
    });
    let mut both = Both::new(vec![rules::of_payload(vec![content])]);
    for size in [10, 1 << 20, 3 << 20, 70_000, (3 << 20) + 1] {
        let payload = [vec![b'-'; size], b"needle".to_vec()].concat();
        let packet = Packet {
            payload: &payload,
            ..Packet::new(0, 1, 0)
        };
        let [plain, compiled] = both.matches(&Subject::packet(&packet, &payload));
        assert_eq!((plain, compiled), (vec![0], vec![0]), "{size} bytes");
    }
}

/// Rules that stand in another order than those that were compiled, beside one that was not, and without one that was.
#[test]
fn other_places_are_found() {
    use weir_engine::plan::{Content, Op};
    let rule = |sid: u32, bytes: &[u8]| {
        let mut rule = rules::of_payload(vec![Op::Content(Content {
            bytes: bytes.to_vec(),
            ..Content::default()
        })]);
        rule.meta.sid = sid;
        rule
    };
    let (one, two, three) = (rule(1, b"one"), rule(2, b"two"), rule(3, b"three"));
    let compiled = RuleSet::in_order(vec![one.clone(), two, three.clone()]);
    let wasm = code::compile(&compiled).expect("compiles");
    let engine = engine().expect("runs here");
    let code = Code::new(&engine, &wasm, &compiled).expect("is a module of these rules");
    let rules = Arc::new(RuleSet::in_order(vec![three, rule(4, b"four"), one]));
    let mut evaluator = Compiled::new(Arc::new(code), rules).expect("instantiates");
    assert_eq!(evaluator.covered(), 2);
    for (payload, expected) in [
        (&b"one two"[..], &[2][..]),
        (b"two three", &[0]),
        (b"four one three", &[0, 1, 2]),
        (b"two", &[]),
    ] {
        let packet = Packet {
            payload,
            ..Packet::new(0, 1, 0)
        };
        let subject = Subject::packet(&packet, payload);
        let mut matches = Vec::new();
        // One that there is not is none that matches.
        evaluator.evaluate(&subject, Beyond::default(), &[0, 1, 2, 3], &mut matches);
        assert_eq!(matches, expected, "{}", payload.escape_ascii());
    }
    assert_eq!(evaluator.failures(), 0);
}

/// A module is held to the rules that it was made of.
#[test]
fn other_rules_than_the_modules_are_refused() {
    let rules = |count: usize| RuleSet::new(vec![rules::of_payload(Vec::new()); count]);
    let engine = engine().expect("runs here");
    let wasm = code::compile(&rules(3)).expect("compiles");
    let error = Code::new(&engine, &wasm, &rules(2)).expect_err("three are not two");
    assert!(
        error.to_string().contains("it has 3 rules, there are 2"),
        "{error}"
    );
    let error = Code::new(&engine, b"alert ip any any -> any any", &rules(1)).expect_err("text");
    assert!(
        error.to_string().contains("not the compiled form"),
        "{error}"
    );
    let empty = b"\0asm\x01\0\0\0";
    assert!(Code::new(&engine, empty, &rules(1)).is_err());
}
