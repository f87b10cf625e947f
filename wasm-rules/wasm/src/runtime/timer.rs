//! How long a call may take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Store, UpdateDeadline};

use super::ticker::{Caller, Ticker};

/// What a store's data must have for its calls to be bounded.
pub trait Timed {
    /// Its timer.
    fn timer(&mut self) -> &mut Timer;
}

/// Ends a call that takes too long.
#[derive(Debug)]
pub struct Timer {
    caller: Caller,
    limit: Duration,
    /// Processor time of this thread at the call's first tick.
    since: Option<Duration>,
    overrun: bool,
}

impl Timer {
    pub(super) fn new(ticker: &Ticker) -> Self {
        Self {
            caller: ticker.caller(),
            limit: Duration::ZERO,
            since: None,
            overrun: false,
        }
    }

    /// Runs what calls into the store, for at most `limit` of this thread's processor time; what takes longer traps with
    /// [`wasmtime::Trap::Interrupt`].
    pub fn bounded<T: Timed, R>(
        store: &mut Store<T>,
        limit: Duration,
        call: impl FnOnce(&mut Store<T>) -> R,
    ) -> R {
        let timer = store.data_mut().timer();
        timer.limit = limit;
        timer.since = None;
        timer.overrun = false;
        let under_way = timer.caller.begin();
        store.set_epoch_deadline(1);
        let result = call(store);
        drop(under_way);
        result
    }

    /// True when the last call was ended because it took too long.
    pub fn overran(&self) -> bool {
        self.overrun
    }

    /// Waiting begins that is not to count; what is returned is for [`Timer::goes_on`].
    pub fn waits(&self) -> Option<Duration> {
        // Before the first tick nothing counts.
        self.since.map(|_| processor_time())
    }

    /// It is over.
    pub fn goes_on(&mut self, begun: Option<Duration>) {
        if let (Some(begun), Some(since)) = (begun, &mut self.since) {
            *since += processor_time().saturating_sub(begun);
        }
    }

    /// The epoch has moved on.
    ///
    /// The clock of a thread's processor time is a system call, so that it is not read at a call's begin but at its first
    /// tick, and what came before that is a present.
    pub(super) fn tick(&mut self) -> UpdateDeadline {
        let now = processor_time();
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) >= self.limit {
            self.overrun = true;
            return UpdateDeadline::Interrupt;
        }
        UpdateDeadline::Continue(1)
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
