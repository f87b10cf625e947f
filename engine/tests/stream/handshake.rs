//! Handshakes of all kinds, and what they settle: windows, scaling, timestamps, where the streams begin.

use weir_engine::stream::{SessionConfig, TcpState};

use crate::support::{ACK, Connection, FIN, RST, SYN, down, up};

#[test]
fn windows_are_scaled_when_both_offer_it() {
    // 1,000 << 7 after the handshake; not in it.
    for (client, server, reach) in [
        (Some(7), Some(2), 128_000),
        (Some(7), None, 1_000),
        (None, None, 1_000),
    ] {
        let mut tcp = Connection::new(false);
        let offer = |segment: crate::support::Seg, shift: Option<u8>| match shift {
            Some(shift) => segment.scale(shift),
            None => segment,
        };
        tcp.take_all(&[
            offer(up(SYN, 100, 0).window(1_000), client),
            offer(down(SYN | ACK, 500, 101), server),
            up(ACK, 101, 501).window(1_000),
        ]);
        let inside = tcp.take(&down(ACK, 501 + reach - 10, 101).data(10));
        assert!(inside.step.accepted, "{client:?} {server:?}");
        let outside = tcp.take(&down(ACK, 501 + reach, 101).data(1));
        assert_eq!(outside.events(), ["est_packet_out_of_window"]);
        assert!(!outside.step.accepted);
    }
}

/// Otherwise it would be taken for none, and all that follows for out of the window.
#[test]
fn a_shift_above_14_is_14() {
    let mut tcp = Connection::new(false);
    tcp.take_all(&[
        up(SYN, 100, 0).scale(200),
        down(SYN | ACK, 500, 101).scale(0),
        up(ACK, 101, 501).window(10),
        down(ACK, 501 + 163_000, 101).data(10),
    ]);
}

#[test]
fn a_segment_that_reaches_out_of_the_window_is_cut() {
    let mut tcp = Connection::connected();
    let took = tcp.take(&up(ACK, 101 + 65_530, 501).data(10));
    assert_eq!(took.events(), ["est_packet_out_of_window"]);
    assert!(took.step.accepted);
    assert_eq!(took.step.taken, 5);
    let session = *tcp.session(&took);
    assert_eq!(session.next_seq(true), Some(101 + 65_535));
}

#[test]
fn several_syns_may_differ_in_all_things() {
    // The last one offers no scaling and another time; the server answers the first.
    let mut tcp = Connection::new(false);
    tcp.take_all(&[
        up(SYN, 100, 0).scale(7).stamp(1_000, 0),
        up(SYN, 100, 0).stamp(50, 0).window(1),
        down(SYN | ACK, 500, 101).scale(7).stamp(7, 1_000),
        up(ACK, 101, 501).stamp(1_001, 7),
        up(ACK, 101, 501).stamp(1_001, 7).data(10),
        down(ACK, 501 + 100_000, 111).stamp(8, 1_001).data(10),
    ]);
    // Nor may the answer echo what was never sent.
    let mut tcp = Connection::new(false);
    tcp.take(&up(SYN, 100, 0).stamp(1_000, 0));
    for flags in [SYN | ACK, RST | ACK, FIN | ACK, ACK, SYN] {
        let (events, state) = tcp.raises(&down(flags, 500, 101).stamp(7, 999));
        assert!(
            events.contains(&"pkt_invalid_timestamp"),
            "{flags}: {events:?}"
        );
        assert_eq!(state, TcpState::SynSent);
    }
}

#[test]
fn the_data_of_fast_open_is_taken_or_rewound() {
    for (ack, taken) in [(111, true), (101, false)] {
        let mut tcp = Connection::new(false);
        let took = tcp.take(&up(SYN, 100, 0).fast_open().data(10));
        assert!(took.step.accepted);
        assert_eq!(tcp.session(&took).next_seq(true), Some(111));
        let took = tcp.take(&down(SYN | ACK, 500, ack));
        assert_eq!(
            (took.step.rewound, took.events().is_empty()),
            (!taken, taken)
        );
        assert_eq!(tcp.session(&took).next_seq(true), Some(ack));
        // With Fast Open the server need not wait.
        let took = tcp.take(&down(ACK, 501, ack).data(5));
        assert!(took.step.accepted && took.state == TcpState::Established);
    }
    // Without the option, data of a SYN is no part of the stream.
    let mut tcp = Connection::new(false);
    assert!(!tcp.take(&up(SYN, 100, 0).data(10)).step.accepted);
}

#[test]
fn data_may_come_with_the_answer() {
    for (ack, rest) in [(521, 0), (501, 20)] {
        let mut tcp = Connection::new(false);
        tcp.take_all(&[up(SYN, 100, 0).fast_open()]);
        assert!(tcp.take(&down(SYN | ACK, 500, 101).data(20)).step.accepted);
        let took = tcp.take(&up(ACK, 101, ack));
        assert_eq!(
            (took.state, took.events().len()),
            (TcpState::Established, 0)
        );
        assert!(tcp.take(&down(ACK, ack, 101).data(rest)).step.accepted);
    }
}

#[test]
fn both_answers_complete_a_handshake_that_both_began() {
    let mut tcp = Connection::new(false);
    tcp.take_all(&[
        up(SYN, 100, 0),
        down(SYN, 500, 0),
        up(SYN | ACK, 100, 501),
        down(SYN | ACK, 500, 101),
    ]);
    let took = tcp.take(&up(ACK, 101, 501).data(10));
    assert!(took.view.established && took.step.accepted);
    assert!(tcp.take(&down(ACK, 501, 111).data(10)).step.accepted);
}

#[test]
fn the_server_may_show_that_the_third_packet_was_missed() {
    for (seq, ack) in [(501, 101), (501, 151), (551, 151)] {
        let mut tcp = Connection::new(false);
        tcp.take_all(&[up(SYN, 100, 0), down(SYN | ACK, 500, 101)]);
        let took = tcp.take(&down(ACK, seq, ack).data(10));
        assert_eq!(took.state, TcpState::Established, "{seq} {ack}");
        assert!(took.step.accepted && took.step.events.is_empty());
    }
}

#[test]
fn a_flood_of_answers_hides_no_connection() {
    let mut tcp = Connection::new(false);
    tcp.take(&up(SYN, 100, 0));
    for n in 0..20 {
        tcp.take(&down(SYN | ACK, 1_000 * n, 101));
    }
    let took = tcp.take(&up(ACK, 101, 15_001).data(10));
    assert!(took.view.established && took.step.accepted);
    assert_eq!(tcp.session(&took).first_byte(false), Some(15_001));
    assert!(tcp.take(&down(ACK, 15_001, 111).data(10)).step.accepted);
}

#[test]
fn one_direction_is_enough_when_asked() {
    let config = SessionConfig {
        async_oneside: true,
        ..SessionConfig::default()
    };
    let mut tcp = Connection::with(config);
    tcp.take_all(&[
        up(SYN, 100, 0),
        up(ACK, 101, 501),
        up(ACK, 101, 501).data(10),
        // What came out of order comes nevertheless.
        up(ACK, 121, 501).data(10),
    ]);
    let took = tcp.take(&up(ACK, 111, 501).data(10));
    assert!(took.step.accepted && took.step.events.is_empty());
    assert_eq!(tcp.session(&took).acked(true), Some(131));
    // Windows are not known: nothing is out of them.
    assert!(tcp.take(&up(ACK, 1_000_131, 501).data(10)).step.accepted);

    let mut tcp = Connection::new(false);
    tcp.take_all(&[up(SYN, 100, 0), up(ACK, 101, 501)]);
    let took = tcp.take(&up(ACK, 101, 501).data(10));
    assert_eq!((took.state, took.step.accepted), (TcpState::SynSent, false));
}

#[test]
fn an_answer_seen_first_comes_from_the_server() {
    for midstream in [true, false] {
        let mut tcp = Connection::new(midstream);
        let took = tcp.take(&down(SYN | ACK, 500, 101));
        assert_eq!(took.step.reversed, midstream);
        assert_eq!(took.view.to_server, !midstream);
        let flow = tcp.flow(took.view);
        let client = if midstream { tcp.client } else { tcp.server };
        assert_eq!(flow.client, client);
        assert_eq!(flow.packets[usize::from(midstream)], 1);
        let took = tcp.take(&up(ACK, 101, 501).data(10));
        assert_eq!(took.step.accepted, midstream);
        let took = tcp.take(&down(ACK, 501, 111).data(10));
        assert_eq!(took.step.accepted, midstream);
    }
}

#[test]
fn a_fin_with_data_picks_a_connection_up() {
    let mut tcp = Connection::new(true);
    let took = tcp.take(&up(FIN | ACK, 100, 500).data(10));
    assert_eq!(
        (took.state, took.step.accepted),
        (TcpState::CloseWait, true)
    );
    let took = tcp.take(&down(FIN | ACK, 500, 111));
    assert_eq!(took.state, TcpState::LastAck);
    assert_eq!(tcp.take(&up(ACK, 111, 501)).state, TcpState::Closed);
}

#[test]
fn a_server_that_answers_has_not_refused() {
    let mut tcp = Connection::new(false);
    tcp.take_all(&[up(SYN, 100, 0), down(RST | ACK, 0, 101)]);
    let took = tcp.take(&down(SYN | ACK, 500, 101));
    assert_eq!(took.events(), ["suspected_rst_inject"]);
    tcp.take_all(&[up(ACK, 101, 501), up(ACK, 101, 501).data(10)]);
    // And a client's reset before that says nothing about the server.
    let mut tcp = Connection::new(false);
    tcp.take_all(&[up(SYN, 100, 0), up(RST, 101, 0), down(SYN | ACK, 500, 101)]);
    assert_eq!(tcp.take(&up(ACK, 101, 501)).state, TcpState::Established);
}
