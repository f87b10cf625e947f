//! The highest rate at which nothing is lost.

use crate::BenchError;

/// Rates below this are not tried, in frames a second.
const LEAST: f64 = 100.0;
/// A load that is this much slower than it was to be was held up by who sends it.
const IN_TIME: f64 = 0.95;
/// Of so many trials, more than half decide.
const OF: u32 = 3;

/// What a trial gave.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// Frames a second, as they were really sent.
    pub rate: f64,
    /// Frames that did not arrive.
    pub lost: u64,
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Frames a second to begin with.
    pub start: f64,
    /// The search ends when a rate that is lost at is no more than this times one that is kept: above 1.
    pub precision: f64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            start: 8_000.0,
            precision: 1.05,
        }
    }
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sustained {
    /// Frames a second.
    pub rate: f64,
    /// Nothing was lost at the fastest that the generator can do: the limit is the generator's.
    pub by_generator: bool,
    /// Trials that it took.
    pub trials: u32,
}

/// What trials at a rate say of it.
enum Judged {
    /// Nothing is lost; the fastest of those trials was really so fast.
    Kept(f64),
    /// Something is; the fastest of those trials was really so fast.
    Lost(f64),
}

impl Search {
    /// Searches: by doubling, then by halving what is between a rate that is kept and one that is not. A rate counts as kept, or
    /// not, when two trials of at most three say so, because other work on the machine makes a trial fail now and then.
    /// `None` when frames are lost at 100 a second.
    ///
    /// # Errors
    /// What a trial says.
    pub fn run(
        &self,
        trial: &mut dyn FnMut(f64) -> Result<Tried, BenchError>,
    ) -> Result<Option<Sustained>, BenchError> {
        let mut trials = 0;
        let mut kept: Option<f64> = None;
        let mut lost: Option<f64> = None;
        let precision = self.precision.max(1.001);
        loop {
            let rate = match (kept, lost) {
                (None, None) => self.start.max(LEAST),
                (Some(kept), None) => kept * 2.0,
                (None, Some(lost)) if lost <= LEAST => return Ok(None),
                (None, Some(lost)) => (lost / 2.0).max(LEAST),
                (Some(kept), Some(lost)) if lost <= kept * precision => {
                    return Ok(Some(Sustained {
                        rate: kept,
                        by_generator: false,
                        trials,
                    }));
                }
                (Some(kept), Some(lost)) => (kept * lost).sqrt(),
            };
            match judged(rate, &mut trials, trial)? {
                Judged::Kept(reached) if reached < rate * IN_TIME => {
                    return Ok(Some(Sustained {
                        rate: reached.max(kept.unwrap_or(0.0)),
                        by_generator: true,
                        trials,
                    }));
                }
                Judged::Kept(_) => kept = Some(rate),
                // A rate that was asked for and not reached says nothing of itself, only of what was reached.
                Judged::Lost(reached) => {
                    let above = kept.map_or(LEAST, |kept| kept * precision);
                    lost = Some(reached.min(rate).max(above));
                }
            }
        }
    }
}

fn judged(
    rate: f64,
    trials: &mut u32,
    trial: &mut dyn FnMut(f64) -> Result<Tried, BenchError>,
) -> Result<Judged, BenchError> {
    let (mut clean, mut of_clean) = (0, 0.0_f64);
    let (mut lossy, mut of_lossy) = (0, 0.0_f64);
    loop {
        *trials += 1;
        let tried = trial(rate)?;
        if tried.lost == 0 {
            clean += 1;
            of_clean = of_clean.max(tried.rate);
        } else {
            lossy += 1;
            of_lossy = of_lossy.max(tried.rate);
        }
        if clean > OF / 2 {
            return Ok(Judged::Kept(of_clean));
        }
        if lossy > OF / 2 {
            return Ok(Judged::Lost(of_lossy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses above its limit always, and below it now and then; sends no faster than it can.
    struct MadeUp {
        limit: f64,
        fastest: f64,
        /// Of a thousand trials below the limit, so many lose something.
        noise: u32,
        random: fastrand::Rng,
        trials: u32,
    }

    impl MadeUp {
        fn search(&mut self, search: Search) -> Option<Sustained> {
            let found = search.run(&mut |rate| {
                self.trials += 1;
                let rate = rate.min(self.fastest);
                let noisy = self.random.u32(0..1000) < self.noise;
                let over = rate > self.limit;
                Ok(Tried {
                    rate,
                    lost: u64::from(noisy) + if over { 1000 } else { 0 },
                })
            });
            found.expect("no trial fails")
        }
    }

    fn made_up(limit: f64, seed: u64) -> MadeUp {
        MadeUp {
            limit,
            fastest: f64::INFINITY,
            noise: 0,
            random: fastrand::Rng::with_seed(seed),
            trials: 0,
        }
    }

    #[test]
    fn a_limit_is_found_to_the_precision_from_either_side() {
        for limit in [150.0, 7_999.0, 8_000.0, 8_001.0, 123_456.0, 9e6] {
            for precision in [1.02, 1.05, 1.3] {
                let search = Search {
                    precision,
                    ..Search::default()
                };
                let mut system = made_up(limit, 1);
                let found = system.search(search).expect("it is above the least");
                assert!(!found.by_generator);
                assert_eq!(found.trials, system.trials);
                assert!(
                    found.rate <= limit && found.rate * precision >= limit,
                    "{found:?}, limit {limit}, precision {precision}"
                );
            }
        }
    }

    #[test]
    fn trials_that_fail_now_and_then_do_not_mislead_it() {
        let mut right = 0;
        for seed in 0..200 {
            let limit = 20_000.0 + seed as f64 * 500.0;
            let mut system = made_up(limit, seed);
            system.noise = 30;
            let found = system.search(Search::default()).expect("there is a rate");
            // Never too high, whatever the noise.
            assert!(found.rate <= limit, "{found:?}, limit {limit}");
            right += u32::from(found.rate * 1.05 >= limit);
        }
        // Two of three go wrong about three times in a thousand; a search judges about ten rates.
        assert!(right >= 185, "{right} of 200");
    }

    #[test]
    fn the_limit_may_be_the_generators() {
        let mut system = made_up(1e9, 1);
        system.fastest = 300_000.0;
        let found = system.search(Search::default()).expect("there is a rate");
        assert!(found.by_generator);
        assert!((found.rate - 300_000.0).abs() < 1.0, "{found:?}");
        // What is lost when more was asked for than could be sent says where to go on.
        let mut system = made_up(200_000.0, 1);
        system.fastest = 300_000.0;
        let found = system.search(Search::default()).expect("there is a rate");
        assert!(!found.by_generator);
        assert!((190_000.0..=200_000.0).contains(&found.rate), "{found:?}");
    }

    #[test]
    fn what_always_loses_has_no_rate() {
        assert_eq!(made_up(10.0, 1).search(Search::default()), None);
        assert!(made_up(LEAST, 1).search(Search::default()).is_some());
    }

    #[test]
    fn a_failure_ends_it() {
        let mut left = 3;
        let ended = Search::default().run(&mut |rate| {
            left -= 1;
            if left == 0 {
                return Err(BenchError::Nothing("it broke".to_owned()));
            }
            Ok(Tried { rate, lost: 0 })
        });
        assert_eq!(ended.expect_err("it broke").to_string(), "it broke");
        assert_eq!(left, 0);
    }
}
