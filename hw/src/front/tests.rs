//! The front against a parser of byte strings.

use super::Front;
use crate::parts::run::{settle, tick};
use card_protocol::crc32;
use card_protocol::record::{HEADER, Header, MAGIC, MAX_LENGTH, Record, beats};
use card_protocol::report::{FLAG_DAMAGED, FLAG_MALFORMED, FLAG_STALE};
use rust_hdl::prelude::*;

const NONCE: u32 = 0x1234_5678;
const EVEN: u16 = 6;
const ODD: u16 = 9;

/// Numbers from a seed (xorshift), so that a failure comes again.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// What is to come of one good header.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    sequence: u32,
    generation: u16,
    flags: u8,
    group: u8,
    carry: u8,
    /// Payload, if it is looked through.
    looked: Option<Vec<u8>>,
}

/// What comes of a stream.
#[derive(Default, Debug, PartialEq)]
struct Outcome {
    records: Vec<Expected>,
    lost: u64,
    /// The last record is not at its end.
    open: bool,
}

/// "Step" of DESIGN.md as a program. The stream starts after a clear.
fn parse(stream: &[u8], lanes: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut hunting = true;
    let mut at = 0;
    while let Some(first) = stream.get(at..at + lanes) {
        let marked = first[..4] == MAGIC.to_le_bytes() && first[4..8] == NONCE.to_le_bytes();
        let header = stream.get(at..at + HEADER);
        let Some(header) = header.filter(|_| marked) else {
            if marked {
                break;
            }
            outcome.lost += u64::from(!hunting);
            hunting = true;
            at += lanes;
            continue;
        };
        let Ok(header) = Header::parse(header.try_into().expect("32 bytes"), NONCE) else {
            outcome.lost += u64::from(!hunting);
            hunting = true;
            at += HEADER.max(lanes);
            continue;
        };
        hunting = false;
        let malformed = header.check().is_err();
        let length = usize::from(header.length);
        let end = at
            + if malformed {
                HEADER.max(lanes)
            } else {
                lanes * beats(length, lanes)
            };
        let Some(body) = stream.get(at + HEADER..end) else {
            outcome.open = true;
            break;
        };
        let stale = header.generation != EVEN && header.generation != ODD;
        let flags = if malformed {
            FLAG_MALFORMED
        } else {
            let damaged = crc32(body) != header.payload_crc;
            (u8::from(stale) * FLAG_STALE) | (u8::from(damaged) * FLAG_DAMAGED)
        };
        outcome.records.push(Expected {
            sequence: header.sequence,
            generation: header.generation,
            flags,
            group: header.group & 63,
            carry: header.carry & 7,
            looked: (!malformed && !stale).then(|| body[..length].to_vec()),
        });
        at = end;
    }
    outcome
}

/// A good record.
fn record(dice: &mut Dice, sequence: u32, length: usize, generation: u16, lanes: usize) -> Vec<u8> {
    let payload = dice.bytes(length);
    let record = Record {
        nonce: NONCE,
        sequence,
        group: dice.below(64) as u8,
        carry: dice.below(8.min(length as u64 + 1)) as u8,
        generation,
        payload: &payload,
    };
    let mut bytes = vec![0; record.size(lanes)];
    record.write(lanes, &mut bytes).expect("within bounds");
    bytes
}

/// Good records, and all that can be wrong with one.
fn stream(dice: &mut Dice, records: u32, lanes: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for sequence in 0..records {
        let length = match dice.below(4) {
            0 => dice.below(4),
            1 => lanes as u64 * dice.below(4),
            2 => (lanes as u64 * dice.below(4) + 31 + dice.below(3)) & 0x7FFF,
            _ => dice.below(150),
        } as usize;
        let generation = [EVEN, ODD][dice.below(2) as usize];
        let mut one = record(dice, sequence, length, generation, lanes);
        let whole = one.len();
        let mut header =
            Header::parse(one[..HEADER].try_into().expect("32 bytes"), NONCE).expect("as written");
        match dice.below(18) {
            0 => {
                let beats = dice.below(3) as usize;
                stream.extend(dice.bytes(lanes * beats));
            }
            1 => one[dice.below(8) as usize] ^= 1 << dice.below(8),
            2 => one[8 + dice.below(24) as usize] ^= 1 << dice.below(8),
            3 if whole > HEADER => {
                one[HEADER + dice.below((whole - HEADER) as u64) as usize] ^= 1 << dice.below(8);
            }
            4 => {
                header.generation = [EVEN ^ 2, ODD ^ 2, EVEN ^ 1, 0][dice.below(4) as usize];
                one[..HEADER].copy_from_slice(&header.encode());
            }
            5 => {
                header.length = [MAX_LENGTH as u16 + 1, 0x8000, u16::MAX][dice.below(3) as usize];
                one[..HEADER].copy_from_slice(&header.encode());
            }
            6 => {
                header.group = 64 + dice.below(192) as u8;
                one[..HEADER].copy_from_slice(&header.encode());
            }
            7 => {
                header.carry = (length as u64 + 1 + dice.below(255 - length as u64)) as u8;
                one[..HEADER].copy_from_slice(&header.encode());
            }
            8 => one.truncate(lanes * dice.below((whole / lanes) as u64) as usize),
            // The start of a header whose rest is the next one.
            9 => stream.extend_from_slice(&one[..lanes]),
            10 => {
                header.payload_crc = 0;
                one[..HEADER].copy_from_slice(&header.encode());
            }
            _ => {}
        }
        stream.extend(one);
    }
    // Ends of what was cut short.
    stream.resize(stream.len() + 12 * 64, 0);
    stream
}

struct Bench<const L: usize, const W: usize, const N: usize> {
    front: Front<L, W, N>,
    dice: Dice,
    /// One cycle in so many without an offer, or with something not ready; 0 for never.
    gaps: u64,
    outcome: Outcome,
    /// Ends, and the records of the slices, each of which may come first.
    ends: Vec<(u32, u16, u8)>,
    seen: Vec<(u8, u8, bool, Vec<u8>)>,
    payload: Vec<u8>,
    not_ready: u32,
    counts: [u64; 7],
    cycles: u64,
}

impl<const L: usize, const W: usize, const N: usize> Bench<L, W, N> {
    fn new(seed: u64, gaps: u64) -> Self {
        let mut front = Front::<L, W, N>::default();
        front.connect_all();
        front.nonce.next = u64::from(NONCE).into();
        front.odd.next = (u64::from(ODD) | 1 << 16).into();
        front.even.next = (u64::from(EVEN) | 1 << 16).into();
        let mut bench = Self {
            front,
            dice: Dice(seed),
            gaps,
            outcome: Outcome::default(),
            ends: Vec::new(),
            seen: Vec::new(),
            payload: Vec::new(),
            not_ready: 0,
            counts: [0; 7],
            cycles: 0,
        };
        bench.clear();
        bench
    }

    fn clear(&mut self) {
        self.front.clear.next = true;
        self.front.tvalid.next = true;
        for _ in 0..32 {
            tick(&mut self.front, |f| &mut f.clock);
        }
        assert!(!self.front.busy.val() && !self.front.valid.val() && !self.front.end_valid.val());
        assert!(self.front.hunting.val());
        self.front.clear.next = false;
        self.front.tvalid.next = false;
        self.ends.clear();
        self.seen.clear();
        self.payload.clear();
        self.counts = [0; 7];
    }

    /// A cycle in which the beat is offered, if there is one; whether it was taken.
    fn cycle(&mut self, beat: Option<&[u8]>) -> bool {
        let mut all_ready = true;
        let mut ready = |dice: &mut Dice| {
            let ready = self.gaps == 0 || !dice.one_in(self.gaps);
            all_ready &= ready;
            ready
        };
        self.front.enable.next = ready(&mut self.dice);
        self.front.slices_ready.next = ready(&mut self.dice);
        self.front.ends_ready.next = ready(&mut self.dice);
        let offered = beat.filter(|_| self.gaps == 0 || !self.dice.one_in(self.gaps));
        self.front.tvalid.next = offered.is_some();
        if let Some(beat) = offered {
            let bits = beat.iter().rev().fold(Bits::<W>::default(), |bits, &byte| {
                (bits << 8) | Bits::from(u64::from(byte))
            });
            self.front.tdata.next = bits;
        }
        settle(&mut self.front);
        let front = &self.front;
        let taken = offered.is_some() && front.tready.val();
        self.counts[0] += u64::from(front.count_beat.val());
        tick(&mut self.front, |f| &mut f.clock);
        self.cycles += 1;
        self.observe();
        // So many beats may be under way when something is not ready any more.
        self.not_ready = if all_ready { 0 } else { self.not_ready + 1 };
        let under_way = self.front.valid.val() | self.front.end_valid.val();
        assert!(
            self.not_ready < 9 || !under_way,
            "a beat 9 cycles after ready fell"
        );
        taken
    }

    /// Looks at what comes out.
    fn observe(&mut self) {
        let front = &self.front;
        let counts = [
            false,
            front.count_record.val(),
            front.count_lost.val(),
            front.count_damaged.val(),
            front.count_stale.val(),
            front.count_malformed.val(),
        ];
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += u64::from(count);
        }
        self.counts[6] += front.count_bytes.val().to_u64();
        if front.valid.val() {
            let window: Vec<u8> = (0..24 + L)
                .map(|i| front.window.val().get_bits::<8>(8 * i).to_u8())
                .collect();
            for lane in (0..L).filter(|&lane| front.keep.val().get_bit(lane)) {
                let offset = (front.base.val().to_u64() as usize + lane) % 65_536;
                assert_eq!(offset, self.payload.len(), "payload is in order");
                self.payload.push(window[24 + lane]);
                let back = offset.min(24) + 1;
                assert_eq!(
                    window[25 + lane - back..25 + lane],
                    self.payload[offset + 1 - back..],
                    "bytes before the lane"
                );
            }
            assert_eq!(front.serial.val().to_u64(), self.seen.len() as u64);
            if front.last.val() {
                self.seen.push((
                    front.group.val().to_u8(),
                    front.carry.val().to_u8(),
                    front.parity.val(),
                    std::mem::take(&mut self.payload),
                ));
            }
        }
        if front.end_valid.val() {
            let end = front.end_data.val();
            self.ends.push((
                end.get_bits::<32>(0).to_u32(),
                end.get_bits::<16>(32).to_u16(),
                end.get_bits::<8>(48).to_u8(),
            ));
        }
    }

    fn feed(&mut self, stream: &[u8]) {
        for beat in stream.chunks_exact(L) {
            while !self.cycle(Some(beat)) {}
        }
    }

    /// Feeds the stream and holds what comes of it to what the parser says.
    fn check(&mut self, stream: &[u8]) {
        self.feed(stream);
        for _ in 0..20 {
            self.cycle(None);
        }
        self.outcome = parse(stream, L);
        let records = &self.outcome.records;
        let ends: Vec<_> = records
            .iter()
            .map(|r| (r.sequence, r.generation, r.flags))
            .collect();
        assert_eq!(self.ends, ends);
        assert_eq!(self.seen.len(), records.len());
        for (seen, record) in self.seen.iter().zip(records) {
            let payload = record.looked.clone().unwrap_or_default();
            let parity = record.generation & 1 == 1;
            assert_eq!(*seen, (record.group, record.carry, parity, payload));
        }
        let flagged = |flag: u8| records.iter().filter(|r| r.flags & flag != 0).count() as u64;
        let open = u64::from(self.outcome.open);
        let bytes: usize = records
            .iter()
            .filter_map(|r| r.looked.as_ref())
            .map(Vec::len)
            .sum();
        assert_eq!(self.counts[0], (stream.len() / L) as u64, "beats");
        assert_eq!(self.counts[1], records.len() as u64 + open, "records");
        assert_eq!(self.counts[2], self.outcome.lost, "losses");
        assert_eq!(self.counts[3], flagged(FLAG_DAMAGED));
        assert_eq!(self.counts[4], flagged(FLAG_STALE));
        assert_eq!(self.counts[5], flagged(FLAG_MALFORMED));
        assert!(self.outcome.open || self.counts[6] == bytes as u64, "bytes");
        assert_eq!(self.front.busy.val(), self.outcome.open);
    }
}

/// Streams with everything in them, with and without pauses, and clear amid them.
fn sweep<const L: usize, const W: usize, const N: usize>(seed: u64, records: u32) {
    let mut flags = 0;
    let mut lost = 0;
    for gaps in [0, 9, 4] {
        let mut bench = Bench::<L, W, N>::new(seed + gaps, gaps);
        let before = stream(&mut bench.dice, records / 4, L);
        let cut = L * bench.dice.below((before.len() / L) as u64) as usize;
        bench.feed(&before[..cut]);
        bench.clear();
        let stream = stream(&mut bench.dice, records, L);
        bench.check(&stream);
        assert!(bench.outcome.records.len() > records as usize / 2);
        flags = bench
            .outcome
            .records
            .iter()
            .fold(flags, |flags, r| flags | r.flags);
        lost += bench.outcome.lost;
    }
    assert_eq!(
        flags,
        FLAG_DAMAGED | FLAG_STALE | FLAG_MALFORMED,
        "not all was tried"
    );
    assert!(lost > 0, "not all was tried");
}

#[test]
fn records_come_out_with_8_lanes() {
    sweep::<8, 64, 256>(1, 80);
}

#[test]
fn records_come_out_with_16_lanes() {
    sweep::<16, 128, 320>(2, 80);
}

#[test]
fn records_come_out_with_32_lanes() {
    sweep::<32, 256, 448>(3, 60);
}

#[test]
fn records_come_out_with_64_lanes() {
    sweep::<64, 512, 704>(4, 60);
}

#[test]
fn a_beat_a_cycle_is_taken() {
    fn check<const L: usize, const W: usize, const N: usize>(lengths: &[usize]) {
        let mut bench = Bench::<L, W, N>::new(5, 0);
        bench.cycle(None);
        let stream: Vec<u8> = (0..)
            .zip(lengths)
            .flat_map(|(sequence, &length)| record(&mut bench.dice, sequence, length, EVEN, L))
            .collect();
        bench.cycles = 0;
        bench.check(&stream);
        assert_eq!(bench.cycles, (stream.len() / L) as u64 + 20);
        assert_eq!(bench.outcome.records.len(), lengths.len());
    }
    check::<8, 64, 256>(&[0, 1, 8, 0, 9, 64, 65]);
    check::<64, 512, 704>(&[0, 1, 32, 33, 0, 0, 96, 97, 31]);
}

#[test]
fn the_longest_record_is_as_good_as_any() {
    let mut bench = Bench::<64, 512, 704>::new(6, 0);
    let mut stream = record(&mut bench.dice, 1, MAX_LENGTH, ODD, 64);
    stream.extend(record(&mut bench.dice, 2, 3, EVEN, 64));
    bench.check(&stream);
    assert_eq!(bench.outcome.records.len(), 2);
    assert_eq!(bench.counts[6], MAX_LENGTH as u64 + 3);
}

#[test]
fn a_generation_that_is_not_live_is_stale() {
    let mut bench = Bench::<64, 512, 704>::new(7, 0);
    bench.front.even.next = u64::from(EVEN).into();
    let stream = record(&mut bench.dice, 1, 20, EVEN, 64);
    bench.feed(&stream);
    (0..20).for_each(|_| {
        bench.cycle(None);
    });
    assert_eq!(bench.ends, [(1, EVEN, FLAG_STALE)]);
    assert!(bench.seen[0].3.is_empty());
}

/// Headers at their bounds and just beyond, of live generations and others.
fn bounds<const L: usize, const W: usize, const N: usize>() {
    let mut bench = Bench::<L, W, N>::new(8, 0);
    let mut stream = Vec::new();
    let mut sequence = 0;
    for (length, carry, group) in [
        (0, 0, 0),
        (0, 1, 0),
        (3, 3, 63),
        (3, 4, 63),
        (6, 7, 1),
        (7, 7, 1),
        (7, 8, 1),
        (9, 7, 63),
        (9, 8, 63),
        (9, 0, 64),
        (9, 0, 128),
        (256, 1, 5),
        (MAX_LENGTH, 7, 5),
        (MAX_LENGTH + 1, 7, 5),
        (0x8000, 0, 0),
    ] {
        for generation in [EVEN, ODD, EVEN + 2, ODD + 2, EVEN + 1] {
            if length == MAX_LENGTH && generation != ODD {
                continue;
            }
            let payload = if length > MAX_LENGTH { 0 } else { length };
            let mut one = record(&mut bench.dice, sequence, payload, generation, L);
            let mut header =
                Header::parse(one[..HEADER].try_into().expect("32 bytes"), NONCE).expect("good");
            (header.length, header.carry, header.group) = (length as u16, carry, group);
            one[..HEADER].copy_from_slice(&header.encode());
            if header.check().is_err() {
                one.truncate(HEADER.max(L));
            }
            stream.extend(one);
            sequence += 1;
        }
    }
    bench.check(&stream);
    assert_eq!(bench.outcome.records.len(), sequence as usize);
    assert_eq!(bench.outcome.lost, 0);
    assert_eq!(bench.counts[5], 45);
}

#[test]
fn bounds_are_those_of_the_protocol() {
    bounds::<8, 64, 256>();
    bounds::<64, 512, 704>();
}
