//! A simulated core as a matcher.

use std::collections::VecDeque;

use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request};

use weir_tables::split::{self, Guide};
use weir_tables::{Key, Loaded, Share, pieces, settle};

use crate::SimError;
use crate::core::{Core, Until};
use crate::session::{Answer, Session};

/// Bytes that may wait to be taken; beyond them the matcher is full.
const BACKLOG: usize = 1 << 20;
/// Cycles that a poll runs for before it says that nothing has come.
const POLL: u64 = 4096;
/// Cycles without any progress after which a core is given up.
const PATIENCE: u64 = 1 << 20;

/// A request that was handed in.
struct Pending {
    tag: u64,
    group: u8,
    /// Low bit of the generation that its records name.
    parity: usize,
    /// For each of its records that has not been answered, where its payload begins in the request's data.
    starts: VecDeque<usize>,
    outcome: Outcome,
    hits: Vec<Hit>,
}

/// Tables of a core, and what software does beside them, by generation.
struct Tables {
    loaded: Loaded,
    /// By parity; both during a switch.
    shares: [Option<Share>; 2],
    /// The old generation is still in the core.
    switching: bool,
}

/// A core behind the matcher's contract: buffers become records, answers become hits.
pub struct Offloaded {
    session: Session,
    key: Key,
    guide: Guide,
    tables: Option<Tables>,
    /// In the order in which their records went in.
    pending: VecDeque<Pending>,
    ready: VecDeque<Pending>,
    failure: Option<SimError>,
}

impl Offloaded {
    /// A core that was just made: its memories are all zero.
    ///
    /// # Errors
    ///
    /// When its registers cannot be written.
    pub fn new(core: Box<dyn Core>, key: Key, limit: u16) -> Result<Self, SimError> {
        // Any will do: nothing else speaks on these streams.
        const NONCE: u32 = 0x5EED_0001;
        Ok(Self {
            session: Session::start(core, NONCE, limit)?,
            key,
            guide: Guide::default(),
            tables: None,
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            failure: None,
        })
    }

    /// The core, and what happened on its streams.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Why the core was given up, if it was. All buffers are unfinished from then on.
    pub fn failure(&self) -> Option<&SimError> {
        self.failure.as_ref()
    }

    /// Probes of the last load that software looks for, because they have no place in the core.
    pub fn moved(&self) -> usize {
        let Some(tables) = &self.tables else { return 0 };
        let share = &tables.shares[parity(&tables.loaded)];
        share.as_ref().map_or(0, |share| share.moved().len())
    }

    /// A switch to another set beside the one that is live; false when both have no place.
    fn switch(&mut self, probes: &[Probe]) -> Result<bool, MatcherError> {
        if let Err(error) = self.end_switch() {
            self.give_up(error);
        }
        let Some(tables) = &mut self.tables else {
            return Ok(false);
        };
        let mut next = tables.loaded.clone();
        let Ok((switch, split)) = split::begin(&mut next, probes, &self.guide) else {
            return Ok(false);
        };
        if !split.software.is_empty() {
            // More would fit if the old ones went first.
            return Ok(false);
        }
        let share = Share::new(probes, split)?;
        tables.loaded = next;
        tables.shares[parity(&tables.loaded)] = Some(share);
        tables.switching = true;
        self.session.post(&switch.writes);
        self.session.post_generations(&tables.loaded);
        // Records with the new generation may go in when it is live; those of the old one go on meanwhile.
        if let Err(error) = self.session.core.settle() {
            self.give_up(error);
        }
        Ok(true)
    }

    /// Waits for the records of the old generation, and lets it go.
    fn end_switch(&mut self) -> Result<(), SimError> {
        if !self.tables.as_ref().is_some_and(|tables| tables.switching) {
            return Ok(());
        }
        self.drain()?;
        let Some(tables) = &mut self.tables else {
            return Ok(());
        };
        let writes = tables.loaded.finish();
        tables.switching = false;
        tables.shares[1 - parity(&tables.loaded)] = None;
        self.session.post_generations(&tables.loaded);
        self.session.post(&writes);
        self.session.core.settle()
    }

    /// All tables anew, with nothing under way.
    fn fill(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        if let Err(error) = self.drain() {
            self.give_up(error);
        }
        let before = self
            .tables
            .as_ref()
            .map(|tables| tables.loaded.generation());
        let generation = before.map_or(0, |generation| generation.wrapping_add(1));
        let geometry = *self.session.core.geometry();
        let (loaded, split) =
            split::fill(probes, geometry, self.key.clone(), generation, &self.guide);
        let share = Share::new(probes, split)?;
        let mut shares = [None, None];
        shares[parity(&loaded)] = Some(share);
        for register in [
            card_protocol::register::GENERATION_EVEN,
            card_protocol::register::GENERATION_ODD,
        ] {
            self.session.core.post(register, 0);
        }
        if let Err(error) = self.session.load(&loaded, before.is_none()) {
            self.give_up(error);
        }
        self.tables = Some(Tables {
            loaded,
            shares,
            switching: false,
        });
        Ok(())
    }

    /// Waits until nothing is under way.
    fn drain(&mut self) -> Result<(), SimError> {
        while !self.pending.is_empty() && self.failure.is_none() {
            self.session.wait(1, PATIENCE)?;
            self.take_answers()?;
        }
        Ok(())
    }

    /// Has what is under way, and all that comes, be done by software.
    fn give_up(&mut self, error: SimError) {
        tracing::error!("the simulated core is given up: {error}");
        self.failure.get_or_insert(error);
        for mut pending in self.pending.drain(..) {
            pending.outcome = Outcome::Unfinished;
            self.ready.push_back(pending);
        }
    }

    /// Hands answers to the requests that they belong to.
    fn take_answers(&mut self) -> Result<(), SimError> {
        while let Some(answer) = self.session.answer() {
            let known = self.pending.front_mut();
            let pending = known.ok_or_else(|| unasked(&self.session, &answer))?;
            let start = pending.starts.pop_front();
            let start = start.ok_or_else(|| unasked(&self.session, &answer))?;
            let tables = self.tables.as_ref();
            let share = tables.and_then(|tables| tables.shares[pending.parity].as_ref());
            match share {
                Some(share) if answer.finished() => {
                    for hit in &answer.hits {
                        let end = start as u32 + u32::from(hit.end);
                        let probes = share.probes(hit.entry, pending.group);
                        pending.hits.extend(probes.map(|probe| Hit { probe, end }));
                    }
                }
                _ => pending.outcome = Outcome::Unfinished,
            }
            if pending.starts.is_empty() {
                self.ready.extend(self.pending.pop_front());
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), SimError> {
        self.session.run(POLL, Until::Output)?;
        if self.session.answered() == 0 && self.session.core.backlog() == 0 {
            // All is in, so that what is missing is on its way.
            self.session.wait(1, PATIENCE)?;
        }
        self.take_answers()
    }
}

fn parity(loaded: &Loaded) -> usize {
    usize::from(loaded.generation() & 1)
}

fn unasked(session: &Session, answer: &Answer) -> SimError {
    SimError::Protocol {
        cycle: session.core.cycle(),
        what: format!(
            "an answer to record {}, which is not under way",
            answer.sequence
        ),
    }
}

impl Matcher for Offloaded {
    fn name(&self) -> &'static str {
        self.session.core.name()
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        if self.switch(probes)? {
            return Ok(());
        }
        self.fill(probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        if self.session.core.backlog() > BACKLOG {
            return Err(MatcherError::Full);
        }
        let mut pending = Pending {
            tag: request.tag,
            group: request.group,
            parity: 0,
            starts: VecDeque::new(),
            outcome: Outcome::Done,
            hits: Vec::new(),
        };
        // Without tables there is nothing to find.
        if let Some(tables) = &mut self.tables {
            let generation = tables.loaded.generation();
            pending.parity = parity(&tables.loaded);
            let share = tables.shares[pending.parity].as_mut();
            let done = share.is_none_or(|share| share.search(&request, &mut pending.hits));
            let share = tables.shares[pending.parity].as_ref();
            if !done || self.failure.is_some() {
                pending.outcome = Outcome::Unfinished;
            } else if share.is_some_and(|share| share.needs_core(request.group)) {
                for piece in pieces(request.data.len(), request.carry) {
                    let payload = request.data.get(piece.start..piece.end).unwrap_or_default();
                    let sent = self
                        .session
                        .send(payload, request.group, piece.carry, generation);
                    match sent {
                        Ok(_) => pending.starts.push_back(piece.start),
                        Err(_) => pending.outcome = Outcome::Unfinished,
                    }
                }
            }
        }
        if pending.starts.is_empty() {
            self.ready.push_back(pending);
        } else {
            self.pending.push_back(pending);
        }
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        if self.ready.is_empty()
            && !self.pending.is_empty()
            && let Err(error) = self.advance()
        {
            self.give_up(error);
        }
        let mut count = 0;
        for mut pending in self.ready.drain(..) {
            settle(&mut pending.hits);
            deliver(Report {
                tag: pending.tag,
                outcome: pending.outcome,
                hits: &pending.hits,
            });
            count += 1;
        }
        count
    }
}
