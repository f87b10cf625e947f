//! Turns what the exact stage finds into items, one a cycle from each engine.

use super::Unfolder;
use crate::parts::Fifo;
use card_protocol::report::{FLAG_OVERFLOW, KIND_END, KIND_HIT};
use rust_hdl::prelude::*;

/// Ends that can wait for the exact stage: `2^ENDS - 1`.
const ENDS: usize = 7;
/// Room for ends that are under way in the front when `ends_ready` falls.
const UNDER_WAY: usize = 16;

/// Items from the hits of `E` engines (1 or 2), and from ends of records: an end comes when all engines are done with the record.
#[derive(LogicBlock)]
pub struct Expander<const E: usize> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything.
    pub clear: Signal<In, Bit>,
    /// From each engine: entries 4 × 20 (79..0), which of them are hits (83..80), end offset (99..84).
    pub hits: [Signal<In, Bits<100>>; E],
    /// No hits: the record is done.
    pub last: [Signal<In, Bit>; E],
    /// With `last`: a slice went beyond its limit.
    pub overflow: [Signal<In, Bit>; E],
    /// There is something.
    pub valid: [Signal<In, Bit>; E],
    /// It is taken.
    pub ready: [Signal<Out, Bit>; E],
    /// From the front: a record's end is to be written down.
    pub end_valid: Signal<In, Bit>,
    /// Sequence (31..0), generation (47..32), flags (55..48).
    pub end_data: Signal<In, Bits<56>>,
    /// There is room for 16 ends.
    pub ends_ready: Signal<Out, Bit>,

    /// Items may come; those of one more cycle come after this falls.
    pub item_ready: Signal<In, Bit>,
    /// There is an item, which has to be taken; an end is the first.
    pub item_valid: [Signal<Out, Bit>; E],
    /// The item.
    pub item: [Signal<Out, Bits<64>>; E],
    /// A record's end is made an item.
    pub ended: Signal<Out, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters: hits that are reported.
    pub count_hits: Signal<Out, Bits<2>>,
    /// A record with overflow ends.
    pub count_overflow: Signal<Out, Bit>,

    ends: Fifo<Bits<56>, ENDS, UNDER_WAY>,
    ends_here: DFF<Bits<ENDS>>,
    pop_end: Signal<Local, Bit>,
    unfolders: [Unfolder; E],
    all_ended: Signal<Local, Bit>,
    overflowed: Signal<Local, Bit>,
    some: Signal<Local, Bit>,
    record_hits: DFF<Bits<8>>,
    made: Signal<Local, Bits<2>>,
    // The item's parts.
    entry: Signal<Local, Bits<20>>,
    offset: Signal<Local, Bits<16>>,
    ended_as: Signal<Local, Bits<56>>,
    flags: Signal<Local, Bits<8>>,
    item_out: [DFF<Bits<64>>; E],
    out_valid: [DFF<Bit>; E],
    out_hits: DFF<Bits<2>>,
    out_overflow: DFF<Bit>,

    kind_hit: Constant<Bits<64>>,
    kind_end: Constant<Bits<64>>,
    flag_overflow: Constant<Bits<8>>,
}

impl<const E: usize> Default for Expander<E> {
    fn default() -> Self {
        const { assert!(E == 1 || E == 2) };
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            hits: std::array::from_fn(|_| Signal::default()),
            last: std::array::from_fn(|_| Signal::default()),
            overflow: std::array::from_fn(|_| Signal::default()),
            valid: std::array::from_fn(|_| Signal::default()),
            ready: std::array::from_fn(|_| Signal::default()),
            end_valid: Signal::default(),
            end_data: Signal::default(),
            ends_ready: Signal::default(),
            item_ready: Signal::default(),
            item_valid: std::array::from_fn(|_| Signal::default()),
            item: std::array::from_fn(|_| Signal::default()),
            ended: Signal::default(),
            busy: Signal::default(),
            count_hits: Signal::default(),
            count_overflow: Signal::default(),
            ends: Fifo::default(),
            ends_here: DFF::default(),
            pop_end: Signal::default(),
            unfolders: std::array::from_fn(|_| Unfolder::default()),
            all_ended: Signal::default(),
            overflowed: Signal::default(),
            some: Signal::default(),
            record_hits: DFF::default(),
            made: Signal::default(),
            entry: Signal::default(),
            offset: Signal::default(),
            ended_as: Signal::default(),
            flags: Signal::default(),
            item_out: std::array::from_fn(|_| DFF::default()),
            out_valid: std::array::from_fn(|_| DFF::default()),
            out_hits: DFF::default(),
            out_overflow: DFF::default(),
            kind_hit: Constant::new(KIND_HIT.into()),
            kind_end: Constant::new(KIND_END.into()),
            flag_overflow: Constant::new(u64::from(FLAG_OVERFLOW).into()),
        }
    }
}

impl<const E: usize> Logic for Expander<E> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, ends_here, record_hits, out_hits, out_overflow);
        clock!(self, clock, ends);

        self.ends.clear.next = self.clear.val();
        self.ends.write.next = self.end_valid.val();
        self.ends.data_in.next = self.end_data.val();
        self.ends_ready.next = !self.ends.almost_full.val();
        self.ended_as.next = self.ends.data_out.val();

        // A record's end waits for all engines, and for the front's word on it.
        self.all_ended.next = true;
        self.overflowed.next = false;
        for i in 0..E {
            if !self.unfolders[i].ended.val() {
                self.all_ended.next = false;
            }
            if self.unfolders[i].overflowed.val() {
                self.overflowed.next = true;
            }
        }
        self.pop_end.next = self.all_ended.val() & self.ends.valid.val() & self.item_ready.val();
        self.ends.ready.next = self.pop_end.val();
        self.ended.next = self.pop_end.val();

        self.made.next = 0.into();
        self.some.next = false;
        for i in 0..E {
            self.unfolders[i].clock.next = self.clock.val();
            self.unfolders[i].clear.next = self.clear.val();
            self.unfolders[i].hits.next = self.hits[i].val();
            self.unfolders[i].last.next = self.last[i].val();
            self.unfolders[i].overflow.next = self.overflow[i].val();
            self.unfolders[i].valid.next = self.valid[i].val();
            self.ready[i].next = self.unfolders[i].ready.val();
            self.item_out[i].clock.next = self.clock.val();
            self.out_valid[i].clock.next = self.clock.val();

            self.unfolders[i].take.next =
                (self.unfolders[i].hit.val() & self.item_ready.val()) | self.pop_end.val();
            self.out_valid[i].d.next = self.unfolders[i].hit.val() & self.item_ready.val();
            if self.unfolders[i].hit.val() & self.item_ready.val() {
                self.made.next = self.made.val() + 1;
            }
            self.offset.next = self.unfolders[i].offset.val();
            self.entry.next = self.unfolders[i].entry.val();
            self.item_out[i].d.next = self.kind_hit.val()
                | (bit_cast::<64, 16>(self.offset.val()) << 16)
                | (bit_cast::<64, 20>(self.entry.val()) << 32);
            if self.unfolders[i].busy.val() | self.out_valid[i].q.val() {
                self.some.next = true;
            }
        }
        self.record_hits.d.next = self.record_hits.q.val() + bit_cast::<8, 2>(self.made.val());
        self.flags.next = self.ended_as.val().get_bits::<8>(48);
        if self.overflowed.val() {
            self.flags.next = self.ended_as.val().get_bits::<8>(48) | self.flag_overflow.val();
        }
        if self.all_ended.val() {
            self.item_out[0].d.next = self.kind_end.val()
                | (bit_cast::<64, 8>(self.flags.val()) << 2)
                | (bit_cast::<64, 8>(self.record_hits.q.val()) << 8)
                | (bit_cast::<64, 16>(self.ended_as.val().get_bits::<16>(32)) << 16)
                | (bit_cast::<64, 32>(self.ended_as.val().get_bits::<32>(0)) << 32);
        }
        if self.pop_end.val() {
            self.out_valid[0].d.next = true;
            self.record_hits.d.next = 0.into();
        }
        self.out_hits.d.next = self.made.val();
        self.out_overflow.d.next = self.pop_end.val() & self.overflowed.val();

        if self.end_valid.val() & !self.pop_end.val() {
            self.ends_here.d.next = self.ends_here.q.val() + 1;
        }
        if self.pop_end.val() & !self.end_valid.val() {
            self.ends_here.d.next = self.ends_here.q.val() - 1;
        }
        if self.clear.val() {
            self.ends_here.d.next = 0.into();
            self.record_hits.d.next = 0.into();
            self.out_hits.d.next = 0.into();
            self.out_overflow.d.next = false;
            for i in 0..E {
                self.out_valid[i].d.next = false;
            }
        }
        for i in 0..E {
            self.item_valid[i].next = self.out_valid[i].q.val();
            self.item[i].next = self.item_out[i].q.val();
        }
        self.busy.next = self.some.val() | self.ends_here.q.val().any();
        self.count_hits.next = self.out_hits.q.val();
        self.count_overflow.next = self.out_overflow.q.val();
    }
}
