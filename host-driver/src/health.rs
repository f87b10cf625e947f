//! How the card is: what was seen of it, and who may use it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use weir_engine::matcher::Probe;

use crate::error::OpenError;
use crate::identity::Identity;
use crate::session::Session;
use crate::set::Set;

/// Changes of state that are remembered.
const HISTORY: usize = 32;

/// How the card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has been tried, and answers.
    Healthy,
    /// Something went wrong; it is asked what it still knows. Software does the work.
    Suspect,
    /// It does not do what it must. Software does the work.
    Failed,
    /// It is opened, loaded and tried anew. Software does the work.
    Probing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Failed => "failed",
            Self::Probing => "probing",
        })
    }
}

/// A change of state.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// To what.
    pub state: State,
    /// Why.
    pub reason: String,
}

/// What workers need to use the card.
#[derive(Clone)]
pub(crate) struct Active {
    pub session: Arc<Session>,
    /// The session's epoch.
    pub epoch: u64,
    pub set: Arc<Set>,
}

/// What is known of the card, under one lock.
pub(crate) struct Health {
    pub state: State,
    pub reason: String,
    pub since: Instant,
    /// What workers use while the state is healthy.
    pub active: Option<Active>,
    /// What came of the first opening.
    pub opened: Option<Result<Identity, OpenError>>,
    pub identity: Option<Identity>,
    /// The probes that the card is to have.
    pub wanted: Option<Arc<[Probe]>>,
    /// The probes that it was tried to be given last, whatever came of it.
    pub tried: Option<Arc<[Probe]>>,
    /// Changes, the latest last.
    pub history: VecDeque<Change>,
    /// Everything is to end.
    pub stop: bool,
    /// Why the card failed last, as it was logged.
    logged: String,
    /// When software took over, if the card has not come back.
    pub away: Option<Instant>,
}

impl Health {
    pub fn new() -> Self {
        Self {
            state: State::Probing,
            reason: "it is being opened".to_owned(),
            since: Instant::now(),
            active: None,
            opened: None,
            identity: None,
            wanted: None,
            tried: None,
            history: VecDeque::new(),
            stop: false,
            logged: String::new(),
            away: None,
        }
    }

    /// Changes the state, and logs it: attempts that fail for the same reason once.
    pub fn change(&mut self, name: &str, state: State, reason: String) {
        match state {
            State::Healthy => {
                tracing::info!("card {name}: {state}: {reason}");
                self.logged.clear();
            }
            State::Suspect => tracing::warn!("card {name}: {state}: {reason}; software takes over"),
            State::Failed if self.logged != reason => {
                tracing::warn!("card {name}: {state}: {reason}; software does the work");
                self.logged.clone_from(&reason);
            }
            State::Failed | State::Probing => tracing::debug!("card {name}: {state}: {reason}"),
        }
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Change {
            at: SystemTime::now(),
            state,
            reason: reason.clone(),
        });
        self.state = state;
        self.reason = reason;
        self.since = Instant::now();
    }
}

/// Declares counters that any thread may add to, and their values.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters as they stand.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// Counters in the making.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Their values.
            pub fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }

            /// Adds what a worker has counted, and has it begin anew.
            pub fn add(&self, counts: &mut Counts) {
                $(if counts.$name > 0 {
                    self.$name.fetch_add(std::mem::take(&mut counts.$name), Relaxed);
                })*
            }
        }
    };
}

counters! {
    /// Buffers that the card finished.
    card_buffers,
    /// Buffers that software looked through from the start: by choice, or because the card was not to be used.
    software_buffers,
    /// Buffers that were on the card and that software looked through again.
    rescanned,
    /// Records handed over, known-answer records not among them.
    records,
    /// Bytes of staging buffers handed over.
    bytes_sent,
    /// Staging buffers handed over.
    staging_buffers,
    /// Records whose end came without a flag and with all hits.
    records_done,
    /// Records with more candidates than the core's limit.
    records_overflowed,
    /// Records that reached the core damaged, with a wrong generation, or with fields out of bounds.
    records_refused,
    /// Records some of whose hits were lost.
    records_short,
    /// Records whose end never came, and those that were given up when software took over.
    records_lost,
    /// Ends of records that were not due.
    stray_reports,
    /// Gaps in the numbers of report units, bytes that belong to no unit, words that are no items.
    report_faults,
    /// Times that the link reported an error.
    link_errors,
    /// Times that software took over from a card in use.
    failovers,
    /// Times that the card was taken into use, the first among them.
    recoveries,
    /// Times that a deadline passed.
    deadlines,
    /// Known-answer records that were answered.
    known_answers,
    /// Known-answer records that were answered wrongly.
    known_wrong,
    /// Records between the last right and the first wrong answer, at worst.
    exposure_most,
    /// Table words written anew in passing.
    scrubbed,
    /// Times that tables were loaded.
    loads,
    /// Longest time from the last sign of life of a card that failed to the moment when software had redone what was under way, in microseconds.
    takeover_most_us,
}

impl Counters {
    /// Adds one.
    pub fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Relaxed) + 1
    }

    /// Notes the time of a takeover.
    pub fn takeover(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.takeover_most_us.fetch_max(micros, Relaxed);
    }
}
