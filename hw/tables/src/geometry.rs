//! How large a core is.

/// Table sizes that cores are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// For small devices (ECP5-85F): thousands of probes.
    Compact,
    /// For data-centre cards: tens of thousands.
    Full,
}

/// The parameters of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Bytes of a beat: 8, 16, 32 or 64. A slice is eight lanes.
    pub lanes: usize,
    /// Address bits of the filters of the length classes 8, 6, 4, 3, 2; a word has 32 bits.
    pub filters: [u32; 5],
    /// Address bits of each of the four ways of the exact table.
    pub exact: u32,
    /// Exact engines, each with a copy of the exact table and an equal share of the slices.
    pub engines: usize,
}

impl Geometry {
    /// The core of `lanes` bytes a beat (8, 16, 32 or 64) and this size.
    pub const fn new(lanes: usize, size: Size) -> Self {
        let engines = if lanes == 64 { 2 } else { 1 };
        match size {
            Size::Compact => Self {
                lanes,
                filters: [11, 9, 9, 9, 9],
                exact: 10,
                engines,
            },
            Size::Full => Self {
                lanes,
                filters: [13, 11, 11, 10, 9],
                exact: 13,
                engines,
            },
        }
    }

    /// Slices of eight lanes.
    pub const fn slices(&self) -> usize {
        self.lanes / 8
    }

    /// Slots of the exact table.
    pub const fn slots(&self) -> usize {
        4 << self.exact
    }
}
