//! From beats with candidates to candidates, one a cycle.

use super::{Beat, Tag};
use rust_hdl::prelude::*;

/// Takes beats apart: lane by lane, within a lane length by length, lowest first; after the last beat of a record comes an end.
///
/// Two levels, so that few gates stand between registers: the upper goes through the lanes of a beat that have a candidate, the lower
/// through the lengths of a lane. Each has the lowest set bit of what is left worked out a cycle ahead.
#[derive(LogicBlock, Default)]
pub(super) struct Picker {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, bool>,
    /// Hands on nothing this cycle.
    pub pause: Signal<In, bool>,
    /// A record has overflowed: beats of it have nothing more to give.
    pub spent: Signal<In, bool>,
    /// Which one: the number of records, modulo 16, whose end has been handed on.
    pub passed: Signal<In, Bits<4>>,
    pub valid: Signal<In, bool>,
    pub beat: Signal<In, Beat>,
    pub ready: Signal<Out, bool>,
    /// There is a candidate.
    pub picked: Signal<Out, bool>,
    /// There is an end.
    pub ended: Signal<Out, bool>,
    /// The candidate's bytes, its last one lowest, and what stands before it.
    pub bytes: Signal<Out, Bits<64>>,
    /// Its length - 1.
    pub length: Signal<Out, Bits<3>>,
    pub lane: Signal<Out, Bits<3>>,
    pub tag: Signal<Out, Tag>,

    // Upper level: a beat, the lane that is next, and the lanes after that.
    mask: DFF<Bits<64>>,
    beat_bytes: DFF<Bits<120>>,
    beat_tag: DFF<Tag>,
    lane_there: DFF<bool>,
    lane_next: DFF<Bits<3>>,
    lanes_rest: DFF<Bits<8>>,
    end_there: DFF<bool>,
    end_rest: DFF<bool>,
    lanes_more: DFF<bool>,
    // The number, modulo 16, of the record that the next beat belongs to.
    number: DFF<Bits<4>>,
    turn: Signal<Local, bool>,
    drop: Signal<Local, bool>,
    load: Signal<Local, bool>,
    lanes: Signal<Local, Bits<8>>,
    end_of_record: Signal<Local, bool>,

    // Between the levels: a lane.
    given: DFF<bool>,
    given_end: DFF<bool>,
    given_mask: DFF<Bits<8>>,
    given_bytes: DFF<Bits<64>>,
    given_lane: DFF<Bits<3>>,
    given_tag: DFF<Tag>,
    mask_4: Signal<Local, Bits<32>>,
    mask_2: Signal<Local, Bits<16>>,
    mask_1: Signal<Local, Bits<8>>,
    bytes_4: Signal<Local, Bits<88>>,
    bytes_2: Signal<Local, Bits<72>>,
    bytes_1: Signal<Local, Bits<64>>,

    // Lower level: a lane, the length that is next, and the lengths after that.
    there: DFF<bool>,
    there_end: DFF<bool>,
    length_next: DFF<Bits<3>>,
    lengths_rest: DFF<Bits<8>>,
    lengths_more: DFF<bool>,
    lane_bytes: DFF<Bits<64>>,
    lane_number: DFF<Bits<3>>,
    lane_tag: DFF<Tag>,
    lengths: Signal<Local, Bits<8>>,

    // Of both levels' words, lanes and lengths: the places that have a lower bit set, the lowest set bit, which it is, and the word without it.
    words: [Signal<Local, Bits<8>>; 2],
    lower: [Signal<Local, Bits<8>>; 2],
    lowest: [Signal<Local, Bits<8>>; 2],
    index: [Signal<Local, Bits<3>>; 2],
    others: [Signal<Local, Bits<8>>; 2],
}

impl Logic for Picker {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            mask,
            beat_bytes,
            beat_tag,
            lane_there,
            lane_next,
            lanes_rest,
            end_there,
            end_rest,
            lanes_more,
            number,
            given,
            given_end,
            given_mask,
            given_bytes,
            given_lane,
            given_tag,
            there,
            there_end,
            length_next,
            lengths_rest,
            lengths_more,
            lane_bytes,
            lane_number,
            lane_tag
        );
        // The lower level takes a lane when it is on its last length.
        self.turn.next = !self.pause.val() & !self.lengths_more.q.val();

        self.load.next = self.turn.val() & !self.lanes_more.q.val();
        self.ready.next = self.load.val();
        self.drop.next = self.spent.val() & (self.passed.val() == self.number.q.val());
        self.lanes.next = self.lanes_rest.q.val();
        self.end_of_record.next = self.end_rest.q.val();
        if !self.lanes_more.q.val() {
            self.lanes.next = 0.into();
            self.end_of_record.next = self.valid.val() & self.beat.val().last;
            if self.valid.val() & !self.drop.val() {
                self.lanes.next = self.beat.val().lanes;
            }
        }
        self.lengths.next = self.lengths_rest.q.val();
        if !self.lengths_more.q.val() {
            self.lengths.next = self.given_mask.q.val();
        }
        self.words[0].next = self.lanes.val();
        self.words[1].next = self.lengths.val();
        for i in 0..2 {
            // Bit by bit, as a carry would take longer.
            self.lower[i].next = 0.into();
            if self.words[i].val().get_bits::<1>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x02;
            }
            if self.words[i].val().get_bits::<2>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x04;
            }
            if self.words[i].val().get_bits::<3>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x08;
            }
            if self.words[i].val().get_bits::<4>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x10;
            }
            if self.words[i].val().get_bits::<5>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x20;
            }
            if self.words[i].val().get_bits::<6>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x40;
            }
            if self.words[i].val().get_bits::<7>(0).any() {
                self.lower[i].next = self.lower[i].val() | 0x80;
            }
            self.lowest[i].next = self.words[i].val() & !self.lower[i].val();
            self.index[i].next = 0.into();
            if (self.lowest[i].val() & 0xAA).any() {
                self.index[i].next = self.index[i].val() | 1;
            }
            if (self.lowest[i].val() & 0xCC).any() {
                self.index[i].next = self.index[i].val() | 2;
            }
            if (self.lowest[i].val() & 0xF0).any() {
                self.index[i].next = self.index[i].val() | 4;
            }
            self.others[i].next = self.words[i].val() & self.lower[i].val();
        }

        // Upper level.
        if self.turn.val() {
            self.lane_there.d.next = self.lanes.val().any();
            self.lane_next.d.next = self.index[0].val();
            self.lanes_rest.d.next = self.others[0].val();
            self.end_there.d.next = self.end_of_record.val() & !self.lanes.val().any();
            self.end_rest.d.next = self.end_of_record.val() & self.lanes.val().any();
            self.lanes_more.d.next =
                self.others[0].val().any() | (self.end_of_record.val() & self.lanes.val().any());
        }
        if self.load.val() {
            self.mask.d.next = self.beat.val().mask;
            self.beat_bytes.d.next = self.beat.val().bytes;
            self.beat_tag.d.next = self.beat.val().tag;
            if self.valid.val() & self.beat.val().last {
                self.number.d.next = self.number.q.val() + 1;
            }
        }

        // The lane's share: the lanes' masks stand in order, their bytes the other way round.
        self.mask_4.next = self.mask.q.val().get_bits::<32>(0);
        self.bytes_4.next = self.beat_bytes.q.val().get_bits::<88>(32);
        if self.lane_next.q.val().get_bit(2) {
            self.mask_4.next = self.mask.q.val().get_bits::<32>(32);
            self.bytes_4.next = self.beat_bytes.q.val().get_bits::<88>(0);
        }
        self.mask_2.next = self.mask_4.val().get_bits::<16>(0);
        self.bytes_2.next = self.bytes_4.val().get_bits::<72>(16);
        if self.lane_next.q.val().get_bit(1) {
            self.mask_2.next = self.mask_4.val().get_bits::<16>(16);
            self.bytes_2.next = self.bytes_4.val().get_bits::<72>(0);
        }
        self.mask_1.next = self.mask_2.val().get_bits::<8>(0);
        self.bytes_1.next = self.bytes_2.val().get_bits::<64>(8);
        if self.lane_next.q.val().get_bit(0) {
            self.mask_1.next = self.mask_2.val().get_bits::<8>(8);
            self.bytes_1.next = self.bytes_2.val().get_bits::<64>(0);
        }
        if self.turn.val() {
            self.given.d.next = self.lane_there.q.val();
            self.given_end.d.next = self.end_there.q.val();
            self.given_mask.d.next = self.mask_1.val();
            self.given_bytes.d.next = self.bytes_1.val();
            self.given_lane.d.next = self.lane_next.q.val();
            self.given_tag.d.next = self.beat_tag.q.val();
        }

        // Lower level.
        if !self.pause.val() {
            self.length_next.d.next = self.index[1].val();
            self.lengths_rest.d.next = self.others[1].val();
            self.lengths_more.d.next =
                self.others[1].val().any() & (self.lengths_more.q.val() | self.given.q.val());
        }
        if self.turn.val() {
            self.there.d.next = self.given.q.val();
            self.there_end.d.next = self.given_end.q.val();
            self.lane_bytes.d.next = self.given_bytes.q.val();
            self.lane_number.d.next = self.given_lane.q.val();
            self.lane_tag.d.next = self.given_tag.q.val();
        }

        if self.clear.val() {
            self.lane_there.d.next = false;
            self.end_there.d.next = false;
            self.lanes_more.d.next = false;
            self.number.d.next = 0.into();
            self.given.d.next = false;
            self.given_end.d.next = false;
            self.there.d.next = false;
            self.there_end.d.next = false;
            self.lengths_more.d.next = false;
        }

        self.picked.next = self.there.q.val() & !self.pause.val();
        self.ended.next = self.there_end.q.val() & !self.pause.val();
        self.bytes.next = self.lane_bytes.q.val();
        self.length.next = self.length_next.q.val();
        self.lane.next = self.lane_number.q.val();
        self.tag.next = self.lane_tag.q.val();
    }
}
