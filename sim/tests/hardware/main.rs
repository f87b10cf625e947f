//! The hardware test suite: one set of scripts for the golden model, the Rust-HDL simulator and the verilated core.
//!
//! ```text
//! cargo test -p weir-sim --test hardware
//! WEIR_HARDWARE_SEED=7 WEIR_HARDWARE_TIMES=100 cargo test --release -p weir-sim --test hardware -- --include-ignored
//! ```
//!
//! `WEIR_HARDWARE_TIMES` multiplies what is drawn at random; [`traffic`] says what else there is. A failure names its seed, the
//! command that repeats it, and a waveform of the last cycles before it.

mod coverage;
mod run;
mod scripts;
mod traffic;

use std::path::PathBuf;

use weir_engine::matcher::testing::Driver;
use weir_sim::core::Core;
use weir_sim::pace::Gaps;
use weir_sim::verilator::Trace;
use weir_sim::{Engine, Offloaded, Pace, SimError};
use weir_tables::{Geometry, Key, Settings, Size};

use coverage::Coverage;
use run::{Outcome, Run};

/// Gaps in input and output, register accesses in pieces.
const UNEVEN: Pace = Pace {
    idle: Gaps {
        often: 60,
        longest: 20,
    },
    stall: Gaps {
        often: 60,
        longest: 20,
    },
    late: 9,
    seed: 4,
};
/// Cycles before a failure that its waveform shows.
const BEFORE: u64 = 5000;

/// The pace with which memories and registers without an initial value are random at the start.
const RANDOM: u64 = 5;

/// A core, and how much is done to it.
struct Target {
    /// The test's name.
    test: &'static str,
    kind: Engine,
    geometry: Geometry,
    /// Random cases.
    cases: usize,
    /// Longest record.
    longest: usize,
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

impl Target {
    fn new(test: &'static str, kind: Engine, lanes: usize, size: Size) -> Self {
        let times = number("WEIR_HARDWARE_TIMES", 1) as usize;
        let (cases, longest) = match kind {
            Engine::RustHdl => (12, 1500),
            _ => (150, 16_384),
        };
        Self {
            test,
            kind,
            geometry: Geometry::new(lanes, size),
            cases: cases * times,
            longest,
        }
    }

    fn core(&self, trace: Trace, random: u64) -> Result<Box<dyn Core>, SimError> {
        match self.kind {
            Engine::Rtl => Ok(Box::new(weir_sim::rtl(self.geometry, trace, random)?)),
            kind => kind.core(self.geometry, trace),
        }
    }

    /// Runs a script on a new core.
    fn check(
        &self,
        name: &str,
        pace: Pace,
        limit: u16,
        coverage: &mut Coverage,
        script: &dyn Fn(&mut Run<'_>) -> Outcome,
    ) {
        let seed = number("WEIR_HARDWARE_SEED", 1).wrapping_add(pace.seed);
        // With one pace nothing of the core is zero at the start, and all tables are written.
        let random = if self.kind == Engine::Rtl && pace.seed == RANDOM {
            seed
        } else {
            0
        };
        let mut attempt = |trace: Option<(u64, &PathBuf)>| -> Result<(), (u64, String)> {
            let begin = |error: &dyn ToString| (0, error.to_string());
            let kind = trace.map_or(Trace::None, |_| Trace::Vcd);
            let core = self.core(kind, random).map_err(|error| begin(&error))?;
            let mut run = Run::new(core, coverage, seed, limit, random == 0)
                .map_err(|error| begin(&error))?;
            if let Some((cycle, path)) = trace {
                let started = run.session.core.trace_from(cycle, path);
                started.map_err(|error| begin(&error))?;
            }
            run.session.set_pace(Pace { seed, ..pace });
            let done = script(&mut run);
            done.map_err(|error| (run.session.core.cycle(), error))
        };
        let Err((cycle, error)) = attempt(None) else {
            return;
        };
        let path = std::env::temp_dir().join(format!("weir-{}-{name}-{seed}.vcd", self.test));
        let wave = match self.kind {
            Engine::Model => String::new(),
            _ => {
                let again = attempt(Some((cycle.saturating_sub(BEFORE), &path)));
                match again {
                    Err((_, same)) if same == error => format!("\nwaveform: {}", path.display()),
                    other => format!("\nthe second time: {other:?}"),
                }
            }
        };
        // What the environment says decides what is drawn.
        let set = std::env::vars().filter(|(name, _)| name.starts_with("WEIR_HARDWARE_"));
        let set: Vec<String> = set
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        panic!(
            "{} {name}, cycle {cycle}: {error}{wave}\nagain: {}cargo test -p weir-sim --test hardware -- --include-ignored {}",
            self.test,
            set.concat(),
            self.test,
        );
    }

    /// All scripts; what they covered must be all there is.
    fn suite(&self) {
        let gaps = |often, longest| Gaps { often, longest };
        let pace = |idle, stall, late, seed| Pace {
            idle,
            stall,
            late,
            seed,
        };
        let paces = [
            pace(Gaps::NONE, Gaps::NONE, 0, 1),
            pace(gaps(30, 6), Gaps::NONE, 3, 2),
            pace(Gaps::NONE, gaps(40, 12), 0, 3),
            UNEVEN,
            pace(Gaps::NONE, gaps(4, 3000), 1, 5),
        ];
        let mut seen = Coverage::default();
        for (number, pace) in paces.into_iter().enumerate() {
            let cases = self.cases.div_ceil(paces.len());
            self.check("random", pace, 0xFFFF, &mut seen, &|run| {
                scripts::random(run, cases, false)
            });
            let seed = pace.seed + 100;
            self.check(
                "bad-input",
                Pace { seed, ..pace },
                0xFFFF,
                &mut seen,
                &|run| scripts::random(run, cases, true),
            );
            // Slow where the clock is slow, and every pace has its turn at another width.
            if self.kind != Engine::RustHdl || number == 3 {
                let longest = if number == 0 { self.longest } else { 1500 };
                self.check("lengths", pace, 0xFFFF, &mut seen, &|run| {
                    scripts::lengths(run, longest)
                });
                self.check("periods", pace, 0xFFFF, &mut seen, &scripts::periods);
                self.check("faults", pace, 0xFFFF, &mut seen, &scripts::faults);
                for limit in [0, 1, 7] {
                    self.check(
                        &format!("overflows-{limit}"),
                        pace,
                        limit,
                        &mut seen,
                        &|run| scripts::overflows(run, 40),
                    );
                }
                self.check("interruptions", pace, 0xFFFF, &mut seen, &|run| {
                    scripts::interruptions(run, 12)
                });
            }
        }
        self.check(
            "registers",
            paces[3],
            0xFFFF,
            &mut seen,
            &scripts::registers,
        );
        if self.kind != Engine::Model {
            self.check("throughput", Pace::FULL, 0xFFFF, &mut seen, &|run| {
                scripts::throughput(run, 300)
            });
        }
        println!("{}:\n{seen}", self.test);
        let gaps = seen.gaps(self.kind != Engine::Model, self.longest);
        assert!(gaps.is_empty(), "not covered: {gaps:#?}");
    }

    /// The engine's corpus, and random cases of its kind.
    fn corpus(&self, cases: u64) {
        let core = self.core(Trace::None, 0).expect("a core");
        let mut matcher = Offloaded::new(core, Key::from_seed(1), Settings::default());
        let driver = Driver {
            max_data: self.longest,
            ..Driver::default()
        };
        let tally = driver.check(&mut matcher).expect("all right");
        assert_eq!(tally.unfinished, 0);
        println!(
            "{}: {tally:?}, {:?}",
            self.test,
            matcher.core().wires().totals
        );
        for case in
            weir_engine::matcher::testing::random_cases(number("WEIR_HARDWARE_SEED", 1), cases)
        {
            driver.run(&mut matcher, &case).expect("all right");
        }
        assert!(matcher.failure().is_none());
    }
}

#[test]
fn model_8_compact() {
    Target::new("model_8_compact", Engine::Model, 8, Size::Compact).suite();
}

#[test]
fn model_64_full() {
    Target::new("model_64_full", Engine::Model, 64, Size::Full).suite();
}

#[test]
fn model_corpus() {
    Target::new("model_corpus", Engine::Model, 8, Size::Compact).corpus(300);
}

/// A few scripts: the circuit's own simulator runs some thousand cycles a second.
#[test]
fn rust_hdl_8_compact() {
    let target = Target::new("rust_hdl_8_compact", Engine::RustHdl, 8, Size::Compact);
    let mut seen = Coverage::default();
    let pace = UNEVEN;
    target.check("random", pace, 0xFFFF, &mut seen, &|run| {
        scripts::random(run, 2, true)
    });
    target.check("overflows", pace, 1, &mut seen, &|run| {
        scripts::overflows(run, 10)
    });
    target.check("interruptions", pace, 0xFFFF, &mut seen, &|run| {
        scripts::interruptions(run, 2)
    });
    println!("{}:\n{seen}", target.test);
}

/// All scripts, and the corpus.
#[test]
#[ignore = "an hour"]
fn rust_hdl_8_compact_whole() {
    let target = Target::new(
        "rust_hdl_8_compact_whole",
        Engine::RustHdl,
        8,
        Size::Compact,
    );
    target.suite();
    target.corpus(0);
}

#[test]
fn rtl_8_compact() {
    Target::new("rtl_8_compact", Engine::Rtl, 8, Size::Compact).suite();
}

#[test]
fn rtl_8_corpus() {
    Target::new("rtl_8_corpus", Engine::Rtl, 8, Size::Compact).corpus(300);
}

#[test]
#[ignore = "long to compile"]
fn rtl_16_compact() {
    Target::new("rtl_16_compact", Engine::Rtl, 16, Size::Compact).suite();
}

#[test]
#[ignore = "long to compile"]
fn rtl_32_compact() {
    Target::new("rtl_32_compact", Engine::Rtl, 32, Size::Compact).suite();
}

#[test]
#[ignore = "long to compile"]
fn rtl_64_compact() {
    Target::new("rtl_64_compact", Engine::Rtl, 64, Size::Compact).suite();
}
