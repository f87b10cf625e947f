//! The golden model as a matcher.

use std::collections::VecDeque;
use std::sync::Arc;

use card_protocol::register;
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request};

use crate::golden::{EntryHit, Golden};
use crate::key::Key;
use crate::loaded::Loaded;
use crate::share::{Share, pieces, settle};
use crate::split::{self, Guide};
use crate::{Geometry, Write};

/// An answer that was not polled yet.
struct Answer {
    tag: u64,
    outcome: Outcome,
    hits: Vec<Hit>,
}

/// The golden model: does what a core and its host do, record by record, without the stream between them.
pub struct Model {
    golden: Golden,
    key: Key,
    guide: Guide,
    tables: Option<(Loaded, Share)>,
    found: Vec<EntryHit>,
    ready: VecDeque<Answer>,
    spare: Vec<Vec<Hit>>,
}

impl Model {
    /// A core of this geometry; `limit` is the register [`LIMIT`](register::LIMIT).
    pub fn new(geometry: Geometry, key: Key, limit: u16) -> Self {
        let mut golden = Golden::new(geometry);
        golden.write(register::LIMIT, limit.into());
        Self {
            golden,
            key,
            guide: Guide::default(),
            tables: None,
            found: Vec::new(),
            ready: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// The same, with what a split goes by when probes do not fit or are to be fewer.
    #[must_use]
    pub fn guided(mut self, guide: Guide) -> Self {
        self.guide = guide;
        self
    }

    /// The core.
    pub fn golden(&self) -> &Golden {
        &self.golden
    }

    /// The tables, and what software does beside them; `None` before the first load.
    pub fn tables(&self) -> Option<(&Loaded, &Share)> {
        self.tables.as_ref().map(|(loaded, share)| (loaded, share))
    }

    fn write(&mut self, writes: &[Write]) {
        for &write in writes {
            self.golden.table(write);
        }
    }

    fn registers(&mut self, registers: [(u32, u32); 2]) {
        for (address, value) in registers {
            self.golden.write(address, value);
        }
    }
}

impl Matcher for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        // The next generation, as a core in service gets it, if all that fits beside the old one fits at all.
        if let Some((loaded, _)) = &mut self.tables {
            let mut next = loaded.clone();
            if let Ok((switch, split)) = split::begin(&mut next, probes, &self.guide)
                && split.software.is_empty()
            {
                let share = Share::new(probes, &Arc::new(split))?;
                self.write(&switch.writes);
                self.registers(next.registers());
                let writes = next.finish();
                self.registers(next.registers());
                self.write(&writes);
                self.tables = Some((next, share));
                return Ok(());
            }
        }
        let generation = self
            .tables
            .as_ref()
            .map_or(0, |(loaded, _)| loaded.generation().wrapping_add(1));
        let geometry = *self.golden.geometry();
        let (loaded, split) =
            split::fill(probes, geometry, self.key.clone(), generation, &self.guide);
        let share = Share::new(probes, &Arc::new(split))?;
        self.registers([
            (register::GENERATION_EVEN, 0),
            (register::GENERATION_ODD, 0),
        ]);
        self.write(&loaded.image(self.tables.is_none()));
        self.registers(loaded.registers());
        self.tables = Some((loaded, share));
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        let mut answer = Answer {
            tag: request.tag,
            outcome: Outcome::Done,
            hits: self.spare.pop().unwrap_or_default(),
        };
        if let Some((loaded, share)) = &mut self.tables {
            let mut done = share.search(&request, &mut answer.hits);
            if share.needs_core(request.group) {
                let parity = (loaded.generation() & 1) as u8;
                for piece in pieces(request.data.len(), request.carry) {
                    let payload = request.data.get(piece.start..piece.end).unwrap_or_default();
                    self.found.clear();
                    let look = self.golden.look(
                        payload,
                        request.group,
                        parity,
                        piece.carry,
                        &mut self.found,
                    );
                    done &= !look.overflow;
                    if look.overflow {
                        continue;
                    }
                    let start = piece.start as u32;
                    share.translate(&self.found, request.group, start, &mut answer.hits);
                }
            }
            settle(&mut answer.hits);
            if !done {
                answer.outcome = Outcome::Unfinished;
            }
        }
        self.ready.push_back(answer);
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let count = self.ready.len();
        for mut answer in self.ready.drain(..) {
            deliver(Report {
                tag: answer.tag,
                outcome: answer.outcome,
                hits: &answer.hits,
            });
            answer.hits.clear();
            self.spare.push(answer.hits);
        }
        count
    }
}
