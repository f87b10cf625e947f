//! Every event, each in a conversation of its own.

use weir_engine::stream::{SessionConfig, StreamEvent, TcpState};

use crate::support::{ACK, Connection, FIN, RST, SYN, Seg, down, up};

/// A conversation without events, then a segment: what it raises, and the state after it.
#[derive(Clone)]
struct Case {
    raises: &'static str,
    config: SessionConfig,
    before: Vec<Seg>,
    segment: Seg,
    state: TcpState,
}

/// Far behind any window of these conversations.
const FAR: u32 = 70_000;

fn case(raises: &'static str, before: &[&[Seg]], segment: Seg, state: TcpState) -> Case {
    Case {
        raises,
        config: SessionConfig::default(),
        before: before.concat(),
        segment,
        state,
    }
}

fn handshake() -> Vec<Case> {
    use TcpState::{SynReceived, SynSent};
    let syn = [up(SYN, 100, 0)];
    let answered = [up(SYN, 100, 0), down(SYN | ACK, 500, 101)];
    let crossed = [up(SYN, 100, 0), down(SYN, 500, 0)];
    let crossed_answer = [up(SYN | ACK, 100, 501)];
    let claims: Vec<_> = (1..=5).map(|n| down(SYN | ACK, 500 + n, 101)).collect();
    let syns: Vec<_> = (0..11).map(|n| up(SYN, 100, 0).stamp(50 + n, 0)).collect();
    let open = [up(SYN, 100, 0).fast_open().data(10)];
    let inline = SessionConfig {
        inline: true,
        ..SessionConfig::default()
    };
    let one_sided = SessionConfig {
        async_oneside: true,
        ..SessionConfig::default()
    };
    vec![
        Case {
            config: inline,
            ..case(
                "3whs_ack_in_wrong_dir",
                &[&answered],
                down(ACK, 501, 101),
                SynReceived,
            )
        },
        Case {
            config: inline,
            ..case(
                "3whs_ack_data_inject",
                &[&answered],
                down(ACK, 501, 101).data(5),
                SynReceived,
            )
        },
        Case {
            config: one_sided,
            ..case("3whs_async_wrong_seq", &[&syn], up(ACK, 150, 501), SynSent)
        },
        case(
            "3whs_right_seq_wrong_ack_evasion",
            &[&answered],
            up(ACK, 101, 700),
            SynReceived,
        ),
        case(
            "3whs_synack_in_wrong_direction",
            &[&syn],
            up(SYN | ACK, 100, 1),
            SynSent,
        ),
        case(
            "3whs_synack_resend_with_different_ack",
            &[&answered],
            down(SYN | ACK, 500, 150),
            SynReceived,
        ),
        case(
            "3whs_synack_toserver_on_syn_recv",
            &[&answered],
            up(SYN | ACK, 100, 501),
            SynReceived,
        ),
        case(
            "3whs_synack_with_wrong_ack",
            &[&syn],
            down(SYN | ACK, 500, 150),
            SynSent,
        ),
        case(
            "3whs_synack_flood",
            &[&answered, &claims],
            down(SYN | ACK, 900, 101),
            SynReceived,
        ),
        case(
            "3whs_synack_tfo_data_ignored",
            &[&open],
            down(SYN | ACK, 500, 101),
            SynReceived,
        ),
        case(
            "3whs_syn_flood",
            &[&syns],
            up(SYN, 100, 0).stamp(70, 0),
            SynSent,
        ),
        case(
            "3whs_syn_resend_diff_seq_on_syn_recv",
            &[&answered],
            up(SYN, 150, 0),
            SynReceived,
        ),
        case(
            "3whs_syn_toclient_on_syn_recv",
            &[&answered],
            down(SYN, 500, 0),
            SynReceived,
        ),
        case(
            "3whs_wrong_seq_wrong_ack",
            &[&answered],
            up(ACK, 90, 700),
            SynReceived,
        ),
        case(
            "4whs_synack_with_wrong_ack",
            &[&crossed],
            up(SYN | ACK, 100, 700),
            SynSent,
        ),
        case(
            "4whs_synack_with_wrong_syn",
            &[&crossed],
            up(SYN | ACK, 90, 501),
            SynSent,
        ),
        case(
            "4whs_wrong_seq",
            &[&crossed, &crossed_answer],
            down(ACK, 600, 101),
            SynReceived,
        ),
        case(
            "4whs_invalid_ack",
            &[&crossed, &crossed_answer],
            down(ACK, 501, FAR),
            SynReceived,
        ),
        case(
            "fin_but_no_session",
            &[],
            up(FIN | ACK, 100, 500),
            TcpState::None,
        ),
        case("rst_but_no_session", &[], up(RST, 100, 0), TcpState::None),
        case("pkt_broken_ack", &[], up(SYN, 100, 7), SynSent),
        case(
            "suspected_rst_inject",
            &[&syn, &[down(RST | ACK, 0, 101)]],
            down(SYN | ACK, 500, 101),
            SynReceived,
        ),
    ]
}

fn established() -> Vec<Case> {
    use TcpState::{CloseWait, Closed, Established};
    let connected = [
        up(SYN, 100, 0),
        down(SYN | ACK, 500, 101),
        up(ACK, 101, 501),
    ];
    let ten = [up(ACK, 101, 501).data(10), down(ACK, 501, 111)];
    let twenty = [down(ACK, 501, 101).data(20), up(ACK, 101, 521)];
    let probe = [up(ACK, 101, 501).window(0), down(ACK, 501, 101).data(1)];
    let stamped = [
        up(SYN, 100, 0).stamp(10, 0),
        down(SYN | ACK, 500, 101).stamp(20, 10),
        up(ACK, 101, 501).stamp(12, 20),
    ];
    let all: [&[Seg]; 1] = [&connected];
    vec![
        case(
            "est_packet_out_of_window",
            &all,
            down(ACK, FAR, 101).data(5),
            Established,
        ),
        case(
            "est_pkt_before_last_ack",
            &[&connected, &twenty],
            down(ACK, 501, 101),
            Established,
        ),
        case(
            "est_synack_resend",
            &[&connected, &[down(ACK, 501, 101)]],
            down(SYN | ACK, 500, 101),
            Established,
        ),
        case(
            "est_synack_resend_with_different_ack",
            &all,
            down(SYN | ACK, 500, 150),
            Established,
        ),
        case(
            "est_synack_resend_with_diff_seq",
            &all,
            down(SYN | ACK, 700, 101),
            Established,
        ),
        case(
            "est_synack_toserver",
            &all,
            up(SYN | ACK, 100, 501),
            Established,
        ),
        case("est_syn_resend", &all, up(SYN, 100, 0), Established),
        case(
            "est_syn_resend_diff_seq",
            &all,
            up(SYN, 900, 0),
            Established,
        ),
        case("est_syn_toclient", &all, down(SYN, 500, 0), Established),
        case("est_invalid_ack", &all, up(ACK, 101, FAR), Established),
        case("pkt_invalid_ack", &all, up(ACK, 101, FAR), Established),
        case(
            "est_ack_zwp_data",
            &[&connected, &probe],
            up(ACK, 101, 502),
            Established,
        ),
        case(
            "fin_invalid_ack",
            &all,
            up(FIN | ACK, 101, FAR),
            Established,
        ),
        case(
            "fin_out_of_window",
            &all,
            up(FIN | ACK, FAR, 501),
            Established,
        ),
        case("fin_syn", &all, up(FIN | SYN | ACK, 101, 501), Established),
        case(
            "pkt_invalid_timestamp",
            &[&stamped],
            up(ACK, 101, 501).stamp(11, 20),
            Established,
        ),
        case(
            "rst_invalid_ack",
            &all,
            up(RST | ACK, 101, FAR),
            Established,
        ),
        case("rst_with_data", &all, up(RST, 101, 0).data(3), Closed),
        case(
            "pkt_spurious_retransmission",
            &[&connected, &ten],
            up(ACK, 101, 501).data(10),
            Established,
        ),
        case(
            "pkt_retransmission",
            &[&connected, &ten, &[up(FIN | ACK, 111, 501)]],
            up(ACK, 101, 501).data(10),
            CloseWait,
        ),
        case(
            "pkt_bad_window_update",
            &all,
            up(ACK, 150, 600).window(100),
            Established,
        ),
    ]
}

fn closing() -> Vec<Case> {
    use TcpState::{CloseWait, Closing, FinWait1, FinWait2, LastAck, TimeWait};
    let connected = [
        up(SYN, 100, 0),
        down(SYN | ACK, 500, 101),
        up(ACK, 101, 501),
    ];
    let twenty = [down(ACK, 501, 101).data(20), up(FIN | ACK, 101, 521)];
    let close_wait = [&connected[..], &[up(FIN | ACK, 101, 501)]].concat();
    let last_ack = [&close_wait[..], &[down(FIN | ACK, 501, 102)]].concat();
    let fin1 = [&connected[..], &[down(FIN | ACK, 501, 101)]].concat();
    let fin2 = [&fin1[..], &[up(ACK, 101, 502)]].concat();
    let time_wait = [&fin2[..], &[up(FIN | ACK, 101, 502)]].concat();
    let both = [&fin1[..], &[up(FIN | ACK, 101, 501)]].concat();
    vec![
        case(
            "closewait_ack_out_of_window",
            &[&close_wait],
            down(ACK, FAR, 102).data(5),
            CloseWait,
        ),
        case(
            "closewait_fin_out_of_window",
            &[&close_wait],
            down(FIN | ACK, FAR, 102),
            CloseWait,
        ),
        case(
            "closewait_pkt_before_last_ack",
            &[&connected, &twenty],
            down(ACK, 501, 102).data(10),
            CloseWait,
        ),
        case(
            "closewait_invalid_ack",
            &[&close_wait],
            down(ACK, 501, FAR),
            CloseWait,
        ),
        case("closing_ack_wrong_seq", &[&both], up(ACK, 90, 502), Closing),
        case("closing_invalid_ack", &[&both], up(ACK, 102, FAR), Closing),
        case("fin1_ack_wrong_seq", &[&fin1], up(ACK, FAR, 501), FinWait1),
        case(
            "fin1_fin_wrong_seq",
            &[&fin1],
            up(FIN | ACK, FAR, 501),
            FinWait1,
        ),
        case("fin1_invalid_ack", &[&fin1], up(ACK, 101, FAR), FinWait1),
        case("fin2_ack_wrong_seq", &[&fin2], up(ACK, FAR, 502), FinWait2),
        case(
            "fin2_fin_wrong_seq",
            &[&fin2],
            up(FIN | ACK, FAR, 502),
            FinWait2,
        ),
        case("fin2_invalid_ack", &[&fin2], up(ACK, 101, FAR), FinWait2),
        case(
            "lastack_ack_wrong_seq",
            &[&last_ack],
            up(ACK, 150, 502),
            LastAck,
        ),
        case(
            "lastack_invalid_ack",
            &[&last_ack],
            up(ACK, 102, FAR),
            LastAck,
        ),
        case(
            "timewait_ack_wrong_seq",
            &[&time_wait],
            down(ACK, 400, 102),
            TimeWait,
        ),
        case(
            "timewait_invalid_ack",
            &[&time_wait],
            down(ACK, 502, FAR),
            TimeWait,
        ),
        case("shutdown_syn_resend", &[&fin1], up(SYN, 100, 0), FinWait1),
    ]
}

#[test]
fn every_event_is_raised_where_it_belongs() {
    let cases = [handshake(), established(), closing()].concat();
    for case in &cases {
        let mut tcp = Connection::with(case.config);
        tcp.take_all(&case.before);
        let (raised, state) = tcp.raises(&case.segment);
        assert!(raised.contains(&case.raises), "{}: {raised:?}", case.raises);
        assert_eq!(state, case.state, "{}", case.raises);
    }
    for event in StreamEvent::ALL {
        let here = cases.iter().any(|case| case.raises == event.name());
        let elsewhere = event.name().starts_with("reassembly_");
        assert_eq!(here, event.raised() && !elsewhere, "{}", event.name());
    }
}

#[test]
fn events_have_the_names_that_rules_use() {
    for event in StreamEvent::ALL {
        assert_eq!(StreamEvent::from_name(event.name()), Some(*event));
        let prefixed = format!("stream.{}", event.name());
        assert_eq!(StreamEvent::from_name(&prefixed), Some(*event));
    }
    let other = StreamEvent::from_name("stream.est_synack_resend_with_diff_ack");
    assert_eq!(other, Some(StreamEvent::EstSynackResendWithDifferentAck));
    assert_eq!(StreamEvent::from_name("stream.stream.fin_syn"), None);
    assert_eq!(StreamEvent::from_name("est"), None);
}
