//! Joins streams that each end a record with a `last` of their own.

mod bank;
mod sieve;
#[cfg(test)]
mod tests;

pub use bank::Bank;
pub use sieve::Sieve;

use rust_hdl::prelude::*;

/// Most inputs.
pub const MOST: usize = 8;

/// Joins `I` streams (1 to 8) of `D` bits: what is not `last` passes as it comes, one a cycle, in turn; an input whose head is `last` waits until all heads
/// are, then one `last` goes on, with `overflow` if any had it.
#[derive(LogicBlock)]
pub struct Merge<const I: usize, const D: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// Each input: there is something.
    pub valid: [Signal<In, bool>; I],
    /// It is taken.
    pub ready: [Signal<Out, bool>; I],
    /// What it is, if not `last`.
    pub data: [Signal<In, Bits<D>>; I],
    /// The end of a record.
    pub last: [Signal<In, bool>; I],
    /// The record that ends overflowed.
    pub overflow: [Signal<In, bool>; I],
    /// No `last` is taken for now: what shares the inputs has no room for it.
    pub hold: Signal<In, bool>,
    /// Something can be taken.
    pub room: Signal<Out, bool>,
    /// There is something.
    pub out_valid: Signal<Out, bool>,
    /// It is taken.
    pub out_ready: Signal<In, bool>,
    /// What it is, if not `out_last`.
    pub out_data: Signal<Out, Bits<D>>,
    /// The end of a record.
    pub out_last: Signal<Out, bool>,
    /// The record that ends overflowed.
    pub out_overflow: Signal<Out, bool>,
    filled: DFF<bool>,
    held: DFF<Bits<D>>,
    held_last: DFF<bool>,
    held_overflow: DFF<bool>,
    // Where a word goes that was taken when `held` turned out to stay: so `ready` comes from registers, and no chain of them runs
    // through the blocks.
    crowded: DFF<bool>,
    spare: DFF<Bits<D>>,
    spare_last: DFF<bool>,
    spare_overflow: DFF<bool>,
    // Inputs after the one that was served last: these go first.
    after: DFF<Bits<MOST>>,
    after_next: Signal<Local, Bits<MOST>>,
    space: Signal<Local, bool>,
    comes: Signal<Local, bool>,
    stays: Signal<Local, bool>,
    all_last: Signal<Local, bool>,
    closes: Signal<Local, bool>,
    any_overflow: Signal<Local, bool>,
    got: Signal<Local, bool>,
    chosen: Signal<Local, Bits<MOST>>,
    rest: Signal<Local, Bits<MOST>>,
    word: Signal<Local, Bits<D>>,
}

impl<const I: usize, const D: usize> Default for Merge<I, D> {
    fn default() -> Self {
        const { assert!(I >= 1 && I <= MOST) };
        Self {
            clock: Default::default(),
            clear: Default::default(),
            valid: std::array::from_fn(|_| Default::default()),
            ready: std::array::from_fn(|_| Default::default()),
            data: std::array::from_fn(|_| Default::default()),
            last: std::array::from_fn(|_| Default::default()),
            overflow: std::array::from_fn(|_| Default::default()),
            hold: Default::default(),
            room: Default::default(),
            out_valid: Default::default(),
            out_ready: Default::default(),
            out_data: Default::default(),
            out_last: Default::default(),
            out_overflow: Default::default(),
            filled: Default::default(),
            held: Default::default(),
            held_last: Default::default(),
            held_overflow: Default::default(),
            crowded: Default::default(),
            spare: Default::default(),
            spare_last: Default::default(),
            spare_overflow: Default::default(),
            after: Default::default(),
            after_next: Default::default(),
            space: Default::default(),
            comes: Default::default(),
            stays: Default::default(),
            all_last: Default::default(),
            closes: Default::default(),
            any_overflow: Default::default(),
            got: Default::default(),
            chosen: Default::default(),
            rest: Default::default(),
            word: Default::default(),
        }
    }
}

impl<const I: usize, const D: usize> Logic for Merge<I, D> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            filled,
            held,
            held_last,
            held_overflow,
            crowded,
            spare,
            spare_last,
            spare_overflow,
            after
        );
        self.space.next = !self.crowded.q.val();
        self.all_last.next = true;
        self.any_overflow.next = false;
        for i in 0..I {
            if !self.valid[i].val() | !self.last[i].val() {
                self.all_last.next = false;
            }
            if self.overflow[i].val() {
                self.any_overflow.next = true;
            }
        }
        self.closes.next = self.all_last.val() & !self.hold.val();
        self.room.next = self.space.val();

        // Whose turn it is: the first after the one served last, else the first.
        self.got.next = false;
        self.chosen.next = 0.into();
        for i in 0..I {
            if (self.valid[i].val() & !self.last[i].val())
                & (self.after.q.val().get_bit(i) & !self.got.val())
            {
                self.got.next = true;
                self.chosen.next = self.chosen.val().replace_bit(i, true);
            }
        }
        for i in 0..I {
            if (self.valid[i].val() & !self.last[i].val()) & !self.got.val() {
                self.got.next = true;
                self.chosen.next = self.chosen.val().replace_bit(i, true);
            }
        }
        self.rest.next = 0xFF.into();
        self.after_next.next = self.after.q.val();
        self.word.next = 0.into();
        for i in 0..I {
            self.rest.next = self.rest.val() << 1;
            self.ready[i].next =
                self.space.val() & (self.chosen.val().get_bit(i) | self.closes.val());
            if self.chosen.val().get_bit(i) {
                self.word.next = self.word.val() | self.data[i].val();
                self.after_next.next = self.rest.val();
            }
        }
        if self.space.val() {
            self.after.d.next = self.after_next.val();
        }
        self.comes.next = self.space.val() & (self.got.val() | self.closes.val());
        self.stays.next = self.filled.q.val() & !self.out_ready.val();
        if self.stays.val() {
            if !self.crowded.q.val() {
                self.crowded.d.next = self.comes.val();
                self.spare.d.next = self.word.val();
                self.spare_last.d.next = self.closes.val();
                self.spare_overflow.d.next = self.any_overflow.val();
            }
        } else {
            self.crowded.d.next = false;
            self.filled.d.next = self.comes.val() | self.crowded.q.val();
            self.held.d.next = self.word.val();
            self.held_last.d.next = self.closes.val();
            self.held_overflow.d.next = self.any_overflow.val();
            if self.crowded.q.val() {
                self.held.d.next = self.spare.q.val();
                self.held_last.d.next = self.spare_last.q.val();
                self.held_overflow.d.next = self.spare_overflow.q.val();
            }
        }
        if self.clear.val() {
            self.filled.d.next = false;
            self.crowded.d.next = false;
        }
        self.out_valid.next = self.filled.q.val();
        self.out_data.next = self.held.q.val();
        self.out_last.next = self.held_last.q.val();
        self.out_overflow.next = self.held_overflow.q.val();
    }
}
