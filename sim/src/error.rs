//! What can go wrong in a simulation.

use std::path::PathBuf;

/// Why something could not be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A program that is needed cannot be started.
    #[error("cannot run {program} ({why}): {hint}")]
    Tool {
        /// What was to run.
        program: String,
        /// What the system said.
        why: std::io::Error,
        /// How to get it.
        hint: &'static str,
    },
    /// A program ended with an error.
    #[error("{program} failed:\n{output}")]
    Failed {
        /// What ran.
        program: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// A compiled model cannot be loaded, or is not what was asked for.
    #[error("{}: {why}", path.display())]
    Library {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The core's Verilog could not be written.
    #[error("no Verilog: {0}")]
    Emit(String),
    /// The simulated circuit broke off.
    #[error("cycle {cycle}: {what}")]
    Circuit {
        /// When.
        cycle: u64,
        /// Why.
        what: String,
    },
    /// The core did not do within a bound what it must.
    #[error("cycle {cycle}: no {what} within {bound} cycles")]
    Hung {
        /// When it was given up.
        cycle: u64,
        /// What was waited for.
        what: &'static str,
        /// How long.
        bound: u64,
    },
    /// The core broke a rule of its interfaces.
    #[error("cycle {cycle}: {what}")]
    Protocol {
        /// When, or up to when.
        cycle: u64,
        /// Which rule.
        what: String,
    },
    /// Tables could not be made or loaded.
    #[error("tables: {0}")]
    Tables(String),
    /// This kind of core has none of that.
    #[error("{core}: {what}")]
    Unsupported {
        /// Its name.
        core: &'static str,
        /// What was asked for.
        what: &'static str,
    },
}

impl SimError {
    /// For `map_err` where a path is at hand.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |why| Self::File { path, why }
    }
}
