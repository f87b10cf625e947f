//! Whatever befalls a card, the answers are software's, and the card comes back.

mod common;

use std::time::{Duration, Instant};

use common::{Fault, Rig, config};
use weir_driver::{Card, Config, State};
use weir_engine::matcher::testing::{Ask, Case, Driver, Rng, random_cases};
use weir_engine::matcher::{Matcher, Outcome, Probe, Request};
use weir_tables::{Geometry, Size};

/// Probes and buffers enough to keep a card busy for a while.
fn case() -> Case {
    let mut probes = Vec::new();
    let mut rng = Rng::new(9);
    for _ in 0..300 {
        let length = 2 + rng.below(7);
        let text: Vec<u8> = (0..length).map(|_| b'a' + rng.below(9) as u8).collect();
        let folded = rng.below(2) == 0;
        let groups = 1 << rng.below(3) | 1 << rng.below(3);
        probes.extend(Probe::new(&text, folded, groups));
    }
    probes.sort_by_key(|probe| (probe.bytes().to_vec(), probe.folded()));
    probes.dedup_by_key(|probe| (probe.bytes().to_vec(), probe.folded()));
    let asks = (0..400)
        .map(|_| {
            let length = rng.below(700);
            let data: Vec<u8> = (0..length).map(|_| b'a' + rng.below(12) as u8).collect();
            let carry = rng.below(8) as u8;
            Ask::new(&probes, rng.below(4) as u8, carry, data)
        })
        .collect();
    Case {
        name: "busy".to_owned(),
        probes,
        asks,
    }
}

struct Bench {
    rig: Rig,
    card: Card,
    case: Case,
}

impl Bench {
    fn new(config: Config) -> Self {
        let rig = Rig::new(Geometry::new(16, Size::Compact));
        let card = Card::start("test".to_owned(), rig.opener(), config).expect("opens");
        Self {
            rig,
            card,
            case: case(),
        }
    }

    /// Runs all buffers; in the middle, `fault` happens.
    fn run(&self, fault: Option<Fault>) {
        let mut port = self.card.port();
        port.load(&self.case.probes).expect("loads");
        let asks = &self.case.asks;
        let mut answered = vec![0; asks.len()];
        let mut left = asks.len();
        for (number, ask) in asks.iter().enumerate() {
            if number == asks.len() / 2
                && let Some(fault) = fault
            {
                self.rig.fault(fault);
            }
            let request = Request {
                tag: number as u64,
                group: ask.group,
                carry: ask.carry,
                data: &ask.data,
            };
            while port.submit(request).is_err() {
                left -= collect(&mut port, asks, &mut answered);
            }
            if number % 40 == 39 {
                left -= collect(&mut port, asks, &mut answered);
            }
        }
        port.flush();
        let since = Instant::now();
        while left > 0 {
            left -= collect(&mut port, asks, &mut answered);
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "{left} unanswered"
            );
        }
        assert!(answered.iter().all(|&count| count == 1), "each once");
    }

    /// Waits until the card is in use, and it has been in these states.
    fn recovers(&self, through: &[State]) {
        let back = self.card.wait_in_use(Duration::from_secs(20));
        let history = self.card.history();
        assert!(back, "{history:?}");
        let mut states = history.iter().map(|change| change.state);
        for state in through {
            assert!(states.any(|seen| seen == *state), "{state}: {history:?}");
        }
        let before = self.card.counts().card_buffers;
        self.run(None);
        assert!(self.card.counts().card_buffers > before, "{history:?}");
    }
}

fn collect(port: &mut impl Matcher, asks: &[Ask], answered: &mut [usize]) -> usize {
    port.poll(&mut |report| {
        let number = report.tag as usize;
        answered[number] += 1;
        assert_eq!(report.outcome, Outcome::Done);
        assert_eq!(report.hits, asks[number].hits, "buffer {number}");
    })
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn small_faults_cost_a_second_look() {
    // One alone does not make a card suspect.
    let bench = Bench::new(Config {
        strikes: 1000,
        known_every: 0,
        deadline: 2000 * MS,
        ..config()
    });
    bench.run(None);
    assert_eq!(bench.card.counts().rescanned, 0);
    for fault in [
        Fault::DropUp(700, 200),
        Fault::DoubleUp(1000, 64),
        Fault::FlipUp(9999),
        Fault::CutUp(800),
        Fault::DropDown(100, 64),
        Fault::DoubleDown(64, 64),
        Fault::FlipDown(777),
        Fault::CutDown(90),
    ] {
        let before = bench.rig.lock().done;
        bench.run(Some(fault));
        assert_eq!(bench.rig.lock().done, before + 1, "{fault:?}");
        let counts = bench.card.counts();
        let seen = counts.rescanned + counts.stray_reports + counts.report_faults;
        assert!(seen > 0, "{fault:?}: {counts:?}");
    }
    let counts = bench.card.counts();
    assert!(counts.rescanned > 5, "{counts:?}");
    assert!(
        counts.stray_reports + counts.report_faults > 2,
        "{counts:?}"
    );
    assert!(counts.card_buffers > 2000, "{counts:?}");
}

#[test]
fn a_fault_makes_a_card_suspect_and_it_clears_itself() {
    let bench = Bench::new(Config {
        strikes: 0,
        ..config()
    });
    for fault in [Fault::DropUp(700, 200), Fault::FlipDown(777)] {
        bench.run(Some(fault));
        bench.recovers(&[State::Suspect, State::Healthy]);
    }
    let counts = bench.card.counts();
    assert!(
        counts.failovers >= 2 && counts.recoveries >= 3,
        "{counts:?}"
    );
    // What it still knew was enough.
    assert_eq!(counts.loads, 1, "{counts:?}");
    assert_eq!(bench.rig.lock().opened, 1);
}

#[test]
fn a_slow_card_is_waited_for_and_a_stalled_one_is_not() {
    let bench = Bench::new(Config {
        deadline: 500 * MS,
        ..config()
    });
    bench.run(Some(Fault::Delay(20 * MS)));
    assert_eq!(bench.card.counts().failovers, 0);
    let start = Instant::now();
    bench.run(Some(Fault::Stall(3000 * MS)));
    assert!(start.elapsed() < 2900 * MS, "{:?}", start.elapsed());
    assert_eq!(bench.card.counts().deadlines, 1);
    bench.recovers(&[State::Healthy, State::Suspect, State::Healthy]);
}

#[test]
fn a_card_that_was_reset_is_loaded_anew() {
    let bench = Bench::new(config());
    bench.run(Some(Fault::Reset));
    bench.recovers(&[
        State::Healthy,
        State::Failed,
        State::Probing,
        State::Healthy,
    ]);
    assert!(bench.card.counts().loads >= 2);
}

#[test]
fn a_card_that_died_is_opened_anew() {
    let bench = Bench::new(config());
    bench.run(Some(Fault::Die(100 * MS)));
    bench.recovers(&[
        State::Healthy,
        State::Failed,
        State::Probing,
        State::Healthy,
    ]);
    assert_eq!(bench.rig.lock().opened, 2);
}

#[test]
fn a_card_of_another_version_is_not_used() {
    let bench = Bench::new(config());
    bench.run(Some(Fault::Version(6)));
    bench.recovers(&[
        State::Failed,
        State::Probing,
        State::Failed,
        State::Probing,
        State::Healthy,
    ]);
    let history = bench.card.history();
    let refused = |reason: &str| reason.contains("interface version") && reason.contains("newer");
    assert!(
        history.iter().any(|change| refused(&change.reason)),
        "{history:?}"
    );
}

#[test]
fn a_card_off_the_bus_is_found_out() {
    let bench = Bench::new(config());
    bench.run(None);
    bench.rig.fault(Fault::Ones(50 * MS));
    let since = Instant::now();
    while bench.card.in_use() {
        assert!(since.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    bench.recovers(&[State::Failed, State::Probing, State::Healthy]);
    let history = bench.card.history();
    let why = |reason: &str| reason.contains("off the bus");
    assert!(
        history.iter().any(|change| why(&change.reason)),
        "{history:?}"
    );
}

#[test]
fn a_flipped_table_bit_is_found_by_known_answers() {
    // Nothing else may find it: no scrubbing.
    let bench = Bench::new(Config {
        scrub: 0,
        ..config()
    });
    bench.run(None);
    let mut rng = Rng::new(number("WEIR_CARD_SEED", 4));
    let flips = number("WEIR_CARD_FLIPS", 12);
    let (mut found, mut unseen, mut exposures, mut most) = (0, 0, 0, 0);
    let mut bound = 0;
    for round in 0..flips {
        let Some(tables) = bench.card.status().tables else {
            panic!("not in use");
        };
        bound = tables.known_answer_bound;
        let (at, bit) = (rng.below(1 << 20), rng.below(32) as u32);
        bench.rig.fault(Fault::FlipTable(at, bit));
        let start = bench.card.counts();
        // Traffic that hits nothing, so that lost hits do not matter here.
        let mut port = bench.card.port();
        port.load(&bench.case.probes).expect("loads");
        let data = [b'Z'; 32];
        let mut tag = 0;
        while bench.card.counts().known_wrong == start.known_wrong
            && bench.card.counts().records < start.records + bound + 4096
        {
            tag += 1;
            let request = Request {
                tag,
                group: 0,
                carry: 0,
                data: &data,
            };
            while port.submit(request).is_err() {
                port.poll(&mut |_| {});
            }
            if tag % 64 == 0 {
                port.poll(&mut |_| {});
            }
        }
        while port.poll(&mut |_| {}) > 0 {}
        drop(port);
        let now = bench.card.counts();
        if now.known_wrong > start.known_wrong {
            found += 1;
            // Records from the flip until software took over.
            let exposure = now.records - start.records;
            exposures += exposure;
            most = most.max(exposure);
            assert!(
                exposure <= bound + 4096 && now.exposure_most <= bound + 4096,
                "round {round}: {exposure} records, {now:?}"
            );
            bench.recovers(&[State::Failed, State::Probing, State::Healthy]);
        } else {
            // Bits of empty places and of filters that gain a bit do no harm. Those of an entry's other groups might: only
            // scrubbing mends them.
            let mut port = bench.card.port();
            let right = Driver::default().run(&mut port, &bench.case);
            unseen += u64::from(right.is_err());
            bench.rig.mend();
        }
    }
    println!(
        "{flips} table bits flipped, {found} found after {} records on average, {most} at most, by a bound of {bound}; \
         of the others {unseen} lost hits in {} buffers, {} did no harm there",
        exposures / found.max(1),
        bench.case.asks.len(),
        flips - found - unseen
    );
    assert!(found >= flips / 8, "{found} found");
    assert!(unseen <= flips / 20, "{unseen} do harm and are not found");
}

#[test]
fn a_card_that_is_not_there_says_what_to_do() {
    let rig = Rig::new(Geometry::new(8, Size::Compact));
    rig.fault(Fault::Die(Duration::from_secs(600)));
    let Err(error) = Card::start("test".to_owned(), rig.opener(), config()) else {
        panic!("opened");
    };
    assert!(
        error.to_string().contains("load the XDMA driver"),
        "{error}"
    );
    let rig = Rig::new(Geometry::new(8, Size::Compact));
    rig.fault(Fault::Version(1));
    let Err(error) = Card::start("test".to_owned(), rig.opener(), config()) else {
        panic!("opened");
    };
    assert!(error.to_string().contains("is 8, expected 1"), "{error}");
}

#[test]
fn more_probes_than_fit_are_shared_with_software() {
    let geometry = Geometry {
        lanes: 8,
        filters: [4; 5],
        exact: 3,
        engines: 1,
    };
    let rig = Rig::new(geometry);
    let card = Card::start("test".to_owned(), rig.opener(), config()).expect("opens");
    let mut port = card.port();
    let case = case();
    Driver::default()
        .run(&mut port, &case)
        .expect("as software");
    let tables = card.status().tables.expect("in use");
    assert!(
        tables.software > 0 && tables.software < tables.probes,
        "{tables:?}"
    );
}

/// A number from the environment: `cargo xtask campaign card-faults` sets it.
fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A fault of each kind in turn.
fn fault(round: u64, rng: &mut Rng) -> Fault {
    let (at, many) = (rng.below(8192), 1 + rng.below(700));
    let time = rng.below(20) as u32;
    match round % 15 {
        0 => Fault::DropUp(at, many),
        1 => Fault::DoubleUp(at, many),
        2 => Fault::FlipUp(at),
        3 => Fault::CutUp(at),
        4 => Fault::DropDown(at, many),
        5 => Fault::DoubleDown(at, many),
        6 => Fault::FlipDown(at),
        7 => Fault::CutDown(at),
        8 => Fault::Delay(time * MS),
        9 => Fault::Stall(time * 2 * MS),
        10 => Fault::Reset,
        11 => Fault::Die(time * MS),
        12 => Fault::Ones(time * MS),
        13 => Fault::Version(1 + time % 3),
        _ => Fault::FlipDown(at * 31),
    }
}

#[test]
fn random_faults_in_any_order() {
    let (faults, seed) = (number("WEIR_CARD_FAULTS", 45), number("WEIR_CARD_SEED", 2));
    // A campaign is many faults with little between them.
    let few = faults > 1000;
    let mut bench = Bench::new(Config {
        deadline: Duration::from_millis(number("WEIR_CARD_DEADLINE_MS", 300)),
        ..config()
    });
    if few {
        bench.case.asks.truncate(100);
    }
    let mut rng = Rng::new(seed);
    let memory = resident();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for round in 0..faults {
        let fault = fault(round, &mut rng);
        let run = Instant::now();
        bench.run(Some(fault));
        slowest = slowest.max(run.elapsed());
        // Now and then it is given time to come back, so that what follows meets a healthy card.
        if round % 5 == 4 {
            bench.card.wait_in_use(Duration::from_secs(20));
        }
    }
    bench.rig.lock().pending.clear();
    bench.recovers(&[]);
    let mut port = bench.card.port();
    for case in random_cases(3, 2) {
        Driver::default()
            .run(&mut port, &case)
            .expect("as software");
    }
    drop(port);
    let (counts, happened) = (bench.card.counts(), bench.rig.lock().done);
    println!(
        "{faults} faults, {happened} happened, {:.1} s, slowest run {slowest:?}, threads {}, resident {} then {} KiB\n{counts:?}",
        start.elapsed().as_secs_f64(),
        std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        memory,
        resident(),
    );
    assert!(
        happened as u64 > faults / 2,
        "{happened} of {faults} happened"
    );
    assert!(
        counts.card_buffers > 0 && counts.failovers > 0,
        "{counts:?}"
    );
    assert!(
        resident() < memory + (64 << 10),
        "{memory} KiB, then {} KiB",
        resident()
    );
}

/// Memory in use, in KiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    pages.unwrap_or(0) * 4
}
