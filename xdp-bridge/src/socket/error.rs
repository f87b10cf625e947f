//! Why a socket could not be opened, and what to do about it.

use std::io;

use rustix::io::Errno;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening an AF_XDP socket.
    Socket,
    /// Giving it the frames' memory.
    Memory,
    /// Making its rings.
    Rings,
    /// Binding it to the queue.
    Bind,
    /// Asking in which mode it works.
    Options,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Socket => "opening an AF_XDP socket",
            Self::Memory => "registering the frames' memory",
            Self::Rings => "making the socket's rings",
            Self::Bind => "binding the socket",
            Self::Options => "reading the socket's mode",
        }
    }
}

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("interface {interface}, queue {queue}: {}: {source}{}", step.words(), advice(*step, source))]
pub struct SocketError {
    /// The interface's name.
    pub interface: String,
    /// Its receive queue.
    pub queue: u32,
    /// What failed.
    pub step: Step,
    /// How.
    pub source: io::Error,
}

impl SocketError {
    pub(super) fn new(interface: &str, queue: u32, step: Step, error: Errno) -> Self {
        Self::io(interface, queue, step, error.into())
    }

    pub(super) fn io(interface: &str, queue: u32, step: Step, source: io::Error) -> Self {
        Self {
            interface: interface.to_owned(),
            queue,
            step,
            source,
        }
    }

    /// True where the driver, or another socket's mode, does not allow the mode that was asked for.
    pub(crate) fn is_mode(&self) -> bool {
        let errno = Errno::from_io_error(&self.source);
        self.step == Step::Bind
            && matches!(
                errno,
                Some(Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::INVAL)
            )
    }

    /// True where another socket has the queue.
    pub(crate) fn is_busy(&self) -> bool {
        self.step == Step::Bind && Errno::from_io_error(&self.source) == Some(Errno::BUSY)
    }
}

/// What to do about a failure.
fn advice(step: Step, error: &io::Error) -> &'static str {
    match (step, Errno::from_io_error(error)) {
        (Step::Socket, Some(Errno::PERM | Errno::ACCESS)) => {
            " (AF_XDP needs the capability CAP_NET_RAW: run as root, or give the service that capability)"
        }
        (Step::Socket, Some(Errno::AFNOSUPPORT)) => {
            " (this kernel was built without AF_XDP: it needs CONFIG_XDP_SOCKETS)"
        }
        (Step::Memory, Some(Errno::NOBUFS | Errno::NOMEM)) => {
            " (the memory may not be locked: raise the limit of locked memory, `ulimit -l` or LimitMEMLOCK=, or give CAP_IPC_LOCK, or ask for fewer frames)"
        }
        (Step::Rings, Some(Errno::NOMEM)) => " (out of memory: ask for smaller rings)",
        (Step::Bind, Some(Errno::BUSY)) => {
            " (another socket uses this queue: is another program, or another Weir, on this interface?)"
        }
        (Step::Bind, Some(Errno::INVAL)) => {
            " (the interface has no such queue: see `ethtool -l`; or it has no XDP program in the right mode)"
        }
        (Step::Bind, Some(Errno::OPNOTSUPP)) => {
            " (the driver does not do zero-copy: ask for copy mode)"
        }
        (Step::Bind, Some(Errno::NODEV | Errno::NXIO)) => {
            " (there is no such interface any more: has it been removed?)"
        }
        (Step::Bind, Some(Errno::NETDOWN)) => " (the interface is down: `ip link set … up`)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_what_and_what_to_do() {
        let error = SocketError::new("eth7", 3, Step::Bind, Errno::BUSY);
        let text = error.to_string();
        assert!(text.starts_with("interface eth7, queue 3: binding the socket: "));
        assert!(text.contains("another Weir"), "{text}");
        assert!(!error.is_mode());
        let refused = SocketError::new("eth7", 3, Step::Bind, Errno::OPNOTSUPP);
        assert!(refused.is_mode());
        assert!(!SocketError::new("eth7", 3, Step::Rings, Errno::OPNOTSUPP).is_mode());
    }
}
