//! Random traffic without end: what `cargo xtask campaign hardware` puts through a core.
//!
//! It goes in rounds, each with a new core and a seed of its own, so that any of them can be repeated by its number and a
//! campaign can go on where it was left.

use std::time::{Duration, Instant};

use weir_engine::matcher::testing::{Shape, Sizes, random_case};
use weir_sim::pace::Gaps;
use weir_sim::{Engine, Pace};
use weir_tables::Size;

use crate::coverage::Coverage;
use crate::run::{Outcome, Run};
use crate::scripts;
use crate::{RANDOM, Target, number};

/// Buffers of a round.
const ROUND: u64 = 1000;
/// The pace's seed in the first round, less the campaign's.
const FIRST: u64 = 1000;
/// Between lines that say how far it is.
const TELL: Duration = Duration::from_secs(20);

/// What a campaign does, by its environment.
struct Plan {
    buffers: u64,
    from: u64,
}

/// The core that `WEIR_HARDWARE_CORE` names: engine, lanes and size.
fn core() -> (Engine, usize, Size) {
    let name = std::env::var("WEIR_HARDWARE_CORE").unwrap_or_else(|_| "rtl-8-compact".to_owned());
    let parsed = || {
        // The engine's name may have a dash.
        let mut parts = name.rsplitn(3, '-');
        let size = match parts.next()? {
            "compact" => Size::Compact,
            "full" => Size::Full,
            _ => return None,
        };
        let lanes = parts.next()?.parse().ok()?;
        let engine = match parts.next()? {
            "model" => Engine::Model,
            "rtl" => Engine::Rtl,
            "rust-hdl" => Engine::RustHdl,
            _ => return None,
        };
        [8, 16, 32, 64]
            .contains(&lanes)
            .then_some((engine, lanes, size))
    };
    parsed().unwrap_or_else(|| {
        panic!("WEIR_HARDWARE_CORE={name}: expected model, rtl or rust-hdl, 8 to 64 lanes, and compact or full, as rtl-8-compact")
    })
}

/// `WEIR_HARDWARE_BUFFERS` random buffers in rounds of a thousand, from round `WEIR_HARDWARE_FROM` on.
#[test]
#[ignore = "as long as one likes: cargo xtask campaign hardware"]
fn traffic() {
    let (engine, lanes, size) = core();
    let target = Target::new("traffic", engine, lanes, size);
    let plan = Plan {
        buffers: number("WEIR_HARDWARE_BUFFERS", 20_000),
        from: number("WEIR_HARDWARE_FROM", 0),
    };
    let rounds = plan.buffers.div_ceil(ROUND);
    let name = format!("{engine:?}, {lanes} lanes, {size:?} tables");
    let mut seen = Coverage::default();
    let started = Instant::now();
    let mut told = started;
    for round in plan.from..plan.from + rounds {
        let buffers = ROUND.min(plan.buffers - (round - plan.from) * ROUND);
        let limit = 0xFFFF;
        target.check(
            &format!("round-{round}"),
            pace(round),
            limit,
            &mut seen,
            &|run| send(run, buffers),
        );
        if told.elapsed() >= TELL {
            told = Instant::now();
            println!(
                "{name}: {} of {} buffers, {} switches with records under way, in {} s; round {} is next",
                seen.records,
                plan.buffers,
                seen.switches_in_flight,
                started.elapsed().as_secs(),
                round + 1,
            );
        }
    }
    println!(
        "{name}: rounds {} to {} in {:.0} s, all right\n{seen}",
        plan.from,
        plan.from + rounds,
        started.elapsed().as_secs_f64(),
    );
    assert_eq!(seen.records, plan.buffers);
    assert!(
        seen.refused <= 1 + seen.switches / 100,
        "too few tables fit"
    );
}

/// Gaps in input and output of every kind, and none.
fn pace(round: u64) -> Pace {
    const GAPS: [(u8, u32); 5] = [(0, 0), (10, 300), (60, 20), (128, 3), (2, 2000)];
    let gaps = |which: u64| {
        let (often, longest) = GAPS[(which % 5) as usize];
        Gaps { often, longest }
    };
    Pace {
        idle: gaps(round),
        stall: gaps(round / 5),
        late: [0, 9, 1][(round % 3) as usize],
        // Every sixteenth starts with memories and registers at random.
        seed: if round % 16 == 15 {
            RANDOM
        } else {
            FIRST + round
        },
    }
}

/// So many buffers, with tables that change while they are under way, and now and then something that is no record.
fn send(run: &mut Run<'_>, buffers: u64) -> Outcome {
    let mut left = buffers;
    while left > 0 {
        let shape = *run.rng.pick(&Shape::ALL);
        // Of few letters many literals differ in case alone, and have the same four places.
        let many = match shape {
            Shape::Text | Shape::Binary if run.rng.one_in(12) => 300,
            _ => 24,
        };
        let longest = match run.rng.below(40) {
            0 => 5000,
            1..=4 => 1500,
            _ => 250,
        };
        let sizes = Sizes {
            probes: (0, many),
            buffers: (1, if longest > 1500 { 2 } else { 30 }),
            data: (0, longest),
        };
        let case = random_case(run.rng.draw(), shape, &sizes);
        run.end_switch_in_flight()?;
        // Few sets with many literals that differ in case alone do not fit beside another one.
        if !run.switch(&case.probes)? {
            run.coverage.refused += 1;
            continue;
        }
        for ask in &case.asks {
            if left == 0 {
                break;
            }
            if run.rng.one_in(20) {
                let fault = *run.rng.pick(&scripts::STREAM);
                scripts::spoil(run, fault);
            }
            run.ask(ask);
            left -= 1;
            if run.rng.one_in(6) {
                let cycles = run.rng.below(400) as u64;
                run.go(cycles)?;
            }
        }
    }
    run.counters()
}
