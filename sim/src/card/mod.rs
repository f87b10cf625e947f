//! A card as a process of its own, or as a thread: a core behind the ways to a card, which misbehaves on command.
//!
//! [`SimCard`] is a card over shared memory, [`Listener`] one in a folder, with device nodes, shared memory or both, that is commanded by
//! a socket ([`Control`]). [`Fault`] says what can go wrong.

mod board;
mod control;
mod cut;
mod fault;
mod faults;
mod held;
mod jobs;
mod listen;
mod mount;
mod nodes;
mod serve;

use std::path::PathBuf;
use std::time::Duration;

use weir_tables::{Geometry, Size};

pub use control::{Control, ControlError};
pub use fault::{Fault, FaultError, KINDS, Kind};
pub use faults::Faults;
pub use listen::{Listener, Transport};
pub use serve::{Ended, SimCard};

use crate::SimError;
use crate::engine::Engine;

/// File in a card's folder that says where its shared memory is.
pub const SHM_FILE: &str = "weir_shm";

/// What becomes of the process when the card dies by a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Death {
    /// The card is gone, the process goes on.
    #[default]
    End,
    /// It aborts: nothing is tidied up.
    Abort,
}

/// A card to be made.
#[derive(Clone, Debug)]
pub struct Config {
    /// What runs the core.
    pub engine: Engine,
    /// How large it is.
    pub geometry: Geometry,
    /// Rings of the shared memory.
    pub rings: card_shm::Options,
    /// After so long a transfer by a node times out.
    pub patience: Duration,
    /// What dying means.
    pub death: Death,
    /// Faults from the start.
    pub faults: Vec<Fault>,
}

impl Default for Config {
    /// The golden model of a full core with 64 lanes; a transfer times out after 10 seconds, as with the vendor's driver.
    fn default() -> Self {
        Self {
            engine: Engine::Model,
            geometry: Geometry::new(64, Size::Full),
            rings: card_shm::Options::default(),
            patience: Duration::from_secs(10),
            death: Death::End,
            faults: Vec::new(),
        }
    }
}

/// Why a card could not be made, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The core cannot be made, or broke off.
    #[error(transparent)]
    Core(#[from] SimError),
    /// Shared memory.
    #[error(transparent)]
    Shm(#[from] card_shm::ShmError),
    /// A file, folder or socket.
    #[error("{}: {what}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: std::io::Error,
    },
    /// The file system cannot be served.
    #[error(
        "{}: cannot be mounted ({error}): run as root with /dev/fuse there, or use --transport shm, which needs neither",
        path.display()
    )]
    Mount {
        /// Where.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process serves a card there.
    #[error("{}: another process serves a card there; end it first, or choose another folder", path.display())]
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// The folder has something else in it.
    #[error("{}: not empty; a card needs a folder of its own", path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// A fault that this card cannot have.
    #[error(
        "fault '{fault}': the {engine} has no way to change its memories behind its registers: use --engine model"
    )]
    Unsupported {
        /// Its name.
        fault: &'static str,
        /// What runs the core.
        engine: &'static str,
    },
    /// The thread panicked.
    #[error("the card's thread panicked")]
    Panicked,
}

impl CardError {
    /// For `map_err` where a path is at hand.
    pub(crate) fn file(
        path: impl Into<PathBuf>,
        what: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, what, error }
    }
}
