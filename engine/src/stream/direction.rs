//! The stream of bytes of one direction.
//!
//! Bytes have offsets from the start of the stream, which never wrap. What has come without a gap is appended to one
//! buffer, of which as much is kept as rules may still look at; what comes ahead of a gap waits beside it, in pieces
//! that do not overlap.
//!
//! Urgent bytes that are out of band have a sequence number and no place in the stream. So what waits has places, which
//! count sequence numbers, and what is delivered has offsets, which are less by the bytes that were left out.

mod inline;

use std::ops::Range;

pub(crate) use inline::Refusal;

use super::policy::StreamPolicy;
use super::pool::Pool;

/// Most pieces that wait in one direction. A segment may bring more, and then gaps are given up at once.
pub(super) const MOST_PIECES: usize = 1024;

/// What a segment did to its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Offsets of the bytes that have come without a gap now, and are to be inspected.
    pub(crate) fresh: Range<u64>,
    /// The fresh bytes are the segment's payload, all of it and nothing else.
    pub(crate) whole: bool,
    /// The segment's bytes are in the stream, wait for their turn, or were there before; otherwise they are beyond the
    /// depth, in a gap that was given up, or there is no room for them.
    pub(crate) added: bool,
    /// There is no room for them.
    pub(crate) no_room: bool,
    /// Bytes that were there before differ from the segment's.
    pub(crate) differs: bool,
}

/// Limits of one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The stream ends here: offset of the first byte that does not belong to it.
    pub(crate) depth: u64,
    /// Most bytes that wait behind a gap.
    pub(crate) waiting: usize,
    /// Whose bytes count.
    pub(crate) policy: StreamPolicy,
    /// Verdicts are carried out: what has been passed on stays what it is, and a segment that is dropped is taken back.
    pub(crate) inline: bool,
}

/// Most urgent bytes of one direction that are waited for; more stay in the stream.
pub(super) const MOST_URGENT: usize = 64;

/// From here on a buffer's bytes are much to move.
const MUCH: usize = 32 << 10;

/// Bytes behind a gap.
#[derive(Debug)]
pub(super) struct Piece {
    /// Place of the first one.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
    /// The places of the segment that they came in.
    pub(super) segment: Range<u64>,
    /// [`Direction::arrivals`] when that came.
    pub(super) arrival: u32,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// The latest bytes without a gap.
    pub(super) kept: Vec<u8>,
    /// Offset of the first of them.
    pub(super) base: u64,
    /// Sequence number of the next byte; `None` before the first segment.
    pub(super) next_seq: Option<u32>,
    /// In order of their places, none overlapping another.
    pub(super) waiting: Vec<Piece>,
    pub(super) waiting_bytes: usize,
    /// Place after the last gap that was given up.
    pub(super) gap_end: u64,
    /// How many bytes were left out so far.
    pub(super) omitted: u64,
    /// Places of bytes that are to be left out when they come.
    pub(super) urgent: Vec<u64>,
    /// Most pieces that waited at a time.
    pub(super) most_waiting: u32,
    /// Segments so far; it goes round.
    pub(super) arrivals: u32,
    /// Inline, the places of what had waited and went into the buffer with the latest segment.
    pub(super) released: Vec<Range<u64>>,
}

impl Direction {
    /// Offset of the next byte.
    pub(crate) fn next(&self) -> u64 {
        self.base + self.kept.len() as u64
    }

    /// Place of the next byte.
    pub(super) fn next_place(&self) -> u64 {
        self.next() + self.omitted
    }

    /// Offset of the first byte that is kept.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// What the record of its flow says: whether data is missing, most separate pieces of data that were held at a time,
    /// and bytes that were left out.
    pub(crate) fn facts(&self) -> (bool, u32, u32) {
        let regions = self.most_waiting + u32::from(self.next_place() > 0);
        let omitted = u32::try_from(self.omitted).unwrap_or(u32::MAX);
        (self.gap_end > 0, regions, omitted)
    }

    /// Bytes that its lists take, beside its buffers.
    pub(super) fn lists(&self) -> usize {
        self.waiting.capacity() * size_of::<Piece>()
            + self.urgent.capacity() * size_of::<u64>()
            + self.released.capacity() * size_of::<Range<u64>>()
    }

    /// True when bytes wait behind a gap.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The kept bytes from one offset to another; those that are not kept are left out.
    pub(crate) fn bytes(&self, range: Range<u64>) -> &[u8] {
        let place = |offset: u64| {
            let at = offset.saturating_sub(self.base);
            usize::try_from(at)
                .unwrap_or(usize::MAX)
                .min(self.kept.len())
        };
        let (from, to) = (place(range.start), place(range.end));
        self.kept.get(from..to).unwrap_or_default()
    }

    /// Says what the sequence number of the first byte is, unless it is known.
    pub(crate) fn begin(&mut self, seq: u32) {
        self.next_seq.get_or_insert(seq);
    }

    /// The place of a sequence number, which may lie before the start.
    fn place(&self, seq: u32) -> Option<i128> {
        let ahead = seq.wrapping_sub(self.next_seq?) as i32;
        Some(i128::from(self.next_place()) + i128::from(ahead))
    }

    /// The byte with this sequence number is out of band: it is left out of the stream, unless it is in it already.
    pub(crate) fn leave_out(&mut self, seq: u32) {
        let place = self.place(seq).and_then(|place| u64::try_from(place).ok());
        if let Some(place) = place.filter(|&place| place >= self.next_place())
            && self.urgent.len() < MOST_URGENT
            && let Err(at) = self.urgent.binary_search(&place)
        {
            self.urgent.insert(at, place);
        }
    }

    /// Takes a segment's payload. `keep`: offset from which on bytes must be kept; earlier ones may go.
    pub(crate) fn insert(
        &mut self,
        seq: u32,
        payload: &[u8],
        keep: u64,
        limits: &Limits,
        pool: &mut Pool,
    ) -> Arrival {
        self.begin(seq);
        self.arrivals = self.arrivals.wrapping_add(1);
        self.released = Vec::new();
        let (first, next) = (self.next(), self.next_place());
        let mut arrival = Arrival {
            fresh: first..first,
            ..Arrival::default()
        };
        let Some(offset) = self.place(seq) else {
            return arrival;
        };
        // What is before the next byte was there before, or is in a gap that was given up.
        let before = usize::try_from(i128::from(next) - offset).unwrap_or(0);
        let (old, new) = payload.split_at(before.min(payload.len()));
        if let Ok(start) = u64::try_from(offset) {
            arrival.differs = self.differs(start, old);
            arrival.added = start >= self.gap_end || start + (old.len() as u64) > self.gap_end;
        }
        let Ok(start) = u64::try_from(offset + before as i128) else {
            return arrival;
        };
        if new.is_empty() {
            return arrival;
        }
        let room = usize::try_from(limits.depth.saturating_sub(start)).unwrap_or(usize::MAX);
        let inside = new.get(..room).unwrap_or(new);
        if inside.is_empty() {
            arrival.added = false;
            return arrival;
        }
        let end = start + inside.len() as u64;
        let alone = self.waiting.first().is_none_or(|piece| piece.at >= end);
        arrival.added = if start == next && alone {
            self.append(inside, keep, pool)
        } else {
            self.wait(start, inside, limits, pool, &mut arrival.differs)
        };
        arrival.no_room = !arrival.added;
        if limits.inline {
            self.note_release();
        }
        self.deliver(keep, pool);
        arrival.fresh = first..self.next();
        arrival.whole = old.is_empty()
            && start == next
            && arrival.fresh.end - first == payload.len() as u64
            && self.next_place() == end
            && alone;
        arrival
    }

    /// Gives up the gap before what waits, and takes that in; what became contiguous.
    pub(crate) fn skip_gap(&mut self, keep: u64, pool: &mut Pool) -> Range<u64> {
        let next = self.next();
        let Some(at) = self.waiting.first().map(|piece| piece.at) else {
            return next..next;
        };
        let skipped = at.saturating_sub(self.next_place());
        let from = next + skipped;
        self.kept.clear();
        self.base = from;
        self.gap_end = at;
        self.urgent.retain(|&place| place >= at);
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(skipped as u32));
        self.deliver(keep.max(from), pool);
        from..self.next()
    }

    /// Takes in more of what waits for nothing but room in the buffer, now that bytes before `keep` may go; what became
    /// contiguous.
    pub(crate) fn go_on(&mut self, keep: u64, pool: &mut Pool) -> Range<u64> {
        let first = self.next();
        self.deliver(keep, pool);
        first..self.next()
    }

    /// True when the other end has acknowledged bytes behind the gap, or of it: they will not come again.
    pub(crate) fn overtaken(&self, acked: u32) -> bool {
        let (Some(acked), Some(first)) = (self.place(acked), self.waiting.first()) else {
            return false;
        };
        acked >= i128::from(first.at)
    }

    /// True when so much waits that the gap is not worth waiting for any longer.
    pub(crate) fn overfull(&self, limits: &Limits) -> bool {
        self.waiting_bytes > limits.waiting || self.waiting.len() >= MOST_PIECES
    }

    /// Gives all buffers back and forgets what was in them. The stream can go on behind it.
    pub(crate) fn release(&mut self, pool: &mut Pool) {
        self.base = self.next();
        pool.give(std::mem::take(&mut self.kept));
        for piece in self.waiting.drain(..) {
            pool.give(piece.bytes);
        }
        self.waiting_bytes = 0;
    }

    /// The stream goes on after bytes that could not be kept.
    pub(crate) fn pass_over(&mut self, seq: u32, length: usize) {
        let end = seq.wrapping_add(length as u32);
        let place = self.place(end).and_then(|place| u64::try_from(place).ok());
        if let Some(place) = place.filter(|&place| place > self.next_place())
            && self.waiting.is_empty()
        {
            self.base = self.next() + (place - self.next_place());
            self.kept.clear();
            self.gap_end = place;
            self.urgent.retain(|&urgent| urgent >= place);
            self.next_seq = Some(end);
        }
    }

    /// True when bytes that are kept differ from these.
    fn differs(&self, start: u64, bytes: &[u8]) -> bool {
        if self.omitted > 0 {
            // Which places they had is no longer known.
            return false;
        }
        let end = start + bytes.len() as u64;
        let from = start.max(self.base).min(end);
        let known = self.bytes(from..end);
        let skipped = usize::try_from(from - start).unwrap_or(usize::MAX);
        let again = bytes.get(skipped..).unwrap_or_default();
        known.iter().zip(again).any(|(a, b)| a != b)
    }

    /// Appends bytes that follow on; false when there is no room for them.
    fn append(&mut self, bytes: &[u8], keep: u64, pool: &mut Pool) -> bool {
        if !self.urgent.is_empty() {
            return self.append_without_urgent(bytes, keep, pool);
        }
        self.append_all(bytes, keep, pool)
    }

    /// The same, all but the bytes that are out of band.
    fn append_without_urgent(&mut self, mut bytes: &[u8], keep: u64, pool: &mut Pool) -> bool {
        loop {
            let ahead = (self.urgent.first()).map(|&place| place.saturating_sub(self.next_place()));
            let at = ahead.and_then(|ahead| usize::try_from(ahead).ok());
            let Some((before, [_, after @ ..])) = at.and_then(|at| bytes.split_at_checked(at))
            else {
                return self.append_all(bytes, keep, pool);
            };
            if !self.append_all(before, keep, pool) {
                return false;
            }
            self.urgent.remove(0);
            self.omitted += 1;
            self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(1));
            bytes = after;
        }
    }

    fn append_all(&mut self, bytes: &[u8], keep: u64, pool: &mut Pool) -> bool {
        if self.kept.capacity() - self.kept.len() < bytes.len() {
            let unneeded = usize::try_from(keep.saturating_sub(self.base)).unwrap_or(usize::MAX);
            let unneeded = unneeded.min(self.kept.len());
            self.kept.drain(..unneeded);
            self.base += unneeded as u64;
            // Where much has to stay, it is not to be moved with every segment.
            let ample = bytes.len() + self.kept.len() / 2;
            let much = self.kept.len() >= MUCH && pool.grow(&mut self.kept, ample);
            if !much && !pool.grow(&mut self.kept, bytes.len()) {
                return false;
            }
        }
        self.kept.extend_from_slice(bytes);
        let length = bytes.len() as u32;
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(length));
        true
    }

    /// Goes on with a buffer that waited, where none of what was before is kept: that takes no room, so that a gap can be
    /// given up however little there is. Its first `known` bytes were there before.
    fn take_over(&mut self, mut bytes: Vec<u8>, known: usize, pool: &mut Pool) {
        bytes.drain(..known.min(bytes.len()));
        let (from, length) = (self.next_place(), bytes.len());
        let mut omitted = 0;
        self.urgent.retain(|&place| {
            let at = usize::try_from(place.saturating_sub(from)).unwrap_or(usize::MAX);
            let inside = at < length;
            if inside {
                bytes.remove(at - omitted);
                omitted += 1;
            }
            !inside
        });
        self.omitted += omitted as u64;
        self.next_seq = self.next_seq.map(|seq| seq.wrapping_add(length as u32));
        pool.give(std::mem::replace(&mut self.kept, bytes));
    }

    /// Takes in what no longer waits for anything.
    fn deliver(&mut self, keep: u64, pool: &mut Pool) {
        let mut delivered = 0;
        while let Some(piece) = self.waiting.get_mut(delivered) {
            let next = self.base + self.kept.len() as u64 + self.omitted;
            if piece.at > next {
                break;
            }
            let bytes = std::mem::take(&mut piece.bytes);
            let known = usize::try_from(next - piece.at).unwrap_or(usize::MAX);
            if self.kept.is_empty() {
                self.waiting_bytes -= bytes.len();
                self.take_over(bytes, known, pool);
                delivered += 1;
                continue;
            }
            let fresh = bytes.get(known..).unwrap_or_default();
            if !self.append(fresh, keep, pool) {
                // No room: it goes on waiting.
                if let Some(piece) = self.waiting.get_mut(delivered) {
                    piece.bytes = bytes;
                }
                break;
            }
            self.waiting_bytes -= bytes.len();
            pool.give(bytes);
            delivered += 1;
        }
        self.waiting.drain(..delivered);
        if self.waiting.is_empty() {
            // What a gap needed once is no reason to keep it.
            self.waiting = Vec::new();
        }
    }

    /// Puts bytes among those that wait; false when there is no room for all of them.
    fn wait(
        &mut self,
        start: u64,
        bytes: &[u8],
        limits: &Limits,
        pool: &mut Pool,
        differs: &mut bool,
    ) -> bool {
        let segment = start..start + bytes.len() as u64;
        let of = |range: Range<u64>| {
            let place =
                |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
            bytes
                .get(place(range.start)..place(range.end))
                .unwrap_or_default()
        };
        // Up to here the segment's bytes have their place.
        let mut done = segment.start;
        let mut at = self
            .waiting
            .partition_point(|piece| piece.end() <= segment.start);
        let mut kept_all = true;
        while let Some(piece) = self
            .waiting
            .get_mut(at)
            .filter(|piece| piece.at < segment.end)
        {
            let (from, to) = (piece.at.max(segment.start), piece.end().min(segment.end));
            let inside = |offset: u64| usize::try_from(offset - piece.at).unwrap_or(usize::MAX);
            let (left, right) = (inside(from), inside(to));
            *differs |= piece.bytes.get(left..right) != Some(of(from..to));
            if limits.inline || !limits.policy.prefers_new(&piece.segment, &segment) {
                let before = done..from;
                done = to;
                if !before.is_empty() {
                    kept_all &= self.put(at, before.start, of(before), &segment, pool);
                    at = self.waiting.partition_point(|piece| piece.at < to);
                } else {
                    at += 1;
                }
                continue;
            }
            // The piece loses its middle: what is left of it stays, what is right of it becomes another piece.
            let (whole, owner) = (piece.bytes.len(), piece.segment.clone());
            let arrival = piece.arrival;
            let behind = match right < whole {
                true => pool.take(whole - right).map(|mut buffer| {
                    buffer.extend_from_slice(piece.bytes.get(right..).unwrap_or_default());
                    buffer
                }),
                false => None,
            };
            kept_all &= right == whole || behind.is_some();
            self.waiting_bytes -= whole;
            piece.bytes.truncate(left);
            self.waiting_bytes += left;
            if left == 0 {
                let piece = self.waiting.remove(at);
                pool.give(piece.bytes);
            } else {
                at += 1;
            }
            if let Some(bytes) = behind {
                self.waiting_bytes += bytes.len();
                self.waiting.insert(
                    at,
                    Piece {
                        at: to,
                        bytes,
                        segment: owner,
                        arrival,
                    },
                );
                // It begins where the segment ends.
                break;
            }
        }
        if done < segment.end {
            let at = self.waiting.partition_point(|piece| piece.at < done);
            kept_all &= self.put(at, done, of(done..segment.end), &segment, pool);
        }
        kept_all
    }

    /// Inserts a piece; false when there is no room for it.
    fn put(
        &mut self,
        place: usize,
        at: u64,
        bytes: &[u8],
        segment: &Range<u64>,
        pool: &mut Pool,
    ) -> bool {
        let Some(mut buffer) = pool.take(bytes.len()) else {
            return false;
        };
        buffer.extend_from_slice(bytes);
        self.waiting_bytes += buffer.len();
        self.most_waiting = self.most_waiting.max(self.waiting.len() as u32 + 1);
        self.waiting.insert(
            place,
            Piece {
                at,
                bytes: buffer,
                segment: segment.clone(),
                arrival: self.arrivals,
            },
        );
        true
    }
}

#[cfg(test)]
mod tests;
