//! The bridge: workers that take frames from one port, have them inspected, and send them on the other.
//!
//! One worker serves one queue of both ports, in a thread of its own: [`Bridge::open`] makes the workers, [`Worker::run`] is
//! the thread's loop. A frame stays where it was received: it is inspected there and sent from there, and when the other port is
//! done with it, it is received into again. A frame whose flow belongs to another worker is given to that worker, not copied.
//!
//! # Where frames are
//!
//! Each frame belongs to one worker, its home. It is free there, or in the kernel's hands for one of its sockets, or held by a
//! worker, or crossing to another, or on its way home. Frames never go astray: what a worker cannot send it drops, counts and
//! sends home.
//!
//! # What is counted
//!
//! Into the worker's [`QueueCell`], by the port on which a frame came. For one worker and port, between two turns:
//!
//! `Received + TakenOver = Passed + Dropped + Rejected + TxFull + Invalid + HandedOver + HandOverFull`
//!
//! and for all workers the frames that are crossing come on top. A worker that is dropped counts what was left in its receive
//! rings as `LostInRings`, and what was on its way to it as `LostInHands`. What comes after that and before the socket is
//! closed is the difference to what the program gave away.
//!
//! # When something breaks
//!
//! A socket whose interface is gone, or whose rings stay stalled though they were kicked, is reported as [`Trouble`]. It is not
//! made anew by itself: the device may still read frames that the old socket was given. The bridge is dropped and opened again,
//! on memory of its own; the program and what it counted stay.

mod bridge;
mod crossing;
mod home;
mod inspect;
mod mail;
mod options;
mod port;
mod shared;
mod stock;
#[cfg(test)]
mod testing;
mod turn;

use std::sync::atomic::AtomicBool;

pub use bridge::{Bridge, BridgeError, SetSocket};
pub use inspect::{Inspect, MAX_BATCH, Received, Verdict};
pub use options::{BridgeOptions, BridgePort, OptionsError, ZeroCopy, frame_size_for};
pub use turn::Trouble;

use crate::program::QueueCell;
use crate::ring::Mapped;
use crate::socket::{CopyMode, Socket, SocketStatistics};

/// How a worker's loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    /// The bridge is to be opened anew.
    Broken(Trouble),
}

/// One queue of both ports.
#[derive(Debug)]
pub struct Worker {
    inner: turn::Worker<Mapped, Socket>,
}

impl Worker {
    /// Its number, which is that of its queue.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.inner.number()
    }

    /// What it counts.
    #[must_use]
    pub fn cell(&self) -> &QueueCell {
        self.inner.cell()
    }

    /// Whether frames are copied on a port; `None` where there is no such port.
    #[must_use]
    pub fn copy_mode(&self, port: usize) -> Option<CopyMode> {
        self.inner.kernel(port).map(Socket::mode)
    }

    /// What the kernel lost on its socket of a port since the bridge was opened; `None` where there is no such port. The worker
    /// adds it to its cell by itself.
    #[must_use]
    pub fn statistics(&self, port: usize) -> Option<SocketStatistics> {
        self.inner.statistics(port)
    }

    /// Turns until `stop` is set or the bridge is broken, and rests where there is nothing to do.
    ///
    /// When it is asked to stop, what is in its rings is inspected and sent first, also what other workers still give it: for that
    /// it waits a second at most. Take the sockets away from the program before
    /// ([`Attached::unset_sockets`](crate::program::Attached::unset_sockets)), so that this is the last that comes; what comes
    /// nevertheless is lost with the sockets, and counted. Trouble that shows only then is not reported: the others end, too.
    pub fn run(&mut self, inspect: &mut impl Inspect, stop: &AtomicBool) -> Ended {
        self.inner.run(inspect, stop)
    }
}
