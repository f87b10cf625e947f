//! Whatever is sent, lost on the way or acknowledged, and whichever bytes a receiver believes: it never has what is to be dropped.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_engine::plan::{Num, NumOp, PacketTest};

use crate::talk::*;

/// A receiver's stream.
#[derive(Default)]
struct Receiver {
    /// Of bytes that come again before they are read, the last ones count.
    last: bool,
    ahead: BTreeMap<u32, u8>,
    read: Vec<u8>,
}

impl Receiver {
    fn takes(&mut self, at: u32, bytes: &[u8]) {
        for (place, &byte) in (at..).zip(bytes) {
            if place < self.read.len() as u32 {
                continue;
            }
            if self.last {
                self.ahead.insert(place, byte);
            } else {
                self.ahead.entry(place).or_insert(byte);
            }
        }
        while let Some(byte) = self.ahead.remove(&(self.read.len() as u32)) {
            self.read.push(byte);
        }
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Data {
        at: u32,
        length: usize,
        bad: bool,
        lost: bool,
    },
    Acknowledged,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let data = (0..24u32, 1..7usize, any::<bool>(), any::<bool>());
    prop_oneof![
        12 => data.prop_map(|(at, length, bad, lost)| Step::Data { at, length, bad, lost }),
        2 => Just(Step::Acknowledged),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn never_reads_what_is_dropped(
        last in any::<bool>(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut rules = words();
        // These segments alone, so that what comes in their place may be anything.
        rules.push(packets_that(PacketTest::Dsize(Num::one(NumOp::Eq, 4))));
        let mut talk = Talk::new(rules, config());
        talk.connect();
        let mut receiver = Receiver { last, ..Receiver::default() };
        let (bad, good) = (b"alpha".repeat(7), [b'-'; 35]);
        for step in &steps {
            match *step {
                Step::Data { at, length, bad: is_bad, lost } => {
                    let from = if is_bad { &bad[..] } else { &good[..] };
                    let bytes = &from[at as usize..at as usize + length];
                    if !talk.client(at, bytes) && !lost {
                        receiver.takes(at, bytes);
                    }
                }
                Step::Acknowledged => {
                    talk.acks(receiver.read.len() as u32);
                }
                // It does not get there.
                Step::Reset => {
                    let end = CLIENT + receiver.read.len() as u32;
                    talk.drops(segment(true, end, 0, RST, b""));
                }
            }
            let text = String::from_utf8_lossy(&receiver.read).into_owned();
            prop_assert!(!text.contains("alpha"), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    /// However it is cut, lost, reordered and repeated: who says the same whenever it says it is never held up, but for what a
    /// rule drops by itself.
    #[test]
    fn an_honest_sender_gets_through(steps in prop::collection::vec(step(), 1..40)) {
        let mut rules = words();
        rules.push(packets_that(PacketTest::Dsize(Num::one(NumOp::Eq, 4))));
        let mut talk = Talk::new(rules, config());
        talk.connect();
        let mut receiver = Receiver::default();
        let text: Vec<u8> = (0..35).map(|at| b'a' + at % 26).collect();
        for step in &steps {
            match *step {
                Step::Data { at, length, lost, .. } => {
                    let bytes = &text[at as usize..at as usize + length];
                    let dropped = talk.client(at, bytes);
                    prop_assert_eq!(dropped, length == 4, "{} bytes at {}", length, at);
                    if !dropped && !lost {
                        receiver.takes(at, bytes);
                    }
                }
                Step::Acknowledged | Step::Reset => {
                    prop_assert!(!talk.acks(receiver.read.len() as u32));
                }
            }
        }
        prop_assert_eq!(&receiver.read[..], &text[..receiver.read.len()]);
    }
}
