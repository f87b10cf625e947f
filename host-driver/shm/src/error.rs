//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why something did not work. Messages do not name the file, but where it is not known yet that it is a card's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShmError {
    /// There is no such file.
    #[error("{}: no such card; is its process running?", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file may not be opened.
    #[error("{}: permission denied; the user who runs the card can open it", path.display())]
    Permission {
        /// Which.
        path: PathBuf,
    },
    /// A process that lives holds this end of the card.
    #[error("{}: in use by process {pid}; end that process first", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// Who, as the file says.
        pid: u32,
    },
    /// The file is no card, or one of another version.
    #[error("{}: {what} is {got:#x}, expected {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Which field.
        what: &'static str,
        /// What stands there.
        got: u64,
        /// What may.
        expected: String,
    },
    /// Sizes that a card cannot have.
    #[error("{what} of {got} bytes: expected a power of two from {least} to {most}")]
    Size {
        /// Of what.
        what: &'static str,
        /// What was asked for.
        got: usize,
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// Nothing happened in the time that was given.
    #[error("{what}: timed out")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
    },
    /// The other side closed its end, or died.
    #[error("{what}: the other side is gone")]
    Gone {
        /// What was tried.
        what: &'static str,
    },
    /// The other side wrote what cannot be.
    #[error("{what} is {got}, expected {expected}; the other side is out of order")]
    Corrupt {
        /// Which field.
        what: &'static str,
        /// What stands there.
        got: u32,
        /// What may.
        expected: &'static str,
    },
    /// What the operating system says.
    #[error("{}: {what}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: io::Error,
    },
}

impl ShmError {
    /// For `map_err` where a path is at hand.
    pub(crate) fn io<E: Into<io::Error>>(
        path: &Path,
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |error| {
            let (error, path) = (error.into(), path.to_owned());
            match error.kind() {
                io::ErrorKind::NotFound => Self::Absent { path },
                io::ErrorKind::PermissionDenied => Self::Permission { path },
                _ => Self::Io { path, what, error },
            }
        }
    }
}
