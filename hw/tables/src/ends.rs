//! From a core's stream of report units to the ends of records, each with its hits.

use card_protocol::report::{FLAGS_UNFINISHED, Item};
use card_protocol::reports::{Counts, Event, Reports};

use crate::EntryHit;

/// Hits of a record that are kept: as many as there can be, one for each end and length.
const MOST_HITS: usize = 8 * card_protocol::record::MAX_LENGTH;

/// The end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// The record's.
    pub sequence: u32,
    /// The record's.
    pub generation: u16,
    /// `FLAG_*` of [`card_protocol::report`].
    pub flags: u8,
    /// All of the record's hits are there.
    pub whole: bool,
    /// Its hits; an entry may be repeated.
    pub hits: &'a [EntryHit],
}

impl Ended<'_> {
    /// True when the hits are the answer.
    pub fn finished(&self) -> bool {
        self.whole && self.flags & FLAGS_UNFINISHED == 0
    }
}

/// Reads a stream of report units.
#[derive(Clone, Debug)]
pub struct Ends {
    reports: Reports,
    open: Open,
}

/// The record whose end comes next.
#[derive(Clone, Debug, Default)]
struct Open {
    hits: Vec<EntryHit>,
    /// How many hits that were.
    count: u8,
    /// Something was lost since the last end.
    broken: bool,
}

impl Ends {
    /// At the start of a session.
    pub fn new(nonce: u32) -> Self {
        Self {
            reports: Reports::new(nonce),
            open: Open::default(),
        }
    }

    /// The same after a reset or flush, or with another nonce. What was counted stays.
    pub fn restart(&mut self, nonce: u32) {
        self.reports.restart(nonce);
        self.forget();
    }

    /// Lets go of hits whose end has not come.
    pub fn forget(&mut self) {
        self.open.hits.clear();
        self.open.count = 0;
        self.open.broken = false;
    }

    /// Takes bytes of the stream, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8], on_end: &mut dyn FnMut(Ended<'_>)) {
        let Self { reports, open } = self;
        reports.feed(bytes, &mut |event| match event {
            Event::Item(item) => open.item(item, on_end),
            Event::Gap { .. } | Event::Unknown(_) => open.broken = true,
        });
    }

    /// Takes an item, for those who read units themselves.
    pub fn item(&mut self, item: Item, on_end: &mut dyn FnMut(Ended<'_>)) {
        self.open.item(item, on_end);
    }

    /// What became of the units.
    pub fn counts(&self) -> Counts {
        self.reports.counts()
    }
}

impl Open {
    fn item(&mut self, item: Item, on_end: &mut dyn FnMut(Ended<'_>)) {
        match item {
            Item::Hit { entry, end } => {
                self.count = self.count.wrapping_add(1);
                if self.hits.len() < MOST_HITS {
                    self.hits.push(EntryHit { entry, end });
                } else {
                    self.broken = true;
                }
            }
            Item::End {
                flags,
                hits,
                generation,
                sequence,
            } => {
                on_end(Ended {
                    sequence,
                    generation,
                    flags,
                    whole: !std::mem::take(&mut self.broken) && hits == self.count,
                    hits: &self.hits,
                });
                self.hits.clear();
                self.count = 0;
            }
        }
    }
}
