//! An exact engine with what brings it its candidates.

use rust_hdl::prelude::*;

use crate::exact::Exact;
use crate::merge::{Bank, MOST, Merge};

/// An exact engine with `B` banks of `S` slices' candidates, merged from `J` sources: from the banks, or, where there are none,
/// from the only slice. `X` are the address bits of a way.
#[derive(LogicBlock)]
pub struct Engine<const S: usize, const B: usize, const J: usize, const X: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// Its number.
    pub number: Signal<In, Bits<2>>,
    /// Which bits of a bank's number there are: bit 0 is its place in the engine, bit 1 the engine's number.
    pub mask: Signal<In, Bits<2>>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// Which slices have something.
    pub valid: Signal<In, Bits<MOST>>,
    /// For which of them it is the end of a record.
    pub last: Signal<In, Bits<MOST>>,
    /// The record that ends overflowed.
    pub overflow: Signal<In, Bits<MOST>>,
    /// What they have, see [`Bank`].
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
    /// All banks have room.
    pub room: Signal<Out, bool>,
    /// Ends wait: somewhere there is no room.
    pub hold: Signal<In, bool>,
    /// Table write: memory.
    pub write_select: Signal<In, Bits<7>>,
    /// Table write: word.
    pub write_address: Signal<In, Bits<16>>,
    /// Table write: data.
    pub write_data: Signal<In, Bits<32>>,
    /// Table write: now.
    pub write_strobe: Signal<In, bool>,
    /// What the engine found.
    pub item: Signal<Out, Bits<100>>,
    /// The end of a record.
    pub item_last: Signal<Out, bool>,
    /// The record that ends overflowed.
    pub item_overflow: Signal<Out, bool>,
    /// There is one.
    pub item_valid: Signal<Out, bool>,
    /// It is taken.
    pub item_ready: Signal<In, bool>,
    /// How many candidates the banks handed on.
    pub looked_up: Signal<Out, Bits<8>>,
    banks: [Bank<S>; B],
    places: [Constant<Bits<2>>; B],
    merge: Merge<J, 106>,
    exact: Exact<X>,
    // So that `item_ready` goes to registers only.
    joint: Merge<1, 100>,
    taken: Signal<Local, Bits<MOST>>,
    space: Signal<Local, bool>,
    sum: Signal<Local, Bits<8>>,
}

impl<const S: usize, const B: usize, const J: usize, const X: usize> Engine<S, B, J, X> {
    /// How many slices the engine has without a bank.
    const ALONE: usize = if B == 0 { 1 } else { 0 };
}

impl<const S: usize, const B: usize, const J: usize, const X: usize> Default
    for Engine<S, B, J, X>
{
    fn default() -> Self {
        const {
            assert!(if B == 0 { S == 1 && J == 1 } else { J == B });
        }
        Self {
            clock: Default::default(),
            clear: Default::default(),
            number: Default::default(),
            mask: Default::default(),
            key: Default::default(),
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
            write_select: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_strobe: Default::default(),
            item: Default::default(),
            item_last: Default::default(),
            item_overflow: Default::default(),
            item_valid: Default::default(),
            item_ready: Default::default(),
            looked_up: Default::default(),
            banks: std::array::from_fn(|_| Default::default()),
            places: std::array::from_fn(|place| Constant::new((place as u64).into())),
            merge: Default::default(),
            exact: Default::default(),
            joint: Default::default(),
            taken: Default::default(),
            space: Default::default(),
            sum: Default::default(),
        }
    }
}

impl<const S: usize, const B: usize, const J: usize, const X: usize> Logic for Engine<S, B, J, X> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, merge, exact, joint);
        self.merge.clear.next = self.clear.val();
        self.merge.hold.next = false;
        self.taken.next = 0.into();
        self.space.next = true;
        self.sum.next = 0.into();
        for i in 0..Self::ALONE {
            self.merge.valid[i].next = self.valid.val().get_bit(i);
            self.merge.data[i].next = self.head_0.val();
            self.merge.last[i].next = self.last.val().get_bit(i);
            self.merge.overflow[i].next = self.overflow.val().get_bit(i);
            self.taken.next = self.taken.val().replace_bit(i, self.merge.ready[i].val());
        }
        for i in 0..B {
            self.banks[i].clock.next = self.clock.val();
            self.banks[i].clear.next = self.clear.val();
            self.banks[i].number.next = self.places[i].val() | (self.number.val() << 1);
            self.banks[i].mask.next = self.mask.val();
            self.banks[i].valid.next = self.valid.val();
            self.banks[i].last.next = self.last.val();
            self.banks[i].overflow.next = self.overflow.val();
            self.banks[i].head_0.next = self.head_0.val();
            self.banks[i].head_1.next = self.head_1.val();
            self.banks[i].head_2.next = self.head_2.val();
            self.banks[i].head_3.next = self.head_3.val();
            self.banks[i].head_4.next = self.head_4.val();
            self.banks[i].head_5.next = self.head_5.val();
            self.banks[i].head_6.next = self.head_6.val();
            self.banks[i].head_7.next = self.head_7.val();
            self.banks[i].hold.next = self.hold.val();
            self.taken.next = self.taken.val() | self.banks[i].ready.val();
            if !self.banks[i].room.val() {
                self.space.next = false;
            }
            if self.banks[i].looked_up.val() {
                self.sum.next = self.sum.val() + 1;
            }
            self.merge.valid[i].next = self.banks[i].out_valid.val();
            self.merge.data[i].next = self.banks[i].out_data.val();
            self.merge.last[i].next = self.banks[i].out_last.val();
            self.merge.overflow[i].next = self.banks[i].out_overflow.val();
            self.banks[i].out_ready.next = self.merge.ready[i].val();
        }
        self.ready.next = self.taken.val();
        self.room.next = self.space.val();
        self.looked_up.next = self.sum.val();

        self.exact.clear.next = self.clear.val();
        self.exact.key.next = self.key.val();
        self.exact.valid.next = self.merge.out_valid.val();
        self.exact.candidate.next = self.merge.out_data.val();
        self.exact.last.next = self.merge.out_last.val();
        self.exact.overflow.next = self.merge.out_overflow.val();
        self.merge.out_ready.next = self.exact.ready.val();
        self.exact.write_select.next = self.write_select.val();
        self.exact.write_address.next = self.write_address.val();
        self.exact.write_data.next = self.write_data.val();
        self.exact.write_strobe.next = self.write_strobe.val();
        self.joint.clear.next = self.clear.val();
        self.joint.hold.next = false;
        self.joint.valid[0].next = self.exact.item_valid.val();
        self.joint.data[0].next = self.exact.item.val();
        self.joint.last[0].next = self.exact.item_last.val();
        self.joint.overflow[0].next = self.exact.item_overflow.val();
        self.exact.item_ready.next = self.joint.ready[0].val();
        self.item.next = self.joint.out_data.val();
        self.item_last.next = self.joint.out_last.val();
        self.item_overflow.next = self.joint.out_overflow.val();
        self.item_valid.next = self.joint.out_valid.val();
        self.joint.out_ready.next = self.item_ready.val();
    }
}
