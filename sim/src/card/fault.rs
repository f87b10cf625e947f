//! How a card misbehaves, as text: `KIND` or `KIND:option,option=value,…`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Takes nothing from a record on, for a while.
    DelayRecords,
    /// Takes nothing from a record on, for good.
    StallRecords,
    /// Leaves a record out.
    DropRecord,
    /// Takes a record twice.
    DuplicateRecord,
    /// Changes bits of a record.
    CorruptRecord,
    /// Leaves out the last beats of a record.
    TruncateRecord,
    /// Sends nothing from a report unit on, for a while.
    DelayReports,
    /// Sends nothing from a report unit on, for good.
    StallReports,
    /// Leaves a report unit out.
    DropReport,
    /// Sends a report unit twice.
    DuplicateReport,
    /// Changes bits of a report unit.
    CorruptReport,
    /// Leaves out the last bytes of a report unit.
    TruncateReport,
    /// Loses the end of a packet: a report unit comes with the next one.
    LoseEnd,
    /// Changes a bit of a filter's word that was loaded.
    FlipFilter,
    /// Changes a bit of the exact table's words that were loaded.
    FlipExact,
    /// Resets the core.
    Reset,
    /// Dies: the process aborts, or what stands for it.
    Die,
    /// Comes back from a reset with another interface version.
    Version,
    /// Loses the link: registers read as all ones, streams stand still.
    LoseLink,
}

/// All, with their names.
pub const KINDS: [(Kind, &str); 19] = [
    (Kind::DelayRecords, "delay-records"),
    (Kind::StallRecords, "stall-records"),
    (Kind::DropRecord, "drop-record"),
    (Kind::DuplicateRecord, "duplicate-record"),
    (Kind::CorruptRecord, "corrupt-record"),
    (Kind::TruncateRecord, "truncate-record"),
    (Kind::DelayReports, "delay-reports"),
    (Kind::StallReports, "stall-reports"),
    (Kind::DropReport, "drop-report"),
    (Kind::DuplicateReport, "duplicate-report"),
    (Kind::CorruptReport, "corrupt-report"),
    (Kind::TruncateReport, "truncate-report"),
    (Kind::LoseEnd, "lose-end"),
    (Kind::FlipFilter, "flip-filter"),
    (Kind::FlipExact, "flip-exact"),
    (Kind::Reset, "reset"),
    (Kind::Die, "die"),
    (Kind::Version, "version"),
    (Kind::LoseLink, "lose-link"),
];

impl Kind {
    /// Its name in specifications.
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// True when it is triggered by report units and not by records.
    pub(crate) fn of_reports(self) -> bool {
        use Kind::*;
        matches!(
            self,
            DelayReports
                | StallReports
                | DropReport
                | DuplicateReport
                | CorruptReport
                | TruncateReport
                | LoseEnd
        )
    }

    /// True when it needs neither record nor report, and so can happen at any time.
    fn of_card(self) -> bool {
        use Kind::*;
        matches!(
            self,
            StallRecords | DelayRecords | FlipFilter | FlipExact | Reset | Die | Version | LoseLink
        )
    }
}

/// A misbehaviour, and when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// Records, or report units, that pass before it can.
    pub after: u64,
    /// Bytes of them that pass before it can.
    pub bytes: u64,
    /// How often it happens; 0 for no end.
    pub times: u64,
    /// How likely it is at each record or unit that it can happen at.
    pub probability: f64,
    /// What is random is drawn from this.
    pub seed: u64,
    /// How long a delay, a stall, a lost link or another version lasts; for good when there is none.
    pub lasts: Option<Duration>,
    /// Bits that are changed.
    pub bits: u32,
    /// Only bits that are set are changed: what was there is lost, and nothing is added.
    pub set: bool,
    /// The other interface version.
    pub value: u32,
    /// Happens at once, without a record.
    pub now: bool,
}

/// A delay that says nothing else.
const DELAY: Duration = Duration::from_millis(20);
/// Longest time, so that no time overflows.
const LONGEST: u64 = 86_400_000;

impl Fault {
    /// Once, at the next record or unit.
    pub fn new(kind: Kind) -> Self {
        let delay = matches!(kind, Kind::DelayRecords | Kind::DelayReports);
        Self {
            kind,
            after: 0,
            bytes: 0,
            times: 1,
            probability: 1.0,
            seed: 1,
            lasts: delay.then_some(DELAY),
            bits: 1,
            set: false,
            value: card_protocol::register::INTERFACE_VALUE.wrapping_add(1),
            now: false,
        }
    }

    /// So many records or units later.
    #[must_use]
    pub fn after(mut self, after: u64) -> Self {
        self.after = after;
        self
    }

    /// Again and again, with this probability.
    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        (self.probability, self.seed, self.times) = (probability, seed, 0);
        self
    }

    /// At once.
    #[must_use]
    pub fn now(mut self) -> Self {
        self.now = true;
        self
    }

    /// For so long.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }
}

/// Why a text says no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault '{spec}': {got}: expected {expected}")]
pub struct FaultError {
    /// The text.
    pub spec: String,
    /// The part that is wrong.
    pub got: String,
    /// What may stand there.
    pub expected: String,
}

/// The options, for messages.
const OPTIONS: &str =
    "after=N, bytes=N, times=N, p=0.0-1.0, seed=N, ms=N, bits=1-64, set, value=N, now";

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(spec: &str) -> Result<Self, FaultError> {
        let error = |got: &str, expected: String| FaultError {
            spec: spec.to_owned(),
            got: got.to_owned(),
            expected,
        };
        let (name, options) = spec.split_once(':').unwrap_or((spec, ""));
        let kind = KINDS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|&(kind, _)| kind);
        let kind = kind.ok_or_else(|| {
            let names: Vec<&str> = KINDS.iter().map(|&(_, name)| name).collect();
            error(name, format!("one of {}", names.join(", ")))
        })?;
        let mut fault = Self::new(kind);
        let mut times = None;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|_| error(option, "a number".to_owned()))
            };
            match key {
                "after" => fault.after = number()?,
                "bytes" => fault.bytes = number()?,
                "times" => times = Some(number()?),
                "seed" => fault.seed = number()?,
                "ms" => fault.lasts = Some(Duration::from_millis(number()?.min(LONGEST))),
                "bits" => {
                    let bits = number()?;
                    let few = u32::try_from(bits)
                        .ok()
                        .filter(|bits| (1..=64).contains(bits));
                    fault.bits = few.ok_or_else(|| error(option, "1 to 64".to_owned()))?;
                }
                "value" => {
                    fault.value = u32::try_from(number()?)
                        .map_err(|_| error(option, "32 bits".to_owned()))?;
                }
                "p" => {
                    let p = value.parse().ok().filter(|p| (0.0..=1.0).contains(p));
                    fault.probability = p.ok_or_else(|| error(option, "0.0 to 1.0".to_owned()))?;
                    // Again and again, unless it is said how often.
                    fault.times = 0;
                }
                "set" if value.is_empty() => fault.set = true,
                "now" if value.is_empty() => {
                    if !kind.of_card() {
                        return Err(error(
                            option,
                            "no 'now': it needs a record or a report".to_owned(),
                        ));
                    }
                    fault.now = true;
                }
                _ => return Err(error(option, OPTIONS.to_owned())),
            }
        }
        fault.times = times.unwrap_or(fault.times);
        Ok(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            after,
            bytes,
            times,
            probability,
            seed,
            lasts,
            bits,
            set,
            value,
            now,
        } = self;
        write!(
            f,
            "{}:after={after},bytes={bytes},p={probability},times={times},seed={seed},bits={bits},value={value}",
            kind.name()
        )?;
        if let Some(lasts) = lasts {
            write!(f, ",ms={}", lasts.as_millis())?;
        }
        f.write_str(if *set { ",set" } else { "" })?;
        f.write_str(if *now { ",now" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_reads_back_as_it_is_written() {
        for (kind, name) in KINDS {
            assert_eq!(kind.name(), name);
            let mut fault = Fault::new(kind).after(7).with_probability(0.25, 9);
            fault.bytes = 5;
            fault.bits = 3;
            fault.set = true;
            fault.now = kind.of_card();
            fault.lasts = Some(Duration::from_millis(12));
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(name.parse(), Ok(Fault::new(kind)));
        }
    }

    #[test]
    fn what_is_no_fault_says_what_may_stand_there() {
        for (spec, said) in [
            ("", "one of delay-records"),
            ("explode", "one of delay-records"),
            ("die:later", "after=N"),
            ("die:after=x", "after=x: expected a number"),
            ("die:p=2", "0.0 to 1.0"),
            ("die:p=NaN", "0.0 to 1.0"),
            ("corrupt-record:bits=0", "1 to 64"),
            ("version:value=4294967296", "32 bits"),
            ("drop-record:now", "needs a record"),
            ("die:now=1", "after=N"),
        ] {
            let error = spec.parse::<Fault>().expect_err(spec).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
