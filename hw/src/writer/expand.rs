//! Turns what the exact stage finds into items, one a cycle.

use crate::parts::Fifo;
use card_protocol::report::{FLAG_OVERFLOW, KIND_END, KIND_HIT};
use rust_hdl::prelude::*;

/// Ends that can wait for the exact stage: `2^ENDS - 1`.
const ENDS: usize = 7;
/// Room for ends that are under way in the front when `ends_ready` falls.
const UNDER_WAY: usize = 16;

/// Items from hits and from ends of records.
#[derive(LogicBlock)]
pub struct Expander {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything.
    pub clear: Signal<In, Bit>,
    /// From the exact stage: entries 4 × 20 (79..0), which of them are hits (83..80), end offset (99..84).
    pub hits: Signal<In, Bits<100>>,
    /// No hits: the record is done.
    pub last: Signal<In, Bit>,
    /// With `last`: a slice went beyond its limit.
    pub overflow: Signal<In, Bit>,
    /// There is something.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// From the front: a record's end is to be written down.
    pub end_valid: Signal<In, Bit>,
    /// Sequence (31..0), generation (47..32), flags (55..48).
    pub end_data: Signal<In, Bits<56>>,
    /// There is room for 16 ends.
    pub ends_ready: Signal<Out, Bit>,

    /// Items may come; one more comes in the cycle after this falls.
    pub item_ready: Signal<In, Bit>,
    /// There is an item, which has to be taken.
    pub item_valid: Signal<Out, Bit>,
    /// The item.
    pub item: Signal<Out, Bits<64>>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters, each one cycle: a hit is reported.
    pub count_hit: Signal<Out, Bit>,
    /// A record with overflow ends.
    pub count_overflow: Signal<Out, Bit>,

    ends: Fifo<Bits<56>, ENDS, UNDER_WAY>,
    ends_here: DFF<Bits<ENDS>>,
    pop_end: Signal<Local, Bit>,
    // What the items are made of.
    held: DFF<Bit>,
    held_last: DFF<Bit>,
    held_overflow: DFF<Bit>,
    which: DFF<Bits<4>>,
    entries: DFF<Bits<80>>,
    offset: DFF<Bits<16>>,
    record_hits: DFF<Bits<8>>,
    // The item's parts.
    entry: Signal<Local, Bits<20>>,
    others: Signal<Local, Bits<4>>,
    ended: Signal<Local, Bits<56>>,
    flags: Signal<Local, Bits<8>>,
    make: Signal<Local, Bit>,
    done: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    item_out: DFF<Bits<64>>,
    out_valid: DFF<Bit>,
    out_hit: DFF<Bit>,
    out_overflow: DFF<Bit>,

    kind_hit: Constant<Bits<64>>,
    kind_end: Constant<Bits<64>>,
    flag_overflow: Constant<Bits<8>>,
}

impl Default for Expander {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            hits: Signal::default(),
            last: Signal::default(),
            overflow: Signal::default(),
            valid: Signal::default(),
            ready: Signal::default(),
            end_valid: Signal::default(),
            end_data: Signal::default(),
            ends_ready: Signal::default(),
            item_ready: Signal::default(),
            item_valid: Signal::default(),
            item: Signal::default(),
            busy: Signal::default(),
            count_hit: Signal::default(),
            count_overflow: Signal::default(),
            ends: Fifo::default(),
            ends_here: DFF::default(),
            pop_end: Signal::default(),
            held: DFF::default(),
            held_last: DFF::default(),
            held_overflow: DFF::default(),
            which: DFF::default(),
            entries: DFF::default(),
            offset: DFF::default(),
            record_hits: DFF::default(),
            entry: Signal::default(),
            others: Signal::default(),
            ended: Signal::default(),
            flags: Signal::default(),
            make: Signal::default(),
            done: Signal::default(),
            take: Signal::default(),
            item_out: DFF::default(),
            out_valid: DFF::default(),
            out_hit: DFF::default(),
            out_overflow: DFF::default(),
            kind_hit: Constant::new(KIND_HIT.into()),
            kind_end: Constant::new(KIND_END.into()),
            flag_overflow: Constant::new(u64::from(FLAG_OVERFLOW).into()),
        }
    }
}

impl Logic for Expander {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            ends_here,
            held,
            held_last,
            held_overflow,
            which
        );
        dff_setup!(
            self,
            clock,
            entries,
            offset,
            record_hits,
            item_out,
            out_valid
        );
        dff_setup!(self, clock, out_hit, out_overflow);
        clock!(self, clock, ends);

        self.ends.clear.next = self.clear.val();
        self.ends.write.next = self.end_valid.val();
        self.ends.data_in.next = self.end_data.val();
        self.ends_ready.next = !self.ends.almost_full.val();
        self.ended.next = self.ends.data_out.val();

        // The lowest hit, and those that stay.
        self.entry.next = self.entries.q.val().get_bits::<20>(60);
        self.others.next = self.which.q.val() & 7;
        if self.which.q.val().get_bit(2) {
            self.entry.next = self.entries.q.val().get_bits::<20>(40);
            self.others.next = self.which.q.val() & 11;
        }
        if self.which.q.val().get_bit(1) {
            self.entry.next = self.entries.q.val().get_bits::<20>(20);
            self.others.next = self.which.q.val() & 13;
        }
        if self.which.q.val().get_bit(0) {
            self.entry.next = self.entries.q.val().get_bits::<20>(0);
            self.others.next = self.which.q.val() & 14;
        }

        // A record's end waits for the front's word on it.
        if self.held_last.q.val() {
            self.make.next = self.held.q.val() & self.ends.valid.val() & self.item_ready.val();
            self.done.next = self.make.val();
        } else {
            self.make.next = self.held.q.val() & self.which.q.val().any() & self.item_ready.val();
            self.done.next = self.held.q.val()
                & (!self.which.q.val().any() | (self.make.val() & !self.others.val().any()));
        }
        self.take.next = !self.held.q.val() | self.done.val();
        self.ready.next = self.take.val();
        self.pop_end.next = self.make.val() & self.held_last.q.val();
        self.ends.ready.next = self.pop_end.val();

        if self.make.val() {
            self.which.d.next = self.others.val();
            self.record_hits.d.next = self.record_hits.q.val() + 1;
        }
        if self.pop_end.val() {
            self.record_hits.d.next = 0.into();
        }
        if self.take.val() {
            self.held.d.next = self.valid.val();
            self.held_last.d.next = self.last.val();
            self.held_overflow.d.next = self.overflow.val();
            self.entries.d.next = self.hits.val().get_bits::<80>(0);
            self.which.d.next = self.hits.val().get_bits::<4>(80);
            self.offset.d.next = self.hits.val().get_bits::<16>(84);
        }

        self.flags.next = self.ended.val().get_bits::<8>(48);
        if self.held_overflow.q.val() {
            self.flags.next = self.flags.val() | self.flag_overflow.val();
        }
        if self.held_last.q.val() {
            self.item_out.d.next = self.kind_end.val()
                | (bit_cast::<64, 8>(self.flags.val()) << 2)
                | (bit_cast::<64, 8>(self.record_hits.q.val()) << 8)
                | (bit_cast::<64, 16>(self.ended.val().get_bits::<16>(32)) << 16)
                | (bit_cast::<64, 32>(self.ended.val().get_bits::<32>(0)) << 32);
        } else {
            self.item_out.d.next = self.kind_hit.val()
                | (bit_cast::<64, 16>(self.offset.q.val()) << 16)
                | (bit_cast::<64, 20>(self.entry.val()) << 32);
        }
        self.out_valid.d.next = self.make.val();
        self.out_hit.d.next = self.make.val() & !self.held_last.q.val();
        self.out_overflow.d.next = self.pop_end.val() & self.held_overflow.q.val();

        if self.end_valid.val() & !self.pop_end.val() {
            self.ends_here.d.next = self.ends_here.q.val() + 1;
        }
        if self.pop_end.val() & !self.end_valid.val() {
            self.ends_here.d.next = self.ends_here.q.val() - 1;
        }
        if self.clear.val() {
            self.ends_here.d.next = 0.into();
            self.held.d.next = false;
            self.record_hits.d.next = 0.into();
            self.out_valid.d.next = false;
            self.out_hit.d.next = false;
            self.out_overflow.d.next = false;
        }
        self.item_valid.next = self.out_valid.q.val();
        self.item.next = self.item_out.q.val();
        self.busy.next = self.held.q.val() | self.out_valid.q.val() | self.ends_here.q.val().any();
        self.count_hit.next = self.out_hit.q.val();
        self.count_overflow.next = self.out_overflow.q.val();
    }
}
