//! The software backend: a sampled filter in vector registers, and an exact comparison that few offsets reach.
//!
//! Each block of 64 bytes goes through three stages, and a later one sees only what the earlier ones left:
//!
//! 1. **Repeats.** A block whose every window equals the one 24 bytes before it (a run, or any period that divides 24)
//!    can report nothing new, and is passed over.
//! 2. **Filter.** Probes of 5 to 8 bytes are looked for at every *second* offset only, because each of them covers two
//!    neighbouring 4-grams whatever its place ([`filter::Words`]). Shorter ones are looked for at every offset, by three
//!    bytes ([`filter::Triples`]) or two ([`filter::Pairs`]). How the levels of SIMD do this is the [`kernel`]s' matter.
//! 3. **Exact.** Offsets that are left are looked up by a wider window in [`exact::Exact`], whose work per offset is
//!    bounded whatever the set.
//!
//! Probes of a single byte are looked for on their own, until each has been found.
//!
//! `DESIGN.md` beside this file says what was measured and what was tried.

mod exact;
mod filter;
mod hash;
mod kernel;
mod rarity;
mod single;
mod tables;
mod text;

pub use kernel::Level;

use std::sync::{Arc, Mutex, PoisonError};

use self::exact::Candidates;
use self::hash::Key;
use self::kernel::Queues;
use self::tables::Tables;
use self::text::Text;
use super::found::Found;
use super::{MAX_GROUPS, Matcher, MatcherError, Probe, Report, Request};

/// Most probes that fit: enough for any rule set there is, few enough that table sizes stay within their types.
pub const MAX_PROBES: usize = 1 << 20;

/// Tables for matchers that look for the same probes, built by the first one that loads them. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    key: Key,
    latest: Arc<Mutex<Built>>,
}

/// Probes, and the tables that were built for them.
type Built = Option<(Box<[Probe]>, Arc<Tables>)>;

impl Default for Shared {
    fn default() -> Self {
        Self {
            key: Key::random(),
            latest: Arc::default(),
        }
    }
}

impl Shared {
    /// The tables for these probes. Whoever asks for the same ones meanwhile waits.
    fn tables(&self, probes: &[Probe]) -> Arc<Tables> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((known, tables)) if **known == *probes => Arc::clone(tables),
            _ => {
                let tables = Arc::new(Tables::new(probes, self.key));
                *latest = Some((probes.into(), Arc::clone(&tables)));
                tables
            }
        }
    }
}

/// The software backend.
pub struct Software {
    level: Level,
    key: Key,
    tables: Arc<Tables>,
    /// Where tables are looked for before they are built.
    shared: Option<Shared>,
    text: Box<Text>,
    queues: Box<Queues>,
    candidates: Box<Candidates>,
    found: Found,
}

impl Default for Software {
    fn default() -> Self {
        Self::new()
    }
}

impl Software {
    /// A matcher without probes, at the best level that this processor has.
    pub fn new() -> Self {
        Self::with_level(Level::best())
    }

    /// The same, which shares its tables with others: those of the matchers of several workers are the same.
    pub fn sharing(shared: Shared) -> Self {
        Self {
            shared: Some(shared.clone()),
            ..Self::keyed(Level::best(), shared.key)
        }
    }

    /// A matcher at a level of one's choice, or at the best one below it that this processor has. All give the same
    /// answers.
    pub fn with_level(level: Level) -> Self {
        Self::keyed(level, Key::random())
    }

    /// The same with hashes that can be had again: for tests, since what comes from outside could be made to collide.
    pub fn seeded(level: Level, seed: u64) -> Self {
        // Spreads a small number over all bits (Knuth's multiplicative hashing).
        Self::keyed(
            level,
            Key::new(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        )
    }

    fn keyed(level: Level, key: Key) -> Self {
        Self {
            level: level.or_available(),
            key,
            tables: Arc::default(),
            shared: None,
            text: Box::default(),
            queues: Box::default(),
            candidates: Box::default(),
            found: Found::default(),
        }
    }

    /// The level it runs at.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Bytes of its tables.
    pub fn table_bytes(&self) -> usize {
        self.tables.bytes()
    }

    fn scan(&mut self, request: &Request<'_>) {
        let Self {
            level,
            key,
            tables,
            text,
            queues,
            candidates,
            found,
            ..
        } = self;
        let Some(filter) = tables.filter(request.group) else {
            return;
        };
        let data = request.data;
        if data.len() < filter.shortest {
            return;
        }
        found.next_buffer();
        if let Some(singles) = &filter.singles {
            singles.scan(request, &mut |byte, end| {
                for &probe in tables.singles.of(byte) {
                    tables.note(probe, byte.into(), end, request, found);
                }
            });
        }
        if !filter.looks_at_blocks() {
            return;
        }
        let mut start = 0;
        while start < data.len() {
            start = text.fill(data, start);
            queues.clear();
            level.scan(filter, *key, text, queues);
            tables.check(request, text, queues, candidates, found);
        }
    }
}

impl Matcher for Software {
    fn name(&self) -> &'static str {
        "software"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        if probes.len() > MAX_PROBES {
            return Err(MatcherError::TooManyProbes {
                got: probes.len(),
                limit: MAX_PROBES,
            });
        }
        self.tables = match &self.shared {
            Some(shared) => shared.tables(probes),
            None => Arc::new(Tables::new(probes, self.key)),
        };
        self.found.reset(probes.len());
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        debug_assert!(request.group < MAX_GROUPS);
        self.scan(&request);
        self.found.finish(request.tag);
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.found.deliver(deliver)
    }
}

#[cfg(test)]
mod repeats;
#[cfg(test)]
mod tests;
