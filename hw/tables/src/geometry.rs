//! How large a core is.

use card_protocol::record::MAX_LENGTH;
use card_protocol::register;

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
                filters: [10, 9, 9, 9, 9],
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

/// Why the identity registers describe no core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Not a matcher core.
    #[error(
        "register {:#05x} (magic) is {got:#010x}, expected {:#010x}: this is no matcher core",
        register::MAGIC,
        register::MAGIC_VALUE
    )]
    Magic {
        /// What stands there.
        got: u32,
    },
    /// A core of another interface version.
    #[error(
        "register {:#05x} (interface version) is {got}, expected {}",
        register::INTERFACE,
        register::INTERFACE_VALUE
    )]
    Interface {
        /// What stands there.
        got: u32,
    },
    /// A size that cores do not have.
    #[error("register {register:#05x} is {got:#010x}: {expected}")]
    Size {
        /// The register.
        register: u32,
        /// What stands there.
        got: u32,
        /// What it should say.
        expected: &'static str,
    },
}

impl Geometry {
    /// The values of the identity registers that tell a geometry: (address, value).
    pub fn registers(&self) -> [(u32, u32); 3] {
        let lanes = (self.lanes | self.slices() << 8 | self.engines << 16) as u32;
        let filters = self.filters.iter().rev();
        let filters = filters.fold(0, |value, bits| value << 5 | bits);
        [
            (register::LANES, lanes),
            (register::FILTERS, filters),
            (register::EXACT, self.exact),
        ]
    }

    /// The geometry of the core whose registers are read by `read`.
    ///
    /// # Errors
    /// When they are not those of a core that this host can serve.
    pub fn identify(mut read: impl FnMut(u32) -> u32) -> Result<Self, GeometryError> {
        let got = read(register::MAGIC);
        if got != register::MAGIC_VALUE {
            return Err(GeometryError::Magic { got });
        }
        let got = read(register::INTERFACE);
        if got != register::INTERFACE_VALUE {
            return Err(GeometryError::Interface { got });
        }
        let size = |register, got, expected| GeometryError::Size {
            register,
            got,
            expected,
        };
        let got = read(register::LANES);
        let (lanes, engines) = (got as usize & 0xFF, got as usize >> 16 & 0xFF);
        let slices = got as usize >> 8 & 0xFF;
        if ![8, 16, 32, 64].contains(&lanes)
            || slices != lanes / 8
            || engines == 0
            || !slices.is_multiple_of(engines)
            || got >> 24 != 0
        {
            let expected = "expected 8, 16, 32 or 64 lanes, an eighth as many slices, and engines that divide them";
            return Err(size(register::LANES, got, expected));
        }
        let got = read(register::FILTERS);
        let filters = std::array::from_fn(|at| got >> (5 * at) & 31);
        // Bits 14 and up of a hash choose the bits of a word.
        if got >> 25 != 0 || filters.iter().any(|bits| !(1..=14).contains(bits)) {
            let expected = "expected five filters of 1 to 14 address bits";
            return Err(size(register::FILTERS, got, expected));
        }
        let exact = read(register::EXACT);
        if !(1..=16).contains(&exact) {
            let expected = "expected 1 to 16 address bits";
            return Err(size(register::EXACT, exact, expected));
        }
        let got = read(register::MAX_LENGTH);
        if got as usize != MAX_LENGTH {
            return Err(size(register::MAX_LENGTH, got, "expected 16384"));
        }
        Ok(Self {
            lanes,
            filters,
            exact,
            engines,
        })
    }
}
