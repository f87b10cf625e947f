//! Streams on their way to the next process.
//!
//! What is read may be anything, so it is taken over only where it could have become so.

use std::net::IpAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::direction::{Direction, MOST_PIECES, MOST_URGENT, Piece};
use super::pool::Pool;
use super::streams::{StreamId, Streams};
use super::window::{Candidate, MOST_CANDIDATES, Matched, Window};
use crate::handover::bytes;
use crate::plan::RuleId;

/// Offsets that nothing real comes near, so that adding to them cannot overflow.
const MOST_OFFSET: u64 = 1 << 62;

/// More than any buffer holds.
const MOST_CAPACITY: u64 = 1 << 24;

/// Both directions of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedConnection<'a> {
    #[serde(borrow)]
    directions: [SavedDirection<'a>; 2],
    windows: [SavedWindow; 2],
    turn: bool,
    restarted: bool,
    used: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedDirection<'a> {
    #[serde(borrow, serialize_with = "bytes")]
    kept: &'a [u8],
    /// What the buffer holds: how long bytes are kept, and so compared with what comes for them again, depends on it.
    capacity: u64,
    base: u64,
    next_seq: Option<u32>,
    waiting: Vec<SavedPiece<'a>>,
    most_waiting: u32,
    gap_end: u64,
    omitted: u64,
    urgent: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedPiece<'a> {
    at: u64,
    #[serde(borrow, serialize_with = "bytes")]
    bytes: &'a [u8],
    segment: Range<u64>,
}

/// A window; rules by the numbers that they have in the file.
#[derive(Debug, Serialize, Deserialize)]
struct SavedWindow {
    start: u64,
    looked: u64,
    candidates: Vec<SavedCandidate>,
    matched: Vec<SavedMatched>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedCandidate {
    rule: u32,
    found: u64,
    looked: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedMatched {
    rule: u32,
    seen: u64,
}

impl Streams {
    /// The streams of a connection; `number` gives rules the numbers that they have in the file. `None` for none.
    pub(crate) fn save<E>(
        &self,
        id: StreamId,
        number: &mut dyn FnMut(RuleId) -> Result<u32, E>,
    ) -> Result<Option<SavedConnection<'_>>, E> {
        let Some(connection) = self.get(id) else {
            return Ok(None);
        };
        let [there, back] = &connection.directions;
        let [first, second] = &connection.windows;
        Ok(Some(SavedConnection {
            directions: [there.save(), back.save()],
            windows: [first.save(number)?, second.save(number)?],
            turn: connection.turn == 1,
            restarted: connection.restarted,
            used: self.was_used(connection),
        }))
    }

    /// Takes streams over for a flow between a client and a server. `rule` says which rule has a number in the file, and
    /// whether it concerns the direction. `None` for want of room, and where what was saved cannot be.
    pub(crate) fn adopt(
        &mut self,
        flow: u32,
        (client, server): (IpAddr, IpAddr),
        saved: SavedConnection<'_>,
        rule: &mut dyn FnMut(u32, usize) -> Option<RuleId>,
    ) -> Option<StreamId> {
        let id = self.place(flow, client, server)?;
        let done = self.fill(id, saved, rule);
        if done.is_none() {
            self.end(id);
        }
        self.counters.peak_bytes = self.counters.peak_bytes.max(self.pool.used() as u64);
        done.map(|()| id)
    }

    fn fill(
        &mut self,
        id: StreamId,
        saved: SavedConnection<'_>,
        rule: &mut dyn FnMut(u32, usize) -> Option<RuleId>,
    ) -> Option<()> {
        for (way, (from, window)) in (saved.directions.iter().zip(saved.windows)).enumerate() {
            let mut direction = Direction::default();
            let whole = direction.adopt(from, &mut self.pool);
            let (span, next) = (self.window(), direction.next());
            // Also where it is not whole, because its buffers go back from there.
            let connection = self.get_mut(id)?;
            *connection.directions.get_mut(way)? = direction;
            whole?;
            let rules = &mut |number| rule(number, way);
            (connection.windows.get_mut(way)?).adopt(window, next, span, rules)?;
        }
        self.account(id);
        let connection = self.get_mut(id)?;
        connection.turn = saved.turn.into();
        connection.restarted = saved.restarted;
        self.set_used(id, saved.used);
        Some(())
    }
}

impl Direction {
    fn save(&self) -> SavedDirection<'_> {
        SavedDirection {
            kept: &self.kept,
            capacity: self.kept.capacity() as u64,
            base: self.base,
            next_seq: self.next_seq,
            waiting: (self.waiting.iter())
                .map(|piece| SavedPiece {
                    at: piece.at,
                    bytes: &piece.bytes,
                    segment: piece.segment.clone(),
                })
                .collect(),
            most_waiting: self.most_waiting,
            gap_end: self.gap_end,
            omitted: self.omitted,
            urgent: self.urgent.clone(),
        }
    }

    /// Takes over what was saved, into buffers of the pool; `None` where that cannot be.
    fn adopt(&mut self, saved: &SavedDirection<'_>, pool: &mut Pool) -> Option<()> {
        let numbers = [saved.base, saved.gap_end, saved.omitted];
        if numbers.iter().any(|&number| number > MOST_OFFSET)
            || saved.waiting.len() > MOST_PIECES
            || saved.urgent.len() > MOST_URGENT
            || !saved.urgent.is_sorted_by(|a, b| a < b)
        {
            return None;
        }
        (self.base, self.gap_end, self.omitted) = (saved.base, saved.gap_end, saved.omitted);
        self.next_seq = saved.next_seq;
        self.most_waiting = saved.most_waiting.min(MOST_PIECES as u32 + 1);
        self.urgent.clone_from(&saved.urgent);
        if saved.capacity > 0 {
            let capacity = saved
                .capacity
                .min(MOST_CAPACITY)
                .max(saved.kept.len() as u64);
            self.kept = pool.take(usize::try_from(capacity).ok()?)?;
        } else if !saved.kept.is_empty() {
            return None;
        }
        self.kept.extend_from_slice(saved.kept);
        let mut from = 0;
        for piece in &saved.waiting {
            let SavedPiece { at, bytes, segment } = piece;
            let end = at.checked_add(bytes.len() as u64)?;
            let inside = segment.start <= *at && end <= segment.end && segment.end <= MOST_OFFSET;
            if *at < from || bytes.is_empty() || !inside {
                return None;
            }
            let mut buffer = pool.take(bytes.len())?;
            buffer.extend_from_slice(bytes);
            self.waiting_bytes += buffer.len();
            self.waiting.push(Piece {
                at: *at,
                bytes: buffer,
                segment: segment.clone(),
                arrival: 0,
            });
            from = end;
        }
        Some(())
    }
}

impl Window {
    fn save<E>(&self, number: &mut dyn FnMut(RuleId) -> Result<u32, E>) -> Result<SavedWindow, E> {
        let candidates = self.candidates.iter().map(|candidate| {
            Ok(SavedCandidate {
                rule: number(candidate.rule)?,
                found: candidate.found,
                looked: candidate.looked,
            })
        });
        let candidates = candidates.collect::<Result<_, E>>()?;
        let matched = self.matched.iter().map(|matched| {
            Ok(SavedMatched {
                rule: number(matched.rule)?,
                seen: matched.seen,
            })
        });
        Ok(SavedWindow {
            start: self.start,
            looked: self.looked,
            candidates,
            matched: matched.collect::<Result<_, E>>()?,
        })
    }

    /// Takes over what was saved of a window of a stream that has come to `next`; `None` where that cannot be.
    fn adopt(
        &mut self,
        saved: SavedWindow,
        next: u64,
        span: u64,
        rule: &mut dyn FnMut(u32) -> Option<RuleId>,
    ) -> Option<()> {
        if saved.start > next {
            return None;
        }
        self.restart(saved.start);
        self.looked = saved.looked;
        let candidates = saved.candidates.iter().take(MOST_CANDIDATES);
        self.candidates.extend(candidates.filter_map(|candidate| {
            Some(Candidate {
                rule: rule(candidate.rule)?,
                found: candidate.found,
                looked: candidate.looked,
            })
        }));
        self.matched
            .extend(saved.matched.iter().filter_map(|matched| {
                Some(Matched {
                    rule: rule(matched.rule)?,
                    seen: matched.seen,
                })
            }));
        self.sort();
        if next - self.start >= span {
            // Windows are smaller now.
            self.close(next, next.saturating_sub(span));
        }
        Some(())
    }
}
