//! Handshakes and ends of TCP connections, and what an attacker may try with them.

use crate::support::{ACK, Connection, FIN, RST, SECOND, SYN};
use weir_engine::stream::TcpState;

#[test]
fn a_handshake_establishes_the_packets_after_it() {
    let mut tcp = Connection::new(false);
    let view = tcp.send(true, SYN, 100, 0, 0);
    assert!(view.to_server && view.first && !view.established);
    assert_eq!(tcp.state(view), TcpState::SynSent);
    let view = tcp.send(false, SYN | ACK, 500, 101, 0);
    assert!(!view.to_server && view.first && !view.established);
    assert_eq!(tcp.state(view), TcpState::SynReceived);
    let view = tcp.send(true, ACK, 101, 501, 0);
    assert!(!view.first && !view.established);
    assert_eq!(tcp.state(view), TcpState::Established);
    assert!(tcp.send(true, ACK, 101, 501, 10).established);
    assert!(tcp.send(false, ACK, 501, 111, 10).established);
}

#[test]
fn numbers_wrap_around() {
    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, u32::MAX, 0, 0);
    tcp.send(false, SYN | ACK, u32::MAX - 1, 0, 0);
    assert_eq!(tcp.after(true, ACK, 0, u32::MAX, 5), TcpState::Established);
    assert_eq!(
        tcp.after(false, ACK, u32::MAX, 5, 10),
        TcpState::Established
    );
    assert_eq!(tcp.after(false, RST, 9, 0, 0), TcpState::Closed);
}

#[test]
fn data_may_come_with_the_third_acknowledgement_or_in_its_place() {
    for (seq, data, lossless) in [(101, 10, true), (111, 10, false)] {
        let mut tcp = Connection::new(false);
        tcp.send(true, SYN, 100, 0, 0);
        tcp.send(false, SYN | ACK, 500, 101, 0);
        let view = tcp.send(true, ACK, seq, 501, data);
        assert_eq!(view.established, lossless);
        assert_eq!(tcp.state(view), TcpState::Established);
    }
}

#[test]
fn fast_open_acknowledges_the_data_of_the_syn() {
    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, 100, 0, 50);
    assert_eq!(
        tcp.after(false, SYN | ACK, 500, 151, 20),
        TcpState::SynReceived
    );
    assert_eq!(tcp.after(true, ACK, 151, 521, 0), TcpState::Established);
}

#[test]
fn a_handshake_needs_its_numbers() {
    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, 100, 0, 0);
    assert_eq!(tcp.after(false, SYN | ACK, 500, 100, 0), TcpState::SynSent);
    assert_eq!(
        tcp.after(false, SYN | ACK, 500, 101, 0),
        TcpState::SynReceived
    );
    assert_eq!(tcp.after(true, ACK, 101, 500, 0), TcpState::SynReceived);
    assert_eq!(tcp.after(true, 0, 101, 501, 0), TcpState::SynReceived);
    assert_eq!(tcp.after(true, ACK, 101, 501, 0), TcpState::Established);
}

#[test]
fn retransmissions_change_nothing() {
    let mut tcp = Connection::new(false);
    for _ in 0..2 {
        assert_eq!(tcp.after(true, SYN, 100, 0, 0), TcpState::SynSent);
    }
    for _ in 0..2 {
        assert_eq!(
            tcp.after(false, SYN | ACK, 500, 101, 0),
            TcpState::SynReceived
        );
    }
    assert_eq!(tcp.after(true, SYN, 100, 0, 0), TcpState::SynReceived);
    tcp.send(true, ACK, 101, 501, 0);
    for (to_server, flags) in [(true, SYN), (false, SYN | ACK)] {
        let number = if to_server { 100 } else { 500 };
        assert_eq!(
            tcp.after(to_server, flags, number, 101, 0),
            TcpState::Established
        );
    }
}

/// The server answers one of several SYNs; which one, the attacker knows and a monitor has to learn.
#[test]
fn a_syn_that_the_server_ignores_hides_no_connection() {
    for other in [7, 100_000, 0x9000_0000] {
        let mut tcp = Connection::new(false);
        tcp.send(true, SYN, 100, 0, 0);
        tcp.send(true, SYN, other, 0, 0);
        // Nor does a RST for the ignored one.
        assert_eq!(tcp.after(true, RST, other + 1, 0, 0), TcpState::SynSent);
        tcp.send(false, SYN | ACK, 500, 101, 0);
        assert_eq!(tcp.after(true, ACK, 101, 501, 0), TcpState::Established);
    }
}

#[test]
fn a_second_answer_that_the_client_ignores_hides_no_connection() {
    for [first, second] in [[500, 0x9000_0000], [0x9000_0000, 500]] {
        let mut tcp = Connection::new(false);
        tcp.send(true, SYN, 100, 0, 0);
        tcp.send(false, SYN | ACK, first, 101, 0);
        tcp.send(false, SYN | ACK, second, 101, 0);
        assert_eq!(tcp.after(true, ACK, 101, 501, 0), TcpState::Established);
    }
}

#[test]
fn both_may_begin() {
    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, 100, 0, 0);
    assert_eq!(tcp.after(false, SYN, 500, 0, 0), TcpState::SynSent);
    assert_eq!(
        tcp.after(true, SYN | ACK, 100, 501, 0),
        TcpState::SynReceived
    );
    assert_eq!(tcp.after(false, ACK, 501, 101, 0), TcpState::Established);
    assert_eq!(tcp.after(true, RST, 101, 0, 0), TcpState::Closed);
}

#[test]
fn a_reset_ends_every_state() {
    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, 100, 0, 0);
    assert_eq!(tcp.after(false, RST, 0, 101, 0), TcpState::SynSent);
    assert_eq!(tcp.after(false, RST | ACK, 0, 101, 0), TcpState::Closed);

    let mut tcp = Connection::new(false);
    tcp.send(true, SYN, 100, 0, 0);
    tcp.send(false, SYN | ACK, 500, 101, 0);
    assert_eq!(tcp.after(true, RST, 101, 0, 0), TcpState::Closed);

    for to_server in [true, false] {
        let mut tcp = Connection::new(false);
        tcp.shake_hands();
        tcp.send(true, ACK, 101, 501, 10);
        let next = if to_server { 111 } else { 501 };
        assert_eq!(tcp.after(to_server, RST, next, 0, 0), TcpState::Closed);
        assert!(tcp.send(true, ACK, 111, 501, 10).established);

        let mut tcp = Connection::new(false);
        tcp.shake_hands();
        tcp.send(true, FIN | ACK, 101, 501, 0);
        let next = if to_server { 102 } else { 501 };
        assert_eq!(tcp.after(to_server, RST, next, 0, 0), TcpState::Closed);
    }
}

/// A receiver ignores such resets, or asks whether they are meant (RFC 5961).
#[test]
fn a_reset_out_of_place_ends_nothing() {
    for seq in [100, 102, 5_000, 0x8000_0065] {
        let mut tcp = Connection::new(false);
        tcp.shake_hands();
        assert_eq!(tcp.after(true, RST, seq, 0, 0), TcpState::Established);
        // Were it over, this would begin another connection.
        tcp.send(true, SYN, 9_000, 0, 0);
        assert!(tcp.send(true, ACK, 101, 501, 10).established);
    }
    // Nor does one that stands behind data that no one takes.
    let mut tcp = Connection::new(false);
    tcp.shake_hands();
    tcp.send(true, ACK, 50_000, 501, 10);
    assert_eq!(tcp.after(true, RST, 50_010, 0, 0), TcpState::Established);
}

#[test]
fn loss_is_made_good_by_acknowledgements() {
    let mut tcp = Connection::new(false);
    tcp.shake_hands();
    // Bytes 101 to 200 were not captured, but they arrived.
    tcp.send(false, ACK, 501, 201, 0);
    assert_eq!(
        tcp.after(true, FIN | ACK, 201, 501, 10),
        TcpState::CloseWait
    );
}

#[test]
fn fins_both_ways_close() {
    for first in [true, false] {
        let mut tcp = Connection::new(false);
        tcp.shake_hands();
        let numbers = |to_server| if to_server { (101, 501) } else { (501, 101) };
        let (seq, ack) = numbers(first);
        let half = if first {
            TcpState::CloseWait
        } else {
            TcpState::FinWait1
        };
        assert_eq!(tcp.after(first, FIN | ACK, seq, ack, 0), half);
        assert_eq!(tcp.after(first, FIN | ACK, seq, ack, 0), half);
        let (seq, ack) = numbers(!first);
        // The other half stays open.
        assert!(tcp.send(!first, ACK, seq, ack + 1, 10).established);
        let state = tcp.after(!first, FIN | ACK, seq + 10, ack + 1, 0);
        let last = if first {
            TcpState::LastAck
        } else {
            TcpState::TimeWait
        };
        assert_eq!(state, last);
        let (seq, ack) = numbers(first);
        let state = tcp.after(first, ACK, seq + 1, ack + 11, 0);
        assert_eq!(state, TcpState::Closed);
    }
}

#[test]
fn a_fin_out_of_place_closes_nothing() {
    let mut tcp = Connection::new(false);
    tcp.shake_hands();
    assert_eq!(
        tcp.after(true, FIN | ACK, 9_000, 501, 0),
        TcpState::Established
    );
    assert_eq!(tcp.after(true, FIN | ACK, 101, 501, 4), TcpState::CloseWait);
}

#[test]
fn a_closed_connection_makes_room_for_another_on_its_ports() {
    let mut tcp = Connection::new(false);
    tcp.shake_hands();
    let old = tcp.send(true, RST, 101, 0, 0);
    let old = tcp.flow(old).id;
    tcp.now_ns += 1;
    let view = tcp.send(true, SYN, 9_000, 0, 0);
    assert!(view.first && !view.established);
    assert_eq!(tcp.state(view), TcpState::SynSent);
    assert_ne!(tcp.flow(view).id, old);
    assert_eq!(tcp.flows.counters().created, 2);
}

/// Otherwise, one stray packet beforehand would keep a connection from ever being established.
#[test]
fn a_syn_begins_anew_after_packets_of_no_connection() {
    for stray_to_server in [true, false] {
        let mut tcp = Connection::new(false);
        let view = tcp.send(stray_to_server, ACK, 1, 1, 0);
        assert_eq!(tcp.state(view), TcpState::None);
        assert!(view.to_server);
        let view = tcp.send(true, SYN, 100, 0, 0);
        assert!(view.to_server && view.first);
        tcp.send(false, SYN | ACK, 500, 101, 0);
        assert_eq!(tcp.after(true, ACK, 101, 501, 0), TcpState::Established);
    }
}

#[test]
fn connections_are_picked_up_in_the_middle_only_when_asked() {
    let mut tcp = Connection::new(false);
    assert_eq!(tcp.after(true, ACK, 100, 500, 10), TcpState::None);
    assert!(!tcp.send(false, ACK, 500, 110, 10).established);

    let mut tcp = Connection::new(true);
    assert_eq!(tcp.after(true, RST, 100, 0, 0), TcpState::None);
    assert_eq!(tcp.after(true, ACK, 100, 500, 10), TcpState::Established);
    assert!(tcp.send(false, ACK, 500, 110, 10).established);
    assert_eq!(tcp.after(true, RST, 200, 0, 0), TcpState::Established);
    assert_eq!(tcp.after(true, RST, 110, 0, 0), TcpState::Closed);
}

#[test]
fn a_handshake_has_a_minute_and_a_connection_ten() {
    let mut tcp = Connection::new(false);
    let view = tcp.send(true, SYN, 100, 0, 0);
    let first = tcp.flow(view).id;
    tcp.now_ns += 60 * SECOND;
    let view = tcp.send(false, SYN | ACK, 500, 101, 0);
    assert_eq!(tcp.flow(view).id, first);
    tcp.send(true, ACK, 101, 501, 0);
    tcp.now_ns += 600 * SECOND;
    assert!(tcp.send(true, ACK, 101, 501, 10).established);
    tcp.now_ns += 600 * SECOND + 1;
    let view = tcp.send(true, ACK, 111, 501, 10);
    assert!(view.first && !view.established);
    assert_eq!(tcp.flows.counters().timed_out, 1);
}
