//! Cuts the stream of beats into records.

use super::header::header_at;
use card_protocol::record::HEADER;
use rust_hdl::prelude::*;

/// One stage after the header finder's verdict. `L` lanes, `W` = 8 L bits, `N` = W + 192 bits of window.
#[derive(LogicBlock)]
pub struct Framer<const L: usize, const W: usize, const N: usize> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Back to hunting for a header.
    pub clear: Signal<In, Bit>,
    /// There is a beat, of which the next eight speak as the header finder's outputs do.
    pub valid: Signal<In, Bit>,
    /// The beat.
    pub data: Signal<In, Bits<W>>,
    /// Magic and nonce are in its first bytes.
    pub marked: Signal<In, Bit>,
    /// A header that ends here has the right CRC.
    pub good: Signal<In, Bit>,
    /// Out of bounds.
    pub malformed: Signal<In, Bit>,
    /// Not of a live generation.
    pub stale: Signal<In, Bit>,
    /// Whole beats that follow.
    pub beats: Signal<In, Bits<12>>,
    /// What the whole beat adds to the payload's CRC.
    pub body: Signal<In, Bits<32>>,
    /// What lanes 32 to 63 add.
    pub tail: Signal<In, Bits<32>>,

    /// A beat for the slices.
    pub out_valid: Signal<Out, Bit>,
    /// The 24 bytes before it and the beat itself.
    pub window: Signal<Out, Bits<N>>,
    /// It carries payload that is to be looked through.
    pub looked: Signal<Out, Bit>,
    /// With 64 lanes: the payload starts at lane 32 (the first beat of a record).
    pub half: Signal<Out, Bit>,
    /// The record's last beat.
    pub last: Signal<Out, Bit>,
    /// Bytes of payload in the last beat from lane 0 on (with 64 lanes, half beat: header included); 0 is all.
    pub rest: Signal<Out, Bits<6>>,
    /// Payload offset of lane 0.
    pub base: Signal<Out, Bits<16>>,
    /// The record's number since clear.
    pub serial: Signal<Out, Bits<16>>,
    /// Bytes 8 to 27 of its header.
    pub fields: Signal<Out, Bits<160>>,
    /// It is malformed.
    pub is_malformed: Signal<Out, Bit>,
    /// It is stale (and not malformed).
    pub is_stale: Signal<Out, Bit>,
    /// No byte follows the header: the CRC is that of nothing.
    pub nothing: Signal<Out, Bit>,
    /// The first beat that counts for the payload's CRC.
    pub first: Signal<Out, Bit>,
    /// What the beat adds to the payload's CRC.
    pub sum: Signal<Out, Bits<32>>,
    /// A record starts, one cycle.
    pub count_record: Signal<Out, Bit>,
    /// The step is lost, one cycle.
    pub count_lost: Signal<Out, Bit>,
    /// No good header since clear or a loss.
    pub hunting: Signal<Out, Bit>,
    /// Amid a record, or handing on a beat.
    pub busy: Signal<Out, Bit>,

    previous: DFF<Bits<192>>,
    now: Signal<Local, Bits<N>>,
    header: Signal<Local, Bits<256>>,
    length: Signal<Local, Bits<6>>,
    // State: amid payload, beats to come, no payload seen yet, beats of the header seen, hunting.
    payload: DFF<Bit>,
    left: DFF<Bits<12>>,
    fresh: DFF<Bit>,
    seen: DFF<Bits<2>>,
    hunt: DFF<Bit>,
    next_serial: DFF<Bits<16>>,
    first_of_header: Signal<Local, Bit>,
    whole_header: Signal<Local, Bit>,
    due: Signal<Local, Bit>,
    start: Signal<Local, Bit>,
    lost: Signal<Local, Bit>,
    alone: Signal<Local, Bit>,
    final_beat: Signal<Local, Bit>,
    // What is handed on.
    e_valid: DFF<Bit>,
    e_window: DFF<Bits<N>>,
    e_looked: DFF<Bit>,
    e_half: DFF<Bit>,
    e_last: DFF<Bit>,
    e_rest: DFF<Bits<6>>,
    e_base: DFF<Bits<16>>,
    e_serial: DFF<Bits<16>>,
    e_fields: DFF<Bits<160>>,
    e_malformed: DFF<Bit>,
    e_stale: DFF<Bit>,
    e_void: DFF<Bit>,
    e_first: DFF<Bit>,
    e_sum: DFF<Bits<32>>,
    e_record: DFF<Bit>,
    e_lost: DFF<Bit>,

    header_at: Constant<Bits<16>>,
    last_at: Constant<Bits<16>>,
    // With 64 lanes payload follows in the header's own beat.
    wide: Constant<Bit>,
    last_seen: Constant<Bits<2>>,
    rest_mask: Constant<Bits<6>>,
    rest_ahead: Constant<Bits<6>>,
    first_base: Constant<Bits<16>>,
    step: Constant<Bits<16>>,
}

impl<const L: usize, const W: usize, const N: usize> Default for Framer<L, W, N> {
    fn default() -> Self {
        let wide = L > HEADER;
        // The base of the beat the header ends in: the payload starts right after.
        let ahead = L.min(HEADER) as u64;
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            valid: Signal::default(),
            data: Signal::default(),
            marked: Signal::default(),
            good: Signal::default(),
            malformed: Signal::default(),
            stale: Signal::default(),
            beats: Signal::default(),
            body: Signal::default(),
            tail: Signal::default(),
            out_valid: Signal::default(),
            window: Signal::default(),
            looked: Signal::default(),
            half: Signal::default(),
            last: Signal::default(),
            rest: Signal::default(),
            base: Signal::default(),
            serial: Signal::default(),
            fields: Signal::default(),
            is_malformed: Signal::default(),
            is_stale: Signal::default(),
            nothing: Signal::default(),
            first: Signal::default(),
            sum: Signal::default(),
            count_record: Signal::default(),
            count_lost: Signal::default(),
            hunting: Signal::default(),
            busy: Signal::default(),
            previous: DFF::default(),
            now: Signal::default(),
            header: Signal::default(),
            length: Signal::default(),
            payload: DFF::default(),
            left: DFF::default(),
            fresh: DFF::default(),
            seen: DFF::default(),
            hunt: DFF::default(),
            next_serial: DFF::default(),
            first_of_header: Signal::default(),
            whole_header: Signal::default(),
            due: Signal::default(),
            start: Signal::default(),
            lost: Signal::default(),
            alone: Signal::default(),
            final_beat: Signal::default(),
            e_valid: DFF::default(),
            e_window: DFF::default(),
            e_looked: DFF::default(),
            e_half: DFF::default(),
            e_last: DFF::default(),
            e_rest: DFF::default(),
            e_base: DFF::default(),
            e_serial: DFF::default(),
            e_fields: DFF::default(),
            e_malformed: DFF::default(),
            e_stale: DFF::default(),
            e_void: DFF::default(),
            e_first: DFF::default(),
            e_sum: DFF::default(),
            e_record: DFF::default(),
            e_lost: DFF::default(),
            header_at: Constant::new(header_at(L).into()),
            last_at: Constant::new((W as u64).into()),
            wide: Constant::new(wide),
            last_seen: Constant::new((HEADER.div_ceil(L) as u64 - 1).into()),
            rest_mask: Constant::new((L as u64 - 1).into()),
            rest_ahead: Constant::new(if wide { ahead } else { 0 }.into()),
            first_base: Constant::new((65_536 - ahead).into()),
            step: Constant::new((L as u64).into()),
        }
    }
}

impl<const L: usize, const W: usize, const N: usize> Logic for Framer<L, W, N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            previous,
            payload,
            left,
            fresh,
            seen,
            hunt,
            next_serial
        );
        dff_setup!(
            self, clock, e_valid, e_window, e_looked, e_half, e_last, e_rest
        );
        dff_setup!(
            self,
            clock,
            e_base,
            e_serial,
            e_fields,
            e_malformed,
            e_stale
        );
        dff_setup!(self, clock, e_void, e_first, e_sum, e_record, e_lost);

        self.now.next =
            bit_cast::<N, 192>(self.previous.q.val()) | (bit_cast::<N, W>(self.data.val()) << 192);
        self.header.next = self.now.val().get_bits::<256>(self.header_at.val().index());
        self.length.next = self.header.val().get_bits::<6>(96);

        self.due.next = self.valid.val() & !self.payload.q.val();
        self.first_of_header.next = !self.seen.q.val().any();
        self.whole_header.next = self.seen.q.val() == self.last_seen.val();
        self.lost.next = self.due.val()
            & ((self.first_of_header.val() & !self.marked.val())
                | (self.whole_header.val() & !self.good.val()));
        self.start.next = self.due.val() & self.whole_header.val() & !self.lost.val();
        // Nothing follows the beat that the header is in.
        self.alone.next = self.malformed.val() | !self.beats.val().any();
        self.final_beat.next = self.left.q.val() == 1;

        if self.valid.val() {
            self.previous.d.next = self.now.val().get_bits::<192>(self.last_at.val().index());
            self.left.d.next = self.left.q.val() - 1;
            self.fresh.d.next = false;
            self.e_base.d.next = self.e_base.q.val() + self.step.val();
        }
        if self.valid.val() & self.payload.q.val() & self.final_beat.val() {
            self.payload.d.next = false;
        }
        if self.due.val() {
            self.seen.d.next = self.seen.q.val() + 1;
        }
        if self.lost.val() {
            self.seen.d.next = 0.into();
            self.hunt.d.next = true;
        }
        if self.start.val() {
            self.seen.d.next = 0.into();
            self.hunt.d.next = false;
            self.payload.d.next = !self.alone.val();
            self.left.d.next = self.beats.val();
            self.fresh.d.next = !self.wide.val();
            self.next_serial.d.next = self.next_serial.q.val() + 1;
            self.e_base.d.next = self.first_base.val();
            self.e_serial.d.next = self.next_serial.q.val();
            self.e_fields.d.next = self.header.val().get_bits::<160>(64);
            self.e_malformed.d.next = self.malformed.val();
            self.e_stale.d.next = self.stale.val() & !self.malformed.val();
            self.e_rest.d.next = (self.length.val() + self.rest_ahead.val()) & self.rest_mask.val();
        }

        self.e_valid.d.next = (self.valid.val() & self.payload.q.val())
            | (self.start.val() & (self.alone.val() | self.wide.val()));
        self.e_window.d.next = self.now.val();
        self.e_half.d.next = self.start.val();
        if self.start.val() {
            self.e_looked.d.next = self.wide.val() & !self.malformed.val() & !self.stale.val();
            self.e_last.d.next = self.alone.val();
        } else {
            self.e_looked.d.next = !self.e_malformed.q.val() & !self.e_stale.q.val();
            self.e_last.d.next = self.final_beat.val();
        }
        self.e_void.d.next = self.start.val() & !self.wide.val();
        self.e_first.d.next = (self.start.val() & self.wide.val()) | self.fresh.q.val();
        if self.start.val() {
            self.e_sum.d.next = self.tail.val();
        } else {
            self.e_sum.d.next = self.body.val();
        }
        self.e_record.d.next = self.start.val();
        self.e_lost.d.next = self.lost.val() & !self.hunt.q.val();

        if self.clear.val() {
            self.payload.d.next = false;
            self.seen.d.next = 0.into();
            self.hunt.d.next = true;
            self.next_serial.d.next = 0.into();
            self.e_valid.d.next = false;
            self.e_record.d.next = false;
            self.e_lost.d.next = false;
        }

        self.out_valid.next = self.e_valid.q.val();
        self.window.next = self.e_window.q.val();
        self.looked.next = self.e_looked.q.val();
        self.half.next = self.e_half.q.val();
        self.last.next = self.e_last.q.val();
        self.rest.next = self.e_rest.q.val();
        self.base.next = self.e_base.q.val();
        self.serial.next = self.e_serial.q.val();
        self.fields.next = self.e_fields.q.val();
        self.is_malformed.next = self.e_malformed.q.val();
        self.is_stale.next = self.e_stale.q.val();
        self.nothing.next = self.e_void.q.val();
        self.first.next = self.e_first.q.val();
        self.sum.next = self.e_sum.q.val();
        self.count_record.next = self.e_record.q.val();
        self.count_lost.next = self.e_lost.q.val();
        self.hunting.next = self.hunt.q.val();
        self.busy.next = self.payload.q.val() | self.e_valid.q.val();
    }
}
