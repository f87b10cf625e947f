//! The merge against queues.

use super::{Bank, Merge, Sieve};
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

/// A candidate of these bytes, the last one lowest, in the record of this serial.
fn candidate(bytes: u64, length: u64, end: u64, serial: u64) -> Bits<106> {
    let high = bits::<106>((length - 1) | end << 3 | serial << 19) << 64u64;
    high | bits::<106>(bytes)
}

fn bits_of(candidate: Bits<106>) -> (u64, u64) {
    let low = candidate.get_bits::<64>(0).to_u64();
    (low, candidate.get_bits::<42>(64).to_u64())
}

/// Records through a sieve, offered and taken with these chances in 100: no text is left out where it ends first, nothing is changed, and most repetitions
/// are gone.
fn sieved(offer: u64, take: u64) {
    let mut numbers = Numbers(7 + offer);
    let mut sieve = Sieve::default();
    sieve.connect_all();
    sieve.clear.next = true;
    for _ in 0..4 {
        tick(&mut sieve, |s| &mut s.clock);
    }
    sieve.clear.next = false;
    // Of each record: what goes in, and what comes out.
    let (mut given, mut got): (Vec<Vec<_>>, Vec<Vec<_>>) = (vec![vec![]], vec![vec![]]);
    let (mut overflows, mut flags) = (vec![], vec![]);
    let (mut next, mut cycles, mut looked) = (None, 0, 0);
    while got.len() <= 300 {
        cycles += 1;
        assert!(cycles < 60_000, "stuck");
        if next.is_none() && given.len() <= 300 && numbers.below(100) < offer {
            let last = numbers.below(40) == 0;
            // Few texts, so that most come again; and those of the record before, too.
            let (bytes, length) = (numbers.below(9) * 0x0101_0041, 1 + numbers.below(2) * 7);
            // Mostly in order.
            let end = cycles % 8000 + numbers.below(20);
            next = Some((last, bytes, length, end, numbers.below(4) == 0));
        }
        sieve.valid.next = next.is_some();
        if let Some((last, bytes, length, end, overflow)) = next {
            let serial = given.len() as u64;
            sieve.data.next = candidate(bytes, length, end, serial);
            sieve.last.next = last;
            sieve.overflow.next = overflow;
        }
        sieve.out_ready.next = numbers.below(100) < take;
        settle(&mut sieve);
        if sieve.valid.val() && sieve.ready.val() {
            let (last, .., overflow) = next.take().unwrap_or_default();
            if last {
                given.push(vec![]);
                overflows.push(overflow);
            } else if let Some(record) = given.last_mut() {
                record.push(bits_of(sieve.data.val()));
            }
        }
        if sieve.out_valid.val() && sieve.out_ready.val() {
            if sieve.out_last.val() {
                got.push(vec![]);
                flags.push(sieve.out_overflow.val());
            } else if let Some(record) = got.last_mut() {
                record.push(bits_of(sieve.out_data.val()));
            }
        }
        looked += usize::from(sieve.looked_up.val());
        tick(&mut sieve, |s| &mut s.clock);
    }
    assert_eq!(flags, overflows);
    let text = |&(low, high): &(u64, u64)| (low, high & 7);
    let (mut all, mut left, mut new) = (0, 0, 0);
    for (given, got) in given.iter().zip(&got) {
        let mut rest = given.iter();
        assert!(got.iter().all(|one| rest.any(|other| other == one)));
        let end = |&(_, high): &(u64, u64)| high >> 3 & 0xFFFF;
        for one in given {
            let first = given
                .iter()
                .filter(|other| text(other) == text(one))
                .min_by_key(|other| end(other));
            assert!(first.is_some_and(|first| got.contains(first)), "missing");
        }
        let texts: std::collections::BTreeSet<_> = given.iter().map(text).collect();
        new += texts.len();
        all += given.len();
        left += got.len();
    }
    assert_eq!(looked, left);
    assert!(all > 2 * new && left < new + new / 2, "{all} {left} {new}");
}

#[test]
fn what_came_before_in_the_record_is_left_out() {
    for (offer, take) in [(100, 100), (100, 30), (40, 100)] {
        sieved(offer, take);
    }
}

/// Four banks with the same inputs: each candidate leaves one of them, each end all of them.
#[test]
fn banks_share_what_there_is() {
    let mut numbers = Numbers(3);
    let mut banks: [Bank<2>; 4] = std::array::from_fn(|_| Bank::default());
    for (number, bank) in banks.iter_mut().enumerate() {
        bank.connect_all();
        bank.number.next = (number as u64).into();
        bank.mask.next = 3.into();
        bank.clear.next = true;
        tick(bank, |b| &mut b.clock);
        bank.clear.next = false;
    }
    let records = 40;
    let mut queues: [VecDeque<Option<Bits<106>>>; 2] = Default::default();
    let mut given = vec![vec![]; records];
    for (serial, given) in (0..).zip(&mut given) {
        for queue in &mut queues {
            for _ in 0..numbers.below(9) {
                let bytes = numbers.below(1 << 40);
                let one = candidate(bytes, 5, 9, serial);
                given.push(bits_of(one));
                queue.push_back(Some(one));
            }
            queue.push_back(None);
        }
    }
    let mut got: [Vec<Vec<_>>; 4] = std::array::from_fn(|_| vec![vec![]]);
    let mut cycles = 0;
    while got.iter().any(|records_of| records_of.len() <= records) {
        cycles += 1;
        assert!(cycles < 20_000, "stuck");
        for (number, bank) in banks.iter_mut().enumerate() {
            let heads = [&mut bank.head_0, &mut bank.head_1];
            let (mut valid, mut last) = (0u64, 0u64);
            for ((slice, head), queue) in (0..).zip(heads).zip(&queues) {
                valid |= u64::from(!queue.is_empty()) << slice;
                last |= u64::from(queue.front() == Some(&None)) << slice;
                if let Some(&Some(one)) = queue.front() {
                    head.next = one;
                }
            }
            bank.valid.next = valid.into();
            bank.last.next = last.into();
            // Some of them are slower, in turn.
            bank.out_ready.next = numbers.below(4) > (cycles / 64 + number as u64) % 4;
            settle(bank);
        }
        let hold = banks.iter().any(|bank| !bank.room.val());
        let mut taken = 0;
        for bank in &mut banks {
            bank.hold.next = hold;
            settle(bank);
            taken |= bank.ready.val().to_u64() & bank.valid.val().to_u64();
        }
        for (bank, got) in banks.iter_mut().zip(&mut got) {
            if bank.out_valid.val() && bank.out_ready.val() {
                if bank.out_last.val() {
                    got.push(vec![]);
                } else if let Some(record) = got.last_mut() {
                    record.push(bits_of(bank.out_data.val()));
                }
            }
            tick(bank, |b| &mut b.clock);
        }
        for (slice, queue) in queues.iter_mut().enumerate() {
            if taken >> slice & 1 == 1 {
                queue.pop_front();
            }
        }
    }
    let shares = got.each_ref().map(|all| all.iter().map(Vec::len).sum());
    let total: usize = shares.iter().sum();
    assert!(shares.iter().all(|&share| share > total / 8), "{shares:?}");
    for (serial, mut given) in given.into_iter().enumerate() {
        let mut all: Vec<_> = got.iter().flat_map(|of| of[serial].clone()).collect();
        given.sort_unstable();
        all.sort_unstable();
        assert_eq!(all, given, "record {serial}");
    }
}
