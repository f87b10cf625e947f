//! What the program counts.

/// Frames and their bytes, from the first byte of the Ethernet header to the end of what the program is shown.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What became of a frame: each frame has exactly one of these, so that their sum is the number of frames.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Handed to a socket. The socket itself drops what its rings cannot hold, and counts that.
    ToUser = 0,
    /// Of a bypassed flow: forwarded in the kernel, or, passive, given to the host.
    Bypassed = 1,
    /// Of a blocked flow: dropped.
    Blocked = 2,
    /// User space did not take it, and the policy is to be open: forwarded, or, passive, given to the host.
    FailedOpen = 3,
    /// User space did not take it, and the policy is to be closed: dropped.
    FailedClosed = 4,
    /// To be forwarded by the kernel, but there is no other port to forward to: dropped.
    NoPeer = 5,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::ToUser,
        Self::Bypassed,
        Self::Blocked,
        Self::FailedOpen,
        Self::FailedClosed,
        Self::NoPeer,
    ];
}

/// Why user space did not take a frame, and what else is worth counting. The first three are all the reasons for which a
/// frame fails, open or closed (or for want of a peer, where that was to be open).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// It came on a queue that user space does not serve.
    NoWorker = 0,
    /// The worker's heartbeat is too old.
    Late = 1,
    /// The worker's socket is gone: its process has ended.
    NoSocket = 2,
    /// Frames that were looked into and have no flow that the kernel could know: not TCP or UDP, a fragment, too many VLAN
    /// tags or extension headers, cut short. Not counted while no flow is bypassed or blocked.
    NoFlow = 3,
    /// Bypassed flows that ended because a new connection uses their addresses and ports.
    Reopened = 4,
    /// Frames that the kernel was to forward and that the other port did not send: they are among those of [`Outcome::Bypassed`]
    /// and [`Outcome::FailedOpen`]. Counted where the kernel lets itself be watched ([`XMIT`](crate::XMIT)).
    XmitDropped = 5,
}

impl Cause {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::NoWorker,
        Self::Late,
        Self::NoSocket,
        Self::NoFlow,
        Self::Reopened,
        Self::XmitDropped,
    ];
}

/// What one CPU counted on one port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Everything that came.
    pub received: Count,
    /// By [`Outcome`].
    pub outcomes: [Count; Outcome::ALL.len()],
    /// Frames by [`Cause`].
    pub causes: [u64; Cause::ALL.len()],
}

impl PortCounters {
    /// Frames and bytes that met this outcome.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> Count {
        self.outcomes[outcome as usize]
    }

    /// Frames of this cause.
    #[must_use]
    pub fn cause(&self, cause: Cause) -> u64 {
        self.causes[cause as usize]
    }

    /// Adds what another CPU counted.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: &mut Count, b: &Count| {
            a.packets = a.packets.wrapping_add(b.packets);
            a.bytes = a.bytes.wrapping_add(b.bytes);
        };
        sum(&mut self.received, &other.received);
        for (mine, theirs) in self.outcomes.iter_mut().zip(&other.outcomes) {
            sum(mine, theirs);
        }
        for (mine, theirs) in self.causes.iter_mut().zip(&other.causes) {
            *mine = mine.wrapping_add(*theirs);
        }
    }
}
