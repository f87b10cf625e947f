//! Reading report units from a stream that may have lost bytes.

use crate::report::{Item, MAGIC, UNIT, Unit};

/// What a stream of units says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An item.
    Item(Item),
    /// Units are missing here, so many that were numbered; hits and ends of the records around this place may be lost.
    Gap {
        /// How many, modulo 2^32.
        missing: u32,
    },
    /// A word in a good unit that is no item; something may be lost.
    Unknown(u64),
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Good units.
    pub units: u64,
    /// Gaps in their numbers.
    pub gaps: u64,
    /// Bytes that belong to no good unit.
    pub skipped: u64,
    /// Words in good units that are no items.
    pub unknown: u64,
}

/// Finds units in a stream by magic, nonce and CRC, wherever they stand, and hands out what they say.
#[derive(Clone, Debug)]
pub struct Reports {
    nonce: u32,
    /// Number of the unit that comes next.
    next: u32,
    hold: [u8; UNIT],
    held: usize,
    counts: Counts,
}

impl Reports {
    /// At the start of a session, or after a reset or flush: the next unit has number 0.
    pub fn new(nonce: u32) -> Self {
        Self {
            nonce,
            next: 0,
            hold: [0; UNIT],
            held: 0,
            counts: Counts::default(),
        }
    }

    /// The same after a reset or flush, or with another nonce: the next unit has number 0. What was counted stays.
    pub fn restart(&mut self, nonce: u32) {
        self.counts.skipped += self.held as u64;
        self.held = 0;
        self.next = 0;
        self.nonce = nonce;
    }

    /// Takes bytes of the stream, in pieces of any size.
    pub fn feed(&mut self, mut bytes: &[u8], on_event: &mut dyn FnMut(Event)) {
        loop {
            let wanted = UNIT - self.held;
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(room) = self.hold.get_mut(self.held..self.held + taken.len()) {
                room.copy_from_slice(taken);
            }
            self.held += taken.len();
            bytes = rest;
            if self.held < UNIT {
                return;
            }
            match Unit::parse(&self.hold, self.nonce) {
                Ok(unit) => {
                    self.held = 0;
                    self.unit(&unit, on_event);
                }
                Err(_) => self.skip(),
            }
        }
    }

    fn unit(&mut self, unit: &Unit, on_event: &mut dyn FnMut(Event)) {
        self.counts.units += 1;
        if unit.number != self.next {
            self.counts.gaps += 1;
            let missing = unit.number.wrapping_sub(self.next);
            on_event(Event::Gap { missing });
        }
        self.next = unit.number.wrapping_add(1);
        for &word in &unit.items {
            match Item::parse(word) {
                Ok(None) => {}
                Ok(Some(item)) => on_event(Event::Item(item)),
                Err(_) => {
                    self.counts.unknown += 1;
                    on_event(Event::Unknown(word));
                }
            }
        }
    }

    /// Lets bytes go up to the next place where a unit may start.
    fn skip(&mut self) {
        let magic = MAGIC.to_le_bytes();
        let starts = |at: &usize| {
            let tail = &self.hold[*at..];
            let seen = tail.len().min(magic.len());
            tail[..seen] == magic[..seen]
        };
        let skipped = (1..UNIT).find(starts).unwrap_or(UNIT);
        self.hold.copy_within(skipped.., 0);
        self.held = UNIT - skipped;
        self.counts.skipped += skipped as u64;
    }

    /// Number that the next unit has if none is missing.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// Bytes taken that are no whole unit yet.
    pub fn pending(&self) -> usize {
        self.held
    }

    /// What has come so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
