//! Sleeping until a word changes.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex::{self, Flags, Timespec};

/// Who waits looks so often whether the other side lives.
pub const LIVENESS: Duration = Duration::from_millis(2);
/// Looks before sleeping: a few microseconds at most.
const SPINS: u32 = 200;

/// Sleeps until the word is no longer `seen`, at most so long. `sleeps` is set meanwhile, for who changes the word to know
/// that it has to wake.
pub(crate) fn until_changed(word: &AtomicU32, seen: u32, sleeps: &AtomicU32, most: Duration) {
    for _ in 0..SPINS {
        if word.load(Ordering::SeqCst) != seen {
            return;
        }
        std::hint::spin_loop();
    }
    sleeps.store(1, Ordering::SeqCst);
    let timeout = Timespec {
        tv_sec: most.as_secs() as i64,
        tv_nsec: most.subsec_nanos().into(),
    };
    // Returns at once when the word has changed; why it returns does not matter to callers, who look anew.
    let _ = futex::wait(word, Flags::empty(), seen, Some(&timeout));
    sleeps.store(0, Ordering::SeqCst);
}

/// Wakes who sleeps for this word.
pub(crate) fn wake(word: &AtomicU32) {
    // The only errors are of the address, which is mapped.
    let _: Result<usize, io::Error> =
        futex::wake(word, Flags::empty(), u32::MAX >> 1).map_err(Into::into);
}

/// A time that is over when nothing has happened for so long.
pub(crate) struct Patience {
    most: Duration,
    since: Instant,
}

impl Patience {
    pub(crate) fn new(most: Duration) -> Self {
        Self {
            most,
            since: Instant::now(),
        }
    }

    /// Something happened.
    pub(crate) fn renew(&mut self) {
        self.since = Instant::now();
    }

    /// What is left of it, at most [`LIVENESS`]; `None` when it is over.
    pub(crate) fn slice(&self) -> Option<Duration> {
        let left = self.most.saturating_sub(self.since.elapsed());
        (!left.is_zero()).then(|| left.min(LIVENESS))
    }
}
