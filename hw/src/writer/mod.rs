//! Writer: from hits and ends of records to report units.

mod expand;
mod gearbox;
mod pack;
#[cfg(test)]
mod tests;
mod unfold;
mod wide;

pub use expand::Expander;
pub use gearbox::Gearbox;
pub use pack::Packer;
pub use unfold::Unfolder;
pub use wide::WidePacker;

use rust_hdl::prelude::*;

/// Hits of `E` engines (1 or 2) and ends in, units in beats of `W` bits (64, 128, 256 or 512) out; see "Exact to writer".
///
/// Takes one item a cycle from each engine. Up to 128 bits they are packed word by word, and six items leave in eight cycles; with 256 and 512 bits a unit is packed
/// as a whole, and as many leave as come. What comes faster waits.
#[derive(LogicBlock)]
pub struct Writer<const E: usize, const W: usize> {
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

    /// From each engine: entries 4 × 20 (79..0), which of them are hits (83..80), end offset (99..84).
    pub hits: [Signal<In, Bits<100>>; E],
    /// No hits: the record is done.
    pub last: [Signal<In, Bit>; E],
    /// With `last`: a slice went beyond its limit.
    pub overflow: [Signal<In, Bit>; E],
    /// There is something.
    pub valid: [Signal<In, Bit>; E],
    /// It is taken.
    pub ready: [Signal<Out, Bit>; E],
    /// From the front: a record's end is to be written down.
    pub end_valid: Signal<In, Bit>,
    /// Sequence (31..0), generation (47..32), flags (55..48).
    pub end_data: Signal<In, Bits<56>>,
    /// There is room for 16 ends.
    pub ends_ready: Signal<Out, Bit>,

    /// AXI4-Stream out: there is a beat.
    pub tvalid: Signal<Out, Bit>,
    /// The beat.
    pub tdata: Signal<Out, Bits<W>>,
    /// It is a unit's last.
    pub tlast: Signal<Out, Bit>,
    /// It is taken.
    pub tready: Signal<In, Bit>,

    /// A record's end is here, one cycle; what is left of it keeps the writer busy.
    pub ended: Signal<Out, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters: hits that are reported.
    pub count_hits: Signal<Out, Bits<2>>,
    /// A record with overflow ends.
    pub count_overflow: Signal<Out, Bit>,
    /// A unit's last word or beat is taken.
    pub count_unit: Signal<Out, Bit>,
    /// A word or beat is offered and not taken.
    pub count_stall: Signal<Out, Bit>,

    expander: Expander<E>,
    more: Signal<Local, Bit>,
    // Either these two or the third.
    packers: Vec<Packer>,
    gearboxes: Vec<Gearbox<W>>,
    wides: Vec<WidePacker<W>>,
}

impl<const E: usize, const W: usize> Writer<E, W> {
    /// Packers of words, and of units.
    const NARROW: usize = if W <= 128 { 1 } else { 0 };
    const WIDE: usize = 1 - Self::NARROW;
    /// The second item of a cycle, if there are two.
    const PAIRS: usize = if E == 2 { Self::WIDE } else { 0 };
}

impl<const E: usize, const W: usize> Default for Writer<E, W> {
    fn default() -> Self {
        const { assert!(E == 1 || W > 128) };
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            nonce: Signal::default(),
            linger: Signal::default(),
            upstream_busy: Signal::default(),
            hits: std::array::from_fn(|_| Signal::default()),
            last: std::array::from_fn(|_| Signal::default()),
            overflow: std::array::from_fn(|_| Signal::default()),
            valid: std::array::from_fn(|_| Signal::default()),
            ready: std::array::from_fn(|_| Signal::default()),
            end_valid: Signal::default(),
            end_data: Signal::default(),
            ends_ready: Signal::default(),
            tvalid: Signal::default(),
            tdata: Signal::default(),
            tlast: Signal::default(),
            tready: Signal::default(),
            ended: Signal::default(),
            busy: Signal::default(),
            count_hits: Signal::default(),
            count_overflow: Signal::default(),
            count_unit: Signal::default(),
            count_stall: Signal::default(),
            expander: Expander::default(),
            more: Signal::default(),
            packers: (0..Self::NARROW).map(|_| Packer::default()).collect(),
            gearboxes: (0..Self::NARROW).map(|_| Gearbox::default()).collect(),
            wides: (0..Self::WIDE).map(|_| WidePacker::default()).collect(),
        }
    }
}

impl<const E: usize, const W: usize> Logic for Writer<E, W> {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, expander);
        self.expander.clear.next = self.clear.val();
        for i in 0..E {
            self.expander.hits[i].next = self.hits[i].val();
            self.expander.last[i].next = self.last[i].val();
            self.expander.overflow[i].next = self.overflow[i].val();
            self.expander.valid[i].next = self.valid[i].val();
            self.ready[i].next = self.expander.ready[i].val();
        }
        self.expander.end_valid.next = self.end_valid.val();
        self.expander.end_data.next = self.end_data.val();
        self.ends_ready.next = self.expander.ends_ready.val();
        self.ended.next = self.expander.ended.val();
        self.more.next = self.upstream_busy.val() | self.expander.busy.val();
        self.count_hits.next = self.expander.count_hits.val();
        self.count_overflow.next = self.expander.count_overflow.val();

        for i in 0..Self::NARROW {
            self.packers[i].clock.next = self.clock.val();
            self.packers[i].clear.next = self.clear.val();
            self.packers[i].nonce.next = self.nonce.val();
            self.packers[i].linger.next = self.linger.val();
            self.packers[i].more.next = self.more.val();
            self.packers[i].item_valid.next = self.expander.item_valid[i].val();
            self.packers[i].item.next = self.expander.item[i].val();
            self.expander.item_ready.next = self.packers[i].item_ready.val();
            self.gearboxes[i].clock.next = self.clock.val();
            self.gearboxes[i].clear.next = self.clear.val();
            self.gearboxes[i].word_valid.next = self.packers[i].tvalid.val();
            self.gearboxes[i].word.next = self.packers[i].tdata.val();
            self.gearboxes[i].word_last.next = self.packers[i].tlast.val();
            self.packers[i].tready.next = self.gearboxes[i].word_ready.val();
            self.tvalid.next = self.gearboxes[i].tvalid.val();
            self.tdata.next = self.gearboxes[i].tdata.val();
            self.tlast.next = self.gearboxes[i].tlast.val();
            self.gearboxes[i].tready.next = self.tready.val();
            self.busy.next = self.expander.busy.val()
                | self.packers[i].busy.val()
                | self.gearboxes[i].busy.val();
            self.count_unit.next = self.packers[i].count_unit.val();
            self.count_stall.next = self.packers[i].count_stall.val();
        }
        for i in 0..Self::WIDE {
            self.wides[i].clock.next = self.clock.val();
            self.wides[i].clear.next = self.clear.val();
            self.wides[i].nonce.next = self.nonce.val();
            self.wides[i].linger.next = self.linger.val();
            self.wides[i].more.next = self.more.val();
            self.wides[i].first_valid.next = self.expander.item_valid[i].val();
            self.wides[i].first.next = self.expander.item[i].val();
            self.wides[i].second_valid.next = false;
            self.wides[i].second.next = 0.into();
            self.expander.item_ready.next = self.wides[i].item_ready.val();
            self.tvalid.next = self.wides[i].tvalid.val();
            self.tdata.next = self.wides[i].tdata.val();
            self.tlast.next = self.wides[i].tlast.val();
            self.wides[i].tready.next = self.tready.val();
            self.busy.next = self.expander.busy.val() | self.wides[i].busy.val();
            self.count_unit.next = self.wides[i].count_unit.val();
            self.count_stall.next = self.wides[i].count_stall.val();
        }
        for i in 0..Self::PAIRS {
            self.wides[i].second_valid.next = self.expander.item_valid[i + 1].val();
            self.wides[i].second.next = self.expander.item[i + 1].val();
        }
    }
}
