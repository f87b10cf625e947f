//! The merge against queues.

use super::Merge;
use crate::parts::run::{settle, tick};
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// What a stream has: a word, or the end of a record and whether it overflowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Word(u64),
    End(bool),
}

/// Random numbers (xorshift), the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % bound
    }
}

/// Streams in (each with this chance in 100 to have its head there), one stream out, which is taken with the second chance. Returns
/// what came out, and in how many cycles.
fn run<const I: usize>(inputs: &[Vec<Head>], offer: u64, take: u64) -> (Vec<Head>, usize) {
    let mut merge = Merge::<I, 20>::default();
    merge.connect_all();
    let mut numbers = Numbers(99);
    let mut queues: Vec<VecDeque<Head>> =
        inputs.iter().map(|q| q.iter().copied().collect()).collect();
    let (mut out, mut cycles) = (vec![], 0);
    let ends = inputs[0]
        .iter()
        .filter(|h| matches!(h, Head::End(_)))
        .count();
    // Once there, a head stays.
    let mut there = [false; I];
    while out.iter().filter(|h| matches!(h, Head::End(_))).count() < ends {
        cycles += 1;
        assert!(cycles < 20_000, "stuck");
        for i in 0..I {
            there[i] |= numbers.below(100) < offer;
            let head = queues[i].front();
            merge.valid[i].next = there[i] && head.is_some();
            if let Some(Head::Word(word)) = head {
                merge.data[i].next = (*word).into();
            }
            merge.last[i].next = matches!(head, Some(Head::End(_)));
            merge.overflow[i].next = matches!(head, Some(Head::End(true)));
        }
        merge.out_ready.next = numbers.below(100) < take;
        settle(&mut merge);
        if merge.out_valid.val() && merge.out_ready.val() {
            out.push(if merge.out_last.val() {
                Head::End(merge.out_overflow.val())
            } else {
                Head::Word(merge.out_data.val().to_u64())
            });
        }
        for i in 0..I {
            if merge.ready[i].val() && merge.valid[i].val() {
                queues[i].pop_front();
                there[i] = false;
            }
        }
        tick(&mut merge, |m| &mut m.clock);
    }
    (out, cycles)
}

/// Each record's words are those of all inputs, each input's in their order, then one end.
fn check<const I: usize>(records: usize, offer: u64, take: u64) {
    let mut numbers = Numbers(records as u64);
    let mut inputs = vec![vec![]; I];
    for _ in 0..records {
        for (i, input) in inputs.iter_mut().enumerate() {
            for _ in 0..numbers.below(5) {
                input.push(Head::Word((i as u64) << 16 | input.len() as u64));
            }
            input.push(Head::End(numbers.below(6) == 0));
        }
    }
    let (out, _) = run::<I>(&inputs, offer, take);
    let mut left: Vec<VecDeque<Head>> = inputs.into_iter().map(VecDeque::from).collect();
    for head in out {
        match head {
            Head::Word(word) => {
                assert_eq!(left[(word >> 16) as usize].pop_front(), Some(head));
            }
            Head::End(overflow) => {
                let ends: Vec<_> = left.iter_mut().map(VecDeque::pop_front).collect();
                assert!(
                    ends.iter().all(|e| matches!(e, Some(Head::End(_)))),
                    "{ends:?}"
                );
                assert_eq!(overflow, ends.contains(&Some(Head::End(true))));
            }
        }
    }
    assert!(left.iter().all(VecDeque::is_empty));
}

#[test]
fn merges_records_whole() {
    for (offer, take) in [(100, 100), (40, 100), (100, 40), (60, 60)] {
        check::<1>(60, offer, take);
        check::<2>(60, offer, take);
        check::<8>(60, offer, take);
    }
}

#[test]
fn takes_one_each_cycle_and_all_in_turn() {
    let inputs: Vec<Vec<Head>> = (0..4)
        .map(|i| {
            let words = (0..50).map(|k| Head::Word(i << 16 | k));
            words.chain([Head::End(false)]).collect()
        })
        .collect();
    let (out, cycles) = run::<4>(&inputs, 100, 100);
    assert_eq!((out.len(), cycles), (201, 202));
    // Among any four in a row each input has its turn.
    for four in out[..200].windows(4) {
        let mut turns: Vec<_> = four
            .iter()
            .map(|h| if let Head::Word(w) = h { w >> 16 } else { 9 })
            .collect();
        turns.sort_unstable();
        assert_eq!(turns, [0, 1, 2, 3]);
    }
}

#[test]
fn forgets_with_clear() {
    let mut merge = Merge::<2, 20>::default();
    merge.connect_all();
    merge.valid[0].next = true;
    merge.data[0].next = 5.into();
    tick(&mut merge, |m| &mut m.clock);
    assert!(merge.out_valid.val());
    merge.clear.next = true;
    tick(&mut merge, |m| &mut m.clock);
    assert!(!merge.out_valid.val());
}
