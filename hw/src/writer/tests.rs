//! The writer against lists of items.

use super::{Gearbox, Writer};
use crate::front::tests::Dice;
use crate::parts::run::{settle, tick};
use card_protocol::report::{FLAG_OVERFLOW, Item, UNIT, Unit};
use rust_hdl::prelude::*;
use std::collections::VecDeque;

const NONCE: u32 = 0xCAFE_0123;

/// What the exact stage hands over: hits, or a record's end and whether it overflowed.
#[derive(Clone)]
enum Found {
    Hits {
        entries: [u32; 4],
        which: u8,
        end: u16,
    },
    Last {
        overflow: bool,
    },
}

/// A record's sequence, generation and flags.
type End = (u32, u16, u8);

/// Records with hits of each engine, their ends, and the items that come of them.
fn records<const E: usize>(
    dice: &mut Dice,
    count: u32,
) -> ([VecDeque<Found>; E], VecDeque<End>, Vec<Item>) {
    let (mut ends, mut items) = (VecDeque::new(), Vec::new());
    let mut found = [const { VecDeque::new() }; E];
    for sequence in 0..count {
        let mut hits = 0u8;
        // Seldom more than the counter of hits can hold.
        let most = [1, 3, 20, 200][dice.below(4) as usize % if sequence % 16 == 9 { 4 } else { 3 }];
        for _ in 0..dice.below(most) {
            let entries = std::array::from_fn(|_| dice.below(1 << 20) as u32);
            let which = dice.below(16) as u8;
            let end = dice.below(1 << 14) as u16;
            for (way, &entry) in entries.iter().enumerate() {
                if which >> way & 1 == 1 {
                    items.push(Item::Hit { entry, end });
                    hits = hits.wrapping_add(1);
                }
            }
            found[dice.below(E as u64) as usize].push_back(Found::Hits {
                entries,
                which,
                end,
            });
        }
        let overflows: [bool; E] = std::array::from_fn(|_| dice.one_in(5));
        let overflow = overflows.contains(&true);
        let flags = (dice.below(8) << 1) as u8;
        let generation = dice.below(1 << 16) as u16;
        let sequence = sequence.wrapping_mul(0x9E37_79B9);
        for (found, overflow) in found.iter_mut().zip(overflows) {
            found.push_back(Found::Last { overflow });
        }
        ends.push_back((sequence, generation, flags));
        items.push(Item::End {
            flags: flags | if overflow { FLAG_OVERFLOW } else { 0 },
            hits,
            generation,
            sequence,
        });
    }
    (found, ends, items)
}

/// The items with the hits of each record in one order: which engine's comes first is not fixed.
fn in_order(mut items: Vec<Item>) -> Vec<Item> {
    for record in items.split_mut(|item| matches!(item, Item::End { .. })) {
        record.sort_by_key(|item| match *item {
            Item::Hit { entry, end } => (entry, end),
            Item::End { .. } => (0, 0),
        });
    }
    items
}

struct Bench<const E: usize, const W: usize> {
    writer: Writer<E, W>,
    found: [VecDeque<Found>; E],
    ends: VecDeque<End>,
    /// Ends are offered one in so many cycles, and words taken.
    slow: u64,
    words: Vec<u8>,
    units: Vec<Unit>,
    counts: [u64; 4],
    ends_not_ready: u32,
}

impl<const E: usize, const W: usize> Bench<E, W> {
    fn new(linger: u64, slow: u64) -> Self {
        let mut writer = Writer::default();
        writer.connect_all();
        writer.nonce.next = u64::from(NONCE).into();
        writer.linger.next = linger.into();
        let mut bench = Self {
            writer,
            found: [const { VecDeque::new() }; E],
            ends: VecDeque::new(),
            slow,
            words: Vec::new(),
            units: Vec::new(),
            counts: [0; 4],
            ends_not_ready: 0,
        };
        bench.clear();
        bench
    }

    fn clear(&mut self) {
        self.writer.clear.next = true;
        for valid in &mut self.writer.valid {
            valid.next = false;
        }
        self.writer.end_valid.next = false;
        for _ in 0..32 {
            tick(&mut self.writer, |w| &mut w.clock);
        }
        assert!(!self.writer.busy.val() && !self.writer.tvalid.val());
        self.writer.clear.next = false;
        self.words.clear();
        self.units.clear();
        self.counts = [0; 4];
    }

    fn cycle(&mut self, dice: &mut Dice) {
        let writer = &mut self.writer;
        // Ends still come for a while when there is room for 16.
        self.ends_not_ready = if writer.ends_ready.val() {
            0
        } else {
            self.ends_not_ready + 1
        };
        let end = self
            .ends
            .front()
            .filter(|_| self.ends_not_ready < 16 && dice.one_in(self.slow));
        writer.end_valid.next = end.is_some();
        if let Some(&(sequence, generation, flags)) = end {
            let end = u64::from(sequence) | u64::from(generation) << 32 | u64::from(flags) << 48;
            writer.end_data.next = end.into();
            self.ends.pop_front();
        }
        for (engine, found) in self.found.iter().enumerate() {
            writer.valid[engine].next = !found.is_empty();
            match found.front() {
                Some(&Found::Hits {
                    entries,
                    which,
                    end,
                }) => {
                    let entries = entries
                        .iter()
                        .rev()
                        .fold(0u128, |all, &e| all << 20 | u128::from(e));
                    let (high, low) = ((entries >> 64) as u64, entries as u64);
                    let hits: Bits<100> =
                        (Bits::from(high | u64::from(which) << 16 | u64::from(end) << 20) << 64u64)
                            | Bits::from(low);
                    writer.hits[engine].next = hits;
                    writer.last[engine].next = false;
                }
                Some(&Found::Last { overflow }) => {
                    writer.last[engine].next = true;
                    writer.overflow[engine].next = overflow;
                }
                None => {}
            }
        }
        writer.tready.next = dice.one_in(self.slow);
        settle(writer);
        for (engine, found) in self.found.iter_mut().enumerate() {
            if writer.valid[engine].val() && writer.ready[engine].val() {
                found.pop_front();
            }
        }
        if writer.tvalid.val() && writer.tready.val() {
            let beat = writer.tdata.val();
            for word in 0..W / 64 {
                let word = beat.get_bits::<64>(64 * word).to_u64();
                self.words.extend(word.to_le_bytes());
            }
            assert_eq!(writer.tlast.val(), self.words.len() == UNIT);
            if let Ok(unit) = <[u8; UNIT]>::try_from(&self.words[..]) {
                self.units
                    .push(Unit::parse(&unit, NONCE).expect("a good unit"));
                self.words.clear();
            }
        }
        let counts = [
            writer.count_hits.val().to_u64(),
            writer.count_overflow.val().into(),
            writer.count_unit.val().into(),
            writer.count_stall.val().into(),
        ];
        // Up to 128 bits it is words that are counted, before they become beats.
        let stalls = u64::from(writer.tvalid.val() && !writer.tready.val());
        assert!(W <= 128 || counts[3] == stalls);
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        tick(writer, |w| &mut w.clock);
    }

    /// Items of all units; units that are not full must be allowed for.
    fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for (number, unit) in (0..).zip(&self.units) {
            assert_eq!(unit.number, number);
            let parsed: Vec<_> = unit
                .items
                .iter()
                .map(|&word| Item::parse(word).expect("an item"))
                .collect();
            let count = parsed.iter().flatten().count();
            assert!(
                count > 0 && parsed[..count].iter().all(Option::is_some),
                "unused ones last"
            );
            items.extend(parsed.into_iter().flatten());
        }
        items
    }
}

fn all_items_come_out<const E: usize, const W: usize>() {
    let mut dice = Dice(11);
    for (linger, slow) in [(64, 1), (0, 1), (3, 2), (0, 5), (64, 3)] {
        let mut bench = Bench::<E, W>::new(linger, slow);
        bench.writer.upstream_busy.next = true;
        // What is cut off by a clear leaves nothing behind.
        (bench.found, bench.ends, _) = records(&mut dice, 20);
        for _ in 0..dice.below(200) {
            bench.cycle(&mut dice);
        }
        bench.clear();
        let items;
        (bench.found, bench.ends, items) = records(&mut dice, 150);
        let mut cycles = 0;
        while bench.found.iter().any(|found| !found.is_empty())
            || !bench.ends.is_empty()
            || bench.writer.busy.val()
        {
            bench.cycle(&mut dice);
            cycles += 1;
            assert!(cycles < 100_000, "hangs");
        }
        let got = bench.items();
        if E == 1 {
            assert_eq!(got, items, "as they come");
        }
        let hits = items
            .iter()
            .filter(|i| matches!(i, Item::Hit { .. }))
            .count();
        let overflows = items
            .iter()
            .filter(|i| matches!(i, Item::End { flags, .. } if flags & FLAG_OVERFLOW != 0))
            .count();
        assert_eq!(in_order(got), in_order(items));
        assert_eq!(bench.counts[0], hits as u64);
        assert_eq!(bench.counts[1], overflows as u64);
        assert_eq!(bench.counts[2], bench.units.len() as u64);
        assert!(
            hits > 256 && overflows > 5 && bench.units.len() > 50,
            "not all was tried"
        );
    }
}

#[test]
fn items_come_out_in_order() {
    all_items_come_out::<1, 64>();
    all_items_come_out::<1, 128>();
    all_items_come_out::<1, 256>();
    all_items_come_out::<2, 512>();
}

/// So many units leave in 816 cycles, while hits come as fast as they can.
fn units_of_a_flood<const E: usize, const W: usize>(units: usize) {
    let mut dice = Dice(12);
    let mut bench = Bench::<E, W>::new(1000, 1);
    bench.writer.upstream_busy.next = true;
    // Steady hits, four of each candidate and one of each.
    for which in [15, 1] {
        let hits = Found::Hits {
            entries: [1, 2, 3, 4],
            which,
            end: 9,
        };
        let count = 900 / which.count_ones() as usize;
        bench.found = std::array::from_fn(|_| std::iter::repeat_n(hits.clone(), count).collect());
        let before = bench.units.len();
        for _ in 0..816 {
            bench.cycle(&mut dice);
        }
        let left = bench.units.len() - before;
        assert!(left >= units, "{left} units");
        while bench.found.iter().any(|found| !found.is_empty()) {
            bench.cycle(&mut dice);
        }
    }
}

#[test]
fn hits_leave_as_fast_as_they_should() {
    // Six items in eight cycles; one a cycle; two a cycle.
    units_of_a_flood::<1, 64>(100);
    units_of_a_flood::<1, 256>(133);
    units_of_a_flood::<2, 512>(267);
}

fn waits<const E: usize, const W: usize>() {
    let mut dice = Dice(13);
    let mut bench = Bench::<E, W>::new(100, 1);
    let mut cycles = |bench: &mut Bench<E, W>, count| {
        for _ in 0..count {
            bench.cycle(&mut dice);
        }
        bench.units.len()
    };
    bench.writer.upstream_busy.next = true;
    let hits = Found::Hits {
        entries: [1, 2, 3, 4],
        which: 5,
        end: 9,
    };
    bench.found[0].push_back(hits.clone());
    assert_eq!(cycles(&mut bench, 100), 0, "lingers");
    assert_eq!(
        cycles(&mut bench, 32),
        1,
        "long enough: {E} engines, {W} bits"
    );
    bench.writer.upstream_busy.next = false;
    bench.found[0].push_back(hits);
    assert_eq!(cycles(&mut bench, 22), 2, "nothing more can come");
    // A record without its end may have more to say.
    bench.ends.push_back((1, 2, 0));
    assert_eq!(cycles(&mut bench, 50), 2);
    assert!(bench.writer.busy.val());
    for found in &mut bench.found {
        found.push_back(Found::Last { overflow: false });
    }
    assert_eq!(cycles(&mut bench, 22), 3);
    assert!(!bench.writer.busy.val());
}

#[test]
fn a_unit_waits_for_items_as_long_as_some_may_come() {
    waits::<1, 64>();
    waits::<1, 256>();
    waits::<2, 512>();
}

fn gearbox<const W: usize>() {
    let mut dice = Dice(W as u64);
    let mut gearbox = Gearbox::<W>::default();
    gearbox.connect_all();
    let words: Vec<u64> = (0..160).map(|_| dice.below(u64::MAX)).collect();
    for gaps in [1, 3] {
        let (mut sent, mut cycles) = (0, 0);
        let mut got = Vec::new();
        while got.len() < words.len() {
            gearbox.word_valid.next = sent < words.len() && dice.one_in(gaps);
            gearbox.word.next = words.get(sent).copied().unwrap_or(0).into();
            gearbox.word_last.next = sent % 8 == 7;
            gearbox.tready.next = dice.one_in(gaps);
            settle(&mut gearbox);
            if gearbox.word_valid.val() && gearbox.word_ready.val() {
                sent += 1;
            }
            if gearbox.tvalid.val() && gearbox.tready.val() {
                let beat = gearbox.tdata.val();
                got.extend((0..W / 64).map(|word| beat.get_bits::<64>(64 * word).to_u64()));
                assert_eq!(gearbox.tlast.val(), got.len() % 8 == 0);
            }
            tick(&mut gearbox, |g| &mut g.clock);
            cycles += 1;
            assert!(cycles < 2000, "hangs");
        }
        assert_eq!(got, words);
        assert!(!gearbox.busy.val());
        assert!(
            gaps > 1 || cycles <= words.len() + 2,
            "a word a cycle: {cycles}"
        );
        // Half a beat is forgotten.
        gearbox.word_valid.next = true;
        tick(&mut gearbox, |g| &mut g.clock);
        gearbox.word_valid.next = false;
        gearbox.clear.next = true;
        tick(&mut gearbox, |g| &mut g.clock);
        gearbox.clear.next = false;
    }
}

#[test]
fn words_become_beats() {
    gearbox::<64>();
    gearbox::<128>();
    gearbox::<256>();
    gearbox::<512>();
}
