//! The core in Rust-HDL's own simulator: slow, but the description itself, without Verilog in between.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use card_protocol::register::{CONTROL, CONTROL_ENABLE, CONTROL_FLUSH};
use num_bigint::BigUint;
use rust_hdl::prelude::*;
use weir_hw::core::{Build, Core8Compact, Core16Compact, Identity};
use weir_tables::Geometry;

use crate::SimError;
use crate::core::{Access, Core, Until, Wires};

/// Cycles of a reset; the core takes nothing for some more.
const RESET: u64 = 8;
/// Cycles after which a flush is over.
const FLUSH: u64 = 200;
/// Rounds after which logic that still changes has a loop.
const ROUNDS: usize = 1000;

/// The ports of a core, whatever its width.
pub trait Pins: Block + Send {
    /// Clock and reset, which is active low.
    fn clock(&mut self, level: bool);
    /// Active low.
    fn reset(&mut self, running: bool);
    /// Offers a beat, or none.
    fn offer(&mut self, beat: Option<&[u8]>);
    /// A beat is taken if it is offered.
    fn ready(&self) -> bool;
    /// Takes output if there is some.
    fn take(&mut self, ready: bool);
    /// Adds the output that is offered to `to`; false when there is none.
    fn output(&self, to: &mut Vec<u8>) -> bool;
    /// The output offered ends a unit.
    fn last(&self) -> bool;
    /// The registers' side.
    fn registers(&mut self) -> Registers<'_>;
}

/// The ports of AXI4-Lite.
#[expect(missing_docs, reason = "named as in AXI4-Lite")]
pub struct Registers<'a> {
    pub awaddr: &'a mut Signal<In, Bits<16>>,
    pub awvalid: &'a mut Signal<In, bool>,
    pub awready: &'a mut Signal<Out, bool>,
    pub wdata: &'a mut Signal<In, Bits<32>>,
    pub wvalid: &'a mut Signal<In, bool>,
    pub wready: &'a mut Signal<Out, bool>,
    pub bvalid: &'a mut Signal<Out, bool>,
    pub bready: &'a mut Signal<In, bool>,
    pub araddr: &'a mut Signal<In, Bits<16>>,
    pub arvalid: &'a mut Signal<In, bool>,
    pub arready: &'a mut Signal<Out, bool>,
    pub rdata: &'a mut Signal<Out, Bits<32>>,
    pub rvalid: &'a mut Signal<Out, bool>,
    pub rready: &'a mut Signal<In, bool>,
}

/// Bytes as a vector, the first lowest.
fn vector<const N: usize>(bytes: &[u8]) -> Bits<N> {
    BigUint::from_bytes_le(bytes).into()
}

/// The access under way.
#[derive(Default)]
struct Under {
    /// Cycles before address, data and readiness for the response.
    late: Option<[u32; 3]>,
    cycle: u32,
    address_done: bool,
    data_done: bool,
}

/// Writes a waveform: called with the time in half cycles.
type Tracer<B> = Box<dyn FnMut(&B, u64) + Send>;

/// A core in Rust-HDL's simulator.
pub struct Described<B> {
    block: Box<B>,
    geometry: Geometry,
    wires: Wires,
    cycle: u64,
    offering: bool,
    under: Under,
    /// Output that was offered and not taken, and whether it ends a unit.
    held: Option<(Vec<u8>, bool)>,
    unit_bytes: usize,
    tracer: Option<Tracer<B>>,
    trace_from: Option<(u64, PathBuf)>,
    flushing: bool,
}

impl<B: Pins + 'static> Described<B> {
    /// Starts a core that is connected, out of reset.
    ///
    /// # Errors
    ///
    /// When its logic does not come to rest.
    pub fn new(block: B, geometry: Geometry) -> Result<Self, SimError> {
        let mut core = Self {
            block: Box::new(block),
            geometry,
            wires: Wires::default(),
            cycle: 0,
            offering: false,
            under: Under::default(),
            held: None,
            unit_bytes: 0,
            tracer: None,
            trace_from: None,
            flushing: false,
        };
        core.reset()?;
        Ok(core)
    }

    fn settle_logic(&mut self) -> Result<(), SimError> {
        if simulate(&mut *self.block, ROUNDS) {
            return Ok(());
        }
        Err(SimError::Circuit {
            cycle: self.cycle,
            what: "the logic does not come to rest".to_owned(),
        })
    }

    fn level(&mut self, level: bool) -> Result<(), SimError> {
        self.block.clock(level);
        self.settle_logic()?;
        if let Some(tracer) = &mut self.tracer {
            tracer(&self.block, 2 * self.cycle + u64::from(level));
        }
        Ok(())
    }

    /// Drives the access under way.
    fn drive(&mut self) {
        let access = self.wires.accesses.front().copied();
        let under = &mut self.under;
        let schedule = &mut self.wires.schedule;
        let mut draw = || [schedule.late(), schedule.late(), schedule.late()];
        let late = match access {
            Some(_) => *under.late.get_or_insert_with(&mut draw),
            None => [0; 3],
        };
        let [address, data, response] = late.map(|late| under.cycle >= late);
        let (write, read) = match access {
            Some(Access::Write { .. }) => (true, false),
            Some(Access::Read { .. }) => (false, true),
            None => (false, false),
        };
        let pins = self.block.registers();
        pins.awvalid.next = write && address && !under.address_done;
        pins.wvalid.next = write && data && !under.data_done;
        pins.bready.next = write && response;
        pins.arvalid.next = read && address && !under.address_done;
        pins.rready.next = read && response;
        match access {
            Some(Access::Write { address, value }) => {
                pins.awaddr.next = u64::from(address & 0xFFFF).into();
                pins.wdata.next = u64::from(value).into();
            }
            Some(Access::Read { address }) => pins.araddr.next = u64::from(address & 0xFFFF).into(),
            None => {}
        }
    }

    /// Looks at what became of the access; the cycle's rule that was broken, if any.
    fn watch(&mut self) -> Option<&'static str> {
        let under = &mut self.under;
        let access = self.wires.accesses.front().copied();
        let pins = self.block.registers();
        let (written, read) = (pins.bvalid.val(), pins.rvalid.val());
        let due = |write: bool| match access {
            Some(Access::Write { .. }) => write && under.address_done && under.data_done,
            Some(Access::Read { .. }) => !write && under.address_done,
            None => false,
        };
        if written && !due(true) || read && !due(false) {
            return Some("register access: a response to nothing");
        }
        access?;
        let done = written && pins.bready.val() || read && pins.rready.val();
        if done {
            if read {
                let value: BigUint = pins.rdata.val().into();
                let value = value.iter_u32_digits().next().unwrap_or(0);
                self.wires.answers.push_back(value);
            }
            self.wires.accesses.pop_front();
            self.under = Under::default();
            return None;
        }
        let moved = |valid: bool, ready: bool| valid && ready;
        under.address_done |= moved(pins.awvalid.val(), pins.awready.val())
            || moved(pins.arvalid.val(), pins.arready.val());
        under.data_done |= moved(pins.wvalid.val(), pins.wready.val());
        under.cycle += 1;
        None
    }

    /// Takes output; the rule that was broken, if any.
    fn watch_output(&mut self, ready: bool) -> Option<&'static str> {
        let mut beat = Vec::new();
        let offered = self.block.output(&mut beat);
        let now = offered.then(|| (beat, self.block.last()));
        if self.held.is_some() && self.held != now {
            return Some("report: offered and then changed or withdrawn");
        }
        self.held = now.clone().filter(|_| !ready);
        self.wires.totals.out_stalls += u64::from(self.held.is_some());
        let (beat, last) = now.filter(|_| ready)?;
        self.unit_bytes += beat.len();
        self.wires.totals.output += beat.len() as u64;
        self.wires.output.extend_from_slice(&beat);
        let ends = self.unit_bytes == card_protocol::report::UNIT;
        if ends || last {
            self.unit_bytes = 0;
        }
        (ends != last).then_some("report: tlast not at the end of a unit")
    }

    fn step(&mut self, may_offer: bool, may_accept: bool) -> Result<(), SimError> {
        let lanes = self.geometry.lanes;
        let beat = self.wires.input().get(..lanes);
        self.offering = beat.is_some() && (self.offering || may_offer);
        self.wires.totals.idle += u64::from(beat.is_some() && !self.offering);
        let beat = self.wires.input().get(..lanes);
        self.block.offer(beat.filter(|_| self.offering));
        self.block.take(may_accept);
        self.drive();
        self.level(false)?;
        let broken = [self.watch_output(may_accept), self.watch()];
        let totals = &mut self.wires.totals;
        totals.cycles += 1;
        if self.offering && self.block.ready() {
            totals.beats += 1;
            self.wires.took(lanes);
            self.offering = false;
        } else if self.offering {
            totals.stalls += 1;
        }
        self.level(true)?;
        self.cycle += 1;
        match broken.into_iter().flatten().next() {
            Some(what) if !self.flushing => Err(SimError::Protocol {
                cycle: self.cycle,
                what: what.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn forget(&mut self) {
        self.wires.clear();
        self.offering = false;
        self.under = Under::default();
        self.held = None;
        self.unit_bytes = 0;
    }
}

impl<B: Pins + 'static> Core for Described<B> {
    fn name(&self) -> &'static str {
        "rust-hdl"
    }

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.wires
    }

    fn cycle(&self) -> u64 {
        self.cycle
    }

    fn reset(&mut self) -> Result<(), SimError> {
        self.forget();
        self.block.offer(None);
        self.block.take(false);
        self.drive();
        self.block.reset(false);
        for _ in 0..RESET {
            self.level(false)?;
            self.level(true)?;
            self.cycle += 1;
        }
        self.block.reset(true);
        Ok(())
    }

    fn run(&mut self, cycles: u64, until: Until) -> Result<(), SimError> {
        let mut left = cycles;
        while left > 0 && !self.wires.reached(until, self.geometry.lanes) {
            // In small steps: most runs end by what they wait for.
            let span = self.wires.schedule.ahead(left.min(64));
            let [offer, accept] = self.wires.schedule.next(span);
            let mut ran = 0;
            while ran < span && !self.wires.reached(until, self.geometry.lanes) {
                if let Some((_, path)) = self.trace_from.take_if(|(from, _)| *from <= self.cycle) {
                    self.trace(Some(&path))?;
                }
                let open = |schedule: &Option<Vec<u64>>| {
                    let word = schedule.as_ref().map(|words| words.first().copied());
                    word.is_none_or(|word| word.unwrap_or(0) >> ran & 1 == 1)
                };
                self.step(open(&offer), open(&accept))?;
                ran += 1;
            }
            self.wires.schedule.passed(ran);
            left -= ran;
        }
        Ok(())
    }

    fn trace(&mut self, path: Option<&Path>) -> Result<(), SimError> {
        self.tracer = None;
        let Some(path) = path else { return Ok(()) };
        let file = File::create(path).map_err(SimError::file(path))?;
        let header = write_vcd_header(BufWriter::new(file), &*self.block);
        let mut probe = Some(write_vcd_dump(header, &*self.block));
        self.tracer = Some(Box::new(move |block, time| {
            if let Some(mut written) = probe.take()
                && written.timestamp(time).is_ok()
            {
                probe = Some(write_vcd_change(written, block));
            }
        }));
        Ok(())
    }

    fn trace_from(&mut self, cycle: u64, path: &Path) -> Result<(), SimError> {
        self.trace_from = Some((cycle, path.to_owned()));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SimError> {
        self.forget();
        self.flushing = true;
        let done = self
            .write(CONTROL, CONTROL_ENABLE | CONTROL_FLUSH)
            .and_then(|()| self.run(FLUSH, Until::Cycles));
        self.flushing = false;
        self.forget();
        done
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
> Pins for weir_hw::core::Core<L, W, N, E, K, P, M, A8, A6, A4, A3, A2, X>
{
    fn clock(&mut self, level: bool) {
        self.clock.next = level.into();
    }

    fn reset(&mut self, running: bool) {
        self.aresetn.next = running;
    }

    fn offer(&mut self, beat: Option<&[u8]>) {
        self.s_axis_tvalid.next = beat.is_some();
        if let Some(beat) = beat {
            self.s_axis_tdata.next = vector(beat);
        }
    }

    fn ready(&self) -> bool {
        self.s_axis_tready.val()
    }

    fn take(&mut self, ready: bool) {
        self.m_axis_tready.next = ready;
    }

    fn output(&self, to: &mut Vec<u8>) -> bool {
        if !self.m_axis_tvalid.val() {
            return false;
        }
        let beat: BigUint = self.m_axis_tdata.val().into();
        let mut bytes = beat.to_bytes_le();
        bytes.resize(L, 0);
        to.append(&mut bytes);
        true
    }

    fn last(&self) -> bool {
        self.m_axis_tlast.val()
    }

    fn registers(&mut self) -> Registers<'_> {
        Registers {
            awaddr: &mut self.s_axil_awaddr,
            awvalid: &mut self.s_axil_awvalid,
            awready: &mut self.s_axil_awready,
            wdata: &mut self.s_axil_wdata,
            wvalid: &mut self.s_axil_wvalid,
            wready: &mut self.s_axil_wready,
            bvalid: &mut self.s_axil_bvalid,
            bready: &mut self.s_axil_bready,
            araddr: &mut self.s_axil_araddr,
            arvalid: &mut self.s_axil_arvalid,
            arready: &mut self.s_axil_arready,
            rdata: &mut self.s_axil_rdata,
            rvalid: &mut self.s_axil_rvalid,
            rready: &mut self.s_axil_rready,
        }
    }
}

/// The core of this geometry. All take long to compile, and the wide ones to run: only 8 and 16 lanes with compact tables are there.
///
/// # Errors
///
/// When it is none of these, or its logic does not come to rest.
pub fn core(geometry: Geometry) -> Result<Box<dyn Core>, SimError> {
    fn made<B: Build + Pins + 'static>() -> Result<Box<dyn Core>, SimError> {
        let made = || -> Result<Box<dyn Core>, SimError> {
            let block = B::build(&Identity::default());
            Ok(Box::new(Described::new(block, B::GEOMETRY)?))
        };
        weir_hw::core::with_room(made).map_err(SimError::Emit)?
    }
    match geometry {
        Core8Compact::GEOMETRY => made::<Core8Compact>(),
        Core16Compact::GEOMETRY => made::<Core16Compact>(),
        _ => Err(SimError::Unsupported {
            core: "rust-hdl",
            what: "only cores of 8 and 16 lanes with compact tables can be simulated so",
        }),
    }
}
