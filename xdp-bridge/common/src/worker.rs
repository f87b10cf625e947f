//! What a worker says to the program, and to whoever comes after it.

use core::sync::atomic::AtomicU64;

use crate::MAX_PORTS;

/// What a worker counts of one port's frames. Frames are counted for the port on which they came.
///
/// For the sum of all workers, and for each port, once the workers are still:
/// `Outcome::ToUser` of the kernel = `Received` + `RingDropped` + `LostInRings`, and
/// `Received` = `Passed` + `Dropped` + `Rejected` + `TxFull` + `Invalid` + `HandOverFull` + `LostInHands`.
/// For one worker, frames that it gave away and was given come on top: `HandedOver` on the right, `TakenOver` on the left.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tally {
    /// Frames taken from the receive ring.
    Received = 0,
    /// Their bytes.
    ReceivedBytes = 1,
    /// Frames put on the other port's transmit ring, or, passive, inspected.
    Passed = 2,
    /// Frames dropped by a rule's verdict.
    Dropped = 3,
    /// Frames dropped, and answered with a reset or an ICMP error.
    Rejected = 4,
    /// Frames lost as the other port's transmit ring stayed full.
    TxFull = 5,
    /// Frames lost as their descriptor was not one of ours.
    Invalid = 6,
    /// Frames that belong to another worker and were given to it.
    HandedOver = 7,
    /// Frames that another worker received and gave to this one.
    TakenOver = 8,
    /// Frames made by Weir (resets, ICMP errors) and sent *on* this port.
    Injected = 9,
    /// Frames made by Weir that could not be sent on this port.
    InjectLost = 10,
    /// Flows that the kernel was told to forward by itself.
    FlowsBypassed = 11,
    /// Flows that the kernel was told to drop by itself.
    FlowsBlocked = 12,
    /// Frames that the socket dropped as its rings were full or its fill ring was empty: the sum over all sockets of this
    /// port and worker of what `XDP_STATISTICS` says.
    RingDropped = 13,
    /// Frames that were in the rings of a process that ended; counted by the one that came after it.
    LostInRings = 14,
    /// Frames that a process held when it ended; counted by the one that came after it.
    LostInHands = 15,
    /// Times that a stalled ring was kicked.
    Kicked = 16,
    /// Times that a socket was made anew.
    Rebuilt = 17,
    /// Frames for which inspection took longer than the heartbeat's timeout.
    Late = 18,
    /// Frames lost as the worker that they belong to did not keep up, or had ended: nobody else may inspect them.
    HandOverFull = 19,
    /// Frames left on *this* port's transmit ring when its socket was closed in an orderly way: they are among what was passed
    /// from the other port or made by Weir, and were not sent.
    Unsent = 20,
    /// Completions of *this* port that were for no frame that was being sent: a driver's mistake, which does no harm.
    OddCompletions = 21,
}

impl Tally {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::Received,
        Self::ReceivedBytes,
        Self::Passed,
        Self::Dropped,
        Self::Rejected,
        Self::TxFull,
        Self::Invalid,
        Self::HandedOver,
        Self::TakenOver,
        Self::Injected,
        Self::InjectLost,
        Self::FlowsBypassed,
        Self::FlowsBlocked,
        Self::RingDropped,
        Self::LostInRings,
        Self::LostInHands,
        Self::Kicked,
        Self::Rebuilt,
        Self::Late,
        Self::HandOverFull,
        Self::Unsent,
        Self::OddCompletions,
    ];
}

/// Tallies that a port has room for; a multiple of eight, so that ports do not share cache lines.
pub const TALLIES: usize = 24;

/// One worker's cell: written by that worker alone, read by the program, outliving the process.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct WorkerState {
    /// When the worker was last seen at work, in nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    pub heartbeat: AtomicU64,
    /// Room, so that the heartbeat has a cache line to itself.
    pub room: [AtomicU64; 7],
    /// By port, then by [`Tally`].
    pub tallies: [[AtomicU64; TALLIES]; MAX_PORTS as usize],
}

const _: () = assert!(Tally::ALL.len() <= TALLIES);
const _: () = assert!(size_of::<WorkerState>() == 64 + 2 * 8 * TALLIES);
