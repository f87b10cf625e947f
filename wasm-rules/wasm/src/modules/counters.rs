//! What is counted of modules.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one module in one worker, who alone writes them.
        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $(pub(super) $name: Count,)*
        }

        /// What was counted of a module, all workers together.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct ModuleCounters {
            /// Its name.
            pub name: String,
            /// Its own version.
            pub version: String,
            /// It is not asked any more.
            pub quarantined: bool,
            /// Values that it keeps now.
            pub state_entries: u64,
            /// Values given up before their time.
            pub state_evicted: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl ModuleCounters {
            /// Evaluations that were lost, whyever.
            pub fn lost(&self) -> u64 {
                [self.traps, self.overruns, self.limits, self.bad_answers, self.no_instance]
                    .iter()
                    .fold(0, |sum, lost| lost.saturating_add(sum))
            }

            pub(super) fn add(&mut self, of_worker: &Counts) {
                $(self.$name = self.$name.saturating_add(of_worker.$name.get());)*
            }
        }
    };
}

counters! {
    /// Times that it was asked.
    calls,
    /// Rules that it was asked about.
    evaluations,
    /// Rules that it said fire.
    matches,
    /// Evaluations lost to traps.
    traps,
    /// Evaluations lost because they took too long.
    overruns,
    /// Evaluations lost to limits: calls of the host, bytes.
    limits,
    /// Evaluations lost because the answer was none.
    bad_answers,
    /// Instances that could not be made.
    no_instance,
    /// Instances that were made.
    instances,
    /// Evaluations left out because it had used up its time in that second.
    budget_skips,
    /// Evaluations left out because it is in quarantine.
    quarantine_skips,
    /// Memory that it asked for and did not get, times.
    memory_refusals,
    /// Calls of the host.
    host_calls,
    /// Bytes that the host handed over.
    host_bytes,
    /// Lines of its log that were too many.
    log_dropped,
    /// Time in it, and in the host for it, without waiting for other workers.
    nanoseconds,
}

/// One counter. Only one thread writes it.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(more), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
