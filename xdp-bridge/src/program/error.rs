//! What can go wrong with the program and its ports, and what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::explain::Refusal;

/// Why the program is not on its ports, or not off them.
#[derive(Debug, Error)]
pub enum Error {
    /// One port, or two.
    #[error("{0} interfaces were named: name one to listen on, or two to bridge")]
    Interfaces(usize),
    /// Both ports are one interface.
    #[error("{0} cannot be bridged to itself: name two interfaces")]
    SameInterface(String),
    /// No such interface.
    #[error("there is no interface {0} in this network namespace; `ip link` lists them")]
    NoInterface(String),
    /// Another process has the port.
    #[error(
        "a Weir already runs on {interface}{}; stop it first{}",
        .pid.map_or_else(String::new, |pid| format!(" (process {pid})")),
        .pid.map_or("", |_| " (a stopped process still has its ports: continue it or kill it)")
    )]
    InUse {
        /// The port.
        interface: String,
        /// The process, where the system says.
        pid: Option<i32>,
    },
    /// A Weir that has ended left the port in another bridge.
    #[error(
        "{interface} is still a port of {bridge}, which a Weir that has ended left in the kernel; remove that first: `weir detach {interface}`"
    )]
    OtherBridge {
        /// The port.
        interface: String,
        /// The interfaces of the other bridge.
        bridge: String,
    },
    /// Somebody else's program is there.
    #[error(
        "{interface} already has an XDP program, {program}; Weir does not replace it: remove it with its own tool, or with `ip link set dev {interface} xdp off` (`xdpgeneric off` if it is generic)"
    )]
    Foreign {
        /// The port.
        interface: String,
        /// Its name and number.
        program: String,
    },
    /// Native XDP was demanded.
    #[error(
        "{interface} cannot run the program in its driver: {why}; mend that, or allow generic mode, which is slower"
    )]
    NoNative {
        /// The port.
        interface: String,
        /// In the kernel's words, where it has any.
        why: String,
    },
    /// Native XDP was demanded, and would lose frames.
    #[error(
        "frames that the kernel forwards to {interface} in native mode would be lost: {why}; mend that, or allow generic mode"
    )]
    CannotForward {
        /// The port.
        interface: String,
        /// What it lacks.
        why: String,
    },
    /// The program cannot be attached.
    #[error("the program cannot be attached to {interface}: {why}{}", remedy(.source))]
    Attach {
        /// The port.
        interface: String,
        /// In the kernel's words, where it has any.
        why: String,
        /// The system's error.
        source: io::Error,
    },
    /// Queues that nobody would serve.
    #[error(
        "{interface} receives on {has} queues, but only {served} are served: serve them all, or `ethtool -L {interface} combined {served}` (veth: `rx {served}`)"
    )]
    Queues {
        /// The port.
        interface: String,
        /// How many it has.
        has: u32,
        /// How many there would be workers for.
        served: u32,
    },
    /// A setting out of range.
    #[error("{what} must be from {least} to {most}, not {is}")]
    Range {
        /// Which.
        what: &'static str,
        /// What it was.
        is: u64,
        /// Its bounds.
        least: u64,
        /// Its bounds.
        most: u64,
    },
    /// No BPF file system.
    #[error("there is no BPF file system at {}, and none could be mounted: {source}; `mount -t bpf bpf {}`, or name another place", .path.display(), .path.display())]
    NoBpfFs {
        /// Where it should be.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing to detach.
    #[error("Weir has left nothing on {0} in this network namespace")]
    NothingThere(String),
    /// The kernel will not have the program.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The object that is part of this program is damaged.
    #[error("the XDP program in this executable cannot be read: {0}")]
    Object(String),
    /// Anything else that the system would not do.
    #[error("{doing}: {source}{}", remedy(.source))]
    System {
        /// What was being done.
        doing: String,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: what was being done when the system refused.
    pub(super) fn doing(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::System {
            doing: doing.into(),
            source,
        }
    }
}

/// What to do about an error of the system, where that is clear.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "; it needs root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW (and CAP_SYS_ADMIN to mount a BPF file system)"
        }
        Some(libc::ENOMEM) => {
            "; memory is short: fewer flows in the kernel's table need less, and before Linux 5.11 so does `ulimit -l`"
        }
        Some(libc::ENOSYS) => {
            "; the kernel has no bpf(2), or forbids it: Weir needs Linux 5.15 or later"
        }
        _ => "",
    }
}
