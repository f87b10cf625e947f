//! What an attacker does so that the receiver puts together what Weir has not seen together: each must end in a segment that
//! is dropped before the receiver has all of it, and what is no attack must live.

use weir_engine::flow::FlowAction;
use weir_engine::plan::{Num, NumOp, PacketTest};

use crate::talk::*;

#[test]
fn a_word_in_a_stream_is_dropped_and_its_flow_with_it() {
    let mut talk = Talk::connected();
    assert!(!talk.client(0, b"al"));
    assert!(talk.client(2, b"pha"));
    assert!(talk.client(2, b"pine") && talk.acks(2));
}

#[test]
fn what_was_passed_cannot_be_replaced() {
    let mut talk = Talk::connected();
    // This one does not get there: it may have had too few hops.
    assert!(!talk.client(0, b"12345"));
    assert!(talk.client(0, b"alp") && talk.client(3, b"ha"));
    // Sent again as it was, cut otherwise, it goes on.
    assert!(!talk.client(0, b"123") && !talk.client(2, b"345678"));
    // Behind a gap, too.
    assert!(!talk.client(20, b"12345"));
    assert!(talk.client(20, b"alp") && talk.client(18, b"__1235"));
    assert!(!talk.client(18, b"__123456"));
    assert!(!talk.client(8, b"and so on.") && !talk.acks(26));
    assert_eq!(talk.engine.counters().streams.different, 4);
}

#[test]
fn what_its_receiver_has_not_acknowledged_is_kept_to_compare_with() {
    let mut talk = Talk::connected();
    let decoy = [b'-'; 1000];
    for at in (0..50_000).step_by(1000) {
        assert!(!talk.client(at, &decoy), "{at}");
    }
    assert!(talk.client(2, b"alp"));
    assert!(!talk.client(1000, &decoy), "that is what it was");
    assert!(!talk.acks(50_000));
    // It has that for good, and can be told what one likes.
    assert!(!talk.client(2, b"alp"));
}

#[test]
fn bytes_of_a_dropped_segment_do_not_stand_for_what_comes_in_its_place() {
    let mut rules = words();
    rules.push(packets_with("badly"));
    let mut talk = Talk::new(rules, config());
    talk.connect();
    // Ahead of a gap, dropped for itself.
    assert!(talk.client(2, b"badly"));
    assert!(!talk.client(2, b"pha"));
    assert!(talk.client(0, b"al"));
}

#[test]
fn what_waited_before_a_dropped_segment_goes_on_waiting() {
    let mut rules = words();
    rules.push(packets_with("badly"));
    let mut talk = Talk::new(rules, config());
    talk.connect();
    assert!(!talk.client(8, b"pha"));
    assert!(!talk.client(6, b"a"));
    // It closes the first gap, and is dropped: the receiver still has what came before it.
    assert!(talk.client(0, b"badly!"));
    assert!(talk.client(0, b"badly!a"), "and brings some of that itself");
    assert!(!talk.client(0, b"good!!"));
    assert!(talk.client(7, b"l"));
}

#[test]
fn a_gap_is_not_given_up_because_much_waits() {
    let mut talk = Talk::connected();
    let mut dropped = 0;
    assert!(!talk.client(2, b"pha"));
    for piece in 0..1200u32 {
        dropped += u32::from(talk.client(10 + 2 * piece, b"x"));
    }
    assert!(
        dropped > 100,
        "as if there were no more room for them: {dropped}"
    );
    assert!(talk.client(0, b"al"));
    // Its receiver can have had what was lost here only.
    let mut talk = Talk::connected();
    assert!(!talk.client(100, b"later"));
    assert!(!talk.acks(105));
    assert!(talk.client(105, b"..alpha"));
}

#[test]
fn what_goes_beyond_the_window_is_part_of_the_stream() {
    let mut talk = Talk::connected();
    let all = vec![b'-'; 60_000];
    assert!(!talk.client(0, &all[..59_998]));
    // Some receivers take all of a segment that begins in the window.
    assert!(!talk.client(59_998, b"alp") && !talk.acks(60_001));
    assert!(talk.client(60_001, b"ha"));
    // Of one beyond it nobody takes anything; but if a server says that it has, then what lies between was not seen.
    let mut talk = Talk::connected();
    assert!(!talk.client(0, b"hello") && !talk.acks(5));
    assert!(!talk.client(100_000, b"far away") && !talk.acks(100_008));
    assert!(!talk.client(100_008, b"al") && talk.client(100_010, b"pha"));
}

#[test]
fn data_of_a_syn_belongs_to_the_stream_if_the_server_takes_it() {
    let mut talk = Talk::new(words(), config());
    assert!(!talk.drops(segment(true, CLIENT - 1, 0, SYN, b"al")));
    assert!(!talk.drops(segment(false, SERVER - 1, CLIENT + 2, SYN | ACK, b"")));
    assert!(talk.client(2, b"pha"));
    // And does not, if it does not.
    let mut talk = Talk::new(words(), config());
    assert!(!talk.drops(segment(true, CLIENT - 1, 0, SYN, b"--")));
    assert!(!talk.drops(segment(false, SERVER - 1, CLIENT, SYN | ACK, b"")));
    assert!(!talk.client(0, b"al"));
    assert!(talk.client(2, b"pha"));
}

#[test]
fn data_before_the_handshake_is_complete_is_dropped() {
    let mut talk = Talk::new(words(), config());
    assert!(!talk.drops(segment(true, CLIENT - 1, 0, SYN, b"")));
    assert!(!talk.drops(segment(false, SERVER - 1, CLIENT, SYN | ACK, b"")));
    // The client takes it, although it has not been seen to have the server's answer.
    assert!(talk.drops(segment(false, SERVER, CLIENT, ACK, b"al")));
    // Not an answer to it.
    assert!(talk.drops(segment(true, CLIENT, SERVER + 77, ACK, b"al")));
    assert!(!talk.client(0, b"al"));
    assert!(talk.client(2, b"pha"));
}

#[test]
fn a_reset_that_does_not_get_there_ends_nothing() {
    for from_client in [true, false] {
        let mut talk = Talk::connected();
        assert!(!talk.client(0, b"al"));
        let reset = match from_client {
            true => segment(true, CLIENT + 2, 0, RST, b""),
            false => segment(false, SERVER, CLIENT + 2, RST | ACK, b""),
        };
        talk.drops(reset);
        assert!(talk.client(2, b"pha"), "by the client: {from_client}");
    }
}

#[test]
fn a_connection_whose_start_was_not_seen_is_inspected() {
    let mut talk = Talk::new(words(), config());
    assert!(!talk.client(0, b"al"));
    assert!(talk.client(2, b"pha"));
    // One that was idle for long.
    let mut talk = Talk::connected();
    talk.now_ns += 1000 * SECOND;
    assert!(!talk.client(0, b"al") && !talk.acks(2));
    assert!(talk.client(2, b"pha"));
}

#[test]
fn who_has_lost_a_connection_can_begin_another() {
    let mut talk = Talk::connected();
    assert!(!talk.client(0, b"hello") && !talk.acks(5));
    // Both ends have forgotten it, unseen. Numbers that look old, and numbers that look new.
    for (client, server) in [(0x8000_0000, 0x9000_0000), (77, 99)] {
        talk.connect_at(client, server);
        assert!(!talk.drops(segment(true, client, server, ACK, b"hello")));
        assert!(!talk.drops(segment(false, server, client + 5, ACK, b"hello")));
        assert!(!talk.drops(segment(true, client + 5, server + 5, ACK, b"al")));
    }
    assert!(talk.drops(segment(true, 77 + 7, 99 + 5, ACK, b"pha")));
}

#[test]
fn after_a_dropped_flow_there_may_be_another_but_not_the_same() {
    let mut talk = Talk::connected();
    assert!(!talk.client(0, b"al"));
    assert!(talk.client(2, b"pha"));
    // The same SYN again is no other connection.
    assert!(talk.drops(segment(true, CLIENT - 1, 0, SYN, b"")));
    assert!(!talk.drops(segment(true, 77_776, 0, SYN, b"")));
    // The server still has the old one, and says so.
    assert!(!talk.drops(segment(false, SERVER, CLIENT + 2, ACK, b"")));
    assert!(talk.client(2, b"p") && talk.client(3, b"ha"));
    // When it has a new one, that is inspected like any other.
    talk.connect_at(77_777, SERVER + 88);
    assert!(!talk.drops(segment(true, 77_777, SERVER + 88, ACK, b"hello")));
    assert!(talk.drops(segment(true, 77_782, SERVER + 88, ACK, b"alpha")));
}

#[test]
fn odd_options_of_ip_hide_nothing() {
    // "Security" (RFC 1108) of another length than RFC 791 has it, a route that points nowhere.
    for ip in [&[130, 4, 0xab, 0][..], &[7, 3, 0, 0], &[134, 2, 1, 1]] {
        let mut talk = Talk::new(words(), config());
        let with = |segment| Segment { ip, ..segment };
        assert!(!talk.drops(with(segment(true, CLIENT - 1, 0, SYN, b""))));
        assert!(!talk.drops(segment(false, SERVER - 1, CLIENT, SYN | ACK, b"")));
        assert!(!talk.drops(with(segment(true, CLIENT, SERVER, ACK, b"al"))));
        let last = with(segment(true, CLIENT + 2, SERVER, ACK, b"pha"));
        assert!(talk.drops(last), "{ip:?}");
    }
}

#[test]
fn what_has_a_wrong_checksum_does_not_go_on() {
    let mut talk = Talk::new(words(), verifying());
    talk.connect();
    // Who is between here and the receiver may compute it anew.
    let mut bad = segment(true, CLIENT, SERVER, ACK, b"alpha").packet();
    bad[36] ^= 0xff;
    let verdict = talk.frame(&bad);
    assert!(verdict.drop && verdict.flow.is_none());
    assert!(!talk.client(0, b"hello"));
}

#[test]
fn retransmissions_probes_and_ends_live() {
    let mut rules = words();
    rules.push(packets_that(PacketTest::Dsize(Num::one(NumOp::Eq, 3))));
    let mut talk = Talk::new(rules, config());
    talk.connect();
    assert!(!talk.client(0, b"hello"));
    assert!(!talk.client(0, b"hello"));
    // Out of order, and again.
    assert!(!talk.client(10, b"world") && !talk.client(10, b"world"));
    assert!(!talk.client(5, b"-----") && !talk.acks(15) && !talk.client(5, b"-----"));
    // A segment that a rule drops comes again in two.
    assert!(talk.client(15, b"one"));
    assert!(!talk.client(15, b"on") && !talk.client(17, b"e") && !talk.acks(18));
    // Keep-alives, with and without their byte of nothing.
    assert!(!talk.client(17, b"") && !talk.client(17, b"\0"));
    // And with news of what the server says: the receiver has that byte, whatever this one is.
    assert!(!talk.drops(segment(false, SERVER, CLIENT + 18, ACK, b"reply")));
    assert!(!talk.drops(segment(true, CLIENT + 17, SERVER + 5, ACK, b"\0")));
    // No window, and a byte to see whether there is one again.
    let full = segment(false, SERVER + 5, CLIENT + 18, ACK, b"");
    assert!(!talk.drops(Segment { window: 0, ..full }));
    assert!(!talk.client(18, b"t") && !talk.client(18, b"t"));
    assert!(!talk.acks(19) && !talk.client(19, b"wo words"));
    // Both ends, and a new connection on the same ports.
    let end = segment(true, CLIENT + 27, SERVER, FIN | ACK, b"");
    assert!(!talk.drops(end));
    assert!(!talk.drops(segment(false, SERVER, CLIENT + 28, FIN | ACK, b"")));
    assert!(!talk.drops(segment(true, CLIENT + 28, SERVER + 1, ACK, b"")));
    talk.connect_at(CLIENT + 100_000, SERVER + 100_000);
    let verdict =
        talk.frame(&segment(true, CLIENT + 100_000, SERVER + 100_000, ACK, b"hi").packet());
    assert!(!verdict.drop);
    assert_ne!(verdict.flow.map(|flow| flow.action), Some(FlowAction::Drop));
}

#[test]
fn a_connection_of_which_one_side_is_seen_is_inspected() {
    let mut one_sided = config();
    one_sided.flow.session.async_oneside = true;
    let mut talk = Talk::new(words(), one_sided);
    assert!(!talk.drops(segment(true, CLIENT - 1, 0, SYN, b"")));
    assert!(!talk.drops(segment(true, CLIENT, SERVER, ACK, b"")));
    assert!(!talk.client(0, b"al") && !talk.client(2, b"p"));
    assert!(!talk.client(4, b"a") && talk.client(3, b"h"));
}

#[test]
fn beyond_the_depth_segments_are_inspected_by_themselves() {
    let mut shallow = config();
    shallow.stream.depth = 10;
    let mut talk = Talk::new(words(), shallow);
    talk.connect();
    for at in (0..100).step_by(5) {
        assert!(!talk.client(at, b"hello") && !talk.acks(at + 5));
    }
    assert_eq!(talk.engine.counters().streams.gaps, 0);
    assert!(talk.client(100, b"alpha"));
}

#[test]
fn a_syn_alone_begins_nothing_where_there_is_a_connection() {
    // One whose start was seen, and one that was found under way.
    for mut talk in [Talk::connected(), Talk::new(words(), config())] {
        assert!(!talk.client(0, b"al"));
        // It does not get there, or anybody has sent it.
        assert!(!talk.drops(segment(true, 77_776, 0, SYN, b"")));
        assert!(!talk.client(2, b"p") && !talk.acks(3));
        assert!(talk.client(3, b"ha"));
    }
}

#[test]
fn without_memory_segments_are_inspected_by_themselves() {
    let mut without = config();
    without.stream.memory = 0;
    let mut talk = Talk::new(words(), without);
    talk.connect();
    assert!(!talk.client(0, b"hello") && !talk.acks(5));
    assert!(talk.client(5, b"alpha"));
}
