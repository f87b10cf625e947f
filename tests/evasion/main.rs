//! Evasion: known attacks, sent in every way that an attacker has to make a monitor see something else than the host
//! that is attacked. What the sensor must say is what the host's policy says about the bytes that it reads.
//!
//! With `WEIR_EVASION_CASES` in the environment, as many random cases are tried (`cargo xtask campaign evasion`).

mod cuts;
mod overlaps;
mod receiver;
mod room;
mod sensor;
mod tricks;
mod windows;
mod wire;

use weir_engine::detect::EngineConfig;
use weir_engine::stream::UrgentPolicy;
use wire::Segment;

/// What is looked for in the stream.
const RULE: &str = r#"alert tcp any any -> any 4444 (msg:"attack"; flow:established,to_server; content:"GET /cgi-bin/evil.sh"; content:"id=1|3b|rm"; distance:0; within:60; sid:1;)"#;

/// A stream with the attack in it.
fn attack(before: usize, between: usize, after: usize) -> Vec<u8> {
    let mut stream = tricks::noise(before);
    stream.extend(b"GET /cgi-bin/evil.sh?");
    stream.extend(tricks::noise(between));
    stream.extend(b"id=1;rm -rf /tmp HTTP/1.0\r\n");
    stream.extend(tricks::noise(after));
    stream
}

/// How many random cases a test tries.
fn cases(usual: u64) -> u64 {
    std::env::var("WEIR_EVASION_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

/// The packets of a connection in which the client sends these segments, the server acknowledging what it has read.
fn connection(segments: &[Segment], sent: usize) -> Vec<Vec<u8>> {
    let timestamp = segments.first().and_then(|segment| segment.timestamp);
    let mut all = wire::handshake(timestamp);
    all.extend_from_slice(segments);
    all.push(Segment::answer(sent, 0, b""));
    all.extend(wire::goodbye(sent));
    all.iter().map(Segment::packet).collect()
}

/// Whether the sensor sees the attack.
fn seen(config: &EngineConfig, segments: &[Segment], sent: usize) -> bool {
    let packets = connection(segments, sent);
    let sids = sensor::run(config, &sensor::rules(RULE), &packets);
    assert!(sids.len() <= 1, "one attack, {} alerts", sids.len());
    sids == [1]
}

#[test]
fn every_cut_in_two_and_in_three() {
    let rules = sensor::rules(RULE);
    let config = sensor::config();
    let stream = attack(3, 4, 3);
    for first in 1..stream.len() {
        for second in (first..stream.len()).step_by(7) {
            let segments = tricks::cut(&stream, &[first, second]);
            let packets = connection(&segments, stream.len());
            assert_eq!(
                sensor::run(&config, &rules, &packets),
                [1],
                "cut at {first} and {second}"
            );
        }
    }
}

#[test]
fn pieces_of_every_size_in_any_order_and_twice() {
    let config = sensor::config();
    let stream = attack(10, 20, 10);
    for size in 1..=24 {
        let forward = tricks::pieces(&stream, size);
        let mut backward = forward.clone();
        backward.reverse();
        let mut twice = forward.clone();
        twice.extend(forward.clone());
        let mut pairs = forward.clone();
        pairs.chunks_mut(2).for_each(<[Segment]>::reverse);
        let mut mixed = [forward.clone(), backward.clone()].concat();
        tricks::shuffle(&mut mixed, &mut tricks::Dice::new(size as u64));
        for (name, segments) in [
            ("forward", forward),
            ("backward", backward),
            ("twice", twice),
            ("in swapped pairs", pairs),
            ("shuffled, with copies", mixed),
        ] {
            assert!(
                seen(&config, &segments, stream.len()),
                "pieces of {size} bytes, {name}"
            );
        }
    }
}

/// Where a window of the stream ends is no place to hide.
#[test]
fn attacks_across_the_end_of_a_window() {
    let config = sensor::config();
    let window = config.stream.window as usize;
    let length = attack(0, 20, 0).len();
    for windows in 1..=3 {
        for before in (0..=length).step_by(5) {
            let stream = attack(windows * window - before, 20, 300);
            for size in [1, 700, 1460, stream.len()] {
                let segments = tricks::pieces(&stream, size);
                assert!(
                    seen(&config, &segments, stream.len()),
                    "{before} bytes before the end, pieces of {size}"
                );
            }
        }
    }
}

/// The server says something after every few bytes, as an interactive one does.
#[test]
fn attacks_typed_into_a_conversation() {
    let rules = sensor::rules(RULE);
    let config = sensor::config();
    let stream = attack(30, 20, 5);
    for size in 1..=12 {
        let mut segments = Vec::new();
        for piece in tricks::pieces(&stream, size) {
            let (from, to) = (piece.offset(), piece.offset() + piece.data.len());
            // An echo.
            let echo = Segment::answer(to, from, &piece.data);
            let ack = Segment {
                ack: wire::SERVER_ISN.wrapping_add(1).wrapping_add(from as u32),
                ..piece
            };
            segments.extend([ack, echo]);
        }
        let packets = connection(&segments, stream.len());
        assert_eq!(
            sensor::run(&config, &rules, &packets),
            [1],
            "{size} bytes at a time"
        );
    }
}

#[test]
fn tiny_fragments_in_any_order() {
    let rules = sensor::rules(RULE);
    let config = sensor::config();
    let stream = attack(5, 20, 5);
    for (blocks, size) in [(1, 40), (1, 200), (2, 64), (3, 200)] {
        for order in 0..4u64 {
            let mut packets: Vec<_> = wire::handshake(None).iter().map(Segment::packet).collect();
            for (id, piece) in (1..).zip(tricks::pieces(&stream, size)) {
                let mut fragments = piece.fragments(blocks, id);
                match order {
                    0 => {}
                    1 => fragments.reverse(),
                    seed => tricks::shuffle(&mut fragments, &mut tricks::Dice::new(seed)),
                }
                packets.extend(fragments);
            }
            packets.extend(wire::goodbye(stream.len()).iter().map(Segment::packet));
            assert_eq!(
                sensor::run(&config, &rules, &packets),
                [1],
                "segments of {size} bytes in fragments of {blocks} blocks, order {order}"
            );
        }
    }
}

/// What no receiver takes does not take the place of what it takes.
#[test]
fn decoys_that_every_receiver_throws_away() {
    let config = sensor::config();
    let stream = attack(10, 20, 10);
    for size in [7, 30, stream.len()] {
        for (what, _) in tricks::decoys(0, 1) {
            let mut segments = Vec::new();
            for piece in tricks::pieces(&stream, size) {
                let decoys = tricks::decoys(piece.offset(), piece.data.len());
                segments.extend(
                    decoys
                        .into_iter()
                        .filter(|(name, _)| *name == what)
                        .map(|(_, decoy)| decoy),
                );
                segments.push(piece);
            }
            assert!(
                seen(&config, &segments, stream.len()),
                "{what}, pieces of {size} bytes"
            );
        }
    }
}

/// PAWS (RFC 7323, 5): a segment from the past is thrown away.
#[test]
fn decoys_with_old_timestamps() {
    let config = sensor::config();
    let stream = attack(10, 20, 10);
    let mut segments = Vec::new();
    for (at, piece) in (1..).zip(tricks::pieces(&stream, 9)) {
        let now = 1_000_000 + at;
        segments.push(Segment {
            data: tricks::noise(piece.data.len()),
            timestamp: Some(now - 500_000),
            ..piece.clone()
        });
        segments.push(Segment {
            timestamp: Some(now),
            ..piece
        });
    }
    let packets: Vec<_> = wire::handshake(Some(1_000_000))
        .iter()
        .chain(&segments)
        .map(Segment::packet)
        .collect();
    assert_eq!(sensor::run(&config, &sensor::rules(RULE), &packets), [1]);
}

/// A byte of urgent data in the middle of the attack, which the host's application does not read in its stream.
#[test]
fn attacks_around_an_urgent_byte() {
    let rules = sensor::rules(RULE);
    let stream = attack(10, 20, 10);
    for (policy, expected) in [
        (UrgentPolicy::OutOfBand, true),
        (UrgentPolicy::Inline, false),
    ] {
        let mut config = sensor::config();
        config.flow.session.urgent = policy;
        for at in [12, 20, 28, 52] {
            // From there on, everything has come a byte later.
            let mut segments = tricks::cut(&stream[..at], &[5]);
            segments.push(Segment {
                flags: wire::ACK | wire::URG,
                ..Segment::data(at, b"!")
            });
            segments.push(Segment::data(at + 1, &stream[at..]));
            for swapped in [false, true] {
                if swapped {
                    let last = segments.len() - 1;
                    segments.swap(last, last - 1);
                }
                let packets = connection(&segments, stream.len() + 1);
                let seen = sensor::run(&config, &rules, &packets) == [1];
                assert_eq!(
                    seen, expected,
                    "{policy:?}, the urgent byte at {at}, swapped: {swapped}"
                );
            }
        }
    }
}

/// Without the attack there is no alert, however it is sent: the tests above can fail.
#[test]
fn harmless_streams_stay_silent() {
    let config = sensor::config();
    for stream in [
        tricks::noise(200),
        b"GET /cgi-bin/good.sh?id=1;rm -rf /tmp HTTP/1.0\r\n".to_vec(),
        attack(10, 80, 0),
    ] {
        for size in [1, 9, 400] {
            assert!(!seen(&config, &tricks::pieces(&stream, size), stream.len()));
        }
    }
}
