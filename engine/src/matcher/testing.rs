//! One corpus of cases and one driver for every matcher backend.
//!
//! * [`corpus()`] reads the cases of `engine/corpus/*.toml`, whose README says what stands in them.
//! * [`random_cases`] draws cases from a seed: any set, any buffer, any carry, any group; [`strategies`] draws the
//!   same kind of case for property tests, and shrinks it.
//! * [`Driver`] holds a backend to cases: tables in succession, several buffers in flight, reports in any order.
//! * [`naive`] is the definition of what is to be found; all expected answers that are not written down come from it.
//!
//! ```
//! use weir_engine::matcher::Plain;
//! use weir_engine::matcher::testing::{Driver, random_cases};
//!
//! let mut matcher = Plain::new();
//! let driver = Driver::default();
//! let tally = driver.check(&mut matcher)?;
//! assert_eq!((tally.skipped, tally.unfinished), (0, 0));
//! for case in random_cases(1, 100) {
//!     driver.run(&mut matcher, &case)?;
//! }
//! # Ok::<(), weir_engine::matcher::testing::Mismatch>(())
//! ```

mod corpus;
mod driver;
mod recipe;
mod rng;
pub mod strategies;
#[cfg(test)]
mod tests;

pub use corpus::{CorpusError, corpus, parse};
pub use driver::{Driver, Mismatch, Tally};
pub use recipe::{Shape, Sizes, random_case, random_cases};
pub use rng::Rng;

use super::{Hit, Probe, Request};

/// A table, and what must be found with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique in the corpus; random cases are named by their seed.
    pub name: String,
    /// The table.
    pub probes: Vec<Probe>,
    /// Buffers, in the order they are submitted.
    pub asks: Vec<Ask>,
}

/// A buffer and the right answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Group whose probes are wanted.
    pub group: u8,
    /// How many of the first bytes of `data` are carry.
    pub carry: u8,
    /// Carry and buffer.
    pub data: Vec<u8>,
    /// What must be found, in the order of the probes, each once.
    pub hits: Vec<Hit>,
}

impl Ask {
    /// A buffer whose answer is the definition's.
    pub fn new(probes: &[Probe], group: u8, carry: u8, data: Vec<u8>) -> Self {
        let hits = naive(
            probes,
            &Request {
                tag: 0,
                group,
                carry,
                data: &data,
            },
        );
        Self {
            group,
            carry,
            data,
            hits,
        }
    }
}

/// The definition, word for word: the probes of the request's group that have an occurrence that ends after the carry,
/// each with the end of its first one, in the order of the probes.
pub fn naive(probes: &[Probe], request: &Request<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (number, probe) in probes.iter().enumerate() {
        if probe.groups >> request.group & 1 == 0 {
            continue;
        }
        let first = (1..=request.data.len())
            .find(|&end| end > usize::from(request.carry) && probe.ends(&request.data[..end]));
        hits.extend(first.map(|end| Hit {
            probe: number as u32,
            end: end as u32,
        }));
    }
    hits
}
