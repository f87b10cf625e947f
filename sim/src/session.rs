//! The host's side of a core: tables and records in, answers out, and everything that is said held to the protocol.

use std::collections::VecDeque;

use card_protocol::record::{Record, WriteError};
use card_protocol::register::{CONTROL, CONTROL_ENABLE, LIMIT, LINGER, NONCE};
use card_protocol::report::{FLAGS_UNFINISHED, Item};
use card_protocol::reports::{Event, Reports};
use weir_tables::{EntryHit, Loaded, Write, register_writes};

use crate::core::{Core, Until};
use crate::{Pace, SimError};

/// Cycles that are run at a time where there is something to wait for.
const CHUNK: u64 = 4096;

/// What a core said of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The record's.
    pub sequence: u32,
    /// The record's.
    pub generation: u16,
    /// `FLAG_*`.
    pub flags: u8,
    /// Each entry with its first end, in the order of entries.
    pub hits: Vec<EntryHit>,
}

impl Answer {
    /// True when the hits count.
    pub fn finished(&self) -> bool {
        self.flags & FLAGS_UNFINISHED == 0
    }
}

/// A core in use.
pub struct Session {
    /// The core.
    pub core: Box<dyn Core>,
    nonce: u32,
    sequence: u32,
    reports: Reports,
    /// Hits of the record whose end has not come.
    hits: Vec<EntryHit>,
    answers: VecDeque<Answer>,
    bytes: Vec<u8>,
    record: Vec<u8>,
}

impl Session {
    /// Sets the nonce and the limit, and lets records in.
    ///
    /// # Errors
    ///
    /// When registers cannot be written.
    pub fn start(mut core: Box<dyn Core>, nonce: u32, limit: u16) -> Result<Self, SimError> {
        for (address, value) in [
            (NONCE, nonce),
            (LIMIT, limit.into()),
            (LINGER, 64),
            (CONTROL, CONTROL_ENABLE),
        ] {
            core.write(address, value)?;
        }
        Ok(Self {
            core,
            nonce,
            sequence: 0,
            reports: Reports::new(nonce),
            hits: Vec::new(),
            answers: VecDeque::new(),
            bytes: Vec::new(),
            record: Vec::new(),
        })
    }

    /// Forgets what was under way, as the core does on reset and flush.
    pub fn restart(&mut self) {
        self.reports = Reports::new(self.nonce);
        self.hits.clear();
        self.answers.clear();
    }

    /// The session's nonce.
    pub fn nonce(&self) -> u32 {
        self.nonce
    }

    /// Posts table writes; the streams run on.
    pub fn post(&mut self, writes: &[Write]) {
        for (address, value) in register_writes(writes) {
            self.core.post(address, value);
        }
    }

    /// Posts the generations that are live.
    pub fn post_generations(&mut self, loaded: &Loaded) {
        for (address, value) in loaded.registers() {
            self.core.post(address, value);
        }
    }

    /// Loads tables into a core whose memories are all zero or not, and makes their generation live.
    ///
    /// # Errors
    ///
    /// When registers cannot be written.
    pub fn load(&mut self, loaded: &Loaded, zeroed: bool) -> Result<(), SimError> {
        self.post(&loaded.image(zeroed));
        self.post_generations(loaded);
        self.core.settle()
    }

    /// Puts a record at the end of what waits to be taken, and returns its sequence number.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn send(
        &mut self,
        payload: &[u8],
        group: u8,
        carry: u8,
        generation: u16,
    ) -> Result<u32, WriteError> {
        let lanes = self.core.geometry().lanes;
        let record = Record {
            nonce: self.nonce,
            sequence: self.sequence,
            group,
            carry,
            generation,
            payload,
        };
        self.record.resize(record.size(lanes), 0);
        let size = record.write(lanes, &mut self.record)?;
        self.core.push(&self.record[..size]);
        self.sequence = self.sequence.wrapping_add(1);
        Ok(record.sequence)
    }

    /// Runs for so many cycles, or until there is nothing more to wait for, and reads what has come.
    ///
    /// # Errors
    ///
    /// When the core breaks a rule.
    pub fn run(&mut self, cycles: u64, until: Until) -> Result<(), SimError> {
        self.core.run(cycles, until)?;
        self.read()
    }

    /// The next answer.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Answers that have come and were not taken.
    pub fn answered(&self) -> usize {
        self.answers.len()
    }

    /// Runs until so many answers have come that were not taken.
    ///
    /// # Errors
    ///
    /// When nothing is taken and nothing comes within `patience` cycles, or the core breaks a rule.
    pub fn wait(&mut self, answers: usize, patience: u64) -> Result<(), SimError> {
        let progress =
            |session: &mut Self| (session.core.backlog(), session.core.wires().totals.output);
        let mut quiet = 0;
        self.read()?;
        while self.answers.len() < answers {
            let before = progress(self);
            self.run(CHUNK.min(patience), Until::Output)?;
            if progress(self) != before {
                quiet = 0;
                continue;
            }
            quiet += CHUNK.min(patience);
            if quiet >= patience {
                return Err(SimError::Hung {
                    cycle: self.core.cycle(),
                    what: "answer to a record",
                    bound: patience,
                });
            }
        }
        Ok(())
    }

    /// Reads what has come.
    fn read(&mut self) -> Result<(), SimError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.core.pull(&mut bytes);
        let Self {
            hits,
            answers,
            reports,
            ..
        } = self;
        let mut wrong = None;
        reports.feed(&bytes, &mut |event| match event {
            Event::Item(Item::Hit { entry, end }) => hits.push(EntryHit { entry, end }),
            Event::Item(Item::End {
                flags,
                hits: count,
                generation,
                sequence,
            }) => {
                if hits.len() % 256 != usize::from(count) {
                    let got = hits.len();
                    wrong.get_or_insert(format!(
                        "the end of record {sequence} counts {count} hits modulo 256, but {got} came"
                    ));
                }
                hits.sort_unstable();
                hits.dedup_by_key(|hit| hit.entry);
                answers.push_back(Answer {
                    sequence,
                    generation,
                    flags,
                    hits: std::mem::take(hits),
                });
            }
            Event::Gap { missing } => {
                wrong.get_or_insert(format!("{missing} report units are missing"));
            }
            Event::Unknown(word) => {
                wrong.get_or_insert(format!("{word:#018x} is no item"));
            }
        });
        self.bytes = bytes;
        let skipped = self.reports.counts().skipped;
        if skipped > 0 {
            wrong.get_or_insert(format!("{skipped} bytes of the reports belong to no unit"));
        }
        wrong.map_or(Ok(()), |what| {
            Err(SimError::Protocol {
                cycle: self.core.cycle(),
                what,
            })
        })
    }

    /// Has the outside behave so from now on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.core.set_pace(pace);
    }
}
