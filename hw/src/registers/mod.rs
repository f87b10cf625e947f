//! Registers: identity, control, table window and counters behind AXI4-Lite; `card_protocol::register` has the map.

mod bus;
mod counters;
mod table;
#[cfg(test)]
mod tests;

pub use bus::Bus;
pub use counters::{COUNTERS, Counters};
pub use table::TableWindow;

use card_protocol::record;
use card_protocol::register as map;
use rust_hdl::prelude::*;
use weir_tables::Geometry;

/// Cycles of `clear`, enough for the longest pipeline.
const CLEAR: u64 = 40;
/// `LIMIT` and `LINGER` after reset.
const LIMIT: u64 = 0xFFFF;
const LINGER: u64 = 64;
/// Registers that are read as they stand: all but the counters.
const PLAIN: usize = 18;

/// The register file of a core.
#[derive(LogicBlock)]
pub struct Registers {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Sets the control registers back and clears the core. The same is done at power-up.
    pub reset: Signal<In, Bit>,

    /// AXI4-Lite, see [`Bus`].
    pub awvalid: Signal<In, Bit>,
    /// Byte address.
    pub awaddr: Signal<In, Bits<16>>,
    /// Taken.
    pub awready: Signal<Out, Bit>,
    /// Write data.
    pub wvalid: Signal<In, Bit>,
    /// The word.
    pub wdata: Signal<In, Bits<32>>,
    /// Taken.
    pub wready: Signal<Out, Bit>,
    /// Write response.
    pub bvalid: Signal<Out, Bit>,
    /// Taken.
    pub bready: Signal<In, Bit>,
    /// Read address.
    pub arvalid: Signal<In, Bit>,
    /// Byte address.
    pub araddr: Signal<In, Bits<16>>,
    /// Taken.
    pub arready: Signal<Out, Bit>,
    /// Read data.
    pub rvalid: Signal<Out, Bit>,
    /// The word.
    pub rdata: Signal<Out, Bits<32>>,
    /// Taken.
    pub rready: Signal<In, Bit>,

    /// To all blocks: start over. 40 cycles after reset or flush.
    pub clear: Signal<Out, Bit>,
    /// Records are taken.
    pub enable: Signal<Out, Bit>,
    /// `NONCE`.
    pub nonce: Signal<Out, Bits<32>>,
    /// `GENERATION_EVEN`, bits 16..0.
    pub even: Signal<Out, Bits<17>>,
    /// `GENERATION_ODD`, bits 16..0.
    pub odd: Signal<Out, Bits<17>>,
    /// `LIMIT`.
    pub limit: Signal<Out, Bits<16>>,
    /// `LINGER`.
    pub linger: Signal<Out, Bits<16>>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<Out, Bits<576>>,
    /// To all memories: a word is written, one cycle. It is within the memory.
    pub write_strobe: Signal<Out, Bit>,
    /// In this memory (`TABLE_SELECT`).
    pub write_select: Signal<Out, Bits<7>>,
    /// At this place.
    pub write_address: Signal<Out, Bits<16>>,
    /// The word.
    pub write_data: Signal<Out, Bits<32>>,

    /// There is something in the core.
    pub busy: Signal<In, Bit>,
    /// The front is hunting for a header.
    pub hunting: Signal<In, Bit>,
    /// What to count in this cycle; see the counter of the same name in the map.
    pub count_beat: Signal<In, Bit>,
    /// `COUNT_STALLS`.
    pub count_stall: Signal<In, Bit>,
    /// `COUNT_RECORDS`.
    pub count_record: Signal<In, Bit>,
    /// `COUNT_BYTES`.
    pub count_bytes: Signal<In, Bits<15>>,
    /// `COUNT_LOST`.
    pub count_lost: Signal<In, Bit>,
    /// `COUNT_DAMAGED`.
    pub count_damaged: Signal<In, Bit>,
    /// `COUNT_STALE`.
    pub count_stale: Signal<In, Bit>,
    /// `COUNT_MALFORMED`.
    pub count_malformed: Signal<In, Bit>,
    /// `COUNT_OVERFLOWS`.
    pub count_overflow: Signal<In, Bit>,
    /// `COUNT_CANDIDATES`, of all slices together.
    pub count_candidates: Signal<In, Bits<8>>,
    /// `COUNT_LOOKUPS`, of all engines together.
    pub count_lookups: Signal<In, Bits<8>>,
    /// `COUNT_HITS`.
    pub count_hits: Signal<In, Bits<2>>,
    /// `COUNT_UNITS`.
    pub count_unit: Signal<In, Bit>,
    /// `COUNT_OUT_STALLS`.
    pub count_out_stall: Signal<In, Bit>,

    bus: Bus,
    window: TableWindow,
    counters: Counters,
    // All registers start at 0, so this one tells power-up.
    running: DFF<Bit>,
    start_over: Signal<Local, Bit>,
    cleared: DFF<Bits<6>>,
    enabled: DFF<Bit>,
    nonce_now: DFF<Bits<32>>,
    even_now: DFF<Bits<17>>,
    odd_now: DFF<Bits<17>>,
    limit_now: DFF<Bits<16>>,
    linger_now: DFF<Bits<16>>,
    select: DFF<Bits<32>>,
    address: DFF<Bits<32>>,
    status: DFF<Bits<2>>,
    clear_now: DFF<Bit>,
    table_write: Signal<Local, Bit>,
    at: Signal<Local, Bits<16>>,
    data: Signal<Local, Bits<32>>,
    plain: [Signal<Local, Bits<32>>; PLAIN],
    value: Signal<Local, Bits<32>>,
    plain_read: DFF<Bits<32>>,
    read: DFF<Bits<32>>,

    identity: [Constant<Bits<32>>; 8],
    plain_at: [Constant<Bits<16>>; PLAIN],
    at_control: Constant<Bits<16>>,
    at_nonce: Constant<Bits<16>>,
    at_even: Constant<Bits<16>>,
    at_odd: Constant<Bits<16>>,
    at_limit: Constant<Bits<16>>,
    at_linger: Constant<Bits<16>>,
    at_select: Constant<Bits<16>>,
    at_address: Constant<Bits<16>>,
    at_data: Constant<Bits<16>>,
    at_check: Constant<Bits<16>>,
    first_limit: Constant<Bits<16>>,
    first_linger: Constant<Bits<16>>,
    clear_cycles: Constant<Bits<6>>,
}

fn at(address: u32) -> Constant<Bits<16>> {
    Constant::new(u64::from(address).into())
}

impl Registers {
    /// The registers of a core of this size, of this source revision (its first 32 bits, 0 if unknown), built for this clock.
    pub fn new(geometry: &Geometry, revision: u32, clock_khz: u32) -> Self {
        let filters = (0..)
            .zip(geometry.filters)
            .fold(0, |all, (class, bits)| all | (bits & 31) << (5 * class));
        let lanes = geometry.lanes | geometry.slices() << 8 | geometry.engines << 16;
        // In the order of their addresses, from 0 on.
        let identity = [
            map::MAGIC_VALUE,
            map::INTERFACE_VALUE,
            revision,
            lanes as u32,
            filters,
            geometry.exact,
            clock_khz,
            record::MAX_LENGTH as u32,
        ];
        // In the order of `plain`.
        let addresses = [
            map::MAGIC,
            map::INTERFACE,
            map::REVISION,
            map::LANES,
            map::FILTERS,
            map::EXACT,
            map::CLOCK,
            map::MAX_LENGTH,
            map::CONTROL,
            map::STATUS,
            map::NONCE,
            map::GENERATION_EVEN,
            map::GENERATION_ODD,
            map::LIMIT,
            map::LINGER,
            map::TABLE_SELECT,
            map::TABLE_ADDRESS,
            map::TABLE_CHECK,
        ];
        Self {
            clock: Signal::default(),
            reset: Signal::default(),
            awvalid: Signal::default(),
            awaddr: Signal::default(),
            awready: Signal::default(),
            wvalid: Signal::default(),
            wdata: Signal::default(),
            wready: Signal::default(),
            bvalid: Signal::default(),
            bready: Signal::default(),
            arvalid: Signal::default(),
            araddr: Signal::default(),
            arready: Signal::default(),
            rvalid: Signal::default(),
            rdata: Signal::default(),
            rready: Signal::default(),
            clear: Signal::default(),
            enable: Signal::default(),
            nonce: Signal::default(),
            even: Signal::default(),
            odd: Signal::default(),
            limit: Signal::default(),
            linger: Signal::default(),
            key: Signal::default(),
            write_strobe: Signal::default(),
            write_select: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            busy: Signal::default(),
            hunting: Signal::default(),
            count_beat: Signal::default(),
            count_stall: Signal::default(),
            count_record: Signal::default(),
            count_bytes: Signal::default(),
            count_lost: Signal::default(),
            count_damaged: Signal::default(),
            count_stale: Signal::default(),
            count_malformed: Signal::default(),
            count_overflow: Signal::default(),
            count_candidates: Signal::default(),
            count_lookups: Signal::default(),
            count_hits: Signal::default(),
            count_unit: Signal::default(),
            count_out_stall: Signal::default(),
            bus: Bus::default(),
            window: TableWindow::new(geometry),
            counters: Counters::default(),
            running: DFF::default(),
            start_over: Signal::default(),
            cleared: DFF::default(),
            enabled: DFF::default(),
            nonce_now: DFF::default(),
            even_now: DFF::default(),
            odd_now: DFF::default(),
            limit_now: DFF::default(),
            linger_now: DFF::default(),
            select: DFF::default(),
            address: DFF::default(),
            status: DFF::default(),
            clear_now: DFF::default(),
            table_write: Signal::default(),
            at: Signal::default(),
            data: Signal::default(),
            plain: std::array::from_fn(|_| Signal::default()),
            value: Signal::default(),
            plain_read: DFF::default(),
            read: DFF::default(),
            identity: identity.map(|value| Constant::new(u64::from(value).into())),
            plain_at: addresses.map(at),
            at_control: at(map::CONTROL),
            at_nonce: at(map::NONCE),
            at_even: at(map::GENERATION_EVEN),
            at_odd: at(map::GENERATION_ODD),
            at_limit: at(map::LIMIT),
            at_linger: at(map::LINGER),
            at_select: at(map::TABLE_SELECT),
            at_address: at(map::TABLE_ADDRESS),
            at_data: at(map::TABLE_DATA),
            at_check: at(map::TABLE_CHECK),
            first_limit: Constant::new(LIMIT.into()),
            first_linger: Constant::new(LINGER.into()),
            clear_cycles: Constant::new(CLEAR.into()),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, running, cleared, enabled, nonce_now, even_now, odd_now
        );
        dff_setup!(
            self, clock, limit_now, linger_now, select, address, status, clear_now
        );
        dff_setup!(self, clock, plain_read, read);
        clock!(self, clock, bus, window, counters);
        self.start_over.next = self.reset.val() | !self.running.q.val();
        self.running.d.next = true;

        self.bus.reset.next = self.start_over.val();
        self.bus.awvalid.next = self.awvalid.val();
        self.bus.awaddr.next = self.awaddr.val();
        self.awready.next = self.bus.awready.val();
        self.bus.wvalid.next = self.wvalid.val();
        self.bus.wdata.next = self.wdata.val();
        self.wready.next = self.bus.wready.val();
        self.bvalid.next = self.bus.bvalid.val();
        self.bus.bready.next = self.bready.val();
        self.bus.arvalid.next = self.arvalid.val();
        self.bus.araddr.next = self.araddr.val();
        self.arready.next = self.bus.arready.val();
        self.rvalid.next = self.bus.rvalid.val();
        self.rdata.next = self.bus.rdata.val();
        self.bus.rready.next = self.rready.val();

        // Writes.
        self.at.next = self.bus.write_at.val();
        self.data.next = self.bus.write_data.val();
        self.table_write.next = self.bus.write.val() & (self.at.val() == self.at_data.val());
        if self.cleared.q.val() != self.clear_cycles.val() {
            self.cleared.d.next = self.cleared.q.val() + 1;
        }
        if self.bus.write.val() {
            if self.at.val() == self.at_control.val() {
                self.enabled.d.next = self.data.val().get_bit(0);
                if self.data.val().get_bit(1) {
                    self.cleared.d.next = 0.into();
                }
            }
            if self.at.val() == self.at_nonce.val() {
                self.nonce_now.d.next = self.data.val();
            }
            if self.at.val() == self.at_even.val() {
                self.even_now.d.next = self.data.val().get_bits::<17>(0);
            }
            if self.at.val() == self.at_odd.val() {
                self.odd_now.d.next = self.data.val().get_bits::<17>(0);
            }
            if self.at.val() == self.at_limit.val() {
                self.limit_now.d.next = self.data.val().get_bits::<16>(0);
            }
            if self.at.val() == self.at_linger.val() {
                self.linger_now.d.next = self.data.val().get_bits::<16>(0);
            }
            if self.at.val() == self.at_select.val() {
                self.select.d.next = self.data.val();
            }
            if self.at.val() == self.at_address.val() {
                self.address.d.next = self.data.val();
            }
        }
        if self.table_write.val() {
            self.address.d.next = self.address.q.val() + 1;
        }
        self.clear_now.d.next = self.cleared.q.val() != self.clear_cycles.val();
        if self.start_over.val() {
            self.cleared.d.next = 0.into();
            self.clear_now.d.next = true;
            self.enabled.d.next = false;
            self.nonce_now.d.next = 0.into();
            self.even_now.d.next = 0.into();
            self.odd_now.d.next = 0.into();
            self.limit_now.d.next = self.first_limit.val();
            self.linger_now.d.next = self.first_linger.val();
            self.select.d.next = 0.into();
            self.address.d.next = 0.into();
        }
        self.clear.next = self.clear_now.q.val();
        self.enable.next = self.enabled.q.val();
        self.nonce.next = self.nonce_now.q.val();
        self.even.next = self.even_now.q.val();
        self.odd.next = self.odd_now.q.val();
        self.limit.next = self.limit_now.q.val();
        self.linger.next = self.linger_now.q.val();

        // Tables.
        self.window.write.next = self.table_write.val();
        self.window.select.next = self.select.q.val();
        self.window.address.next = self.address.q.val();
        self.window.data.next = self.data.val();
        self.window.restart.next = self.bus.write.val() & (self.at.val() == self.at_check.val());
        self.write_strobe.next = self.window.write_strobe.val();
        self.write_select.next = self.window.write_select.val();
        self.write_address.next = self.window.write_address.val();
        self.write_data.next = self.window.write_data.val();
        self.key.next = self.window.key.val();

        // Reads.
        self.status.d.next = bit_cast::<2, 1>(self.hunting.val().into()) << 1;
        if !self.busy.val() & !self.clear_now.q.val() {
            self.status.d.next = (bit_cast::<2, 1>(self.hunting.val().into()) << 1) | 1;
        }
        for i in 0..8 {
            self.plain[i].next = self.identity[i].val();
        }
        self.plain[8].next = bit_cast::<32, 1>(self.enabled.q.val().into());
        self.plain[9].next = bit_cast::<32, 2>(self.status.q.val());
        self.plain[10].next = self.nonce_now.q.val();
        self.plain[11].next = bit_cast::<32, 17>(self.even_now.q.val());
        self.plain[12].next = bit_cast::<32, 17>(self.odd_now.q.val());
        self.plain[13].next = bit_cast::<32, 16>(self.limit_now.q.val());
        self.plain[14].next = bit_cast::<32, 16>(self.linger_now.q.val());
        self.plain[15].next = self.select.q.val();
        self.plain[16].next = self.address.q.val();
        self.plain[17].next = self.window.check.val();
        self.value.next = 0.into();
        for i in 0..18 {
            if self.bus.read_at.val() == self.plain_at[i].val() {
                self.value.next = self.plain[i].val();
            }
        }
        self.plain_read.d.next = self.value.val();
        self.counters.read_at.next = self.bus.read_at.val();
        self.read.d.next = self.plain_read.q.val() | self.counters.read_data.val();
        self.bus.read_data.next = self.read.q.val();

        // Counters, in the order of their addresses.
        self.counters.steps[0].next = 1.into();
        self.counters.steps[1].next = bit_cast::<16, 1>(self.count_beat.val().into());
        self.counters.steps[2].next = bit_cast::<16, 1>(self.count_stall.val().into());
        self.counters.steps[3].next = bit_cast::<16, 1>(self.count_record.val().into());
        self.counters.steps[4].next = bit_cast::<16, 15>(self.count_bytes.val());
        self.counters.steps[5].next = bit_cast::<16, 1>(self.count_lost.val().into());
        self.counters.steps[6].next = bit_cast::<16, 1>(self.count_damaged.val().into());
        self.counters.steps[7].next = bit_cast::<16, 1>(self.count_stale.val().into());
        self.counters.steps[8].next = bit_cast::<16, 1>(self.count_malformed.val().into());
        self.counters.steps[9].next = bit_cast::<16, 1>(self.count_overflow.val().into());
        self.counters.steps[10].next = bit_cast::<16, 8>(self.count_candidates.val());
        self.counters.steps[11].next = bit_cast::<16, 8>(self.count_lookups.val());
        self.counters.steps[12].next = bit_cast::<16, 2>(self.count_hits.val());
        self.counters.steps[13].next = bit_cast::<16, 1>(self.count_unit.val().into());
        self.counters.steps[14].next = bit_cast::<16, 1>(self.count_out_stall.val().into());
        self.counters.steps[15].next = bit_cast::<16, 1>(self.window.count_write.val().into());
        self.counters.steps[16].next = bit_cast::<16, 1>(self.window.count_error.val().into());
    }
}
