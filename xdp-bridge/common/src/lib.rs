//! What Weir's XDP program and its user space agree on: names and layout of maps, what is counted, what a flow is.
//!
//! Everything here is `repr(C)`, has no hidden padding, and is the same on both sides because both compile this file. A
//! change of any layout changes [`LAYOUT`], so that a program that is still attached is not mistaken for this one.
//!
//! A frame that comes on a port's queue is looked at in this order: [`FLOWS`] may say what to do with its [`FlowKey`]; else the
//! queue's [`WorkerState`] in [`WORKERS`] must have a heartbeat that is young enough by [`Settings`]; else, or without a socket in
//! [`XSKS`], it fails, open to the port in [`PEERS`] or closed. What became of it is an [`Outcome`] in [`COUNTERS`]; what user
//! space then did with it is a [`Tally`] in the worker's state. Maps outlive processes, so that the two can be compared by whoever
//! comes next.
//!
//! ```
//! use weir_xdp_common::{FlowKey, TCP};
//!
//! let (client, server) = (([10, 0, 0, 1].into(), 40_000), ([10, 0, 0, 2].into(), 443));
//! let key = FlowKey::between(client, server, TCP, 0, 0);
//! assert!(key.is_some() && key == FlowKey::between(server, client, TCP, 0, 0));
//! ```
#![no_std]

mod counters;
mod flow;
mod worker;

pub use counters::{Cause, Count, Outcome, PortCounters};
pub use flow::{FlowEntry, FlowKey, TCP, UDP, action, is_mapped, mapped};
pub use worker::{TALLIES, Tally, WorkerState};

/// Version of all layouts in this crate.
pub const LAYOUT: u32 = 2;

/// Ports of a bridge: A is 0, B is 1. A passive sensor has port 0 alone.
pub const MAX_PORTS: u32 = 2;

/// Most receive queues of a port that are served.
pub const MAX_QUEUES: u32 = 64;

/// Sockets of user space by [`socket_index`]: an XSKMAP.
pub const XSKS: &str = "XSKS";
/// Where a port's frames go when the kernel forwards them, by port: a DEVMAP with the *other* port's index.
pub const PEERS: &str = "PEERS";
/// [`Settings`], one.
pub const SETTINGS: &str = "SETTINGS";
/// [`WorkerState`] by worker, mapped into user space.
pub const WORKERS: &str = "WORKERS";
/// [`PortCounters`] by port, for each CPU.
pub const COUNTERS: &str = "COUNTERS";
/// [`FlowEntry`] by [`FlowKey`]: flows that the kernel forwards or drops by itself.
pub const FLOWS: &str = "FLOWS";
/// The program's name.
pub const PROGRAM: &str = "weir";
/// The program that is told what a port sent of the frames that were forwarded to it: at the tracepoint
/// `xdp/xdp_devmap_xmit`.
pub const XMIT: &str = "weir_xmit";
/// The program that is told which frame could not even be given to a port: at the tracepoint `xdp/xdp_redirect_err`.
pub const REFUSED: &str = "weir_refused";

/// Where in [`XSKS`] the socket of a port's queue is.
#[must_use]
pub const fn socket_index(port: u32, queue: u32) -> u32 {
    port * MAX_QUEUES + queue
}

/// Value of [`Settings::mode`]: frames are forwarded to the other port.
pub const INLINE: u32 = 0;
/// Value of [`Settings::mode`]: frames are copies; what user space does not take goes to the host.
pub const PASSIVE: u32 = 1;
/// Value of [`Settings::fail`]: frames that user space cannot take are forwarded, or, passive, given to the host.
pub const OPEN: u32 = 0;
/// Value of [`Settings::fail`]: frames that user space cannot take are dropped.
pub const CLOSED: u32 = 1;

/// The first layout whose settings begin with a [`Record`].
pub const RECORDED: u32 = 2;

/// What [`Settings`] begin with in every layout from [`RECORDED`] on, so that any version can put back what another one has
/// changed. It is never changed itself; what more there is to be known comes after it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// [`LAYOUT`] of who wrote it.
    pub layout: u32,
    /// The ports.
    pub ports: [PortSettings; MAX_PORTS as usize],
}

/// What user space tells the program; it may be written at any time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// By whom, on which ports, and what was changed on them.
    pub record: Record,
    /// [`INLINE`] or [`PASSIVE`].
    pub mode: u32,
    /// [`OPEN`] or [`CLOSED`].
    pub fail: u32,
    /// How many queues of each port user space serves; frames of others fail as if it were dead.
    pub queues: u32,
    /// Not 0 when [`FLOWS`] may hold something: otherwise frames are not even looked into.
    pub orders: u32,
    /// Process that wrote it last.
    pub pid: u32,
    /// Nanoseconds without a heartbeat after which a worker is taken for dead.
    pub timeout_ns: u64,
}

const _: () = assert!(size_of::<Record>() == 20 && size_of::<Settings>() == 48);

/// One port of a [`Record`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSettings {
    /// Its interface's index; 0 for a port that there is not.
    pub ifindex: u32,
    /// What was changed on the interface, to be put back: see [`changed`].
    pub changed: u32,
}

/// What was changed on an interface for Weir's sake: bits of [`PortSettings::changed`].
pub mod changed {
    /// It was made promiscuous.
    pub const PROMISCUOUS: u32 = 1;
    /// It was told to leave VLAN tags in frames.
    pub const VLAN_STRIPPING: u32 = 2;
    /// It was told not to merge received frames (LRO).
    pub const LARGE_RECEIVE: u32 = 4;
}
