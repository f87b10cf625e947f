//! What else must not get through where verdicts are carried out: fragments, odd headers, what is found a packet late.

use weir_engine::app::{AppProto, AppSet};
use weir_engine::detect::{EngineConfig, Verdict, What};
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
            ..Frame::default()
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

#[test]
fn what_is_no_concern_of_rules_goes_on() {
    let mut talk = Talk::new(words(), verifying());
    let arp = build::concat(&[&[0, 1, 8, 0, 6, 4, 0, 1], &[0; 20], &[0; 18]]);
    let odd_arp = [0, 6, 8, 0, 6, 4, 0, 1, 0, 0];
    let whole = build::ipv4(17, &build::udp(4000, 5000, b"nothing"));
    let padded = build::concat(&[&whole, &[0xaa; 18]]);
    let neighbour = {
        // A solicitation, with its checksum over the pseudo header.
        let mut message = build::concat(&[&[135, 0, 0, 0, 0, 0, 0, 0], &[0x20; 16]]);
        let plain = build::ipv6_hops(58, 255, &message);
        let pseudo = build::concat(&[&plain[8..40], &[0, 0, 0, 24, 0, 0, 0, 58], &message]);
        let sum = build::checksum(&pseudo);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        build::ipv6_hops(58, 255, &message)
    };
    let frames: [(u16, &[u8]); 12] = [
        (0x0806, &arp),
        (0x0806, &odd_arp),
        // LLDP, flow control, a type of nobody, a spanning tree's length, nothing at all.
        (0x88cc, &[2, 7, 4, 0, 1, 2, 3, 4, 5]),
        (0x8808, &[0, 1, 0xff, 0xff]),
        (0x1234, b"alpha"),
        (38, &[0x42, 0x42, 3, 0, 0, 0, 0, 0]),
        (0x0800, &[]),
        // IP that is cut short, of no version, and with what pads a frame.
        (0x0800, &whole[..25]),
        (0x0800, &[0xff; 40]),
        (0x0800, &padded),
        (0x86dd, &neighbour),
        // A fourth VLAN tag.
        (
            0x8100,
            &[0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 0x81, 0, 0, 4, 8, 0],
        ),
    ];
    for (kind, inner) in frames {
        let data = build::ethernet(kind, inner);
        let frame = Frame {
            ts_ns: SECOND,
            number: 0,
            link: LinkType::ETHERNET,
            data: &data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        let verdict = talk.engine.process(frame, &mut Vec::new());
        assert_eq!(verdict, Verdict::default(), "{kind:#x} {inner:?}");
    }
    assert_eq!(talk.engine.counters().dropped, 0);
    assert_eq!(talk.engine.counters().decoder.frames, 12);
}
