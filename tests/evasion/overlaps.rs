//! Segments that claim the same bytes: the sensor reads what a host of its policy reads.

use weir_engine::stream::StreamPolicy;

use crate::receiver::receive;
use crate::tricks::{self, Dice};
use crate::wire::Segment;
use crate::{RULE, attack, cases, connection, sensor};

const POLICIES: [StreamPolicy; 6] = [
    StreamPolicy::First,
    StreamPolicy::Last,
    StreamPolicy::Bsd,
    StreamPolicy::Linux,
    StreamPolicy::OldLinux,
    StreamPolicy::Solaris,
];

/// Under every policy: whether the attack is seen, and whether it is read.
fn verdicts(segments: &[Segment], sent: usize) -> Vec<(StreamPolicy, bool, bool)> {
    let rules = sensor::rules(RULE);
    let packets = connection(segments, sent);
    POLICIES
        .iter()
        .map(|&policy| {
            let mut config = sensor::config();
            config.stream.policy = policy;
            let seen = sensor::run(&config, &rules, &packets) == [1];
            let read = receive(policy, segments);
            let holds = |needle: &[u8]| {
                let mut windows = read.windows(needle.len());
                windows
                    .position(|window| window == needle)
                    .map(|at| at + needle.len())
            };
            // What the rule says, by hand.
            let first = holds(b"GET /cgi-bin/evil.sh");
            let attacked = first.is_some_and(|end| {
                let part = &read[end..(end + 60).min(read.len())];
                part.windows(7).any(|window| window == b"id=1;rm")
            });
            (policy, seen, attacked)
        })
        .collect()
}

/// The first byte comes last, so that all others wait, and every two of them can overlap in every way.
#[test]
fn two_claims_to_the_same_bytes() {
    let stream = attack(1, 10, 0);
    let length = stream.len();
    let mut told = [0; 2];
    for (real, fake) in [
        (1..length, 5..30),
        (5..30, 1..length),
        (5..length, 1..30),
        (1..30, 5..length),
    ] {
        for shift in 0..4 {
            for real_first in [true, false] {
                let fake = fake.start + shift..(fake.end + shift).min(length);
                let truth = Segment::data(real.start, &stream[real.clone()]);
                let lie = Segment::data(fake.start, &tricks::noise(fake.len()));
                let mut segments = if real_first {
                    vec![truth, lie]
                } else {
                    vec![lie, truth]
                };
                // Nothing is missing, whoever wins.
                segments.extend(tricks::cut(&stream, &[1]));
                for (policy, seen, attacked) in verdicts(&segments, length) {
                    assert_eq!(
                        seen, attacked,
                        "{policy:?}, the attack at {real:?}, noise at {fake:?}, attack first: {real_first}"
                    );
                    told[usize::from(seen)] += 1;
                }
            }
        }
    }
    assert!(
        told[0] > 20 && told[1] > 20,
        "the cases tell nothing: {told:?}"
    );
}

#[test]
fn what_was_read_cannot_be_taken_back() {
    let stream = attack(0, 10, 0);
    let mut segments = Vec::new();
    for piece in tricks::pieces(&stream, 8) {
        let lie = Segment::data(piece.offset(), &tricks::noise(piece.data.len()));
        segments.extend([piece, lie]);
    }
    for (policy, seen, attacked) in verdicts(&segments, stream.len()) {
        assert!(seen && attacked, "{policy:?}");
    }
    // Nor can noise that was read.
    let mut segments = Vec::new();
    for piece in tricks::pieces(&stream, 8) {
        let lie = Segment::data(piece.offset(), &tricks::noise(piece.data.len()));
        segments.extend([lie, piece]);
    }
    for (policy, seen, attacked) in verdicts(&segments, stream.len()) {
        assert!(!seen && !attacked, "{policy:?}");
    }
}

/// Any number of claims, true and false, in any order.
#[test]
fn random_claims() {
    let mut told = [0u64; 2];
    for case in 0..cases(150) {
        let mut dice = Dice::new(case + 1);
        let stream = attack(dice.below(6), dice.below(30), dice.below(6));
        let length = stream.len();
        let mut segments = Vec::new();
        for _ in 0..2 + dice.below(10) {
            let start = dice.below(length);
            let end = (start + 1 + dice.below(40)).min(length);
            let truth = dice.below(4) != 0;
            let noise = tricks::noise(end - start);
            segments.push(Segment::data(
                start,
                if truth { &stream[start..end] } else { &noise },
            ));
        }
        tricks::shuffle(&mut segments, &mut dice);
        let size = 1 + dice.below(40);
        segments.extend(tricks::pieces(&stream, size));
        for (policy, seen, attacked) in verdicts(&segments, length) {
            assert_eq!(seen, attacked, "case {case}, {policy:?}");
            told[usize::from(seen)] += 1;
        }
    }
    assert!(
        told[0] > 0 && told[1] > 0,
        "the cases tell nothing: {told:?}"
    );
}
