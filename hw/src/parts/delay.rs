//! A delay line.

use rust_hdl::prelude::*;

/// Hands `d` on at `q`, `CYCLES` (1 or more) clock edges later. It is not cleared.
#[derive(LogicBlock)]
pub struct Delay<D: Synth, const CYCLES: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// What goes in.
    pub d: Signal<In, D>,
    /// What went in `CYCLES` edges ago.
    pub q: Signal<Out, D>,
    way: Signal<Local, D>,
    stages: [DFF<D>; CYCLES],
}

impl<D: Synth, const CYCLES: usize> Default for Delay<D, CYCLES> {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            d: Default::default(),
            q: Default::default(),
            way: Default::default(),
            stages: std::array::from_fn(|_| DFF::default()),
        }
    }
}

impl<D: Synth, const CYCLES: usize> Logic for Delay<D, CYCLES> {
    #[hdl_gen]
    fn update(&mut self) {
        // `way` is what the next stage takes: the input, then each stage's output in turn.
        self.way.next = self.d.val();
        for i in 0..CYCLES {
            self.stages[i].clock.next = self.clock.val();
            self.stages[i].d.next = self.way.val();
            self.way.next = self.stages[i].q.val();
        }
        self.q.next = self.way.val();
    }
}
