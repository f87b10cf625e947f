//! How a command ends when it does not end well.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command failed, and with that its exit status.
#[derive(Debug)]
pub enum Failure {
    /// The command line or the configuration is wrong: exit status 2.
    Usage(String),
    /// Something failed at run time or was refused: exit status 1.
    Failed(String),
    /// As [`Failure::Failed`], and the result on standard output has already said why.
    Refused,
}

impl Failure {
    /// A failure at run time.
    pub fn failed(why: impl Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// Standard output could not be written to.
    pub fn stdout(error: std::io::Error) -> Self {
        Self::Failed(format!("cannot write to standard output: {error}"))
    }

    /// What is still to be said about it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message),
            Self::Refused => None,
        }
    }

    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Refused => ExitCode::from(1),
        }
    }
}
