//! The crate `aho-corasick`.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use weir_engine::matcher::{Hit, Probe};

use super::fold::Folded;
use crate::BenchError;
use crate::contender::Contender;

/// Name of the contender that is a DFA.
pub const DFA: &str = "aho-corasick/dfa";
/// Name of the contender that is an NFA.
pub const NFA: &str = "aho-corasick/nfa";
/// Most probes of a DFA: 20,000 take about half a gigabyte to build.
pub const MOST_DFA: usize = 20_000;

/// An automaton.
pub struct Aho {
    automaton: AhoCorasick,
    folded: Folded,
}

impl Aho {
    /// A DFA.
    ///
    /// # Errors
    ///
    /// More than [`MOST_DFA`] probes, or what the crate says.
    pub fn dfa(probes: &[Probe]) -> Result<Self, BenchError> {
        if probes.len() > MOST_DFA {
            let why = format!("left out: more than {MOST_DFA} probes");
            return Err(BenchError::contender(DFA, why));
        }
        Self::build(DFA, probes, AhoCorasickKind::DFA)
    }

    /// A contiguous NFA.
    ///
    /// # Errors
    ///
    /// What the crate says.
    pub fn nfa(probes: &[Probe]) -> Result<Self, BenchError> {
        Self::build(NFA, probes, AhoCorasickKind::ContiguousNFA)
    }

    fn build(name: &str, probes: &[Probe], kind: AhoCorasickKind) -> Result<Self, BenchError> {
        let folded = Folded::new(probes);
        let automaton = AhoCorasick::builder()
            .kind(Some(kind))
            .ascii_case_insensitive(true)
            .build(&folded.literals)
            .map_err(|error| BenchError::contender(name, error))?;
        Ok(Self { automaton, folded })
    }
}

impl Contender for Aho {
    fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError> {
        self.folded.next_buffer();
        for hit in self.automaton.find_overlapping_iter(data) {
            self.folded
                .note(hit.pattern().as_usize(), hit.end(), data, found);
        }
        Ok(())
    }

    fn table_bytes(&self) -> Option<usize> {
        Some(self.automaton.memory_usage() + self.folded.bytes())
    }
}
