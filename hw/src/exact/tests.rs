//! The exact stage against the definition, with other traffic in the tables, ends of records, idle cycles and backpressure.

use card_protocol::register::{exact, table};
use rust_hdl::prelude::*;
use weir_engine::matcher::testing::Rng;

use super::Exact;
use crate::hash::key_bits;
use crate::parts::run::{settle, tick};

/// Address bits of a way: few, so that slots are shared and keys collide.
const X: usize = 4;

#[derive(Clone, Copy, Default)]
struct Slot {
    words: [u32; exact::WORDS as usize],
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Last byte first.
    bytes: [u8; 8],
    length: usize,
    end: u16,
    group: u8,
    parity: bool,
}

impl Candidate {
    fn bits(&self) -> Bits<106> {
        let about = (self.length as u64 - 1) | u64::from(self.end) << 3;
        let bytes: Bits<106> = wide(u64::from_le_bytes(self.bytes));
        // The serial is of no use here: all ones must not matter.
        let serial: Bits<106> = wide(0xFFFF);
        let group = u64::from(self.group) | u64::from(self.parity) << 6;
        let (about, group): (Bits<106>, Bits<106>) = (wide(about), wide(group));
        bytes | (about << 64) | (serial << 83) | (group << 99)
    }
}

fn wide<const N: usize>(value: u64) -> Bits<N> {
    let high: Bits<N> = (value >> 32).into();
    (high << 32) | Bits::<N>::from(value & 0xFFFF_FFFF)
}

struct Rig {
    block: Exact<X>,
    key: [[u32; 9]; 2],
    ways: [[Slot; 1 << X]; 4],
}

fn rig(rng: &mut Rng) -> Rig {
    let mut block = Exact::<X>::default();
    block.connect_all();
    let key = std::array::from_fn(|_| std::array::from_fn(|_| rng.draw() as u32));
    block.key.next = key_bits(&key);
    block.clear.next = true;
    for _ in 0..40 {
        tick(&mut block, |block| &mut block.clock);
    }
    block.clear.next = false;
    let mut rig = Rig {
        block,
        key,
        ways: [[Slot::default(); 1 << X]; 4],
    };
    for way in 0..4 {
        for slot in 0..1 << X {
            rig.write(way, slot, Slot::default());
        }
    }
    // The terms of the key take a while.
    rig.block.valid.next = false;
    for _ in 0..2000 {
        settle(&mut rig.block);
        if rig.block.ready.val() {
            return rig;
        }
        tick(&mut rig.block, |block| &mut block.clock);
    }
    panic!("not ready");
}

impl Rig {
    fn write(&mut self, way: usize, slot: usize, content: Slot) {
        self.ways[way][slot] = content;
        for (word, &data) in content.words.iter().enumerate() {
            let select = table::EXACT + 8 * way as u32 + word as u32;
            self.block.write_select.next = u64::from(select).into();
            self.block.write_address.next = (slot as u64).into();
            self.block.write_data.next = u64::from(data).into();
            self.block.write_strobe.next = true;
            tick(&mut self.block, |block| &mut block.clock);
        }
        self.block.write_strobe.next = false;
    }

    /// The slots that a candidate reads.
    fn slots(&self, candidate: &Candidate) -> [usize; 4] {
        let hash = self.key.map(|rows| {
            (0..candidate.length).fold(0, |sum, at| {
                let byte = candidate.bytes[at].to_ascii_lowercase();
                let term = (0..8)
                    .filter(|bit| byte >> bit & 1 == 1)
                    .fold(rows[8], |term, bit| term ^ rows[bit]);
                sum ^ term.rotate_left(9 * at as u32)
            })
        });
        let low = |hash: u32, from: u32| (hash >> from) as usize & ((1 << X) - 1);
        [
            low(hash[0], 0),
            low(hash[1], 0),
            low(hash[0], 16),
            low(hash[1], 16),
        ]
    }

    /// Entries that a candidate finds, by way.
    fn expected(&self, candidate: &Candidate) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for (way, slot) in self.slots(candidate).into_iter().enumerate() {
            let [low, high, meta, groups_low, groups_high] = self.ways[way][slot].words;
            let key = (u64::from(high) << 32 | u64::from(low)).to_le_bytes();
            let mut bytes = candidate.bytes;
            bytes[candidate.length..].fill(0);
            if meta >> 23 & 1 == 1 {
                bytes.make_ascii_lowercase();
            }
            let groups = u64::from(groups_high) << 32 | u64::from(groups_low);
            if key == bytes
                && (meta >> 20 & 7) as usize == candidate.length - 1
                && meta >> (24 + u32::from(candidate.parity)) & 1 == 1
                && groups >> candidate.group & 1 == 1
            {
                found.push((way, meta & 0xF_FFFF));
            }
        }
        found
    }
}

fn candidate(rng: &mut Rng) -> Candidate {
    let letters = b"abAB\0\x80z@[`{";
    Candidate {
        bytes: std::array::from_fn(|_| *rng.pick(letters)),
        length: rng.range(1, 8),
        end: rng.draw() as u16,
        group: rng.below(64) as u8,
        parity: rng.below(2) == 1,
    }
}

/// A slot that a candidate hits, or nearly.
fn slot(rng: &mut Rng, candidate: &Candidate) -> Slot {
    let folded = rng.below(2) == 1;
    let mut key = candidate.bytes;
    key[candidate.length..].fill(0);
    if folded {
        key.make_ascii_lowercase();
    }
    let mut length = candidate.length - 1;
    let mut live = 1u32 << u32::from(candidate.parity);
    let mut groups = rng.draw() | 1 << candidate.group;
    match rng.below(8) {
        0 => key[rng.below(8)] ^= 1 << rng.below(8),
        1 => length ^= 1 << rng.below(3),
        2 => live ^= 3,
        3 => live = 0,
        4 => groups &= !(1 << candidate.group),
        _ => {}
    }
    let key = u64::from_le_bytes(key);
    let meta =
        rng.below(1 << 20) as u32 | (length as u32) << 20 | u32::from(folded) << 23 | live << 24;
    Slot {
        words: [
            key as u32,
            (key >> 32) as u32,
            meta,
            groups as u32,
            (groups >> 32) as u32,
        ],
    }
}

/// What comes out: the entries of a candidate with its end, or a record's end with its flag.
#[derive(Debug, PartialEq)]
enum Out {
    Hits(Vec<(usize, u32)>, u16),
    Last(bool),
}

fn run(seed: u64) -> (usize, usize) {
    let mut rng = Rng::new(seed);
    let mut rig = rig(&mut rng);
    // Candidates, and slots that some of them find.
    let pool: Vec<Candidate> = (0..40).map(|_| candidate(&mut rng)).collect();
    for candidate in &pool {
        for way in 0..4 {
            if rng.below(2) == 1 {
                let content = slot(&mut rng, candidate);
                rig.write(way, rig.slots(candidate)[way], content);
            }
        }
    }
    let mut input = Vec::new();
    let mut wanted = Vec::new();
    for _ in 0..400 {
        if rng.below(10) == 0 {
            let overflow = rng.below(2) == 1;
            input.push(Err(overflow));
            wanted.push(Out::Last(overflow));
            continue;
        }
        let candidate = *rng.pick(&pool);
        let found = rig.expected(&candidate);
        if !found.is_empty() {
            wanted.push(Out::Hits(found, candidate.end));
        }
        input.push(Ok(candidate));
    }
    let (idle, stall) = (rng.below(3), rng.below(4));
    let mut input = input.into_iter().peekable();
    let mut got = Vec::new();
    let block = &mut rig.block;
    let mut quiet = 0;
    while quiet < 100 {
        quiet += 1;
        let offer = input.peek().filter(|_| rng.below(3) >= idle);
        block.valid.next = offer.is_some();
        // What is not valid must not matter.
        block.last.next = true;
        block.overflow.next = true;
        match offer {
            Some(Ok(candidate)) => {
                block.candidate.next = candidate.bits();
                block.last.next = false;
            }
            Some(Err(overflow)) => block.overflow.next = *overflow,
            None => {}
        }
        block.item_ready.next = rng.below(4) >= stall;
        settle(block);
        if block.valid.val() && block.ready.val() {
            input.next();
            quiet = 0;
        }
        if block.item_valid.val() && block.item_ready.val() {
            quiet = 0;
            let item = block.item.val();
            if block.item_last.val() {
                got.push(Out::Last(block.item_overflow.val()));
            } else {
                let entries = (0..4).filter(|&way| item.get_bit(80 + way));
                let entries =
                    entries.map(|way| (way, item.get_bits::<20>(20 * way).to_u64() as u32));
                got.push(Out::Hits(
                    entries.collect(),
                    item.get_bits::<16>(84).to_u64() as u16,
                ));
            }
        }
        tick(block, |block| &mut block.clock);
    }
    assert!(input.next().is_none(), "seed {seed}: input is left");
    assert_eq!(got, wanted, "seed {seed}");
    let most = got.iter().map(|out| match out {
        Out::Hits(entries, _) => entries.len(),
        Out::Last(_) => 0,
    });
    (got.len(), most.max().unwrap_or(0))
}

#[test]
fn entries_are_those_of_the_definition() {
    let mut totals = (0, 0);
    for seed in 0..6 {
        let (count, most) = run(seed);
        totals = (totals.0 + count, totals.1.max(most));
    }
    assert!(totals.0 > 600, "{totals:?}: few hits");
    assert!(totals.1 > 1, "{totals:?}: no candidate with two entries");
}
