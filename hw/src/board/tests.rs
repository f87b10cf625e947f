//! The bridge against a core and a host that are plain Rust.

use std::collections::{BTreeMap, VecDeque};

use rust_hdl::prelude::*;

use super::bridge::Bridge;
use super::{
    FRAME, KIND_BEAT, KIND_READ, KIND_RESET, KIND_STATUS, KIND_VALUE, KIND_WORD, KIND_WRITE, SYNC,
    divisor, verilog,
};

/// Cycles of a bit; the smallest there is.
const BIT: u16 = 12;

fn crc(bytes: &[u8]) -> u16 {
    !bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x8408 } else { 0 }
        })
    })
}

fn frame(kind: u8, payload: u64) -> Vec<u8> {
    let mut bytes = vec![SYNC, kind];
    bytes.extend(payload.to_le_bytes());
    bytes.extend(crc(&bytes).to_le_bytes());
    bytes
}

fn write(address: u16, data: u32) -> Vec<u8> {
    frame(KIND_WRITE, u64::from(address) << 32 | u64::from(data))
}

fn read(address: u16) -> Vec<u8> {
    frame(KIND_READ, u64::from(address) << 32)
}

/// Address bits of the queue: small, so that it is soon full.
const QUEUE_BITS: usize = 3;
const QUEUE: usize = 1 << QUEUE_BITS;

/// What the board said.
#[derive(Debug, PartialEq)]
enum Said {
    Status { skipped: u32, done: u16, lost: u16 },
    Value { value: u32, done: u16 },
    Word(u64),
}

/// The bridge, both ends of its line, and a core behind it.
struct Bench {
    bridge: Bridge<QUEUE_BITS, { QUEUE_BITS + 1 }>,
    /// Levels still to send, a bit each.
    levels: VecDeque<bool>,
    /// Cycles of this level that are over.
    phase: u16,
    /// Cycles since the start bit, and the byte so far.
    hearing: Option<(u32, u8)>,
    heard: Vec<u8>,
    registers: BTreeMap<u16, u32>,
    write: (Option<u16>, Option<u32>),
    written: bool,
    value: Option<u32>,
    /// Beats taken, and whether any are.
    beats: Vec<u64>,
    taking: bool,
    words: VecDeque<u64>,
    resets: u32,
    random: u64,
}

impl Bench {
    fn new() -> Self {
        let mut bridge = Bridge::new(BIT);
        bridge.rx.next = true;
        bridge.connect_all();
        let mut bench = Self {
            bridge,
            levels: VecDeque::new(),
            phase: 0,
            hearing: None,
            heard: Vec::new(),
            registers: BTreeMap::new(),
            write: (None, None),
            written: false,
            value: None,
            beats: Vec::new(),
            taking: true,
            words: VecDeque::new(),
            resets: 0,
            random: 1,
        };
        bench.bridge.clear.next = true;
        bench.run(4);
        bench.bridge.clear.next = false;
        bench
    }

    fn send(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.levels.push_back(false);
            self.levels.extend((0..8).map(|bit| byte >> bit & 1 == 1));
            self.levels.push_back(true);
        }
    }

    fn coin(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random & 3 == 0
    }

    fn settle(&mut self) {
        assert!(simulate(&mut self.bridge, 50), "the bridge does not settle");
    }

    fn run(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.cycle();
        }
    }

    /// Until all is sent, and the answers have come.
    fn finish(&mut self) {
        while !self.levels.is_empty() {
            self.cycle();
        }
        self.run(4 * FRAME * 10 * usize::from(BIT));
    }

    fn cycle(&mut self) {
        let ready = self.coin();
        let bridge = &mut self.bridge;
        bridge.rx.next = self.levels.front().copied().unwrap_or(true);
        bridge.awready.next = ready && self.write.0.is_none();
        bridge.bvalid.next = self.written;
        bridge.rvalid.next = self.value.is_some();
        bridge.rdata.next = u64::from(self.value.unwrap_or(0)).to_bits();
        bridge.arready.next = ready && self.value.is_none();
        bridge.beat_ready.next = ready && self.taking;
        bridge.word_valid.next = !self.words.is_empty();
        bridge.word_data.next = self.words.front().copied().unwrap_or(0).to_bits();
        let ready = self.coin();
        self.bridge.wready.next = ready && self.write.1.is_none();
        self.settle();
        self.core();
        self.listen();
        self.phase += 1;
        if self.phase == BIT {
            self.phase = 0;
            self.levels.pop_front();
        }
        for _ in 0..2 {
            self.bridge.clock.next = !self.bridge.clock.val();
            self.settle();
        }
    }

    /// What the core does at this edge of the clock.
    fn core(&mut self) {
        let bridge = &self.bridge;
        let address = bridge.address.val().to_u64() as u16;
        if bridge.awvalid.val() && bridge.awready.val() {
            assert_eq!(self.write.0.replace(address), None);
        }
        if bridge.wvalid.val() && bridge.wready.val() {
            assert_eq!(
                self.write.1.replace(bridge.wdata.val().to_u64() as u32),
                None
            );
        }
        if self.written && bridge.bready.val() {
            self.written = false;
        }
        if let (Some(address), Some(data)) = self.write {
            self.registers.insert(address, data);
            self.write = (None, None);
            self.written = true;
        }
        if self.value.is_some() && bridge.rready.val() {
            self.value = None;
        }
        if bridge.arvalid.val() && bridge.arready.val() {
            self.value = Some(self.registers.get(&address).copied().unwrap_or(0));
        }
        if bridge.beat_valid.val() && bridge.beat_ready.val() {
            self.beats.push(bridge.beat_data.val().to_u64());
        }
        if bridge.word_valid.val() && bridge.word_ready.val() {
            self.words.pop_front();
        }
        self.resets += u32::from(bridge.reset.val());
    }

    /// Hears the middle of each bit.
    fn listen(&mut self) {
        let high = self.bridge.tx.val();
        match &mut self.hearing {
            None if !high => self.hearing = Some((0, 0)),
            None => {}
            Some((cycles, byte)) => {
                *cycles += 1;
                let bit = u32::from(BIT);
                if *cycles % bit == bit / 2 {
                    match *cycles / bit {
                        0 => assert!(!high, "a short start bit"),
                        place @ 1..=8 => *byte |= u8::from(high) << (place - 1),
                        _ => {
                            assert!(high, "no stop bit");
                            self.heard.push(*byte);
                            self.hearing = None;
                        }
                    }
                }
            }
        }
    }

    fn said(&mut self) -> Vec<Said> {
        assert_eq!(self.heard.len() % FRAME, 0, "{:x?}", self.heard);
        let heard = std::mem::take(&mut self.heard);
        heard
            .chunks_exact(FRAME)
            .map(|bytes| {
                assert_eq!(bytes[0], SYNC);
                assert_eq!(crc(&bytes[..10]).to_le_bytes(), bytes[10..]);
                let payload = u64::from_le_bytes(bytes[2..10].try_into().expect("eight bytes"));
                let (low, done, lost) = (
                    payload as u32,
                    (payload >> 32) as u16,
                    (payload >> 48) as u16,
                );
                match bytes[1] {
                    KIND_STATUS => Said::Status {
                        skipped: low,
                        done,
                        lost,
                    },
                    KIND_VALUE => Said::Value { value: low, done },
                    KIND_WORD => Said::Word(payload),
                    kind => panic!("kind {kind}"),
                }
            })
            .collect()
    }

    fn last_status(&mut self) -> Said {
        self.said()
            .into_iter()
            .rfind(|said| matches!(said, Said::Status { .. }))
            .expect("a status")
    }
}

#[test]
fn the_crc_is_x25() {
    assert_eq!(crc(b"123456789"), 0x906E);
}

#[test]
fn divisors_are_refused_where_the_line_would_be_off() {
    assert_eq!(divisor(150_000_000, 3_000_000), Some(50));
    assert_eq!(divisor(200_000_000, 3_000_000), Some(67));
    assert_eq!(divisor(100_000_000, 12_000_000), None); // 8 cycles are too few
    assert_eq!(divisor(40_000_000, 3_000_000), None); // 13 are 2.6 % off
    assert_eq!(divisor(100_000_000, 1_200), None);
    assert_eq!(divisor(100_000_000, 0), None);
}

#[test]
fn registers_are_written_and_read_in_order() {
    let mut bench = Bench::new();
    bench.finish();
    let start = Said::Status {
        skipped: 0,
        done: 0,
        lost: 0,
    };
    assert_eq!(bench.said(), [start]);
    for bytes in [
        write(0x28, 0xDEAD_BEEF),
        read(0x28),
        write(0x28, 7),
        write(0x2C, 8),
        read(0x28),
        read(0x2C),
    ] {
        bench.send(&bytes);
    }
    bench.finish();
    let values: Vec<Said> = bench
        .said()
        .into_iter()
        .filter(|said| matches!(said, Said::Value { .. }))
        .collect();
    let value = |value, done| Said::Value { value, done };
    assert_eq!(values, [value(0xDEAD_BEEF, 2), value(7, 5), value(8, 6)]);
}

#[test]
fn streams_cross_unchanged_in_both_directions() {
    let mut bench = Bench::new();
    let beats: Vec<u64> = (0..7_u64)
        .map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    // Words that look like the beginning of frames.
    let words: Vec<u64> = (0..5).map(|i| 0xA501_A502_A503_A504 + i).collect();
    bench.words = words.iter().copied().collect();
    for beat in &beats {
        bench.send(&frame(KIND_BEAT, *beat));
    }
    bench.finish();
    assert_eq!(bench.beats, beats);
    let said = bench.said();
    let heard: Vec<u64> = said
        .iter()
        .filter_map(|said| match said {
            Said::Word(word) => Some(*word),
            _ => None,
        })
        .collect();
    assert_eq!(heard, words);
    let end = Said::Status {
        skipped: 0,
        done: 7,
        lost: 0,
    };
    let last = said
        .iter()
        .rfind(|said| matches!(said, Said::Status { .. }));
    assert_eq!(last, Some(&end));
}

#[test]
fn what_is_damaged_is_skipped_and_the_next_good_frame_is_taken() {
    let mut bench = Bench::new();
    let mut flipped = write(0x10, 1);
    flipped[5] ^= 0x10;
    bench.send(&flipped);
    bench.send(&write(0x20, 2)[..7]);
    bench.send(&[SYNC, SYNC, 0, 0xFF]);
    bench.send(&write(0x30, 3));
    bench.send(&frame(99, 0));
    bench.send(&write(0x40, 4));
    bench.finish();
    let registers: Vec<(u16, u32)> = bench.registers.clone().into_iter().collect();
    assert_eq!(registers, [(0x30, 3), (0x40, 4)]);
    let status = Said::Status {
        skipped: 12 + 7 + 4,
        done: 2,
        lost: 1,
    };
    assert_eq!(bench.last_status(), status);
}

#[test]
fn a_full_queue_loses_what_is_too_much_and_says_so() {
    let mut bench = Bench::new();
    bench.taking = false;
    // One is in the core's hands, not in the queue.
    for beat in 0..QUEUE as u64 + 4 {
        bench.send(&frame(KIND_BEAT, beat));
    }
    bench.finish();
    let status = |done, lost| Said::Status {
        skipped: 0,
        done,
        lost,
    };
    assert_eq!(bench.last_status(), status(0, 3));
    bench.taking = true;
    bench.finish();
    let count = QUEUE as u16 + 1;
    assert_eq!(bench.beats, (0..u64::from(count)).collect::<Vec<_>>());
    assert_eq!(bench.last_status(), status(count, 3));
}

#[test]
fn a_reset_ends_a_beat_that_nobody_takes() {
    let mut bench = Bench::new();
    bench.send(&read(0x30));
    bench.finish();
    bench.taking = false;
    bench.send(&frame(KIND_BEAT, 1));
    bench.send(&write(0x10, 1));
    bench.send(&frame(KIND_RESET, 0));
    bench.send(&write(0x20, 2));
    bench.finish();
    bench.taking = true;
    bench.finish();
    assert_eq!(bench.resets, 63);
    let counted_anew = Said::Status {
        skipped: 0,
        done: 1,
        lost: 0,
    };
    assert_eq!(bench.last_status(), counted_anew);
    assert!(bench.beats.is_empty());
    assert_eq!(bench.registers.into_iter().collect::<Vec<_>>(), [(0x20, 2)]);
}

#[test]
fn the_bridge_has_verilog() {
    let text = verilog(50).expect("Verilog");
    for module in ["weir_bridge", "weir_bridge_receiver", "weir_bridge_sender"] {
        assert!(text.contains(&format!("module {module}(")), "{module}");
    }
}

#[test]
fn words_without_end_do_not_keep_the_host_from_hearing_what_is_done() {
    let mut bench = Bench::new();
    bench.words = (0..40).collect();
    bench.send(&write(0x10, 1));
    // The write takes a frame's time to come in; a word may be on its way, then it is the status' turn.
    bench.run(5 * FRAME * 10 * usize::from(BIT));
    assert!(!bench.words.is_empty());
    let whole = bench.heard.len() / FRAME * FRAME;
    bench.heard.truncate(whole);
    let done = Said::Status {
        skipped: 0,
        done: 1,
        lost: 0,
    };
    assert!(bench.said().contains(&done));
}
