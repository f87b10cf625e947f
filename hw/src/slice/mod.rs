//! A slice: finds the candidates in eight lanes (`hw/DESIGN.md`).
//!
//! Beats go through a pipeline that never stops: terms, hash, the filter's memories, the tests, the mask. Those with a candidate, and last ones, go into
//! a FIFO; the picker takes them apart, the sieve counts and thins what it gives, and a small FIFO hands that on.

mod hash;
mod lane;
mod picker;
mod repeats;
mod sieve;
mod single;
#[cfg(test)]
mod tests;

use crate::hash::Terms;
use crate::parts::{Delay, Fifo, Ram};
use card_protocol::register::table;
use hash::{BYTES, Hash};
use lane::Lane;
use picker::Picker;
use repeats::Repeats;
use rust_hdl::prelude::*;
use sieve::Sieve;
use single::Single;

/// Address bits of the candidate FIFO.
const DEPTH: usize = 9;
/// Beats that may come after `ready` has fallen, and the cycles from the input to the FIFO.
const SPARE: usize = 32 + 12;
// The kernel has the numbers of the filters' memories as literals.
const _: () =
    assert!(table::KEY == 0 && table::SINGLE == 1 && table::FILTER_8A == 2 && table::FILTER_2 == 9);

/// What a candidate needs to know of its beat and record.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
struct Tag {
    pub base: Bits<16>,
    pub serial: Bits<16>,
    pub group: Bits<6>,
    pub parity: bool,
}

/// A beat in the candidate FIFO.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
struct Beat {
    /// Its bytes and the seven before, the last one lowest.
    pub bytes: Bits<120>,
    /// Bit 8 · lane + length - 1.
    pub mask: Bits<64>,
    /// Lanes with a candidate.
    pub lanes: Bits<8>,
    pub last: bool,
    pub tag: Tag,
}

/// Which lanes of a beat count.
#[derive(Copy, Clone, PartialEq, Debug, Default, LogicStruct)]
struct Live {
    /// The lane's end is to be looked at.
    pub lanes: Bits<8>,
    /// So short a way into the payload that repetition does not count.
    pub near: bool,
    /// The payload begins with this beat: a lane has no more bytes than those up to it.
    pub first: bool,
    pub last: bool,
}

/// A slice of eight lanes; `A8` to `A2` are the address bits of the filters of the length classes 8, 6, 4, 3, 2.
///
/// `base` is a multiple of eight.
#[derive(LogicBlock, Default)]
pub struct Slice<
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Starts over; for 32 cycles at least.
    pub clear: Signal<In, bool>,
    /// There is no other slice: the bytes before a beat are those of the beats before it. A constant, which spares working the same out twice.
    pub alone: Signal<In, bool>,
    /// There is a beat.
    pub valid: Signal<In, bool>,
    /// The 24 bytes before the slice's lanes, then its lanes; byte i at bits 8i.
    pub window: Signal<In, Bits<256>>,
    /// Which lanes hold payload.
    pub keep: Signal<In, Bits<8>>,
    /// Payload offset of the slice's lane 0, modulo 2^16.
    pub base: Signal<In, Bits<16>>,
    /// Bytes at the payload's start that nothing may end in.
    pub carry: Signal<In, Bits<3>>,
    /// Group.
    pub group: Signal<In, Bits<6>>,
    /// Low bit of the generation.
    pub parity: Signal<In, bool>,
    /// Number of the record since `clear`.
    pub serial: Signal<In, Bits<16>>,
    /// The record's last beat.
    pub last: Signal<In, bool>,
    /// There is room for 32 more beats.
    pub ready: Signal<Out, bool>,

    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// Candidates of a record that are examined.
    pub limit: Signal<In, Bits<16>>,
    /// Table write: which memory.
    pub select: Signal<In, Bits<7>>,
    /// Table write: which word.
    pub address: Signal<In, Bits<16>>,
    /// Table write: the word.
    pub data: Signal<In, Bits<32>>,
    /// Table write: now, in a cycle without a beat.
    pub strobe: Signal<In, bool>,

    /// There is a candidate or an end.
    pub out_valid: Signal<Out, bool>,
    /// It is taken.
    pub out_ready: Signal<In, bool>,
    /// The candidate: bytes 64 (`b[e-1]` lowest, zero beyond the length), length - 1 in 3, end 16, serial 16, group 6, parity 1.
    pub candidate: Signal<Out, Bits<106>>,
    /// No candidate: the slice is done with a record.
    pub out_last: Signal<Out, bool>,
    /// With `out_last`: there were more candidates than the limit.
    pub overflow: Signal<Out, bool>,
    /// A candidate was examined (one cycle each).
    pub examined: Signal<Out, bool>,
    /// A candidate went on to the exact table (one cycle each).
    pub looked_up: Signal<Out, bool>,

    bytes: [DFF<Bits<8>>; 32],
    live: DFF<Live>,
    tag: DFF<Tag>,
    after_carry: Signal<Local, Bits<8>>,
    valid_read: DFF<bool>,
    // What all bytes add to the hashes, once for each byte.
    terms: Terms,
    term_of: [Ram<Bits<64>, 8, 2, false>; BYTES],
    hash_a: Hash,
    hash_b: Hash,
    // Table writes take as long to the memories as beats do, so that they meet the gap they came with.
    writes: Delay<Bits<8>, 4>,
    write_address: Delay<Bits<16>, 4>,
    write_data: Delay<Bits<32>, 4>,
    filter: Signal<Local, Bits<3>>,
    single_write: DFF<bool>,
    single_address: DFF<Bits<3>>,
    single_data: DFF<Bits<32>>,
    // When the comparisons and the terms of a beat are there.
    valid_same: Delay<bool, 2>,
    valid_term: Delay<bool, 3>,
    singles: Single,
    found: Signal<Local, Bits<8>>,
    lanes: [Lane<A8, A6, A4, A3, A2>; 8],
    repeats: Repeats,
    // Beside the filter, as long as it takes.
    live_late: Delay<Live, 7>,
    bytes_late: Delay<Bits<120>, 8>,
    tag_late: Delay<Tag, 8>,
    byte_value: Signal<Local, Bits<8>>,
    joined: Signal<Local, Bits<120>>,
    kept: Signal<Local, Bits<8>>,
    reach: Signal<Local, Bits<8>>,
    shares: [Signal<Local, Bits<8>>; 8],
    mask: DFF<Bits<64>>,
    mask_last: DFF<bool>,
    // Into the FIFO.
    beat: DFF<Beat>,
    any: DFF<bool>,
    some: Signal<Local, Bits<8>>,
    fifo: Fifo<Beat, DEPTH, SPARE>,
    picker: Picker,
    sieve: Sieve,
}

impl<const A8: usize, const A6: usize, const A4: usize, const A3: usize, const A2: usize> Logic
    for Slice<A8, A6, A4, A3, A2>
{
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, live, tag, mask, mask_last, beat, any);
        dff_setup!(
            self,
            clock,
            single_write,
            single_address,
            single_data,
            valid_read
        );
        clock!(
            self,
            clock,
            writes,
            write_address,
            write_data,
            valid_same,
            valid_term,
            terms,
            hash_a,
            hash_b,
            singles,
            repeats,
            live_late,
            bytes_late,
            tag_late,
            fifo,
            picker,
            sieve
        );

        // The beat comes in. `base` is a multiple of eight: only in the beat at 0 may an end be within the carry or have too few bytes before it.
        for i in 0..32 {
            self.bytes[i].clock.next = self.clock.val();
            self.bytes[i].d.next = self.window.val().get_bits::<8>(8 * i);
        }
        self.after_carry.next = self.keep.val();
        self.live.d.next.first = false;
        if self.base.val() == 0 {
            self.live.d.next.first = true;
            self.after_carry.next = self.keep.val() & (bits::<8>(0xFF) << self.carry.val());
        }
        if !self.valid.val() | self.clear.val() {
            self.after_carry.next = 0.into();
        }
        self.live.d.next.lanes = self.after_carry.val();
        self.live.d.next.near = self.base.val() < 24;
        self.live.d.next.last = self.last.val() & self.valid.val() & !self.clear.val();
        self.tag.d.next.base = self.base.val();
        self.tag.d.next.serial = self.serial.val();
        self.tag.d.next.group = self.group.val();
        self.tag.d.next.parity = self.parity.val();

        // Table writes: 2 to 9 are the filters.
        self.write_address.d.next = self.address.val();
        self.write_data.d.next = self.data.val();
        self.filter.next = bit_cast::<3, 7>(self.select.val() - 2);
        self.writes.d.next = 0.into();
        if self.strobe.val() & (self.select.val() >= 2) & (self.select.val() <= 9) {
            self.writes.d.next = bits::<8>(1) << self.filter.val();
        }

        // Bytes meet the map of one-byte probes a cycle after they came.
        self.single_write.d.next = self.strobe.val() & (self.select.val() == 1);
        self.single_address.d.next = self.address.val().get_bits::<3>(0);
        self.single_data.d.next = self.data.val();
        self.singles.write.next = self.single_write.q.val();
        self.singles.address.next = self.single_address.q.val();
        self.singles.data.next = self.single_data.q.val();

        self.valid_same.d.next = self.valid.val();
        self.repeats.alone.next = self.alone.val();
        self.repeats.valid.next = self.valid_same.q.val();
        self.valid_term.d.next = self.valid.val();
        self.hash_a.alone.next = self.alone.val();
        self.hash_b.alone.next = self.alone.val();
        self.hash_a.valid.next = self.valid_term.q.val();
        self.hash_b.valid.next = self.valid_term.q.val();
        self.valid_read.d.next = self.valid.val();
        self.terms.key.next = self.key.val();
        self.terms.renew.next = self.strobe.val() & (self.select.val() == 0);
        self.terms.gap.next = !self.valid_read.q.val();
        for i in 0..32 {
            self.repeats.bytes[i].next = self.bytes[i].q.val();
        }
        for i in 0..15 {
            self.term_of[i].clock.next = self.clock.val();
            self.term_of[i].enable.next = true;
            self.term_of[i].read_address.next = self.bytes[i + 17].q.val();
            self.term_of[i].write_address.next = self.terms.address.val();
            self.term_of[i].write_data.next = self.terms.data.val();
            self.term_of[i].write.next = self.terms.write.val();
            self.hash_a.terms[i].next = self.term_of[i].data.val().get_bits::<32>(0);
            self.hash_b.terms[i].next = self.term_of[i].data.val().get_bits::<32>(32);
        }
        self.found.next = self.singles.found.val();
        for i in 0..8 {
            self.singles.bytes[i].next = self.bytes[i + 24].q.val();
            self.lanes[i].clock.next = self.clock.val();
            self.lanes[i].one.next = self.found.val().get_bit(i);
            self.lanes[i].a2.next = self.hash_a.h2[i].val();
            self.lanes[i].a3.next = self.hash_a.h3[i].val();
            self.lanes[i].a4.next = self.hash_a.h4[i].val();
            self.lanes[i].a5.next = self.hash_a.h5[i].val();
            self.lanes[i].a6.next = self.hash_a.h6[i].val();
            self.lanes[i].a7.next = self.hash_a.h7[i].val();
            self.lanes[i].a8.next = self.hash_a.h8[i].val();
            self.lanes[i].b4.next = self.hash_b.h4[i].val();
            self.lanes[i].b5.next = self.hash_b.h5[i].val();
            self.lanes[i].b6.next = self.hash_b.h6[i].val();
            self.lanes[i].b7.next = self.hash_b.h7[i].val();
            self.lanes[i].b8.next = self.hash_b.h8[i].val();
            self.lanes[i].address.next = self.write_address.q.val();
            self.lanes[i].data.next = self.write_data.q.val();
            self.lanes[i].writes.next = self.writes.q.val();
        }

        // The filter's results meet what came along beside it.
        self.live_late.d.next = self.live.q.val();
        self.kept.next = self.live_late.q.val().lanes;
        if !self.live_late.q.val().near {
            self.kept.next = self.live_late.q.val().lanes & !self.repeats.repeated.val();
        }
        // A lane's own byte and those before it in the beat.
        self.reach.next = 0.into();
        for i in 0..8 {
            self.reach.next = (self.reach.val() << 1) | 1;
            self.shares[i].next = 0.into();
            if self.kept.val().get_bit(i) {
                self.shares[i].next = self.lanes[i].passed.val();
                if self.live_late.q.val().first {
                    self.shares[i].next = self.lanes[i].passed.val() & self.reach.val();
                }
            }
        }
        self.mask.d.next = ((bit_cast::<64, 8>(self.shares[0].val())
            | (bit_cast::<64, 8>(self.shares[1].val()) << 8))
            | ((bit_cast::<64, 8>(self.shares[2].val()) << 16)
                | (bit_cast::<64, 8>(self.shares[3].val()) << 24)))
            | (((bit_cast::<64, 8>(self.shares[4].val()) << 32)
                | (bit_cast::<64, 8>(self.shares[5].val()) << 40))
                | ((bit_cast::<64, 8>(self.shares[6].val()) << 48)
                    | (bit_cast::<64, 8>(self.shares[7].val()) << 56)));
        self.mask_last.d.next = self.live_late.q.val().last;

        // One cycle later: which lanes have any.
        self.joined.next = 0.into();
        for i in 0..15 {
            self.byte_value.next = self.bytes[i + 17].q.val();
            self.joined.next = (self.joined.val() << 8) | bit_cast::<120, 8>(self.byte_value.val());
        }
        self.bytes_late.d.next = self.joined.val();
        self.tag_late.d.next = self.tag.q.val();
        self.some.next = 0.into();
        for i in 0..8 {
            if self.mask.q.val().get_bits::<8>(8 * i).any() {
                self.some.next = self.some.val().replace_bit(i, true);
            }
        }
        self.beat.d.next.bytes = self.bytes_late.q.val();
        self.beat.d.next.mask = self.mask.q.val();
        self.beat.d.next.lanes = self.some.val();
        self.beat.d.next.last = self.mask_last.q.val();
        self.beat.d.next.tag = self.tag_late.q.val();
        self.any.d.next = self.mask.q.val().any() | self.mask_last.q.val();

        self.fifo.clear.next = self.clear.val();
        self.fifo.write.next = self.any.q.val();
        self.fifo.data_in.next = self.beat.q.val();
        self.ready.next = !self.fifo.almost_full.val() & self.terms.done.val();

        self.picker.clear.next = self.clear.val();
        self.picker.valid.next = self.fifo.valid.val();
        self.picker.beat.next = self.fifo.data_out.val();
        self.fifo.ready.next = self.picker.ready.val();
        self.picker.pause.next = self.sieve.pause.val();
        self.picker.spent.next = self.sieve.spent.val();
        self.picker.passed.next = self.sieve.passed.val();

        self.sieve.clear.next = self.clear.val();
        self.sieve.limit.next = self.limit.val();
        self.sieve.picked.next = self.picker.picked.val();
        self.sieve.ended.next = self.picker.ended.val();
        self.sieve.bytes.next = self.picker.bytes.val();
        self.sieve.length.next = self.picker.length.val();
        self.sieve.lane.next = self.picker.lane.val();
        self.sieve.tag.next = self.picker.tag.val();
        self.sieve.ready.next = self.out_ready.val();
        self.out_valid.next = self.sieve.valid.val();
        self.candidate.next = self.sieve.found.val().candidate;
        self.out_last.next = self.sieve.found.val().last;
        self.overflow.next = self.sieve.found.val().overflow;
        self.examined.next = self.sieve.examined.val();
        self.looked_up.next = self.sieve.looked_up.val();
    }
}
