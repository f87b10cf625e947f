//! What else must not get through where verdicts are carried out: fragments, odd headers, what is found a packet late.

use weir_engine::app::{AppProto, AppSet};
use weir_engine::detect::{EngineConfig, What};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::{
    Action, AppPlan, FlowTest, Header, PacketTest, Proto, ProtocolMode, ProtocolTest, RejectTo,
    Rule,
};

use crate::build;
use crate::talk::*;

const MORE: u16 = 0x2000;

/// A rule that drops what speaks SSH to a server.
fn ssh() -> Rule {
    Rule {
        flow: Some(FlowTest {
            to_server: true,
            ..FlowTest::default()
        }),
        header: Header {
            proto: Proto::Tcp,
            ..words()[0].header.clone()
        },
        tests: vec![],
        app: AppPlan {
            protocols: vec![ProtocolTest::Is {
                set: AppSet::of(&[AppProto::Ssh]),
                negated: false,
                mode: ProtocolMode::Either,
            }],
            ..AppPlan::default()
        },
        ..packets_that(PacketTest::SameIp)
    }
}

#[test]
fn a_protocol_is_dropped_with_the_segment_that_shows_it() {
    let mut talk = Talk::new(vec![ssh()], config());
    talk.connect();
    assert!(talk.client(0, b"SSH-2.0-OpenSSH_9.9\r\n"));
    assert!(talk.acks(0), "and its flow with it");
}

#[test]
fn an_icmp_error_does_not_take_the_news_of_a_protocol_away() {
    let offline = EngineConfig {
        inline: false,
        ..config()
    };
    let mut talk = Talk::new(vec![ssh()], offline);
    talk.connect();
    talk.client(0, b"SSH-2.0-OpenSSH_9.9\r\n");
    talk.drops(segment(false, SERVER, CLIENT + 21, ACK, b""));
    // From the client, about a segment of the server's.
    let quoted = segment(false, SERVER, CLIENT + 21, ACK, b"").packet();
    let mut icmp = build::concat(&[&[3, 3, 0, 0, 0, 0, 0, 0], &quoted]);
    let sum = build::checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut matched = |data: &[u8]| {
        let mut events = Vec::new();
        let frame = Frame {
            ts_ns: talk.now_ns + 1_000_000,
            number: 0,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
        };
        talk.engine.process(frame, &mut events);
        let is_match = |event: &&_| {
            matches!(
                event,
                weir_engine::detect::Event {
                    what: What::Matches(_),
                    ..
                }
            )
        };
        events.iter().filter(is_match).count()
    };
    assert_eq!(matched(&build::ipv4(1, &icmp)), 0);
    let next = segment(true, CLIENT + 21, SERVER, ACK, b"more").packet();
    assert_eq!(matched(&next), 1);
}

#[test]
fn the_sender_that_is_told_is_that_of_what_matched() {
    let reject = |to| {
        let mut rules = words();
        rules[0].action = Action::Reject(to);
        let mut talk = Talk::new(rules, config());
        talk.connect();
        talk
    };
    for (to, turned) in [
        (RejectTo::Source, RejectTo::Destination),
        (RejectTo::Destination, RejectTo::Source),
        (RejectTo::Both, RejectTo::Both),
    ] {
        let verdict = |talk: &mut Talk, segment: Segment<'_>| {
            let verdict = talk.frame(&segment.packet());
            (verdict.drop, verdict.reject)
        };
        let data = |at, payload| segment(true, CLIENT + at, SERVER, ACK, payload);
        assert_eq!(
            verdict(&mut reject(to), data(0, b"alpha")),
            (true, Some(to))
        );
        // The client's data matches with the server's word that the gap before it is none.
        let mut talk = reject(to);
        assert!(!talk.client(100, b"alpha"));
        let answer = segment(false, SERVER, CLIENT + 105, ACK, b"");
        assert_eq!(verdict(&mut talk, answer), (true, Some(turned)));
    }
}

/// A fragment of a datagram of 32 bytes.
fn fragment(at: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let word = (at / 8) | if more { MORE } else { 0 };
    build::ipv4_with(17, 7, word, &[], data)
}

#[test]
fn fragments_that_contradict_others_do_not_go_on() {
    let mut talk = Talk::new(words(), config());
    let bad = build::udp(4000, 5000, b"12345alpha-and-some-more");
    let good = build::udp(4000, 5000, b"12345-----and-some-more.");
    let mut drops = |at, more, data: &[u8]| talk.frame(&fragment(at, more, data)).drop;
    assert!(!drops(16, true, &good[16..24]));
    assert!(!drops(16, true, &good[16..24]), "the same again");
    assert!(drops(16, true, &bad[16..24]) && drops(8, true, &bad[8..24]));
    assert!(!drops(24, false, &good[24..]));
    // The end is where it was.
    assert!(drops(24, false, &good[24..30]) && drops(32, false, b"beyond.."));
    assert!(drops(16, false, &good[16..24]));
    assert!(!drops(0, true, &bad[..16]), "it completes what was passed");
    assert_eq!(talk.engine.counters().decoder.defrag.refused, 5);
}

#[test]
fn a_datagram_over_ipv6_without_a_length_is_all_there_is() {
    let mut talk = Talk::new(words(), config());
    let mut udp = build::udp(4000, 5000, b"alpha");
    assert!(talk.frame(&build::ipv6(17, &udp)).drop);
    let mut talk = Talk::new(words(), config());
    udp[4..6].copy_from_slice(&[0, 0]);
    assert!(talk.frame(&build::ipv6(17, &udp)).drop);
}

#[test]
fn a_fragment_behind_an_atomic_one_is_a_fragment() {
    let mut talk = Talk::new(words(), config());
    let udp = build::udp(4000, 5000, b"12345alpha-and-some-more");
    let piece = |at: u16, more: u16, data: &[u8]| {
        let word = (at | more).to_be_bytes();
        build::ipv6(
            44,
            &build::concat(&[
                &[44, 0, 0, 0, 0, 0, 0, 1, 17, 0],
                &word,
                &[0, 0, 0, 9],
                data,
            ]),
        )
    };
    assert!(!talk.frame(&piece(0, 1, &udp[..16])).drop);
    assert!(talk.frame(&piece(16, 0, &udp[16..])).drop);
}
