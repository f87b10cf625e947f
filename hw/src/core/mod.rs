//! The core: all blocks joined, with AXI4-Stream in and out and AXI4-Lite beside.
//!
//! ```text
//! s_axis ─► front ─► slices ─► merge ─► exact ─► joint ─► writer ─► gearbox ─► m_axis
//!             └─ ends of records ────────────────────────►┘
//! s_axil ─► registers: control, key and table writes to all; strobes of the counters from all
//! ```

mod cluster;
mod flight;
mod room;
mod shapes;

pub use cluster::Cluster;
pub use flight::Flight;
pub use room::with_room;
pub use shapes::{
    Build, Core8Compact, Core8Full, Core16Compact, Core16Full, Core32Compact, Core32Full,
    Core64Compact, Core64Full,
};

use rust_hdl::prelude::*;

use crate::front::Front;
use crate::merge::Merge;
use crate::parts::Delay;
use crate::registers::Registers;
use crate::writer::{Gearbox, Writer};
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
/// say so: `W` = 8 L bits of a beat, `N` = W + 192 bits of window, `E` clusters (exact engines) of `K` slices, `P` = 8 K lanes and `M` = 64 K + 192 bits
/// of window each, `A8` to `A2` address bits of the filters, `X` of a way of the exact table.
#[derive(LogicBlock)]
pub struct Core<
    const L: usize,
    const W: usize,
    const N: usize,
    const E: usize,
    const K: usize,
    const P: usize,
    const M: usize,
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
    clusters: [Cluster<K, P, M, A8, A6, A4, A3, A2, X>; E],
    /// Where each cluster starts in the beat.
    offsets: [Constant<Bits<16>>; E],
    /// The same in bits.
    starts: [Constant<Bits<16>>; E],
    joint: Merge<E, 100>,
    writer: Writer,
    gearbox: Gearbox<W>,
    flight: Flight,
    all_ready: Signal<Local, bool>,
    examined: Signal<Local, Bits<8>>,
    looked_up: Signal<Local, Bits<8>>,
}

impl<
    const L: usize,
    const W: usize,
    const N: usize,
    const E: usize,
    const K: usize,
    const P: usize,
    const M: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Core<L, W, N, E, K, P, M, A8, A6, A4, A3, A2, X>
{
    /// The geometry that the parameters stand for.
    pub const SHAPE: Geometry = {
        assert!(W == 8 * L && N == W + 192 && P * E == L);
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
            clusters: std::array::from_fn(|_| Default::default()),
            offsets: std::array::from_fn(|e| Constant::new(bits((P * e) as u64))),
            starts: std::array::from_fn(|e| Constant::new(bits(8 * (P * e) as u64))),
            joint: Default::default(),
            writer: Default::default(),
            gearbox: Default::default(),
            flight: Default::default(),
            all_ready: Default::default(),
            examined: Default::default(),
            looked_up: Default::default(),
        }
    }
}

impl<
    const L: usize,
    const W: usize,
    const N: usize,
    const E: usize,
    const K: usize,
    const P: usize,
    const M: usize,
    const A8: usize,
    const A6: usize,
    const A4: usize,
    const A3: usize,
    const A2: usize,
    const X: usize,
> Logic for Core<L, W, N, E, K, P, M, A8, A6, A4, A3, A2, X>
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
            joint,
            writer,
            gearbox,
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

        // To the clusters, and on.
        self.all_ready.next = true;
        self.examined.next = 0.into();
        self.looked_up.next = 0.into();
        for i in 0..E {
            self.clusters[i].clock.next = self.clock.val();
            self.clusters[i].clear.next = self.registers.clear.val();
            self.clusters[i].valid.next = self.front.valid.val();
            self.clusters[i].window.next = self
                .front
                .window
                .val()
                .get_bits::<M>(self.starts[i].val().index());
            self.clusters[i].keep.next = self
                .front
                .keep
                .val()
                .get_bits::<P>(self.offsets[i].val().index());
            self.clusters[i].base.next = self.front.base.val() + self.offsets[i].val();
            self.clusters[i].carry.next = self.front.carry.val();
            self.clusters[i].group.next = self.front.group.val();
            self.clusters[i].parity.next = self.front.parity.val();
            self.clusters[i].serial.next = self.front.serial.val();
            self.clusters[i].last.next = self.front.last.val();
            self.clusters[i].key.next = self.registers.key.val();
            self.clusters[i].limit.next = self.registers.limit.val();
            self.clusters[i].write_select.next = self.late_select.q.val();
            self.clusters[i].write_address.next = self.late_address.q.val();
            self.clusters[i].write_data.next = self.late_data.q.val();
            self.clusters[i].write_strobe.next = self.late_strobe.q.val();
            if !self.clusters[i].ready.val() {
                self.all_ready.next = false;
            }
            self.joint.valid[i].next = self.clusters[i].item_valid.val();
            self.joint.data[i].next = self.clusters[i].item.val();
            self.joint.last[i].next = self.clusters[i].item_last.val();
            self.joint.overflow[i].next = self.clusters[i].item_overflow.val();
            self.clusters[i].item_ready.next = self.joint.ready[i].val();
            self.examined.next = self.examined.val() + self.clusters[i].examined.val();
            self.looked_up.next = self.looked_up.val() + self.clusters[i].looked_up.val();
        }
        self.front.slices_ready.next = self.all_ready.val();
        self.joint.clear.next = self.registers.clear.val();

        // Reports out.
        self.flight.clear.next = self.registers.clear.val();
        self.flight.leaves.next = self.front.valid.val() & self.front.last.val();
        self.flight.arrives.next =
            self.joint.out_valid.val() & self.joint.out_last.val() & self.writer.ready.val();
        self.writer.clear.next = self.registers.clear.val();
        self.writer.nonce.next = self.registers.nonce.val();
        self.writer.linger.next = self.registers.linger.val();
        self.writer.upstream_busy.next = self.front.busy.val() | self.flight.any.val();
        self.writer.hits.next = self.joint.out_data.val();
        self.writer.last.next = self.joint.out_last.val();
        self.writer.overflow.next = self.joint.out_overflow.val();
        self.writer.valid.next = self.joint.out_valid.val();
        self.joint.out_ready.next = self.writer.ready.val();
        self.writer.end_valid.next = self.front.end_valid.val();
        self.writer.end_data.next = self.front.end_data.val();
        self.gearbox.clear.next = self.registers.clear.val();
        self.gearbox.word_valid.next = self.writer.tvalid.val();
        self.gearbox.word.next = self.writer.tdata.val();
        self.gearbox.word_last.next = self.writer.tlast.val();
        self.writer.tready.next = self.gearbox.word_ready.val();
        self.m_axis_tvalid.next = self.gearbox.tvalid.val();
        self.m_axis_tdata.next = self.gearbox.tdata.val();
        self.m_axis_tlast.next = self.gearbox.tlast.val();
        self.gearbox.tready.next = self.m_axis_tready.val();

        // Status and counters.
        self.registers.busy.next = (self.front.busy.val() | self.flight.any.val())
            | (self.writer.busy.val() | self.gearbox.busy.val());
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
        self.registers.count_candidates.next = self.examined.val();
        self.registers.count_lookups.next = self.looked_up.val();
        self.registers.count_hit.next = self.writer.count_hit.val();
        self.registers.count_unit.next = self.writer.count_unit.val();
        self.registers.count_out_stall.next = self.writer.count_stall.val();
    }
}
