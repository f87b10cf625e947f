//! How flows end: by time, by others, by the end of the run; and what is said of them.

use crate::support::{ACK, SECOND, SYN, Segment, Table, v4};
use weir_engine::flow::{
    Detail, ElephantConfig, EndReason, Ended, FlowAction, FlowConfig, FlowState, TimeoutProto,
};

/// Flows are found up to this long after their time.
const SPAN: u64 = 1 << 30;

fn table(max_flows: usize) -> Table {
    Table::new(FlowConfig {
        max_flows,
        ..FlowConfig::default()
    })
}

fn expire(table: &mut Table) -> Vec<Ended> {
    table.flows.look(table.now_ns);
    std::iter::from_fn(|| table.flows.next_over()).collect()
}

fn taken(table: &mut Table) -> Vec<Ended> {
    std::iter::from_fn(|| table.flows.take_ended()).collect()
}

fn ports(ended: &[Ended]) -> Vec<u16> {
    ended.iter().map(|ended| ended.flow.client.1).collect()
}

#[test]
fn time_alone_ends_flows_and_says_when_their_time_was_up() {
    let mut table = table(100);
    let start = table.now_ns;
    assert!(expire(&mut table).is_empty());
    table.udp(v4(1, 1), v4(2, 7));
    table.now_ns += 10 * SECOND;
    table.udp(v4(1, 2), v4(2, 7));
    table.udp(v4(1, 3), v4(2, 7));
    table.udp(v4(2, 7), v4(1, 3));
    table.now_ns = start + 30 * SECOND;
    assert!(expire(&mut table).is_empty(), "not before its time");
    table.now_ns += SPAN;
    let ended = expire(&mut table);
    assert_eq!(ports(&ended), [1]);
    assert_eq!(ended[0].reason, EndReason::Timeout);
    assert_eq!(ended[0].ts_ns, start + 30 * SECOND);
    assert!(!ended[0].emergency);
    table.now_ns = start + 40 * SECOND + SPAN;
    assert_eq!(ports(&expire(&mut table)), [2]);
    // The one with an answer.
    table.now_ns = start + 310 * SECOND;
    assert!(expire(&mut table).is_empty());
    table.now_ns += SPAN;
    let ended = expire(&mut table);
    assert_eq!(
        (ports(&ended), ended[0].ts_ns),
        (vec![3], start + 310 * SECOND)
    );
    let counters = table.flows.counters();
    assert_eq!((counters.active, counters.timed_out), (0, 3));
    assert_eq!(counters.ended, [2, 1, 0, 0]);
}

#[test]
fn a_flow_that_is_used_stays() {
    let mut table = table(100);
    for _ in 0..100 {
        table.udp(v4(1, 1), v4(2, 7));
        table.now_ns += 20 * SECOND;
        assert!(expire(&mut table).is_empty());
    }
    table.now_ns += 12 * SECOND;
    assert_eq!(expire(&mut table).len(), 1);
}

#[test]
fn a_packet_ends_its_own_flow_when_that_is_over_and_says_so_once() {
    let mut table = table(100);
    table.udp(v4(1, 1), v4(2, 7));
    assert!(taken(&mut table).is_empty());
    let since = table.now_ns;
    table.now_ns += 31 * SECOND;
    let view = table.udp(v4(1, 1), v4(2, 7));
    assert!(view.first);
    let ended = taken(&mut table);
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (ended[0].reason, ended[0].ts_ns),
        (EndReason::Timeout, since + 30 * SECOND)
    );
    assert_ne!(ended[0].flow.id, table.flow(view).id);
    assert!(table.flows.take_ended().is_none());
    // Another flow's packets end it never.
    table.now_ns += 31 * SECOND;
    table.udp(v4(1, 2), v4(2, 7));
    assert!(taken(&mut table).is_empty());
    assert_eq!(table.flows.counters().active, 2);
}

#[test]
fn a_new_connection_ends_the_one_before_it() {
    let mut table = table(100);
    let syn = |seq| Segment {
        from: v4(1, 1),
        to: v4(2, 80),
        flags: SYN,
        seq,
        ack: 0,
        data: 0,
    };
    // Neither end has shaken hands: a SYN begins anew.
    table.tcp(Segment {
        flags: ACK,
        ..syn(7)
    });
    table.tcp(syn(100));
    let ended = taken(&mut table);
    assert_eq!(ended.len(), 1);
    assert_eq!(
        (ended[0].reason, ended[0].ts_ns),
        (EndReason::Reused, table.now_ns)
    );
    assert_eq!(ended[0].flow.tcp_flags, [ACK, 0]);
    assert_eq!(table.flows.counters().reused, 1);
}

#[test]
fn one_that_makes_room_is_handed_out() {
    let mut table = table(2);
    for port in 1..=3 {
        table.udp(v4(1, port), v4(2, 7));
        table.now_ns += 1;
    }
    let ended = taken(&mut table);
    assert_eq!(ports(&ended), [1]);
    assert_eq!(ended[0].reason, EndReason::Forced);
    assert!(ended[0].emergency);
    // Both at once: a packet that ends its own flow needs no other one to go.
    table.now_ns += 31 * SECOND;
    table.udp(v4(1, 3), v4(2, 7));
    let ended = taken(&mut table);
    assert_eq!(ports(&ended), [3]);
    assert_eq!(table.flows.counters().evicted, 1);
}

#[test]
fn connections_that_are_over_go_before_those_that_begin() {
    let mut table = table(4);
    let (client, server) = (v4(1, 1), v4(2, 80));
    let segment = |from, to, flags, seq, ack| Segment {
        from,
        to,
        flags,
        seq,
        ack,
        data: 0,
    };
    table.udp(v4(1, 9), v4(2, 7));
    table.now_ns += 1;
    table.tcp(segment(client, server, SYN, 100, 0));
    // Refused.
    table.tcp(segment(server, client, 0x04 | ACK, 0, 101));
    table.udp(v4(1, 10), v4(2, 7));
    table.udp(v4(1, 11), v4(2, 7));
    table.udp(v4(1, 12), v4(2, 7));
    let ended = taken(&mut table);
    assert_eq!(ports(&ended), [1]);
    assert_eq!(ended[0].flow.state(), FlowState::Closed);
}

#[test]
fn a_table_that_is_nearly_full_keeps_flows_for_shorter() {
    let mut table = table(100);
    let start = table.now_ns;
    expire(&mut table);
    for port in 0..94 {
        table.udp(v4(1, port), v4(2, 7));
    }
    assert_eq!(table.flows.counters().emergencies, 0);
    table.udp(v4(1, 94), v4(2, 7));
    table.udp(v4(1, 95), v4(2, 7));
    assert_eq!(table.flows.counters().emergencies, 1);
    table.now_ns = start + 10 * SECOND + SPAN;
    // Also where nothing but a packet of the flow itself asks.
    assert!(table.udp(v4(1, 3), v4(2, 7)).first);
    assert_eq!(taken(&mut table)[0].ts_ns, start + 10 * SECOND);
    let ended = expire(&mut table);
    assert_eq!(ended.len(), 95);
    assert!(ended.iter().all(|ended| ended.emergency));
    let counters = table.flows.counters();
    assert_eq!((counters.emergencies, counters.emergencies_over), (1, 1));
    assert_eq!((counters.active, counters.evicted), (1, 0));
    // Over: 30 seconds again.
    table.now_ns += 20 * SECOND;
    assert!(expire(&mut table).is_empty());
}

#[test]
fn a_bypassed_flow_is_accounted_and_has_a_timeout_of_its_own() {
    let mut table = table(10);
    let view = table.udp(v4(1, 1), v4(2, 7));
    table.udp(v4(2, 7), v4(1, 1));
    table.flows.decide(view, FlowAction::Bypass);
    table.udp(v4(1, 1), v4(2, 7));
    table.udp(v4(2, 7), v4(1, 1));
    let counters = table.flows.counters();
    assert_eq!(
        (counters.bypassed_packets, counters.bypassed_bytes),
        (2, 200)
    );
    table.now_ns += 100 * SECOND;
    assert!(expire(&mut table).is_empty());
    table.now_ns += SPAN;
    let ended = expire(&mut table);
    assert_eq!(ended[0].flow.state(), FlowState::Bypassed);
    assert_eq!(ended[0].flow.packets, [2, 2]);
    assert_eq!(table.flows.counters().ended, [0, 0, 0, 1]);
}

#[test]
fn the_end_of_the_run_ends_all_in_the_order_of_their_last_packets() {
    let mut table = table(100);
    let start = table.now_ns;
    for port in [5, 3, 9, 1] {
        table.udp(v4(1, port), v4(2, 7));
        table.now_ns += SECOND;
    }
    table.udp(v4(2, 7), v4(1, 3));
    table.flows.close();
    let ended: Vec<Ended> = std::iter::from_fn(|| table.flows.next_over()).collect();
    assert_eq!(ports(&ended), [5, 9, 1, 3]);
    assert!(ended.iter().all(|flow| flow.reason == EndReason::Shutdown));
    let times: Vec<u64> = ended
        .iter()
        .map(|flow| (flow.ts_ns - start) / SECOND)
        .collect();
    assert_eq!(times, [0, 2, 3, 4]);
    assert_eq!(table.flows.counters().active, 0);
    table.flows.close();
    assert!(table.flows.next_over().is_none());
}

#[test]
fn one_packet_with_a_wild_time_ends_nothing() {
    let mut table = table(100);
    expire(&mut table);
    table.udp(v4(1, 1), v4(2, 7));
    let now_ns = table.now_ns;
    table.now_ns = 40 * 365 * 86_400 * SECOND;
    table.udp(v4(1, 2), v4(2, 7));
    assert!(expire(&mut table).is_empty());
    assert_eq!(table.flows.counters().clock_leaps, 1);
    table.now_ns = now_ns + SECOND;
    assert!(expire(&mut table).is_empty());
    assert!(!table.udp(v4(1, 1), v4(2, 7)).first);
    // The wild one ends, too: its time counts from now on.
    let mut ends = 0;
    for _ in 0..2_000 {
        table.now_ns += 2 * SECOND;
        table.udp(v4(1, 1), v4(2, 7));
        ends += expire(&mut table).len();
    }
    assert_eq!((ends, table.flows.counters().active), (1, 1));
}

#[test]
fn a_clock_that_really_leaps_ends_what_is_over() {
    let mut table = table(100);
    expire(&mut table);
    table.udp(v4(1, 1), v4(2, 7));
    table.now_ns += 86_400 * SECOND;
    table.udp(v4(1, 2), v4(2, 7));
    assert!(expire(&mut table).is_empty(), "seen once");
    table.now_ns += SECOND;
    assert_eq!(ports(&expire(&mut table)), [1]);
    assert_eq!(table.flows.counters().clock_leaps, 1);
}

#[test]
fn a_clock_that_goes_back_for_good_goes_on_ending_flows() {
    let mut table = table(100);
    table.now_ns = 100_000_000 * SECOND;
    for port in 1..10 {
        table.udp(v4(1, port), v4(2, 7));
        assert!(expire(&mut table).is_empty());
        // Another capture follows, of the week before.
        table.now_ns = 100_000_000 * SECOND - u64::from(port) * 604_800 * SECOND;
    }
    for _ in 0..5 {
        expire(&mut table);
        table.now_ns += 20 * SECOND;
        table.udp(v4(2, 1), v4(2, 7));
    }
    assert_eq!(table.flows.counters().active, 1);
    assert!(table.flows.counters().clock_leaps > 0);
}

#[test]
fn timeouts_are_as_configured() {
    let mut config = FlowConfig::default();
    let proto = TimeoutProto::Udp as usize;
    config.timeouts.normal[proto][FlowState::New as usize] = 7_200 * SECOND;
    config.timeouts.normal[proto][FlowState::Established as usize] = 2 * SECOND;
    let mut table = Table::new(config);
    expire(&mut table);
    table.udp(v4(1, 1), v4(2, 7));
    table.udp(v4(1, 2), v4(2, 7));
    table.udp(v4(2, 7), v4(1, 2));
    // Buckets are wider where timeouts are longer.
    table.now_ns += 12 * SECOND;
    assert_eq!(ports(&expire(&mut table)), [2]);
    table.now_ns += 7_188 * SECOND;
    assert!(expire(&mut table).is_empty());
    table.now_ns += 10 * SECOND;
    assert_eq!(ports(&expire(&mut table)), [1]);
}

#[test]
fn vlans_keep_flows_apart_unless_told_otherwise() {
    for (vlan, created) in [(true, 2), (false, 1)] {
        let mut table = Table::new(FlowConfig {
            vlan,
            ..FlowConfig::default()
        });
        table.vlan = Some(5);
        table.udp(v4(1, 1), v4(2, 7));
        table.vlan = Some(6);
        let view = table.udp(v4(1, 1), v4(2, 7));
        assert_eq!(table.flows.counters().created, created);
        // Its record names the VLAN of the first packet.
        let first = if vlan { 6 } else { 5 };
        assert_eq!(table.flow(view).vlan, ([first, 0, 0], 1));
    }
}

#[test]
fn what_a_record_says_is_kept() {
    let mut table = table(10);
    let (client, server) = (v4(1, 0).0, v4(2, 0).0);
    table.icmp(client, server, 8, b"").expect("flow");
    let view = table.icmp(server, client, 0, b"").expect("flow");
    assert_eq!(
        table.flow(view).detail,
        Detail::Icmp([Some((8, 0)), Some((0, 0))])
    );
    let start = table.now_ns;
    let view = table.udp(v4(1, 1), v4(2, 7));
    assert_eq!(table.flow(view).age(), 0);
    table.now_ns = start + 999_999_999;
    table.udp(v4(1, 1), v4(2, 7));
    assert_eq!(table.flow(view).age(), 0);
    table.now_ns += 1;
    table.udp(v4(1, 1), v4(2, 7));
    assert_eq!(table.flow(view).age(), 1);
    table.flows.get_mut(view).alerted = true;
    assert!(table.flow(view).alerted);
}

#[test]
fn an_elephant_is_known_by_its_bytes_in_a_direction() {
    let mut table = Table::new(FlowConfig {
        elephant: Some(ElephantConfig {
            bytes: 300,
            seconds: 2,
        }),
        ..FlowConfig::default()
    });
    // 100 bytes each.
    for _ in 0..2 {
        table.udp(v4(1, 1), v4(2, 7));
        let view = table.udp(v4(2, 7), v4(1, 1));
        assert_eq!(table.flow(view).elephant, [false; 2]);
    }
    let view = table.udp(v4(1, 1), v4(2, 7));
    assert_eq!(table.flow(view).elephant, [true, false]);
    table.now_ns += 2 * SECOND;
    let view = table.udp(v4(2, 7), v4(1, 1));
    assert_eq!(table.flow(view).elephant, [true, false], "for good");
    assert_eq!(table.flows.counters().elephants, 1);
}

#[test]
fn memory_and_flows_go_together() {
    let config = FlowConfig::default();
    for memory in [1 << 20, 64 << 20, 1 << 30] {
        let within = config.within(memory);
        assert!(within.memory() <= memory, "{memory}");
        assert!(within.memory() + within.bytes_per_flow() > memory);
    }
    assert_eq!(config.within(0).max_flows, 1);
    let elephants = FlowConfig {
        elephant: Some(ElephantConfig {
            bytes: 1,
            seconds: 10,
        }),
        ..config
    };
    assert_eq!(
        elephants.bytes_per_flow(),
        config.bytes_per_flow() + 2 * (16 + 40)
    );
}
