//! Records through a whole slice.

use super::super::Slice;
use super::model::{Candidate, Model, Record};
use crate::hash::key_bits;
use crate::parts::run::{settle, tick};
use card_protocol::register::table;
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// As small as shows everything: the classes' sizes differ.
type Small = Slice<6, 5, 4, 6, 5>;
const ADDRESSES: [u32; 8] = [6, 6, 5, 5, 4, 4, 6, 5];
/// Cycles before and after its beat within which a table write may or may not be seen by it.
const UNSURE: u64 = 8;

/// Random numbers (xorshift), the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 8) % bound
    }

    fn in_100(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A word each bit of which is set with this chance in 100.
    fn word(&mut self, chance: u64) -> u32 {
        (0..32).fold(0, |word, i| word | u32::from(self.in_100(chance)) << i)
    }
}

/// A record on its way: beats that went in from one cycle to another.
struct Sent {
    record: Record,
    cycles: (u64, u64),
}

/// A slice with what it should hold, and what went in and came out.
struct Bench {
    slice: Box<Small>,
    model: Model,
    numbers: Numbers,
    cycle: u64,
    /// Beats still to be sent: window, keep, base, last, and the record.
    beats: VecDeque<(Vec<u8>, u64, u16, bool, Record)>,
    credit: usize,
    started: u64,
    sent: VecDeque<Sent>,
    /// Table words: when, memory, address, word.
    writes: VecDeque<(u64, usize, usize, u32)>,
    /// The tables as they were for the oldest record on its way.
    before: Model,
    found: Vec<Candidate>,
    limit: usize,
    examined: usize,
    looked_up: usize,
    counted: (usize, usize),
    overflows: usize,
    unready: usize,
}

impl Bench {
    fn new(seed: u64, density: u64) -> Self {
        let mut numbers = Numbers(seed);
        let mut model = Model {
            key: [[0; 9]; 2].map(|rows| rows.map(|_: u32| numbers.next() as u32)),
            single: [0; 8].map(|_: u32| numbers.word(20)),
            filters: ADDRESSES.map(|a| (0..1 << a).map(|_| numbers.word(density)).collect()),
        };
        let mut slice = Box::<Small>::default();
        slice.connect_all();
        let mut bench = Self {
            slice,
            before: model.clone(),
            model: model.clone(),
            numbers,
            cycle: 0,
            beats: VecDeque::new(),
            credit: 0,
            started: 0,
            sent: VecDeque::new(),
            writes: VecDeque::new(),
            found: vec![],
            limit: 0,
            examined: 0,
            looked_up: 0,
            counted: (0, 0),
            overflows: 0,
            unready: 0,
        };
        bench.load_key();
        bench.set_limit(65_535);
        bench.clear();
        for (memory, words) in model.filters.iter_mut().enumerate() {
            for (address, word) in words.iter().enumerate() {
                bench.write(memory, address, *word);
                bench.step(0, 100);
            }
        }
        bench.idle();
        bench.writes.clear();
        bench
    }

    fn load_key(&mut self) {
        self.slice.key.next = key_bits(&self.model.key);
        for (i, word) in self.model.single.into_iter().enumerate() {
            self.slice.select.next = u64::from(table::SINGLE).into();
            self.slice.address.next = (i as u64).into();
            self.slice.data.next = u64::from(word).into();
            self.slice.strobe.next = true;
            tick(&mut *self.slice, |s| &mut s.clock);
        }
        self.slice.strobe.next = false;
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.slice.limit.next = (limit as u64).into();
    }

    fn clear(&mut self) {
        self.slice.clear.next = true;
        for _ in 0..32 {
            tick(&mut *self.slice, |s| &mut s.clock);
        }
        self.slice.clear.next = false;
        (self.credit, self.examined, self.looked_up, self.counted) = (0, 0, 0, (0, 0));
        self.beats.clear();
        self.sent.clear();
        self.found.clear();
    }

    fn write(&mut self, memory: usize, address: usize, word: u32) {
        self.slice.select.next = (memory as u64 + 2).into();
        self.slice.address.next = (address as u64).into();
        self.slice.data.next = u64::from(word).into();
        self.slice.strobe.next = true;
        self.model.filters[memory][address] = word;
        self.writes.push_back((self.cycle, memory, address, word));
    }

    /// Puts a record's beats in line.
    fn record(&mut self, record: Record) {
        let (lanes, slice) = (record.lanes as isize, record.slice as isize);
        let length = record.payload.len() as isize;
        let beats = 1.max((length - record.start() + lanes - 1) / lanes);
        for beat in 0..beats {
            let base = record.start() + beat * lanes + 8 * slice;
            let window = (base - 24..base + 8)
                .map(|o| {
                    let known = usize::try_from(o).ok().and_then(|o| record.payload.get(o));
                    known.copied().unwrap_or_else(|| self.numbers.next() as u8)
                })
                .collect();
            let keep = (0..8)
                .filter(|i| (0..length).contains(&(base + i)))
                .map(|i| 1 << i)
                .sum();
            self.beats
                .push_back((window, keep, base as u16, beat + 1 == beats, record.clone()));
        }
    }

    /// One cycle: a beat goes in with the first chance in 100, what comes out is taken with the second.
    fn step(&mut self, push: u64, take: u64) {
        settle(&mut *self.slice);
        // The 32 beats that may follow are made use of.
        let ready = self.slice.ready.val();
        self.unready += usize::from(!ready);
        self.credit = if ready {
            32
        } else {
            self.credit.saturating_sub(1)
        };
        // No beat comes with a table write.
        let valid = self.credit > 0
            && !self.slice.strobe.val()
            && !self.beats.is_empty()
            && self.numbers.in_100(push);
        self.slice.valid.next = valid;
        if valid && let Some((window, keep, base, last, record)) = self.beats.pop_front() {
            let mut bits = Bits::<256>::default();
            for (i, byte) in window.into_iter().enumerate() {
                bits.set_bits::<8>(8 * i, u64::from(byte).into());
            }
            let s = &mut self.slice;
            s.window.next = bits;
            s.keep.next = keep.into();
            s.base.next = u64::from(base).into();
            s.carry.next = (record.carry as u64).into();
            s.group.next = u64::from(record.group).into();
            s.parity.next = record.parity;
            s.serial.next = u64::from(record.serial).into();
            s.last.next = last;
            if last {
                self.sent.push_back(Sent {
                    record,
                    cycles: (self.started, self.cycle),
                });
                self.started = self.cycle;
            }
        } else {
            // Anything may stand there.
            self.slice.keep.next = self.numbers.below(256).into();
            self.slice.last.next = self.numbers.in_100(50);
        }
        let take = self.numbers.in_100(take);
        self.slice.out_ready.next = take;
        settle(&mut *self.slice);
        self.counted.0 += usize::from(self.slice.examined.val());
        self.counted.1 += usize::from(self.slice.looked_up.val());
        if take && self.slice.out_valid.val() {
            self.taken();
        }
        tick(&mut *self.slice, |s| &mut s.clock);
        self.slice.strobe.next = false;
        self.cycle += 1;
    }

    fn taken(&mut self) {
        let bits = self.slice.candidate.val();
        let field = |from: usize, width: usize| {
            (0..width).fold(0, |v, i| v | usize::from(bits.get_bit(from + i)) << i)
        };
        if self.slice.out_last.val() {
            let sent = self.sent.pop_front().expect("an end without a record");
            self.check(&sent, self.slice.overflow.val());
            self.found.clear();
            return;
        }
        let record = &self
            .sent
            .front()
            .map(|s| &s.record)
            .or(self.beats.front().map(|b| &b.4));
        let record = record.expect("a candidate without a record");
        assert_eq!(field(83, 16), record.serial as usize);
        assert_eq!(field(99, 6), record.group as usize);
        assert_eq!(field(105, 1) == 1, record.parity);
        let length = field(64, 3) + 1;
        let bytes: Vec<u8> = (0..8).map(|i| field(8 * i, 8) as u8).collect();
        assert!(bytes[length..].iter().all(|b| *b == 0));
        self.found.push(Candidate {
            end: field(67, 16),
            length,
            bytes: bytes[..length].to_vec(),
        });
    }

    /// What was found in a record against what should be, between the tables before and after it.
    fn check(&mut self, sent: &Sent, overflow: bool) {
        let (record, (first, last)) = (&sent.record, sent.cycles);
        let mut after = self.before.clone();
        let mut sure = true;
        for (cycle, memory, address, word) in &self.writes {
            if *cycle + UNSURE < first {
                self.before.filters[*memory][*address] = *word;
            } else {
                sure &= *cycle > last + UNSURE;
            }
            if *cycle <= last + UNSURE {
                after.filters[*memory][*address] = *word;
            }
        }
        self.writes.retain(|w| w.0 + UNSURE >= first);
        let must = self.before.candidates(record);
        let may = after.candidates(record);
        let found = &self.found;
        if !sure {
            // Writes only set bits here: nothing may be lost, and nothing come but by them.
            let in_order = found
                .windows(2)
                .all(|w| (w[0].end, w[0].length) < (w[1].end, w[1].length));
            assert!(
                in_order && found.iter().all(|c| may.contains(c)),
                "{record:?}"
            );
            assert!(
                must.iter().all(|c| known(found, c)),
                "lost in a table write: {record:?}"
            );
            self.examined += must.len();
            return;
        }
        assert_eq!(overflow, must.len() > self.limit, "{record:?}");
        self.overflows += usize::from(overflow);
        let examined = &must[..must.len().min(self.limit)];
        let mut left = found.iter().peekable();
        for (i, candidate) in examined.iter().enumerate() {
            if left.next_if_eq(&candidate).is_none() {
                assert!(
                    known(&examined[..i], candidate),
                    "{candidate:?} lost from {record:?}"
                );
            }
        }
        assert_eq!(left.next(), None, "not a candidate of {record:?}");
        self.examined += examined.len();
        self.looked_up += found.len();
    }

    /// Lets everything come out.
    fn idle(&mut self) {
        for _ in 0..20_000 {
            if self.beats.is_empty() && self.sent.is_empty() {
                break;
            }
            self.step(100, 100);
        }
        assert!(self.beats.is_empty() && self.sent.is_empty(), "stuck");
        for _ in 0..2 * UNSURE {
            self.step(0, 100);
        }
        assert!(self.found.is_empty());
    }

    /// A payload of few different bytes, of a period, or of a run, mixed case.
    fn payload(&mut self, longest: u64) -> Vec<u8> {
        let length = self.numbers.below(longest + 1) as usize;
        let alphabet = *[2, 5, 60].get(self.numbers.below(3) as usize).unwrap_or(&2);
        let period = 1 + self.numbers.below(20) as usize;
        let mut bytes: Vec<u8> = vec![];
        let (mut periodic, mut until) = (false, 0);
        for i in 0..length {
            if i == until {
                periodic = self.numbers.in_100(50);
                until += 1 + self.numbers.below(60) as usize;
            }
            let byte = if periodic && i >= period {
                bytes[i - period]
            } else {
                b'?' + self.numbers.below(alphabet) as u8
            };
            bytes.push(byte);
        }
        bytes
    }

    fn random_record(&mut self, serial: u16, longest: u64) -> Record {
        let payload = self.payload(longest);
        let lanes = 8 << self.numbers.below(4);
        Record {
            carry: self.numbers.below(8).min(payload.len() as u64) as usize,
            payload,
            lanes,
            slice: self.numbers.below(lanes as u64 / 8) as usize,
            group: self.numbers.below(64) as u8,
            parity: self.numbers.in_100(50),
            serial,
        }
    }
}

/// Whether an equal candidate is among these.
fn known(among: &[Candidate], candidate: &Candidate) -> bool {
    among
        .iter()
        .any(|c| c.length == candidate.length && c.bytes == candidate.bytes)
}

#[test]
fn finds_what_the_definition_says() {
    let (mut examined, mut looked_up) = (0, 0);
    for (seed, density, push, take) in [(1, 60, 100, 100), (2, 80, 60, 70), (3, 92, 90, 30)] {
        let mut bench = Bench::new(seed, density);
        for serial in 65_525..65_545u32 {
            let record = bench.random_record(serial as u16, 110);
            bench.record(record);
        }
        while !bench.beats.is_empty() {
            bench.step(push, take);
        }
        bench.idle();
        assert_eq!(bench.counted, (bench.examined, bench.looked_up));
        examined += bench.examined;
        looked_up += bench.looked_up;
    }
    assert!(
        examined > 2000 && looked_up > 500 && looked_up < examined,
        "{examined} {looked_up}"
    );
}

#[test]
fn stops_at_the_limit() {
    let mut bench = Bench::new(5, 85);
    for (limit, serial) in [(0, 0), (1, 10), (40, 20)] {
        bench.set_limit(limit);
        for serial in serial..serial + 10 {
            let record = bench.random_record(serial, 120);
            bench.record(record);
        }
        bench.idle();
    }
    assert_eq!(bench.counted, (bench.examined, bench.looked_up));
    assert!(
        bench.overflows > 8 && bench.overflows < 30,
        "{}",
        bench.overflows
    );
}

#[test]
fn loses_nothing_while_tables_are_written() {
    let mut bench = Bench::new(6, 40);
    for serial in 0..30 {
        let record = bench.random_record(serial, 100);
        bench.record(record);
    }
    while !bench.beats.is_empty() {
        if bench.numbers.in_100(70) {
            let memory = bench.numbers.below(8) as usize;
            let address = bench.numbers.below(1 << ADDRESSES[memory]) as usize;
            let word = bench.model.filters[memory][address] | bench.numbers.word(30);
            bench.write(memory, address, word);
        }
        bench.step(70, 90);
    }
    bench.idle();
    assert!(bench.examined > 100, "{}", bench.examined);
}

#[test]
fn starts_over_with_clear() {
    let mut bench = Bench::new(7, 90);
    bench.set_limit(30);
    for _ in 0..2 {
        for serial in 0..8 {
            let record = bench.random_record(serial, 120);
            bench.record(record);
        }
        // Nothing is taken: the FIFOs hold records, and one is cut off.
        for _ in 0..60 {
            bench.step(100, 0);
        }
        bench.clear();
    }
    for serial in 0..4 {
        let record = bench.random_record(serial, 120);
        bench.record(record);
    }
    bench.idle();
    assert_eq!(bench.counted, (bench.examined, bench.looked_up));
    assert!(bench.examined > 20);
}

/// Fills a slice, taking nothing, with a long record, and goes on sending for as long as the slice has said it may.
fn full(density: u64) -> Bench {
    let mut bench = Bench::new(8, density);
    let payload: Vec<u8> = (0..6000)
        .map(|_| b'a' + bench.numbers.below(20) as u8)
        .collect();
    let (lanes, slice, group, parity, serial) = (8, 0, 1, false, 0);
    bench.record(Record {
        payload,
        carry: 0,
        lanes,
        slice,
        group,
        parity,
        serial,
    });
    for _ in 0..700 {
        bench.step(100, 0);
    }
    assert!(bench.unready > 100 && !bench.beats.is_empty(), "never full");
    bench
}

#[test]
fn loses_nothing_while_nothing_is_taken() {
    let mut bench = full(45);
    bench.idle();
    assert!(bench.examined > 1000, "{}", bench.examined);
}

#[test]
fn passes_over_what_is_beyond_the_limit() {
    let mut bench = full(90);
    // What is left of the record goes by the beat, not by the candidate.
    bench.set_limit(50);
    let before = bench.cycle;
    bench.idle();
    assert!(bench.cycle - before < 2500, "{}", bench.cycle - before);
    assert_eq!(bench.overflows, 1);
}

#[test]
fn is_wired_up() {
    let mut slice = Box::<Small>::default();
    slice.connect_all();
    assert!(check_all(&*slice).is_ok());
}
