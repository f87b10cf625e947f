//! From frames to the line.

use rust_hdl::prelude::*;

use super::{CRC_POLYNOMIAL, CRC_START, SYNC};

/// Sends frames, one at a time.
#[derive(LogicBlock)]
pub struct Sender {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Ends what is being sent.
    pub clear: Signal<In, Bit>,
    /// There is a frame to send; it is taken when `ready`, too.
    pub valid: Signal<In, Bit>,
    /// A frame would be taken.
    pub ready: Signal<Out, Bit>,
    /// Its kind.
    pub kind: Signal<In, Bits<8>>,
    /// Its bytes 2..10, the first in bits 7..0.
    pub payload: Signal<In, Bits<64>>,
    /// The line, high when idle.
    pub line: Signal<Out, Bit>,
    // Inverted, so that a register that begins at zero is an idle line.
    low: DFF<Bit>,
    busy: DFF<Bit>,
    timer: DFF<Bits<16>>,
    place: DFF<Bits<4>>,
    byte: DFF<Bits<4>>,
    work: DFF<Bits<80>>,
    crc: DFF<Bits<16>>,
    period: Constant<Bits<16>>,
    sync: Constant<Bits<80>>,
    crc_start: Constant<Bits<16>>,
    crc_polynomial: Constant<Bits<16>>,
}

impl Sender {
    /// For bits of so many clock cycles, at least 2.
    pub fn new(divisor: u16) -> Self {
        Self {
            clock: Default::default(),
            clear: Default::default(),
            valid: Default::default(),
            ready: Default::default(),
            kind: Default::default(),
            payload: Default::default(),
            line: Default::default(),
            low: Default::default(),
            busy: Default::default(),
            timer: Default::default(),
            place: Default::default(),
            byte: Default::default(),
            work: Default::default(),
            crc: Default::default(),
            period: Constant::new((u64::from(divisor.max(2)) - 1).to_bits()),
            sync: Constant::new(u64::from(SYNC).to_bits()),
            crc_start: Constant::new(CRC_START.to_bits()),
            crc_polynomial: Constant::new(CRC_POLYNOMIAL.to_bits()),
        }
    }
}

impl Logic for Sender {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, low, busy, timer, place, byte, work, crc);
        self.line.next = !self.low.q.val();
        self.ready.next = !self.busy.q.val();
        self.timer.d.next = self.timer.q.val() - 1;
        if !self.busy.q.val() {
            self.timer.d.next = 0.into();
            self.place.d.next = 0.into();
            self.byte.d.next = 0.into();
            self.crc.d.next = self.crc_start.val();
            self.work.d.next = (bit_cast::<80, 64>(self.payload.val()) << 16)
                | (bit_cast::<80, 8>(self.kind.val()) << 8)
                | self.sync.val();
            self.busy.d.next = self.valid.val();
        } else if self.timer.q.val() == 0 {
            self.timer.d.next = self.period.val();
            self.place.d.next = self.place.q.val() + 1;
            if self.byte.q.val() == 12 {
                // The last stop bit is over.
                self.busy.d.next = false;
            } else if self.place.q.val() == 0 {
                self.low.d.next = true;
            } else if self.place.q.val() == 9 {
                self.low.d.next = false;
                self.place.d.next = 0.into();
                self.byte.d.next = self.byte.q.val() + 1;
            } else if self.byte.q.val() >= 10 {
                // The register holds what is left to send of the CRC, inverted.
                self.low.d.next = self.crc.q.val().get_bit(0);
                self.crc.d.next = self.crc.q.val() >> 1;
            } else {
                self.low.d.next = !self.work.q.val().get_bit(0);
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
            self.low.d.next = false;
        }
    }
}
