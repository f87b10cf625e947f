//! The parts against queues and arrays.

use super::run::{settle, tick};
use super::*;
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// A small generator of numbers (xorshift), so that a failure comes again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn ram_reads_what_stood_there_before_the_edge() {
    fn check<const LATENCY: usize, const KEEPS: bool>() {
        let mut ram = Ram::<Bits<32>, 4, LATENCY, KEEPS>::default();
        ram.connect_all();
        let mut numbers = Numbers(7);
        let mut words = [0u64; 16];
        let mut shown = [0u64; 2];
        for _ in 0..500 {
            let (read, write) = (numbers.below(16), numbers.below(16));
            let (enable, put) = (numbers.below(4) > 0, numbers.below(2) == 0);
            let word = numbers.below(1 << 32);
            ram.read_address.next = read.into();
            ram.enable.next = enable;
            ram.write_address.next = write.into();
            ram.write_data.next = word.into();
            ram.write.next = put;
            tick(&mut ram, |r| &mut r.clock);
            shown[1] = shown[0];
            if enable {
                // A collision is undefined without `KEEPS`, and zero in simulation.
                let lost = !KEEPS && put && read == write;
                shown[0] = if lost { 0 } else { words[read as usize] };
            }
            if put {
                words[write as usize] = word;
            }
            assert_eq!(ram.data.val().to_u64(), shown[LATENCY - 1]);
        }
    }
    check::<1, true>();
    check::<2, true>();
    check::<1, false>();
    check::<2, false>();
}

#[test]
fn delay_is_as_long_as_it_says() {
    let mut delay = Delay::<Bits<8>, 3>::default();
    delay.connect_all();
    for i in 0..50u64 {
        delay.d.next = i.into();
        tick(&mut delay, |d| &mut d.clock);
        assert_eq!(delay.q.val().to_u64(), i.saturating_sub(2));
    }
}

#[test]
fn fifo_keeps_order_and_says_in_time_that_it_fills_up() {
    const SPARE: usize = 5;
    let mut fifo = Fifo::<Bits<16>, 4, SPARE>::default();
    fifo.connect_all();
    let mut numbers = Numbers(3);
    let mut queue = VecDeque::new();
    let (mut next, mut credit, mut most, mut taken) = (0u64, SPARE, 0, 0);
    for cycle in 0..6000u64 {
        let clear = cycle % 1500 == 1400;
        settle(&mut fifo);
        // The writer overruns `almost_full` by as much as it may; reading is slow, then quick, then never waits.
        credit = if fifo.almost_full.val() {
            credit.saturating_sub(1)
        } else {
            SPARE + 1
        };
        let write = credit > 0 && numbers.below(10) < 8;
        let ready = numbers.below(10) < [3, 9, 10][(cycle / 500 % 3) as usize];
        fifo.write.next = write;
        fifo.data_in.next = next.into();
        fifo.ready.next = ready;
        fifo.clear.next = clear;
        settle(&mut fifo);
        if fifo.valid.val() {
            assert_eq!(
                queue.front(),
                Some(&fifo.data_out.val().to_u64()),
                "cycle {cycle}"
            );
            if ready {
                queue.pop_front();
                taken += 1;
            }
        }
        if write {
            queue.push_back(next);
            next = (next + 1) & 0xffff;
        }
        most = most.max(queue.len());
        if clear {
            queue.clear();
        }
        tick(&mut fifo, |f| &mut f.clock);
    }
    assert!(most > 14, "never nearly full: {most}");
    assert!(taken > 2500, "too slow: {taken}");
    // What is in it comes out: nothing is stuck.
    fifo.write.next = false;
    fifo.ready.next = true;
    for _ in 0..40 {
        settle(&mut fifo);
        if fifo.valid.val() {
            assert_eq!(queue.pop_front(), Some(fifo.data_out.val().to_u64()));
        }
        tick(&mut fifo, |f| &mut f.clock);
    }
    assert!(queue.is_empty());
}

#[test]
fn fifo_gives_a_word_each_cycle() {
    let mut fifo = Fifo::<Bits<16>, 6, 8>::default();
    fifo.connect_all();
    fifo.ready.next = true;
    let mut taken = 0;
    for i in 0..100u64 {
        fifo.write.next = true;
        fifo.data_in.next = i.into();
        settle(&mut fifo);
        if fifo.valid.val() {
            assert_eq!(fifo.data_out.val().to_u64(), taken);
            taken += 1;
        }
        tick(&mut fifo, |f| &mut f.clock);
    }
    assert_eq!(taken, 97);
}
