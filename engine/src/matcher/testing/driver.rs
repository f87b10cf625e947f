//! Holds a backend to cases.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Ask, Case, corpus};
use crate::matcher::{Hit, Matcher, MatcherError, Outcome, Report, Request};

/// How a backend is driven, and what it may not be able to do.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    /// Cases with more probes are skipped, and so are those the backend itself says are too many.
    pub max_probes: usize,
    /// Cases with a longer buffer (bytes, carry included) are skipped.
    pub max_data: usize,
    /// Buffers that may end as [`Outcome::Unfinished`], by case; one more is a mismatch. What was found of them must
    /// still be right.
    pub unfinished: usize,
    /// Buffers submitted before the first poll, and between polls.
    pub in_flight: usize,
    /// How long a backend may go without any report while some are due.
    pub patience: Duration,
}

impl Default for Driver {
    /// For a backend without limits: nothing may be skipped for size or left unfinished; five buffers in flight.
    fn default() -> Self {
        Self {
            max_probes: usize::MAX,
            max_data: usize::MAX,
            unfinished: 0,
            in_flight: 5,
            patience: Duration::from_secs(60),
        }
    }
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases.
    pub cases: usize,
    /// Cases that are beyond the backend's limits.
    pub skipped: usize,
    /// Buffers whose answer was right.
    pub buffers: usize,
    /// Hits in them, each probe once.
    pub hits: usize,
    /// Buffers that the backend could not finish.
    pub unfinished: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.skipped += other.skipped;
        self.buffers += other.buffers;
        self.hits += other.hits;
        self.unfinished += other.unfinished;
    }
}

/// A backend's answer was not the right one: names the case, the buffer and the probe.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl Driver {
    /// Runs the whole corpus, as one case after another is loaded into the same backend.
    ///
    /// # Errors
    ///
    /// The first answer that is not right, or a corpus that cannot be read.
    pub fn check(&self, matcher: &mut dyn Matcher) -> Result<Tally, Mismatch> {
        let cases = corpus().map_err(|error| Mismatch(error.to_string()))?;
        let mut tally = Tally::default();
        for case in cases {
            tally += self.run(matcher, case)?;
        }
        Ok(tally)
    }

    /// Loads a case's probes, submits its buffers and compares the answers.
    ///
    /// # Errors
    ///
    /// The first answer that is not right.
    pub fn run(&self, matcher: &mut dyn Matcher, case: &Case) -> Result<Tally, Mismatch> {
        let mut run = Run {
            case,
            backend: matcher.name(),
            pending: HashMap::new(),
            tally: Tally {
                cases: 1,
                ..Tally::default()
            },
        };
        let longest = case.asks.iter().map(|ask| ask.data.len()).max();
        if case.probes.len() > self.max_probes || longest.unwrap_or(0) > self.max_data {
            run.tally.skipped = 1;
            return Ok(run.tally);
        }
        match matcher.load(&case.probes) {
            Ok(()) => {}
            Err(MatcherError::TooManyProbes { .. }) => {
                run.tally.skipped = 1;
                return Ok(run.tally);
            }
            Err(error) => return Err(run.wrong(&format!("loading failed: {error}"))),
        }
        for (number, ask) in case.asks.iter().enumerate() {
            self.submit(matcher, &mut run, number, ask)?;
            if run.pending.len() >= self.in_flight.max(1) {
                run.poll(matcher)?;
            }
        }
        let mut last = Instant::now();
        while !run.pending.is_empty() {
            if run.poll(matcher)? > 0 {
                last = Instant::now();
            } else {
                self.wait(&run, last)?;
            }
        }
        if run.tally.unfinished > self.unfinished {
            return Err(run.wrong(&format!("{} buffers unfinished", run.tally.unfinished)));
        }
        Ok(run.tally)
    }

    fn submit<'a>(
        &self,
        matcher: &mut dyn Matcher,
        run: &mut Run<'a>,
        number: usize,
        ask: &'a Ask,
    ) -> Result<(), Mismatch> {
        // Not the number itself, nor in order, so that a backend which makes tags up is found out.
        let tag = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5A5A;
        // The bytes end where their allocation ends, for the tools that watch that; what stands before them would be
        // found, were it looked at; their alignment changes; and they are gone when the call returns.
        let shift = number % 67;
        let mut bytes: Vec<u8> = ask.data.iter().rev().copied().cycle().take(shift).collect();
        bytes.reverse();
        let shift = bytes.len();
        bytes.extend_from_slice(&ask.data);
        let mut bytes = bytes.into_boxed_slice();
        let mut last = Instant::now();
        loop {
            let request = Request {
                tag,
                group: ask.group,
                carry: ask.carry,
                data: &bytes[shift..],
            };
            match matcher.submit(request) {
                Ok(()) => break,
                Err(MatcherError::Full) if run.poll(matcher)? > 0 => last = Instant::now(),
                Err(MatcherError::Full) => self.wait(run, last)?,
                Err(error) => return Err(run.wrong(&format!("buffer {number}: {error}"))),
            }
        }
        bytes.fill(b'a');
        run.pending.insert(tag, number);
        Ok(())
    }

    /// Lets time pass, as long as there is patience.
    fn wait(&self, run: &Run<'_>, since: Instant) -> Result<(), Mismatch> {
        if since.elapsed() > self.patience {
            return Err(run.wrong(&format!(
                "no report in {:?}, {} due",
                self.patience,
                run.pending.len()
            )));
        }
        std::thread::yield_now();
        Ok(())
    }
}

/// A case under way.
struct Run<'a> {
    case: &'a Case,
    backend: &'static str,
    /// Buffers by the tag under which they were submitted.
    pending: HashMap<u64, usize>,
    tally: Tally,
}

impl Run<'_> {
    fn wrong(&self, what: &str) -> Mismatch {
        Mismatch(format!(
            "{}: case {:?}: {what}",
            self.backend, self.case.name
        ))
    }

    fn poll(&mut self, matcher: &mut dyn Matcher) -> Result<usize, Mismatch> {
        let mut outcome = Ok(());
        let mut delivered = 0;
        let count = matcher.poll(&mut |report| {
            delivered += 1;
            if outcome.is_ok() {
                outcome = self.judge(&report);
            }
        });
        outcome?;
        if count != delivered {
            return Err(self.wrong(&format!(
                "poll returned {count} and delivered {delivered} reports"
            )));
        }
        Ok(count)
    }

    fn judge(&mut self, report: &Report<'_>) -> Result<(), Mismatch> {
        let Some(number) = self.pending.remove(&report.tag) else {
            return Err(self.wrong(&format!("a report with tag {:#x}: not due", report.tag)));
        };
        let ask = &self.case.asks[number];
        let mut got = report.hits.to_vec();
        got.sort_unstable();
        got.dedup();
        let finished = report.outcome == Outcome::Done;
        if finished {
            self.tally.buffers += 1;
            self.tally.hits += got.len();
        } else {
            self.tally.unfinished += 1;
        }
        let extra = got.iter().find(|hit| ask.hits.binary_search(hit).is_err());
        let absent = ask.hits.iter().find(|hit| got.binary_search(hit).is_err());
        let what = match (extra, absent) {
            (Some(hit), _) => format!("{} is reported", self.place(hit)),
            (None, Some(hit)) if finished => format!("{} is missing", self.place(hit)),
            _ => return Ok(()),
        };
        Err(self.wrong(&format!(
            "buffer {number} (group {}, carry {}, {}): {what}",
            ask.group,
            ask.carry,
            excerpt(&ask.data)
        )))
    }

    fn place(&self, hit: &Hit) -> String {
        let probe = self.case.probes.get(hit.probe as usize);
        let probe = probe.map_or("no such".to_owned(), |probe| format!("{probe:?}"));
        format!("probe {} ({probe}) with end {}", hit.probe, hit.end)
    }
}

/// Enough of a buffer to try it again.
fn excerpt(data: &[u8]) -> String {
    const MOST: usize = 256;
    let shown = data.get(..MOST).unwrap_or(data).escape_ascii();
    let more = if data.len() > MOST { "…" } else { "" };
    format!("{} bytes \"{shown}{more}\"", data.len())
}
