//! One end of a connection: what it sends, and how much of it the other end takes.

use serde::{Deserialize, Serialize};

use super::segment::{Segment, after, later, not_before};

/// One end. Numbers are sequence numbers of what it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    /// That of the SYN; of a connection that was picked up, the one before the first byte.
    pub isn: u32,
    /// After the last byte that was seen; a FIN counts as one.
    pub next: u32,
    /// After the last byte before which none is missing.
    pub run: u32,
    /// Where the last part without gaps begins, which ends at `next`.
    pub block: u32,
    /// What the other end waits for, by its own word.
    pub acked: u32,
    /// The window that the other end offered last, in bytes.
    pub window: u32,
    /// The right edge of the largest window so far.
    pub limit: u32,
    /// Beyond `limit`: where it claims to be, or the other end claims that it is. When both say the same, it is true, and
    /// what lies between was missed. With [`Side::SAID`] or
    /// [`Side::HEARD`].
    pub reach: u32,
    /// After the FIN; with [`Side::FIN`].
    pub fin: u32,
    /// The latest timestamp of a segment in place.
    pub stamp: u32,
    /// The latest timestamp that the other end has echoed. In the handshake, the first one sent.
    pub echoed: u32,
    /// Urgent bytes that were left out of the stream.
    pub urgent: u16,
    /// How far to shift the windows that the other end offers.
    pub scale: u8,
    flags: u8,
}

impl Side {
    /// Its numbers are known.
    pub const KNOWN: u8 = 1;
    /// It has sent a segment.
    pub const SEEN: u8 = 1 << 1;
    /// It has sent a FIN that was taken, although bytes before it may be missing.
    pub const FIN: u8 = 1 << 2;
    /// `limit` is known.
    pub const LIMITED: u8 = 1 << 3;
    /// It uses timestamps.
    pub const STAMPS: u8 = 1 << 4;
    /// It has sent a byte into a closed window.
    pub const PROBED: u8 = 1 << 5;
    /// It has claimed `reach` itself.
    pub const SAID: u8 = 1 << 6;
    /// The other end has claimed `reach`.
    pub const HEARD: u8 = 1 << 7;

    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    pub(super) fn set(&mut self, flags: u8, on: bool) {
        self.flags = if on {
            self.flags | flags
        } else {
            self.flags & !flags
        };
    }

    /// Begins at a SYN, or before a first byte, with what comes up to `next`.
    pub(super) fn start(&mut self, isn: u32, next: u32) {
        let first = isn.wrapping_add(1);
        (self.isn, self.next, self.run, self.block, self.acked) = (isn, next, next, first, first);
        self.set(Self::KNOWN, true);
    }

    /// The first byte.
    pub(super) fn first(&self) -> u32 {
        self.isn.wrapping_add(1)
    }

    /// True where the receiver waits for this byte: a RST counts there and nowhere else (RFC 9293, 3.10.7.4 with
    /// RFC 5961, 3.2).
    pub(super) fn in_place(&self, seq: u32) -> bool {
        seq == self.run || seq == self.acked && after(seq, self.next)
    }

    /// True for an acknowledgement that the sender believes (RFC 5961, 5): not of what it cannot have sent, and not of
    /// what is further back than the widest window there can have been. By the present window, one acknowledgement that
    /// its receiver ignores could make all that follow look too old.
    pub(super) fn acknowledgeable(&self, ack: u32, one_sided: bool) -> bool {
        if not_before(ack, self.acked) {
            !self.has(Self::LIMITED)
                || one_sided
                || not_before(self.limit, ack)
                || not_before(self.next, ack)
        } else {
            not_before(ack, self.acked.wrapping_sub(self.scaled(0xffff)))
        }
    }

    /// True for an acknowledgement from before the present window.
    pub(super) fn acked_long_ago(&self, ack: u32) -> bool {
        self.window != 0 && after(self.acked.wrapping_sub(self.window), ack)
    }

    /// One of the ends says that this side is at `seq`, beyond the limit, and goes on at `claim`; true when the other end
    /// has said the same. A connection of which more than a window is missed would be lost otherwise.
    pub(super) fn agree(&mut self, who: u8, seq: u32, claim: u32) -> bool {
        let other = (Self::SAID | Self::HEARD) & !who;
        if self.has(other) && self.reach == seq {
            self.set(Self::SAID | Self::HEARD | Self::FIN, false);
            (self.next, self.run, self.block, self.acked) = (seq, seq, seq, seq);
            self.offer_again();
            return true;
        }
        self.reach = claim;
        self.set(other, false);
        self.set(who, true);
        false
    }

    /// The other end has all before `ack`.
    pub(super) fn acknowledge(&mut self, ack: u32) {
        self.acked = later(ack, self.acked);
        self.close_gaps();
    }

    /// The other end offers a window, not scaled yet.
    pub(super) fn offer(&mut self, window: u32, scaled: bool) {
        self.window = if scaled { self.scaled(window) } else { window };
        let edge = self.acked.wrapping_add(self.window);
        self.limit = if self.has(Self::LIMITED) {
            later(edge, self.limit)
        } else {
            edge
        };
        self.set(Self::LIMITED, true);
    }

    /// The window offered before counts from another first byte.
    pub(super) fn offer_again(&mut self) {
        self.limit = self.acked.wrapping_add(self.window);
    }

    /// A window field in bytes.
    pub(super) fn scaled(&self, window: u32) -> u32 {
        // A shift of 14 at most, of 16 bits.
        window << u32::from(self.scale)
    }

    /// Takes the numbers of a segment that the receiver takes, without its FIN.
    pub(super) fn take(&mut self, seq: u32, end: u32) {
        if after(seq, later(self.next, self.acked)) {
            // A gap before it.
            (self.block, self.next) = (seq, end);
            return;
        }
        if after(seq, self.next) {
            // What is missing was acknowledged.
            (self.block, self.run) = (seq, later(seq, self.run));
        }
        if not_before(self.run, seq) {
            self.run = later(end, self.run);
        }
        if after(self.block, seq) && not_before(end, self.block) {
            self.block = seq;
        }
        self.next = later(end, self.next);
        self.close_gaps();
    }

    /// Takes a FIN that stands after `end`. In place it counts, whatever was seen behind it: so does its receiver. Before
    /// that it waits, if it is the last that was seen.
    pub(super) fn finish(&mut self, end: u32) {
        let fin = end.wrapping_add(1);
        if self.run == end {
            (self.next, self.run, self.block) = (fin, fin, fin);
        } else if self.next == end {
            self.next = fin;
        } else {
            return;
        }
        self.fin = fin;
        self.set(Self::FIN, true);
        self.close_gaps();
    }

    /// It has sent no FIN after all.
    pub(super) fn forget_fin(&mut self) {
        let end = self.fin.wrapping_sub(1);
        for number in [&mut self.next, &mut self.run, &mut self.block] {
            if *number == self.fin {
                *number = end;
            }
        }
        self.set(Self::FIN, false);
    }

    /// Its last part has no gap before it any more, once what is missing was seen or acknowledged.
    fn close_gaps(&mut self) {
        if not_before(later(self.run, self.acked), self.block) {
            self.run = later(self.next, self.run);
        }
    }

    /// It sends on behind its FIN, which the other end does not have: there was none.
    pub(super) fn contradicts_fin(&self, segment: &Segment) -> bool {
        self.has(Self::FIN)
            && !self.fin_acked()
            && segment.data > 0
            && not_before(segment.end, self.fin)
    }

    /// True once it has sent everything: the FIN is there and nothing before it is missing.
    pub(super) fn ended(&self) -> bool {
        self.has(Self::FIN) && not_before(later(self.run, self.acked), self.fin)
    }

    /// True once the other end has its FIN.
    pub(super) fn fin_acked(&self) -> bool {
        self.has(Self::FIN) && not_before(self.acked, self.fin)
    }
}
