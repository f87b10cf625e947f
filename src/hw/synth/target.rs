//! What a core can be synthesised for.

use clap::ValueEnum;
use weir_tables::Size;

/// Devices, by what the synthesis tool makes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// LFE5UM5G-85F-8 on the board ECPIX-5: synthesis, place and route, bitstream
    #[value(name = "ecp5-85f")]
    Ecp5,
    /// UltraScale+, Alveo U250 (XCU250): area
    Xcup,
    /// Series 7, Kintex-7 325T (XC7K325T): area
    Xc7,
}

impl Target {
    /// The name on the command line, and of the folder in `bitstreams/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecp5 => "ecp5-85f",
            Self::Xcup => "xcup",
            Self::Xc7 => "xc7",
        }
    }

    /// The device.
    pub fn part(self) -> &'static str {
        match self {
            Self::Ecp5 => "LFE5UM5G-85F-8BG554",
            Self::Xcup => "XCU250",
            Self::Xc7 => "XC7K325T",
        }
    }

    /// The core that is synthesised where nothing else is asked for.
    pub fn default_core(self) -> (usize, Size) {
        match self {
            Self::Ecp5 => (8, Size::Compact),
            Self::Xcup => (64, Size::Full),
            Self::Xc7 => (16, Size::Compact),
        }
    }

    /// What the device has: LUTs, flip-flops and memories as in [`Area`](crate::hw::report::Area). From the makers' product tables.
    pub fn has(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Ecp5 => &[("lut", 83_640), ("ff", 83_640), ("DP16KD", 208)],
            Self::Xcup => &[
                ("lut", 1_728_000),
                ("ff", 3_456_000),
                ("RAMB36", 2_688),
                ("URAM288", 1_280),
            ],
            Self::Xc7 => &[("lut", 203_800), ("ff", 407_600), ("RAMB36", 445)],
        }
    }

    /// What a cell of this type is: LUTs, flip-flops, and memory blocks by name, in halves (two RAMB18 are a RAMB36).
    pub fn cell(self, kind: &str) -> Cell {
        let lut = |count| Cell::Lut(count);
        match (self, kind) {
            (Self::Ecp5, "LUT4") => lut(1),
            (Self::Ecp5, "CCU2C") => lut(2),
            // Four LUTs hold the bits, two take the writes.
            (Self::Ecp5, "TRELLIS_DPR16X4") => lut(6),
            (Self::Ecp5, "TRELLIS_FF") => Cell::Ff,
            (Self::Ecp5, "DP16KD") => Cell::Ram("DP16KD", 2),
            (Self::Ecp5, _) => Cell::Other,
            (_, "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" | "SRL16E" | "SRLC32E") => {
                lut(1)
            }
            (_, "RAM32X1D" | "RAM64X1D") => lut(2),
            (_, "RAM32M" | "RAM64M" | "RAM128X1D") => lut(4),
            (_, "RAM32M16" | "RAM64M8") => lut(8),
            (_, "FDRE" | "FDSE" | "FDCE" | "FDPE") => Cell::Ff,
            (_, "RAMB18E1" | "RAMB18E2") => Cell::Ram("RAMB36", 1),
            (_, "RAMB36E1" | "RAMB36E2") => Cell::Ram("RAMB36", 2),
            (_, "URAM288") => Cell::Ram("URAM288", 2),
            _ => Cell::Other,
        }
    }
}

/// What a cell counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// So many look-up tables.
    Lut(u64),
    /// A flip-flop.
    Ff,
    /// So many halves of a memory block.
    Ram(&'static str, u64),
    /// A multiplexer, buffer, pin: in a slice or pad whatever the number.
    Other,
}
