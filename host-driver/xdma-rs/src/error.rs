//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `ERESTARTSYS`, which is the kernel's own and should never be seen: the driver hands it out when a transfer times out.
const ERESTARTSYS: i32 = 512;

/// Why an access failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no card in this folder.
    #[error(
        "{}: no XDMA device; see whether the card is there (lspci -d 10ee:) and the driver loaded (lsmod | grep xdma)",
        folder.display()
    )]
    NoDevice {
        /// Where nodes were looked for.
        folder: PathBuf,
    },
    /// The card has no such node.
    #[error("{}: no such node; the design has no such part, or the driver was loaded before the design", path.display())]
    NoNode {
        /// Which.
        path: PathBuf,
    },
    /// The node may not be opened.
    #[error("{}: permission denied; run as root, or let your user open the node (a udev rule)", path.display())]
    Permission {
        /// Which.
        path: PathBuf,
    },
    /// Somebody else has it open.
    #[error("{}: in use by another process; find and end it (fuser -v {})", path.display(), path.display())]
    Busy {
        /// Which.
        path: PathBuf,
    },
    /// The card did not do it in the driver's time.
    #[error(
        "{}: {what} timed out after {:.1} s; the design does not take or give data, or interrupts do not arrive (driver parameters h2c_timeout_ms, c2h_timeout_ms, poll_mode)",
        path.display(), after.as_secs_f64()
    )]
    TimedOut {
        /// Which node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// How long it took.
        after: Duration,
    },
    /// The card, or the driver, is no longer there.
    #[error("{}: {what}: the device is gone; open it anew when it is back", path.display())]
    Gone {
        /// Which node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
    },
    /// A register's address cannot be served.
    #[error("{}: register {address:#x}: expected a multiple of 4{}", path.display(), below(.space))]
    Address {
        /// Which node.
        path: PathBuf,
        /// Byte offset.
        address: u32,
        /// Bytes that there are, if that is known.
        space: Option<usize>,
    },
    /// A transfer of no bytes, or of too many.
    #[error("{}: transfer of {got} bytes: expected 1 to {most}", path.display())]
    Length {
        /// Which node.
        path: PathBuf,
        /// Bytes.
        got: usize,
        /// The most.
        most: usize,
    },
    /// The driver moved less than a register or an event has.
    #[error("{}: {what}: {got} bytes, expected {expected}", path.display())]
    Short {
        /// Which node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Bytes.
        got: usize,
        /// Bytes it should be.
        expected: usize,
    },
    /// The engine's registers do not show this channel.
    #[error(
        "{}: identifier at {address:#x} is {got:#010x}, expected 0x1fc in the upper bits, target and channel below; all ones means that the link is lost",
        path.display()
    )]
    Identity {
        /// Which node.
        path: PathBuf,
        /// Byte offset.
        address: u32,
        /// What stands there.
        got: u32,
    },
    /// What else the operating system says.
    #[error("{}: {what}: {error}", path.display())]
    Io {
        /// Which node.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
}

fn below(space: &Option<usize>) -> String {
    space.map_or(String::new(), |space| format!(" below {space:#x}"))
}

impl Error {
    /// Says what an error of the system means on this node, after a call that took so long.
    pub(crate) fn of(path: &Path, what: &'static str, error: io::Error, after: Duration) -> Self {
        use rustix::io::Errno;
        let path = path.to_owned();
        let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        let any = |all: &[Errno]| all.iter().any(|&errno| is(errno));
        if error.raw_os_error() == Some(ERESTARTSYS) || any(&[Errno::TIMEDOUT, Errno::TIME]) {
            Self::TimedOut { path, what, after }
        } else if is(Errno::BUSY) {
            Self::Busy { path }
        } else if any(&[Errno::ACCESS, Errno::PERM]) {
            Self::Permission { path }
        } else if any(&[
            Errno::NODEV,
            Errno::NXIO,
            Errno::NOTCONN,
            Errno::CONNABORTED,
            Errno::PIPE,
        ]) {
            Self::Gone { path, what }
        } else if is(Errno::NOENT) {
            Self::NoNode { path }
        } else {
            Self::Io { path, what, error }
        }
    }

    /// True when it may work when tried again: nothing came in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_told_apart() {
        let path = Path::new("/dev/xdma0_c2h_0");
        let of = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            Error::of(path, "reading", error, Duration::from_millis(10_500))
        };
        assert!(of(512).is_timeout() && of(110).is_timeout());
        assert!(
            of(512)
                .to_string()
                .contains("reading timed out after 10.5 s"),
            "{}",
            of(512)
        );
        assert!(matches!(of(16), Error::Busy { .. }));
        assert!(matches!(of(13), Error::Permission { .. }));
        assert!(matches!(of(107), Error::Gone { .. }));
        assert!(matches!(of(2), Error::NoNode { .. }));
        assert!(matches!(of(5), Error::Io { .. }));
    }
}
