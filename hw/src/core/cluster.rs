//! The slices and the exact engines behind them.

use rust_hdl::prelude::*;

use super::engine::Engine;
use crate::merge::MOST;
use crate::slice::Slice;

/// `S` slices and `E` exact engines of `B` banks each, see [`Engine`].
///
/// `L` = 8 S lanes, `N` = 64 S + 192 bits of window; `A8` to `A2` are the address bits of the filters, `X` those of a way.
#[derive(LogicBlock)]
pub struct Cluster<
    const L: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
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
    pub keep: Signal<In, Bits<L>>,
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
    /// What each engine found.
    pub item: [Signal<Out, Bits<100>>; E],
    /// The end of a record.
    pub item_last: [Signal<Out, bool>; E],
    /// The record that ends overflowed.
    pub item_overflow: [Signal<Out, bool>; E],
    /// There is one.
    pub item_valid: [Signal<Out, bool>; E],
    /// It is taken.
    pub item_ready: [Signal<In, bool>; E],
    /// How many slices examined a candidate in this cycle.
    pub examined: Signal<Out, Bits<8>>,
    /// How many candidates went through the last sieve on their way.
    pub looked_up: Signal<Out, Bits<8>>,
    slices: [Slice<A8, A6, A4, A3, A2>; S],
    /// There is one slice only, in the whole core.
    alone: Constant<bool>,
    /// Where each slice starts.
    offsets: [Constant<Bits<16>>; S],
    engines: [Engine<S, B, J, X>; E],
    numbers: [Constant<Bits<2>>; E],
    /// Which bits a bank's number has.
    mask: Constant<Bits<2>>,
    heads: [Signal<Local, Bits<106>>; MOST],
    heads_valid: Signal<Local, Bits<MOST>>,
    heads_last: Signal<Local, Bits<MOST>>,
    heads_overflow: Signal<Local, Bits<MOST>>,
    taken: Signal<Local, Bits<MOST>>,
    hold: Signal<Local, bool>,
    all_ready: Signal<Local, bool>,
    examined_sum: Signal<Local, Bits<8>>,
    looked_up_sum: Signal<Local, Bits<8>>,
    examined_count: DFF<Bits<8>>,
    looked_up_count: DFF<Bits<8>>,
}

impl<
    const L: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Default for Cluster<L, N, S, E, B, J, A8, A6, A4, A3, A2, X>
{
    fn default() -> Self {
        const { assert!(L == 8 * S && N == 64 * S + 192 && S <= MOST) };
        const { assert!(E <= 2 && B <= 2 && (B > 0 || E == 1)) };
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
            item: std::array::from_fn(|_| Default::default()),
            item_last: std::array::from_fn(|_| Default::default()),
            item_overflow: std::array::from_fn(|_| Default::default()),
            item_valid: std::array::from_fn(|_| Default::default()),
            item_ready: std::array::from_fn(|_| Default::default()),
            examined: Default::default(),
            looked_up: Default::default(),
            slices: std::array::from_fn(|_| Default::default()),
            alone: Constant::new(S == 1),
            offsets: std::array::from_fn(|s| Constant::new(bits(8 * s as u64))),
            engines: std::array::from_fn(|_| Default::default()),
            numbers: std::array::from_fn(|e| Constant::new((e as u64).into())),
            mask: Constant::new((u64::from(B == 2) | u64::from(E == 2) << 1).into()),
            heads: Default::default(),
            heads_valid: Default::default(),
            heads_last: Default::default(),
            heads_overflow: Default::default(),
            taken: Default::default(),
            hold: Default::default(),
            all_ready: Default::default(),
            examined_sum: Default::default(),
            looked_up_sum: Default::default(),
            examined_count: Default::default(),
            looked_up_count: Default::default(),
        }
    }
}

impl<
    const L: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Logic for Cluster<L, N, S, E, B, J, A8, A6, A4, A3, A2, X>
{
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, examined_count, looked_up_count);
        self.heads_valid.next = 0.into();
        self.heads_last.next = 0.into();
        self.heads_overflow.next = 0.into();
        for i in 0..8 {
            self.heads[i].next = 0.into();
        }
        self.all_ready.next = true;
        self.examined_sum.next = 0.into();
        self.looked_up_sum.next = 0.into();
        for i in 0..S {
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
            self.heads[i].next = self.slices[i].candidate.val();
            self.heads_valid.next = self
                .heads_valid
                .val()
                .replace_bit(i, self.slices[i].out_valid.val());
            self.heads_last.next = self
                .heads_last
                .val()
                .replace_bit(i, self.slices[i].out_last.val());
            self.heads_overflow.next = self
                .heads_overflow
                .val()
                .replace_bit(i, self.slices[i].overflow.val());
            if self.slices[i].examined.val() {
                self.examined_sum.next = self.examined_sum.val() + 1;
            }
            if self.slices[i].looked_up.val() & self.alone.val() {
                self.looked_up_sum.next = self.looked_up_sum.val() + 1;
            }
        }
        // Each candidate goes to the engine whose number its bytes give, ends to all at once.
        self.hold.next = false;
        self.taken.next = 0.into();
        for i in 0..E {
            self.engines[i].clock.next = self.clock.val();
            self.engines[i].clear.next = self.clear.val();
            self.engines[i].key.next = self.key.val();
            self.engines[i].number.next = self.numbers[i].val();
            self.engines[i].mask.next = self.mask.val();
            self.engines[i].valid.next = self.heads_valid.val();
            self.engines[i].last.next = self.heads_last.val();
            self.engines[i].overflow.next = self.heads_overflow.val();
            self.engines[i].head_0.next = self.heads[0].val();
            self.engines[i].head_1.next = self.heads[1].val();
            self.engines[i].head_2.next = self.heads[2].val();
            self.engines[i].head_3.next = self.heads[3].val();
            self.engines[i].head_4.next = self.heads[4].val();
            self.engines[i].head_5.next = self.heads[5].val();
            self.engines[i].head_6.next = self.heads[6].val();
            self.engines[i].head_7.next = self.heads[7].val();
            self.engines[i].write_select.next = self.write_select.val();
            self.engines[i].write_address.next = self.write_address.val();
            self.engines[i].write_data.next = self.write_data.val();
            self.engines[i].write_strobe.next = self.write_strobe.val();
            if !self.engines[i].room.val() {
                self.hold.next = true;
            }
            self.taken.next = self.taken.val() | self.engines[i].ready.val();
            self.looked_up_sum.next = self.looked_up_sum.val() + self.engines[i].looked_up.val();
            self.item[i].next = self.engines[i].item.val();
            self.item_last[i].next = self.engines[i].item_last.val();
            self.item_overflow[i].next = self.engines[i].item_overflow.val();
            self.item_valid[i].next = self.engines[i].item_valid.val();
            self.engines[i].item_ready.next = self.item_ready[i].val();
        }
        for i in 0..E {
            self.engines[i].hold.next = self.hold.val();
        }
        for i in 0..S {
            self.slices[i].out_ready.next = self.taken.val().get_bit(i);
        }
        self.ready.next = self.all_ready.val();
        self.examined_count.d.next = self.examined_sum.val();
        self.looked_up_count.d.next = self.looked_up_sum.val();
        self.examined.next = self.examined_count.q.val();
        self.looked_up.next = self.looked_up_count.q.val();
    }
}
