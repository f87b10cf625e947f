use super::super::header::Check;
use super::super::strategies;
use super::*;
use crate::flow::FlowView;
use crate::packet::{Net, Transport};
use crate::plan::{Num, NumOp};
use proptest::prelude::*;

/// A rule of TCP to these server ports with a probe in the payload.
fn to_ports(ports: &[u16]) -> Rule {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = strategies::rule().new_tree(&mut runner).expect("a rule");
    let mut rule = proptest::strategy::ValueTree::current(&tree);
    let mut set = PortSet::none();
    for &port in ports {
        set.union(&PortSet::range(port, port).expect("in order"));
    }
    rule.header.proto = Proto::Tcp;
    (rule.header.sport, rule.header.dport) = (PortSet::any(), set);
    rule.header.bidirectional = false;
    rule.tests = Vec::new();
    rule.probe = Some(ProbeChoice {
        buffer: Buffer::Payload,
        bytes: b"probe".to_vec(),
        folded: false,
    });
    rule.flow = Some(FlowTest {
        to_server: true,
        ..FlowTest::default()
    });
    rule
}

fn times(count: usize, ports: &[u16]) -> impl Iterator<Item = Rule> + use<> {
    std::iter::repeat_n(to_ports(ports), count)
}

fn to_server(groups: &Groups, port: u16) -> u8 {
    let mut packet = Packet::new(0, 1, 100);
    packet.net = Net::V4 { header: &[0; 20] };
    packet.transport = Transport::Tcp { header: &[0; 20] };
    packet.proto = TCP;
    (packet.sport, packet.dport) = (40_000, port);
    groups.of_packet(&packet, Some(true))
}

proptest! {
    /// The one thing that must never fail: a rule that concerns a packet is looked for in it.
    #[test]
    fn a_rule_belongs_to_the_group_of_every_packet_that_it_concerns(
        rules in prop::collection::vec((strategies::rule(), 1..FEW_RULES + 2), 1..12),
        packets in prop::collection::vec(strategies::packet(), 1..24),
    ) {
        let rules = rules.into_iter().flat_map(|(rule, count)| std::iter::repeat_n(rule, count));
        let set = RuleSet::new(rules.collect());
        let groups = Groups::new(&set);
        prop_assert!(groups.count() <= Groups::MOST);
        for (packet, flow) in &packets {
            let group = groups.of_packet(packet, flow.map(|view: FlowView| view.to_server));
            prop_assert!(group < groups.count());
            prop_assert!(!groups.name(group).is_empty());
            for rule in set.rules() {
                prop_assert!(
                    !Check::new(rule).holds(packet, *flow)
                        || groups.of_rule(rule) >> group & 1 == 1,
                    "{} misses {:?} {:?}", groups.name(group), rule.header, rule.flow
                );
            }
        }
    }
}

#[test]
fn ports_that_many_rules_name_get_a_group_of_their_own() {
    let rules = times(FEW_RULES, &[445])
        .chain(times(FEW_RULES, &[80, 8080]))
        .chain(times(1, &[80, 8080]))
        .chain(times(1, &[25]))
        .chain(times(1, &[110]));
    let groups = Groups::new(&RuleSet::new(rules.collect()));
    let names = |port| groups.name(to_server(&groups, port));
    assert_eq!(names(445), "tcp to server, port 445");
    assert_eq!(names(80), "tcp to server, ports 80, 8080");
    assert_eq!(names(8080), names(80));
    assert_eq!(names(25), "tcp to server, ports 25, 110");
    assert_eq!(names(53), "tcp to server, other ports");
    // Each of these rules is looked for where it can match, and nowhere else.
    for ports in [&[445][..], &[80, 8080], &[25]] {
        let wanted = 1 << to_server(&groups, ports[0]);
        assert_eq!(groups.of_rule(&to_ports(ports)), wanted, "{ports:?}");
    }
    assert_eq!(groups.name(groups.count()), "");
}

#[test]
fn there_are_never_more_groups_than_payload_may_have() {
    let rules = (0..2000u16).flat_map(|port| times(FEW_RULES, &[port]));
    let set = RuleSet::new(rules.collect());
    let groups = Groups::new(&set);
    assert_eq!(
        usize::from(groups.count()),
        usize::from(Groups::MOST) - DIVIDED + 1
    );
    let named = (0..2000).map(|port| groups.name(to_server(&groups, port)));
    let (alone, shared): (Vec<_>, Vec<_>) = named.partition(|name| name.contains("port "));
    assert_eq!(alone.len(), usize::from(Groups::MOST) - 12 - DIVIDED);
    assert!(shared.iter().all(|name| name.contains("more")));
    for rule in set.rules() {
        assert_eq!(groups.of_rule(rule).count_ones(), 1);
    }
}

#[test]
fn a_rule_of_a_wide_range_divides_nothing() {
    let mut wide = to_ports(&[]);
    wide.header.dport = PortSet::range(1024, u16::MAX).expect("in order");
    let rules = std::iter::repeat_n(wide.clone(), FEW_RULES).chain(times(FEW_RULES, &[80]));
    let groups = Groups::new(&RuleSet::new(rules.collect()));
    assert_eq!(
        groups.name(to_server(&groups, 5000)),
        "tcp to server, other ports"
    );
    let bit = |port| 1 << to_server(&groups, port);
    assert_eq!(groups.of_rule(&wide), bit(5000));
    wide.header.bidirectional = true;
    assert_eq!(groups.of_rule(&wide), bit(5000) | bit(80));
    // One port that no rule names by itself is enough.
    let (low, high): (Vec<u16>, Vec<u16>) = ((1..=200).collect(), (201..=299).collect());
    let groups = Groups::new(&RuleSet::new(
        times(1, &low).chain(times(1, &high)).collect(),
    ));
    let mut wide = to_ports(&(1..=300).collect::<Vec<_>>());
    let bit = |port| 1 << to_server(&groups, port);
    assert_eq!(groups.of_rule(&wide), bit(1) | bit(300));
    wide.header.dport = PortSet::range(1, 299).expect("in order");
    assert_eq!(groups.of_rule(&wide), bit(1));
}

#[test]
fn a_protocol_number_that_a_rule_asks_for_keeps_it_out_of_the_others() {
    let classes = |op, a| {
        let mut rule = to_ports(&[]);
        rule.header.proto = Proto::Ip;
        rule.tests = vec![PacketTest::IpProto(Num { op, a, b: 0 })];
        Class::of_rule(&rule).collect::<Vec<_>>()
    };
    assert_eq!(classes(NumOp::Eq, 6), [Class::Tcp]);
    assert_eq!(classes(NumOp::Eq, 58), [Class::Icmp]);
    assert_eq!(classes(NumOp::Eq, 41), [Class::Other]);
    assert_eq!(classes(NumOp::Lt, 2), [Class::Icmp, Class::Other]);
    assert_eq!(classes(NumOp::Gt, 17), [Class::Icmp, Class::Other]);
    assert_eq!(
        classes(NumOp::Ne, 17),
        [Class::Tcp, Class::Icmp, Class::Other]
    );
    assert_eq!(classes(NumOp::Eq, 300), []);
}
