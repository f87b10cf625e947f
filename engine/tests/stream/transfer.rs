//! Data, acknowledgements, timestamps, resets and FINs of connections, and what may be tried with them.

use weir_engine::stream::{SessionConfig, TcpState, UrgentPolicy};

use crate::support::{ACK, Connection, FIN, RST, SYN, down, up};

#[test]
fn numbers_are_told() {
    let mut tcp = Connection::connected();
    tcp.take_all(&[up(ACK, 101, 501).data(10), down(ACK, 501, 106).data(7)]);
    let took = tcp.take(&up(ACK, 111, 505));
    let session = *tcp.session(&took);
    assert_eq!(
        (session.first_byte(true), session.first_byte(false)),
        (Some(101), Some(501))
    );
    assert_eq!(
        (session.next_seq(true), session.next_seq(false)),
        (Some(111), Some(508))
    );
    assert_eq!(
        (session.acked(true), session.acked(false)),
        (Some(106), Some(505))
    );
    assert_eq!((session.sent(true), session.sent(false)), (11, 8));
    let mut tcp = Connection::new(false);
    let took = tcp.take(&up(SYN, 100, 0));
    let session = *tcp.session(&took);
    assert_eq!(
        (session.first_byte(true), session.first_byte(false)),
        (Some(101), None)
    );
    assert_eq!((session.sent(true), session.sent(false)), (1, 0));
}

#[test]
fn order_does_not_matter_in_the_window() {
    for (order, last) in [
        ([40, 0, 10, 20, 30], false),
        ([10, 20, 30, 40, 0], false),
        ([40, 20, 0, 10, 30], true),
    ] {
        let mut tcp = Connection::connected();
        for at in order {
            let took = tcp.take(&up(ACK, 101 + at, 501).data(10));
            assert!(took.step.accepted && took.step.events.is_empty(), "{at}");
        }
        // Nothing is missing: a reset counts behind all of it. Of several gaps at a time, the receiver has to say so.
        if last {
            tcp.take_all(&[up(RST, 151, 0), down(ACK, 501, 151)]);
        }
        assert_eq!(tcp.take(&up(RST, 151, 0)).state, TcpState::Closed);
    }
}

#[test]
fn what_was_acknowledged_is_not_taken_again() {
    let mut tcp = Connection::connected();
    tcp.take_all(&[up(ACK, 101, 501).data(20), down(ACK, 501, 121)]);
    assert!(!tcp.take(&up(ACK, 101, 501).data(10)).step.accepted);
    assert!(tcp.take(&up(ACK, 111, 501).data(20)).step.accepted);
}

#[test]
fn keep_alives_are_nothing_new() {
    let mut tcp = Connection::connected();
    tcp.take_all(&[up(ACK, 101, 501).data(10), down(ACK, 501, 111)]);
    for data in [0, 1] {
        let took = tcp.take(&up(ACK, 110, 501).data(data));
        assert!(took.step.events.is_empty() && !took.step.accepted, "{data}");
    }
}

/// A window's loss would otherwise cost the rest of the connection.
#[test]
fn more_than_a_window_may_be_missed() {
    let far = 101 + 400_000;
    // The server acknowledges, then the client goes on there; or the other way round.
    for acked_first in [true, false] {
        let mut tcp = Connection::connected();
        let (segment, answer) = (up(ACK, far, 501).data(10), down(ACK, 501, far + 10));
        if acked_first {
            assert!(!tcp.take(&down(ACK, 501, far)).step.accepted);
            assert!(tcp.take(&segment).step.accepted);
            assert!(tcp.take(&answer).step.events.is_empty());
        } else {
            assert!(!tcp.take(&segment).step.accepted);
            assert!(tcp.take(&answer).step.accepted);
        }
        tcp.take_all(&[
            up(ACK, far + 10, 501).data(10),
            up(FIN | ACK, far + 20, 501),
        ]);
    }
    // One end alone can say what it likes.
    let mut tcp = Connection::connected();
    for step in 0..5 {
        let took = tcp.take(&up(ACK, far + 10 * step, 501).data(10));
        assert_eq!(took.events(), ["est_packet_out_of_window"]);
        assert!(!took.step.accepted);
    }
    tcp.take_all(&[up(ACK, 101, 501).data(10)]);
}

/// The server ignores a segment that acknowledges what it never sent. What the client sends then must not look old.
#[test]
fn an_acknowledgement_of_nothing_hides_nothing() {
    let mut tcp = Connection::connected();
    tcp.take(&up(ACK, 101, 501 + 60_000).window(1));
    let took = tcp.take(&up(ACK, 101, 501).data(10));
    assert!(took.step.accepted, "{:?}", took.events());
    let took = tcp.take(&down(ACK, 501, 111).data(10));
    assert!(took.step.accepted, "{:?}", took.events());
}

#[test]
fn a_timestamp_is_too_old_when_a_later_one_has_arrived() {
    let mut tcp = Connection::new(false);
    tcp.take_all(&[
        up(SYN, 100, 0).stamp(1_000, 0),
        down(SYN | ACK, 500, 101).stamp(70, 1_000),
        up(ACK, 101, 501).stamp(1_001, 70),
    ]);
    // It may have been lost behind the monitor. The events are Suricata's all the same.
    tcp.take_all(&[up(ACK, 101, 501).stamp(5_000, 70)]);
    let took = tcp.take(&up(ACK, 101, 501).stamp(1_002, 70).data(10));
    assert_eq!(
        (took.events(), took.step.accepted),
        (vec!["pkt_invalid_timestamp"], true)
    );
    // The server has it, and takes nothing older.
    tcp.take_all(&[down(ACK, 501, 111).stamp(71, 5_000)]);
    let took = tcp.take(&up(ACK, 111, 501).stamp(4_998, 71).data(10));
    assert_eq!(
        (took.events(), took.step.accepted),
        (vec!["pkt_invalid_timestamp"], false)
    );
    // The server cannot have had what was never sent.
    tcp.take(&down(ACK, 501, 111).stamp(72, 900_000));
    assert!(
        tcp.take(&up(ACK, 111, 501).stamp(5_001, 71).data(10))
            .step
            .accepted
    );
}

#[test]
fn timestamps_wrap_around() {
    let mut tcp = Connection::new(false);
    tcp.take_all(&[
        up(SYN, 100, 0).stamp(u32::MAX - 1, 0),
        down(SYN | ACK, 500, 101).stamp(u32::MAX, u32::MAX - 1),
        up(ACK, 101, 501).stamp(u32::MAX, u32::MAX),
        up(ACK, 101, 501).stamp(3, u32::MAX).data(10),
        down(ACK, 501, 111).stamp(2, 3).data(10),
        up(ACK, 111, 511).stamp(4, 2).data(10),
    ]);
    assert!(
        !tcp.take(&up(ACK, 121, 511).stamp(u32::MAX, 2).data(10))
            .step
            .accepted
    );
}

#[test]
fn a_closed_window_is_probed() {
    let mut tcp = Connection::connected();
    tcp.take_all(&[down(ACK, 501, 101).window(0)]);
    let probe = up(ACK, 101, 501).data(1);
    assert!(tcp.take(&probe).step.accepted);
    tcp.take_all(&[down(ACK, 501, 101).window(0), probe]);
    let took = tcp.take(&down(ACK, 501, 102).window(100));
    assert_eq!(took.events(), ["est_ack_zwp_data"]);
    assert_eq!(tcp.session(&took).next_seq(true), Some(102));
}

#[test]
fn a_reset_that_its_sender_ignores_was_none() {
    for to_server in [true, false] {
        let mut tcp = Connection::connected();
        let segment = |flags| {
            if to_server {
                up(flags, 101, 501)
            } else {
                down(flags, 501, 101)
            }
        };
        let took = tcp.take(&segment(RST));
        assert!(took.step.closed && took.state == TcpState::Closed);
        // What the other end sent before it knew.
        let other = if to_server {
            down(ACK, 501, 101)
        } else {
            up(ACK, 101, 501)
        };
        assert_eq!(tcp.take(&other.data(5)).state, TcpState::Closed);
        let took = tcp.take(&segment(ACK).data(10));
        assert_eq!(took.events(), ["suspected_rst_inject"]);
        assert!(took.step.accepted && took.state == TcpState::Established);
    }
    // One that only its receiver can verify is doubted at once.
    let mut tcp = Connection::connected();
    assert_eq!(tcp.take(&up(RST, 101, 0).signed()).state, TcpState::Closed);
    let took = tcp.take(&up(ACK, 101, 501));
    assert_eq!(
        (took.events(), took.state),
        (vec!["suspected_rst_inject"], TcpState::Established)
    );
}

#[test]
fn a_fin_that_its_sender_ignores_was_none() {
    let mut tcp = Connection::connected();
    assert_eq!(
        tcp.take(&up(FIN | ACK, 101, 501)).state,
        TcpState::CloseWait
    );
    let took = tcp.take(&up(ACK, 101, 501).data(10));
    assert_eq!(took.events(), ["closewait_ack_out_of_window"]);
    assert!(took.step.accepted && took.state == TcpState::Established);
    // Also with a single byte, which a keep-alive would repeat.
    tcp.take_all(&[up(FIN | ACK, 111, 501)]);
    assert!(tcp.take(&up(ACK, 111, 501).data(1)).step.accepted);
    tcp.take_all(&[up(ACK, 111, 501).data(1)]);
    // Once the server has it, nothing can come behind it.
    tcp.take_all(&[up(FIN | ACK, 112, 501), down(ACK, 501, 113)]);
    let took = tcp.take(&up(ACK, 112, 501).data(10));
    assert!(!took.step.accepted && took.state == TcpState::CloseWait);
}

#[test]
fn a_fin_counts_once_nothing_before_it_is_missing() {
    let mut tcp = Connection::connected();
    assert_eq!(
        tcp.take(&up(FIN | ACK, 111, 501).data(10)).state,
        TcpState::Established
    );
    let took = tcp.take(&up(ACK, 101, 501).data(10));
    assert_eq!((took.state, took.events().len()), (TcpState::CloseWait, 0));
    // Or the server has what is missing here.
    let mut tcp = Connection::connected();
    assert_eq!(
        tcp.take(&up(FIN | ACK, 111, 501).data(10)).state,
        TcpState::Established
    );
    assert_eq!(tcp.take(&down(ACK, 501, 122)).state, TcpState::CloseWait);
}

#[test]
fn all_ends_end() {
    use TcpState::{CloseWait, Closed, Closing, FinWait1, FinWait2, LastAck, TimeWait};
    let ends: [&[_]; 4] = [
        &[
            (up(FIN | ACK, 101, 501), CloseWait),
            (up(FIN | ACK, 101, 501), CloseWait),
            (down(ACK, 501, 102).data(10), CloseWait),
            (down(FIN | ACK, 511, 102), LastAck),
            (up(ACK, 102, 512), Closed),
        ],
        &[
            (down(FIN | ACK, 501, 101), FinWait1),
            (up(ACK, 101, 502), FinWait2),
            (up(ACK, 101, 502).data(10), FinWait2),
            (up(FIN | ACK, 111, 502), TimeWait),
            (down(ACK, 502, 112), Closed),
        ],
        &[
            (down(FIN | ACK, 501, 101), FinWait1),
            (up(FIN | ACK, 101, 501), Closing),
            (up(ACK, 102, 502), TimeWait),
            (down(ACK, 502, 102), Closed),
        ],
        &[
            (up(FIN | ACK, 101, 501), CloseWait),
            (down(FIN | ACK, 501, 101), LastAck),
            (up(ACK, 102, 502), LastAck),
            (down(ACK, 502, 102), Closed),
        ],
    ];
    for end in ends {
        let mut tcp = Connection::connected();
        for (segment, state) in end {
            let took = tcp.take(segment);
            assert_eq!(
                (took.state, took.events().len()),
                (*state, 0),
                "{segment:?}"
            );
            assert_eq!(took.step.closed, *state == Closed);
        }
        assert!(tcp.take(&up(SYN, 9_000, 0)).view.first);
    }
}

/// The server has the client's FIN, and has sent its own: there is nothing that a new connection could hide.
#[test]
fn a_new_connection_need_not_wait_for_the_last_acknowledgement() {
    let mut tcp = Connection::connected();
    tcp.take_all(&[up(FIN | ACK, 101, 501), down(FIN | ACK, 501, 102)]);
    let took = tcp.take(&up(SYN, 9_000, 0));
    assert!(took.view.first && took.state == TcpState::SynSent);
    // But without the server's word it has to.
    let mut tcp = Connection::connected();
    tcp.take_all(&[down(FIN | ACK, 501, 101), up(FIN | ACK, 101, 502)]);
    assert_eq!(
        tcp.take(&up(SYN, 9_000, 0)).events(),
        ["shutdown_syn_resend"]
    );
    assert!(tcp.take(&up(ACK, 101, 502).data(10)).step.accepted);
}

#[test]
fn urgent_data_is_what_the_policy_says() {
    for (urgent, accepted, at, drop) in [
        (UrgentPolicy::OutOfBand, true, Some(2), false),
        (UrgentPolicy::Inline, true, None, false),
        (UrgentPolicy::Gap, false, None, false),
        (UrgentPolicy::Drop, false, None, true),
    ] {
        let config = SessionConfig {
            urgent,
            ..SessionConfig::default()
        };
        let mut tcp = Connection::with(config);
        tcp.shake_hands();
        let step = tcp.take(&up(ACK, 101, 501).data(10).urgent(3)).step;
        assert_eq!(
            (step.accepted, step.urgent, step.drop),
            (accepted, at, drop)
        );
        // Urgent data to come, and none.
        let step = tcp.take(&up(ACK, 111, 501).data(10).urgent(11)).step;
        assert_eq!(step.urgent, None);
        let took = tcp.take(&up(ACK, 121, 501).data(10));
        assert!(took.step.accepted && took.step.urgent.is_none());
        assert_eq!(
            tcp.session(&took).urgent_bytes(true),
            u32::from(at.is_some())
        );
    }
}

#[test]
fn out_of_band_data_has_a_limit() {
    let mut tcp = Connection::with(SessionConfig {
        urgent: UrgentPolicy::OutOfBand,
        urgent_limit: UrgentPolicy::Drop,
        ..SessionConfig::default()
    });
    tcp.shake_hands();
    for at in 0..65_535 {
        tcp.take_all(&[up(ACK, 101 + at, 501).data(1).urgent(1)]);
    }
    tcp.take_all(&[down(ACK, 501, 101 + 65_535)]);
    let step = tcp.take(&up(ACK, 101 + 65_535, 501).data(1).urgent(1)).step;
    assert_eq!((step.accepted, step.urgent, step.drop), (false, None, true));
}
