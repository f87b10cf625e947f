//! Writer: from hits and ends of records to report units.

mod expand;
mod gearbox;
mod pack;
#[cfg(test)]
mod tests;

pub use expand::Expander;
pub use gearbox::Gearbox;
pub use pack::Packer;

use rust_hdl::prelude::*;

/// Hits and ends in, units as words of 64 bits out; see "Exact to writer".
///
/// Takes one item a cycle. Six of them leave in eight cycles; what comes faster waits.
#[derive(LogicBlock, Default)]
pub struct Writer {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything; the next unit is number 0.
    pub clear: Signal<In, Bit>,
    /// The session's nonce.
    pub nonce: Signal<In, Bits<32>>,
    /// Cycles without an item after which a unit is sent as it is.
    pub linger: Signal<In, Bits<16>>,
    /// Something is left in the blocks before: a unit may still fill up.
    pub upstream_busy: Signal<In, Bit>,

    /// From the exact stage: entries 4 × 20 (79..0), which of them are hits (83..80), end offset (99..84).
    pub hits: Signal<In, Bits<100>>,
    /// No hits: the record is done.
    pub last: Signal<In, Bit>,
    /// With `last`: a slice went beyond its limit.
    pub overflow: Signal<In, Bit>,
    /// There is something.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// From the front: a record's end is to be written down.
    pub end_valid: Signal<In, Bit>,
    /// Sequence (31..0), generation (47..32), flags (55..48).
    pub end_data: Signal<In, Bits<56>>,
    /// There is room for 16 ends.
    pub ends_ready: Signal<Out, Bit>,

    /// AXI4-Stream out: there is a word.
    pub tvalid: Signal<Out, Bit>,
    /// The word.
    pub tdata: Signal<Out, Bits<64>>,
    /// It is a unit's eighth.
    pub tlast: Signal<Out, Bit>,
    /// It is taken.
    pub tready: Signal<In, Bit>,

    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters, each one cycle: a hit is reported.
    pub count_hit: Signal<Out, Bit>,
    /// A record with overflow ends.
    pub count_overflow: Signal<Out, Bit>,
    /// A unit's last word is taken.
    pub count_unit: Signal<Out, Bit>,
    /// A word is offered and not taken.
    pub count_stall: Signal<Out, Bit>,

    expander: Expander,
    packer: Packer,
}

impl Logic for Writer {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, expander, packer);
        self.expander.clear.next = self.clear.val();
        self.expander.hits.next = self.hits.val();
        self.expander.last.next = self.last.val();
        self.expander.overflow.next = self.overflow.val();
        self.expander.valid.next = self.valid.val();
        self.ready.next = self.expander.ready.val();
        self.expander.end_valid.next = self.end_valid.val();
        self.expander.end_data.next = self.end_data.val();
        self.ends_ready.next = self.expander.ends_ready.val();
        self.expander.item_ready.next = self.packer.item_ready.val();

        self.packer.clear.next = self.clear.val();
        self.packer.nonce.next = self.nonce.val();
        self.packer.linger.next = self.linger.val();
        self.packer.more.next = self.upstream_busy.val() | self.expander.busy.val();
        self.packer.item_valid.next = self.expander.item_valid.val();
        self.packer.item.next = self.expander.item.val();
        self.tvalid.next = self.packer.tvalid.val();
        self.tdata.next = self.packer.tdata.val();
        self.tlast.next = self.packer.tlast.val();
        self.packer.tready.next = self.tready.val();

        self.busy.next = self.expander.busy.val() | self.packer.busy.val();
        self.count_hit.next = self.expander.count_hit.val();
        self.count_overflow.next = self.expander.count_overflow.val();
        self.count_unit.next = self.packer.count_unit.val();
        self.count_stall.next = self.packer.count_stall.val();
    }
}
