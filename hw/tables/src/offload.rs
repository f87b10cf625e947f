//! The host's side of a core: requests to records, report units to answers.

use std::collections::VecDeque;
use std::sync::Arc;

use card_protocol::record::{Record, size};
use card_protocol::register::{self, CONTROL_ENABLE, CONTROL_FLUSH};
use card_protocol::report::{FLAGS_UNFINISHED, Item};
use card_protocol::reports::Counts;
use weir_engine::matcher::{MatcherError, Probe, Report, Request};

use crate::answers::Answers;
use crate::ends::{Ended, Ends};
use crate::key::Key;
use crate::loaded::{DoesNotFit, Loaded};
use crate::records::append;
use crate::share::{Share, pieces};
use crate::split::{self, Guide};
use crate::{EntryHit, Geometry, register_writes};

/// Values of a core's registers that are the host's to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Register [`LIMIT`](register::LIMIT).
    pub limit: u16,
    /// Register [`LINGER`](register::LINGER).
    pub linger: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limit: u16::MAX,
            linger: 64,
        }
    }
}

/// A record that was sent and not reported on.
struct Sent {
    request: u64,
    generation: u16,
    group: u8,
    /// Where its payload starts in the request's data.
    start: u32,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records written.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that ended without a flag and with all of their hits.
    pub done: u64,
    /// Records that ended with a flag.
    pub flagged: u64,
    /// Records that ended without a flag, but some of whose hits were lost.
    pub short: u64,
    /// Records whose end never came.
    pub lost: u64,
    /// Ends of records that were not due.
    pub stray: u64,
}

/// The host's side of a core, without the way there: whoever uses it carries the bytes and the register writes, in order.
///
/// * [`Offload::load`] and then [`Offload::start`] set a core up; [`Offload::begin`] and [`Offload::finish`] switch to
///   another probe set while records are under way.
/// * [`Offload::submit`] turns a buffer into records, and has software look for probes that the core does not have.
/// * [`Offload::reports`] takes what the core answers, [`Offload::poll`] hands out answers.
pub struct Offload {
    geometry: Geometry,
    key: Key,
    guide: Guide,
    settings: Settings,
    nonce: u32,
    tables: Option<(Loaded, Share)>,
    /// The generation before, while records of it are under way.
    old: Option<(u16, Share)>,
    ends: Ends,
    /// Sequence number of the next record; the records in `sent` have those before it.
    sequence: u32,
    sent: VecDeque<Sent>,
    answers: Answers,
    tally: Tally,
}

impl Offload {
    /// For a core of this geometry. `nonce` is best drawn anew for every session.
    pub fn new(geometry: Geometry, key: Key, nonce: u32, settings: Settings) -> Self {
        Self {
            geometry,
            key,
            guide: Guide::default(),
            settings,
            nonce,
            tables: None,
            old: None,
            ends: Ends::new(nonce),
            sequence: 0,
            sent: VecDeque::new(),
            answers: Answers::default(),
            tally: Tally::default(),
        }
    }

    /// The same, with what a split goes by when probes do not fit or are to be fewer.
    #[must_use]
    pub fn guided(mut self, guide: Guide) -> Self {
        self.guide = guide;
        self
    }

    /// The core's parameters.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The tables, and what software does beside them; `None` before the first load.
    pub fn tables(&self) -> Option<(&Loaded, &Share)> {
        self.tables.as_ref().map(|(loaded, share)| (loaded, share))
    }

    /// What became of the records.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What became of the report units.
    pub fn units(&self) -> Counts {
        self.ends.counts()
    }

    /// Records that are under way.
    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Takes a probe set that the core is to be set up with anew, by [`Offload::start`]. What is under way is given up. Probes that do not fit are left to software.
    ///
    /// # Errors
    /// When there are too many for software.
    pub fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.abandon();
        let generation = self
            .tables
            .as_ref()
            .map_or(0, |(loaded, _)| loaded.generation().wrapping_add(1));
        let (loaded, split) = split::fill(
            probes,
            self.geometry,
            self.key.clone(),
            generation,
            &self.guide,
        );
        self.tables = Some((loaded, Share::new(probes, &Arc::new(split))?));
        self.old = None;
        Ok(())
    }

    /// Another key from the next [`Offload::load`] on.
    pub fn rekey(&mut self, key: Key) {
        self.key = key;
    }

    /// The register writes (address, value) that set a core up, whatever it did before: flush, tables, settings, go. `zeroed` says that
    /// its memories are all zero. What is under way is given up.
    pub fn start(&mut self, zeroed: bool) -> Vec<(u32, u32)> {
        self.abandon();
        self.ends.restart(self.nonce);
        let mut writes = vec![
            (register::CONTROL, CONTROL_FLUSH),
            (register::GENERATION_EVEN, 0),
            (register::GENERATION_ODD, 0),
            (register::NONCE, self.nonce),
            (register::LIMIT, self.settings.limit.into()),
            (register::LINGER, self.settings.linger.into()),
        ];
        if let Some((loaded, _)) = &self.tables {
            writes.extend(register_writes(&loaded.image(zeroed)));
            writes.extend(loaded.registers());
        }
        writes.push((register::CONTROL, CONTROL_ENABLE));
        writes
    }

    /// Begins a switch to another probe set: the register writes for it. Requests submitted from now on are for the new set, and are not to be
    /// sent before these writes are done. Probes that do not fit beside the old ones are left to software.
    ///
    /// # Errors
    /// When the switch before is not finished. A set too large for software is as one that does not fit.
    pub fn begin(&mut self, probes: &[Probe]) -> Result<Vec<(u32, u32)>, DoesNotFit> {
        let Some((loaded, share)) = &mut self.tables else {
            return Err(DoesNotFit::NotLoaded);
        };
        let old = loaded.generation();
        let mut next = loaded.clone();
        let (switch, split) = split::begin(&mut next, probes, &self.guide)?;
        let new = Share::new(probes, &Arc::new(split)).map_err(|_| DoesNotFit::Software {
            probes: probes.len(),
        })?;
        *loaded = next;
        self.old = Some((old, std::mem::replace(share, new)));
        let mut writes: Vec<_> = register_writes(&switch.writes).collect();
        writes.extend(loaded.registers());
        Ok(writes)
    }

    /// The register writes that end a switch; `None` while records of the old set are under way. Without a switch there is
    /// nothing to write.
    pub fn finish(&mut self) -> Option<Vec<(u32, u32)>> {
        let Some((old, _)) = &self.old else {
            return Some(Vec::new());
        };
        if self.sent.iter().any(|sent| sent.generation == *old) {
            return None;
        }
        self.old = None;
        let (loaded, _) = self.tables.as_mut()?;
        let writes = loaded.finish();
        let mut all = loaded.registers().to_vec();
        all.extend(register_writes(&writes));
        Some(all)
    }

    /// Adds the records of a buffer to `stream`, and has software look for what the core does not have.
    pub fn submit(&mut self, request: Request<'_>, stream: &mut Vec<u8>) {
        let number = self.answers.number();
        let mut open = self.answers.begin(request.tag);
        if let Some((loaded, share)) = &mut self.tables {
            open.done = share.search(&request, &mut open.hits);
            let wanted = if share.needs_core(request.group) {
                request.data.len()
            } else {
                0
            };
            for piece in pieces(wanted, request.carry) {
                let record = Record {
                    nonce: self.nonce,
                    sequence: self.sequence,
                    group: request.group,
                    carry: piece.carry,
                    generation: loaded.generation(),
                    payload: request.data.get(piece.start..piece.end).unwrap_or_default(),
                };
                let at = stream.len();
                if append(stream, self.geometry.lanes, &record).is_err() {
                    // No piece is malformed; were it, software would look through the buffer.
                    open.done = false;
                    continue;
                }
                self.tally.records += 1;
                self.tally.bytes += (stream.len() - at) as u64;
                self.sequence = self.sequence.wrapping_add(1);
                open.records += 1;
                self.sent.push_back(Sent {
                    request: number,
                    generation: record.generation,
                    group: request.group,
                    start: piece.start as u32,
                });
            }
        }
        self.answers.put(open);
    }

    /// Bytes of records that a buffer makes at most.
    pub fn room(&self, request: &Request<'_>) -> usize {
        pieces(request.data.len(), request.carry)
            .map(|piece| size(piece.end - piece.start, self.geometry.lanes))
            .sum()
    }

    /// Takes bytes of the core's stream of report units, in pieces of any size.
    pub fn reports(&mut self, bytes: &[u8]) {
        self.with_ends(|ends, on_end| ends.feed(bytes, on_end));
    }

    /// Takes an item, for those who read units themselves.
    pub fn item(&mut self, item: Item) {
        self.with_ends(|ends, on_end| ends.item(item, on_end));
    }

    fn with_ends(&mut self, read: impl FnOnce(&mut Ends, &mut dyn FnMut(Ended<'_>))) {
        // Set aside meanwhile: whoever is told of an end needs all the rest.
        let mut ends = std::mem::replace(&mut self.ends, Ends::new(self.nonce));
        read(&mut ends, &mut |ended| self.end(&ended));
        self.ends = ends;
    }

    fn end(&mut self, ended: &Ended<'_>) {
        let first = self.sequence.wrapping_sub(self.sent.len() as u32);
        let place = ended.sequence.wrapping_sub(first) as usize;
        if self
            .sent
            .get(place)
            .is_none_or(|sent| sent.generation != ended.generation)
        {
            self.tally.stray += 1;
            return;
        }
        // Ends come in the order of the records.
        for _ in 0..place {
            self.tally.lost += 1;
            self.close(false, &[]);
        }
        match (ended.flags & FLAGS_UNFINISHED != 0, ended.whole) {
            (true, _) => self.tally.flagged += 1,
            (false, false) => self.tally.short += 1,
            (false, true) => self.tally.done += 1,
        }
        self.close(ended.finished(), ended.hits);
    }

    /// Ends the first record that is under way.
    fn close(&mut self, done: bool, found: &[EntryHit]) {
        let Some(sent) = self.sent.pop_front() else {
            return;
        };
        let share = match (&self.old, &self.tables) {
            (Some((generation, share)), _) if *generation == sent.generation => share,
            (_, Some((_, share))) => share,
            _ => return,
        };
        self.answers.record(sent.request, |open| {
            open.done &= done;
            if done {
                share.translate(found, sent.group, sent.start, &mut open.hits);
            }
        });
    }

    /// Gives up all that is under way: after a reset or flush of the core, or when it does not answer.
    pub fn abandon(&mut self) {
        self.tally.lost += self.sent.len() as u64;
        while !self.sent.is_empty() {
            self.close(false, &[]);
        }
        self.ends.forget();
    }

    /// Delivers the answers there are, and returns how many.
    pub fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.answers.deliver(deliver)
    }
}
