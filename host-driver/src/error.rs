//! Why a card cannot be used.

use std::path::PathBuf;

use card_protocol::register;
use weir_tables::GeometryError;

use crate::link::LinkError;

/// Why a card could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing at this path.
    #[error(
        "{}: no such device: name the folder that has the card's nodes (/dev for a card whose XDMA driver is loaded, or what `weir-sim card --listen` serves)",
        path.display()
    )]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder has no nodes of a card.
    #[error(
        "{}: no card here: expected nodes named xdma*_user, or weir_shm; load the XDMA driver, or start `weir-sim card --listen {}`",
        path.display(),
        path.display()
    )]
    NoNodes {
        /// The folder.
        path: PathBuf,
    },
    /// This user may not.
    #[error(
        "{}: no permission: run as a user that may read and write the card's nodes, or give this one the right (a udev rule, or chmod)",
        path.display()
    )]
    Permission {
        /// What could not be opened.
        path: PathBuf,
    },
    /// Somebody else has it.
    #[error(
        "{}: another process holds the card{}: stop that one, or name another device",
        path.display(),
        holder.map_or(String::new(), |pid| format!(" (process {pid})"))
    )]
    Busy {
        /// The card.
        path: PathBuf,
        /// Which process, if it is known.
        holder: Option<u32>,
    },
    /// Something else about the path.
    #[error("{}: {why}", path.display())]
    Other {
        /// What could not be opened.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The identity registers are not those of a core that this program knows.
    #[error("{name}: {error}: {}", identity_hint(error))]
    Identity {
        /// The card.
        name: String,
        /// What is wrong.
        error: GeometryError,
    },
    /// An access failed.
    #[error("{name}: {error}")]
    Link {
        /// The card.
        name: String,
        /// Why.
        error: LinkError,
    },
    /// Nothing came of it in time.
    #[error("{name}: the card does not answer: no register was read within {seconds} s")]
    Silent {
        /// The card.
        name: String,
        /// How long it was waited for.
        seconds: f64,
    },
}

/// What to do about it.
fn identity_hint(error: &GeometryError) -> &'static str {
    match error {
        GeometryError::Magic { got: u32::MAX } => {
            "all ones are what a card answers that has dropped off the bus: reset or reseat it"
        }
        GeometryError::Magic { .. } => "load a bitstream of the matcher core into the card",
        GeometryError::Interface { got } if *got > register::INTERFACE_VALUE => {
            "the bitstream is newer than this program: update the program, or load an older bitstream"
        }
        _ => "load a bitstream that was built for this program",
    }
}
