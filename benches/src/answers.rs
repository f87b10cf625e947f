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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender;

    /// The reference, which gets wrong what `wrong` makes of its hits.
    struct Wrong(Box<dyn Contender>, fn(&mut Vec<Hit>));

    impl Contender for Wrong {
        fn scan(&mut self, data: &[u8], found: &mut Vec<Hit>) -> Result<(), BenchError> {
            self.0.scan(data, found)?;
            (self.1)(found);
            Ok(())
        }
    }

    #[test]
    fn a_difference_names_the_buffer_and_the_probe() {
        let literals = [&b"one"[..], b"two"];
        let probes = literals.map(|literal| Probe::new(literal, false, 1).expect("short"));
        let mut buffers = Buffers::new();
        for text in [&b"nothing"[..], b"one two one"] {
            buffers.push(text);
        }
        let load = || contender::reference().load(&probes).expect("it fits");
        let right = Answers::of(&mut *load(), &buffers).expect("finished");
        assert_eq!(right.hits(), 2);
        let compare = |wrong: fn(&mut Vec<Hit>)| {
            let answers = Answers::of(&mut Wrong(load(), wrong), &buffers).expect("finished");
            let compared = answers.compare(&right, ("this", "that"), &probes, &buffers);
            compared.map_err(|difference| difference.to_string())
        };
        assert_eq!(compare(|found| found.extend_from_within(..)), Ok(()));
        assert_eq!(compare(|found| found.reverse()), Ok(()));
        for (wrong, what) in [
            (
                (|found| found.retain(|hit| hit.probe == 0)) as fn(&mut Vec<Hit>),
                "buffer 1 (11 bytes): probe 1 (\"two\"@1): this has none, that has end 7",
            ),
            (
                |found| {
                    found
                        .iter_mut()
                        .for_each(|hit| hit.end += 8 * (1 - hit.probe))
                },
                "probe 0 (\"one\"@1): this has end 11, that has end 3",
            ),
            (
                |found| found.push(Hit { probe: 7, end: 1 }),
                "buffer 0 (7 bytes): probe 7 (no such): this has end 1, that has none",
            ),
        ] {
            let difference = compare(wrong).expect_err("it is wrong");
            assert!(difference.contains(what), "{difference}");
        }
    }
}
