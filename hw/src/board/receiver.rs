//! From the line to good frames.

use rust_hdl::prelude::*;

use super::{CRC_GOOD, CRC_POLYNOMIAL, CRC_START, SYNC};

/// Takes bytes from a line and looks at the last twelve: each time that they are a good frame, that is handed out.
///
/// So there is no state in which noise could leave it out of step.
#[derive(LogicBlock)]
pub struct Receiver {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Forgets all bytes; the byte that is coming in is lost, too.
    pub clear: Signal<In, Bit>,
    /// The line, high when idle; need not be synchronous.
    pub line: Signal<In, Bit>,
    /// True for one cycle: there is a frame.
    pub valid: Signal<Out, Bit>,
    /// Its kind; stays until the next byte.
    pub kind: Signal<Out, Bits<8>>,
    /// Its bytes 2..10, the first in bits 7..0; stays until the next byte.
    pub payload: Signal<Out, Bits<64>>,
    /// Bytes that no good frame began with.
    pub skipped: Signal<Out, Bits<32>>,
    // The line inverted, so that registers that begin at zero see an idle line.
    meta: DFF<Bit>,
    low: DFF<Bit>,
    busy: DFF<Bit>,
    timer: DFF<Bits<16>>,
    place: DFF<Bits<4>>,
    shift: DFF<Bits<8>>,
    arrived: DFF<Bit>,
    window: DFF<Bits<96>>,
    // Bytes in the window, at most twelve, and whether a byte left it unused.
    fresh: DFF<Bits<4>>,
    whole: DFF<Bit>,
    dropped: DFF<Bits<32>>,
    checking: DFF<Bit>,
    left: DFF<Bits<7>>,
    work: DFF<Bits<96>>,
    crc: DFF<Bits<16>>,
    good: DFF<Bit>,
    period: Constant<Bits<16>>,
    half: Constant<Bits<16>>,
    sync: Constant<Bits<8>>,
    crc_start: Constant<Bits<16>>,
    crc_polynomial: Constant<Bits<16>>,
    crc_good: Constant<Bits<16>>,
}

impl Receiver {
    /// For bits of so many clock cycles, at least 12; see [`divisor`](super::divisor).
    pub fn new(divisor: u16) -> Self {
        let divisor = u64::from(divisor.max(12));
        Self {
            clock: Default::default(),
            clear: Default::default(),
            line: Default::default(),
            valid: Default::default(),
            kind: Default::default(),
            payload: Default::default(),
            skipped: Default::default(),
            meta: Default::default(),
            low: Default::default(),
            busy: Default::default(),
            timer: Default::default(),
            place: Default::default(),
            shift: Default::default(),
            arrived: Default::default(),
            window: Default::default(),
            fresh: Default::default(),
            whole: Default::default(),
            dropped: Default::default(),
            checking: Default::default(),
            left: Default::default(),
            work: Default::default(),
            crc: Default::default(),
            good: Default::default(),
            period: Constant::new((divisor - 1).to_bits()),
            half: Constant::new((divisor / 2).to_bits()),
            sync: Constant::new(u64::from(SYNC).to_bits()),
            crc_start: Constant::new(CRC_START.to_bits()),
            crc_polynomial: Constant::new(CRC_POLYNOMIAL.to_bits()),
            crc_good: Constant::new(CRC_GOOD.to_bits()),
        }
    }
}

impl Logic for Receiver {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, meta, low, busy, timer, place, shift, arrived, window, fresh, whole,
            dropped, checking, left, work, crc, good
        );
        self.meta.d.next = !self.line.val();
        self.low.d.next = self.meta.q.val();
        // Bits: the start bit's middle, then every whole bit.
        self.arrived.d.next = false;
        self.timer.d.next = self.timer.q.val() - 1;
        if !self.busy.q.val() {
            self.timer.d.next = self.half.val();
            self.place.d.next = 0.into();
            self.busy.d.next = self.low.q.val();
        } else if self.timer.q.val() == 0 {
            self.timer.d.next = self.period.val();
            self.place.d.next = self.place.q.val() + 1;
            if self.place.q.val() == 0 {
                // A start bit that is not low any more was a spike.
                self.busy.d.next = self.low.q.val();
            } else if self.place.q.val() == 9 {
                self.busy.d.next = false;
                self.arrived.d.next = !self.low.q.val();
            } else {
                self.shift.d.next = (self.shift.q.val() >> 1).replace_bit(7, !self.low.q.val());
            }
        }
        // The last twelve bytes.
        self.whole.d.next = false;
        if self.arrived.q.val() {
            self.window.d.next =
                (self.window.q.val() >> 8) | (bit_cast::<96, 8>(self.shift.q.val()) << 88);
            if self.fresh.q.val() == 12 {
                self.dropped.d.next = self.dropped.q.val() + 1;
                self.whole.d.next = true;
            } else {
                self.fresh.d.next = self.fresh.q.val() + 1;
                self.whole.d.next = self.fresh.q.val() == 11;
            }
        }
        // Their CRC, a bit a cycle; it is done before the next byte is there.
        self.good.d.next = false;
        if self.whole.q.val() {
            self.checking.d.next = self.window.q.val().get_bits::<8>(0) == self.sync.val();
            self.work.d.next = self.window.q.val();
            self.crc.d.next = self.crc_start.val();
            self.left.d.next = 96.into();
        } else if self.checking.q.val() {
            if self.left.q.val() == 0 {
                self.checking.d.next = false;
                if self.crc.q.val() == self.crc_good.val() {
                    self.good.d.next = true;
                    self.fresh.d.next = 0.into();
                }
            } else {
                self.left.d.next = self.left.q.val() - 1;
                self.work.d.next = self.work.q.val() >> 1;
                if self.crc.q.val().get_bit(0) != self.work.q.val().get_bit(0) {
                    self.crc.d.next = (self.crc.q.val() >> 1) ^ self.crc_polynomial.val();
                } else {
                    self.crc.d.next = self.crc.q.val() >> 1;
                }
            }
        }
        if self.clear.val() {
            self.busy.d.next = false;
            self.arrived.d.next = false;
            self.whole.d.next = false;
            self.checking.d.next = false;
            self.good.d.next = false;
            self.fresh.d.next = 0.into();
            self.dropped.d.next = 0.into();
        }
        self.valid.next = self.good.q.val();
        self.kind.next = self.window.q.val().get_bits::<8>(8);
        self.payload.next = self.window.q.val().get_bits::<64>(16);
        self.skipped.next = self.dropped.q.val();
    }
}
