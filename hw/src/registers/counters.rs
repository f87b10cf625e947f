//! The counters, from `COUNT_CYCLES` on.

use card_protocol::register::{COUNT_CYCLES, COUNT_TABLE_ERRORS};
use rust_hdl::prelude::*;

/// How many there are.
pub const COUNTERS: usize = ((COUNT_TABLE_ERRORS - COUNT_CYCLES) / 4 + 1) as usize;

/// Counts what it is given; wraps. Nothing sets the counters back.
#[derive(LogicBlock)]
pub struct Counters {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// What to add to each, in the order of their registers.
    pub steps: [Signal<In, Bits<16>>; COUNTERS],
    /// A register's address.
    pub read_at: Signal<In, Bits<16>>,
    /// What is counted there, or 0; two cycles later.
    pub read_data: Signal<Out, Bits<32>>,

    held: [DFF<Bits<16>>; COUNTERS],
    counts: [DFF<Bits<32>>; COUNTERS],
    step: Signal<Local, Bits<16>>,
    // Which one is read: told apart a cycle ahead of the multiplexer, whose wires come from far.
    chosen: [DFF<bool>; COUNTERS],
    value: Signal<Local, Bits<32>>,
    read: DFF<Bits<32>>,
    at: [Constant<Bits<16>>; COUNTERS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            steps: std::array::from_fn(|_| Signal::default()),
            read_at: Signal::default(),
            read_data: Signal::default(),
            held: std::array::from_fn(|_| DFF::default()),
            counts: std::array::from_fn(|_| DFF::default()),
            step: Signal::default(),
            chosen: std::array::from_fn(|_| DFF::default()),
            value: Signal::default(),
            read: DFF::default(),
            at: std::array::from_fn(|i| {
                Constant::new((u64::from(COUNT_CYCLES) + 4 * i as u64).into())
            }),
        }
    }
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, read);
        self.value.next = 0.into();
        for i in 0..COUNTERS {
            self.held[i].clock.next = self.clock.val();
            self.counts[i].clock.next = self.clock.val();
            self.held[i].d.next = self.steps[i].val();
            self.step.next = self.held[i].q.val();
            self.counts[i].d.next = self.counts[i].q.val() + bit_cast::<32, 16>(self.step.val());
            self.chosen[i].clock.next = self.clock.val();
            self.chosen[i].d.next = self.read_at.val() == self.at[i].val();
            if self.chosen[i].q.val() {
                self.value.next = self.value.val() | self.counts[i].q.val();
            }
        }
        self.read.d.next = self.value.val();
        self.read_data.next = self.read.q.val();
    }
}
