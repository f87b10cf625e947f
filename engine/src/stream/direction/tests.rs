use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

const POLICIES: [StreamPolicy; 6] = [
    StreamPolicy::First,
    StreamPolicy::Last,
    StreamPolicy::Bsd,
    StreamPolicy::Linux,
    StreamPolicy::OldLinux,
    StreamPolicy::Solaris,
];

fn limits(policy: StreamPolicy) -> Limits {
    Limits {
        depth: u64::MAX,
        waiting: 1 << 20,
        policy,
        inline: false,
    }
}

/// One byte at a time: who owns each byte that waits, and what has been delivered.
struct Model {
    policy: StreamPolicy,
    delivered: Vec<u8>,
    waiting: BTreeMap<u64, (u8, Range<u64>)>,
}

impl Model {
    fn insert(&mut self, start: u64, bytes: &[u8]) {
        let next = self.delivered.len() as u64;
        let start_new = start.max(next);
        let segment = start_new..start + bytes.len() as u64;
        for (offset, &byte) in (start..).zip(bytes) {
            if offset < next {
                continue;
            }
            let takes = match self.waiting.get(&offset) {
                Some((_, owner)) => self.policy.prefers_new(owner, &segment),
                None => true,
            };
            if takes {
                self.waiting.insert(offset, (byte, segment.clone()));
            }
        }
        while let Some((byte, _)) = self.waiting.remove(&(self.delivered.len() as u64)) {
            self.delivered.push(byte);
        }
    }
}

proptest! {
    /// Any segments, under any policy, against the model; from any sequence number, also across its wrap.
    #[test]
    fn bytes_are_those_of_the_policy(
        policy in prop::sample::select(&POLICIES[..]),
        first in prop_oneof![any::<u32>(), Just(u32::MAX - 20)],
        segments in prop::collection::vec((0..60u32, 1..20usize, any::<u8>()), 1..30),
    ) {
        let mut pool = Pool::new(1 << 20);
        let mut direction = Direction::default();
        direction.begin(first);
        let mut model = Model { policy, delivered: Vec::new(), waiting: BTreeMap::new() };
        for (at, length, seed) in segments {
            let bytes: Vec<u8> = (0..length).map(|i| seed.wrapping_mul(31).wrapping_add(i as u8)).collect();
            let before = direction.next();
            let arrival = direction.insert(first.wrapping_add(at), &bytes, 0, &limits(policy), &mut pool);
            model.insert(at.into(), &bytes);
            prop_assert_eq!(&arrival.fresh, &(before..model.delivered.len() as u64));
            prop_assert_eq!(direction.bytes(0..u64::MAX), &model.delivered);
            prop_assert!(arrival.added);
            if arrival.whole {
                prop_assert_eq!(direction.bytes(arrival.fresh), &bytes);
            }
            let waiting: Vec<u8> = direction.waiting.iter().flat_map(|piece| piece.bytes.clone()).collect();
            let expected: Vec<u8> = model.waiting.values().map(|(byte, _)| *byte).collect();
            prop_assert_eq!(waiting.len(), direction.waiting_bytes);
            prop_assert_eq!(waiting, expected);
        }
        direction.release(&mut pool);
        prop_assert_eq!(pool.used(), 0);
    }

    /// With little memory nothing wrong is delivered, and nothing is lost sight of.
    #[test]
    fn what_does_not_fit_is_said(
        memory in 0..8_000usize,
        segments in prop::collection::vec((0..4_000u32, 1..1_500usize), 1..40),
    ) {
        let mut pool = Pool::new(memory);
        let mut direction = Direction::default();
        direction.begin(0);
        let byte = |offset: u64| (offset * 7 % 251) as u8;
        for (at, length) in segments {
            let bytes: Vec<u8> = (at.into()..).take(length).map(byte).collect();
            let keep = direction.next().saturating_sub(500);
            direction.insert(at, &bytes, keep, &limits(StreamPolicy::Bsd), &mut pool);
            prop_assert!(pool.used() <= memory);
            let from = direction.base();
            let kept = direction.bytes(from..u64::MAX);
            prop_assert!(kept.iter().zip(from..).all(|(&found, offset)| found == byte(offset)));
        }
    }
}

#[test]
fn segments_in_order_are_whole() {
    let mut pool = Pool::new(1 << 20);
    let mut direction = Direction::default();
    let limits = limits(StreamPolicy::Bsd);
    for (seq, payload) in [(1000u32, &b"GET "[..]), (1004, b"/index"), (1010, b".html")] {
        let arrival = direction.insert(seq, payload, 0, &limits, &mut pool);
        assert!(arrival.whole && arrival.added && !arrival.differs);
        let start = u64::from(seq - 1000);
        assert_eq!(arrival.fresh, start..start + payload.len() as u64);
    }
    let again = direction.insert(1004, b"/INDEX", 0, &limits, &mut pool);
    assert!(again.fresh.is_empty() && again.added && again.differs && !again.whole);
    let same = direction.insert(1004, b"/index", 0, &limits, &mut pool);
    assert!(same.added && !same.differs);
    assert_eq!(direction.bytes(0..u64::MAX), b"GET /index.html");
    assert_eq!(direction.bytes(4..10), b"/index");
}

#[test]
fn a_gap_is_given_up_when_what_is_behind_it_was_acknowledged() {
    let mut pool = Pool::new(1 << 20);
    let mut direction = Direction::default();
    let limits = limits(StreamPolicy::Bsd);
    direction.begin(100);
    direction.insert(104, b"GOOD", 0, &limits, &mut pool);
    direction.insert(112, b"DATA", 0, &limits, &mut pool);
    assert!(direction.waits() && !direction.overtaken(100) && !direction.overtaken(103));
    assert!(direction.overtaken(108));
    assert_eq!(direction.skip_gap(0, &mut pool), 4..8);
    assert_eq!(direction.bytes(0..u64::MAX), b"GOOD");
    assert!(!direction.overtaken(108) && direction.overtaken(116));
    // What comes for the gap now is not in the stream.
    let late = direction.insert(100, b"VERY", 0, &limits, &mut pool);
    assert!(!late.added && late.fresh.is_empty());
    assert_eq!(direction.skip_gap(0, &mut pool), 12..16);
    assert_eq!(direction.bytes(12..16), b"DATA");
    let next = direction.insert(116, b"!", 0, &limits, &mut pool);
    assert!(next.whole && next.fresh == (16..17));
}

#[test]
fn a_stream_ends_at_its_depth() {
    let mut pool = Pool::new(1 << 20);
    let mut direction = Direction::default();
    let limits = Limits {
        depth: 6,
        ..limits(StreamPolicy::Bsd)
    };
    let first = direction.insert(0, b"abcd", 0, &limits, &mut pool);
    assert!(first.whole);
    let second = direction.insert(4, b"efgh", 0, &limits, &mut pool);
    assert!(second.added && !second.whole && second.fresh == (4..6));
    let beyond = direction.insert(8, b"ijkl", 0, &limits, &mut pool);
    assert!(!beyond.added && beyond.fresh.is_empty());
    assert_eq!(direction.bytes(0..u64::MAX), b"abcdef");
}

#[test]
fn only_what_is_needed_is_kept() {
    let mut pool = Pool::new(1 << 20);
    let mut direction = Direction::default();
    let limits = limits(StreamPolicy::Bsd);
    for at in 0..1000u32 {
        let keep = direction.next().saturating_sub(600);
        let payload = [at as u8; 100];
        assert!(
            direction
                .insert(at * 100, &payload, keep, &limits, &mut pool)
                .whole
        );
        assert!(direction.base() <= keep);
    }
    assert_eq!(direction.next(), 100_000);
    assert_eq!(pool.used(), 1024 + 16);
}

#[test]
fn urgent_bytes_are_left_out_in_any_order() {
    // Two urgent bytes, in segments that come in every order; the stream is what is left.
    let parts: [(u32, &[u8], Option<usize>); 3] = [
        (0, b"EV!", Some(2)),
        (3, b"IL", None),
        (5, b"?STUFF", Some(0)),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut pool = Pool::new(1 << 20);
        let mut direction = Direction::default();
        direction.begin(0);
        for at in order {
            let (seq, bytes, urgent) = parts[at];
            if let Some(place) = urgent {
                direction.leave_out(seq + place as u32);
            }
            let limits = limits(StreamPolicy::Bsd);
            let arrival = direction.insert(seq, bytes, 0, &limits, &mut pool);
            assert!(arrival.added && !(arrival.whole && urgent.is_some()));
        }
        assert_eq!(direction.bytes(0..u64::MAX), b"EVILSTUFF", "{order:?}");
        let next = direction.insert(11, b".", 0, &limits(StreamPolicy::Bsd), &mut pool);
        assert!(next.whole && next.fresh == (9..10));
    }
}
