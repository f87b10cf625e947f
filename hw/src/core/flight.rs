//! Whether there is a record between front and writer.

use rust_hdl::prelude::*;

/// Counts records that have left the front and not yet reached the writer.
#[derive(LogicBlock, Default)]
pub struct Flight {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub clear: Signal<In, bool>,
    /// A record's last beat leaves the front.
    pub leaves: Signal<In, bool>,
    /// A record's last token reaches the writer.
    pub arrives: Signal<In, bool>,
    /// There are records in between.
    pub any: Signal<Out, bool>,
    left: DFF<bool>,
    arrived: DFF<bool>,
    count: DFF<Bits<16>>,
}

impl Logic for Flight {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, left, arrived, count);
        self.left.d.next = self.leaves.val();
        self.arrived.d.next = self.arrives.val();
        if self.left.q.val() & !self.arrived.q.val() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if self.arrived.q.val() & !self.left.q.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        if self.clear.val() {
            self.left.d.next = false;
            self.arrived.d.next = false;
            self.count.d.next = 0.into();
        }
        // What has just left is not counted yet.
        self.any.next = self.leaves.val() | self.left.q.val() | self.count.q.val().any();
    }
}
