//! A simulated core as a matcher.

use weir_engine::matcher::{Matcher, MatcherError, Probe, Report, Request};
use weir_tables::{Key, Offload, Settings};

use crate::SimError;
use crate::core::{Core, Until};

/// Any will do: nothing else speaks on these streams.
const NONCE: u32 = 0x5EED_0001;
/// Bytes that may wait to be taken; beyond them the matcher is full.
const BACKLOG: usize = 1 << 20;
/// Cycles that are run at a time.
const STEP: u64 = 4096;
/// Cycles without any progress after which a core is given up.
const PATIENCE: u64 = 1 << 20;

/// A core behind the matcher's contract: buffers become records, answers become hits.
pub struct Offloaded {
    core: Box<dyn Core>,
    offload: Offload,
    /// The core's memories are all zero.
    zeroed: bool,
    stream: Vec<u8>,
    units: Vec<u8>,
    failure: Option<SimError>,
}

impl Offloaded {
    /// On a core that was just made: its memories are all zero.
    pub fn new(core: Box<dyn Core>, key: Key, settings: Settings) -> Self {
        Self {
            offload: Offload::new(*core.geometry(), key, NONCE, settings),
            core,
            zeroed: true,
            stream: Vec::new(),
            units: Vec::new(),
            failure: None,
        }
    }

    /// The core, and what happened on its streams.
    pub fn core(&mut self) -> &mut dyn Core {
        &mut *self.core
    }

    /// The host's side: tables, what software does, what became of the records.
    pub fn offload(&self) -> &Offload {
        &self.offload
    }

    /// Why the core was given up, if it was. No buffer is finished from then on.
    pub fn failure(&self) -> Option<&SimError> {
        self.failure.as_ref()
    }

    /// Begins a switch beside the probes that are live; false when that cannot be.
    fn switch(&mut self, probes: &[Probe]) -> Result<bool, SimError> {
        if self.zeroed {
            return Ok(false);
        }
        let old = loop {
            match self.offload.finish() {
                Some(writes) => break writes,
                None => self.wait()?,
            }
        };
        self.post(&old);
        let Ok(new) = self.offload.begin(probes) else {
            // What the end of the last switch needs is written all the same.
            self.core.settle()?;
            return Ok(false);
        };
        self.post(&new);
        // Records of the old set go on meanwhile.
        self.core.settle()?;
        Ok(true)
    }

    fn post(&mut self, writes: &[(u32, u32)]) {
        for &(address, value) in writes {
            self.core.post(address, value);
        }
    }

    /// Runs until a unit has come.
    fn wait(&mut self) -> Result<(), SimError> {
        let mut quiet = 0;
        loop {
            let before = self.core.backlog();
            self.core.run(STEP, Until::Output)?;
            self.units.clear();
            self.core.pull(&mut self.units);
            self.offload.reports(&self.units);
            if !self.units.is_empty() {
                return Ok(());
            }
            quiet = if self.core.backlog() == before {
                quiet + STEP
            } else {
                0
            };
            if quiet >= PATIENCE {
                return Err(SimError::Hung {
                    cycle: self.core.cycle(),
                    what: "answer to a record",
                    bound: PATIENCE,
                });
            }
        }
    }

    /// Has what is under way, and all that comes, be done by software.
    fn give_up(&mut self, error: SimError) {
        tracing::error!("the simulated core is given up: {error}");
        self.offload.abandon();
        self.failure.get_or_insert(error);
    }
}

impl Matcher for Offloaded {
    fn name(&self) -> &'static str {
        self.core.name()
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        if self.failure.is_none() {
            match self.switch(probes) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => self.give_up(error),
            }
        }
        // Anew, when nothing is under way any more.
        while self.failure.is_none() && self.offload.in_flight() > 0 {
            if let Err(error) = self.wait() {
                self.give_up(error);
            }
        }
        self.offload.load(probes)?;
        let writes = self.offload.start(self.zeroed);
        self.zeroed = false;
        if self.failure.is_none() {
            self.post(&writes);
            if let Err(error) = self.core.settle() {
                self.give_up(error);
            }
        }
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        if self.core.backlog() > BACKLOG {
            return Err(MatcherError::Full);
        }
        self.stream.clear();
        self.offload.submit(request, &mut self.stream);
        if self.failure.is_some() {
            self.offload.abandon();
        } else {
            self.core.push(&self.stream);
        }
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let count = self.offload.poll(deliver);
        if count > 0 || self.offload.in_flight() == 0 {
            return count;
        }
        if let Err(error) = self.wait() {
            self.give_up(error);
        }
        self.offload.poll(deliver)
    }
}
