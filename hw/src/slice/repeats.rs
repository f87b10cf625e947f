//! Ends that need not be looked at, because the same bytes stood a period before.

use crate::parts::Delay;
use rust_hdl::prelude::*;

/// Which lanes' last eight bytes stand once more one of the periods 1, 9, 10, … 16 earlier (`hw/DESIGN.md`, "Filter"), seven cycles after
/// the bytes. Whether the end is far enough into the payload is for others to say.
#[derive(LogicBlock)]
pub(super) struct Repeats {
    pub clock: Signal<In, Clock>,
    /// The window, oldest first: 24 bytes, then the beat.
    pub bytes: [Signal<In, Bits<8>>; 32],
    /// The first 24 bytes are the last ones of the last beats with `valid`, so that their comparisons are known.
    pub alone: Signal<In, bool>,
    /// There is a beat, one cycle after the bytes.
    pub valid: Signal<In, bool>,
    pub repeated: Signal<Out, Bits<8>>,
    // At 15q + i: byte 17 + i equals the one that is period q before it; q = 0 is period 1, q = 1 to 8 are 9 to 16.
    same: [DFF<bool>; 135],
    // At 7q + i: the same of the last beat but for its first byte.
    before: [DFF<bool>; 63],
    known: [Signal<Local, bool>; 135],
    // At 8q + i: so do all of lane i's last eight.
    whole: [DFF<bool>; 72],
    sum: Signal<Local, Bits<8>>,
    late: Delay<Bits<8>, 5>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            bytes: Default::default(),
            repeated: Default::default(),
            alone: Default::default(),
            valid: Default::default(),
            before: std::array::from_fn(|_| Default::default()),
            known: std::array::from_fn(|_| Default::default()),
            same: std::array::from_fn(|_| Default::default()),
            whole: std::array::from_fn(|_| Default::default()),
            sum: Default::default(),
            late: Default::default(),
        }
    }
}

impl Logic for Repeats {
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..15 {
            self.same[i].clock.next = self.clock.val();
            self.same[i].d.next = self.bytes[i + 17].val() == self.bytes[i + 16].val();
            for q in 1..9 {
                self.same[15 * q + i].clock.next = self.clock.val();
                self.same[15 * q + i].d.next =
                    self.bytes[i + 17].val() == self.bytes[i + 9 - q].val();
            }
        }
        for q in 0..9 {
            for i in 0..15 {
                self.known[15 * q + i].next = self.same[15 * q + i].q.val();
            }
            for i in 0..7 {
                self.before[7 * q + i].clock.next = self.clock.val();
                self.before[7 * q + i].d.next = self.before[7 * q + i].q.val();
                if self.valid.val() {
                    self.before[7 * q + i].d.next = self.same[15 * q + i + 8].q.val();
                }
                if self.alone.val() {
                    self.known[15 * q + i].next = self.before[7 * q + i].q.val();
                }
            }
        }
        self.sum.next = 0.into();
        for q in 0..9 {
            for i in 0..8 {
                self.whole[8 * q + i].clock.next = self.clock.val();
                self.whole[8 * q + i].d.next = ((self.known[15 * q + i].val()
                    & self.known[15 * q + i + 1].val())
                    & (self.known[15 * q + i + 2].val() & self.known[15 * q + i + 3].val()))
                    & ((self.known[15 * q + i + 4].val() & self.known[15 * q + i + 5].val())
                        & (self.known[15 * q + i + 6].val() & self.known[15 * q + i + 7].val()));
                if self.whole[8 * q + i].q.val() {
                    self.sum.next = self.sum.val().replace_bit(i, true);
                }
            }
        }
        self.late.clock.next = self.clock.val();
        self.late.d.next = self.sum.val();
        self.repeated.next = self.late.q.val();
    }
}
