//! The worker: one turn after the other.

mod last;
mod take;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use weir_xdp_common::{MAX_PORTS, Tally};

use super::inspect::{Inspect, MAX_BATCH, Received, Verdict};
use super::options::BridgeOptions;
use super::port::Port;
use super::shared::Shared;
use super::stock::Stock;
use crate::clock;
use crate::program::QueueCell;
use crate::reject;
use crate::ring::Memory;
use crate::socket::{Arrived, Kernel, Rings, SocketStatistics};
use crate::umem::Frame;

/// How often the kernel is asked what it lost, and whether interfaces are still there.
const LOOK: Duration = Duration::from_millis(100);
/// Frames that are kept from the fill rings, for answers of our own.
const RESERVE: u32 = 64;
/// How long a worker sleeps at most while the kernel has not sent what it was given.
const SHORT_REST: Duration = Duration::from_millis(1);

/// Why a bridge is to be opened anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The interface of a port was removed.
    #[error("the interface of port {port} is gone")]
    Gone {
        /// Which port.
        port: usize,
    },
    /// A port's transmit ring does not move, though it was kicked.
    #[error("the transmit ring of port {port} does not move")]
    Stalled {
        /// Which port.
        port: usize,
    },
    /// All frames are with the kernel, to be sent, and do not come back.
    #[error("frames do not come back from being sent")]
    Starved,
    /// Another worker of the bridge has ended.
    #[error("worker {worker} has ended")]
    WorkerGone {
        /// Which worker.
        worker: u32,
    },
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Frames that were inspected.
    pub(super) inspected: u32,
    /// Nothing was there to be taken.
    pub(super) idle: bool,
    /// What is wrong, if something is.
    pub(super) trouble: Option<Trouble>,
}

/// A packet that is about to be inspected.
struct Held {
    packet: Arrived,
    port: usize,
    ts_ns: u64,
    from: Option<u32>,
}

/// The times that a worker goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    wait: Duration,
    stall: Duration,
    heartbeat_ns: u64,
    poll: Duration,
}

impl Times {
    pub(super) fn new(options: &BridgeOptions) -> Self {
        Self {
            wait: options.transmit_wait,
            stall: options.stall,
            heartbeat_ns: nanoseconds(options.heartbeat),
            poll: options.poll,
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) struct Worker<M: Memory, K: Kernel> {
    stock: Stock,
    ports: Vec<Port<M, K>>,
    cell: QueueCell,
    times: Times,
    batch: usize,
    /// Packets of the batch at hand.
    held: Vec<Held>,
    /// Workers whose rings to this one were not read to their end: a bit each.
    unread: u64,
    turns: u64,
    /// When the kernel was last asked for what it lost.
    looked_ns: u64,
    /// Since when there were frames to receive into.
    fed_ns: u64,
    trouble: Option<Trouble>,
    /// It receives no more, and the others know.
    dry: bool,
}

impl<M: Memory, K: Kernel> std::fmt::Debug for Worker<M, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("number", &self.stock.worker)
            .field("ports", &self.ports.len())
            .field("free", &self.stock.count())
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl<M: Memory, K: Kernel> Worker<M, K> {
    /// A worker with all of its frames; the fill rings have theirs when this returns.
    pub(super) fn new(
        shared: Arc<Shared>,
        number: u32,
        frames: Vec<Frame>,
        sockets: Vec<(K, Rings<M>)>,
        cell: QueueCell,
        options: &BridgeOptions,
    ) -> Self {
        let now = clock::monotonic_ns();
        let mut worker = Self {
            stock: Stock::new(shared, number, frames),
            ports: sockets
                .into_iter()
                .take(MAX_PORTS as usize)
                .map(|(kernel, rings)| Port::new(rings, kernel))
                .collect(),
            cell,
            times: Times::new(options),
            batch: options.batch.clamp(1, MAX_BATCH),
            held: Vec::with_capacity(MAX_BATCH),
            unread: 0,
            turns: 0,
            looked_ns: now,
            fed_ns: now,
            trouble: None,
            dry: false,
        };
        worker.refill();
        worker
    }

    pub(super) fn number(&self) -> u32 {
        self.stock.worker
    }

    pub(super) fn cell(&self) -> &QueueCell {
        &self.cell
    }

    pub(super) fn kernel(&self, port: usize) -> Option<&K> {
        Some(&self.ports.get(port)?.kernel)
    }

    pub(super) fn statistics(&self, port: usize) -> Option<SocketStatistics> {
        self.kernel(port)?.statistics().ok()
    }

    /// Free frames.
    #[cfg(test)]
    pub(super) fn free(&self) -> u32 {
        self.stock.count()
    }

    /// Takes what is there, up to a batch of frames, has it inspected, and carries the verdicts out. Never sleeps.
    pub(super) fn turn(&mut self, inspect: &mut impl Inspect) -> Turn {
        self.turns = self.turns.wrapping_add(1);
        for port in &mut self.ports {
            port.flush(&mut self.stock);
            port.reap(&mut self.stock);
        }
        self.stock.come_home();
        self.refill();
        let taken = self.collect();
        let inspected = self.held.len() as u32;
        if inspected > 0 {
            self.inspect(inspect);
        } else {
            // Nothing came, or nothing but what belongs to others.
            inspect.idle(clock::realtime_ns());
        }
        let now = clock::monotonic_ns();
        if self.watch(now, taken > 0) {
            self.cell.beat(now);
        }
        Turn {
            inspected,
            // A batch of one takes from ports and from other workers by turns.
            idle: taken == 0 && self.unread == 0,
            trouble: self.trouble,
        }
    }

    /// Sleeps until there is something to do, for at most [`BridgeOptions::poll`].
    fn rest(&mut self) {
        let Some(mail) = self.stock.shared.mail(self.stock.worker) else {
            return;
        };
        let sending = self.ports.iter().any(|port| port.sending() > 0);
        let hungry = self.stock.count() <= RESERVE;
        mail.fall_asleep(hungry);
        let mut rang = false;
        let waits = hungry && self.stock.shared.homeward_waits(self.stock.worker);
        if self.unread == 0 && !mail.has_any() && !waits {
            let time = if sending {
                SHORT_REST.min(self.times.poll)
            } else {
                self.times.poll
            };
            let bell = mail.bell();
            let sockets = self.ports.iter().filter_map(|port| port.kernel.fd());
            // The bell, and a socket a port.
            let mut fds = [const { None }; 1 + MAX_PORTS as usize];
            for (slot, fd) in fds.iter_mut().zip(std::iter::once(bell).chain(sockets)) {
                *slot = Some(fd);
            }
            let count = fds.iter().flatten().count();
            let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd.unwrap_or(bell), PollFlags::IN));
            let timeout = Timespec {
                tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: time.subsec_nanos().into(),
            };
            if let Some(fds) = fds.get_mut(..count) {
                // Interrupted or not: the next turn looks for itself.
                let _ = poll(fds, Some(&timeout));
                rang = fds
                    .first()
                    .is_some_and(|bell| bell.revents().contains(PollFlags::IN));
            }
        }
        mail.wake_up(rang);
    }

    /// Puts free frames into the fill rings: what there is goes to the ports as they lack it.
    fn refill(&mut self) {
        let mut lacking: u64 = 0;
        for port in &mut self.ports {
            lacking += u64::from(port.rings.fill_room(u32::MAX));
        }
        let spare = self.stock.count().saturating_sub(RESERVE);
        if lacking == 0 || spare == 0 {
            return;
        }
        for port in &mut self.ports {
            let room = u64::from(port.rings.fill_room(0));
            let share = if lacking <= u64::from(spare) {
                room
            } else {
                (room * u64::from(spare)).div_ceil(lacking)
            };
            let spare_now = self.stock.count().saturating_sub(RESERVE);
            port.fill(&mut self.stock, (share as u32).min(spare_now));
        }
    }

    /// Has the packets at hand inspected and does with them as told.
    fn inspect(&mut self, inspect: &mut impl Inspect) {
        let mut held = std::mem::take(&mut self.held);
        let mut frames = [Received::EMPTY; MAX_BATCH];
        let mut verdicts = [Verdict::Drop; MAX_BATCH];
        for (frame, held) in frames.iter_mut().zip(&held) {
            *frame = Received {
                port: held.port,
                ts_ns: held.ts_ns,
                data: bytes(&self.stock, &held.packet),
                from: held.from,
            };
        }
        let began = clock::monotonic_ns();
        let count = held.len().min(MAX_BATCH);
        inspect.batch(&frames[..count], &mut verdicts[..count]);
        let took = clock::monotonic_ns().saturating_sub(began);
        let late = took > self.times.heartbeat_ns;
        for port in &mut self.ports {
            port.begin();
        }
        for (held, verdict) in held.drain(..).zip(verdicts) {
            self.cell.add(held.port, Tally::Late, late.into());
            match verdict {
                Verdict::Pass => self.pass(held),
                Verdict::Drop => {
                    self.cell.add(held.port, Tally::Dropped, 1);
                    self.stock.release(held.packet.frame);
                }
                Verdict::Reject {
                    to_source,
                    to_destination,
                } => {
                    let (here, there) = (held.port, self.other(held.port).unwrap_or(held.port));
                    if to_source {
                        self.answer(&held.packet, reject::to_source, here);
                    }
                    if to_destination {
                        self.answer(&held.packet, reject::to_destination, there);
                    }
                    self.cell.add(held.port, Tally::Rejected, 1);
                    self.stock.release(held.packet.frame);
                }
            }
        }
        self.held = held;
        for port in &mut self.ports {
            port.flush(&mut self.stock);
        }
        inspect.settled();
    }

    fn other(&self, port: usize) -> Option<usize> {
        (self.ports.len() == 2).then_some(1 - port.min(1))
    }

    /// Sends a packet on the other port.
    fn pass(&mut self, held: Held) {
        let out = self
            .other(held.port)
            .and_then(|other| self.ports.get_mut(other));
        let sent = match out {
            Some(out) => out.send(&mut self.stock, held.packet, self.times.wait),
            None => {
                self.stock.release(held.packet.frame);
                Ok(())
            }
        };
        let tally = match sent {
            Ok(()) => Tally::Passed,
            Err(back) => {
                self.stock.release(back.frame);
                Tally::TxFull
            }
        };
        self.cell.add(held.port, tally, 1);
    }

    /// Answers a packet on a port, if there is an answer to it.
    fn answer(&mut self, offender: &Arrived, make: reject::Answer, port: usize) {
        let Some(mut frame) = self.stock.pop() else {
            self.cell.add(port, Tally::InjectLost, 1);
            return;
        };
        let data = bytes(&self.stock, offender);
        let Some(length) = make(data, self.stock.umem().bytes_mut(&mut frame)) else {
            self.stock.release(frame);
            return;
        };
        let answer = Arrived {
            frame,
            at: 0,
            length: length as u32,
        };
        let tally = match self.ports.get_mut(port) {
            None => {
                self.stock.release(answer.frame);
                Tally::InjectLost
            }
            Some(end) => match end.send(&mut self.stock, answer, self.times.wait) {
                Ok(()) => Tally::Injected,
                Err(back) => {
                    self.stock.release(back.frame);
                    Tally::InjectLost
                }
            },
        };
        self.cell.add(port, tally, 1);
    }
}

/// The bytes of a packet.
fn bytes<'a>(stock: &'a Stock, packet: &'a Arrived) -> &'a [u8] {
    let bytes = stock.umem().bytes(&packet.frame, packet.at, packet.length);
    bytes.unwrap_or_default()
}
