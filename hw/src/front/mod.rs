//! Front: takes the card's stream, finds records, checks their CRCs, hands their beats to the slices and their ends to the
//! writer.
//!
//! Stages: A takes a beat, B looks at its fields, C and D check the header's CRC ([`header::HeaderFinder`]), E knows where a record starts
//! and ends ([`frame::Framer`]), F hands the beat on, G the record's end. No stage ever waits.

pub mod crc;
pub mod frame;
pub mod header;
#[cfg(test)]
pub(crate) mod tests;

use card_protocol::record::HEADER;
use card_protocol::report::{FLAG_DAMAGED, FLAG_MALFORMED, FLAG_STALE};
use crc::{Linear, ONES, advance};
use frame::Framer;
use header::HeaderFinder;
use rust_hdl::prelude::*;

/// `L` lanes (8, 16, 32 or 64), `W` = 8 L bits of a beat, `N` = W + 192 bits of window.
///
/// A beat that is taken comes out after six cycles, a record's end after seven; up to eight more beats can come out after `slices_ready`
/// or `ends_ready` fell.
#[derive(LogicBlock)]
pub struct Front<const L: usize, const W: usize, const N: usize> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets all beats, hunts for the next header.
    pub clear: Signal<In, Bit>,

    /// AXI4-Stream in: a beat is offered.
    pub tvalid: Signal<In, Bit>,
    /// The beat, byte i at bits 8i.
    pub tdata: Signal<In, Bits<W>>,
    /// It is taken.
    pub tready: Signal<Out, Bit>,

    /// Beats are taken at all.
    pub enable: Signal<In, Bit>,
    /// The session's nonce.
    pub nonce: Signal<In, Bits<32>>,
    /// `GENERATION_EVEN`, bits 16..0.
    pub even: Signal<In, Bits<17>>,
    /// `GENERATION_ODD`, bits 16..0.
    pub odd: Signal<In, Bits<17>>,

    /// All slices have room for 32 beats.
    pub slices_ready: Signal<In, Bit>,
    /// To the slices, as in "Front → slices": there is a beat.
    pub valid: Signal<Out, Bit>,
    /// The 24 bytes before the beat, then the beat.
    pub window: Signal<Out, Bits<N>>,
    /// Which lanes are payload.
    pub keep: Signal<Out, Bits<L>>,
    /// Payload offset of lane 0, modulo 2^16.
    pub base: Signal<Out, Bits<16>>,
    /// The record's carry.
    pub carry: Signal<Out, Bits<3>>,
    /// Its group.
    pub group: Signal<Out, Bits<6>>,
    /// The low bit of its generation.
    pub parity: Signal<Out, Bit>,
    /// Its number since clear.
    pub serial: Signal<Out, Bits<16>>,
    /// Its last beat.
    pub last: Signal<Out, Bit>,

    /// The writer has room for 16 more ends.
    pub ends_ready: Signal<In, Bit>,
    /// A record's end, one cycle.
    pub end_valid: Signal<Out, Bit>,
    /// Sequence (31..0), generation (47..32), flags (55..48).
    pub end_data: Signal<Out, Bits<56>>,

    /// Nothing but the step is lost, see `STATUS_HUNTING`.
    pub hunting: Signal<Out, Bit>,
    /// A beat or a record is under way.
    pub busy: Signal<Out, Bit>,
    /// Counters, each one cycle: a beat is taken.
    pub count_beat: Signal<Out, Bit>,
    /// A beat is offered and not taken.
    pub count_stall: Signal<Out, Bit>,
    /// A record with a good header.
    pub count_record: Signal<Out, Bit>,
    /// Payload bytes of a record that is looked through, else 0.
    pub count_bytes: Signal<Out, Bits<15>>,
    /// The step is lost.
    pub count_lost: Signal<Out, Bit>,
    /// A damaged record.
    pub count_damaged: Signal<Out, Bit>,
    /// A stale record.
    pub count_stale: Signal<Out, Bit>,
    /// A malformed record.
    pub count_malformed: Signal<Out, Bit>,

    ready: DFF<Bit>,
    take: Signal<Local, Bit>,
    finder: HeaderFinder<L, W, N>,
    framer: Framer<L, W, N>,
    fields: Signal<Local, Bits<160>>,
    whole: Signal<Local, Bit>,
    rest: Signal<Local, Bits<7>>,
    reached: [Signal<Local, Bit>; L],
    mask: Signal<Local, Bits<L>>,
    // Stage F.
    f_valid: DFF<Bit>,
    f_window: DFF<Bits<N>>,
    f_keep: DFF<Bits<L>>,
    f_base: DFF<Bits<16>>,
    f_carry: DFF<Bits<3>>,
    f_group: DFF<Bits<6>>,
    f_parity: DFF<Bit>,
    f_serial: DFF<Bits<16>>,
    f_last: DFF<Bit>,
    // The payload's CRC, and what its end needs.
    next_sum: Linear,
    sum: DFF<Bits<32>>,
    f_end: DFF<Bit>,
    f_sequence: DFF<Bits<32>>,
    f_generation: DFF<Bits<16>>,
    f_crc: DFF<Bits<32>>,
    f_malformed: DFF<Bit>,
    f_stale: DFF<Bit>,
    // Stage G.
    damaged: Signal<Local, Bit>,
    flags: Signal<Local, Bits<8>>,
    g_end: DFF<Bit>,
    g_entry: DFF<Bits<56>>,
    g_damaged: DFF<Bit>,
    g_stale: DFF<Bit>,
    g_malformed: DFF<Bit>,
    g_bytes: DFF<Bits<15>>,

    lanes: [Constant<Bits<7>>; L],
    upper: Constant<Bits<L>>,
    first_sum: Constant<Bits<32>>,
    ones: Constant<Bits<32>>,
    flag_damaged: Constant<Bits<8>>,
    flag_stale: Constant<Bits<8>>,
    flag_malformed: Constant<Bits<8>>,
}

impl<const L: usize, const W: usize, const N: usize> Default for Front<L, W, N> {
    fn default() -> Self {
        let flag = |flag: u8| Constant::new(u64::from(flag).into());
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            tvalid: Signal::default(),
            tdata: Signal::default(),
            tready: Signal::default(),
            enable: Signal::default(),
            nonce: Signal::default(),
            even: Signal::default(),
            odd: Signal::default(),
            slices_ready: Signal::default(),
            valid: Signal::default(),
            window: Signal::default(),
            keep: Signal::default(),
            base: Signal::default(),
            carry: Signal::default(),
            group: Signal::default(),
            parity: Signal::default(),
            serial: Signal::default(),
            last: Signal::default(),
            ends_ready: Signal::default(),
            end_valid: Signal::default(),
            end_data: Signal::default(),
            hunting: Signal::default(),
            busy: Signal::default(),
            count_beat: Signal::default(),
            count_stall: Signal::default(),
            count_record: Signal::default(),
            count_bytes: Signal::default(),
            count_lost: Signal::default(),
            count_damaged: Signal::default(),
            count_stale: Signal::default(),
            count_malformed: Signal::default(),
            ready: DFF::default(),
            take: Signal::default(),
            finder: HeaderFinder::default(),
            framer: Framer::default(),
            fields: Signal::default(),
            whole: Signal::default(),
            rest: Signal::default(),
            reached: std::array::from_fn(|_| Signal::default()),
            mask: Signal::default(),
            f_valid: DFF::default(),
            f_window: DFF::default(),
            f_keep: DFF::default(),
            f_base: DFF::default(),
            f_carry: DFF::default(),
            f_group: DFF::default(),
            f_parity: DFF::default(),
            f_serial: DFF::default(),
            f_last: DFF::default(),
            next_sum: Linear::advance(L),
            sum: DFF::default(),
            f_end: DFF::default(),
            f_sequence: DFF::default(),
            f_generation: DFF::default(),
            f_crc: DFF::default(),
            f_malformed: DFF::default(),
            f_stale: DFF::default(),
            damaged: Signal::default(),
            flags: Signal::default(),
            g_end: DFF::default(),
            g_entry: DFF::default(),
            g_damaged: DFF::default(),
            g_stale: DFF::default(),
            g_malformed: DFF::default(),
            g_bytes: DFF::default(),
            lanes: std::array::from_fn(|lane| Constant::new((lane as u64).into())),
            upper: Constant::new(if L > HEADER {
                !Bits::default() << HEADER as u64
            } else {
                Bits::default()
            }),
            // With 64 lanes the first beat has 32 bytes of payload.
            first_sum: Constant::new(u64::from(advance(ONES, L.min(HEADER))).into()),
            ones: Constant::new(u64::from(ONES).into()),
            flag_damaged: flag(FLAG_DAMAGED),
            flag_stale: flag(FLAG_STALE),
            flag_malformed: flag(FLAG_MALFORMED),
        }
    }
}

impl<const L: usize, const W: usize, const N: usize> Logic for Front<L, W, N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, ready, f_valid, f_window, f_keep, f_base, f_carry
        );
        dff_setup!(self, clock, f_group, f_parity, f_serial, f_last, sum, f_end);
        dff_setup!(
            self,
            clock,
            f_sequence,
            f_generation,
            f_crc,
            f_malformed,
            f_stale
        );
        dff_setup!(
            self,
            clock,
            g_end,
            g_entry,
            g_damaged,
            g_stale,
            g_malformed,
            g_bytes
        );
        clock!(self, clock, finder, framer);

        self.ready.d.next =
            self.enable.val() & self.slices_ready.val() & self.ends_ready.val() & !self.clear.val();
        self.tready.next = self.ready.q.val();
        self.take.next = self.tvalid.val() & self.ready.q.val();
        self.finder.clear.next = self.clear.val();
        self.finder.valid.next = self.take.val();
        self.finder.data.next = self.tdata.val();
        self.finder.nonce.next = self.nonce.val();
        self.finder.even.next = self.even.val();
        self.finder.odd.next = self.odd.val();

        self.framer.clear.next = self.clear.val();
        self.framer.valid.next = self.finder.out_valid.val();
        self.framer.data.next = self.finder.out_data.val();
        self.framer.marked.next = self.finder.marked.val();
        self.framer.good.next = self.finder.good.val();
        self.framer.malformed.next = self.finder.malformed.val();
        self.framer.stale.next = self.finder.stale.val();
        self.framer.beats.next = self.finder.beats.val();
        self.framer.body.next = self.finder.body.val();
        self.framer.tail.next = self.finder.tail.val();

        // Which lanes are payload.
        self.whole.next = !self.framer.last.val() | !self.framer.rest.val().any();
        self.rest.next = bit_cast::<7, 6>(self.framer.rest.val());
        self.mask.next = 0.into();
        for i in 0..L {
            self.reached[i].next = self.whole.val() | (self.lanes[i].val() < self.rest.val());
            self.mask.next = self.mask.val().replace_bit(i, self.reached[i].val());
        }
        if self.framer.half.val() {
            self.mask.next = self.mask.val() & self.upper.val();
        }
        if !self.framer.looked.val() {
            self.mask.next = 0.into();
        }
        self.fields.next = self.framer.fields.val();
        self.f_valid.d.next = self.framer.out_valid.val();
        self.f_window.d.next = self.framer.window.val();
        self.f_keep.d.next = self.mask.val();
        self.f_base.d.next = self.framer.base.val();
        self.f_group.d.next = self.fields.val().get_bits::<6>(48);
        self.f_carry.d.next = self.fields.val().get_bits::<3>(56);
        self.f_parity.d.next = self.fields.val().get_bit(64);
        self.f_serial.d.next = self.framer.serial.val();
        self.f_last.d.next = self.framer.last.val();

        // The payload's CRC.
        self.next_sum.value.next = self.sum.q.val();
        if self.framer.out_valid.val() {
            if self.framer.nothing.val() {
                self.sum.d.next = self.ones.val();
            } else if self.framer.first.val() {
                self.sum.d.next = self.first_sum.val() ^ self.framer.sum.val();
            } else {
                self.sum.d.next = self.next_sum.product.val() ^ self.framer.sum.val();
            }
        }
        self.f_end.d.next = self.framer.out_valid.val() & self.framer.last.val();
        self.f_sequence.d.next = self.fields.val().get_bits::<32>(0);
        self.f_generation.d.next = self.fields.val().get_bits::<16>(64);
        self.f_crc.d.next = self.fields.val().get_bits::<32>(128);
        self.f_malformed.d.next = self.framer.is_malformed.val();
        self.f_stale.d.next = self.framer.is_stale.val();
        self.g_bytes.d.next = 0.into();
        if self.framer.count_record.val()
            & !self.framer.is_malformed.val()
            & !self.framer.is_stale.val()
        {
            self.g_bytes.d.next = self.fields.val().get_bits::<15>(32);
        }

        self.damaged.next = !self.f_malformed.q.val()
            & ((self.sum.q.val() ^ self.f_crc.q.val()) != self.ones.val());
        self.flags.next = 0.into();
        if self.damaged.val() {
            self.flags.next = self.flags.val() | self.flag_damaged.val();
        }
        if self.f_stale.q.val() {
            self.flags.next = self.flags.val() | self.flag_stale.val();
        }
        if self.f_malformed.q.val() {
            self.flags.next = self.flags.val() | self.flag_malformed.val();
        }
        self.g_end.d.next = self.f_end.q.val();
        self.g_entry.d.next = bit_cast::<56, 32>(self.f_sequence.q.val())
            | (bit_cast::<56, 16>(self.f_generation.q.val()) << 32)
            | (bit_cast::<56, 8>(self.flags.val()) << 48);
        self.g_damaged.d.next = self.f_end.q.val() & self.damaged.val();
        self.g_stale.d.next = self.f_end.q.val() & self.f_stale.q.val();
        self.g_malformed.d.next = self.f_end.q.val() & self.f_malformed.q.val();

        if self.clear.val() {
            self.f_valid.d.next = false;
            self.f_end.d.next = false;
            self.g_end.d.next = false;
            self.g_damaged.d.next = false;
            self.g_stale.d.next = false;
            self.g_malformed.d.next = false;
        }

        self.valid.next = self.f_valid.q.val();
        self.window.next = self.f_window.q.val();
        self.keep.next = self.f_keep.q.val();
        self.base.next = self.f_base.q.val();
        self.carry.next = self.f_carry.q.val();
        self.group.next = self.f_group.q.val();
        self.parity.next = self.f_parity.q.val();
        self.serial.next = self.f_serial.q.val();
        self.last.next = self.f_last.q.val();
        self.end_valid.next = self.g_end.q.val();
        self.end_data.next = self.g_entry.q.val();
        self.hunting.next = self.framer.hunting.val();
        self.busy.next = self.finder.busy.val()
            | self.framer.busy.val()
            | self.f_valid.q.val()
            | self.f_end.q.val()
            | self.g_end.q.val();
        self.count_beat.next = self.take.val();
        self.count_stall.next = self.tvalid.val() & !self.ready.q.val();
        self.count_record.next = self.framer.count_record.val();
        self.count_bytes.next = self.g_bytes.q.val();
        self.count_lost.next = self.framer.count_lost.val();
        self.count_damaged.next = self.g_damaged.q.val();
        self.count_stale.next = self.g_stale.q.val();
        self.count_malformed.next = self.g_malformed.q.val();
    }
}
