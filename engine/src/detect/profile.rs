//! Where a worker's time goes, stage by stage.
//!
//! Off, it costs one branch at each end of a stage. On, it reads the clock there and takes the cost of that reading off
//! again, as it was measured when the profile began. Times are of the wall: on a core of its own that is CPU time.

use std::time::{Duration, Instant};

/// A part of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Getting the frame from where it comes from.
    Read,
    /// From the frame to its packets, defragmentation included.
    Decode,
    /// The flow table.
    Flow,
    /// The segment's place in its stream.
    Stream,
    /// Finding protocols, and their parsers.
    App,
    /// The packet's group, and the matcher.
    Match,
    /// From probes and ports to rules, and the check of their headers.
    Candidates,
    /// Packet tests, contents and the rest of what a rule says.
    Evaluate,
    /// Verdicts.
    Settle,
    /// What counts across flows, and the records of alerts.
    Commit,
}

impl Stage {
    /// Every stage, in a packet's order.
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Decode,
        Self::Flow,
        Self::Stream,
        Self::App,
        Self::Match,
        Self::Candidates,
        Self::Evaluate,
        Self::Settle,
        Self::Commit,
    ];

    /// Its name in `--stats`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Flow => "flow",
            Self::Stream => "stream",
            Self::App => "app",
            Self::Match => "match",
            Self::Candidates => "candidates",
            Self::Evaluate => "evaluate",
            Self::Settle => "settle",
            Self::Commit => "commit",
        }
    }
}

/// What one stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Time spent in it.
    pub time: Duration,
    /// How often it was gone through.
    pub laps: u64,
}

/// A stop watch for the stages of one thread.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// When the stage at hand began, and what reading the clock costs; `None` when nothing is measured.
    clock: Option<(Instant, Duration)>,
    spent: [Spent; Stage::ALL.len()],
}

impl Profile {
    /// One that measures, or one that does not.
    pub fn new(measures: bool) -> Self {
        Self {
            clock: measures.then(|| (Instant::now(), clock_cost())),
            ..Self::default()
        }
    }

    /// Begins here: what came before belongs to no stage (waiting for another thread).
    #[inline]
    pub fn skip(&mut self) {
        if let Some((since, _)) = &mut self.clock {
            *since = Instant::now();
        }
    }

    /// Ends a stage: the time since the last one ended is its own.
    #[inline]
    pub fn lap(&mut self, stage: Stage) {
        if self.clock.is_some() {
            self.lap_at(stage, Instant::now());
        }
    }

    fn lap_at(&mut self, stage: Stage, now: Instant) {
        if let Some((since, cost)) = &mut self.clock {
            let spent = &mut self.spent[stage as usize];
            spent.time += now.duration_since(*since).saturating_sub(*cost);
            spent.laps += 1;
            *since = now;
        }
    }

    /// Adds what another thread spent.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.spent.iter_mut().zip(&other.spent) {
            mine.time += theirs.time;
            mine.laps += theirs.laps;
        }
    }

    /// What was spent, by stage; nothing where nothing was measured.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, Spent)> {
        let measured = self.spent.iter().any(|spent| spent.laps > 0);
        Stage::ALL
            .into_iter()
            .zip(self.spent)
            .filter(move |_| measured)
    }
}

/// What one reading of the clock costs here: the least of several averages, so that an interruption does not count.
fn clock_cost() -> Duration {
    const READINGS: u32 = 256;
    let average = |_| {
        let start = Instant::now();
        for _ in 1..READINGS {
            std::hint::black_box(Instant::now());
        }
        start.elapsed() / READINGS
    };
    (0..16).map(average).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_to_the_stage_that_ended_less_what_the_clock_costs() {
        let start = Instant::now();
        let (ms, cost) = (Duration::from_millis, Duration::from_nanos(30));
        let mut profile = Profile {
            clock: Some((start, cost)),
            ..Profile::default()
        };
        profile.lap_at(Stage::Read, start + ms(1));
        profile.lap_at(Stage::Match, start + ms(5));
        profile.lap_at(Stage::Match, start + ms(7));
        // Less than the clock costs is nothing.
        profile.lap_at(Stage::Flow, start + ms(7) + cost / 2);
        let mut sum = profile.clone();
        sum.add(&profile);
        let expected = |stage| match stage {
            Stage::Read => (ms(1) - cost, 1),
            Stage::Match => (ms(6) - 2 * cost, 2),
            Stage::Flow => (Duration::ZERO, 1),
            _ => (Duration::ZERO, 0),
        };
        let stages: Vec<_> = sum.stages().collect();
        assert_eq!(stages.len(), Stage::ALL.len());
        for (stage, spent) in stages {
            let (time, laps) = expected(stage);
            assert_eq!((spent.time, spent.laps), (2 * time, 2 * laps), "{stage:?}");
        }
    }

    #[test]
    fn nothing_is_measured_unless_asked_for() {
        let mut profile = Profile::new(false);
        profile.lap(Stage::Flow);
        profile.skip();
        assert_eq!(profile.stages().count(), 0);
        let mut profile = Profile::new(true);
        profile.skip();
        profile.lap(Stage::Flow);
        assert_eq!(
            profile.stages().map(|(_, spent)| spent.laps).sum::<u64>(),
            1
        );
    }
}
