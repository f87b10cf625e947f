//! Takes a candidate's hits apart.

use rust_hdl::prelude::*;

/// Holds what an exact engine found for one candidate, up to four hits, and shows them one after another; or the end of a record.
#[derive(LogicBlock, Default)]
pub struct Unfolder {
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

    /// There is a hit.
    pub hit: Signal<Out, Bit>,
    /// Its entry.
    pub entry: Signal<Out, Bits<20>>,
    /// Its offset.
    pub offset: Signal<Out, Bits<16>>,
    /// There is an end.
    pub ended: Signal<Out, Bit>,
    /// With overflow.
    pub overflowed: Signal<Out, Bit>,
    /// The hit, or the end, is taken.
    pub take: Signal<In, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,

    held: DFF<Bit>,
    held_last: DFF<Bit>,
    held_overflow: DFF<Bit>,
    which: DFF<Bits<4>>,
    // Whether there is any in `which`, and more than one: `ready` is a long way from where it is used, so little may come before it.
    any: DFF<Bit>,
    more: DFF<Bit>,
    entries: DFF<Bits<80>>,
    held_offset: DFF<Bits<16>>,
    others: Signal<Local, Bits<4>>,
    coming: Signal<Local, Bits<4>>,
    done: Signal<Local, Bit>,
    free: Signal<Local, Bit>,
}

impl Logic for Unfolder {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            held,
            held_last,
            held_overflow,
            which,
            any,
            more,
            entries,
            held_offset
        );
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
        self.offset.next = self.held_offset.q.val();
        self.hit.next = self.held.q.val() & !self.held_last.q.val() & self.any.q.val();
        self.ended.next = self.held.q.val() & self.held_last.q.val();
        self.overflowed.next = self.held_overflow.q.val();

        if self.held_last.q.val() {
            self.done.next = self.take.val();
        } else {
            self.done.next = !self.any.q.val() | (self.take.val() & !self.more.q.val());
        }
        self.free.next = !self.held.q.val() | self.done.val();
        self.ready.next = self.free.val();
        self.coming.next = self.hits.val().get_bits::<4>(80);
        if self.take.val() {
            self.which.d.next = self.others.val();
            self.any.d.next = self.others.val().any();
            self.more.d.next = (self.others.val() & (self.others.val() - 1)).any();
        }
        if self.free.val() {
            self.held.d.next = self.valid.val();
            self.held_last.d.next = self.last.val();
            self.held_overflow.d.next = self.overflow.val();
            self.entries.d.next = self.hits.val().get_bits::<80>(0);
            self.which.d.next = self.coming.val();
            self.any.d.next = self.coming.val().any();
            self.more.d.next = (self.coming.val() & (self.coming.val() - 1)).any();
            self.held_offset.d.next = self.hits.val().get_bits::<16>(84);
        }
        if self.clear.val() {
            self.held.d.next = false;
        }
        self.busy.next = self.held.q.val();
    }
}
