//! The exact stage: candidates in, entries out.
//!
//! One candidate a cycle: its hash for its length, a slot of each of four [ways](Way), and the comparison with all of its bytes.
//! Candidates without a hit end here.
//!
//! | cycle | what is done |
//! |---|---|
//! | 0 | the candidate is taken |
//! | 1, 2 | the bytes' terms of both hashes; bytes folded, bytes beyond the length cleared |
//! | 3 | rotated and added up: four addresses |
//! | 4, 5 | the memories and their output registers |
//! | 6, 7 | slots compared, hits gathered |
//! | 8 | the item goes into the FIFO |

#[cfg(test)]
mod tests;
mod way;

pub use way::Way;

use rust_hdl::prelude::*;

use crate::hash::{Lower, Terms};
use crate::parts::{Delay, Fifo, Ram};
use card_protocol::register::table;

// The kernel has the number of the key's memory as a literal.
const _: () = assert!(table::KEY == 0);

/// The exact stage, with four ways of `2^X` slots. `hw/DESIGN.md` lays candidates and items out.
#[derive(LogicBlock)]
pub struct Exact<const X: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// A candidate, if `last` is false.
    pub candidate: Signal<In, Bits<106>>,
    /// The end of a record.
    pub last: Signal<In, bool>,
    /// The record that ends overflowed.
    pub overflow: Signal<In, bool>,
    /// There is one or the other.
    pub valid: Signal<In, bool>,
    /// It is taken.
    pub ready: Signal<Out, bool>,
    /// Entries found, which of them, and the end, if `item_last` is false.
    pub item: Signal<Out, Bits<100>>,
    /// The end of a record.
    pub item_last: Signal<Out, bool>,
    /// The record that ends overflowed.
    pub item_overflow: Signal<Out, bool>,
    /// There is one or the other.
    pub item_valid: Signal<Out, bool>,
    /// It is taken.
    pub item_ready: Signal<In, bool>,
    /// Table write: memory.
    pub write_select: Signal<In, Bits<7>>,
    /// Table write: word.
    pub write_address: Signal<In, Bits<16>>,
    /// Table write: data.
    pub write_data: Signal<In, Bits<32>>,
    /// Table write: now.
    pub write_strobe: Signal<In, bool>,

    // There is something in the cycle of this number; `ends` if it is a record's end.
    valids: DFF<Bits<8>>,
    ends: DFF<Bits<8>>,
    flags: DFF<Bits<8>>,
    valids_next: Signal<Local, Bits<8>>,
    ends_next: Signal<Local, Bits<8>>,
    flags_next: Signal<Local, Bits<8>>,
    take: Signal<Local, bool>,
    free: Signal<Local, bool>,

    // Cycle 0 to 1.
    bytes: DFF<Bits<64>>,
    /// Group 6, parity 1, end 16, length 3.
    about: DFF<Bits<26>>,
    lowers: [Lower; 8],
    // What all bytes add to the hashes, once for each byte.
    terms: Terms,
    term_of: [Ram<Bits<64>, 8, 2, false>; 8],
    /// Which bytes the candidate has.
    kept: Signal<Local, Bits<8>>,
    raw_byte: Signal<Local, Bits<8>>,
    lower_byte: Signal<Local, Bits<8>>,
    raw_next: Signal<Local, Bits<64>>,
    lower_next: Signal<Local, Bits<64>>,
    // Cycle 1 to 2.
    raw: DFF<Bits<64>>,
    lower: DFF<Bits<64>>,
    about_1: DFF<Bits<26>>,
    kept_1: DFF<Bits<8>>,
    kept_2: DFF<Bits<8>>,
    term_0: Signal<Local, Bits<32>>,
    term_1: Signal<Local, Bits<32>>,
    hash_0_next: Signal<Local, Bits<32>>,
    hash_1_next: Signal<Local, Bits<32>>,
    // Cycle 3 to 4.
    hash_0: DFF<Bits<32>>,
    hash_1: DFF<Bits<32>>,
    // Table writes beside the candidates, up to cycle 4.
    late_select: Delay<Bits<7>, 4>,
    late_address: Delay<Bits<16>, 4>,
    late_data: Delay<Bits<32>, 4>,
    late_strobe: Delay<bool, 4>,
    ways: [Way<X>; 4],
    // What the slots are compared with, from cycle 2 to cycle 6.
    raw_later: Delay<Bits<64>, 4>,
    lower_later: Delay<Bits<64>, 4>,
    about_later: Delay<Bits<26>, 4>,
    end_later: Delay<Bits<16>, 2>,
    entry: Signal<Local, Bits<20>>,
    entries: Signal<Local, Bits<80>>,
    hits: Signal<Local, Bits<4>>,
    fifo: Fifo<Bits<102>, 5, 16>,
}

impl<const X: usize> Default for Exact<X> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            key: Default::default(),
            candidate: Default::default(),
            last: Default::default(),
            overflow: Default::default(),
            valid: Default::default(),
            ready: Default::default(),
            item: Default::default(),
            item_last: Default::default(),
            item_overflow: Default::default(),
            item_valid: Default::default(),
            item_ready: Default::default(),
            write_select: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_strobe: Default::default(),
            valids: Default::default(),
            ends: Default::default(),
            flags: Default::default(),
            valids_next: Default::default(),
            ends_next: Default::default(),
            flags_next: Default::default(),
            take: Default::default(),
            free: Default::default(),
            bytes: Default::default(),
            about: Default::default(),
            lowers: Default::default(),
            terms: Default::default(),
            term_of: Default::default(),
            kept: Default::default(),
            kept_1: Default::default(),
            kept_2: Default::default(),
            raw_byte: Default::default(),
            lower_byte: Default::default(),
            raw_next: Default::default(),
            lower_next: Default::default(),
            raw: Default::default(),
            lower: Default::default(),
            about_1: Default::default(),
            term_0: Default::default(),
            term_1: Default::default(),
            hash_0_next: Default::default(),
            hash_1_next: Default::default(),
            hash_0: Default::default(),
            hash_1: Default::default(),
            late_select: Default::default(),
            late_address: Default::default(),
            late_data: Default::default(),
            late_strobe: Default::default(),
            ways: [0, 1, 2, 3].map(Way::new),
            raw_later: Default::default(),
            lower_later: Default::default(),
            about_later: Default::default(),
            end_later: Default::default(),
            entry: Default::default(),
            entries: Default::default(),
            hits: Default::default(),
            fifo: Default::default(),
        }
    }
}

impl<const X: usize> Logic for Exact<X> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, valids, ends, flags, bytes, about, raw, lower, about_1, kept_1, kept_2,
            hash_0, hash_1
        );
        clock!(
            self,
            clock,
            raw_later,
            lower_later,
            about_later,
            end_later,
            late_select,
            late_address,
            late_data,
            late_strobe,
            terms,
            fifo
        );

        // Nothing in here waits; what is on its way, eight cycles of it, has room in the FIFO. A table write takes the place of a
        // candidate, so that no slot is read while it is written.
        self.free.next =
            !self.fifo.almost_full.val() & !self.write_strobe.val() & self.terms.done.val();
        self.ready.next = self.free.val();
        self.take.next = self.valid.val() & self.free.val();
        self.valids_next.next = (self.valids.q.val() << 1).replace_bit(0, self.take.val());
        self.ends_next.next = (self.ends.q.val() << 1).replace_bit(0, self.last.val());
        self.flags_next.next = (self.flags.q.val() << 1).replace_bit(0, self.overflow.val());
        if self.clear.val() {
            self.valids_next.next = 0.into();
        }
        self.valids.d.next = self.valids_next.val();
        self.ends.d.next = self.ends_next.val();
        self.flags.d.next = self.flags_next.val();

        // Cycle 0.
        self.bytes.d.next = self.candidate.val().get_bits::<64>(0);
        self.about.d.next = bit_cast::<26, 19>(self.candidate.val().get_bits::<19>(64))
            | (bit_cast::<26, 7>(self.candidate.val().get_bits::<7>(99)) << 19);

        // Cycle 1.
        self.terms.key.next = self.key.val();
        self.terms.renew.next = self.write_strobe.val() & (self.write_select.val() == 0);
        self.terms.gap.next = !self.valids.q.val().get_bit(0);
        self.kept.next = bits::<8>(0xFF) >> (bits::<3>(7) - self.about.q.val().get_bits::<3>(0));
        self.kept_1.d.next = self.kept.val();
        self.raw_next.next = 0.into();
        self.lower_next.next = 0.into();
        for i in 0..8 {
            self.lowers[i].raw.next = self.bytes.q.val().get_bits::<8>(8 * i);
            self.term_of[i].clock.next = self.clock.val();
            self.term_of[i].enable.next = true;
            self.term_of[i].read_address.next = self.bytes.q.val().get_bits::<8>(8 * i);
            self.term_of[i].write_address.next = self.terms.address.val();
            self.term_of[i].write_data.next = self.terms.data.val();
            self.term_of[i].write.next = self.terms.write.val();
            self.raw_byte.next = 0.into();
            self.lower_byte.next = 0.into();
            if self.kept.val().get_bit(7 - i) {
                self.raw_byte.next = self.bytes.q.val().get_bits::<8>(8 * (7 - i));
                self.lower_byte.next = self.lowers[7 - i].lower.val();
            }
            self.raw_next.next =
                (self.raw_next.val() << 8) | bit_cast::<64, 8>(self.raw_byte.val());
            self.lower_next.next =
                (self.lower_next.val() << 8) | bit_cast::<64, 8>(self.lower_byte.val());
        }
        self.raw.d.next = self.raw_next.val();
        self.lower.d.next = self.lower_next.val();
        self.about_1.d.next = self.about.q.val();

        // Cycle 2.
        self.kept_2.d.next = self.kept_1.q.val();
        self.raw_later.d.next = self.raw.q.val();
        self.lower_later.d.next = self.lower.q.val();
        self.about_later.d.next = self.about_1.q.val();

        // Cycle 3: from the byte furthest back to the last one, a rotation by 9 for each.
        self.hash_0_next.next = 0.into();
        self.hash_1_next.next = 0.into();
        for i in 0..8 {
            self.term_0.next = 0.into();
            self.term_1.next = 0.into();
            if self.kept_2.q.val().get_bit(7 - i) {
                self.term_0.next = self.term_of[7 - i].data.val().get_bits::<32>(0);
                self.term_1.next = self.term_of[7 - i].data.val().get_bits::<32>(32);
            }
            self.hash_0_next.next = ((self.hash_0_next.val() << 9)
                | (self.hash_0_next.val() >> 23))
                ^ self.term_0.val();
            self.hash_1_next.next = ((self.hash_1_next.val() << 9)
                | (self.hash_1_next.val() >> 23))
                ^ self.term_1.val();
        }
        self.hash_0.d.next = self.hash_0_next.val();
        self.hash_1.d.next = self.hash_1_next.val();

        // Cycles 4 to 7.
        self.late_select.d.next = self.write_select.val();
        self.late_address.d.next = self.write_address.val();
        self.late_data.d.next = self.write_data.val();
        self.late_strobe.d.next = self.write_strobe.val();
        self.ways[0].address.next = self.hash_0.q.val().get_bits::<X>(0);
        self.ways[1].address.next = self.hash_1.q.val().get_bits::<X>(0);
        self.ways[2].address.next = self.hash_0.q.val().get_bits::<X>(16);
        self.ways[3].address.next = self.hash_1.q.val().get_bits::<X>(16);
        self.entries.next = 0.into();
        self.hits.next = 0.into();
        for i in 0..4 {
            self.ways[i].clock.next = self.clock.val();
            self.ways[i].raw.next = self.raw_later.q.val();
            self.ways[i].lower.next = self.lower_later.q.val();
            self.ways[i].length.next = self.about_later.q.val().get_bits::<3>(0);
            self.ways[i].group.next = self.about_later.q.val().get_bits::<6>(19);
            self.ways[i].parity.next = self.about_later.q.val().get_bit(25);
            self.ways[i].write_select.next = self.late_select.q.val();
            self.ways[i].write_address.next = self.late_address.q.val();
            self.ways[i].write_data.next = self.late_data.q.val();
            self.ways[i].write_strobe.next = self.late_strobe.q.val();
            self.entry.next = self.ways[3 - i].entry.val();
            self.entries.next = (self.entries.val() << 20) | bit_cast::<80, 20>(self.entry.val());
            self.hits.next = self.hits.val().replace_bit(i, self.ways[i].hit.val());
        }
        self.end_later.d.next = self.about_later.q.val().get_bits::<16>(3);

        // Cycle 8.
        self.fifo.clear.next = self.clear.val();
        self.fifo.data_in.next = bit_cast::<102, 80>(self.entries.val())
            | (bit_cast::<102, 4>(self.hits.val()) << 80)
            | (bit_cast::<102, 16>(self.end_later.q.val()) << 84)
            | (bit_cast::<102, 1>(self.ends.q.val().get_bits::<1>(7)) << 100)
            | (bit_cast::<102, 1>(self.flags.q.val().get_bits::<1>(7)) << 101);
        self.fifo.write.next =
            self.valids.q.val().get_bit(7) & (self.ends.q.val().get_bit(7) | self.hits.val().any());
        self.fifo.ready.next = self.item_ready.val();
        self.item.next = self.fifo.data_out.val().get_bits::<100>(0);
        self.item_last.next = self.fifo.data_out.val().get_bit(100);
        self.item_overflow.next = self.fifo.data_out.val().get_bit(101);
        self.item_valid.next = self.fifo.valid.val();
    }
}
