//! What rules keep for hosts, and what files say about them.

use super::*;

#[test]
fn bits_of_hosts_last_their_time() {
    let mut world = World::new(vec![
        rule(1, vec![has_host_bit(BitTrack::Src, true)], vec![]),
        rule(2, vec![has_host_bit(BitTrack::Dst, true)], vec![]),
        rule(3, vec![has_host_bit(BitTrack::Pair, true)], vec![]),
        rule(4, vec![has_host_bit(BitTrack::Src, false)], vec![]),
    ]);
    assert!(world.plan.crosses_flows());
    assert_eq!(world.matches((A, B), 0), [4]);
    let bit = world.plan.names().find_host_bit("seen").expect("a name");
    let shared = Arc::clone(&world.shared);
    let set = |op, owner, second: u64| shared.change_host_bit(op, bit, owner, second * SECOND, 10);
    let (a, b): (IpAddr, IpAddr) = (A.into(), B.into());
    set(BitOp::Set, shared::Owner::Host(a), 1);
    // Set again, it ends as before.
    set(BitOp::Set, shared::Owner::Host(a), 5);
    assert_eq!(world.matches((A, C), 11), [1]);
    assert_eq!(world.matches((C, A), 11), [2, 4]);
    assert_eq!(world.matches((A, C), 12), [4]);
    set(BitOp::Set, shared::Owner::Pair(a, b), 20);
    assert_eq!(world.matches((B, A), 21), [3, 4]);
    set(BitOp::Toggle, shared::Owner::Pair(a, b), 22);
    assert_eq!(world.matches((A, B), 23), [4]);
    set(BitOp::Toggle, shared::Owner::Host(b), 24);
    assert_eq!(world.matches((A, B), 25), [2, 4]);
    set(BitOp::Unset, shared::Owner::Host(b), 26);
    assert_eq!(world.matches((A, B), 27), [4]);
}

#[test]
fn a_rule_sets_the_bits_that_others_ask_for() {
    let mut world = World::new(vec![
        rule(1, vec![], vec![host_bit(BitOp::Set, BitTrack::Dst, 30)]),
        rule(2, vec![has_host_bit(BitTrack::Src, true)], vec![]),
    ]);
    assert_eq!(world.matches((A, B), 0), [1]);
    assert_eq!(world.matches((B, C), 1), [1, 2]);
}

#[test]
fn files_say_where_addresses_are_and_what_is_thought_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writes");
        path
    };
    let networks = [([10, 0, 0, 0], 8, "FR"), ([192, 0, 2, 0], 24, "DE")];
    let config = StateConfig {
        countries: Some(write("countries.mmdb", &database(&networks))),
        reputation: ReputationFiles {
            categories: Some(write("categories", b"1,CnC,x\n2,Bad,x")),
            lists: vec![write("list", b"10.0.0.0/8,1,50\n192.0.2.2,2,0")],
        },
        ..StateConfig::default()
    };
    let country = |side, code: &[u8; 2], negated| StateTest::GeoIp {
        side,
        countries: vec![*code],
        negated,
    };
    let thought = |side, category: &str, value| StateTest::IpRep {
        side,
        category: category.into(),
        value,
    };
    let over = |least| Some(Num::one(NumOp::Gt, least));
    let any = Some(Num::one(NumOp::Ge, 0));
    let tests = [
        (country(HostSide::Src, b"FR", false), true),
        (country(HostSide::Src, b"FR", true), false),
        (country(HostSide::Dst, b"FR", true), true),
        (country(HostSide::Any, b"DE", false), true),
        (country(HostSide::Both, b"DE", false), false),
        (thought(HostSide::Src, "CnC", over(49)), true),
        (thought(HostSide::Src, "CnC", over(50)), false),
        (thought(HostSide::Dst, "CnC", over(1)), false),
        (thought(HostSide::Dst, "CnC", None), true),
        (thought(HostSide::Any, "CnC", None), true),
        (thought(HostSide::Both, "CnC", None), false),
        (thought(HostSide::Dst, "Bad", any), true),
        (thought(HostSide::Src, "Unknown", None), false),
    ];
    let expected: Vec<u32> = (1..)
        .zip(&tests)
        .filter(|(_, (_, holds))| *holds)
        .map(|(sid, _)| sid)
        .collect();
    let rules = (1..)
        .zip(tests)
        .map(|(sid, (test, _))| rule(sid, vec![test], vec![]))
        .collect();
    let mut world = World::with(RuleSet::new(rules), &Overrides::default(), &config);
    assert_eq!(world.matches((A, B), 0), expected);
    assert_eq!(
        world.matches(([172, 16, 0, 1], [172, 16, 0, 2]), 0),
        [9, 10, 11]
    );
}

#[test]
fn what_finds_no_room_is_counted() {
    let config = StateConfig {
        host_bits: 10,
        tagged_hosts: 10,
        ..StateConfig::default()
    };
    let actions = (0..=MOST_COUNTERS as u32).map(|at| StateAction::FlowInt {
        name: format!("n{at}").as_str().into(),
        op: FlowIntOp::Set,
        value: FlowIntValue::Number(at),
    });
    let mut actions: Vec<StateAction> = actions.collect();
    actions.push(host_bit(BitOp::Set, BitTrack::Src, 1000));
    actions.push(StateAction::Tag {
        scope: TagScope::Src,
        metric: TagMetric::Seconds(1000),
    });
    let rules = RuleSet::new(vec![rule(1, vec![], actions)]);
    let mut world = World::with(rules, &Overrides::default(), &config);
    for at in 0..11 {
        world.matches(([10, 0, 0, at], B), 0);
    }
    let counters = world.shared.counters();
    assert_eq!(counters.refused, 11);
    assert_eq!((counters.host_bits, counters.host_bits_evicted), (5, 6));
    assert_eq!(counters.tagged_hosts_evicted, 6);
}
