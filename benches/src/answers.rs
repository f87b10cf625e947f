//! Are all answers the same?

use weir_engine::matcher::{Hit, Probe};

use crate::BenchError;
use crate::contender::Contender;
use crate::workload::Buffers;

/// Two contenders differ: names the buffer and the probe.
#[derive(Debug, thiserror::Error)]
#[error(
    "{contender} and {reference} differ in buffer {number} ({length} bytes): probe {probe} ({literal}): {contender} has {}, \
     {reference} has {}",
    end(got),
    end(want)
)]
pub struct Difference {
    /// Who differs.
    pub contender: String,
    /// From whom.
    pub reference: String,
    /// Number of the buffer, from 0.
    pub number: usize,
    /// Its length in bytes.
    pub length: usize,
    /// Number of the first probe that they differ in.
    pub probe: u32,
    /// The probe.
    pub literal: String,
    /// The contender's end offset.
    pub got: Option<u32>,
    /// The reference's end offset.
    pub want: Option<u32>,
}

fn end(end: &Option<u32>) -> String {
    end.map_or("none".to_owned(), |end| format!("end {end}"))
}

/// The answers of one contender, all buffers in order: each buffer's hits in the order of the probes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers {
    hits: Vec<Hit>,
    ends: Vec<usize>,
}

impl Answers {
    /// Looks through all buffers once.
    ///
    /// # Errors
    ///
    /// When the contender could not finish a buffer.
    pub fn of(contender: &mut dyn Contender, buffers: &Buffers) -> Result<Self, BenchError> {
        let mut answers = Self::default();
        let mut found = Vec::new();
        for buffer in buffers.iter() {
            found.clear();
            contender.scan(buffer, &mut found)?;
            found.sort_unstable();
            // A backend may repeat a hit.
            found.dedup();
            answers.hits.extend_from_slice(&found);
            answers.ends.push(answers.hits.len());
        }
        Ok(answers)
    }

    /// Hits of all buffers, each probe once a buffer.
    pub fn hits(&self) -> usize {
        self.hits.len()
    }

    fn buffer(&self, number: usize) -> &[Hit] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.hits[start..self.ends[number]]
    }

    /// Compares with the `reference`'s answers on the same buffers; names are (this one's, the reference's).
    ///
    /// # Errors
    ///
    /// The first buffer and probe in which they differ.
    pub fn compare(
        &self,
        reference: &Self,
        names: (&str, &str),
        probes: &[Probe],
        buffers: &Buffers,
    ) -> Result<(), Box<Difference>> {
        if self == reference {
            return Ok(());
        }
        for (number, buffer) in buffers.iter().enumerate() {
            let (got, want) = (self.buffer(number), reference.buffer(number));
            let strange = |one: &[Hit], other: &[Hit]| {
                one.iter()
                    .find(|hit| !other.contains(hit))
                    .map(|hit| hit.probe)
            };
            if let Some(probe) = strange(got, want).or_else(|| strange(want, got)) {
                let end = |hits: &[Hit]| {
                    hits.iter()
                        .find(|hit| hit.probe == probe)
                        .map(|hit| hit.end)
                };
                let literal = probes.get(probe as usize);
                return Err(Box::new(Difference {
                    contender: names.0.to_owned(),
                    reference: names.1.to_owned(),
                    number,
                    length: buffer.len(),
                    probe,
                    literal: literal.map_or("no such".to_owned(), |probe| format!("{probe:?}")),
                    got: end(got),
                    want: end(want),
                }));
            }
        }
        Ok(())
    }
}
