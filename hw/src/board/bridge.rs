//! Between the frames of a serial line and the core's three interfaces.

use rust_hdl::prelude::*;

use super::{
    KIND_BEAT, KIND_READ, KIND_RESET, KIND_STATUS, KIND_VALUE, KIND_WORD, KIND_WRITE, Receiver,
    Sender,
};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Step {
    Idle,
    Fetch,
    Take,
    Write,
    Written,
    Read,
    Value,
    Beat,
}

/// Master of the core's registers and streams, driven by a host at the other end of a serial line. `N` are the address bits of its
/// queue, `P` is `N + 1`.
#[derive(LogicBlock)]
pub struct Bridge<const N: usize, const P: usize> {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, Bit>,
    /// From the host.
    pub rx: Signal<In, Bit>,
    /// To the host.
    pub tx: Signal<Out, Bit>,
    /// The core is to be reset.
    pub reset: Signal<Out, Bit>,
    /// Stream of records: a beat.
    pub beat_data: Signal<Out, Bits<64>>,
    /// Stream of records: there is one.
    pub beat_valid: Signal<Out, Bit>,
    /// Stream of records: it is taken.
    pub beat_ready: Signal<In, Bit>,
    /// Stream of reports: a word.
    pub word_data: Signal<In, Bits<64>>,
    /// Stream of reports: there is one.
    pub word_valid: Signal<In, Bit>,
    /// Stream of reports: it is taken.
    pub word_ready: Signal<Out, Bit>,
    /// AXI4-Lite: address of reads and writes.
    pub address: Signal<Out, Bits<16>>,
    /// AXI4-Lite.
    pub awvalid: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub awready: Signal<In, Bit>,
    /// AXI4-Lite.
    pub wdata: Signal<Out, Bits<32>>,
    /// AXI4-Lite.
    pub wvalid: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub wready: Signal<In, Bit>,
    /// AXI4-Lite; the response itself is not looked at.
    pub bvalid: Signal<In, Bit>,
    /// AXI4-Lite.
    pub bready: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub arvalid: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub arready: Signal<In, Bit>,
    /// AXI4-Lite.
    pub rdata: Signal<In, Bits<32>>,
    /// AXI4-Lite.
    pub rvalid: Signal<In, Bit>,
    /// AXI4-Lite.
    pub rready: Signal<Out, Bit>,
    receiver: Receiver,
    sender: Sender,
    queue: RAM<Bits<72>, N>,
    // Frames taken in and out of the queue.
    head: DFF<Bits<P>>,
    tail: DFF<Bits<P>>,
    full: Signal<Local, Bit>,
    step: DFF<Step>,
    kind: DFF<Bits<8>>,
    payload: DFF<Bits<64>>,
    addressed: DFF<Bit>,
    filled: DFF<Bit>,
    value: DFF<Bits<32>>,
    answer: DFF<Bit>,
    done: DFF<Bits<16>>,
    lost: DFF<Bits<16>>,
    // What the host was told last, and whether it must be told anyway.
    told: DFF<Bits<16>>,
    told_lost: DFF<Bits<16>>,
    greet: DFF<Bit>,
    // A status goes before the next word.
    turn: DFF<Bit>,
    due: DFF<Bit>,
    // A word on its way, so that whether one is taken depends on registers alone.
    word: DFF<Bits<64>>,
    held: DFF<Bit>,
    resetting: DFF<Bits<6>>,
    clearing: DFF<Bit>,
    places: Constant<Bits<P>>,
    kind_write: Constant<Bits<8>>,
    kind_read: Constant<Bits<8>>,
    kind_beat: Constant<Bits<8>>,
    kind_reset: Constant<Bits<8>>,
    kind_status: Constant<Bits<8>>,
    kind_value: Constant<Bits<8>>,
    kind_word: Constant<Bits<8>>,
}

impl<const N: usize, const P: usize> Bridge<N, P> {
    /// For a line with bits of so many clock cycles; see [`divisor`](super::divisor).
    pub fn new(divisor: u16) -> Self {
        let kind = |kind: u8| Constant::new(u64::from(kind).to_bits());
        Self {
            clock: Default::default(),
            clear: Default::default(),
            rx: Default::default(),
            tx: Default::default(),
            reset: Default::default(),
            beat_data: Default::default(),
            beat_valid: Default::default(),
            beat_ready: Default::default(),
            word_data: Default::default(),
            word_valid: Default::default(),
            word_ready: Default::default(),
            address: Default::default(),
            awvalid: Default::default(),
            awready: Default::default(),
            wdata: Default::default(),
            wvalid: Default::default(),
            wready: Default::default(),
            bvalid: Default::default(),
            bready: Default::default(),
            arvalid: Default::default(),
            arready: Default::default(),
            rdata: Default::default(),
            rvalid: Default::default(),
            rready: Default::default(),
            receiver: Receiver::new(divisor),
            sender: Sender::new(divisor),
            queue: Default::default(),
            head: Default::default(),
            tail: Default::default(),
            full: Default::default(),
            step: Default::default(),
            kind: Default::default(),
            payload: Default::default(),
            addressed: Default::default(),
            filled: Default::default(),
            value: Default::default(),
            answer: Default::default(),
            done: Default::default(),
            lost: Default::default(),
            told: Default::default(),
            told_lost: Default::default(),
            greet: Default::default(),
            turn: Default::default(),
            due: Default::default(),
            word: Default::default(),
            held: Default::default(),
            resetting: Default::default(),
            clearing: Default::default(),
            places: Constant::new((1_u64 << N).to_bits()),
            kind_write: kind(KIND_WRITE),
            kind_read: kind(KIND_READ),
            kind_beat: kind(KIND_BEAT),
            kind_reset: kind(KIND_RESET),
            kind_status: kind(KIND_STATUS),
            kind_value: kind(KIND_VALUE),
            kind_word: kind(KIND_WORD),
        }
    }
}

impl<const N: usize, const P: usize> Logic for Bridge<N, P> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, head, tail, step, kind, payload, addressed, filled, value, answer, done,
            lost, told, told_lost, greet, turn, resetting, due, word, held, clearing
        );
        clock!(self, clock, receiver, sender);
        self.receiver.clear.next = self.clear.val();
        self.receiver.line.next = self.rx.val();
        self.sender.clear.next = self.clear.val();
        self.tx.next = self.sender.line.val();
        // A reset from the host lasts for 63 cycles. The lines go on: what is being sent would else be cut off.
        if self.resetting.q.val().any() {
            self.resetting.d.next = self.resetting.q.val() - 1;
        }
        self.reset.next = self.resetting.q.val().any();
        self.clearing.d.next = self.clear.val() | self.resetting.q.val().any();
        // Good frames go into the queue, but for a reset, which cannot wait.
        self.full.next = self.head.q.val() == (self.tail.q.val() ^ self.places.val());
        self.queue.write_clock.next = self.clock.val();
        self.queue.read_clock.next = self.clock.val();
        self.queue.write_address.next = self.head.q.val().get_bits::<N>(0);
        self.queue.read_address.next = self.tail.q.val().get_bits::<N>(0);
        self.queue.write_data.next = (bit_cast::<72, 64>(self.receiver.payload.val()) << 8)
            | bit_cast::<72, 8>(self.receiver.kind.val());
        self.queue.write_enable.next = false;
        if self.receiver.valid.val() {
            if self.receiver.kind.val() == self.kind_reset.val() {
                self.resetting.d.next = 63.into();
            } else if self.full.val()
                | (self.receiver.kind.val() == 0)
                | (self.receiver.kind.val() > self.kind_beat.val())
            {
                self.lost.d.next = self.lost.q.val() + 1;
            } else {
                self.queue.write_enable.next = true;
                self.head.d.next = self.head.q.val() + 1;
            }
        }
        // One after the other.
        self.address.next = self.payload.q.val().get_bits::<16>(32);
        self.wdata.next = self.payload.q.val().get_bits::<32>(0);
        self.beat_data.next = self.payload.q.val();
        self.awvalid.next = false;
        self.wvalid.next = false;
        self.bready.next = false;
        self.arvalid.next = false;
        self.rready.next = false;
        self.beat_valid.next = false;
        match self.step.q.val() {
            Step::Idle => {
                if self.head.q.val() != self.tail.q.val() {
                    self.step.d.next = Step::Fetch;
                }
            }
            Step::Fetch => {
                self.kind.d.next = self.queue.read_data.val().get_bits::<8>(0);
                self.payload.d.next = self.queue.read_data.val().get_bits::<64>(8);
                self.tail.d.next = self.tail.q.val() + 1;
                self.addressed.d.next = false;
                self.filled.d.next = false;
                self.step.d.next = Step::Take;
            }
            Step::Take => {
                if self.kind.q.val() == self.kind_write.val() {
                    self.step.d.next = Step::Write;
                } else if self.kind.q.val() == self.kind_read.val() {
                    // The answer before must be on its way.
                    if !self.answer.q.val() {
                        self.step.d.next = Step::Read;
                    }
                } else {
                    self.step.d.next = Step::Beat;
                }
            }
            Step::Write => {
                self.awvalid.next = !self.addressed.q.val();
                self.wvalid.next = !self.filled.q.val();
                self.addressed.d.next = self.addressed.q.val() | self.awready.val();
                self.filled.d.next = self.filled.q.val() | self.wready.val();
                if self.addressed.q.val() & self.filled.q.val() {
                    self.step.d.next = Step::Written;
                }
            }
            Step::Written => {
                self.bready.next = true;
                if self.bvalid.val() {
                    self.done.d.next = self.done.q.val() + 1;
                    self.step.d.next = Step::Idle;
                }
            }
            Step::Read => {
                self.arvalid.next = true;
                if self.arready.val() {
                    self.step.d.next = Step::Value;
                }
            }
            Step::Value => {
                self.rready.next = true;
                if self.rvalid.val() {
                    self.value.d.next = self.rdata.val();
                    self.answer.d.next = true;
                    self.done.d.next = self.done.q.val() + 1;
                    self.step.d.next = Step::Idle;
                }
            }
            Step::Beat => {
                self.beat_valid.next = true;
                if self.beat_ready.val() {
                    self.done.d.next = self.done.q.val() + 1;
                    self.step.d.next = Step::Idle;
                }
            }
            _ => {
                self.step.d.next = Step::Idle;
            }
        }
        // To the host: values first, then words and statuses in turn.
        self.due.d.next = self.greet.q.val()
            | (self.told.q.val() != self.done.q.val())
            | (self.told_lost.q.val() != self.lost.q.val());
        self.word_ready.next = !self.held.q.val() & !self.clearing.q.val();
        if self.word_valid.val() & !self.held.q.val() & !self.clearing.q.val() {
            self.word.d.next = self.word_data.val();
            self.held.d.next = true;
        }
        self.sender.valid.next = false;
        self.sender.kind.next = self.kind_status.val();
        self.sender.payload.next = (bit_cast::<64, 16>(self.lost.q.val()) << 48)
            | (bit_cast::<64, 16>(self.done.q.val()) << 32)
            | bit_cast::<64, 32>(self.receiver.skipped.val());
        if self.sender.ready.val() & !self.clearing.q.val() {
            if self.answer.q.val() {
                self.answer.d.next = false;
                self.sender.valid.next = true;
                self.sender.kind.next = self.kind_value.val();
                self.sender.payload.next = (bit_cast::<64, 16>(self.lost.q.val()) << 48)
                    | (bit_cast::<64, 16>(self.done.q.val()) << 32)
                    | bit_cast::<64, 32>(self.value.q.val());
                self.told.d.next = self.done.q.val();
                self.told_lost.d.next = self.lost.q.val();
            } else if self.held.q.val() & !(self.turn.q.val() & self.due.q.val()) {
                self.held.d.next = false;
                self.sender.valid.next = true;
                self.sender.kind.next = self.kind_word.val();
                self.sender.payload.next = self.word.q.val();
                self.turn.d.next = true;
            } else if self.due.q.val() {
                self.sender.valid.next = true;
                self.told.d.next = self.done.q.val();
                self.told_lost.d.next = self.lost.q.val();
                self.greet.d.next = false;
                self.turn.d.next = false;
            }
        }
        if self.clearing.q.val() {
            self.head.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.step.d.next = Step::Idle;
            self.answer.d.next = false;
            self.done.d.next = 0.into();
            self.lost.d.next = 0.into();
            self.told.d.next = 0.into();
            self.told_lost.d.next = 0.into();
            self.greet.d.next = true;
            self.held.d.next = false;
        }
    }
}
