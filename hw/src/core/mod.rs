//! The core: all blocks joined, with AXI4-Stream in and out and AXI4-Lite beside.
//!
//! ```text
//! s_axis ─► front ─► slices ─► banks ─► exact engines ─► writer ─► m_axis
//!             └─ ends of records ──────────────────►┘
//! s_axil ─► registers: control, key and table writes to all; strobes of the counters from all
//! ```

mod cluster;
mod engine;
mod flight;
mod room;
mod shapes;

pub use cluster::Cluster;
pub use engine::Engine;
pub use flight::Flight;
pub use room::with_room;
pub use shapes::{
    Build, Core8Compact, Core8Full, Core16Compact, Core16Full, Core32Compact, Core32Full,
    Core64Compact, Core64Full,
};

use rust_hdl::prelude::*;

use crate::front::Front;
use crate::parts::Delay;
use crate::registers::Registers;
use crate::writer::Writer;
use weir_tables::Geometry;

/// Cycles from the front's `enable` to the beats that it lets in.
const FRONT: usize = 7;

/// What a core says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity {
    /// First 32 bits of the source revision, 0 if unknown.
    pub revision: u32,
    /// Clock that it is built for, in kHz; 0 if that is not said.
    pub clock_khz: u32,
}

/// A core of `L` lanes (8, 16, 32 or 64).
///
/// The other parameters follow from that and the tables' sizes ([`Geometry`]), but the language does not let types
/// say so: `W` = 8 L bits of a beat, `N` = W + 192 bits of window, `S` = L / 8 slices, `E` exact engines of `B` banks each and `J` sources (see [`Engine`]),
/// `A8` to `A2` address bits of the filters, `X` of a way of the exact table.
#[derive(LogicBlock)]
pub struct Core<
    const L: usize,
    const W: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub aresetn: Signal<In, bool>,
    /// Records: the beat.
    pub s_axis_tdata: Signal<In, Bits<W>>,
    /// There is one.
    pub s_axis_tvalid: Signal<In, bool>,
    /// It is taken.
    pub s_axis_tready: Signal<Out, bool>,
    /// Report units: the beat.
    pub m_axis_tdata: Signal<Out, Bits<W>>,
    /// There is one.
    pub m_axis_tvalid: Signal<Out, bool>,
    /// It is taken.
    pub m_axis_tready: Signal<In, bool>,
    /// It ends a unit.
    pub m_axis_tlast: Signal<Out, bool>,
    /// Registers, as AXI4-Lite has it.
    pub s_axil_awaddr: Signal<In, Bits<16>>,
    /// See AXI4-Lite.
    pub s_axil_awvalid: Signal<In, bool>,
    /// See AXI4-Lite.
    pub s_axil_awready: Signal<Out, bool>,
    /// See AXI4-Lite.
    pub s_axil_wdata: Signal<In, Bits<32>>,
    /// See AXI4-Lite.
    pub s_axil_wvalid: Signal<In, bool>,
    /// See AXI4-Lite.
    pub s_axil_wready: Signal<Out, bool>,
    /// See AXI4-Lite.
    pub s_axil_bvalid: Signal<Out, bool>,
    /// See AXI4-Lite.
    pub s_axil_bready: Signal<In, bool>,
    /// See AXI4-Lite.
    pub s_axil_araddr: Signal<In, Bits<16>>,
    /// See AXI4-Lite.
    pub s_axil_arvalid: Signal<In, bool>,
    /// See AXI4-Lite.
    pub s_axil_arready: Signal<Out, bool>,
    /// See AXI4-Lite.
    pub s_axil_rdata: Signal<Out, Bits<32>>,
    /// See AXI4-Lite.
    pub s_axil_rvalid: Signal<Out, bool>,
    /// See AXI4-Lite.
    pub s_axil_rready: Signal<In, bool>,
    registers: Registers,
    front: Front<L, W, N>,
    // Table writes, as much later as a beat comes out of the front after `enable` has risen.
    late_select: Delay<Bits<7>, FRONT>,
    late_address: Delay<Bits<16>, FRONT>,
    late_data: Delay<Bits<32>, FRONT>,
    late_strobe: Delay<bool, FRONT>,
    cluster: Cluster<L, N, S, E, B, J, A8, A6, A4, A3, A2, X>,
    writer: Writer<E, W>,
    flight: Flight,
}

impl<
    const L: usize,
    const W: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Core<L, W, N, S, E, B, J, A8, A6, A4, A3, A2, X>
{
    /// The geometry that the parameters stand for.
    pub const SHAPE: Geometry = {
        assert!(W == 8 * L && N == W + 192);
        Geometry {
            lanes: L,
            filters: [A8 as u32, A6 as u32, A4 as u32, A3 as u32, A2 as u32],
            exact: X as u32,
            engines: E,
        }
    };

    /// A core that says of itself that it was built from this revision (its first 32 bits, 0 if unknown) for this clock.
    pub fn new(identity: &Identity) -> Self {
        Self {
            registers: Registers::new(&Self::SHAPE, identity.revision, identity.clock_khz),
            clock: Default::default(),
            aresetn: Default::default(),
            s_axis_tdata: Default::default(),
            s_axis_tvalid: Default::default(),
            s_axis_tready: Default::default(),
            m_axis_tdata: Default::default(),
            m_axis_tvalid: Default::default(),
            m_axis_tready: Default::default(),
            m_axis_tlast: Default::default(),
            s_axil_awaddr: Default::default(),
            s_axil_awvalid: Default::default(),
            s_axil_awready: Default::default(),
            s_axil_wdata: Default::default(),
            s_axil_wvalid: Default::default(),
            s_axil_wready: Default::default(),
            s_axil_bvalid: Default::default(),
            s_axil_bready: Default::default(),
            s_axil_araddr: Default::default(),
            s_axil_arvalid: Default::default(),
            s_axil_arready: Default::default(),
            s_axil_rdata: Default::default(),
            s_axil_rvalid: Default::default(),
            s_axil_rready: Default::default(),
            front: Default::default(),
            late_select: Default::default(),
            late_address: Default::default(),
            late_data: Default::default(),
            late_strobe: Default::default(),
            cluster: Default::default(),
            writer: Default::default(),
            flight: Default::default(),
        }
    }
}

impl<
    const L: usize,
    const W: usize,
    const N: usize,
    const S: usize,
    const E: usize,
    const B: usize,
    const J: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Logic for Core<L, W, N, S, E, B, J, A8, A6, A4, A3, A2, X>
{
    #[hdl_gen]
    fn update(&mut self) {
        clock!(
            self,
            clock,
            registers,
            front,
            late_select,
            late_address,
            late_data,
            late_strobe,
            cluster,
            writer,
            flight
        );

        // Registers.
        self.registers.reset.next = !self.aresetn.val();
        self.registers.awvalid.next = self.s_axil_awvalid.val();
        self.registers.awaddr.next = self.s_axil_awaddr.val();
        self.s_axil_awready.next = self.registers.awready.val();
        self.registers.wvalid.next = self.s_axil_wvalid.val();
        self.registers.wdata.next = self.s_axil_wdata.val();
        self.s_axil_wready.next = self.registers.wready.val();
        self.s_axil_bvalid.next = self.registers.bvalid.val();
        self.registers.bready.next = self.s_axil_bready.val();
        self.registers.arvalid.next = self.s_axil_arvalid.val();
        self.registers.araddr.next = self.s_axil_araddr.val();
        self.s_axil_arready.next = self.registers.arready.val();
        self.s_axil_rvalid.next = self.registers.rvalid.val();
        self.s_axil_rdata.next = self.registers.rdata.val();
        self.registers.rready.next = self.s_axil_rready.val();

        // Records in.
        self.front.clear.next = self.registers.clear.val();
        self.front.tvalid.next = self.s_axis_tvalid.val();
        self.front.tdata.next = self.s_axis_tdata.val();
        self.s_axis_tready.next = self.front.tready.val();
        // A table write finds a gap: no beat is taken that would be with the slices when it is.
        self.front.enable.next = self.registers.enable.val() & !self.registers.write_strobe.val();
        self.late_select.d.next = self.registers.write_select.val();
        self.late_address.d.next = self.registers.write_address.val();
        self.late_data.d.next = self.registers.write_data.val();
        self.late_strobe.d.next = self.registers.write_strobe.val();
        self.front.nonce.next = self.registers.nonce.val();
        self.front.even.next = self.registers.even.val();
        self.front.odd.next = self.registers.odd.val();
        self.front.ends_ready.next = self.writer.ends_ready.val();

        // To the slices, and on.
        self.front.slices_ready.next = self.cluster.ready.val();
        self.cluster.clear.next = self.registers.clear.val();
        self.cluster.valid.next = self.front.valid.val();
        self.cluster.window.next = self.front.window.val();
        self.cluster.keep.next = self.front.keep.val();
        self.cluster.base.next = self.front.base.val();
        self.cluster.carry.next = self.front.carry.val();
        self.cluster.group.next = self.front.group.val();
        self.cluster.parity.next = self.front.parity.val();
        self.cluster.serial.next = self.front.serial.val();
        self.cluster.last.next = self.front.last.val();
        self.cluster.key.next = self.registers.key.val();
        self.cluster.limit.next = self.registers.limit.val();
        self.cluster.write_select.next = self.late_select.q.val();
        self.cluster.write_address.next = self.late_address.q.val();
        self.cluster.write_data.next = self.late_data.q.val();
        self.cluster.write_strobe.next = self.late_strobe.q.val();

        // Reports out.
        self.flight.clear.next = self.registers.clear.val();
        self.flight.leaves.next = self.front.valid.val() & self.front.last.val();
        self.flight.arrives.next = self.writer.ended.val();
        self.writer.clear.next = self.registers.clear.val();
        self.writer.nonce.next = self.registers.nonce.val();
        self.writer.linger.next = self.registers.linger.val();
        self.writer.upstream_busy.next = self.front.busy.val() | self.flight.any.val();
        for i in 0..E {
            self.writer.hits[i].next = self.cluster.item[i].val();
            self.writer.last[i].next = self.cluster.item_last[i].val();
            self.writer.overflow[i].next = self.cluster.item_overflow[i].val();
            self.writer.valid[i].next = self.cluster.item_valid[i].val();
            self.cluster.item_ready[i].next = self.writer.ready[i].val();
        }
        self.writer.end_valid.next = self.front.end_valid.val();
        self.writer.end_data.next = self.front.end_data.val();
        self.m_axis_tvalid.next = self.writer.tvalid.val();
        self.m_axis_tdata.next = self.writer.tdata.val();
        self.m_axis_tlast.next = self.writer.tlast.val();
        self.writer.tready.next = self.m_axis_tready.val();

        // Status and counters.
        self.registers.busy.next =
            self.front.busy.val() | self.flight.any.val() | self.writer.busy.val();
        self.registers.hunting.next = self.front.hunting.val();
        self.registers.count_beat.next = self.front.count_beat.val();
        self.registers.count_stall.next = self.front.count_stall.val();
        self.registers.count_record.next = self.front.count_record.val();
        self.registers.count_bytes.next = self.front.count_bytes.val();
        self.registers.count_lost.next = self.front.count_lost.val();
        self.registers.count_damaged.next = self.front.count_damaged.val();
        self.registers.count_stale.next = self.front.count_stale.val();
        self.registers.count_malformed.next = self.front.count_malformed.val();
        self.registers.count_overflow.next = self.writer.count_overflow.val();
        self.registers.count_candidates.next = self.cluster.examined.val();
        self.registers.count_lookups.next = self.cluster.looked_up.val();
        self.registers.count_hits.next = self.writer.count_hits.val();
        self.registers.count_unit.next = self.writer.count_unit.val();
        self.registers.count_out_stall.next = self.writer.count_stall.val();
    }
}
