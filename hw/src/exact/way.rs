//! One way of the exact table: its memories, and the comparison of a slot with a candidate.

use card_protocol::register::{exact, table};
use rust_hdl::prelude::*;

use crate::parts::Ram;

/// A way with `2^X` slots.
///
/// `address` comes in cycle 0; what its slot is compared with (`raw`, `lower`, `length`, `group`, `parity`) in cycle 2, when the
/// slot leaves the memories' output registers; `hit` and `entry` are there in cycle 4.
#[derive(LogicBlock)]
pub struct Way<const X: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Slot to look at.
    pub address: Signal<In, Bits<X>>,
    /// The candidate's bytes, the last one lowest, zero beyond its length.
    pub raw: Signal<In, Bits<64>>,
    /// The same in lower case.
    pub lower: Signal<In, Bits<64>>,
    /// Length less one.
    pub length: Signal<In, Bits<3>>,
    /// Group of the record.
    pub group: Signal<In, Bits<6>>,
    /// Low bit of the record's generation.
    pub parity: Signal<In, bool>,
    /// The slot is what was looked for.
    pub hit: Signal<Out, bool>,
    /// Its entry.
    pub entry: Signal<Out, Bits<20>>,
    /// Table write: memory.
    pub write_select: Signal<In, Bits<7>>,
    /// Table write: word.
    pub write_address: Signal<In, Bits<16>>,
    /// Table write: data.
    pub write_data: Signal<In, Bits<32>>,
    /// Table write: now.
    pub write_strobe: Signal<In, bool>,
    words: [Ram<Bits<32>, X, 2, false>; 5],
    select: [Constant<Bits<7>>; 5],
    key: Signal<Local, Bits<64>>,
    meta: Signal<Local, Bits<32>>,
    groups: Signal<Local, Bits<64>>,
    wanted: Signal<Local, Bits<64>>,
    same_next: Signal<Local, Bits<16>>,
    // Which of sixteen parts of the key are the same.
    same: DFF<Bits<16>>,
    length_same: DFF<bool>,
    alive: DFF<bool>,
    // The eight groups that the record's is one of.
    octet: DFF<Bits<8>>,
    group_low: DFF<Bits<3>>,
    entry_1: DFF<Bits<20>>,
    entry_2: DFF<Bits<20>>,
    found: DFF<bool>,
}

impl<const X: usize> Way<X> {
    /// The way of this number, 0 to 3.
    pub fn new(number: u32) -> Self {
        let words = [
            exact::KEY_LOW,
            exact::KEY_HIGH,
            exact::META,
            exact::GROUPS_LOW,
            exact::GROUPS_HIGH,
        ];
        Self {
            clock: Default::default(),
            address: Default::default(),
            raw: Default::default(),
            lower: Default::default(),
            length: Default::default(),
            group: Default::default(),
            parity: Default::default(),
            hit: Default::default(),
            entry: Default::default(),
            write_select: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_strobe: Default::default(),
            words: Default::default(),
            select: words
                .map(|word| Constant::new(u64::from(table::EXACT + 8 * number + word).into())),
            key: Default::default(),
            meta: Default::default(),
            groups: Default::default(),
            wanted: Default::default(),
            same_next: Default::default(),
            same: Default::default(),
            length_same: Default::default(),
            alive: Default::default(),
            octet: Default::default(),
            group_low: Default::default(),
            entry_1: Default::default(),
            entry_2: Default::default(),
            found: Default::default(),
        }
    }
}

impl<const X: usize> Logic for Way<X> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            same,
            length_same,
            alive,
            octet,
            group_low,
            entry_1,
            entry_2,
            found
        );
        for i in 0..5 {
            self.words[i].clock.next = self.clock.val();
            self.words[i].enable.next = true;
            self.words[i].read_address.next = self.address.val();
            self.words[i].write_address.next = bit_cast::<X, 16>(self.write_address.val());
            self.words[i].write_data.next = self.write_data.val();
            self.words[i].write.next =
                self.write_strobe.val() & (self.write_select.val() == self.select[i].val());
        }
        self.key.next = bit_cast::<64, 32>(self.words[0].data.val())
            | (bit_cast::<64, 32>(self.words[1].data.val()) << 32);
        self.meta.next = self.words[2].data.val();
        self.groups.next = bit_cast::<64, 32>(self.words[3].data.val())
            | (bit_cast::<64, 32>(self.words[4].data.val()) << 32);

        // Cycle 2: the slot beside the candidate.
        self.wanted.next = self.raw.val();
        if self.meta.val().get_bit(23) {
            self.wanted.next = self.lower.val();
        }
        self.same_next.next = 0.into();
        for i in 0..16 {
            if self.key.val().get_bits::<4>(4 * i) == self.wanted.val().get_bits::<4>(4 * i) {
                self.same_next.next = self.same_next.val().replace_bit(i, true);
            }
        }
        self.same.d.next = self.same_next.val();
        self.length_same.d.next = self.meta.val().get_bits::<3>(20) == self.length.val();
        self.alive.d.next = self.meta.val().get_bit(24);
        if self.parity.val() {
            self.alive.d.next = self.meta.val().get_bit(25);
        }
        self.octet.d.next = self
            .groups
            .val()
            .get_bits::<8>(self.group.val().get_bits::<3>(3).index() * 8);
        self.group_low.d.next = self.group.val().get_bits::<3>(0);
        self.entry_1.d.next = self.meta.val().get_bits::<20>(0);

        // Cycle 3: all of it together.
        self.found.d.next = self.same.q.val().all()
            & self.length_same.q.val()
            & self.alive.q.val()
            & self.octet.q.val().get_bit(self.group_low.q.val().index());
        self.entry_2.d.next = self.entry_1.q.val();

        self.hit.next = self.found.q.val();
        self.entry.next = self.entry_2.q.val();
    }
}
