//! Holds the backends of this crate to the cases, and the driver to its word.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::matcher::{Level, Matcher, MatcherError, Outcome, Plain, Report, Software};

/// Every backend of this crate that this machine can run: a new one is a line.
fn backends() -> Vec<(String, Box<dyn Matcher>)> {
    let mut backends: Vec<(String, Box<dyn Matcher>)> =
        vec![("plain".to_owned(), Box::new(Plain::new()))];
    for level in Level::ALL.into_iter().filter(|level| level.available()) {
        let name = format!("software/{level}");
        backends.push((name, Box::new(Software::with_level(level))));
    }
    backends
}

/// A number from the environment, for longer runs.
fn from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: expected a number")),
        Err(_) => default,
    }
}

#[test]
fn every_backend_passes_the_corpus() {
    for (name, mut matcher) in backends() {
        let tally = Driver::default().check(&mut *matcher);
        let tally = tally.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((tally.skipped, tally.unfinished), (0, 0), "{name}");
        assert!(tally.buffers > 1000 && tally.hits > 1000, "{tally:?}");
    }
}

/// `WEIR_MATCHER_CASES` and `WEIR_MATCHER_SEED` make it longer and other.
#[test]
fn every_backend_finds_what_the_definition_finds() {
    let count = from_env("WEIR_MATCHER_CASES", 200);
    let seed = from_env("WEIR_MATCHER_SEED", 1);
    let mut backends = backends();
    let driver = Driver::default();
    for case in random_cases(seed, count) {
        for (name, matcher) in &mut backends {
            if let Err(error) = driver.run(&mut **matcher, &case) {
                panic!("{name}, seed {seed}: {error}\nprobes: {:?}", case.probes);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_backend_finds_it_in_tables_that_follow_each_other(cases in strategies::cases(40)) {
        for (name, mut matcher) in backends() {
            for case in &cases {
                let outcome = Driver::default().run(&mut *matcher, case);
                prop_assert!(outcome.is_ok(), "{}: {:?}\nprobes: {:?}", name, outcome, case.probes);
            }
        }
    }
}

#[test]
fn written_answers_are_the_definitions() {
    for case in corpus().expect("the corpus is well-formed") {
        for (number, ask) in case.asks.iter().enumerate() {
            let right = Ask::new(&case.probes, ask.group, ask.carry, ask.data.clone());
            assert_eq!(ask.hits, right.hits, "{} request {number}", case.name);
        }
    }
}

#[test]
fn the_corpus_is_all_the_files_and_its_names_are_unique() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let cases = corpus().expect("the corpus is well-formed");
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("a name").path();
        if path.extension().is_some_and(|end| end == "toml") {
            let file = path.file_stem().expect("a name").to_string_lossy();
            let first = format!("{file}/");
            assert!(
                cases.iter().any(|case| case.name.starts_with(&first)),
                "{file} is not in the list"
            );
        }
    }
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len());
}

#[test]
fn a_malformed_file_is_refused_with_its_place() {
    let case = |probes: &str, request: &str| {
        format!("[[case]]\nname = 'n'\nprobes = [{probes}]\nrequests = [{{ {request} }}]")
    };
    for (text, what) in [
        (case("''", "data = '', hits = []"), "expected 1 to 8 bytes"),
        (case("'123456789'", "data = '', hits = []"), "expected 1 to 8 bytes"),
        (case("'\\q'", "data = '', hits = []"), "byte 0: expected printable"),
        (case("'a\\x0'", "data = '', hits = []"), "byte 1: expected printable"),
        (case("'é'", "data = '', hits = []"), "byte 0: expected printable"),
        (case("{ literal = 'a', groups = [64] }", "data = '', hits = []"), "group 64"),
        (case("'a'", "data = 'a', hits = [[1, 1]]"), "request 0: hit of probe 1"),
        (case("'a'", "data = 'a', carry = 2, hits = []"), "carry 2"),
        (case("'a'", "data = 'a', hit = []"), "unknown field"),
        (case("'a', 'b'", "data = 'ab', hits = [[1, 2], [0, 1]]"), "in the order"),
        (case("'a'", "data = [{ repeat = 'ab', times = 99999999 }], hits = []"), "more than"),
        ("[[random]]\nname = 'r'\nseed = 1\ncases = 1\nshape = 'x'\nprobes = [0, 1]\nbuffers = [0, 1]\ndata = [0, 1]".to_owned(), "shape"),
        ("[[sweep]]\nname = 's'\nprobes = []\ncarry = [0]\nfiller = ''\ninsert = 'a'\nlength = 1".to_owned(), "a filler"),
    ] {
        let error = parse("file", &text).expect_err(&text).to_string();
        assert!(
            error.contains(what) && error.contains("corpus file file: "),
            "{error}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_cases() {
    let text = |seed| -> Vec<String> {
        let cases = random_cases(seed, 30);
        cases.map(|case| format!("{case:?}")).collect()
    };
    assert_eq!(text(5), text(5));
    assert_ne!(text(5), text(6));
    // The first numbers of the published generator for the state 0.
    let mut rng = super::Rng::new(0);
    assert_eq!(
        (rng.draw(), rng.draw()),
        (0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4)
    );
}

#[test]
fn random_cases_have_hits_of_every_kind() {
    let (mut hits, mut none, mut carried, mut folded) = (0, 0, 0, 0);
    for case in random_cases(3, 300) {
        for ask in &case.asks {
            hits += ask.hits.len();
            none += usize::from(ask.hits.is_empty());
            carried += usize::from(ask.carry > 0 && !ask.hits.is_empty());
            let probe = |hit: &Hit| case.probes[hit.probe as usize];
            folded += ask.hits.iter().filter(|hit| probe(hit).folded()).count();
        }
    }
    assert!(
        hits > 1000 && none > 50 && carried > 100 && folded > 300,
        "{hits} {none} {carried} {folded}"
    );
}

/// How [`Odd`] differs from [`Plain`]: the first is a liberty that the contract allows, the others are faults.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Oddity {
    /// Takes two buffers at a time, answers one a poll, the last one first, with every hit twice.
    Slow,
    DropsAHit,
    MovesAnEnd,
    IgnoresCarry,
    IgnoresGroups,
    InventsTags,
    AnswersTwice,
    Silent,
    GivesUp,
    Full,
}

/// Reports that wait: tag, outcome, hits.
type Waiting = Vec<(u64, Outcome, Vec<Hit>)>;

struct Odd {
    oddity: Oddity,
    plain: Plain,
    waiting: Waiting,
}

impl Matcher for Odd {
    fn name(&self) -> &'static str {
        "odd"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        let mut probes = probes.to_vec();
        if self.oddity == Oddity::IgnoresGroups {
            probes.iter_mut().for_each(|probe| probe.groups = u64::MAX);
        }
        self.plain.load(&probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        let full = match self.oddity {
            Oddity::Slow => self.waiting.len() == 2,
            oddity => oddity == Oddity::Full,
        };
        if full {
            return Err(MatcherError::Full);
        }
        let carry = match self.oddity {
            Oddity::IgnoresCarry => 0,
            _ => request.carry,
        };
        self.plain.submit(Request { carry, ..request })?;
        let waiting = &mut self.waiting;
        self.plain.poll(&mut |report| {
            waiting.push((report.tag, report.outcome, report.hits.to_vec()));
        });
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let count = match self.oddity {
            Oddity::Slow => self.waiting.len().min(1),
            Oddity::Silent => 0,
            _ => self.waiting.len(),
        };
        let ready = self.waiting.split_off(self.waiting.len() - count);
        for (mut tag, mut outcome, mut hits) in ready {
            match self.oddity {
                Oddity::Slow => hits.extend_from_within(..),
                Oddity::DropsAHit => drop(hits.pop()),
                Oddity::MovesAnEnd => hits.iter_mut().for_each(|hit| hit.end += 1),
                Oddity::InventsTags => tag += 1,
                Oddity::GivesUp => {
                    outcome = Outcome::Unfinished;
                    hits.pop();
                }
                _ => {}
            }
            let hits = &hits;
            for _ in 0..1 + usize::from(self.oddity == Oddity::AnswersTwice) {
                deliver(Report { tag, outcome, hits });
            }
        }
        count
    }
}

#[test]
fn the_driver_takes_what_the_contract_allows_and_nothing_else() {
    let check = |oddity, driver: Driver| {
        driver.check(&mut Odd {
            oddity,
            plain: Plain::new(),
            waiting: Vec::new(),
        })
    };
    let strict = Driver {
        max_probes: 64,
        patience: Duration::from_millis(20),
        ..Driver::default()
    };
    let slow = check(Oddity::Slow, strict).expect("slow is allowed");
    assert!(slow.buffers > 1000 && slow.unfinished == 0, "{slow:?}");
    for (oddity, what) in [
        (Oddity::DropsAHit, "is missing"),
        (Oddity::MovesAnEnd, "is reported"),
        (Oddity::IgnoresCarry, "is reported"),
        (Oddity::IgnoresGroups, "is reported"),
        (Oddity::InventsTags, "not due"),
        (Oddity::AnswersTwice, "not due"),
        (Oddity::Silent, "no report in"),
        (Oddity::GivesUp, "unfinished"),
        (Oddity::Full, "no report in"),
    ] {
        let error = check(oddity, strict).expect_err("a fault").to_string();
        assert!(error.contains(what), "{oddity:?}: {error}");
    }
    let lenient = Driver {
        unfinished: usize::MAX,
        ..strict
    };
    let given_up = check(Oddity::GivesUp, lenient).expect("giving up is allowed here");
    assert_eq!(given_up.buffers, 0);
    assert!(given_up.unfinished > 1000);
}

#[test]
fn cases_beyond_a_backends_limits_are_skipped_and_counted() {
    let driver = Driver {
        max_probes: 100,
        max_data: 4096,
        ..Driver::default()
    };
    let all = corpus().expect("the corpus is well-formed").len();
    let tally = driver.check(&mut Plain::new()).expect("the rest is right");
    assert_eq!(tally.cases, all);
    assert!(tally.skipped >= 10 && tally.skipped < all / 2, "{tally:?}");
}
