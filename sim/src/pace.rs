//! When the outside offers input and takes output: drawn from a seed, the same for every kind of core.

/// Gaps in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Gaps {
    /// In how many of 256 cycles a gap begins, where there is none.
    pub often: u8,
    /// Most cycles of a gap; 0 is no gap.
    pub longest: u32,
}

impl Gaps {
    /// None.
    pub const NONE: Self = Self {
        often: 0,
        longest: 0,
    };

    fn any(self) -> bool {
        self.often > 0 && self.longest > 0
    }
}

/// How the outside behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pace {
    /// Cycles without input.
    pub idle: Gaps,
    /// Cycles in which output is not taken.
    pub stall: Gaps,
    /// Most cycles by which the parts of a register access are late.
    pub late: u32,
    /// What all this is drawn from.
    pub seed: u64,
}

impl Pace {
    /// Input always there, output always taken, accesses at once.
    pub const FULL: Self = Self {
        idle: Gaps::NONE,
        stall: Gaps::NONE,
        late: 0,
        seed: 0,
    };
}

/// Cycles that are drawn at a time.
pub(crate) const SPAN: u64 = 4096;

/// A [`Pace`] as it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    rng: fastrand::Rng,
    /// What is left of a gap in the input, and in the output.
    left: [u32; 2],
    /// A bit a cycle for the next [`SPAN`] cycles, for the input and for the output.
    bits: [Vec<u64>; 2],
    /// How many of these are over.
    over: u64,
}

impl Schedule {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            rng: fastrand::Rng::with_seed(pace.seed),
            left: [0; 2],
            bits: [Vec::new(), Vec::new()],
            over: SPAN,
        }
    }

    /// Cycles whose bits stand, at most `wanted`, and at least 1 if that is.
    pub(crate) fn ahead(&mut self, wanted: u64) -> u64 {
        if self.over == SPAN {
            self.over = 0;
            for (which, gaps) in [self.pace.idle, self.pace.stall].into_iter().enumerate() {
                self.bits[which].clear();
                if gaps.any() {
                    let words = (0..SPAN / 64).map(|_| self.rng.word(gaps, &mut self.left[which]));
                    self.bits[which].extend(words);
                }
            }
        }
        wanted.min(SPAN - self.over)
    }

    /// The bits of `cycles` cycles from now on, or `None` where all are set: first for the input, then for the output.
    pub(crate) fn next(&self, cycles: u64) -> [Option<Vec<u64>>; 2] {
        [0, 1].map(|which| {
            let bits = &self.bits[which];
            let at = |cycle: u64| bits[(cycle / 64) as usize] >> (cycle % 64) & 1;
            (!bits.is_empty()).then(|| {
                let word = |word: u64| {
                    let inside = (0..64).take_while(|bit| word * 64 + bit < cycles);
                    inside.fold(0, |bits, bit| bits | at(self.over + word * 64 + bit) << bit)
                };
                (0..cycles.div_ceil(64)).map(word).collect()
            })
        })
    }

    /// So many cycles are over.
    pub(crate) fn passed(&mut self, cycles: u64) {
        self.over += cycles;
    }

    /// The most that [`Schedule::late`] gives.
    pub(crate) fn most_late(&self) -> u32 {
        self.pace.late
    }

    /// By how many cycles a part of an access is late.
    pub(crate) fn late(&mut self) -> u32 {
        match self.pace.late {
            0 => 0,
            most => self.rng.u32(0..=most),
        }
    }
}

trait Words {
    fn word(&mut self, gaps: Gaps, left: &mut u32) -> u64;
}

impl Words for fastrand::Rng {
    fn word(&mut self, gaps: Gaps, left: &mut u32) -> u64 {
        (0..64).fold(0, |word, bit| {
            if *left == 0 && self.u8(..) < gaps.often {
                *left = self.u32(1..=gaps.longest);
            }
            let open = *left == 0;
            *left = left.saturating_sub(1);
            word | u64::from(open) << bit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_do_not_depend_on_how_they_are_asked_for() {
        let gaps = Gaps {
            often: 40,
            longest: 9,
        };
        let pace = Pace {
            idle: gaps,
            stall: Gaps::NONE,
            late: 0,
            seed: 3,
        };
        let bits = |step: u64| {
            let mut schedule = Schedule::new(pace);
            let mut all = Vec::new();
            while all.len() < 10_000 {
                let cycles = schedule.ahead(step);
                let [offer, accept] = schedule.next(cycles);
                assert_eq!(accept, None, "no gaps, no schedule");
                let offer = offer.expect("gaps");
                all.extend((0..cycles).map(|at| offer[(at / 64) as usize] >> (at % 64) & 1));
                schedule.passed(cycles);
            }
            all.truncate(10_000);
            all
        };
        let whole = bits(SPAN);
        assert_eq!(whole, bits(7));
        assert_eq!(whole, bits(1000));
        let closed = whole.iter().filter(|&&bit| bit == 0).count();
        assert!((2000..6000).contains(&closed), "{closed} of 10,000");
    }
}
