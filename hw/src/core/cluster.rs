//! An exact engine with its slices.

use rust_hdl::prelude::*;

use crate::exact::Exact;
use crate::merge::Merge;
use crate::slice::Slice;

/// `K` neighbouring slices, their merge and the exact engine behind it.
///
/// `P` = 8 K lanes, `N` = 64 K + 192 bits of window; `A8` to `A2` are the address bits of the filters, `X` those of a way.
#[derive(LogicBlock)]
pub struct Cluster<
    const K: usize,
    const P: usize,
    const N: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// From the front, as `hw/DESIGN.md` has it: there is a beat.
    pub valid: Signal<In, bool>,
    /// 24 bytes before the first slice's, then the slices' bytes.
    pub window: Signal<In, Bits<N>>,
    /// Which of them are payload.
    pub keep: Signal<In, Bits<P>>,
    /// Payload offset of the first.
    pub base: Signal<In, Bits<16>>,
    /// The record's carry.
    pub carry: Signal<In, Bits<3>>,
    /// Its group.
    pub group: Signal<In, Bits<6>>,
    /// The low bit of its generation.
    pub parity: Signal<In, bool>,
    /// Its number.
    pub serial: Signal<In, Bits<16>>,
    /// Its last beat.
    pub last: Signal<In, bool>,
    /// All slices have room.
    pub ready: Signal<Out, bool>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// Candidates of a record that a slice examines.
    pub limit: Signal<In, Bits<16>>,
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
    /// How many slices examined a candidate in this cycle.
    pub examined: Signal<Out, Bits<8>>,
    /// How many let one through their sieve.
    pub looked_up: Signal<Out, Bits<8>>,
    slices: [Slice<A8, A6, A4, A3, A2>; K],
    /// There is one slice only, in the whole core: one of several is a cluster's in every core.
    alone: Constant<bool>,
    /// Where each slice starts in the cluster.
    offsets: [Constant<Bits<16>>; K],
    merge: Merge<K, 106>,
    exact: Exact<X>,
    all_ready: Signal<Local, bool>,
    examined_sum: Signal<Local, Bits<8>>,
    looked_up_sum: Signal<Local, Bits<8>>,
    examined_count: DFF<Bits<8>>,
    looked_up_count: DFF<Bits<8>>,
}

impl<
    const K: usize,
    const P: usize,
    const N: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Default for Cluster<K, P, N, A8, A6, A4, A3, A2, X>
{
    fn default() -> Self {
        const { assert!(P == 8 * K && N == 64 * K + 192) };
        Self {
            clock: Default::default(),
            clear: Default::default(),
            valid: Default::default(),
            window: Default::default(),
            keep: Default::default(),
            base: Default::default(),
            carry: Default::default(),
            group: Default::default(),
            parity: Default::default(),
            serial: Default::default(),
            last: Default::default(),
            ready: Default::default(),
            key: Default::default(),
            limit: Default::default(),
            write_select: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_strobe: Default::default(),
            item: Default::default(),
            item_last: Default::default(),
            item_overflow: Default::default(),
            item_valid: Default::default(),
            item_ready: Default::default(),
            examined: Default::default(),
            looked_up: Default::default(),
            slices: std::array::from_fn(|_| Default::default()),
            alone: Constant::new(K == 1),
            offsets: std::array::from_fn(|k| Constant::new(bits(8 * k as u64))),
            merge: Default::default(),
            exact: Default::default(),
            all_ready: Default::default(),
            examined_sum: Default::default(),
            looked_up_sum: Default::default(),
            examined_count: Default::default(),
            looked_up_count: Default::default(),
        }
    }
}

impl<
    const K: usize,
    const P: usize,
    const N: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Logic for Cluster<K, P, N, A8, A6, A4, A3, A2, X>
{
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, examined_count, looked_up_count);
        clock!(self, clock, merge, exact);
        self.merge.clear.next = self.clear.val();
        self.all_ready.next = true;
        self.examined_sum.next = 0.into();
        self.looked_up_sum.next = 0.into();
        for i in 0..K {
            self.slices[i].clock.next = self.clock.val();
            self.slices[i].clear.next = self.clear.val();
            self.slices[i].alone.next = self.alone.val();
            self.slices[i].valid.next = self.valid.val();
            self.slices[i].window.next = self.window.val().get_bits::<256>(64 * i);
            self.slices[i].keep.next = self.keep.val().get_bits::<8>(8 * i);
            self.slices[i].base.next = self.base.val() + self.offsets[i].val();
            self.slices[i].carry.next = self.carry.val();
            self.slices[i].group.next = self.group.val();
            self.slices[i].parity.next = self.parity.val();
            self.slices[i].serial.next = self.serial.val();
            self.slices[i].last.next = self.last.val();
            self.slices[i].key.next = self.key.val();
            self.slices[i].limit.next = self.limit.val();
            self.slices[i].select.next = self.write_select.val();
            self.slices[i].address.next = self.write_address.val();
            self.slices[i].data.next = self.write_data.val();
            self.slices[i].strobe.next = self.write_strobe.val();
            if !self.slices[i].ready.val() {
                self.all_ready.next = false;
            }
            self.merge.valid[i].next = self.slices[i].out_valid.val();
            self.merge.data[i].next = self.slices[i].candidate.val();
            self.merge.last[i].next = self.slices[i].out_last.val();
            self.merge.overflow[i].next = self.slices[i].overflow.val();
            self.slices[i].out_ready.next = self.merge.ready[i].val();
            if self.slices[i].examined.val() {
                self.examined_sum.next = self.examined_sum.val() + 1;
            }
            if self.slices[i].looked_up.val() {
                self.looked_up_sum.next = self.looked_up_sum.val() + 1;
            }
        }
        self.ready.next = self.all_ready.val();
        self.examined_count.d.next = self.examined_sum.val();
        self.looked_up_count.d.next = self.looked_up_sum.val();
        self.examined.next = self.examined_count.q.val();
        self.looked_up.next = self.looked_up_count.q.val();

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
        self.item.next = self.exact.item.val();
        self.item_last.next = self.exact.item_last.val();
        self.item_overflow.next = self.exact.item_overflow.val();
        self.item_valid.next = self.exact.item_valid.val();
        self.exact.item_ready.next = self.item_ready.val();
    }
}
