//! Data sets, and state that goes on in another process.

use super::*;

#[test]
fn sets_are_changed_once_everything_else_holds() {
    let rules = vec![
        rule(
            1,
            vec![has_flow_bit(&["go"], true), dataset(DatasetOp::Set)],
            vec![],
        ),
        rule(2, vec![dataset(DatasetOp::IsSet)], vec![]),
        rule(
            3,
            vec![dataset(DatasetOp::IsNotSet)],
            vec![flow_bit(BitOp::Set, "go")],
        ),
    ];
    let rules = RuleSet::new(rules).with_data_sets(vec![data_set("seen", SetKind::String)]);
    let mut world = World::with(rules, &Overrides::default(), &StateConfig::default());
    assert!(world.plan.crosses_flows());
    let mut matches = |bytes| world.matches_with((A, B), 0, bytes);
    let first = matches(Some(b"new"));
    assert!(first.contains(&3), "{first:?}");
    // By now the bit is set; once it is in the set, it is not new.
    matches(Some(b"new"));
    assert_eq!(matches(Some(b"new")), [2]);
    assert_eq!(matches(Some(b"")), [0; 0]);
    assert_eq!(matches(None), [0; 0]);
}

#[test]
fn sets_that_no_rule_changes_need_no_order() {
    let rules = RuleSet::new(vec![rule(1, vec![dataset(DatasetOp::IsSet)], vec![])]);
    assert!(!Plan::new(&rules, &Overrides::default()).crosses_flows());
}

#[test]
fn state_goes_on_in_a_process_with_other_rules() {
    let tag = StateAction::Tag {
        scope: TagScope::Src,
        metric: TagMetric::Seconds(60),
    };
    let count = StateAction::FlowInt {
        name: "n".into(),
        op: FlowIntOp::Add,
        value: FlowIntValue::Number(7),
    };
    let sets = || vec![data_set("seen", SetKind::String)];
    let before = vec![
        rule(
            1,
            vec![],
            vec![host_bit(BitOp::Set, BitTrack::Src, 30), tag],
        ),
        rule(2, vec![dataset(DatasetOp::Set)], vec![]),
        rule(
            3,
            vec![],
            vec![
                flow_bit(BitOp::Set, "x"),
                flow_bit(BitOp::Set, "gone"),
                count,
            ],
        ),
    ];
    let mut old = World::with(
        RuleSet::new(before).with_data_sets(sets()),
        &Overrides::default(),
        &StateConfig::default(),
    );
    assert_eq!(old.matches_with((A, B), 0, Some(b"one")).len(), 3);
    let vars = old.packet((A, B), 0, None, |plan, context| {
        // The packet that set the tag.
        assert!(!plan.tagged(context, 100));
        let flow = context.flow.as_ref().expect("a flow");
        flow.vars.export(plan.names())
    });
    let shared = old.shared.export(&old.rules, &old.plan);
    let text = serde_json::to_string(&(&shared, &vars)).expect("plain data");
    let (read, read_vars): (SavedShared, SavedVars) =
        serde_json::from_str(&text).expect("as written");
    assert_eq!((&read, &read_vars), (&shared, &vars));

    let equal = StateTest::FlowInt {
        name: "n".into(),
        compare: Compare::Eq,
        value: FlowIntValue::Number(7),
    };
    let after = vec![
        rule(
            1,
            vec![],
            vec![StateAction::Tag {
                scope: TagScope::Dst,
                metric: TagMetric::Seconds(1),
            }],
        ),
        rule(2, vec![dataset(DatasetOp::Unset)], vec![]),
        rule(7, vec![has_host_bit(BitTrack::Src, true)], vec![]),
        rule(8, vec![has_flow_bit(&["other", "x"], true), equal], vec![]),
    ];
    let mut new = World::with(
        RuleSet::new(after).with_data_sets(sets()),
        &Overrides::default(),
        &StateConfig::default(),
    );
    assert_eq!(
        new.shared
            .import(&read, &new.rules, &new.plan)
            .expect("this version"),
        0
    );
    let imported = FlowVars::import(&read_vars, new.plan.names());
    new.packet((A, B), 9, None, |_, context| {
        context.flow.as_mut().expect("a flow").vars = imported;
    });
    let found = new.matches_with((A, B), 10, Some(b"one"));
    assert_eq!(found, [1, 2, 7, 8]);
    assert!(new.packet((A, C), 11, None, |plan, context| plan.tagged(context, 100)));

    let other = text.replace("\"version\":1", "\"version\":2");
    let (other, _): (SavedShared, SavedVars) = serde_json::from_str(&other).expect("as written");
    let error = new
        .shared
        .import(&other, &new.rules, &new.plan)
        .expect_err("another version");
    assert_eq!(
        error.to_string(),
        "the saved state is of version 2; this program reads version 1"
    );
}
