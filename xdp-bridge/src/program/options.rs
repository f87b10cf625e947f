//! What a bridge is to be.

use std::path::PathBuf;
use std::time::Duration;

use weir_xdp_common::{CLOSED, INLINE, MAX_QUEUES, OPEN, PASSIVE};

use super::error::Error;
use super::place::BPFFS;

/// How the program is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// In the drivers, or not at all.
    Native,
    /// In the network stack: slower, with any driver.
    Generic,
    /// In the drivers where all ports can, otherwise generic, with a warning.
    #[default]
    Auto,
}

/// How the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
}

impl Mode {
    /// `XDP_FLAGS_DRV_MODE` or `XDP_FLAGS_SKB_MODE`.
    pub(super) fn flags(self) -> u32 {
        match self {
            Self::Native => 1 << 2,
            Self::Generic => 1 << 1,
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// What becomes of frames that user space does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    /// They go on uninspected: to the other port, or, passive, to the host.
    #[default]
    Open,
    /// They are dropped.
    Closed,
}

impl Fail {
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Open => OPEN,
            Self::Closed => CLOSED,
        }
    }
}

/// What a bridge, or a passive sensor, is to be.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// Names of one interface to listen on, or of two to bridge.
    pub interfaces: Vec<String>,
    /// How the program is to run.
    pub mode: AttachMode,
    /// What becomes of frames that user space does not take.
    pub fail: Fail,
    /// After how long without a heartbeat a worker is taken for dead: 1 ms to 60 s.
    pub heartbeat: Duration,
    /// Workers, each of which serves the queue of its number on all ports: 1 to 64. `None` for as many as the port with
    /// most queues has.
    pub queues: Option<u32>,
    /// Where a BPF file system is, or one is to be mounted.
    pub bpffs: PathBuf,
    /// How many flows the kernel can be told to forward or drop by itself: 64 to 4,194,304. About 200 bytes each. An
    /// adopted bridge keeps what it has.
    pub flows: u32,
}

impl AttachOptions {
    /// The defaults for these interfaces.
    pub fn new<N: Into<String>>(interfaces: impl IntoIterator<Item = N>) -> Self {
        Self {
            interfaces: interfaces.into_iter().map(Into::into).collect(),
            mode: AttachMode::default(),
            fail: Fail::default(),
            heartbeat: Duration::from_millis(30),
            queues: None,
            bpffs: BPFFS.into(),
            flows: 65_536,
        }
    }

    /// [`INLINE`] or [`PASSIVE`].
    pub(super) fn code(&self) -> u32 {
        if self.interfaces.len() > 1 {
            INLINE
        } else {
            PASSIVE
        }
    }

    /// All that can be said without looking at the system.
    pub(super) fn validate(&self) -> Result<(), Error> {
        match self.interfaces.as_slice() {
            [_] => {}
            [a, b] if a == b => return Err(Error::SameInterface(a.clone())),
            [_, _] => {}
            other => return Err(Error::Interfaces(other.len())),
        }
        let range = |what, is: u64, least, most| {
            if (least..=most).contains(&is) {
                return Ok(());
            }
            Err(Error::Range {
                what,
                is,
                least,
                most,
            })
        };
        let heartbeat = u64::try_from(self.heartbeat.as_millis()).unwrap_or(u64::MAX);
        range("the heartbeat in milliseconds", heartbeat, 1, 60_000)?;
        let queues = self.queues.unwrap_or(1).into();
        range("the number of queues", queues, 1, MAX_QUEUES.into())?;
        range("flows in the kernel", self.flows.into(), 64, 1 << 22)
    }

    /// The heartbeat's timeout in nanoseconds.
    pub(super) fn timeout_ns(&self) -> u64 {
        u64::try_from(self.heartbeat.as_nanos()).unwrap_or(u64::MAX)
    }
}
