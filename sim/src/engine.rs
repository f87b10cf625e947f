//! The three kinds of core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use weir_hw::core::Identity;
use weir_tables::Geometry;

use crate::core::Core;
use crate::golden::Modelled;
use crate::verilator::{Recipe, Trace, Verilated};
use crate::{SimError, rust_hdl};

/// What runs a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The golden model; without clock.
    Model,
    /// Rust-HDL's simulator.
    RustHdl,
    /// The emitted Verilog, compiled by Verilator.
    Rtl,
}

impl Engine {
    /// A core that was just configured: memories and registers are zero. `trace` is what the verilated core can write; Rust-HDL's always
    /// can write VCD.
    ///
    /// # Errors
    ///
    /// Tools that are missing, or what they say.
    pub fn core(self, geometry: Geometry, trace: Trace) -> Result<Box<dyn Core>, SimError> {
        match self {
            Self::Model => Ok(Box::new(Modelled::new(geometry))),
            Self::RustHdl => rust_hdl::core(geometry),
            Self::Rtl => Ok(Box::new(rtl(geometry, trace, 0)?)),
        }
    }
}

/// The verilated core. Registers without an initial value are drawn from `seed`; with 0 they are zero.
///
/// # Errors
///
/// Tools that are missing, or what they say.
pub fn rtl(geometry: Geometry, trace: Trace, seed: u64) -> Result<Verilated, SimError> {
    let verilog = verilog(geometry)?;
    let recipe = Recipe {
        verilog: &verilog,
        top: weir_hw::TOP,
        lanes: geometry.lanes,
        trace,
        optimise: 2,
    };
    Verilated::new(geometry, &recipe, seed)
}

/// The core's Verilog, written once.
fn verilog(geometry: Geometry) -> Result<Arc<str>, SimError> {
    static WRITTEN: Mutex<BTreeMap<String, Arc<str>>> = Mutex::new(BTreeMap::new());
    let key = format!("{geometry:?}");
    // Held while it is written: others that want it wait.
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verilog) = written.get(&key) {
        return Ok(Arc::clone(verilog));
    }
    let verilog: Arc<str> = weir_hw::verilog(&geometry, &Identity::default())
        .map_err(|error| SimError::Emit(error.to_string()))?
        .into();
    written.insert(key, Arc::clone(&verilog));
    Ok(verilog)
}
