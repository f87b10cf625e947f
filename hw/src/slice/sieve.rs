//! The limit, and what leaves out a candidate that came before.

use super::Tag;
use crate::parts::{Delay, Fifo, Ram};
use rust_hdl::prelude::*;

/// Address bits of the memory of recent candidates.
const RECENT: usize = 8;
/// Places kept in the FIFO for what is on its way when the picker is told to pause: six stages, and two for the pause.
const ON_THE_WAY: usize = 9;

/// A recent candidate.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
pub(super) struct Entry {
    pub bytes: Bits<64>,
    pub length: Bits<3>,
    pub serial: Bits<16>,
    pub there: bool,
}

/// What a candidate has beside its [`Entry`], and whether it is an end instead.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
pub(super) struct Rest {
    pub offset: Bits<16>,
    pub group: Bits<6>,
    pub parity: bool,
    pub picked: bool,
    pub ended: bool,
    pub overflow: bool,
}

/// What leaves a slice.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
pub(super) struct Found {
    pub candidate: Bits<106>,
    pub last: bool,
    pub overflow: bool,
}

/// Counts the candidates of a record up to the limit, leaves out those beyond it, and those that equal the last one in their slot of a small
/// memory.
///
/// # Why no entry counts that should not
///
/// An entry has its record's serial, which has 16 bits. Each end invalidates one slot, the next in turn, so an entry that is not replaced is
/// gone after 256 ends at most, and every record has one: its serial comes again only after 65,536. After `clear`, when serials start over, all
/// slots are invalidated, one a cycle, and until then nothing is taken.
///
/// A slot is read and replaced in the same cycle, by the same candidate, and the read sees what stood there before: a candidate meets the last
/// one of its slot also when that came a cycle earlier. What is replaced may be forgotten, so a candidate may get through twice; it is never left out when it
/// is the first.
#[derive(LogicBlock, Default)]
pub(super) struct Sieve {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, bool>,
    /// Candidates of a record that are let through.
    pub limit: Signal<In, Bits<16>>,
    /// Nothing can be taken; what is handed on in the same cycle is lost.
    pub pause: Signal<Out, bool>,
    /// The current record has overflowed, see [`super::picker::Picker`].
    pub spent: Signal<Out, bool>,
    /// Ends taken, modulo 16.
    pub passed: Signal<Out, Bits<4>>,
    pub picked: Signal<In, bool>,
    pub ended: Signal<In, bool>,
    pub bytes: Signal<In, Bits<64>>,
    pub length: Signal<In, Bits<3>>,
    pub lane: Signal<In, Bits<3>>,
    pub tag: Signal<In, Tag>,
    pub valid: Signal<Out, bool>,
    pub ready: Signal<In, bool>,
    pub found: Signal<Out, Found>,
    /// A candidate was within the limit.
    pub examined: Signal<Out, bool>,
    /// A candidate was handed on.
    pub looked_up: Signal<Out, bool>,

    // First stage: bytes beyond the length are zero.
    keep: Signal<Local, Bits<8>>,
    masked: Signal<Local, Bits<64>>,
    entry: DFF<Entry>,
    rest: DFF<Rest>,
    // Second stage: the limit, and the slot.
    // Whether the count is below the limit is worked out a cycle ahead, for a count that stays and for one that goes up.
    limit_now: DFF<Bits<16>>,
    any_limit: DFF<bool>,
    count: DFF<Bits<16>>,
    count_next: DFF<Bits<16>>,
    below: DFF<bool>,
    below_next: DFF<bool>,
    counted: DFF<bool>,
    restarted: DFF<bool>,
    full: DFF<bool>,
    over: DFF<bool>,
    ends: DFF<Bits<4>>,
    room: Signal<Local, bool>,
    entry_bytes: Signal<Local, Bits<64>>,
    byte_at: Signal<Local, Bits<8>>,
    turned: Signal<Local, Bits<RECENT>>,
    slot: DFF<Bits<RECENT>>,
    examined_entry: DFF<Entry>,
    examined_rest: DFF<Rest>,
    // Third: the memory is read and written.
    recent: Ram<Entry, RECENT, 2, true>,
    swept: DFF<Bits<9>>,
    oldest: DFF<Bits<RECENT>>,
    late_entry: Delay<Entry, 2>,
    // Fifth: compare, by parts.
    old_bytes: Signal<Local, Bits<64>>,
    new_bytes: Signal<Local, Bits<64>>,
    equal: DFF<Bits<5>>,
    parts: Signal<Local, Bits<5>>,
    late: Delay<Entry, 1>,
    late_rest: Delay<Rest, 3>,
    // Sixth: into the FIFO.
    fresh: Signal<Local, bool>,
    looked: DFF<bool>,
    out: Fifo<Found, 5, ON_THE_WAY>,
}

impl Logic for Sieve {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            entry,
            rest,
            limit_now,
            any_limit,
            count,
            count_next,
            below,
            below_next,
            counted,
            restarted,
            full,
            over,
            ends,
            slot,
            examined_entry,
            examined_rest,
            swept,
            oldest,
            equal,
            looked
        );
        clock!(self, clock, recent, late_entry, late, late_rest, out);
        self.full.d.next = self.out.almost_full.val() | !self.swept.q.val().get_bit(8);
        self.pause.next = self.full.q.val();

        // First stage. Bit j of `keep` is set for j up to the length - 1. `base` is a multiple of eight.
        self.keep.next = bits::<8>(0xFE) << self.length.val();
        self.keep.next = !self.keep.val();
        self.masked.next = self.bytes.val() & 0xFF_u64;
        if self.keep.val().get_bit(1) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0xFF00_u64);
        }
        if self.keep.val().get_bit(2) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0x00FF_0000_u64);
        }
        if self.keep.val().get_bit(3) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0xFF00_0000_u64);
        }
        if self.keep.val().get_bit(4) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0x00FF_0000_0000_u64);
        }
        if self.keep.val().get_bit(5) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0xFF00_0000_0000_u64);
        }
        if self.keep.val().get_bit(6) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0x00FF_0000_0000_0000_u64);
        }
        if self.keep.val().get_bit(7) {
            self.masked.next = self.masked.val() | (self.bytes.val() & 0xFF00_0000_0000_0000_u64);
        }
        self.entry.d.next.bytes = self.masked.val();
        self.entry.d.next.length = self.length.val();
        self.entry.d.next.serial = self.tag.val().serial;
        self.entry.d.next.there = true;
        self.rest.d.next.offset = self.tag.val().base | bit_cast::<16, 3>(self.lane.val());
        self.rest.d.next.group = self.tag.val().group;
        self.rest.d.next.parity = self.tag.val().parity;
        self.rest.d.next.picked = self.picked.val();
        self.rest.d.next.ended = self.ended.val();
        self.rest.d.next.overflow = false;

        // Second stage.
        self.limit_now.d.next = self.limit.val();
        self.any_limit.d.next = self.limit_now.q.val().any();
        self.below.d.next = self.count.q.val() < self.limit_now.q.val();
        self.below_next.d.next = self.count_next.q.val() < self.limit_now.q.val();
        self.room.next = self.below.q.val();
        if self.counted.q.val() {
            self.room.next = self.below_next.q.val();
        }
        if self.restarted.q.val() {
            self.room.next = self.any_limit.q.val();
        }
        self.counted.d.next = self.rest.q.val().picked & self.room.val();
        self.restarted.d.next = self.rest.q.val().ended;
        self.examined_entry.d.next = self.entry.q.val();
        self.examined_rest.d.next.offset = self.rest.q.val().offset + 1;
        self.examined_rest.d.next.group = self.rest.q.val().group;
        self.examined_rest.d.next.parity = self.rest.q.val().parity;
        self.examined_rest.d.next.picked = self.rest.q.val().picked & self.room.val();
        self.examined_rest.d.next.ended = self.rest.q.val().ended;
        self.examined_rest.d.next.overflow = self.over.q.val();
        if self.rest.q.val().picked {
            if self.room.val() {
                self.count.d.next = self.count_next.q.val();
                self.count_next.d.next = self.count_next.q.val() + 1;
            } else {
                self.over.d.next = true;
            }
        }
        if self.rest.q.val().ended {
            self.count.d.next = 0.into();
            self.count_next.d.next = 1.into();
            self.over.d.next = false;
            self.ends.d.next = self.ends.q.val() + 1;
        }
        self.entry_bytes.next = self.entry.q.val().bytes;
        // Each byte turned by its place, and the length: neither bytes in another order nor zeros of another length share a slot.
        self.turned.next = bit_cast::<RECENT, 3>(self.entry.q.val().length) << 5;
        for i in 0..8 {
            self.byte_at.next = self.entry_bytes.val().get_bits::<8>(8 * i);
            self.turned.next =
                ((self.turned.val() << 1) | (self.turned.val() >> 7)) ^ self.byte_at.val();
        }
        self.slot.d.next = self.turned.val();
        self.spent.next = self.over.q.val();
        self.passed.next = self.ends.q.val();

        // Third stage.
        self.recent.enable.next = true;
        self.recent.read_address.next = self.slot.q.val();
        self.recent.write_address.next = self.slot.q.val();
        self.recent.write_data.next = self.examined_entry.q.val();
        self.recent.write.next = self.examined_rest.q.val().picked;
        if self.examined_rest.q.val().ended {
            self.recent.write_address.next = self.oldest.q.val();
            self.recent.write_data.next.there = false;
            self.recent.write.next = true;
            self.oldest.d.next = self.oldest.q.val() + 1;
        }
        if !self.swept.q.val().get_bit(8) {
            self.recent.write_address.next = bit_cast::<RECENT, 9>(self.swept.q.val());
            self.recent.write_data.next.there = false;
            self.recent.write.next = true;
            self.swept.d.next = self.swept.q.val() + 1;
        }
        self.late_entry.d.next = self.examined_entry.q.val();
        self.late_rest.d.next = self.examined_rest.q.val();

        // Fifth stage.
        self.old_bytes.next = self.recent.data.val().bytes;
        self.new_bytes.next = self.late_entry.q.val().bytes;
        self.parts.next = 0.into();
        for i in 0..4 {
            if self.old_bytes.val().get_bits::<16>(16 * i)
                == self.new_bytes.val().get_bits::<16>(16 * i)
            {
                self.parts.next = self.parts.val().replace_bit(i, true);
            }
        }
        if (self.recent.data.val().length == self.late_entry.q.val().length)
            & (self.recent.data.val().serial == self.late_entry.q.val().serial)
            & self.recent.data.val().there
        {
            self.parts.next = self.parts.val() | 0x10;
        }
        self.equal.d.next = self.parts.val();
        self.late.d.next = self.late_entry.q.val();

        // Sixth stage.
        self.fresh.next = self.late_rest.q.val().picked & !self.equal.q.val().all();
        self.out.clear.next = self.clear.val();
        self.out.write.next = self.fresh.val() | self.late_rest.q.val().ended;
        self.out.data_in.next.candidate = ((bit_cast::<106, 64>(self.late.q.val().bytes)
            | (bit_cast::<106, 3>(self.late.q.val().length) << 64))
            | ((bit_cast::<106, 16>(self.late_rest.q.val().offset) << 67)
                | (bit_cast::<106, 16>(self.late.q.val().serial) << 83)))
            | ((bit_cast::<106, 6>(self.late_rest.q.val().group) << 99)
                | (bit_cast::<106, 1>(self.late_rest.q.val().parity.into()) << 105));
        self.out.data_in.next.last = self.late_rest.q.val().ended;
        self.out.data_in.next.overflow = self.late_rest.q.val().overflow;
        self.looked.d.next = self.fresh.val();
        self.out.ready.next = self.ready.val();
        self.valid.next = self.out.valid.val();
        self.found.next = self.out.data_out.val();
        self.examined.next = self.examined_rest.q.val().picked;
        self.looked_up.next = self.looked.q.val();

        if self.clear.val() {
            self.counted.d.next = false;
            self.restarted.d.next = true;
            self.rest.d.next.picked = false;
            self.rest.d.next.ended = false;
            self.examined_rest.d.next.picked = false;
            self.examined_rest.d.next.ended = false;
            self.count.d.next = 0.into();
            self.count_next.d.next = 1.into();
            self.over.d.next = false;
            self.ends.d.next = 0.into();
            self.swept.d.next = 0.into();
        }
    }
}
