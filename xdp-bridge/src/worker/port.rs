//! A worker's end of a port: its socket, what it is sending, and whether that gets on.

use std::time::Duration;

use super::stock::Stock;
use crate::clock;
use crate::ring::Memory;
use crate::socket::{Arrived, Kernel, Kick, Rings, SocketStatistics};

/// How often a stalled ring is kicked before its socket is taken for broken.
const KICKS: u32 = 8;

/// What is known of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    /// Set down: nothing can be sent, but it may come up again.
    Down,
    /// Removed: the socket is of no use any more.
    Gone,
}

/// How a look at the transmit ring came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// It gets on, or has nothing to do.
    Moving,
    /// It does not, but there is hope.
    Stuck {
        /// It was kicked for that.
        kicked: bool,
    },
    /// It does not.
    Stalled,
}

pub(super) struct Port<M, K> {
    pub(super) rings: Rings<M>,
    pub(super) kernel: K,
    pub(super) state: State,
    /// Frames that the kernel has to send.
    sending: u32,
    /// Completions that were none, and are not counted yet.
    odd: u64,
    /// Until when frames of this batch may wait for room; set when the first one has to.
    patience: Option<u64>,
    /// Frames that the kernel had taken from the transmit ring at the latest look. How many wait says nothing: a ring that is
    /// filled as fast as it is emptied is always full.
    taken: u32,
    /// When the transmit ring last moved or had nothing to do.
    moved_ns: u64,
    kicks: u32,
    /// What is known to be lost, and counted.
    counted: SocketStatistics,
}

impl<M: Memory, K: Kernel> Port<M, K> {
    pub(super) fn new(rings: Rings<M>, kernel: K) -> Self {
        Self {
            rings,
            kernel,
            state: State::Up,
            sending: 0,
            odd: 0,
            patience: None,
            taken: 0,
            moved_ns: clock::monotonic_ns(),
            kicks: 0,
            counted: SocketStatistics::default(),
        }
    }

    /// Frames that the kernel has to send.
    pub(super) fn sending(&self) -> u32 {
        self.sending
    }

    /// Frames that may yet be sent: none while the interface is down, or gone.
    pub(super) fn to_come(&self) -> u32 {
        match self.state {
            State::Up => self.sending,
            State::Down | State::Gone => 0,
        }
    }

    /// Frames that the kernel has not even taken to be sent.
    pub(super) fn unsent(&mut self) -> u32 {
        match self.sending {
            0 => 0,
            _ => self.rings.transmit_waiting(),
        }
    }

    /// Takes back the frames that were sent. What is no such frame is noted as odd.
    pub(super) fn reap(&mut self, stock: &mut Stock) {
        while let Some(frame) = self.rings.completed(stock.umem()) {
            match frame {
                Some(frame) => {
                    self.sending = self.sending.saturating_sub(1);
                    stock.release(frame);
                }
                None => self.odd += 1,
            }
        }
        self.rings.release_completed();
    }

    /// Gives the kernel `count` free frames to receive into.
    pub(super) fn fill(&mut self, stock: &mut Stock, count: u32) {
        for _ in 0..count {
            let Some(frame) = stock.pop() else { break };
            if let Some(back) = self.rings.fill(stock.umem(), frame) {
                stock.release(back);
                break;
            }
        }
        if self.rings.publish_fill() {
            self.kernel.wake_receive();
        }
    }

    /// A new batch: frames may wait again.
    pub(super) fn begin(&mut self) {
        self.patience = None;
        if self.state == State::Down {
            self.kick();
        }
    }

    /// Puts a packet on the transmit ring, and waits for room if it must. Gives it back when there is no room in time.
    pub(super) fn send(
        &mut self,
        stock: &mut Stock,
        packet: Arrived,
        wait: Duration,
    ) -> Result<(), Arrived> {
        if self.state != State::Up {
            return Err(packet);
        }
        let Some(mut packet) = self.rings.transmit(stock.umem(), packet) else {
            self.sending += 1;
            return Ok(());
        };
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        loop {
            self.flush(stock);
            match self.rings.transmit(stock.umem(), packet) {
                None => {
                    self.sending += 1;
                    return Ok(());
                }
                Some(back) => packet = back,
            }
            let now = clock::monotonic_ns();
            let until = *self.patience.get_or_insert(now.saturating_add(wait));
            if self.state != State::Up || now >= until {
                return Err(packet);
            }
            std::hint::spin_loop();
        }
    }

    /// Has the kernel send what is on the transmit ring: as many calls as it takes, as long as each of them gets on.
    pub(super) fn flush(&mut self, stock: &mut Stock) {
        if self.sending == 0 {
            return;
        }
        self.rings.publish_transmit();
        let mut waiting = self.rings.transmit_waiting();
        while waiting > 0 && self.rings.needs_kick() && self.state != State::Gone {
            self.kick();
            // A full completion ring, too, keeps the kernel from sending.
            self.reap(stock);
            let left = self.rings.transmit_waiting();
            if left >= waiting || self.state != State::Up {
                break;
            }
            waiting = left;
        }
    }

    /// One call to the kernel, which also tells how the interface is.
    pub(super) fn kick(&mut self) {
        self.state = match self.kernel.kick() {
            Kick::Done | Kick::Again => State::Up,
            Kick::Down => State::Down,
            Kick::Gone => State::Gone,
        };
    }

    /// Looks whether the transmit ring gets on.
    pub(super) fn watch(&mut self, now_ns: u64, stall: Duration) -> Watch {
        let waiting = match self.sending {
            0 => 0,
            _ => self.rings.transmit_waiting(),
        };
        let taken = self.rings.transmit_taken();
        // The ring of an interface that is down is not stalled: it waits.
        if waiting == 0 || taken != self.taken || self.state != State::Up {
            self.taken = taken;
            self.moved_ns = now_ns;
            self.kicks = 0;
            return Watch::Moving;
        }
        let stall = u64::try_from(stall.as_nanos()).unwrap_or(u64::MAX);
        let due = stall.saturating_mul(u64::from(self.kicks) + 1);
        if now_ns.saturating_sub(self.moved_ns) < due {
            return match self.kicks {
                0 => Watch::Moving,
                _ => Watch::Stuck { kicked: false },
            };
        }
        if self.kicks >= KICKS {
            return Watch::Stalled;
        }
        self.kicks += 1;
        self.kick();
        self.kernel.wake_receive();
        Watch::Stuck { kicked: true }
    }

    /// Completions since the last call that were for no frame that was being sent.
    pub(super) fn newly_odd(&mut self) -> u64 {
        std::mem::take(&mut self.odd)
    }

    /// Frames that were lost on the socket since the last call.
    pub(super) fn newly_lost(&mut self) -> u64 {
        let Ok(statistics) = self.kernel.statistics() else {
            return 0;
        };
        let fresh = statistics.lost().saturating_sub(self.counted.lost());
        self.counted = statistics;
        fresh
    }
}
