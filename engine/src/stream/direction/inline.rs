//! What a stream does where verdicts are carried out: its receiver must put together what was inspected, and nothing else.

use std::ops::Range;

use super::super::pool::Pool;
use super::{Direction, Limits, MOST_PIECES, Piece};

/// Most bytes that are kept because their receiver has not acknowledged them. With a segment they fill the largest buffer.
const MOST_UNACKED: u64 = 192 << 10;

/// Why a segment must not go on to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It says something else than what was passed on for the same place.
    Different,
    /// So much waits behind a gap that there is no room for it.
    Full,
}

impl Direction {
    /// Takes the latest segment back, behind this offset: it does not go on, so that its receiver waits for its bytes still,
    /// and what comes again may be something else. What others brought ahead of it waits again. False when not all of that
    /// is known any more.
    pub(crate) fn take_back(&mut self, from: u64, pool: &mut Pool) -> bool {
        let (arrivals, mut gone) = (self.arrivals, 0);
        self.waiting.retain_mut(|piece| {
            let stays = piece.arrival != arrivals;
            if !stays {
                gone += piece.bytes.len();
                pool.give(std::mem::take(&mut piece.bytes));
            }
            stays
        });
        self.waiting_bytes = self.waiting_bytes.saturating_sub(gone);
        let mut whole = true;
        for places in std::mem::take(&mut self.released) {
            whole &= self.wait_again(places, pool);
        }
        let ahead = self.next().saturating_sub(from);
        let keep = usize::try_from(from.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.kept.truncate(keep);
        self.base = self.base.min(from);
        // Sequence numbers of bytes are at most 2^32 apart, whatever the buffer holds.
        let ahead = ahead as u32;
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_sub(ahead));
        whole
    }

    /// What is at these places in the buffer, or waits there already, is to wait once more; false when it is not there.
    fn wait_again(&mut self, places: Range<u64>, pool: &mut Pool) -> bool {
        let at = self.waiting.partition_point(|p| p.end() <= places.start);
        if (self.waiting.get(at)).is_some_and(|piece| piece.at <= places.start) {
            return true;
        }
        let offset = |place: u64| place.saturating_sub(self.omitted);
        let bytes = self.bytes(offset(places.start)..offset(places.end));
        // Where bytes were left out, which places the others had is no longer known.
        if self.omitted > 0 || bytes.len() as u64 != places.end - places.start {
            return false;
        }
        let Some(mut buffer) = pool.take(bytes.len()) else {
            return false;
        };
        buffer.extend_from_slice(bytes);
        self.waiting_bytes += buffer.len();
        self.waiting.insert(
            at,
            Piece {
                at: places.start,
                bytes: buffer,
                segment: places,
                arrival: self.arrivals.wrapping_sub(1),
            },
        );
        true
    }

    /// Notes what waits and is about to follow on, because of the latest segment but not out of it.
    pub(super) fn note_release(&mut self) {
        let mut next = self.next_place();
        for piece in &self.waiting {
            if piece.at > next {
                break;
            }
            if piece.arrival != self.arrivals && piece.end() > next {
                self.released.push(piece.at.max(next)..piece.end());
            }
            next = next.max(piece.end());
        }
    }

    /// Whether a segment that is carried out as it comes would contradict what was passed on, or there is no room for it.
    /// What its receiver has acknowledged it has for good, whatever comes for it: a keep-alive may say anything.
    pub(crate) fn refuses(
        &self,
        seq: u32,
        bytes: &[u8],
        acked: Option<u32>,
        limits: &Limits,
    ) -> Option<Refusal> {
        let (place, next) = (self.place(seq)?, i128::from(self.next_place()));
        let acked = acked.and_then(|acked| self.place(acked)).unwrap_or(0);
        let outside = usize::try_from(acked.max(0) - place).unwrap_or(0);
        let bytes = bytes.get(outside..)?;
        let start = u64::try_from(place + outside as i128).ok()?;
        let before = usize::try_from(next - i128::from(start)).unwrap_or(0);
        let (old, new) = bytes.split_at(before.min(bytes.len()));
        let (at, end) = (start + old.len() as u64, start + bytes.len() as u64);
        let first = self.waiting.partition_point(|piece| piece.end() <= at);
        let ahead = self.waiting.iter().skip(first);
        let differs = |piece: &Piece| {
            let (from, to) = (piece.at.max(at), piece.end().min(end));
            fn of(bytes: &[u8], start: u64, from: u64, to: u64) -> Option<&[u8]> {
                let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
                bytes.get(place(from)..place(to))
            }
            of(&piece.bytes, piece.at, from, to) != of(new, at, from, to)
        };
        let ahead = ahead.take_while(|piece| piece.at < end);
        if self.differs(start, old) || ahead.into_iter().any(differs) {
            return Some(Refusal::Different);
        }
        let waits = i128::from(at) > next && at < limits.depth;
        let full = self.waiting_bytes + new.len() > limits.waiting
            || self.waiting.len() + 1 >= MOST_PIECES;
        (waits && full && !new.is_empty()).then_some(Refusal::Full)
    }

    /// How many bytes of the stream are missing before this sequence number.
    pub(crate) fn behind(&self, seq: u32) -> u64 {
        let ahead = self
            .place(seq)
            .map(|place| place - i128::from(self.next_place()));
        ahead
            .and_then(|ahead| u64::try_from(ahead).ok())
            .unwrap_or(0)
    }

    /// From where on bytes are kept inline: as far back as their receiver has not acknowledged them, within bounds, because
    /// it may not have them, and what comes again must be the same.
    pub(crate) fn keep_unacked(&self, keep: u64, acked: u32) -> u64 {
        let place = self
            .place(acked)
            .and_then(|place| u64::try_from(place).ok());
        let unacked = place.unwrap_or(0).saturating_sub(self.omitted);
        keep.min(unacked.max(self.next().saturating_sub(MOST_UNACKED)))
    }
}
