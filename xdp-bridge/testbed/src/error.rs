//! What can go wrong with a bed.

use std::io;
use std::time::Duration;

/// Why a bed, or something on it, could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BedError {
    /// A program or a privilege is missing; the text says which, and what to do.
    #[error("{0}")]
    Missing(String),
    /// The kernel refused something.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program failed.
    #[error("{command}: {status}: {stderr}")]
    Command {
        /// Program and arguments.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// Something did not happen in time.
    #[error("{what}: not within {limit:?}")]
    Late {
        /// What was waited for, and what was seen instead.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl BedError {
    /// For `map_err`: names what was being done.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| BedError::System {
            what,
            source: source.into(),
        }
    }
}
