//! A core under test beside the golden model: whatever goes into the one goes into the other, and what comes out must
//! be the same, and what the definition says.

use std::collections::VecDeque;

use card_protocol::record::Record;
use card_protocol::register as reg;
use card_protocol::report::{FLAG_OVERFLOW, FLAGS_UNFINISHED, Item};
use weir_engine::matcher::testing::{Ask, Rng};
use weir_engine::matcher::{Hit, Probe};
use weir_sim::core::{Core, Until};
use weir_sim::{Answer, Session};
use weir_tables::{Entry, EntryHit, Golden, Key, Loaded, entries};

use crate::coverage::Coverage;

/// Cycles without any progress that are too many, whatever the pace.
const PATIENCE: u64 = 200_000;
const NONCE: u32 = 0x7E57_0000;

/// What must be said of a record.
struct Expected {
    answer: Answer,
    /// Tables changed while it was under way: an entry that both sets have may be reported for the groups of either, and the host leaves out
    /// what is not its own.
    crossed: bool,
    /// The older set was cleared while it was under way: an entry that both had may be reported for the groups of the newer alone.
    cleared: bool,
    /// Number of the table that it was sent with.
    table: usize,
    /// The record, or the end of what was sent with it.
    bytes: Vec<u8>,
    /// The probes that occur, by the definition; for records that are as they should be.
    truth: Option<(u8, Vec<Hit>)>,
}

/// What an entry stands for, by the number of the table it is of.
struct Table {
    probes: Vec<Probe>,
    /// By entry.
    entries: Vec<Option<Entry>>,
    /// Probes that the core does not have.
    moved: Vec<u32>,
}

/// A core and the model.
pub struct Run<'a> {
    pub session: Session,
    pub model: Golden,
    pub coverage: &'a mut Coverage,
    pub rng: Rng,
    loaded: Loaded,
    tables: Vec<Table>,
    expected: VecDeque<Expected>,
    sequence: u32,
    /// Records answered.
    pub answered: usize,
    /// Tables changed under way: candidates may differ from the model's, which has them at once.
    switched: bool,
}

/// What went wrong: the text of a failure.
pub type Outcome<T = ()> = Result<T, String>;

pub fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl<'a> Run<'a> {
    /// A core that was just made, with tables of no probes; `zeroed` says that its memories are all zero.
    pub fn new(
        core: Box<dyn Core>,
        coverage: &'a mut Coverage,
        seed: u64,
        limit: u16,
        zeroed: bool,
    ) -> Outcome<Self> {
        let geometry = *core.geometry();
        let mut rng = Rng::new(seed);
        let nonce = NONCE ^ rng.draw() as u32;
        let (loaded, _) =
            Loaded::build(geometry, Key::from_seed(seed), &[], rng.draw() as u16).map_err(told)?;
        let mut run = Self {
            session: Session::start(core, nonce, limit).map_err(told)?,
            model: Golden::new(geometry),
            coverage,
            rng,
            loaded,
            tables: vec![Table {
                probes: Vec::new(),
                entries: Vec::new(),
                moved: Vec::new(),
            }],
            expected: VecDeque::new(),
            sequence: 0,
            answered: 0,
            switched: false,
        };
        for (address, value) in [
            (reg::NONCE, nonce),
            (reg::LIMIT, limit.into()),
            (reg::CONTROL, reg::CONTROL_ENABLE),
        ] {
            run.model.write(address, value);
        }
        let loaded = run.loaded.clone();
        run.session.load(&loaded, zeroed).map_err(told)?;
        run.model_writes(&loaded.image(zeroed));
        Ok(run)
    }

    fn model_writes(&mut self, writes: &[weir_tables::Write]) {
        for &write in writes {
            self.model.table(write);
        }
        for (address, value) in self.loaded.registers() {
            self.model.write(address, value);
        }
    }

    pub fn lanes(&self) -> usize {
        self.session.core.geometry().lanes
    }

    /// The live generation.
    pub fn generation(&self) -> u16 {
        self.loaded.generation()
    }

    /// Goes over to other probes while records are under way. False when they do not fit beside the old ones.
    pub fn switch(&mut self, probes: &[Probe]) -> Outcome<bool> {
        let list = entries(probes);
        let Ok(switch) = self.loaded.begin(&list) else {
            return Ok(false);
        };
        self.coverage.switch(self.expected.len());
        self.switched = true;
        for expected in &mut self.expected {
            expected.crossed = true;
        }
        let mut table = Table {
            probes: probes.to_vec(),
            entries: Vec::new(),
            moved: Vec::new(),
        };
        for (id, entry) in switch.ids.iter().zip(list) {
            // What has no place, as five literals that differ in case alone, would be software's.
            let Some(id) = id else {
                table
                    .moved
                    .extend(entry.probes.iter().map(|&(probe, _)| probe));
                continue;
            };
            let at = *id as usize;
            table
                .entries
                .resize_with(table.entries.len().max(at + 1), || None);
            table.entries[at] = Some(entry);
        }
        self.tables.push(table);
        self.session.post(&switch.writes);
        let loaded = self.loaded.clone();
        self.session.post_generations(&loaded);
        self.session.core.settle().map_err(told)?;
        self.model_writes(&switch.writes);
        Ok(true)
    }

    /// Lets the old generation go when nothing is under way.
    pub fn end_switch(&mut self) -> Outcome {
        self.drain()?;
        self.clear_old()
    }

    /// Lets the old generation go as soon as its records have been answered, while those of the new one are under way.
    pub fn end_switch_in_flight(&mut self) -> Outcome {
        let live = self.tables.len() - 1;
        let old = self
            .expected
            .iter()
            .filter(|expected| expected.table < live);
        self.session.wait(old.count(), PATIENCE).map_err(told)?;
        self.take()?;
        if !self.expected.is_empty() {
            self.coverage.clears_in_flight += 1;
        }
        for expected in &mut self.expected {
            expected.cleared = true;
        }
        self.clear_old()
    }

    fn clear_old(&mut self) -> Outcome {
        let writes = self.loaded.finish();
        let loaded = self.loaded.clone();
        self.session.post_generations(&loaded);
        self.session.post(&writes);
        self.session.core.settle().map_err(told)?;
        self.model_writes(&writes);
        Ok(())
    }

    /// The bytes of a record, which is not sent.
    pub fn record(&mut self, payload: &[u8], group: u8, carry: u8, generation: u16) -> Vec<u8> {
        let lanes = self.lanes();
        let record = Record {
            nonce: self.session.nonce(),
            sequence: self.sequence,
            group,
            carry,
            generation,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(self.rng.range(1, 3) as u32);
        let mut bytes = vec![0; record.size(lanes)];
        record.write(lanes, &mut bytes).expect("within bounds");
        bytes
    }

    /// Puts bytes into core and model.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.session.core.push(bytes);
        let mut hits = Vec::new();
        for item in self.model.process(bytes) {
            match item {
                Item::Hit { entry, end } => hits.push(EntryHit { entry, end }),
                Item::End {
                    flags,
                    generation,
                    sequence,
                    ..
                } => {
                    hits.sort_unstable();
                    let answer = Answer {
                        sequence,
                        generation,
                        flags,
                        hits: std::mem::take(&mut hits),
                    };
                    self.coverage.flags |= flags;
                    self.expected.push_back(Expected {
                        answer,
                        crossed: false,
                        cleared: false,
                        table: self.tables.len() - 1,
                        bytes: bytes.to_vec(),
                        truth: None,
                    });
                }
            }
        }
    }

    /// Sends a buffer with the live generation.
    pub fn ask(&mut self, ask: &Ask) {
        let generation = self.generation();
        let record = self.record(&ask.data, ask.group, ask.carry, generation);
        self.coverage
            .record(ask.data.len(), ask.carry, ask.group, self.lanes());
        let before = self.expected.len();
        self.bytes(&record);
        if self.expected.len() == before + 1
            && let Some(last) = self.expected.back_mut()
        {
            last.truth = Some((ask.group, ask.hits.clone()));
        }
    }

    /// Sends a buffer of group 0 whose answer is the model's alone.
    pub fn ask_plain(&mut self, data: Vec<u8>) {
        let generation = self.generation();
        let record = self.record(&data, 0, 0, generation);
        self.bytes(&record);
    }

    /// Has core and model drop all there is.
    pub fn flush(&mut self) -> Outcome {
        self.session.core.flush().map_err(told)?;
        self.model
            .write(reg::CONTROL, reg::CONTROL_ENABLE | reg::CONTROL_FLUSH);
        self.session.restart();
        self.expected.clear();
        Ok(())
    }

    /// Resets the core, and sets it up as it was; its memories are as they were.
    pub fn reset(&mut self) -> Outcome {
        let limit = self.model.read(reg::LIMIT);
        self.session.core.reset().map_err(told)?;
        self.model
            .write(reg::CONTROL, reg::CONTROL_ENABLE | reg::CONTROL_FLUSH);
        self.session.restart();
        self.expected.clear();
        let key: Vec<_> = self.loaded.key().writes().collect();
        let single = self.loaded.image(true);
        let single = single
            .iter()
            .filter(|write| write.select == reg::table::SINGLE);
        let writes: Vec<_> = key.iter().chain(single).copied().collect();
        self.session.post(&writes);
        let loaded = self.loaded.clone();
        self.session.post_generations(&loaded);
        for (address, value) in [
            (reg::NONCE, self.session.nonce()),
            (reg::LIMIT, limit),
            (reg::CONTROL, reg::CONTROL_ENABLE),
        ] {
            self.session.core.post(address, value);
        }
        self.session.core.settle().map_err(told)
    }

    /// How many records are under way.
    pub fn under_way(&self) -> usize {
        self.expected.len()
    }

    /// Waits for the answers to all records, and compares them.
    pub fn drain(&mut self) -> Outcome {
        self.session
            .wait(self.expected.len(), PATIENCE)
            .map_err(told)?;
        self.take()?;
        if let Some(expected) = self.expected.front() {
            return Err(format!("no answer to record {}", expected.answer.sequence));
        }
        Ok(())
    }

    /// Runs for a while, and compares what has come.
    pub fn go(&mut self, cycles: u64) -> Outcome {
        self.session.run(cycles, Until::Cycles).map_err(told)?;
        self.take()
    }

    fn take(&mut self) -> Outcome {
        while let Some(got) = self.session.answer() {
            let Some(expected) = self.expected.pop_front() else {
                return Err(format!("an answer to nothing: {got:?}"));
            };
            self.answered += 1;
            self.compare(&got, &expected)?;
        }
        let totals = self.session.core.wires().totals;
        self.coverage.totals(&totals);
        Ok(())
    }

    fn compare(&self, got: &Answer, expected: &Expected) -> Outcome {
        let wanted = &expected.answer;
        let head = |answer: &Answer| (answer.sequence, answer.generation, answer.flags);
        if head(got) != head(wanted) {
            return Err(format!(
                "(sequence, generation, flags) {:?} where the model says {:?}, of \"{}\"",
                head(got),
                head(wanted),
                expected.bytes.escape_ascii()
            ));
        }
        let missing = wanted.hits.iter().any(|hit| !got.hits.contains(hit));
        let more = got.hits.iter().any(|hit| !wanted.hits.contains(hit));
        let differ = missing && !expected.cleared || more && !expected.crossed;
        if got.flags & FLAGS_UNFINISHED == 0 && differ {
            return Err(format!(
                "record {}: hits {:?} where the model says {:?}",
                got.sequence, got.hits, wanted.hits
            ));
        }
        let Some((group, truth)) = &expected.truth else {
            return Ok(());
        };
        if got.flags & FLAGS_UNFINISHED == FLAG_OVERFLOW {
            return Ok(());
        }
        if got.flags != 0 {
            return Err(format!(
                "record {} is good, but has flags {:#x}",
                got.sequence, got.flags
            ));
        }
        let table = &self.tables[expected.table];
        let mut hits = Vec::new();
        for hit in &got.hits {
            let entry = table
                .entries
                .get(hit.entry as usize)
                .and_then(Option::as_ref);
            let Some(entry) = entry else {
                return Err(format!("record {}: no entry {}", got.sequence, hit.entry));
            };
            let probes = entry
                .probes
                .iter()
                .filter(|(_, groups)| groups >> group & 1 == 1);
            hits.extend(probes.map(|&(probe, _)| Hit {
                probe,
                end: hit.end.into(),
            }));
        }
        hits.sort_unstable();
        let moved = |hit: &&Hit| !table.moved.contains(&hit.probe);
        let truth: Vec<Hit> = truth.iter().filter(moved).copied().collect();
        if hits != truth {
            return Err(format!(
                "record {}: {hits:?} where the definition says {truth:?}, of the probes {:?}",
                got.sequence, table.probes
            ));
        }
        Ok(())
    }

    /// Compares registers with the model's, when nothing is under way.
    pub fn counters(&mut self) -> Outcome {
        self.drain()?;
        // The last unit is out; what is on its way to the counters needs a few cycles.
        self.go(200)?;
        let mut same = vec![
            reg::STATUS,
            reg::NONCE,
            reg::CONTROL,
            reg::GENERATION_EVEN,
            reg::GENERATION_ODD,
            reg::LIMIT,
            reg::COUNT_BEATS,
            reg::COUNT_RECORDS,
            reg::COUNT_BYTES,
            reg::COUNT_LOST,
            reg::COUNT_DAMAGED,
            reg::COUNT_STALE,
            reg::COUNT_MALFORMED,
            reg::COUNT_OVERFLOWS,
            reg::COUNT_TABLE_WRITES,
            reg::COUNT_TABLE_ERRORS,
            reg::TABLE_CHECK,
        ];
        if !self.switched {
            same.push(reg::COUNT_CANDIDATES);
        }
        for address in same {
            let (got, wanted) = (
                self.session.core.read(address).map_err(told)?,
                self.model.read(address),
            );
            if got != wanted {
                return Err(format!(
                    "register {address:#05x} is {got}, the model's {wanted}"
                ));
            }
        }
        let candidates = self
            .session
            .core
            .read(reg::COUNT_CANDIDATES)
            .map_err(told)?;
        let lookups = self.session.core.read(reg::COUNT_LOOKUPS).map_err(told)?;
        if lookups > candidates {
            return Err(format!("{lookups} lookups of {candidates} candidates"));
        }
        let hits = self.session.core.read(reg::COUNT_HITS).map_err(told)?;
        let least = self.model.read(reg::COUNT_HITS);
        if !self.switched && hits < least {
            return Err(format!("{hits} hits, the model has {least}"));
        }
        Ok(())
    }
}
