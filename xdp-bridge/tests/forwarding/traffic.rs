//! Frames whose fate is written in them.

use std::thread;
use std::time::{Duration, Instant};

use weir_xdp::worker::{Inspect, Received, Verdict};

use super::net::Tap;

/// What the test's inspection does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Drop,
    Reject,
}

/// Where in a frame its fate stands: behind Ethernet, IPv4 and UDP headers.
const FATE: usize = 14 + 20 + 8;
/// Its number.
const NUMBER: usize = FATE + 1;
/// Sizes, from the smallest to the largest of an MTU of 1500.
const SIZES: [usize; 7] = [60, 64, 65, 128, 512, 1499, 1514];

/// Two hosts that talk over UDP.
#[derive(Clone, Copy, Debug)]
pub struct Flow(pub u8);

impl Flow {
    /// Frame `number` of it: from end `ea` to end `eb`, or back.
    pub fn frame(self, forth: bool, fate: Fate, number: u32, size: usize) -> Vec<u8> {
        let (here, there) = ([10, 0, 1, self.0], [10, 0, 2, self.0]);
        let (source, destination) = if forth { (here, there) } else { (there, here) };
        let ports = [1000 + u16::from(self.0), 53];
        let length = size as u16;
        let mut frame = vec![
            2,
            0,
            0,
            0,
            0,
            u8::from(forth),
            2,
            0,
            0,
            0,
            0,
            u8::from(!forth),
            8,
            0,
        ];
        frame.extend([0x45, 0]);
        frame.extend((length - 14).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
        frame.extend(source);
        frame.extend(destination);
        frame.extend(ports[usize::from(!forth)].to_be_bytes());
        frame.extend(ports[usize::from(forth)].to_be_bytes());
        frame.extend((length - 34).to_be_bytes());
        frame.extend([0, 0]);
        frame.push(fate as u8);
        frame.extend(number.to_be_bytes());
        let fill = frame.len()..size;
        frame.extend(fill.map(|at| (at as u32 ^ number.wrapping_mul(31)) as u8));
        frame
    }
}

/// Does what frames say, and checks that they are what was sent.
pub struct Sieve;

impl Inspect for Sieve {
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
        assert_eq!(frames.len(), verdicts.len());
        for (frame, verdict) in frames.iter().zip(verdicts) {
            assert_eq!(*verdict, Verdict::Drop);
            *verdict = match frame.data.get(FATE) {
                Some(0) => Verdict::Pass,
                Some(2) => Verdict::Reject {
                    to_source: true,
                    to_destination: false,
                },
                _ => Verdict::Drop,
            };
        }
    }
}

/// What was sent in one direction: the same in both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub total: u64,
    pub bytes: u64,
    fates: [u64; 3],
}

impl Sent {
    pub fn of(&self, fate: Fate) -> u64 {
        self.fates[fate as usize]
    }
}

/// Sends `count` frames each way, never more than a hundred ahead of what arrived, and checks that those that pass arrive whole,
/// once, and in order within each flow, and that those that are rejected come back as ICMP errors.
pub fn run_both_ways(flows: &[Flow], count: u32) -> Sent {
    let ends = [("ea", true), ("eb", false)].map(|(end, forth)| {
        let tap = Tap::open(end).expect("a tap");
        (tap, forth, flows.to_vec())
    });
    let start = std::sync::Arc::new(std::sync::Barrier::new(2));
    let threads = ends.map(|(tap, forth, flows)| {
        let start = std::sync::Arc::clone(&start);
        thread::spawn(move || {
            start.wait();
            one_end(tap, forth, &flows, count)
        })
    });
    let [forth, back] = threads.map(|thread| thread.join().expect("traffic gets through"));
    assert_eq!(forth.fates, back.fates);
    forth
}

/// The fate of a frame.
fn fate(number: u32) -> Fate {
    match number % 10 {
        3 => Fate::Drop,
        7 => Fate::Reject,
        _ => Fate::Pass,
    }
}

fn size(number: u32) -> usize {
    SIZES[number as usize % SIZES.len()]
}

/// One end: sends its frames, and takes those of the other one.
fn one_end(mut tap: Tap, forth: bool, flows: &[Flow], count: u32) -> Sent {
    let mut sent = Sent::default();
    let flow = |number: u32| flows[number as usize % flows.len()];
    let expected: u32 = (0..count)
        .filter(|&number| fate(number) == Fate::Pass)
        .count() as u32;
    let rejected = (0..count)
        .filter(|&number| fate(number) == Fate::Reject)
        .count() as u32;
    let (mut passed, mut arrived, mut errors, mut number) = (0, 0, 0, 0);
    let mut seen = vec![false; count as usize];
    let mut latest = vec![None; flows.len()];
    let mut buffer = [0; 2048];
    let until = Instant::now() + Duration::from_secs(60);
    while number < count || arrived < expected || errors < rejected {
        assert!(
            Instant::now() < until,
            "sent {number} of {count}, arrived {arrived} of {expected}, {errors} errors of {rejected}"
        );
        // The other end sends as many as we do, so what arrived here tells how far behind the bridge is.
        if number < count && passed < arrived + 100 {
            let frame = flow(number).frame(forth, fate(number), number, size(number));
            tap.send(&frame);
            sent.total += 1;
            sent.bytes += frame.len() as u64;
            sent.fates[fate(number) as usize] += 1;
            passed += u32::from(fate(number) == Fate::Pass);
            number += 1;
        }
        while let Some(frame) = tap.receive(&mut buffer) {
            if frame[23] == 1 {
                errors += 1;
                continue;
            }
            let number = frame[NUMBER..].first_chunk().expect("a whole frame");
            let number = u32::from_be_bytes(*number);
            let original = flow(number).frame(!forth, Fate::Pass, number, size(number));
            assert_eq!(frame, original, "frame {number} is what was sent");
            assert_eq!(fate(number), Fate::Pass, "frame {number} was to pass");
            assert!(!seen[number as usize], "frame {number} comes twice");
            seen[number as usize] = true;
            let latest = &mut latest[number as usize % flows.len()];
            assert!(latest.is_none_or(|before| before < number), "in order");
            *latest = Some(number);
            arrived += 1;
        }
    }
    sent
}
