//! Widens the report stream to the card's beat.

use rust_hdl::prelude::*;

/// Collects 64-bit words to beats of `W` bits (64, 128, 256 or 512), the first word lowest. One word a cycle, if beats are taken.
///
/// A unit has eight words, so each beat is of one unit.
#[derive(LogicBlock)]
pub struct Gearbox<const W: usize> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything.
    pub clear: Signal<In, Bit>,
    /// There is a word.
    pub word_valid: Signal<In, Bit>,
    /// The word.
    pub word: Signal<In, Bits<64>>,
    /// It is a unit's last.
    pub word_last: Signal<In, Bit>,
    /// It is taken.
    pub word_ready: Signal<Out, Bit>,
    /// AXI4-Stream out: there is a beat.
    pub tvalid: Signal<Out, Bit>,
    /// The beat.
    pub tdata: Signal<Out, Bits<W>>,
    /// It is a unit's last.
    pub tlast: Signal<Out, Bit>,
    /// It is taken.
    pub tready: Signal<In, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,

    collected: DFF<Bits<W>>,
    count: DFF<Bits<3>>,
    full: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    with_word: Signal<Local, Bits<W>>,
    beat: DFF<Bits<W>>,
    beat_valid: DFF<Bit>,
    beat_last: DFF<Bit>,
    most: Constant<Bits<3>>,
    top: Constant<Bits<16>>,
}

impl<const W: usize> Default for Gearbox<W> {
    fn default() -> Self {
        assert!(
            matches!(W, 64 | 128 | 256 | 512),
            "beats have 64, 128, 256 or 512 bits"
        );
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            word_valid: Signal::default(),
            word: Signal::default(),
            word_last: Signal::default(),
            word_ready: Signal::default(),
            tvalid: Signal::default(),
            tdata: Signal::default(),
            tlast: Signal::default(),
            tready: Signal::default(),
            busy: Signal::default(),
            collected: DFF::default(),
            count: DFF::default(),
            full: Signal::default(),
            take: Signal::default(),
            with_word: Signal::default(),
            beat: DFF::default(),
            beat_valid: DFF::default(),
            beat_last: DFF::default(),
            most: Constant::new((W as u64 / 64 - 1).into()),
            top: Constant::new((W as u64 - 64).into()),
        }
    }
}

impl<const W: usize> Logic for Gearbox<W> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, collected, count, beat, beat_valid, beat_last);
        self.full.next = self.count.q.val() == self.most.val();
        self.word_ready.next = !self.full.val() | !self.beat_valid.q.val() | self.tready.val();
        self.take.next = self.word_valid.val() & self.word_ready.val();
        self.with_word.next =
            (self.collected.q.val() >> 64) | (bit_cast::<W, 64>(self.word.val()) << self.top.val());
        if self.tready.val() {
            self.beat_valid.d.next = false;
        }
        if self.take.val() {
            self.collected.d.next = self.with_word.val();
            self.count.d.next = self.count.q.val() + 1;
            if self.full.val() {
                self.count.d.next = 0.into();
                self.beat.d.next = self.with_word.val();
                self.beat_valid.d.next = true;
                self.beat_last.d.next = self.word_last.val();
            }
        }
        if self.clear.val() {
            self.count.d.next = 0.into();
            self.beat_valid.d.next = false;
        }
        self.tvalid.next = self.beat_valid.q.val();
        self.tdata.next = self.beat.q.val();
        self.tlast.next = self.beat_last.q.val();
        self.busy.next = self.count.q.val().any() | self.beat_valid.q.val();
    }
}
