//! How workers tell each other that there is something to do, and wake one that sleeps.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

const AWAKE: u32 = 0;
/// Asleep until parcels come.
const ASLEEP: u32 = 1;
/// Asleep without frames to receive into: until some come home.
const HUNGRY: u32 = 2;

/// One worker's letter box.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Mail {
    /// Workers that have put something into their ring to this one: a bit each.
    senders: AtomicU64,
    sleep: AtomicU32,
    alive: AtomicBool,
    bell: OwnedFd,
}

impl Mail {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            senders: AtomicU64::new(0),
            sleep: AtomicU32::new(AWAKE),
            alive: AtomicBool::new(true),
            bell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
        })
    }

    /// `sender` has put parcels into its ring to this worker.
    pub(super) fn tell(&self, sender: u32) {
        let bit = 1u64 << (sender % 64);
        // Often it is set already, and a look is cheaper than a change. Whoever cleared it looks into the ring after that, and our
        // parcel was put there before: the fences order the four.
        fence(Ordering::SeqCst);
        if self.senders.load(Ordering::Relaxed) & bit == 0 {
            self.senders.fetch_or(bit, Ordering::SeqCst);
        }
        self.rouse(ASLEEP);
    }

    /// Frames of this worker have been sent home.
    pub(super) fn frames_came(&self) {
        self.rouse(HUNGRY);
    }

    fn rouse(&self, at_least: u32) {
        fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::Relaxed) >= at_least {
            self.ring();
        }
    }

    /// Wakes the worker, if it sleeps.
    fn ring(&self) {
        if self.sleep.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            // It fails when the count is at its end, and then the bell rings anyway.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }

    /// Workers that have put something into their ring since the last call: a bit each.
    pub(super) fn collect(&self) -> u64 {
        if self.senders.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let senders = self.senders.swap(0, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        senders
    }

    /// About to sleep. What is told from now on rings the bell; what was told before is to be looked for after this.
    pub(super) fn fall_asleep(&self, hungry: bool) {
        let depth = if hungry { HUNGRY } else { ASLEEP };
        self.sleep.store(depth, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// True when something has been told.
    pub(super) fn has_any(&self) -> bool {
        self.senders.load(Ordering::SeqCst) != 0
    }

    /// Awake again; `rang` when the bell was heard.
    pub(super) fn wake_up(&self, rang: bool) {
        self.sleep.store(AWAKE, Ordering::SeqCst);
        if rang {
            let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
        }
    }

    /// What becomes readable when the bell rings.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The worker is no more.
    pub(super) fn close(&self) {
        self.alive.store(false, Ordering::Release);
    }

    /// True as long as the worker is there.
    pub(super) fn is_open(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn rings(mail: &Mail) -> bool {
        let bell = mail.bell();
        let mut fds = [PollFd::new(&bell, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("poll") > 0
    }

    #[test]
    fn a_sleeper_is_woken_for_what_it_waits_for() {
        let mail = Mail::new().expect("an eventfd");
        mail.tell(3);
        mail.tell(63);
        assert!(!rings(&mail), "awake");
        assert!(mail.has_any());
        assert_eq!(mail.collect(), 1 << 3 | 1 << 63);
        assert_eq!(mail.collect(), 0);

        mail.fall_asleep(false);
        mail.frames_came();
        assert!(!rings(&mail), "it has frames");
        mail.tell(0);
        assert!(rings(&mail));
        mail.wake_up(true);
        assert!(!rings(&mail));

        mail.fall_asleep(true);
        mail.frames_came();
        assert!(rings(&mail));
        mail.wake_up(true);
        assert!(mail.is_open());
        mail.close();
        assert!(!mail.is_open());
    }
}
