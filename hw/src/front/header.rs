//! Sees of every beat whether a header could start there, and whether one could end there (with 64 lanes: in its lower half).
//!
//! Pure feed-forward: where a header is due is the framer's to know. So records of one beat can follow each other.

use super::crc::{BeatSum, Linear, ONES, advance};
use card_protocol::record::{HEADER, MAGIC, MAX_LENGTH};
use rust_hdl::prelude::*;

/// Three stages after the taken beat. `L` lanes, `W` = 8 L bits, `N` = W + 192 bits of window.
#[derive(LogicBlock)]
pub struct HeaderFinder<const L: usize, const W: usize, const N: usize> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets beats that are under way.
    pub clear: Signal<In, Bit>,
    /// There is a beat.
    pub valid: Signal<In, Bit>,
    /// The beat.
    pub data: Signal<In, Bits<W>>,
    /// The session's nonce.
    pub nonce: Signal<In, Bits<32>>,
    /// The live even generation (15..0), and whether there is one (16).
    pub even: Signal<In, Bits<17>>,
    /// The live odd one.
    pub odd: Signal<In, Bits<17>>,

    /// There is a beat; all that follows speaks of it.
    pub out_valid: Signal<Out, Bit>,
    /// The beat.
    pub out_data: Signal<Out, Bits<W>>,
    /// Its first eight bytes are magic and nonce.
    pub marked: Signal<Out, Bit>,
    /// If a header ends here: its CRC is right.
    pub good: Signal<Out, Bit>,
    /// If so: its length, carry or group is out of bounds.
    pub malformed: Signal<Out, Bit>,
    /// If so: its generation is none of the live ones.
    pub stale: Signal<Out, Bit>,
    /// If so: whole beats that follow this one.
    pub beats: Signal<Out, Bits<12>>,
    /// What the whole beat adds to a payload's CRC.
    pub body: Signal<Out, Bits<32>>,
    /// What lanes 32 to 63 add.
    pub tail: Signal<Out, Bits<32>>,
    /// A beat is under way.
    pub busy: Signal<Out, Bit>,

    // Stage A: the beat, the 24 bytes before it.
    a_valid: DFF<Bit>,
    a_data: DFF<Bits<W>>,
    previous: DFF<Bits<192>>,
    window: Signal<Local, Bits<N>>,
    header: Signal<Local, Bits<256>>,
    length: Signal<Local, Bits<16>>,
    sum: Signal<Local, Bits<17>>,
    excess: Signal<Local, Bit>,
    generation: Signal<Local, Bits<17>>,
    // Stage B: fields looked at, CRC of the beat's halves.
    beat_sum: BeatSum<L, W>,
    b_valid: DFF<Bit>,
    b_data: DFF<Bits<W>>,
    b_magic: DFF<Bit>,
    b_nonce: DFF<Bit>,
    b_malformed: DFF<Bit>,
    b_stale: DFF<Bit>,
    b_beats: DFF<Bits<12>>,
    b_head: DFF<Bits<32>>,
    b_tail: DFF<Bits<32>>,
    // What the heads of the beats 1, 2 and 3 before add to the window's CRC: each takes one step a beat, so that they are but to be added up.
    earlier: [DFF<Bits<32>>; 3],
    steps: [Linear; 3],
    head_sum: Linear,
    // Stage C: the window's CRC, and the whole beat's.
    c_valid: DFF<Bit>,
    c_data: DFF<Bits<W>>,
    c_marked: DFF<Bit>,
    c_malformed: DFF<Bit>,
    c_stale: DFF<Bit>,
    c_beats: DFF<Bits<12>>,
    c_sum: DFF<Bits<32>>,
    c_body: DFF<Bits<32>>,
    c_tail: DFF<Bits<32>>,
    // Stage D: the verdict.
    d_valid: DFF<Bit>,
    d_data: DFF<Bits<W>>,
    d_marked: DFF<Bit>,
    d_good: DFF<Bit>,
    d_malformed: DFF<Bit>,
    d_stale: DFF<Bit>,
    d_beats: DFF<Bits<12>>,
    d_body: DFF<Bits<32>>,
    d_tail: DFF<Bits<32>>,

    magic: Constant<Bits<32>>,
    right_sum: Constant<Bits<32>>,
    max_length: Constant<Bits<16>>,
    // Bit offsets in the window: where the header starts, where the last 24 bytes do.
    header_at: Constant<Bits<16>>,
    last_at: Constant<Bits<16>>,
    round_up: Constant<Bits<17>>,
    beat_shift: Constant<Bits<8>>,
}

/// Bit offset of the header that ends in a beat, in that beat's window.
pub const fn header_at(lanes: usize) -> u64 {
    // The window starts 24 bytes before the beat; a header ends with the beat, or with its lower half.
    let end = if lanes < HEADER { lanes } else { HEADER };
    (24 + end - HEADER) as u64 * 8
}

impl<const L: usize, const W: usize, const N: usize> Default for HeaderFinder<L, W, N> {
    fn default() -> Self {
        assert!(
            matches!(L, 8 | 16 | 32 | 64) && W == 8 * L && N == W + 192,
            "lanes are 8, 16, 32 or 64, then come 8 times as many bits and 192 more"
        );
        // A head as it adds to the window's CRC a beat later, if it is still in the header when it is 1, 2 or 3 beats old.
        let step = |place: usize| {
            if (place + 1) * L < HEADER {
                Linear::advance(L)
            } else {
                Linear::zero()
            }
        };
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            valid: Signal::default(),
            data: Signal::default(),
            nonce: Signal::default(),
            even: Signal::default(),
            odd: Signal::default(),
            out_valid: Signal::default(),
            out_data: Signal::default(),
            marked: Signal::default(),
            good: Signal::default(),
            malformed: Signal::default(),
            stale: Signal::default(),
            beats: Signal::default(),
            body: Signal::default(),
            tail: Signal::default(),
            busy: Signal::default(),
            a_valid: DFF::default(),
            a_data: DFF::default(),
            previous: DFF::default(),
            window: Signal::default(),
            header: Signal::default(),
            length: Signal::default(),
            sum: Signal::default(),
            excess: Signal::default(),
            generation: Signal::default(),
            beat_sum: BeatSum::default(),
            b_valid: DFF::default(),
            b_data: DFF::default(),
            b_magic: DFF::default(),
            b_nonce: DFF::default(),
            b_malformed: DFF::default(),
            b_stale: DFF::default(),
            b_beats: DFF::default(),
            b_head: DFF::default(),
            b_tail: DFF::default(),
            earlier: std::array::from_fn(|_| DFF::default()),
            steps: std::array::from_fn(step),
            head_sum: Linear::advance(L.saturating_sub(HEADER)),
            c_valid: DFF::default(),
            c_data: DFF::default(),
            c_marked: DFF::default(),
            c_malformed: DFF::default(),
            c_stale: DFF::default(),
            c_beats: DFF::default(),
            c_sum: DFF::default(),
            c_body: DFF::default(),
            c_tail: DFF::default(),
            d_valid: DFF::default(),
            d_data: DFF::default(),
            d_marked: DFF::default(),
            d_good: DFF::default(),
            d_malformed: DFF::default(),
            d_stale: DFF::default(),
            d_beats: DFF::default(),
            d_body: DFF::default(),
            d_tail: DFF::default(),
            magic: Constant::new(u64::from(MAGIC).into()),
            // A right CRC brings any state to `advance(ONES, 4)`; what the initial ones add is not in the sum.
            right_sum: Constant::new(u64::from(advance(ONES, 4) ^ advance(ONES, HEADER)).into()),
            max_length: Constant::new((MAX_LENGTH as u64).into()),
            header_at: Constant::new(header_at(L).into()),
            last_at: Constant::new((W as u64).into()),
            // With 64 lanes the first 32 bytes are in the header's own beat.
            round_up: Constant::new((L.min(HEADER) as u64 - 1).into()),
            beat_shift: Constant::new(u64::from(L.trailing_zeros()).into()),
        }
    }
}

impl<const L: usize, const W: usize, const N: usize> Logic for HeaderFinder<L, W, N> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, a_valid, a_data, previous);
        dff_setup!(
            self,
            clock,
            b_valid,
            b_data,
            b_magic,
            b_nonce,
            b_malformed,
            b_stale
        );
        dff_setup!(self, clock, b_beats, b_head, b_tail);
        dff_setup!(
            self,
            clock,
            c_valid,
            c_data,
            c_marked,
            c_malformed,
            c_stale,
            c_beats
        );
        dff_setup!(self, clock, c_sum, c_body, c_tail);
        dff_setup!(
            self,
            clock,
            d_valid,
            d_data,
            d_marked,
            d_good,
            d_malformed,
            d_stale,
            d_beats
        );
        dff_setup!(self, clock, d_body, d_tail);
        for i in 0..3 {
            self.earlier[i].clock.next = self.clock.val();
            self.earlier[i].d.next = self.earlier[i].q.val();
        }

        self.a_valid.d.next = self.valid.val();
        self.a_data.d.next = self.data.val();

        self.window.next = bit_cast::<N, 192>(self.previous.q.val())
            | (bit_cast::<N, W>(self.a_data.q.val()) << 192);
        if self.a_valid.q.val() {
            self.previous.d.next = self
                .window
                .val()
                .get_bits::<192>(self.last_at.val().index());
        }
        self.header.next = self
            .window
            .val()
            .get_bits::<256>(self.header_at.val().index());
        self.length.next = self.header.val().get_bits::<16>(96);
        self.b_valid.d.next = self.a_valid.q.val();
        self.b_data.d.next = self.a_data.q.val();
        self.b_magic.d.next = self.a_data.q.val().get_bits::<32>(0) == self.magic.val();
        self.b_nonce.d.next = self.a_data.q.val().get_bits::<32>(32) == self.nonce.val();
        // Group above 63, carry above 7, carry above the length, length above the longest.
        self.excess.next = (!self.length.val().get_bits::<13>(3).any())
            & (self.header.val().get_bits::<3>(120) > self.length.val().get_bits::<3>(0));
        self.b_malformed.d.next = self.header.val().get_bits::<2>(118).any()
            | self.header.val().get_bits::<5>(123).any()
            | self.excess.val()
            | (self.length.val() > self.max_length.val());
        self.generation.next = bit_cast::<17, 16>(self.header.val().get_bits::<16>(128)) | 65536;
        if self.header.val().get_bit(128) {
            self.b_stale.d.next = self.generation.val() != self.odd.val();
        } else {
            self.b_stale.d.next = self.generation.val() != self.even.val();
        }
        self.sum.next = bit_cast::<17, 16>(self.length.val()) + self.round_up.val();
        self.b_beats.d.next = bit_cast::<12, 17>(self.sum.val() >> self.beat_shift.val());
        self.beat_sum.data.next = self.a_data.q.val();
        self.b_head.d.next = self.beat_sum.head.val();
        self.b_tail.d.next = self.beat_sum.tail.val();

        self.steps[0].value.next = self.b_head.q.val();
        self.steps[1].value.next = self.earlier[0].q.val();
        self.steps[2].value.next = self.earlier[1].q.val();
        if self.b_valid.q.val() {
            for i in 0..3 {
                self.earlier[i].d.next = self.steps[i].product.val();
            }
        }
        self.head_sum.value.next = self.b_head.q.val();
        self.c_valid.d.next = self.b_valid.q.val();
        self.c_data.d.next = self.b_data.q.val();
        self.c_marked.d.next = self.b_magic.q.val() & self.b_nonce.q.val();
        self.c_malformed.d.next = self.b_malformed.q.val();
        self.c_stale.d.next = self.b_stale.q.val();
        self.c_beats.d.next = self.b_beats.q.val();
        self.c_sum.d.next = (self.b_head.q.val() ^ self.earlier[0].q.val())
            ^ (self.earlier[1].q.val() ^ self.earlier[2].q.val());
        self.c_body.d.next = self.head_sum.product.val() ^ self.b_tail.q.val();
        self.c_tail.d.next = self.b_tail.q.val();

        self.d_valid.d.next = self.c_valid.q.val();
        self.d_data.d.next = self.c_data.q.val();
        self.d_marked.d.next = self.c_marked.q.val();
        self.d_good.d.next = self.c_sum.q.val() == self.right_sum.val();
        self.d_malformed.d.next = self.c_malformed.q.val();
        self.d_stale.d.next = self.c_stale.q.val();
        self.d_beats.d.next = self.c_beats.q.val();
        self.d_body.d.next = self.c_body.q.val();
        self.d_tail.d.next = self.c_tail.q.val();

        if self.clear.val() {
            self.a_valid.d.next = false;
            self.b_valid.d.next = false;
            self.c_valid.d.next = false;
            self.d_valid.d.next = false;
        }

        self.out_valid.next = self.d_valid.q.val();
        self.out_data.next = self.d_data.q.val();
        self.marked.next = self.d_marked.q.val();
        self.good.next = self.d_good.q.val();
        self.malformed.next = self.d_malformed.q.val();
        self.stale.next = self.d_stale.q.val();
        self.beats.next = self.d_beats.q.val();
        self.body.next = self.d_body.q.val();
        self.tail.next = self.d_tail.q.val();
        self.busy.next = self.a_valid.q.val()
            | self.b_valid.q.val()
            | self.c_valid.q.val()
            | self.d_valid.q.val();
    }
}
