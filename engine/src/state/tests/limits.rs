//! Limits on matches, and tags.

use super::*;

#[test]
fn tags_log_the_packets_that_follow() {
    let tag = |scope| StateAction::Tag {
        scope,
        metric: TagMetric::Packets(3),
    };
    for (scope, expected) in [
        (TagScope::Session, [false, true, false, true, false]),
        (TagScope::Src, [false, true, true, false, false]),
        (TagScope::Dst, [false, true, false, true, false]),
    ] {
        let mut world = World::new(vec![rule(1, vec![], vec![tag(scope)])]);
        assert_eq!(world.plan.crosses_flows(), scope != TagScope::Session);
        let mut first = true;
        let logged = [(A, B), (A, B), (A, C), (B, A), (B, A)].map(|ends| {
            world.packet(ends, 0, None, |plan, context| {
                if std::mem::take(&mut first) {
                    plan.settle(0, Action::Alert, context).expect("matches");
                }
                plan.tagged(context, 100)
            })
        });
        assert_eq!(logged, expected, "{scope:?}");
    }
}

#[test]
fn a_match_that_a_limit_undoes_sets_no_tag_but_changes_state() {
    let tag = StateAction::Tag {
        scope: TagScope::Session,
        metric: TagMetric::Packets(9),
    };
    let mut limited = rule(1, vec![], vec![flow_bit(BitOp::Set, "x"), tag]);
    limited.detection_filter = Some(Threshold {
        kind: ThresholdKind::DetectionFilter,
        track: Track::BySrc,
        count: 1,
        seconds: 60,
    });
    let mut world = World::new(vec![limited]);
    let mut step = || {
        world.packet((A, B), 0, None, |plan, context| {
            let due = plan.settle(0, Action::Alert, context).expect("holds").due;
            let bits = context
                .flow
                .as_ref()
                .map(|flow| flow.vars.export(plan.names()).bits);
            (due, bits, plan.tagged(context, 100))
        })
    };
    let bits = Some(vec!["x".to_owned()]);
    assert_eq!(step(), (Due::Nothing, bits.clone(), false));
    assert_eq!(step(), (Due::Alert, bits.clone(), false));
    assert_eq!(step(), (Due::Alert, bits, true));
}

#[test]
fn the_configuration_changes_limits_and_actions() {
    let which = |sid| Which { gid: 1, sid };
    let limit = Threshold {
        kind: ThresholdKind::Limit,
        track: Track::BySrc,
        count: 1,
        seconds: 60,
    };
    let overrides = Overrides {
        suppressions: vec![Suppression {
            which: which(1),
            hosts: vec![],
        }],
        limits: vec![
            LimitOverride {
                which: which(0),
                limit,
            },
            LimitOverride {
                which: which(3),
                limit: Threshold { count: 2, ..limit },
            },
        ],
        rate_filters: vec![RateFilter {
            which: which(4),
            track: Track::ByRule,
            count: 2,
            seconds: 60,
            action: Action::Drop,
            timeout: 60,
        }],
    };
    let mut own = rule(2, vec![], vec![]);
    own.threshold = Some(Threshold { count: 3, ..limit });
    let rules = vec![
        rule(1, vec![], vec![]),
        own,
        rule(3, vec![], vec![]),
        rule(4, vec![], vec![]),
    ];
    let rules = RuleSet::new(rules);
    let limits = Limits::new(&rules, &overrides);
    assert!(limits.verdicts_cross_flows() && limits.in_worker(3) && !limits.in_worker(2));
    let counts = Thresholds::new(100);
    let packet = Counted {
        ts_ns: 0,
        addresses: Some((A.into(), B.into())),
        flow: None,
    };
    let alerts = |id| -> Vec<(bool, Action)> {
        (0..4)
            .map(|_| counts.decide(&limits, id, Action::Alert, &packet))
            .map(|decision| (decision.due == Due::Alert, decision.action))
            .collect()
    };
    let all = |due: [bool; 4]| due.map(|due| (due, Action::Alert)).to_vec();
    assert_eq!(alerts(0), all([false; 4]));
    assert_eq!(alerts(1), all([true, true, true, false]));
    assert_eq!(alerts(2), all([true, true, false, false]));
    // What is suppressed once is not counted further: only the first match of rule 4 gets to its rate filter.
    assert_eq!(alerts(3), all([true, false, false, false]));
}

#[test]
fn a_rate_filter_changes_verdicts_across_flows() {
    let overrides = Overrides {
        rate_filters: vec![RateFilter {
            which: Which { gid: 1, sid: 1 },
            track: Track::ByDst,
            count: 2,
            seconds: 60,
            action: Action::Drop,
            timeout: 10,
        }],
        ..Overrides::default()
    };
    let rules = RuleSet::new(vec![rule(1, vec![], vec![])]);
    let mut world = World::with(rules, &overrides, &StateConfig::default());
    assert!(world.plan.crosses_flows());
    let mut action = |src, second| {
        world.packet((src, B), second, None, |plan, context| {
            plan.settle(0, Action::Alert, context)
                .expect("holds")
                .action
        })
    };
    assert_eq!((action(A, 0), action(C, 1)), (Action::Alert, Action::Alert));
    assert_eq!((action(A, 2), action(C, 12)), (Action::Drop, Action::Drop));
    assert_eq!(action(A, 13), Action::Alert);
}
