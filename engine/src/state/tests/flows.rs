//! What rules keep for one flow.

use super::*;

#[test]
fn flow_bits_are_of_one_flow_and_seen_by_the_rules_after() {
    let mut world = World::new(vec![
        rule(
            1,
            vec![has_flow_bit(&["x"], false)],
            vec![flow_bit(BitOp::Set, "x")],
        ),
        rule(
            2,
            vec![has_flow_bit(&["y", "x"], true)],
            vec![flow_bit(BitOp::Toggle, "z")],
        ),
        rule(3, vec![has_flow_bit(&["z"], true)], vec![]),
        rule(4, vec![has_flow_bit(&["y", "z"], false)], vec![]),
        rule(
            5,
            vec![has_flow_bit(&["z"], false)],
            vec![flow_bit(BitOp::Unset, "x")],
        ),
    ]);
    // Rules that change bits come before those that look at them.
    let order: Vec<u32> = world
        .rules
        .rules()
        .iter()
        .map(|rule| rule.meta.sid)
        .collect();
    let first = world.matches((A, B), 0);
    let expected = |z_before: bool, x_before: bool| -> Vec<u32> {
        let (mut x, mut z) = (x_before, z_before);
        let mut expected: Vec<u32> = order
            .iter()
            .copied()
            .filter(|sid| match sid {
                1 => !std::mem::replace(&mut x, true),
                2 => {
                    z ^= x;
                    x
                }
                3 => z,
                4 => true,
                _ => {
                    x &= z;
                    !z
                }
            })
            .collect();
        expected.sort_unstable();
        expected
    };
    assert_eq!(first, expected(false, false));
    assert!(first.contains(&1) && first.contains(&2) && first.contains(&3));
    // Another flow knows nothing of it; the same one, also the other way, does.
    assert_eq!(world.matches((A, C), 1), first);
    assert_eq!(world.matches((B, A), 2), expected(true, true));
}

#[test]
fn without_a_flow_there_are_no_bits_and_no_properties() {
    let mut never = rule(2, vec![], vec![]);
    never.flow_properties = vec![FlowProperty::Packets(
        FlowSide::Both,
        Num::one(NumOp::Ge, 0),
    )];
    let mut world = World::new(vec![
        rule(1, vec![has_flow_bit(&["x"], false)], vec![]),
        never,
        rule(3, vec![], vec![flow_bit(BitOp::Set, "x")]),
    ]);
    let mut context = Context {
        ts_ns: 0,
        addresses: None,
        flow: None,
        seat: &mut world.seat,
        buffers: &mut (),
    };
    let matched: Vec<u32> = (0..)
        .zip(world.rules.rules())
        .filter(|(id, _)| {
            world
                .plan
                .settle(*id, Action::Alert, &mut context)
                .is_some()
        })
        .map(|(_, rule)| rule.meta.sid)
        .collect();
    assert_eq!(matched, [3]);
    let mut candidates = vec![0, 1, 2];
    world
        .plan
        .screen(&mut candidates, None, &mut Screen::default());
    let left: Vec<u32> = candidates
        .iter()
        .map(|&id| world.rules.get(id).expect("a rule").meta.sid)
        .collect();
    assert_eq!(left, [3]);
}

#[test]
fn counters_are_compared_once_they_exist() {
    let compare = |compare, value| StateTest::FlowInt {
        name: "n".into(),
        compare,
        value,
    };
    let add = StateAction::FlowInt {
        name: "n".into(),
        op: FlowIntOp::Add,
        value: FlowIntValue::Number(2),
    };
    let exists = |exists| StateTest::FlowIntExists {
        name: "n".into(),
        exists,
    };
    let other = FlowIntValue::Counter("other".into());
    let mut world = World::new(vec![
        rule(1, vec![], vec![add]),
        rule(
            2,
            vec![compare(Compare::Ge, FlowIntValue::Number(4))],
            vec![],
        ),
        rule(3, vec![compare(Compare::Gt, other)], vec![]),
        rule(4, vec![exists(true)], vec![]),
        rule(5, vec![exists(false)], vec![]),
        rule(
            6,
            vec![compare(Compare::Ne, FlowIntValue::Number(2))],
            vec![],
        ),
    ]);
    // The setter comes first whatever its priority; a counter that does not exist counts as 0 on the right.
    assert_eq!(world.matches((A, B), 0), [1, 3, 4]);
    assert_eq!(world.matches((A, B), 0), [1, 2, 3, 4, 6]);
}

#[test]
fn screening_leaves_what_an_earlier_candidate_may_make_true() {
    let mut many = rule(4, vec![], vec![]);
    many.flow_properties = vec![FlowProperty::Packets(
        FlowSide::Both,
        Num::one(NumOp::Gt, 1),
    )];
    let mut world = World::new(vec![
        rule(1, vec![], vec![flow_bit(BitOp::Set, "x")]),
        rule(2, vec![has_flow_bit(&["x"], true)], vec![]),
        rule(3, vec![has_flow_bit(&["y"], true)], vec![]),
        many,
        rule(5, vec![has_flow_bit(&["y"], false)], vec![]),
    ]);
    let sids: Vec<u32> = world
        .rules
        .rules()
        .iter()
        .map(|rule| rule.meta.sid)
        .collect();
    let screened = |world: &mut World, without: &[u32]| -> Vec<u32> {
        let mut candidates: Vec<RuleId> = (0..)
            .zip(&sids)
            .filter(|(_, sid)| !without.contains(sid))
            .map(|(id, _)| id)
            .collect();
        world.packet((A, B), 0, None, |plan, context| {
            let flow = context.flow.as_deref();
            plan.screen(&mut candidates, flow, &mut Screen::default());
        });
        let mut left: Vec<u32> = candidates.iter().map(|&id| sids[id as usize]).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(screened(&mut world, &[]), [1, 2, 5]);
    assert_eq!(screened(&mut world, &[1]), [4, 5]);
    world.matches((A, B), 0);
    assert_eq!(screened(&mut world, &[1]), [2, 4, 5]);
}
