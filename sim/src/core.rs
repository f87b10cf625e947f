//! A matcher core as its outside sees it, whatever runs it.

use std::collections::VecDeque;
use std::path::Path;

use weir_tables::{Geometry, Write};

use crate::SimError;
use crate::pace::{Pace, Schedule};

/// Cycles that a register access may take, its own lateness included.
const ACCESS_BOUND: u64 = 2000;

/// When a run ends, besides by its number of cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// By nothing else.
    Cycles,
    /// All register accesses that were posted are done.
    Accesses,
    /// All input is taken.
    Taken,
    /// At least one unit has come.
    Output,
}

/// A register access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writes a value.
    Write {
        /// Byte offset.
        address: u32,
        /// All 32 bits of it.
        value: u32,
    },
    /// Reads.
    Read {
        /// Byte offset.
        address: u32,
    },
}

/// What happened on the streams, all runs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Clock cycles, those of resets not included.
    pub cycles: u64,
    /// Beats taken.
    pub beats: u64,
    /// Cycles in which a beat was there and held back by the pace.
    pub idle: u64,
    /// Cycles in which a beat was offered and not taken.
    pub stalls: u64,
    /// Bytes of output.
    pub output: u64,
    /// Cycles in which output was offered and not taken.
    pub out_stalls: u64,
}

/// What waits outside the core: input to be offered, output that was taken, accesses to be made.
#[derive(Debug)]
pub struct Wires {
    input: Vec<u8>,
    taken: usize,
    pub(crate) output: Vec<u8>,
    pub(crate) accesses: VecDeque<Access>,
    pub(crate) answers: VecDeque<u32>,
    pub(crate) schedule: Schedule,
    /// What happened so far.
    pub totals: Totals,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            accesses: VecDeque::new(),
            answers: VecDeque::new(),
            schedule: Schedule::new(Pace::FULL),
            totals: Totals::default(),
        }
    }
}

impl Wires {
    /// What is still to be taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// So much of it was.
    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken += bytes;
        // Now and then, so that moving costs little.
        if self.taken > self.input.len() / 2 && self.taken > 1 << 16 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Whole of what is still to be taken, for a core that is elsewhere.
    pub fn take_input(&mut self) -> Vec<u8> {
        let input = self.input.split_off(self.taken);
        self.input.clear();
        self.taken = 0;
        input
    }

    /// The accesses that are to be made, for a core that is elsewhere.
    pub fn take_accesses(&mut self) -> Vec<Access> {
        self.accesses.drain(..).collect()
    }

    /// What an access has read there.
    pub fn answered(&mut self, value: u32) {
        self.answers.push_back(value);
    }

    /// Output that has come from there.
    pub fn put_output(&mut self, bytes: &[u8]) {
        self.totals.output += bytes.len() as u64;
        self.output.extend_from_slice(bytes);
    }

    /// Drops all input and output; accesses too.
    pub(crate) fn clear(&mut self) {
        self.input.clear();
        self.taken = 0;
        self.output.clear();
        self.accesses.clear();
        self.answers.clear();
    }

    /// True when a run that ends by `until` has nothing to wait for.
    pub(crate) fn reached(&self, until: Until, lanes: usize) -> bool {
        match until {
            Until::Cycles => false,
            Until::Accesses => self.accesses.is_empty(),
            Until::Taken => self.input().len() < lanes,
            Until::Output => self.output.len() >= card_protocol::report::UNIT,
        }
    }
}

/// A core: the golden model, the Rust-HDL simulator's, or the verilated one.
pub trait Core: Send {
    /// `model`, `rust-hdl` or `rtl`.
    fn name(&self) -> &'static str;
    /// How large it is.
    fn geometry(&self) -> &Geometry;
    /// What waits outside it.
    fn wires(&mut self) -> &mut Wires;
    /// Clock cycles since it was made; 0 for a core without a clock.
    fn cycle(&self) -> u64 {
        0
    }
    /// Holds the reset; all that waits outside is dropped, too.
    ///
    /// # Errors
    ///
    /// When the circuit breaks off.
    fn reset(&mut self) -> Result<(), SimError>;
    /// Runs for so many cycles, or until there is nothing more to wait for. A core without a clock takes and answers all there is.
    ///
    /// # Errors
    ///
    /// When the circuit breaks off, or a rule of the interfaces.
    fn run(&mut self, cycles: u64, until: Until) -> Result<(), SimError>;
    /// Starts a waveform in this file, or ends it.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or this core has none.
    fn trace(&mut self, _path: Option<&Path>) -> Result<(), SimError> {
        Err(SimError::Unsupported {
            core: self.name(),
            what: "there is no clock, and so no waveform",
        })
    }

    /// Starts a waveform in this file at about this cycle: never later, and not much earlier.
    ///
    /// # Errors
    ///
    /// As [`Core::trace`], when it starts at once.
    fn trace_from(&mut self, _cycle: u64, path: &Path) -> Result<(), SimError> {
        self.trace(Some(path))
    }
    /// Has everything in the core dropped, by its control register, and drops what waits outside. A report that is cut off
    /// breaks no rule meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Core::settle`].
    fn flush(&mut self) -> Result<(), SimError>;

    /// Changes a word of a table behind the registers, as a fault of the memory does. False where there is no such word, or no
    /// way to it.
    fn upset(&mut self, _write: Write) -> bool {
        false
    }

    /// From now on the outside behaves so.
    fn set_pace(&mut self, pace: Pace) {
        self.wires().schedule = Schedule::new(pace);
    }

    /// Puts bytes at the end of what waits to be taken. What is no whole beat waits for more.
    fn push(&mut self, bytes: &[u8]) {
        self.wires().input.extend_from_slice(bytes);
    }

    /// Bytes that wait to be taken.
    fn backlog(&mut self) -> usize {
        self.wires().input().len()
    }

    /// Moves what the core has put out to the end of `to`.
    fn pull(&mut self, to: &mut Vec<u8>) {
        to.append(&mut self.wires().output);
    }

    /// Has a register written while the streams run on.
    fn post(&mut self, address: u32, value: u32) {
        let write = Access::Write { address, value };
        self.wires().accesses.push_back(write);
    }

    /// Waits for what was posted.
    ///
    /// # Errors
    ///
    /// When an access is not answered in time; the streams run on meanwhile.
    fn settle(&mut self) -> Result<(), SimError> {
        let bound = ACCESS_BOUND + 3 * u64::from(self.wires().schedule.most_late());
        loop {
            let left = self.wires().accesses.len();
            if left == 0 {
                return Ok(());
            }
            self.run(bound * left.min(64) as u64, Until::Accesses)?;
            if self.wires().accesses.len() == left {
                return Err(SimError::Hung {
                    cycle: self.cycle(),
                    what: "answer to a register access",
                    bound,
                });
            }
        }
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// As [`Core::settle`].
    fn write(&mut self, address: u32, value: u32) -> Result<(), SimError> {
        self.post(address, value);
        self.settle()
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// As [`Core::settle`].
    fn read(&mut self, address: u32) -> Result<u32, SimError> {
        self.wires().accesses.push_back(Access::Read { address });
        self.settle()?;
        let answers = std::mem::take(&mut self.wires().answers);
        answers.back().copied().ok_or(SimError::Hung {
            cycle: self.cycle(),
            what: "value of a register",
            bound: ACCESS_BOUND,
        })
    }
}
