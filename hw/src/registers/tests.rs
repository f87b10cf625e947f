//! The registers against an array of numbers.

use super::Registers;
use crate::front::tests::Dice;
use crate::parts::run::{settle, tick};
use card_protocol::record;
use card_protocol::register as map;
use card_protocol::register::{exact, table};
use rust_hdl::prelude::*;
use std::collections::BTreeMap;
use weir_tables::{Geometry, Size};

const KHZ: u32 = 125_000;
const REVISION: u32 = 0xABCD_EF01;

/// A word on the bus to the memories: memory, place, word.
type Written = (u64, u64, u64);

struct Bench {
    registers: Registers,
    dice: Dice,
    written: Vec<Written>,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let geometry = Geometry::new(16, Size::Compact);
        let mut registers = Registers::new(&geometry, REVISION, KHZ);
        registers.connect_all();
        let mut bench = Self {
            registers,
            dice: Dice(seed),
            written: Vec::new(),
        };
        bench.wait(60);
        bench
    }

    fn tick(&mut self) {
        tick(&mut self.registers, |r| &mut r.clock);
        let r = &self.registers;
        if r.write_strobe.val() {
            self.written.push((
                r.write_select.val().to_u64(),
                r.write_address.val().to_u64(),
                r.write_data.val().to_u64(),
            ));
        }
    }

    fn wait(&mut self, cycles: u32) {
        for _ in 0..cycles {
            self.tick();
        }
    }

    /// Writes, with address and data in any order and the response taken at any time.
    fn write(&mut self, at: u32, data: u32) {
        let (mut address, mut word, mut answers) = (true, true, 0);
        for _ in 0..200 {
            let r = &mut self.registers;
            r.awvalid.next = address && self.dice.one_in(3);
            r.awaddr.next = u64::from(at).into();
            r.wvalid.next = word && self.dice.one_in(3);
            r.wdata.next = u64::from(data).into();
            r.bready.next = self.dice.one_in(3);
            settle(r);
            address &= !(r.awvalid.val() && r.awready.val());
            word &= !(r.wvalid.val() && r.wready.val());
            answers += u32::from(r.bvalid.val() && r.bready.val());
            assert!(
                !r.bvalid.val() || (!address && !word),
                "answered before it is asked"
            );
            self.tick();
            if answers == 1 && !self.registers.bvalid.val() {
                self.registers.awvalid.next = false;
                self.registers.wvalid.next = false;
                self.wait(4);
                return;
            }
        }
        panic!("no answer to a write at {at:#x}");
    }

    fn read(&mut self, at: u32) -> u32 {
        let mut asked = false;
        for _ in 0..200 {
            let r = &mut self.registers;
            r.arvalid.next = !asked && self.dice.one_in(2);
            r.araddr.next = u64::from(at).into();
            r.rready.next = self.dice.one_in(3);
            settle(r);
            asked |= r.arvalid.val() && r.arready.val();
            let answer = (r.rvalid.val() && r.rready.val()).then(|| r.rdata.val().to_u32());
            assert!(asked || !r.rvalid.val(), "answered before it is asked");
            self.tick();
            if let Some(answer) = answer {
                return answer;
            }
        }
        panic!("no answer to a read at {at:#x}");
    }
}

#[test]
fn all_registers_read_as_they_should() {
    let mut bench = Bench::new(1);
    let geometry = Geometry::new(16, Size::Compact);
    let [f8, f6, f4, f3, f2] = geometry.filters;
    let mut expected = BTreeMap::from([
        (map::MAGIC, map::MAGIC_VALUE),
        (map::INTERFACE, map::INTERFACE_VALUE),
        (map::REVISION, REVISION),
        (map::LANES, 16 | 2 << 8 | 1 << 16),
        (map::FILTERS, f8 | f6 << 5 | f4 << 10 | f3 << 15 | f2 << 20),
        (map::EXACT, geometry.exact),
        (map::CLOCK, KHZ),
        (map::MAX_LENGTH, record::MAX_LENGTH as u32),
        (map::STATUS, map::STATUS_IDLE),
        (map::LIMIT, 0xFFFF),
        (map::LINGER, 64),
    ]);
    let check = |bench: &mut Bench, expected: &BTreeMap<u32, u32>| {
        for at in (0..map::COUNT_CYCLES)
            .step_by(4)
            .chain([0x0C4, 0x100, 0xFFC, 0x1000, 0x8028])
        {
            let got = bench.read(at);
            assert_eq!(got, expected.get(&at).copied().unwrap_or(0), "at {at:#x}");
        }
    };
    let at_reset = expected.clone();
    check(&mut bench, &expected);
    // What can be written, and which bits stay.
    let writable = [
        (map::CONTROL, 1),
        (map::NONCE, u32::MAX),
        (map::GENERATION_EVEN, 0x1_FFFF),
        (map::GENERATION_ODD, 0x1_FFFF),
        (map::LIMIT, 0xFFFF),
        (map::LINGER, 0xFFFF),
        (map::TABLE_SELECT, u32::MAX),
        (map::TABLE_ADDRESS, u32::MAX),
    ];
    for round in 0..3 {
        // In every order; other addresses, and those that are not aligned, take nothing.
        for at in (0..0x200).step_by(if round == 2 { 2 } else { 4 }) {
            if at == map::TABLE_DATA {
                continue;
            }
            let word = bench.dice.below(1 << 32) as u32;
            bench.write(at, word);
            if let Some((_, bits)) = writable.iter().find(|(register, _)| *register == at) {
                expected.insert(at, word & bits);
            }
        }
        bench.wait(60);
        check(&mut bench, &expected);
    }
    let r = &bench.registers;
    assert_eq!(
        u64::from(expected[&map::CONTROL]),
        u64::from(r.enable.val())
    );
    assert_eq!(u64::from(expected[&map::NONCE]), r.nonce.val().to_u64());
    assert_eq!(
        u64::from(expected[&map::GENERATION_EVEN]),
        r.even.val().to_u64()
    );
    assert_eq!(
        u64::from(expected[&map::GENERATION_ODD]),
        r.odd.val().to_u64()
    );
    assert_eq!(u64::from(expected[&map::LIMIT]), r.limit.val().to_u64());
    assert_eq!(u64::from(expected[&map::LINGER]), r.linger.val().to_u64());
    bench.registers.busy.next = true;
    bench.registers.hunting.next = true;
    expected.insert(map::STATUS, map::STATUS_HUNTING);
    check(&mut bench, &expected);
    bench.registers.busy.next = false;
    bench.registers.hunting.next = false;
    bench.registers.reset.next = true;
    bench.wait(1);
    bench.registers.reset.next = false;
    bench.wait(60);
    check(&mut bench, &at_reset);
}

#[test]
fn reset_and_flush_clear_for_long_enough() {
    let mut bench = Bench::new(2);
    let cleared = |bench: &mut Bench| {
        let mut cycles = 0;
        for _ in 0..100 {
            bench.tick();
            cycles += u32::from(bench.registers.clear.val());
        }
        cycles
    };
    assert_eq!(cleared(&mut bench), 0);
    bench.registers.reset.next = true;
    bench.tick();
    assert!(bench.registers.clear.val());
    bench.registers.reset.next = false;
    assert!(cleared(&mut bench) >= 32);
    bench.write(map::LINGER, 7);
    // Word and address are there at once, so that the flush falls into the cycles that are watched.
    let flush = |bench: &mut Bench, word: u32| {
        bench.registers.awaddr.next = u64::from(map::CONTROL).into();
        bench.registers.wdata.next = u64::from(word).into();
        bench.registers.awvalid.next = true;
        bench.registers.wvalid.next = true;
        bench.tick();
        bench.registers.awvalid.next = false;
        bench.registers.wvalid.next = false;
        cleared(bench)
    };
    bench.registers.bready.next = true;
    assert!(flush(&mut bench, map::CONTROL_FLUSH | map::CONTROL_ENABLE) >= 32);
    assert!(bench.registers.enable.val());
    assert_eq!(bench.read(map::LINGER), 7);
    assert_eq!(bench.read(map::CONTROL), map::CONTROL_ENABLE);
    bench.registers.bready.next = true;
    assert_eq!(flush(&mut bench, 0), 0);
    // At power-up, without any reset.
    let mut registers = Registers::new(&Geometry::new(8, Size::Full), 0, 1);
    registers.connect_all();
    let mut bench = Bench {
        registers,
        dice: Dice(1),
        written: Vec::new(),
    };
    assert!(cleared(&mut bench) >= 32);
}

#[test]
fn table_words_go_to_their_memory_or_are_counted() {
    let mut bench = Bench::new(3);
    let geometry = Geometry::new(16, Size::Compact);
    let [f8, f6, f4, f3, f2] = geometry.filters.map(|bits| 1u32 << bits);
    let filters = [f8, f8, f6, f6, f4, f4, f3, f2];
    let size = |select: u32| match select {
        table::KEY => 25,
        table::SINGLE => 8,
        table::FILTER_8A..=table::FILTER_2 => filters[(select - table::FILTER_8A) as usize],
        table::EXACT..table::END if select % 8 < exact::WORDS => 1 << geometry.exact,
        _ => 0,
    };
    let exists = |select: u32, at: u32| {
        at < size(select) && (select != table::KEY || !(9..16).contains(&at))
    };
    let (mut expected, mut errors) = (Vec::new(), 0);
    let mut key = [0u32; 18];
    let mut put = |bench: &mut Bench, select: u32, at: u32, words: u32| {
        bench.write(map::TABLE_SELECT, select);
        bench.write(map::TABLE_ADDRESS, at);
        for i in 0..words {
            let at = at.wrapping_add(i);
            let word = bench.dice.below(1 << 32) as u32;
            bench.write(map::TABLE_DATA, word);
            if !exists(select, at) {
                errors += 1;
                continue;
            }
            expected.push((u64::from(select), u64::from(at), u64::from(word)));
            if select == table::KEY {
                key[(at / 16 * 9 + at % 16) as usize] = word;
            }
        }
        assert_eq!(bench.read(map::TABLE_ADDRESS), at.wrapping_add(words));
    };
    put(&mut bench, table::KEY, 0, 40);
    put(&mut bench, table::SINGLE, 0, 10);
    put(&mut bench, table::KEY, 3, 2);
    for select in (2..70).chain([96, 128, 160, 1 << 31 | 2, u32::MAX]) {
        let last = size(select).saturating_sub(2);
        put(&mut bench, select, last, 3);
        put(&mut bench, select, 1 << 16, 1);
        put(&mut bench, select, u32::MAX, 2);
    }
    for _ in 0..50 {
        let select = bench.dice.below(64) as u32;
        let at = bench.dice.below(u64::from(size(select)) + 4) as u32;
        put(&mut bench, select, at, 1);
    }
    assert!(errors > 100 && expected.len() > 100, "not all was tried");
    assert_eq!(bench.written, expected);
    assert_eq!(bench.read(map::COUNT_TABLE_WRITES), expected.len() as u32);
    assert_eq!(bench.read(map::COUNT_TABLE_ERRORS), errors);
    let check = |written: &[Written]| {
        written.iter().fold(0, |check, &(select, at, word)| {
            card_protocol::table_check(check, select as u32, at as u32, word as u32)
        })
    };
    assert_eq!(bench.read(map::TABLE_CHECK), check(&bench.written));
    let rows = |bits: usize| bench.registers.key.val().get_bits::<32>(bits).to_u32();
    assert_eq!(std::array::from_fn(|row| rows(32 * row)), key);
    // It starts again where it is written, after the words before and before those after; a reset is no such thing.
    let before = bench.written.len();
    bench.write(map::TABLE_CHECK, 0xFFFF_FFFF);
    assert_eq!(bench.read(map::TABLE_CHECK), 0);
    bench.write(map::TABLE_SELECT, table::FILTER_2);
    bench.write(map::TABLE_ADDRESS, 5);
    bench.write(map::TABLE_DATA, 0x1234_5678);
    bench.registers.reset.next = true;
    bench.wait(1);
    bench.registers.reset.next = false;
    bench.wait(60);
    assert_eq!(bench.written.len(), before + 1);
    assert_eq!(
        bench.read(map::TABLE_CHECK),
        check(&bench.written[before..])
    );
}

#[test]
fn counters_count_and_outlast_a_reset() {
    let mut bench = Bench::new(4);
    let mut sums = [0u32; 14];
    let cycles_before = bench.read(map::COUNT_CYCLES);
    for _ in 0..400 {
        let dice = &mut bench.dice;
        let r = &mut bench.registers;
        let steps = [
            &mut r.count_beat,
            &mut r.count_stall,
            &mut r.count_record,
            &mut r.count_lost,
            &mut r.count_damaged,
            &mut r.count_stale,
            &mut r.count_malformed,
            &mut r.count_overflow,
            &mut r.count_unit,
            &mut r.count_out_stall,
        ];
        // Each of them as often as no other, so that none is taken for another.
        for (i, step) in steps.into_iter().enumerate() {
            step.next = dice.one_in(2 + i as u64);
            sums[i] += u32::from(step.next);
        }
        let (hits, bytes) = (dice.below(3), dice.below(1 << 15));
        let (candidates, lookups) = (dice.below(1 << 8), dice.below(3));
        r.count_hits.next = hits.into();
        r.count_bytes.next = bytes.into();
        r.count_candidates.next = candidates.into();
        r.count_lookups.next = lookups.into();
        for (sum, step) in sums[10..]
            .iter_mut()
            .zip([hits, bytes, candidates, lookups])
        {
            *sum += step as u32;
        }
        bench.registers.reset.next = bench.dice.one_in(100);
        bench.tick();
    }
    let r = &mut bench.registers;
    for step in [
        &mut r.count_beat,
        &mut r.count_stall,
        &mut r.count_record,
        &mut r.count_lost,
        &mut r.count_damaged,
        &mut r.count_stale,
        &mut r.count_malformed,
        &mut r.count_overflow,
        &mut r.count_unit,
        &mut r.count_out_stall,
    ] {
        step.next = false;
    }
    r.count_hits.next = 0.into();
    r.count_bytes.next = 0.into();
    r.count_candidates.next = 0.into();
    r.count_lookups.next = 0.into();
    r.reset.next = false;
    bench.wait(60);
    let registers = [
        map::COUNT_BEATS,
        map::COUNT_STALLS,
        map::COUNT_RECORDS,
        map::COUNT_LOST,
        map::COUNT_DAMAGED,
        map::COUNT_STALE,
        map::COUNT_MALFORMED,
        map::COUNT_OVERFLOWS,
        map::COUNT_UNITS,
        map::COUNT_OUT_STALLS,
        map::COUNT_HITS,
        map::COUNT_BYTES,
        map::COUNT_CANDIDATES,
        map::COUNT_LOOKUPS,
    ];
    assert_eq!(registers.map(|at| bench.read(at)), sums);
    let cycles = bench.read(map::COUNT_CYCLES) - cycles_before;
    assert!((460..800).contains(&cycles), "{cycles} cycles");
}

#[test]
fn writes_and_reads_wait_for_the_response_before() {
    let mut bench = Bench::new(5);
    let r = &mut bench.registers;
    (r.bready.next, r.rready.next) = (false, false);
    r.awaddr.next = u64::from(map::NONCE).into();
    r.araddr.next = u64::from(map::NONCE).into();
    r.awvalid.next = true;
    r.wvalid.next = true;
    // Three writes are asked for while no response is taken: the first is done, the second waits, the third is not taken.
    let mut taken = 0;
    for _ in 0..30 {
        let r = &mut bench.registers;
        r.wdata.next = (100 + taken).into();
        settle(r);
        let both = r.awready.val() && r.wready.val();
        bench.tick();
        taken += u64::from(both);
    }
    assert_eq!(taken, 2);
    bench.registers.awvalid.next = false;
    bench.registers.wvalid.next = false;
    assert_eq!(bench.registers.nonce.val().to_u64(), 100);
    bench.registers.arvalid.next = true;
    bench.wait(30);
    bench.registers.arvalid.next = false;
    let (mut responses, mut words) = (0, Vec::new());
    for _ in 0..60 {
        let r = &mut bench.registers;
        r.bready.next = bench.dice.one_in(3);
        r.rready.next = bench.dice.one_in(3);
        settle(r);
        responses += u64::from(r.bvalid.val() && r.bready.val());
        if r.rvalid.val() && r.rready.val() {
            words.push(r.rdata.val().to_u64());
        }
        bench.tick();
    }
    assert_eq!(responses, 2);
    assert_eq!(bench.registers.nonce.val().to_u64(), 101);
    assert_eq!(words.len(), 2);
    assert_eq!(words[0], 100);
}
