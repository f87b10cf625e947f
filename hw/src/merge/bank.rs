//! A share of all slices' candidates, merged and sieved.

use super::{MOST, Merge, Sieve};
use rust_hdl::prelude::*;

/// Takes those candidates of `S` slices whose bytes give this bank's number, one a cycle, and leaves out what came before in the record.
///
/// Equal candidates are the same bank's, whatever slices find them; so the banks' sieves together see all lanes, and as many candidates a cycle pass as there are
/// banks. Ends go to all banks at once: `hold` keeps this one from taking them while another has no `room`.
#[derive(LogicBlock)]
pub struct Bank<const S: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// Its number, and which bits of it count.
    pub number: Signal<In, Bits<2>>,
    /// See `number`.
    pub mask: Signal<In, Bits<2>>,
    /// Which slices have something.
    pub valid: Signal<In, Bits<MOST>>,
    /// For which of them it is the end of a record.
    pub last: Signal<In, Bits<MOST>>,
    /// The record that ends overflowed.
    pub overflow: Signal<In, Bits<MOST>>,
    /// What they have. Rust-HDL has no array of ports in an array of blocks.
    pub head_0: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_1: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_2: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_3: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_4: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_5: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_6: Signal<In, Bits<106>>,
    /// See `head_0`.
    pub head_7: Signal<In, Bits<106>>,
    /// From whom it is taken.
    pub ready: Signal<Out, Bits<MOST>>,
    /// Something can be taken.
    pub room: Signal<Out, bool>,
    /// Ends wait.
    pub hold: Signal<In, bool>,
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
    heads: [Signal<Local, Bits<106>>; MOST],
    low: Signal<Local, Bits<32>>,
    share: Signal<Local, Bits<2>>,
    taken: Signal<Local, Bits<MOST>>,
    merge: Merge<S, 106>,
    sieve: Sieve,
    // Bits of the last four bytes that make the number. They are not chosen as the sieve chooses its slots, so that a bank's candidates
    // have all of them.
    picks: [Constant<Bits<32>>; 2],
}

impl<const S: usize> Default for Bank<S> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            number: Default::default(),
            mask: Default::default(),
            valid: Default::default(),
            last: Default::default(),
            overflow: Default::default(),
            head_0: Default::default(),
            head_1: Default::default(),
            head_2: Default::default(),
            head_3: Default::default(),
            head_4: Default::default(),
            head_5: Default::default(),
            head_6: Default::default(),
            head_7: Default::default(),
            ready: Default::default(),
            room: Default::default(),
            hold: Default::default(),
            out_valid: Default::default(),
            out_ready: Default::default(),
            out_data: Default::default(),
            out_last: Default::default(),
            out_overflow: Default::default(),
            looked_up: Default::default(),
            heads: Default::default(),
            low: Default::default(),
            share: Default::default(),
            taken: Default::default(),
            merge: Default::default(),
            sieve: Default::default(),
            picks: [0x0408_0A09, 0x0110_0512].map(|pick: u64| Constant::new(pick.into())),
        }
    }
}

impl<const S: usize> Logic for Bank<S> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, merge, sieve);
        self.heads[0].next = self.head_0.val();
        self.heads[1].next = self.head_1.val();
        self.heads[2].next = self.head_2.val();
        self.heads[3].next = self.head_3.val();
        self.heads[4].next = self.head_4.val();
        self.heads[5].next = self.head_5.val();
        self.heads[6].next = self.head_6.val();
        self.heads[7].next = self.head_7.val();
        self.merge.clear.next = self.clear.val();
        self.merge.hold.next = self.hold.val();
        self.taken.next = 0.into();
        for i in 0..S {
            self.low.next = self.heads[i].val().get_bits::<32>(0);
            self.share.next = 0.into();
            if (self.low.val() & self.picks[0].val()).xor() {
                self.share.next = 1.into();
            }
            if (self.low.val() & self.picks[1].val()).xor() {
                self.share.next = self.share.val() | 2;
            }
            self.merge.valid[i].next = self.valid.val().get_bit(i)
                & (self.last.val().get_bit(i)
                    | ((self.share.val() & self.mask.val()) == self.number.val()));
            self.merge.data[i].next = self.heads[i].val();
            self.merge.last[i].next = self.last.val().get_bit(i);
            self.merge.overflow[i].next = self.overflow.val().get_bit(i);
            self.taken.next = self.taken.val().replace_bit(i, self.merge.ready[i].val());
        }
        self.ready.next = self.taken.val();
        self.room.next = self.merge.room.val();

        self.sieve.clear.next = self.clear.val();
        self.sieve.valid.next = self.merge.out_valid.val();
        self.sieve.data.next = self.merge.out_data.val();
        self.sieve.last.next = self.merge.out_last.val();
        self.sieve.overflow.next = self.merge.out_overflow.val();
        self.merge.out_ready.next = self.sieve.ready.val();
        self.out_valid.next = self.sieve.out_valid.val();
        self.sieve.out_ready.next = self.out_ready.val();
        self.out_data.next = self.sieve.out_data.val();
        self.out_last.next = self.sieve.out_last.val();
        self.out_overflow.next = self.sieve.out_overflow.val();
        self.looked_up.next = self.sieve.looked_up.val();
    }
}
