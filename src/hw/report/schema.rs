//! What a synthesis leaves behind, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Result of one synthesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The target's name on the command line.
    pub target: String,
    /// The device.
    pub part: String,
    /// What was synthesised: the core's geometry, or none for Verilog that came from elsewhere.
    pub core: Option<Core>,
    /// Top module.
    pub top: String,
    /// SHA-256 of the core's Verilog (without board), in hexadecimal: tells whether today's source is still the same.
    pub verilog: String,
    /// Revision of the source, if it was known.
    pub revision: Option<String>,
    /// Seconds since 1970, by `SOURCE_DATE_EPOCH`; else none, so that equal inputs give equal reports.
    pub date: Option<u64>,
    /// Versions of the tools.
    pub tools: BTreeMap<String, String>,
    /// What it takes.
    pub area: Area,
    /// What the device has, by the names of `area`.
    pub device: BTreeMap<String, u64>,
    /// What each block takes.
    pub blocks: BTreeMap<String, Area>,
    /// How fast it is, where it was placed and routed.
    pub timing: Option<Timing>,
    /// The bitstream, where one was made.
    pub bitstream: Option<Bitstream>,
}

/// The core's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// Bytes of a beat.
    pub lanes: usize,
    /// `compact` or `full`.
    pub size: String,
    /// Address bits of the filters of classes 8, 6, 4, 3, 2.
    pub filters: [u32; 5],
    /// Slots of the exact table.
    pub slots: usize,
    /// Exact engines.
    pub engines: usize,
    /// What its identity registers say of the revision.
    pub revision: u32,
    /// What they say of the clock.
    pub clock_khz: u32,
}

/// Look-up tables, flip-flops, memory blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// Look-up tables, those of carries and of distributed memory included.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Memory blocks by name.
    pub ram: BTreeMap<String, f64>,
    /// Where it is from: `placed`, `synthesised`, or `scaled`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub basis: String,
}

/// Frequencies of place and route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// What was asked for, in MHz.
    pub goal: f64,
    /// What came out, a run each.
    pub runs: Vec<Run>,
    /// The longest path of the fastest run.
    pub critical: Path,
}

impl Timing {
    /// The fastest run.
    pub fn best(&self) -> Option<&Run> {
        self.runs.iter().max_by(|a, b| a.mhz.total_cmp(&b.mhz))
    }
}

/// One run of place and route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its seed.
    pub seed: u32,
    /// The frequency of the core's clock that it reaches, in MHz.
    pub mhz: f64,
}

/// A path from register to register.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// The cell that it begins at.
    pub from: String,
    /// The cell that it ends at.
    pub to: String,
    /// Nanoseconds in cells.
    pub logic: f64,
    /// Nanoseconds between cells.
    pub routing: f64,
    /// Cells between the registers.
    pub levels: usize,
    /// The nets on the way.
    pub nets: Vec<String>,
}

/// A bitstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bitstream {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// The seed of the run that it is from.
    pub seed: u32,
}
