//! What leaves out a candidate that another slice has found before.

use crate::parts::{Delay, Fifo, Ram};
use rust_hdl::prelude::*;

/// Address bits of the memory of recent candidates.
const RECENT: usize = 9;
/// Places kept in the FIFO for what is on its way when `ready` falls: four stages, and what is taken in the cycle before.
const ON_THE_WAY: usize = 8;

/// Leaves out a candidate that equals the last one in its slot of a small memory, of the same record, and does not end before it. One candidate a cycle.
///
/// Slices are not always equally far, so candidates do not come in the order of their ends, and the first end is what counts: one that ends before the
/// equal one in the slot goes on. What stands in the slot has been handed on, or was left out for one that ends no later and has been.
///
/// The slices' sieves see eight lanes each; this one sees the candidates of all slices that its bank is given. What counts in an entry, and why none
/// counts that should not, is as in the slices' sieve: each end of a record invalidates a slot, the next in turn, so an entry is gone after 512 ends at
/// most, and its serial comes again only after 65,536; after `clear` all slots are invalidated, one a cycle, and until then nothing is taken.
#[derive(LogicBlock, Default)]
pub struct Sieve {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// There is something.
    pub valid: Signal<In, bool>,
    /// It is taken.
    pub ready: Signal<Out, bool>,
    /// A candidate, if not `last`.
    pub data: Signal<In, Bits<106>>,
    /// The end of a record.
    pub last: Signal<In, bool>,
    /// The record that ends overflowed.
    pub overflow: Signal<In, bool>,
    /// There is something.
    pub out_valid: Signal<Out, bool>,
    /// It is taken.
    pub out_ready: Signal<In, bool>,
    /// A candidate, if not `out_last`.
    pub out_data: Signal<Out, Bits<106>>,
    /// The end of a record.
    pub out_last: Signal<Out, bool>,
    /// The record that ends overflowed.
    pub out_overflow: Signal<Out, bool>,
    /// A candidate was handed on.
    pub looked_up: Signal<Out, bool>,

    // First stage: the slot.
    open: Signal<Local, bool>,
    take: Signal<Local, bool>,
    byte_at: Signal<Local, Bits<8>>,
    turned: Signal<Local, Bits<RECENT>>,
    slot: DFF<Bits<RECENT>>,
    candidate: DFF<Bits<106>>,
    given: DFF<bool>,
    ended: DFF<bool>,
    overflowed: DFF<bool>,
    // Second: the memory is read and written. An entry: the candidate's bytes, length, end and serial
    // (98..0), and whether there is one (99).
    entry: Signal<Local, Bits<100>>,
    recent: Ram<Bits<100>, RECENT, 2, true>,
    swept: DFF<Bits<{ RECENT + 1 }>>,
    oldest: DFF<Bits<RECENT>>,
    late: Delay<Bits<106>, 2>,
    late_entry: Delay<Bits<100>, 2>,
    // Fourth: compare, by parts.
    parts: Signal<Local, Bits<6>>,
    equal: DFF<Bits<6>>,
    candidate_4: DFF<Bits<106>>,
    given_late: Delay<bool, 3>,
    ended_late: Delay<bool, 3>,
    overflowed_late: Delay<bool, 3>,
    // Fifth: into the FIFO, if it is new.
    fresh: Signal<Local, bool>,
    looked: DFF<bool>,
    out: Fifo<Bits<108>, 5, ON_THE_WAY>,
}

impl Logic for Sieve {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            slot,
            candidate,
            given,
            ended,
            overflowed,
            swept,
            oldest,
            equal,
            candidate_4,
            looked
        );
        clock!(
            self,
            clock,
            recent,
            late,
            late_entry,
            given_late,
            ended_late,
            overflowed_late,
            out
        );

        // First stage. Each byte is turned by its place: bytes in another order have another slot.
        self.open.next = !self.out.almost_full.val() & self.swept.q.val().get_bit(9);
        self.ready.next = self.open.val();
        self.take.next = self.valid.val() & self.open.val();
        self.turned.next = bit_cast::<RECENT, 3>(self.data.val().get_bits::<3>(64)) << 6;
        for i in 0..8 {
            self.byte_at.next = self.data.val().get_bits::<8>(8 * i);
            self.turned.next = ((self.turned.val() << 1) | (self.turned.val() >> 8))
                ^ bit_cast::<RECENT, 8>(self.byte_at.val());
        }
        self.slot.d.next = self.turned.val();
        self.candidate.d.next = self.data.val();
        self.given.d.next = self.take.val() & !self.last.val();
        self.ended.d.next = self.take.val() & self.last.val();
        self.overflowed.d.next = self.overflow.val();

        // Second stage. The read sees what stood there before.
        self.entry.next =
            bit_cast::<100, 99>(self.candidate.q.val().get_bits::<99>(0)) | (bits::<100>(1) << 99);
        self.recent.enable.next = true;
        self.recent.read_address.next = self.slot.q.val();
        self.recent.write_address.next = self.slot.q.val();
        self.recent.write_data.next = self.entry.val();
        self.recent.write.next = self.given.q.val();
        if self.ended.q.val() {
            self.recent.write_address.next = self.oldest.q.val();
            self.recent.write_data.next = 0.into();
            self.recent.write.next = true;
            self.oldest.d.next = self.oldest.q.val() + 1;
        }
        if !self.swept.q.val().get_bit(9) {
            self.recent.write_address.next = bit_cast::<RECENT, 10>(self.swept.q.val());
            self.recent.write_data.next = 0.into();
            self.recent.write.next = true;
            self.swept.d.next = self.swept.q.val() + 1;
        }
        self.late.d.next = self.candidate.q.val();
        self.late_entry.d.next = self.entry.val();
        self.given_late.d.next = self.given.q.val();
        self.ended_late.d.next = self.ended.q.val();
        self.overflowed_late.d.next = self.overflowed.q.val();

        // Fourth stage.
        self.parts.next = 0.into();
        for i in 0..4 {
            if self.recent.data.val().get_bits::<16>(16 * i)
                == self.late_entry.q.val().get_bits::<16>(16 * i)
            {
                self.parts.next = self.parts.val().replace_bit(i, true);
            }
        }
        if (self.recent.data.val().get_bits::<3>(64) == self.late_entry.q.val().get_bits::<3>(64))
            & (self.recent.data.val().get_bits::<17>(83)
                == self.late_entry.q.val().get_bits::<17>(83))
        {
            self.parts.next = self.parts.val() | 0x10;
        }
        if self.recent.data.val().get_bits::<16>(67) <= self.late_entry.q.val().get_bits::<16>(67) {
            self.parts.next = self.parts.val() | 0x20;
        }
        self.equal.d.next = self.parts.val();
        self.candidate_4.d.next = self.late.q.val();

        // Fifth stage.
        self.fresh.next = self.given_late.q.val() & !self.equal.q.val().all();
        self.out.clear.next = self.clear.val();
        self.out.write.next = self.fresh.val() | self.ended_late.q.val();
        self.out.data_in.next = bit_cast::<108, 106>(self.candidate_4.q.val())
            | (bit_cast::<108, 1>(self.ended_late.q.val().into()) << 106)
            | (bit_cast::<108, 1>(self.overflowed_late.q.val().into()) << 107);
        self.looked.d.next = self.fresh.val();
        self.looked_up.next = self.looked.q.val();
        self.out.ready.next = self.out_ready.val();
        self.out_valid.next = self.out.valid.val();
        self.out_data.next = self.out.data_out.val().get_bits::<106>(0);
        self.out_last.next = self.out.data_out.val().get_bit(106);
        self.out_overflow.next = self.out.data_out.val().get_bit(107);

        if self.clear.val() {
            self.given.d.next = false;
            self.ended.d.next = false;
            self.swept.d.next = 0.into();
        }
    }
}
