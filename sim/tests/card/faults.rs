//! Each fault, over shared memory, held to what it says.

use std::path::Path;
use std::time::{Duration, Instant};

use card_protocol::record::Record;
use card_protocol::register;
use card_protocol::report::{FLAG_DAMAGED, Item};
use card_protocol::reports::{Counts, Event, Reports};
use card_shm::{Host, ShmError};
use weir_sim::card::{Ended, Fault, Kind, SimCard};
use weir_tables::register_writes;

use super::{GENERATION, LONG, NONCE, Place, config, geometry, payload, place, tables};

/// Nothing comes for so long: nothing will.
const QUIET: Duration = Duration::from_millis(60);

/// A host that loads tables and talks in records.
struct Talk {
    host: Host,
    reports: Reports,
    /// Sequence, flags and hits of the records that ended.
    ends: Vec<(u32, u8, usize)>,
    hits: usize,
}

impl Talk {
    fn open(path: &Path) -> Self {
        let mut host = Host::open(path, LONG).expect("opens");
        let mut writes = vec![
            (register::CONTROL, register::CONTROL_FLUSH),
            (register::NONCE, NONCE),
            (register::LIMIT, 1000),
            (register::CONTROL, register::CONTROL_ENABLE),
        ];
        writes.extend(register_writes(&tables().image(false)));
        writes.extend(tables().registers());
        host.registers.write(&writes, LONG).expect("loads");
        Self {
            host,
            reports: Reports::new(NONCE),
            ends: Vec::new(),
            hits: 0,
        }
    }

    fn send(&mut self, sequence: u32) {
        let payload = payload(sequence.into());
        let record = Record {
            nonce: NONCE,
            sequence,
            group: 0,
            carry: 0,
            generation: GENERATION,
            payload: &payload,
        };
        let lanes = geometry().lanes;
        let mut bytes = vec![0; record.size(lanes)];
        record.write(lanes, &mut bytes).expect("well formed");
        self.host.sender.send(&bytes, LONG).expect("sends");
    }

    /// Receives for so long; true when anything came.
    fn receive(&mut self, most: Duration) -> bool {
        let mut bytes = [0; 4096];
        let got = self.host.receiver.receive(&mut bytes, most).expect("open");
        let Self { ends, hits, .. } = self;
        self.reports.feed(&bytes[..got], &mut |event| {
            if let Event::Item(item) = event {
                match item {
                    Item::Hit { .. } => *hits += 1,
                    Item::End {
                        flags, sequence, ..
                    } => {
                        ends.push((sequence, flags, std::mem::take(hits)));
                    }
                }
            }
        });
        got > 0
    }

    /// Sends records, each when the one before is answered, or is not.
    fn records(&mut self, sequences: std::ops::Range<u32>) {
        for sequence in sequences {
            self.send(sequence);
            let since = Instant::now();
            while !self.ends.iter().any(|end| end.0 == sequence) && since.elapsed() < QUIET {
                self.receive(QUIET);
            }
        }
        while self.receive(QUIET) {}
    }

    fn sequences(&self) -> Vec<u32> {
        self.ends.iter().map(|end| end.0).collect()
    }

    /// Records that ended without a flag.
    fn fine(&self) -> Vec<u32> {
        self.ends
            .iter()
            .filter(|end| end.1 == 0)
            .map(|end| end.0)
            .collect()
    }

    fn counts(&self) -> Counts {
        self.reports.counts()
    }

    fn read(&mut self, address: u32) -> u32 {
        self.host.registers.read(address, LONG).expect("reads")
    }
}

/// A card with a fault that happens at the fourth record or unit, and records 0 to 9 sent to it.
fn with(fault: &str) -> (Place, SimCard, Talk) {
    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let mut talk = Talk::open(&place.path);
    card.faults().add(fault.parse().expect("a fault"));
    card.nudge();
    talk.records(0..10);
    (place, card, talk)
}

fn happened(card: &SimCard, kind: Kind) {
    assert_eq!(card.faults().count(kind), 1, "{kind:?} is counted");
    assert_eq!(card.faults().counts().len(), 1, "nothing else happened");
}

const ALL: [u32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const NOT_THREE: [u32; 9] = [0, 1, 2, 4, 5, 6, 7, 8, 9];

#[test]
fn records_are_dropped_duplicated_corrupted() {
    let (_place, card, talk) = with("drop-record:after=3");
    assert_eq!(talk.fine(), NOT_THREE);
    assert_eq!(talk.counts().gaps, 0, "the reports are whole");
    happened(&card, Kind::DropRecord);

    let (_place, card, talk) = with("duplicate-record:after=3");
    assert_eq!(talk.fine(), [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
    happened(&card, Kind::DuplicateRecord);

    for seed in 0..4 {
        let (_place, card, talk) = with(&format!("corrupt-record:after=3,bits=2,seed={seed}"));
        let three = talk.ends.iter().find(|end| end.0 == 3);
        assert!(
            three.is_none_or(|end| end.1 & FLAG_DAMAGED != 0),
            "{three:?}"
        );
        assert!(
            !talk.fine().contains(&3) && talk.fine().contains(&9),
            "{:?}",
            talk.ends
        );
        happened(&card, Kind::CorruptRecord);
    }
}

#[test]
fn records_are_cut_off() {
    // The third record has more than a beat.
    let (_place, card, talk) = with("truncate-record:after=3");
    assert!(payload(3).len() > 64);
    assert!(!talk.fine().contains(&3), "{:?}", talk.ends);
    assert_eq!(talk.fine()[..3], [0, 1, 2]);
    assert!(talk.fine().contains(&9), "in step again: {:?}", talk.ends);
    happened(&card, Kind::TruncateRecord);
}

#[test]
fn records_wait_for_as_long_as_they_are_held() {
    let (_place, card, mut talk) = with("stall-records:after=3");
    assert_eq!(talk.sequences(), [0, 1, 2]);
    happened(&card, Kind::StallRecords);
    card.faults().clear();
    card.nudge();
    let since = Instant::now();
    while talk.sequences().len() < 10 && since.elapsed() < LONG {
        talk.receive(QUIET);
    }
    assert_eq!(talk.fine(), ALL, "nothing is lost");

    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let mut talk = Talk::open(&place.path);
    card.faults()
        .add("delay-records:ms=80".parse().expect("a fault"));
    let since = Instant::now();
    talk.send(0);
    while talk.sequences().is_empty() && since.elapsed() < LONG {
        talk.receive(QUIET);
    }
    assert!(since.elapsed() >= Duration::from_millis(80), "held");
    talk.records(1..10);
    assert_eq!(talk.fine(), ALL);
    happened(&card, Kind::DelayRecords);
}

#[test]
fn reports_are_dropped_duplicated_corrupted_cut_off() {
    let (_place, card, talk) = with("drop-report:after=3");
    assert_eq!(talk.counts().gaps, 1);
    assert!(talk.fine().len() < 10);
    happened(&card, Kind::DropReport);

    let (_place, card, talk) = with("duplicate-report:after=3");
    assert_eq!(talk.counts().gaps, 1, "the number comes twice");
    happened(&card, Kind::DuplicateReport);

    for fault in ["corrupt-report:after=3,bits=3", "truncate-report:after=3"] {
        let (_place, card, talk) = with(fault);
        assert_eq!(talk.counts().gaps, 1, "{fault}");
        let skipped = talk.counts().skipped;
        assert!(
            (1..=64).contains(&skipped),
            "{fault}: {skipped} bytes skipped"
        );
        assert!(talk.fine().contains(&9), "{fault}: in step again");
        assert_eq!(card.faults().counts().len(), 1);
    }
}

#[test]
fn reports_wait_for_as_long_as_they_are_held() {
    let (_place, card, mut talk) = with("stall-reports");
    assert!(talk.sequences().is_empty());
    happened(&card, Kind::StallReports);
    card.faults().clear();
    card.nudge();
    let since = Instant::now();
    while talk.sequences().len() < 10 && since.elapsed() < LONG {
        talk.receive(QUIET);
    }
    assert_eq!(talk.fine(), ALL);

    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let mut talk = Talk::open(&place.path);
    card.faults()
        .add("delay-reports:ms=80".parse().expect("a fault"));
    let since = Instant::now();
    talk.send(0);
    while talk.sequences().is_empty() && since.elapsed() < LONG {
        talk.receive(QUIET);
    }
    assert!(since.elapsed() >= Duration::from_millis(80), "held");
    happened(&card, Kind::DelayReports);
}

#[test]
fn a_lost_end_of_packet_keeps_a_unit_until_the_next_one() {
    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let mut talk = Talk::open(&place.path);
    card.faults().add(Fault::new(Kind::LoseEnd));
    talk.records(0..1);
    assert!(talk.sequences().is_empty(), "kept");
    talk.records(1..3);
    assert_eq!(talk.fine(), [0, 1, 2]);
    assert_eq!(talk.counts().gaps, 0);
    happened(&card, Kind::LoseEnd);
}

#[test]
fn a_reset_leaves_registers_as_they_were_at_first() {
    let (_place, card, mut talk) = with("reset:after=3");
    assert_eq!(talk.sequences(), [0, 1, 2]);
    assert_eq!(talk.read(register::NONCE), 0);
    assert_eq!(talk.read(register::CONTROL), 0);
    happened(&card, Kind::Reset);
}

#[test]
fn a_card_comes_back_with_another_version_until_it_is_cleared() {
    let (_place, card, mut talk) = with("version:value=77,after=3");
    assert_eq!(talk.sequences(), [0, 1, 2], "it was reset");
    assert_eq!(talk.read(register::INTERFACE), 77);
    assert_eq!(talk.read(register::MAGIC), register::MAGIC_VALUE);
    happened(&card, Kind::Version);
    card.faults().clear();
    assert_eq!(talk.read(register::INTERFACE), register::INTERFACE_VALUE);
}

#[test]
fn a_lost_link_reads_as_all_ones_and_moves_nothing() {
    let (_place, card, mut talk) = with("lose-link:after=3");
    assert_eq!(talk.sequences(), [0, 1, 2]);
    for address in [register::MAGIC, register::INTERFACE, register::CONTROL] {
        assert_eq!(talk.read(address), u32::MAX);
    }
    talk.host
        .registers
        .write(&[(register::NONCE, 5)], LONG)
        .expect("goes nowhere");
    happened(&card, Kind::LoseLink);
    card.faults().clear();
    card.nudge();
    assert_eq!(talk.read(register::NONCE), NONCE);
    talk.records(10..12);
    assert_eq!(talk.fine(), (0..12).collect::<Vec<_>>());
    // At once, and for a while.
    card.faults()
        .add("lose-link:now,ms=30".parse().expect("a fault"));
    assert_eq!(talk.read(register::MAGIC), u32::MAX);
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(talk.read(register::MAGIC), register::MAGIC_VALUE);
}

#[test]
fn a_card_that_dies_is_gone_and_may_come_back() {
    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let mut talk = Talk::open(&place.path);
    talk.records(0..3);
    card.faults().add(Fault::new(Kind::Die).after(1));
    talk.send(3);
    talk.send(4);
    let mut bytes = [0; 4096];
    let error = loop {
        match talk.host.receiver.receive(&mut bytes, LONG) {
            Ok(got) => assert!(got > 0, "its end is not noticed"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ShmError::Gone { .. }), "{error}");
    assert_eq!(card.stop().expect("no error"), Ended::Died);
    let card = SimCard::start(&place.path, &config()).expect("another one");
    let mut talk = Talk::open(&place.path);
    talk.records(0..3);
    assert_eq!(talk.fine(), [0, 1, 2]);
    assert_eq!(card.stop().expect("no error"), Ended::Stopped);
}

#[test]
fn a_flipped_bit_changes_answers_and_nothing_that_counts() {
    for kind in [Kind::FlipFilter, Kind::FlipExact] {
        let place = place();
        let card = SimCard::start(&place.path, &config()).expect("a card");
        let mut talk = Talk::open(&place.path);
        talk.records(0..10);
        let hits = |talk: &Talk| talk.ends.iter().map(|end| end.2).sum::<usize>();
        let before = hits(&talk);
        let counters = [
            register::TABLE_CHECK,
            register::COUNT_TABLE_WRITES,
            register::COUNT_TABLE_ERRORS,
        ];
        let counted = counters.map(|at| talk.read(at));
        card.faults().add(
            format!("{}:now,set,bits=40", kind.name())
                .parse()
                .expect("a fault"),
        );
        card.nudge();
        let since = Instant::now();
        while card.faults().count(kind) == 0 && since.elapsed() < LONG {
            talk.read(register::MAGIC);
        }
        happened(&card, kind);
        talk.ends.clear();
        talk.records(0..10);
        assert_eq!(talk.fine(), ALL, "{kind:?} is silent");
        assert!(
            hits(&talk) < before,
            "{kind:?}: {} hits, {before} before",
            hits(&talk)
        );
        assert_eq!(counters.map(|at| talk.read(at)), counted);
        // Written anew, the tables are whole.
        let writes: Vec<(u32, u32)> = register_writes(&tables().image(false)).collect();
        talk.host.registers.write(&writes, LONG).expect("loads");
        talk.ends.clear();
        talk.records(0..10);
        assert_eq!(hits(&talk), before);
    }
    // Before anything is loaded there is nothing to flip.
    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    card.faults().add(Fault::new(Kind::FlipExact).now());
    card.nudge();
    let since = Instant::now();
    while card.faults().armed() > 0 && since.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(card.faults().count(Kind::FlipExact), 0);
    assert!(
        card.faults().to_string().contains("without-effect"),
        "{}",
        card.faults()
    );
}

#[test]
fn faults_repeat_by_their_seed() {
    let run = || {
        let place = place();
        let mut config = config();
        config
            .faults
            .push(Fault::new(Kind::DropRecord).with_probability(0.3, 11));
        let card = SimCard::start(&place.path, &config).expect("a card");
        let mut talk = Talk::open(&place.path);
        (0..40).for_each(|sequence| talk.send(sequence));
        while talk.receive(QUIET) {}
        (talk.fine(), card.faults().count(Kind::DropRecord))
    };
    let (fine, dropped) = run();
    assert_eq!(fine.len() as u64 + dropped, 40);
    assert!((4..24).contains(&dropped), "{dropped} of 40");
    assert_eq!(run(), (fine, dropped));
}
