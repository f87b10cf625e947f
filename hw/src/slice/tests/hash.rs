//! The hashes of a beat's ends against the definition.

use super::super::hash::{BYTES, Hash, USED};
use crate::front::tests::Dice;
use crate::parts::run::{settle, tick};
use rust_hdl::prelude::*;
use weir_tables::{Hash as Definition, Key};

/// Random beats of a stream, with cycles between them in which there is none; `alone` says that the block remembers the bytes before a
/// beat itself. Compares all hashes of all ends that have enough bytes before them.
fn run(alone: bool) {
    let definition = Definition::new(&Key::from_seed(5));
    let mut hash = Box::<Hash>::default();
    hash.connect_all();
    let mut dice = Dice(11);
    let mut stream: Vec<u8> = Vec::new();
    let term = |byte: u8| Bits::<32>::from(u64::from(definition.of(&[byte])[0]));
    let mut beats = 0;
    while beats < 60 {
        let valid = !dice.one_in(4);
        if valid {
            stream.extend(dice.bytes(8));
        }
        for i in 0..BYTES {
            let back = BYTES - i;
            let byte = match stream.len().checked_sub(back) {
                Some(at) => stream[at],
                None => 0,
            };
            // Whoever remembers them does not look at the first seven, nor at any without a beat.
            let looked_at = valid && (i >= 7 || !alone);
            hash.terms[i].next = term(if looked_at {
                byte
            } else {
                dice.below(256) as u8
            });
        }
        hash.alone.next = alone;
        hash.valid.next = valid;
        tick(&mut *hash, |hash| &mut hash.clock);
        if !valid {
            continue;
        }
        beats += 1;
        settle(&mut *hash);
        for lane in 0..8 {
            let end = stream.len() - 7 + lane;
            let got = [
                hash.h2[lane].val(),
                hash.h3[lane].val(),
                hash.h4[lane].val(),
                hash.h5[lane].val(),
                hash.h6[lane].val(),
                hash.h7[lane].val(),
                hash.h8[lane].val(),
            ];
            for (length, got) in (2..).zip(got) {
                let Some(start) = end.checked_sub(length) else {
                    continue;
                };
                let expected = definition.of(&stream[start..end])[0] & ((1 << USED) - 1);
                assert_eq!(
                    got.to_u64(),
                    u64::from(expected),
                    "beat {beats}, lane {lane}, length {length}"
                );
            }
        }
    }
}

#[test]
fn hashes_are_those_of_the_window() {
    run(false);
}

#[test]
fn a_lone_slice_remembers_the_bytes_before() {
    run(true);
}
