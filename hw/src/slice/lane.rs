//! The filter of one lane.

use super::hash::USED;
use crate::parts::Ram;
use rust_hdl::prelude::*;

/// One memory of a filter, with the tests of its class's `L` lengths. The class's own length, the hash of which is the address, comes first. Results come
/// three cycles after the hashes.
#[derive(LogicBlock)]
pub(super) struct Filter<const A: usize, const L: usize> {
    pub clock: Signal<In, Clock>,
    pub hash: [Signal<In, Bits<USED>>; L],
    pub passed: [Signal<Out, bool>; L],
    pub address: Signal<In, Bits<16>>,
    pub data: Signal<In, Bits<32>>,
    pub write: Signal<In, bool>,
    ram: Ram<Bits<32>, A, 2, false>,
    // Which bits of the word to look at, beside the memory.
    low: [DFF<Bits<5>>; L],
    low_late: [DFF<Bits<5>>; L],
    high: [DFF<Bits<5>>; L],
    high_late: [DFF<Bits<5>>; L],
    both: [DFF<bool>; L],
}

impl<const A: usize, const L: usize> Default for Filter<A, L> {
    fn default() -> Self {
        // Bits from 14 up choose within the word.
        const { assert!(A <= 14) };
        Self {
            clock: Default::default(),
            hash: std::array::from_fn(|_| Default::default()),
            passed: std::array::from_fn(|_| Default::default()),
            address: Default::default(),
            data: Default::default(),
            write: Default::default(),
            ram: Default::default(),
            low: std::array::from_fn(|_| Default::default()),
            low_late: std::array::from_fn(|_| Default::default()),
            high: std::array::from_fn(|_| Default::default()),
            high_late: std::array::from_fn(|_| Default::default()),
            both: std::array::from_fn(|_| Default::default()),
        }
    }
}

impl<const A: usize, const L: usize> Logic for Filter<A, L> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, ram);
        self.ram.enable.next = true;
        self.ram.read_address.next = bit_cast::<A, USED>(self.hash[0].val());
        self.ram.write_address.next = bit_cast::<A, 16>(self.address.val());
        self.ram.write_data.next = self.data.val();
        self.ram.write.next = self.write.val();
        for i in 0..L {
            self.low[i].clock.next = self.clock.val();
            self.low_late[i].clock.next = self.clock.val();
            self.high[i].clock.next = self.clock.val();
            self.high_late[i].clock.next = self.clock.val();
            self.both[i].clock.next = self.clock.val();
            self.low[i].d.next = self.hash[i].val().get_bits::<5>(14);
            self.low_late[i].d.next = self.low[i].q.val();
            self.high[i].d.next = self.hash[i].val().get_bits::<5>(19);
            self.high_late[i].d.next = self.high[i].q.val();
            self.both[i].d.next = self
                .ram
                .data
                .val()
                .get_bit(self.low_late[i].q.val().index())
                & self
                    .ram
                    .data
                    .val()
                    .get_bit(self.high_late[i].q.val().index());
            self.passed[i].next = self.both[i].q.val();
        }
    }
}

/// The filter of one lane: which lengths pass, four cycles after the hashes. Length 1 comes from outside, a cycle before that.
///
/// `A8` to `A2` are the address bits of the length classes.
#[derive(LogicBlock, Default)]
pub(super) struct Lane<
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
> {
    pub clock: Signal<In, Clock>,
    pub one: Signal<In, bool>,
    pub a2: Signal<In, Bits<USED>>,
    pub a3: Signal<In, Bits<USED>>,
    pub a4: Signal<In, Bits<USED>>,
    pub a5: Signal<In, Bits<USED>>,
    pub a6: Signal<In, Bits<USED>>,
    pub a7: Signal<In, Bits<USED>>,
    pub a8: Signal<In, Bits<USED>>,
    pub b4: Signal<In, Bits<USED>>,
    pub b5: Signal<In, Bits<USED>>,
    pub b6: Signal<In, Bits<USED>>,
    pub b7: Signal<In, Bits<USED>>,
    pub b8: Signal<In, Bits<USED>>,
    /// Bit n - 1 for length n.
    pub passed: Signal<Out, Bits<8>>,
    pub address: Signal<In, Bits<16>>,
    pub data: Signal<In, Bits<32>>,
    /// Which memory is written: bit 0 the one that `table::FILTER_8A` selects, and so on.
    pub writes: Signal<In, Bits<8>>,
    f8a: Filter<A8, 1>,
    f8b: Filter<A8, 1>,
    f6a: Filter<A6, 2>,
    f6b: Filter<A6, 2>,
    f4a: Filter<A4, 2>,
    f4b: Filter<A4, 2>,
    f3: Filter<A3, 1>,
    f2: Filter<A2, 1>,
    result: DFF<Bits<8>>,
    sum: Signal<Local, Bits<8>>,
}

impl<const A8: usize, const A6: usize, const A4: usize, const A3: usize, const A2: usize> Logic
    for Lane<A8, A6, A4, A3, A2>
{
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, f8a, f8b, f6a, f6b, f4a, f4b, f3, f2, result);
        self.f8a.hash[0].next = self.a8.val();
        self.f8b.hash[0].next = self.b8.val();
        self.f6a.hash[0].next = self.a6.val();
        self.f6a.hash[1].next = self.a7.val();
        self.f6b.hash[0].next = self.b6.val();
        self.f6b.hash[1].next = self.b7.val();
        self.f4a.hash[0].next = self.a4.val();
        self.f4a.hash[1].next = self.a5.val();
        self.f4b.hash[0].next = self.b4.val();
        self.f4b.hash[1].next = self.b5.val();
        self.f3.hash[0].next = self.a3.val();
        self.f2.hash[0].next = self.a2.val();

        self.f8a.address.next = self.address.val();
        self.f8b.address.next = self.address.val();
        self.f6a.address.next = self.address.val();
        self.f6b.address.next = self.address.val();
        self.f4a.address.next = self.address.val();
        self.f4b.address.next = self.address.val();
        self.f3.address.next = self.address.val();
        self.f2.address.next = self.address.val();
        self.f8a.data.next = self.data.val();
        self.f8b.data.next = self.data.val();
        self.f6a.data.next = self.data.val();
        self.f6b.data.next = self.data.val();
        self.f4a.data.next = self.data.val();
        self.f4b.data.next = self.data.val();
        self.f3.data.next = self.data.val();
        self.f2.data.next = self.data.val();
        self.f8a.write.next = self.writes.val().get_bit(0);
        self.f8b.write.next = self.writes.val().get_bit(1);
        self.f6a.write.next = self.writes.val().get_bit(2);
        self.f6b.write.next = self.writes.val().get_bit(3);
        self.f4a.write.next = self.writes.val().get_bit(4);
        self.f4b.write.next = self.writes.val().get_bit(5);
        self.f3.write.next = self.writes.val().get_bit(6);
        self.f2.write.next = self.writes.val().get_bit(7);

        self.sum.next = 0.into();
        if self.one.val() {
            self.sum.next = self.sum.val() | 0x01;
        }
        if self.f2.passed[0].val() {
            self.sum.next = self.sum.val() | 0x02;
        }
        if self.f3.passed[0].val() {
            self.sum.next = self.sum.val() | 0x04;
        }
        if self.f4a.passed[0].val() & self.f4b.passed[0].val() {
            self.sum.next = self.sum.val() | 0x08;
        }
        if self.f4a.passed[1].val() & self.f4b.passed[1].val() {
            self.sum.next = self.sum.val() | 0x10;
        }
        if self.f6a.passed[0].val() & self.f6b.passed[0].val() {
            self.sum.next = self.sum.val() | 0x20;
        }
        if self.f6a.passed[1].val() & self.f6b.passed[1].val() {
            self.sum.next = self.sum.val() | 0x40;
        }
        if self.f8a.passed[0].val() & self.f8b.passed[0].val() {
            self.sum.next = self.sum.val() | 0x80;
        }
        self.result.d.next = self.sum.val();
        self.passed.next = self.result.q.val();
    }
}
