//! Verilog of whole cores.

mod share;
mod top;

use rust_hdl::prelude::*;
use weir_tables::Geometry;

use crate::core::{self, Build, Identity};

pub use top::TOP;

/// Why there is no Verilog.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerilogError {
    /// No core of this shape is built in.
    #[error(
        "no core of {lanes} lanes with such tables is built in: lanes are 8, 16, 32 or 64, tables compact or full"
    )]
    NoSuchCore {
        /// Lanes asked for.
        lanes: usize,
    },
    /// Rust-HDL finds the circuit wrong; a fault of this crate.
    #[error("the core's circuit is wrong: {0}")]
    Circuit(String),
    /// There is no room to put the core together.
    #[error("{0}")]
    Room(String),
}

/// The Verilog of a core, as one text: module [`TOP`] with ANSI ports, AXI4-Stream in and out and AXI4-Lite, and all that is within it.
///
/// # Errors
///
/// When there is no such core.
pub fn verilog(geometry: &Geometry, identity: &Identity) -> Result<String, VerilogError> {
    let inner = core::with_room(|| inner(geometry, identity)).map_err(VerilogError::Room)??;
    Ok(top::top(geometry) + &inner)
}

/// The generated core.
fn inner(geometry: &Geometry, identity: &Identity) -> Result<String, VerilogError> {
    match *geometry {
        core::Core8Compact::GEOMETRY => emit::<core::Core8Compact>(identity),
        core::Core8Full::GEOMETRY => emit::<core::Core8Full>(identity),
        core::Core16Compact::GEOMETRY => emit::<core::Core16Compact>(identity),
        core::Core16Full::GEOMETRY => emit::<core::Core16Full>(identity),
        core::Core32Compact::GEOMETRY => emit::<core::Core32Compact>(identity),
        core::Core32Full::GEOMETRY => emit::<core::Core32Full>(identity),
        core::Core64Compact::GEOMETRY => emit::<core::Core64Compact>(identity),
        core::Core64Full::GEOMETRY => emit::<core::Core64Full>(identity),
        _ => Err(VerilogError::NoSuchCore {
            lanes: geometry.lanes,
        }),
    }
}

fn emit<C: Build>(identity: &Identity) -> Result<String, VerilogError> {
    module(&C::build(identity), top::INNER)
}

/// The Verilog of a circuit that is connected, as module `name` and those it is made of.
///
/// # Errors
///
/// When Rust-HDL finds a signal without a driver, or a loop.
pub fn module<B: Block>(block: &B, name: &str) -> Result<String, VerilogError> {
    check_all(block).map_err(|error| VerilogError::Circuit(format!("{error:?}")))?;
    let mut modules = ModuleDefines::default();
    block.accept("top", &mut modules);
    Ok(share::share(&modules.defines(), name))
}
