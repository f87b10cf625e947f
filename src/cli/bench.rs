//! What `weir bench wire` takes beside what all scenarios take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use weir_bench::wire::XdpMode;

/// How XDP programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchMode {
    /// By the driver
    Native,
    /// By the kernel's slower way, which every driver has
    Generic,
}

impl From<BenchMode> for XdpMode {
    fn from(mode: BenchMode) -> Self {
        match mode {
            BenchMode::Native => Self::Native,
            BenchMode::Generic => Self::Generic,
        }
    }
}

/// Options of `weir bench wire`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of wire")]
pub struct WireBenchOptions {
    /// Configuration of the sensors that are measured
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seconds that a trial takes while a rate is searched for
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub seconds: f64,
    /// Frames that must come through at the rate that was found, and most of a trial
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub frames: u64,
    /// Bytes of a frame, without Ethernet's checksum: 60 to 1514
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', default_values_t = [60, 512, 1514])]
    pub sizes: Vec<usize>,
    /// Queues of every port, and workers: 1 to 64
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', default_values_t = [1, 2])]
    pub queues: Vec<u32>,
    /// How the XDP program is attached
    #[arg(long, value_enum, value_name = "HOW", num_args = 1.., value_delimiter = ',', default_values_t = [BenchMode::Native, BenchMode::Generic])]
    pub modes: Vec<BenchMode>,
    /// A card to measure latencies with: a folder of XDMA nodes
    #[arg(long, value_name = "PATH")]
    pub device: Option<PathBuf>,
    /// The program weir-sim, to measure with a simulated card, too
    #[arg(long, value_name = "FILE")]
    pub weir_sim: Option<PathBuf>,
}
