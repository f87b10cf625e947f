//! The sieve alone: the limit, and which candidates it leaves out.

use super::super::sieve::Sieve;
use crate::parts::run::{settle, tick};
use rust_hdl::prelude::*;

/// Cycles after which all slots are swept and all is through.
const SWEEP: usize = 256 + 20;

struct Bench {
    sieve: Box<Sieve>,
    /// What came out: bytes, length - 1, end; or an end and whether with overflow.
    out: Vec<(u64, u64, u64)>,
    ends: Vec<bool>,
}

impl Bench {
    fn new(limit: u64) -> Self {
        let mut sieve = Box::<Sieve>::default();
        sieve.connect_all();
        sieve.limit.next = limit.into();
        sieve.ready.next = true;
        let mut bench = Self {
            sieve,
            out: vec![],
            ends: vec![],
        };
        bench.clear();
        bench
    }

    fn cycle(&mut self) {
        settle(&mut *self.sieve);
        if self.sieve.valid.val() {
            let found = self.sieve.found.val();
            if found.last {
                self.ends.push(found.overflow);
            } else {
                let field = |from| found.candidate.get_bits::<16>(from).to_u64();
                let bytes = found.candidate.get_bits::<64>(0).to_u64();
                self.out.push((bytes, field(64) & 7, field(67)));
            }
        }
        tick(&mut *self.sieve, |s| &mut s.clock);
        self.sieve.picked.next = false;
        self.sieve.ended.next = false;
    }

    fn clear(&mut self) {
        self.sieve.clear.next = true;
        for _ in 0..32 {
            tick(&mut *self.sieve, |s| &mut s.clock);
        }
        self.sieve.clear.next = false;
        self.wait();
        self.out.clear();
        self.ends.clear();
    }

    fn wait(&mut self) {
        for _ in 0..SWEEP {
            self.cycle();
        }
        assert!(!self.sieve.pause.val());
    }

    /// Hands in a candidate of `length` of these bytes that ends at `base + 1`, or an end.
    fn pick(&mut self, serial: u16, bytes: u64, length: u64, base: u64) {
        self.sieve.picked.next = true;
        self.sieve.bytes.next = bytes.into();
        self.sieve.length.next = (length - 1).into();
        self.sieve.lane.next = 0.into();
        self.sieve.tag.next.serial = u64::from(serial).into();
        self.sieve.tag.next.base = base.into();
        self.cycle();
    }

    fn end(&mut self) {
        self.sieve.ended.next = true;
        self.cycle();
    }
}

#[test]
fn leaves_out_what_it_saw_in_the_record() {
    let mut bench = Bench::new(100);
    // Bytes beyond the length do not matter; length and bytes do. The second comes right behind the first.
    bench.pick(7, 0x99_4443_4241, 4, 8);
    bench.pick(7, 0x77_4443_4241, 4, 16);
    bench.pick(7, 0x99_4443_4241, 5, 24);
    bench.pick(7, 0x99_4443_4240, 4, 32);
    bench.end();
    // Another record has to see its own.
    bench.pick(8, 0x99_4443_4241, 4, 40);
    bench.end();
    bench.wait();
    let first = (0x4443_4241, 3, 9);
    assert_eq!(
        bench.out,
        [
            first,
            (0x99_4443_4241, 4, 25),
            (0x4443_4240, 3, 33),
            (0x4443_4241, 3, 41)
        ]
    );
    assert_eq!(bench.ends, [false, false]);
}

#[test]
fn forgets_before_serials_come_again() {
    let mut bench = Bench::new(100);
    bench.pick(0, 0x4142, 2, 8);
    for _ in 0..256 {
        bench.end();
    }
    bench.pick(0, 0x4142, 2, 16);
    bench.end();
    bench.wait();
    assert_eq!(bench.out, [(0x4142, 1, 9), (0x4142, 1, 17)]);
    assert_eq!(bench.ends.len(), 257);
    // And with `clear`, when they start over.
    bench.pick(1, 0x4143, 2, 8);
    bench.wait();
    bench.clear();
    bench.pick(1, 0x4143, 2, 8);
    bench.wait();
    assert_eq!(bench.out, [(0x4143, 1, 9)]);
}

#[test]
fn stops_at_the_limit_of_a_record() {
    let mut bench = Bench::new(3);
    for count in [3, 4, 1] {
        for k in 0..count {
            bench.pick(count as u16, k + 1, 1, 8 * k);
        }
        bench.end();
    }
    bench.wait();
    let ends: Vec<u64> = bench.out.iter().map(|o| o.2).collect();
    assert_eq!(ends, [1, 9, 17, 1, 9, 17, 1]);
    assert_eq!(bench.ends, [false, true, false]);
}
