//! `weir hw`: the matcher core as hardware.

pub mod report;
#[cfg(feature = "bench")]
pub mod simulate;
pub mod synth;
mod tools;
pub mod verilog;

use std::fmt;

use clap::{Subcommand, ValueEnum};
use weir_hw::core::Identity;
use weir_tables::{Geometry, Size};

use crate::failure::Failure;

/// `weir hw …`
#[derive(Debug, Subcommand)]
pub enum HwCommand {
    /// Synthesise a core with yosys, place and route it with nextpnr where the target has that
    #[command(
        after_help = "Examples:\n  weir hw synth --target ecp5-85f --seeds 8 --clock 150 -o build\n  \
                            weir hw synth --target xcup --lanes 32 --size full\n  \
                            weir hw synth --target ecp5-85f --verilog slice.v --top slice --clock 200\n\n\
                            Area and frequencies go to report.json and report.txt. A frequency that is not reached is reported, \
                            not an error."
    )]
    Synth(synth::SynthOptions),
    /// Show what the cores take and how fast they are, beside Pigasus
    #[command(
        after_help = "Examples:\n  weir hw report\n  weir hw report --markdown\n  weir hw report build/report.json\n\n\
                            Every figure says where it is from: measured, placed, synthesised, scaled, or assumed."
    )]
    Report(report::ReportOptions),
    /// Write a core as Verilog: one file, module weir_core with AXI4-Stream in and out and AXI4-Lite
    #[command(after_help = "Example:\n  weir hw verilog --lanes 64 --size full -o weir_core.v")]
    Verilog(verilog::VerilogOptions),
    /// Put traffic through a simulated core, beside software: cycles, stalls, candidates, and whether all answers are the same
    #[cfg(feature = "bench")]
    #[command(
        after_help = "Examples:\n  weir hw simulate --lanes 8 --pcap monday.pcap --rules et-open.rules --limit-bytes 20000000\n  \
                            weir hw simulate --lanes 64 --pcap monday.pcap --rules rules/ --packet 17 --svg packet.svg --to 60\n  \
                            weir hw simulate --made genuine --rules rules/\n\n\
                            A buffer is the payload of a packet, as it came: streams are not put together. A rule is looked for by \
                            the literal that\nWeir chooses for it, also where Weir does not evaluate it yet. Cycles are those from the first \
                            record to the last answer.\nEnds with 1 if any answer is not software's."
    )]
    Simulate(simulate::SimulateOptions),
}

/// Runs it.
pub fn hw(command: &HwCommand) -> Result<(), Failure> {
    match command {
        HwCommand::Synth(options) => synth::synth(options),
        HwCommand::Report(options) => report::report(options),
        HwCommand::Verilog(options) => verilog::write(options),
        #[cfg(feature = "bench")]
        HwCommand::Simulate(options) => simulate::simulate(options),
    }
}

/// `--size`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoreSize {
    /// Thousands of probes
    Compact,
    /// Tens of thousands
    Full,
}

impl From<CoreSize> for Size {
    fn from(size: CoreSize) -> Self {
        match size {
            CoreSize::Compact => Self::Compact,
            CoreSize::Full => Self::Full,
        }
    }
}

impl From<Size> for CoreSize {
    fn from(size: Size) -> Self {
        match size {
            Size::Compact => Self::Compact,
            Size::Full => Self::Full,
        }
    }
}

impl fmt::Display for CoreSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compact => "compact",
            Self::Full => "full",
        })
    }
}

/// Reads `--lanes`.
pub fn lanes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(lanes @ (8 | 16 | 32 | 64)) => Ok(lanes),
        _ => Err("expected 8, 16, 32 or 64".into()),
    }
}

/// The core's Verilog.
fn core_verilog(geometry: &Geometry, identity: &Identity) -> Result<String, Failure> {
    weir_hw::verilog(geometry, identity).map_err(Failure::failed)
}
