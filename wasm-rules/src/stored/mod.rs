//! Compiled rules as bytes, whose variables are resolved when they are read.
//!
//! What stands in bytes are plans, without the addresses and ports of their headers. These are kept as they were written, each
//! distinct expression once, and resolved with the variables of whoever reads them. With the plans goes what was said about
//! rules when they were compiled, so that a reader can say it again, and the contents of the files that data sets are
//! loaded from.
//!
//! Bytes come in parts: one that all rules share, and pieces of about [`PIECE`] rules, which several threads read at the same
//! time. Nothing in them is believed: what is read is held to what the engine relies on
//! ([`weir_engine::plan::Rule::sound`]), numbers that lead elsewhere are checked, and memory is bounded by the size of the
//! parts.

mod report;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_engine::app::{self, AppBuffer, AppField, AppProto};
use weir_engine::packet::DecoderEvent;
use weir_engine::plan::{AddrSet, DataSet, PortSet, Rule};
use weir_engine::stream::StreamEvent;

use crate::compile::{Loaded, Written};
use report::Report;

pub use resolve::{Pieces, read, read_pieces};

/// Rules of a piece.
pub const PIECE: usize = 512;

/// The version of the encoding. What an older or newer Weir wrote is not read: it takes a second to build it again.
pub const VERSION: u32 = 1;

/// Compiled rules, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What all rules share: expressions, names of files, data sets, what was said when they were compiled.
    pub shared: Vec<u8>,
    /// Rules, in evaluation order.
    pub pieces: Vec<Vec<u8>>,
}

/// Why rules could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file of a data set cannot be read.
    #[error("{path}: cannot read the data set: {error}")]
    DataSet {
        /// Its place.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The rules come from a compiler that did not keep variables.
    #[error("cannot write rules whose variables have been resolved")]
    Resolved,
    /// A rule, or what rules share, cannot be written.
    #[error("cannot write a rule: {0}")]
    Unwritable(postcard::Error),
    /// Not what this version of Weir writes.
    #[error("{part} of the rules cannot be read: {why}")]
    Unreadable {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl StoredError {
    fn unreadable(part: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            part,
            why: why.to_string(),
        }
    }
}

/// What all rules share.
#[derive(Serialize, Deserialize)]
struct Shared {
    /// Expressions of headers.
    addresses: Vec<String>,
    ports: Vec<String>,
    /// Files that rules came from.
    origins: Vec<String>,
    data_sets: Vec<DataSet>,
    report: Report,
}

/// A rule whose header has neither addresses nor ports, and whose file has no name.
#[derive(Serialize, Deserialize)]
struct Row {
    rule: Rule,
    /// Indices in [`Shared::addresses`]: source and destination.
    addresses: [u32; 2],
    /// Indices in [`Shared::ports`]: source and destination.
    ports: [u32; 2],
    /// Index in [`Shared::origins`].
    origin: u32,
}

/// What the bytes depend on beside [`VERSION`]: the names of all that rules can speak of, as a number. Whoever has others does not
/// read them.
pub fn vocabulary() -> u64 {
    let mut sum = Sha256::new();
    let mut add = |name: &str| {
        sum.update(name.as_bytes());
        sum.update([0]);
    };
    AppBuffer::ALL.iter().for_each(|of| add(of.name()));
    AppField::ALL.iter().for_each(|of| add(of.name()));
    AppProto::ALL.iter().for_each(|of| add(of.name()));
    DecoderEvent::ALL.iter().for_each(|of| add(of.name()));
    StreamEvent::ALL.iter().for_each(|of| add(of.name()));
    app::events().for_each(&mut add);
    let sum = sum.finalize();
    sum.iter()
        .take(8)
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Texts, each once, with their numbers.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.numbers.get(text) {
            return known;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// Writes what a compiler that keeps variables made ([`crate::compile::Compiler::keeping_variables`]).
///
/// # Errors
/// When the file of a data set cannot be read, or the compiler was another.
pub fn write(loaded: Loaded) -> Result<Parts, StoredError> {
    if loaded.written.len() != loaded.rules.rules().len() {
        return Err(StoredError::Resolved);
    }
    let report = Report::new(&loaded);
    let written = loaded.written;
    let (rules, mut data_sets) = loaded.rules.into_parts();
    for set in &mut data_sets {
        if let Some(path) = &set.load {
            let contents = std::fs::read(path).map_err(|error| StoredError::DataSet {
                path: path.clone(),
                error,
            })?;
            set.contents = Some(contents.into());
        }
    }
    let (mut addresses, mut ports, mut origins) =
        (Texts::default(), Texts::default(), Texts::default());
    let mut rows = Vec::with_capacity(rules.len());
    for (mut rule, written) in rules.into_iter().zip(written) {
        let Written {
            addresses: of_addresses,
            ports: of_ports,
        } = written;
        let header = &mut rule.header;
        (header.src, header.dst) = (AddrSet::none(), AddrSet::none());
        (header.sport, header.dport) = (PortSet::none(), PortSet::none());
        header.negated_addresses = false;
        let file = std::mem::take(&mut rule.meta.origin.0);
        rows.push(Row {
            addresses: of_addresses.map(|text| addresses.number(&text)),
            ports: of_ports.map(|text| ports.number(&text)),
            origin: origins.number(&file),
            rule,
        });
    }
    let shared = Shared {
        addresses: addresses.texts,
        ports: ports.texts,
        origins: origins.texts,
        data_sets,
        report,
    };
    let pieces = rows.chunks(PIECE).map(postcard::to_allocvec);
    Ok(Parts {
        shared: postcard::to_allocvec(&shared).map_err(StoredError::Unwritable)?,
        pieces: pieces
            .collect::<Result<_, _>>()
            .map_err(StoredError::Unwritable)?,
    })
}
