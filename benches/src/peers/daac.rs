//! The crate `daachorse`.

use daachorse::DoubleArrayAhoCorasick;
use weir_engine::matcher::{Hit, Probe};

use super::fold::Folded;
use crate::BenchError;
use crate::contender::Contender;

/// A double array; `None` without probes, which the crate does not take.
pub(super) struct Daac {
    automaton: Option<DoubleArrayAhoCorasick<u32>>,
    folded: Folded,
    copy: Vec<u8>,
}

impl Daac {
    pub fn new(probes: &[Probe]) -> Result<Self, BenchError> {
        let folded = Folded::new(probes);
        let automaton = if folded.literals.is_empty() {
            None
        } else {
            let built = DoubleArrayAhoCorasick::new(&folded.literals);
            Some(built.map_err(|error| BenchError::contender("daachorse", error))?)
        };
        Ok(Self {
            automaton,
            folded,
            copy: Vec::new(),
        })
    }
}

impl Contender for Daac {
    fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError> {
        let Some(automaton) = &self.automaton else {
            return Ok(());
        };
        self.folded.next_buffer();
        self.copy.clear();
        self.copy.extend_from_slice(data);
        self.copy.make_ascii_lowercase();
        for hit in automaton.find_overlapping_iter(&self.copy) {
            self.folded
                .note(hit.value() as usize, hit.end(), data, found);
        }
        Ok(())
    }

    fn table_bytes(&self) -> Option<usize> {
        let automaton = self.automaton.as_ref();
        Some(automaton.map_or(0, |automaton| automaton.heap_bytes()) + self.folded.bytes())
    }
}
