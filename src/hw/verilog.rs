//! `weir hw verilog`: a core as Verilog.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use weir_hw::core::Identity;
use weir_tables::Geometry;

use super::{CoreSize, core_verilog};
use crate::failure::Failure;

/// Options of `weir hw verilog`.
#[derive(Args, Debug)]
pub struct VerilogOptions {
    /// Bytes of a beat
    #[arg(long, value_name = "N", value_parser = super::lanes, default_value = "64")]
    pub lanes: usize,
    /// How large the tables are
    #[arg(long, value_enum, default_value_t = CoreSize::Full)]
    pub size: CoreSize,
    /// Clock in kHz that the core's identity says it is built for
    #[arg(long, value_name = "KHZ", default_value_t = 0)]
    pub clock_khz: u32,
    /// Where it goes; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes it.
pub fn write(options: &VerilogOptions) -> Result<(), Failure> {
    let geometry = Geometry::new(options.lanes, options.size.into());
    let identity = Identity {
        clock_khz: options.clock_khz,
        ..Identity::default()
    };
    let verilog = core_verilog(&geometry, &identity)?;
    match &options.output {
        Some(path) => fs::write(path, verilog)
            .map_err(|error| Failure::failed(format!("{}: {error}", path.display()))),
        None => io::stdout()
            .write_all(verilog.as_bytes())
            .map_err(Failure::stdout),
    }
}
