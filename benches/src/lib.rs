//! Measures matchers on the same probe sets and the same buffers, and compares their answers before any time is told.
//!
//! * [`workload`] makes probe sets and buffers: from rules and captures where there are some, else from nothing.
//! * [`contender`] lists what is measured. With the cargo feature `peers` that includes libhs (Hyperscan, or Vectorscan,
//!   whichever is installed) and the crates `aho-corasick` and `daachorse`; `peers` says how each is set up.
//! * [`answers`] holds every contender's answers to those of the plain reference.
//! * [`measure`] takes processor time, in rounds in which all contenders take turns, and latencies.
//! * [`scenario`] puts these together, and [`report`] writes what came out.
//! * [`flow`] measures the flow table by itself, and under floods.
//! * [`cost`] measures what the whole engine takes for a packet, by stage and number of connections, and [`flood`] floods
//!   it.
//! * [`offload`] measures what a card leaves to the host.
//! * [`wire`] measures a sensor between two hosts: rates without loss, latencies, bypassed flows, failures.
//!
//! Everyone looks for the first occurrence of each probe in each buffer, in one group, without carry.

pub mod answers;
pub mod contender;
pub mod cost;
pub mod flood;
pub mod flow;
pub mod measure;
pub mod offload;
#[cfg(feature = "peers")]
pub mod peers;
pub mod report;
pub mod scenario;
pub mod wire;
pub mod workload;

use std::path::PathBuf;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Rules cannot be read.
    #[error(transparent)]
    Rules(#[from] weir_rules::syntax::LoadError),
    /// A capture cannot be read.
    #[error(transparent)]
    Capture(#[from] weir_capture::CaptureError),
    /// A file or folder of the report cannot be written.
    #[error("{}: {error}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A test network, or something in it, does not do as it should.
    #[error(transparent)]
    Bed(#[from] weir_testbed::BedError),
    /// Nothing to measure with.
    #[error("{0}")]
    Nothing(String),
    /// A contender cannot take a probe set.
    #[error("{contender}: {why}")]
    Contender {
        /// Which.
        contender: String,
        /// What it said.
        why: String,
    },
    /// Two contenders disagree.
    #[error(transparent)]
    Differs(#[from] Box<answers::Difference>),
}

impl BenchError {
    /// What `contender` said.
    pub(crate) fn contender(contender: &str, why: impl std::fmt::Display) -> Self {
        Self::Contender {
            contender: contender.to_owned(),
            why: why.to_string(),
        }
    }
}
