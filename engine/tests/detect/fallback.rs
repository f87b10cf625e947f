//! Whatever a backend does, the alerts are those of the plain matcher.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use weir_engine::detect::{Engine, EngineConfig, SearchCounters, What};
use weir_engine::eval;
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::{Matcher, Plain};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::{Buffer, BufferPlan, Op, ProbeChoice, Rule, RuleId, RuleSet};

use crate::build;
use crate::faulty::{Fault, Faulty};
use crate::rules;

/// Longer than any test may take: what is not there by then never comes.
const PATIENT: Duration = Duration::from_secs(3600);

pub const WORDS: [&str; 4] = ["alpha", "bravo", "charlie", "delta"];

/// A rule for a word, found by a probe.
pub fn rule(word: &str) -> Rule {
    let plan = BufferPlan {
        buffer: Buffer::Payload,
        transforms: vec![],
        ops: vec![Op::from(rules::content(word))],
    };
    Rule {
        probe: Some(ProbeChoice {
            buffer: Buffer::Payload,
            bytes: word.as_bytes()[..5].to_vec(),
            folded: false,
        }),
        ..rules::rule(Vec::new(), vec![plan])
    }
}

/// What each payload matched, and what was counted on the way.
fn run(
    matcher: impl Matcher + 'static,
    match_deadline: Duration,
    payloads: &[Vec<u8>],
) -> (Vec<(u64, Vec<RuleId>)>, SearchCounters) {
    let rules = Arc::new(RuleSet::new(WORDS.map(rule).to_vec()));
    let evaluator = Box::new(eval::Plain::new(Arc::clone(&rules)));
    let config = EngineConfig {
        match_deadline,
        // A table of the usual size takes longer to set up than the packets to run.
        flow: FlowConfig {
            max_flows: 16,
            ..FlowConfig::default()
        },
        ..EngineConfig::default()
    };
    let mut engine =
        Engine::new(rules, Box::new(matcher), evaluator, config).expect("holds four probes");
    let mut events = Vec::new();
    for (number, payload) in (1..).zip(payloads) {
        let data = build::ipv4(17, &build::udp(4000, 5000, payload));
        let frame = Frame {
            ts_ns: number * 1_000_000,
            number,
            link: LinkType::RAW,
            data: &data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        engine.process(frame, &mut events);
    }
    let matched = events.into_iter().filter_map(|event| match event.what {
        What::Matches(found) => {
            let rules = found.matches.iter().map(|matched| matched.rule).collect();
            Some((found.packet.number, rules))
        }
        What::Flow(_) | What::App(_) | What::Tagged(_) | What::Counters(_) | What::Notice(_) => {
            None
        }
    });
    (matched.collect(), engine.counters().search)
}

/// Payloads of a few words each, one of them without any.
fn payloads() -> Vec<Vec<u8>> {
    [
        "alpha",
        "bravo alpha",
        "nothing",
        "delta",
        "alpha charlie delta",
        "bravo bravo",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Times that a buffer with this fault is gone through again, reports that are no answer, and hits of no probe.
fn cost(fault: Fault, patient: bool) -> (u64, u64, u64) {
    match fault {
        Fault::None => (0, 0, 0),
        Fault::GivesUp | Fault::Loses | Fault::Full | Fault::Refuses => (1, 0, 0),
        Fault::Late | Fault::LateAndWrong => (1, 1, 0),
        Fault::Repeats => (0, 2, 0),
        Fault::StrayTags => (0, 3, 0),
        Fault::OnlyStrayTags => (1, 3, 0),
        Fault::StrayHits => (0, 0, 2),
        Fault::FullAtFirst => (u64::from(!patient), 0, 0),
        // Without patience its answer comes while later buffers are waited for.
        Fault::Slow => (u64::from(!patient), u64::from(!patient), 0),
    }
}

#[test]
fn every_fault_costs_what_it_must_and_no_alert() {
    let payloads = payloads();
    let (expected, plain) = run(Plain::new(), PATIENT, &payloads);
    assert_eq!(expected.len(), 5);
    assert_eq!(plain.probe_hits, 8);
    assert_eq!(
        (
            plain.buffers,
            plain.rescanned,
            plain.stray_reports,
            plain.stray_hits
        ),
        (6, 0, 0, 0)
    );
    for fault in Fault::ALL {
        // The last buffers are sound, so that what comes late comes.
        let mut script = [Fault::None; 6];
        script[..2].fill(fault);
        let (found, counted) = run(Faulty::new(&script), Duration::ZERO, &payloads);
        assert_eq!(found, expected, "{fault:?}");
        let (rescanned, stray_reports, stray_hits) = cost(fault, false);
        let wanted = SearchCounters {
            rescanned: 2 * rescanned,
            stray_reports: 2 * stray_reports,
            stray_hits: 2 * stray_hits,
            ..plain
        };
        assert_eq!(counted, wanted, "{fault:?}");
    }
}

#[test]
fn an_answer_that_takes_a_while_is_waited_for() {
    let payloads = payloads();
    let (expected, _) = run(Plain::new(), PATIENT, &payloads);
    for fault in [
        Fault::Slow,
        Fault::FullAtFirst,
        Fault::StrayTags,
        Fault::Repeats,
    ] {
        let (found, counted) = run(Faulty::new(&[fault]), PATIENT, &payloads);
        assert_eq!(found, expected, "{fault:?}");
        assert_eq!(
            (counted.rescanned, cost(fault, true).0),
            (0, 0),
            "{fault:?}"
        );
    }
}

#[test]
fn a_backend_that_never_answers_is_given_its_time_and_no_more() {
    let payload = [b"alpha".to_vec()];
    for fault in [Fault::Loses, Fault::Full, Fault::OnlyStrayTags] {
        let (started, deadline) = (Instant::now(), Duration::from_millis(3));
        let (found, counted) = run(Faulty::new(&[fault]), deadline, &payload);
        assert!(started.elapsed() >= deadline, "{fault:?}");
        assert_eq!((found.len(), counted.rescanned), (1, 1), "{fault:?}");
    }
}

proptest! {
    // Each case loads the probes three times, which is what takes time.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_course_of_faults_changes_what_is_found(
        script in prop::collection::vec(prop::sample::select(&Fault::ALL[..]), 1..8),
        words in prop::collection::vec(prop::collection::vec(0..WORDS.len(), 0..4), 1..24),
    ) {
        let text = |words: &Vec<usize>| words.iter().map(|&at| WORDS[at]).collect::<Vec<_>>().join(" ");
        let payloads: Vec<Vec<u8>> = words.iter().map(|words| text(words).into_bytes()).collect();
        let (expected, plain) = run(Plain::new(), PATIENT, &payloads);
        let (found, counted) = run(Faulty::new(&script), Duration::ZERO, &payloads);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(counted.probe_hits, plain.probe_hits);
        let buffers = usize::try_from(plain.buffers).expect("few");
        let rescanned = script.iter().cycle().take(buffers).map(|&fault| cost(fault, false).0);
        prop_assert_eq!(counted.rescanned, rescanned.sum::<u64>());
    }
}
