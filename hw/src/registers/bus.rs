//! AXI4-Lite, one write and one read at a time.

use rust_hdl::prelude::*;

/// Cycles from a read's address to its data.
pub const READ_CYCLES: u64 = 3;

/// The slave's end of AXI4-Lite: a write is a strobe, a read is an address that stands until the data is fetched.
///
/// Every access is answered with OKAY. All are taken to be of 32 bits, WSTRB is not looked at; a write that is not aligned is answered and not
/// done.
#[derive(LogicBlock)]
pub struct Bus {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets accesses that are not answered.
    pub reset: Signal<In, Bit>,

    /// AXI4-Lite, write address.
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

    /// A register is written, one cycle.
    pub write: Signal<Out, Bit>,
    /// Which.
    pub write_at: Signal<Out, Bits<16>>,
    /// What.
    pub write_data: Signal<Out, Bits<32>>,
    /// Register to read.
    pub read_at: Signal<Out, Bits<16>>,
    /// Its value, two cycles later.
    pub read_data: Signal<In, Bits<32>>,

    aw_held: DFF<Bit>,
    aw_at: DFF<Bits<16>>,
    w_held: DFF<Bit>,
    w_data: DFF<Bits<32>>,
    b_held: DFF<Bit>,
    both: Signal<Local, Bit>,
    strobe: DFF<Bit>,
    strobe_at: DFF<Bits<16>>,
    strobe_data: DFF<Bits<32>>,
    ar_held: DFF<Bit>,
    ar_at: DFF<Bits<16>>,
    waited: DFF<Bits<2>>,
    r_held: DFF<Bit>,
    r_data: DFF<Bits<32>>,
    enough: Constant<Bits<2>>,
}

impl Default for Bus {
    fn default() -> Self {
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
            write: Signal::default(),
            write_at: Signal::default(),
            write_data: Signal::default(),
            read_at: Signal::default(),
            read_data: Signal::default(),
            aw_held: DFF::default(),
            aw_at: DFF::default(),
            w_held: DFF::default(),
            w_data: DFF::default(),
            b_held: DFF::default(),
            both: Signal::default(),
            strobe: DFF::default(),
            strobe_at: DFF::default(),
            strobe_data: DFF::default(),
            ar_held: DFF::default(),
            ar_at: DFF::default(),
            waited: DFF::default(),
            r_held: DFF::default(),
            r_data: DFF::default(),
            enough: Constant::new(READ_CYCLES.into()),
        }
    }
}

impl Logic for Bus {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, aw_held, aw_at, w_held, w_data, b_held);
        dff_setup!(self, clock, strobe, strobe_at, strobe_data);
        dff_setup!(self, clock, ar_held, ar_at, waited, r_held, r_data);

        // Address and data come in any order; the next ones wait until the response is taken.
        if !self.aw_held.q.val() & self.awvalid.val() {
            self.aw_held.d.next = true;
            self.aw_at.d.next = self.awaddr.val();
        }
        if !self.w_held.q.val() & self.wvalid.val() {
            self.w_held.d.next = true;
            self.w_data.d.next = self.wdata.val();
        }
        if self.bready.val() {
            self.b_held.d.next = false;
        }
        self.both.next = self.aw_held.q.val() & self.w_held.q.val() & !self.b_held.q.val();
        if self.both.val() {
            self.aw_held.d.next = false;
            self.w_held.d.next = false;
            self.b_held.d.next = true;
        }
        self.strobe.d.next = self.both.val() & !self.aw_at.q.val().get_bits::<2>(0).any();
        self.strobe_at.d.next = self.aw_at.q.val();
        self.strobe_data.d.next = self.w_data.q.val();

        if !self.ar_held.q.val() & self.arvalid.val() {
            self.ar_held.d.next = true;
            self.ar_at.d.next = self.araddr.val();
            self.waited.d.next = 0.into();
        }
        if self.rready.val() {
            self.r_held.d.next = false;
        }
        if self.ar_held.q.val() & (self.waited.q.val() != self.enough.val()) {
            self.waited.d.next = self.waited.q.val() + 1;
        }
        if self.ar_held.q.val() & (self.waited.q.val() == self.enough.val()) & !self.r_held.q.val()
        {
            self.ar_held.d.next = false;
            self.r_held.d.next = true;
            self.r_data.d.next = self.read_data.val();
        }

        if self.reset.val() {
            self.aw_held.d.next = false;
            self.w_held.d.next = false;
            self.b_held.d.next = false;
            self.strobe.d.next = false;
            self.ar_held.d.next = false;
            self.r_held.d.next = false;
        }

        self.awready.next = !self.aw_held.q.val();
        self.wready.next = !self.w_held.q.val();
        self.bvalid.next = self.b_held.q.val();
        self.arready.next = !self.ar_held.q.val();
        self.rvalid.next = self.r_held.q.val();
        self.rdata.next = self.r_data.q.val();
        self.write.next = self.strobe.q.val();
        self.write_at.next = self.strobe_at.q.val();
        self.write_data.next = self.strobe_data.q.val();
        self.read_at.next = self.ar_at.q.val();
    }
}
