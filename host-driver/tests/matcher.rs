//! A card beside software: the same answers, however many workers, and whatever the card's room.

mod common;

use std::sync::Barrier;
use std::time::{Duration, Instant};

use common::{Rig, config};
use weir_driver::{Card, Config, Policy, State, selftest};
use weir_engine::matcher::testing::{Driver, random_cases};
use weir_tables::{Geometry, Size};

fn card(rig: &Rig, config: Config) -> Card {
    Card::start("test".to_owned(), rig.opener(), config).expect("opens")
}

#[test]
fn the_corpus_is_answered_by_the_card() {
    for lanes in [8, 64] {
        // Small tables, since every case loads its own; what does not fit is software's.
        let geometry = Geometry {
            exact: 7,
            ..Geometry::new(lanes, Size::Compact)
        };
        let rig = Rig::new(geometry);
        let card = card(&rig, config());
        let mut port = card.port();
        let tally = Driver::default().check(&mut port).expect("as software");
        assert_eq!(tally.unfinished, 0);
        drop(port);
        let counts = card.counts();
        assert!(counts.card_buffers > 100, "{counts:?}");
        assert_eq!((counts.rescanned, counts.failovers), (0, 0), "{counts:?}");
        assert_eq!(card.state().0, State::Healthy);
    }
}

#[test]
fn workers_share_a_card() {
    let rig = Rig::new(Geometry::new(16, Size::Compact));
    for workers in [2, 3] {
        let card = card(&rig, config());
        let cases: Vec<_> = random_cases(5, 12).collect();
        // All go on to the next tables together: whoever is late would lose them to the others.
        let barrier = Barrier::new(workers);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let mut port = card.port();
                let (cases, barrier) = (&cases, &barrier);
                scope.spawn(move || {
                    for case in cases {
                        let driver = Driver {
                            in_flight: 50,
                            ..Driver::default()
                        };
                        driver.run(&mut port, case).expect("as software");
                        barrier.wait();
                    }
                });
            }
        });
        let counts = card.counts();
        assert!(counts.card_buffers > 0, "{counts:?}");
        assert_eq!(counts.rescanned, counts.records_overflowed, "{counts:?}");
    }
}

#[test]
fn who_looks_through_a_buffer_is_a_matter_of_policy() {
    let rig = Rig::new(Geometry::new(8, Size::Compact));
    let card = card(
        &rig,
        Config {
            policy: Policy::Auto,
            ..config()
        },
    );
    let mut port = card.port();
    for case in random_cases(3, 20) {
        Driver::default()
            .run(&mut port, &case)
            .expect("as software");
    }
    drop(port);
    assert!(card.counts().software_buffers + card.counts().card_buffers > 0);
}

#[test]
fn nothing_is_left_behind() {
    let threads = || {
        std::fs::read_dir("/proc/self/task")
            .expect("threads")
            .count()
    };
    let rig = Rig::new(Geometry::new(8, Size::Compact));
    let before = threads();
    for _ in 0..20 {
        let card = card(&rig, config());
        let mut port = card.port();
        for case in random_cases(7, 1) {
            Driver::default()
                .run(&mut port, &case)
                .expect("as software");
        }
    }
    let since = Instant::now();
    // Other tests of this file have threads, too, but never so many.
    while threads() > before + 30 && since.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    assert!(threads() <= before + 30, "{} threads", threads());
}

#[test]
fn a_self_test_tells_a_good_card_from_a_bad_one() {
    let geometry = Geometry {
        exact: 5,
        ..Geometry::new(8, Size::Compact)
    };
    let rig = Rig::new(geometry);
    let report = selftest::of("test".to_owned(), rig.opener(), &mut |_| {}).expect("opens");
    assert!(report.passed, "{report:?}");
    assert_eq!(report.memories.len(), 4);
    for test in &report.memories {
        assert!(test.entries > 80 && test.known_answers >= 8, "{test:?}");
    }
    for test in &report.throughput {
        assert!(
            test.buffers_per_second > 0.0 && test.to_card_per_second > 0.0,
            "{test:?}"
        );
        assert!(test.from_card_per_second > 0.0, "{test:?}");
    }
    // A word whose bits cannot be set.
    rig.lock().stuck = Some((34, 3));
    let report = selftest::of("test".to_owned(), rig.opener(), &mut |_| {}).expect("opens");
    assert!(!report.passed);
    let wrong = report.memories.iter().filter(|test| test.wrong.is_some());
    assert!(wrong.count() > 0, "{report:?}");
}
