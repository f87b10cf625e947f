//! Which packets make a flow, and how flows come and go.

use crate::support::{ACK, SECOND, SYN, Segment, Table, v4, v6};
use weir_engine::flow::{FlowAction, FlowConfig, FlowView};

fn table(max_flows: usize) -> Table {
    Table::new(FlowConfig {
        max_flows,
        ..FlowConfig::default()
    })
}

fn id(table: &Table, view: FlowView) -> u64 {
    table.flow(view).id
}

fn syn(table: &mut Table, port: u16) -> FlowView {
    table.tcp(Segment {
        from: v4(9, port),
        to: v4(2, 80),
        flags: SYN,
        seq: 1,
        ack: 0,
        data: 0,
    })
}

#[test]
fn both_directions_are_one_flow_whoever_has_the_lower_address() {
    for (client, server) in [
        (v4(1, 9), v4(2, 7)),
        (v4(2, 9), v4(1, 7)),
        (v6(2, 1), v6(1, 2)),
    ] {
        let mut table = table(10);
        let there = table.udp(client, server);
        assert!(there.to_server && there.first && !there.established);
        assert!(!table.udp(client, server).first);
        let back = table.udp(server, client);
        assert!(!back.to_server && back.first && back.established);
        assert!(table.udp(client, server).established);
        let flow = table.flow(back);
        assert_eq!((flow.client, flow.server), (client, server));
        assert_eq!((flow.packets, flow.bytes), ([3, 1], [300, 100]));
    }
}

#[test]
fn an_end_may_talk_to_itself() {
    let mut table = table(10);
    let end = v4(1, 7);
    assert!(table.udp(end, end).to_server);
    let view = table.udp(end, end);
    assert!(view.to_server && !view.established);
}

#[test]
fn ping_and_its_answer_are_one_flow() {
    let mut table = table(10);
    for (client, server, ask, answer) in [
        (v4(1, 0).0, v4(2, 0).0, 8, 0),
        (v6(1, 0).0, v6(2, 0).0, 128, 129),
    ] {
        let there = table.icmp(client, server, ask, b"").expect("flow");
        let back = table.icmp(server, client, answer, b"").expect("flow");
        assert!(there.to_server && !back.to_server && back.established);
    }
    assert_eq!(table.flows.counters().created, 2);
}

#[test]
fn flows_end_after_their_timeout() {
    let mut table = table(10);
    let (client, server) = (v4(1, 9), v4(2, 7));
    let view = table.udp(client, server);
    let first = id(&table, view);
    table.now_ns += 30 * SECOND;
    let view = table.udp(client, server);
    assert_eq!(id(&table, view), first);
    table.now_ns += 30 * SECOND + 1;
    let view = table.udp(client, server);
    assert!(view.first && id(&table, view) != first);
    let second = id(&table, view);
    // Once there was an answer, it is kept longer.
    table.udp(server, client);
    table.now_ns += 300 * SECOND;
    let view = table.udp(client, server);
    assert_eq!(id(&table, view), second);
    assert_eq!(table.flows.counters().timed_out, 1);
}

#[test]
fn time_that_goes_backwards_ends_no_flow() {
    let mut table = table(10);
    let (client, server) = (v4(1, 9), v4(2, 7));
    let view = table.udp(client, server);
    let first = id(&table, view);
    for now_ns in [0, 999 * SECOND, 1_030 * SECOND, u64::MAX] {
        table.now_ns = now_ns;
        let view = table.udp(client, server);
        assert_eq!(id(&table, view) == first, now_ns != u64::MAX, "{now_ns}");
    }
    // A flow from the end of time never ends; nothing overflows.
    table.now_ns = 0;
    assert!(!table.udp(client, server).first);
}

#[test]
fn a_full_table_gives_up_what_was_idle_the_longest() {
    let mut table = table(4);
    let server = v4(2, 7);
    let mut ids = Vec::new();
    for port in 1..=4 {
        let view = table.udp(v4(1, port), server);
        ids.push(id(&table, view));
        table.now_ns += 1;
    }
    // The first is used again; so the second goes.
    table.udp(v4(1, 1), server);
    table.udp(v4(1, 5), server);
    assert_eq!(table.flows.counters().evicted, 1);
    for (port, kept) in [(1, true), (3, true), (4, true), (2, false)] {
        let view = table.udp(v4(1, port), server);
        assert_eq!(ids.contains(&id(&table, view)), kept, "port {port}");
    }
}

#[test]
fn a_flood_of_syns_does_not_push_connections_out() {
    let mut table = table(64);
    let (client, server) = (v4(1, 9), v4(2, 7));
    table.udp(client, server);
    table.udp(server, client);
    for port in 0..10_000 {
        syn(&mut table, port);
    }
    let view = table.udp(client, server);
    assert!(view.established);
    assert_eq!(table.flow(view).packets, [2, 1]);
}

#[test]
fn connections_leave_room_for_new_ones() {
    let mut table = table(64);
    for port in 0..1_000 {
        table.udp(v4(1, port), v4(2, 7));
        table.udp(v4(2, 7), v4(1, port));
    }
    // Eight handshakes at a time still come through.
    for port in 0..8 {
        syn(&mut table, port);
    }
    for port in 0..8 {
        let (from, to) = (v4(2, 80), v4(9, port));
        let (flags, seq, ack, data) = (SYN | ACK, 500, 2, 0);
        table.tcp(Segment {
            from,
            to,
            flags,
            seq,
            ack,
            data,
        });
        let view = table.tcp(Segment {
            from: to,
            to: from,
            flags: ACK,
            seq: 2,
            ack: 501,
            data,
        });
        assert!(table.flow(view).tcp.established(), "port {port}");
    }
}

#[test]
fn a_table_of_one_works() {
    let mut table = table(0);
    for port in 0..10 {
        assert!(table.udp(v4(1, port), v4(2, 7)).first);
        assert!(table.udp(v4(2, 7), v4(1, port)).established);
    }
    assert_eq!(table.flows.counters().peak, 1);
}

#[test]
fn the_first_decision_stands() {
    let mut table = table(10);
    let view = table.udp(v4(1, 9), v4(2, 7));
    table.flows.decide(view, FlowAction::Drop);
    table.flows.decide(view, FlowAction::Pass);
    assert_eq!(table.flow(view).action, FlowAction::Drop);
}

#[test]
fn a_new_connection_does_not_inherit_what_let_the_old_one_pass_by() {
    let (client, server) = (v4(1, 9), v4(2, 80));
    let decided = |passed_by, action| {
        let mut table = Table::new(FlowConfig {
            max_flows: 10,
            passed_by,
            ..FlowConfig::default()
        });
        let send = |table: &mut Table, from, to, flags, seq, ack| {
            table.tcp(Segment {
                from,
                to,
                flags,
                seq,
                ack,
                data: 0,
            })
        };
        send(&mut table, client, server, SYN, 100, 0);
        send(&mut table, server, client, SYN | ACK, 500, 101);
        let view = send(&mut table, client, server, ACK, 101, 501);
        table.flows.decide(view, action);
        // Sent again, it is the same connection.
        let again = send(&mut table, client, server, SYN, 100, 0);
        assert_eq!(table.flow(again).action, action);
        // The FIN went another way.
        let view = send(&mut table, client, server, SYN, 9000, 0);
        table.flow(view).action
    };
    for action in [FlowAction::Pass, FlowAction::Bypass] {
        assert_eq!(decided(true, action), FlowAction::None);
        assert_eq!(decided(false, action), action);
    }
    assert_eq!(decided(true, FlowAction::Drop), FlowAction::Drop);
}
