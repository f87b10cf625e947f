//! The core's Verilog, compiled by Verilator.

mod build;
mod library;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use card_protocol::register::{CONTROL, CONTROL_ENABLE, CONTROL_FLUSH};
use weir_tables::Geometry;

use crate::SimError;
#[cfg(test)]
use crate::core::Totals;
use crate::core::{Access, Core, Until, Wires};
use crate::pace::SPAN;
use library::{Given, Instance, Op, UNTIL_OPS, UNTIL_OUTPUT, UNTIL_TAKEN};

pub use build::{Recipe, Trace, cache};

/// Cycles of a reset.
const RESET: u64 = 40;
/// Accesses that one run is given.
const ACCESSES: usize = 4096;
/// What a core can do wrong at its interfaces, by the shim's bits.
const FAULTS: [&str; 6] = [
    "report: offered and then changed or withdrawn",
    "report: a beat with unused bytes",
    "report: tlast not at the end of a unit",
    "register access: a response offered and then withdrawn",
    "register access: a response to nothing",
    "register access: a response other than OKAY",
];

/// Faults of a report that a flush cuts off.
const CUT_OFF: u32 = 0b101;
/// Cycles after which a flush is over.
const FLUSH: u64 = 200;

/// A verilated core.
pub struct Verilated {
    instance: Instance,
    geometry: Geometry,
    wires: Wires,
    room: Vec<u8>,
    ops: Vec<Op>,
    trace_from: Option<(u64, PathBuf)>,
    /// Reports may be cut off.
    flushing: bool,
}

impl Verilated {
    /// Builds, or takes from the cache, and starts the core that `recipe` describes, out of reset. Registers without an initial value are
    /// drawn from `seed`; with 0 they are zero.
    ///
    /// # Errors
    ///
    /// A tool that is missing, or what it says.
    pub fn new(geometry: Geometry, recipe: &Recipe<'_>, seed: u64) -> Result<Self, SimError> {
        let path = recipe.build()?;
        let instance = Instance::load(&path, recipe.lanes, recipe.trace, seed)?;
        let mut core = Self {
            instance,
            geometry,
            wires: Wires::default(),
            room: vec![0; SPAN as usize * recipe.lanes],
            ops: Vec::new(),
            trace_from: None,
            flushing: false,
        };
        core.reset()?;
        Ok(core)
    }

    /// Gives accesses that are due the form that the shim takes.
    fn prepare(&mut self) {
        let wires = &mut self.wires;
        let from = self.ops.len();
        let more = ACCESSES.saturating_sub(from);
        for access in wires.accesses.iter().skip(from).take(more) {
            let (write, address, value) = match *access {
                Access::Write { address, value } => (1, address, value),
                Access::Read { address } => (0, address, 0),
            };
            self.ops.push(Op {
                write,
                address,
                value,
                strobe: 0xF,
                address_after: wires.schedule.late(),
                data_after: wires.schedule.late(),
                response_after: wires.schedule.late(),
            });
        }
    }

    /// Starts the waveform, if that is due within so many cycles.
    fn start_trace(&mut self, span: u64) -> Result<(), SimError> {
        let due = self.cycle() + span;
        match self.trace_from.take_if(|(cycle, _)| *cycle <= due) {
            Some((_, path)) => self.instance.trace(Some(&path)),
            None => Ok(()),
        }
    }

    fn finish(&mut self, done: usize) {
        let answers = self.ops.iter().take(done).filter(|op| op.write == 0);
        self.wires.answers.extend(answers.map(|op| op.value));
        self.ops.drain(..done);
        self.wires.accesses.drain(..done);
    }
}

impl Core for Verilated {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.wires
    }

    fn cycle(&self) -> u64 {
        self.instance.cycle()
    }

    fn reset(&mut self) -> Result<(), SimError> {
        self.wires.clear();
        self.ops.clear();
        self.instance.reset(RESET)
    }

    fn run(&mut self, cycles: u64, until: Until) -> Result<(), SimError> {
        let lanes = self.geometry.lanes;
        let mut left = cycles;
        while left > 0 && !self.wires.reached(until, lanes) {
            self.prepare();
            let span = self.wires.schedule.ahead(left);
            self.start_trace(span)?;
            let [offer, accept] = self.wires.schedule.next(span);
            let did = self.instance.run(Given {
                cycles: span,
                input: self.wires.input(),
                offer: offer.as_deref(),
                accept: accept.as_deref(),
                output: &mut self.room,
                ops: &mut self.ops,
                until: match until {
                    Until::Cycles => 0,
                    Until::Accesses => UNTIL_OPS,
                    Until::Taken => UNTIL_TAKEN,
                    Until::Output => UNTIL_OUTPUT,
                },
            })?;
            self.wires.schedule.passed(did.ran);
            self.finish(did.ops);
            let wires = &mut self.wires;
            wires.took(did.taken);
            wires.output.extend_from_slice(&self.room[..did.made]);
            wires.totals.cycles += did.ran;
            wires.totals.beats += (did.taken / lanes) as u64;
            wires.totals.idle += did.idle;
            wires.totals.stalls += did.stalls;
            wires.totals.output += did.made as u64;
            wires.totals.out_stalls += did.out_stalls;
            let forgiven = if self.flushing { CUT_OFF } else { 0 };
            let faults = did.faults & !forgiven;
            let fault = (0..FAULTS.len()).find(|bit| faults >> bit & 1 == 1);
            if let Some(fault) = fault {
                return Err(SimError::Protocol {
                    cycle: self.cycle(),
                    what: FAULTS[fault].to_owned(),
                });
            }
            left -= did.ran;
        }
        Ok(())
    }

    fn trace_from(&mut self, cycle: u64, path: &Path) -> Result<(), SimError> {
        self.trace_from = Some((cycle, path.to_owned()));
        self.start_trace(0)
    }

    fn flush(&mut self) -> Result<(), SimError> {
        self.wires.clear();
        self.ops.clear();
        self.flushing = true;
        let done = self
            .write(CONTROL, CONTROL_ENABLE | CONTROL_FLUSH)
            .and_then(|()| self.run(FLUSH, Until::Cycles));
        self.flushing = false;
        self.wires.clear();
        self.instance.forget();
        done
    }

    fn trace(&mut self, path: Option<&Path>) -> Result<(), SimError> {
        self.instance.trace(path)
    }
}
