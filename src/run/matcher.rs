//! What looks for the rules' literals.

use weir_engine::matcher::{Matcher, Software};
use weir_sim::verilator::Trace;
use weir_sim::{Engine, Offloaded};
use weir_tables::{Geometry, Key, Model, Settings, Size};

use crate::cli::MatcherKind;
use crate::failure::Failure;

/// Candidates that a slice of the model examines of a record: as many as the register can say, since the model has all the time
/// there is.
const MODEL_LIMIT: u16 = u16::MAX;

impl MatcherKind {
    /// A matcher of this kind, one for each worker. `lanes` is for the simulated core: 8, 16, 32 or 64.
    ///
    /// # Errors
    /// When this build has none.
    pub fn matcher(self, lanes: usize) -> Result<Box<dyn Matcher>, Failure> {
        match self {
            Self::Auto | Self::Software => Ok(Box::new(Software::new())),
            Self::Model => {
                let geometry = Geometry::new(64, Size::Full);
                Ok(Box::new(Model::new(geometry, Key::random(), MODEL_LIMIT)))
            }
            Self::Rtl => {
                let core = Engine::Rtl
                    .core(Geometry::new(lanes, Size::Full), Trace::None)
                    .map_err(Failure::failed)?;
                let matcher = Offloaded::new(core, Key::random(), Settings::default());
                Ok(Box::new(matcher))
            }
            Self::Card => Err(Failure::Failed(
                "this matcher is not built into this version: use auto, software, model or rtl"
                    .to_owned(),
            )),
        }
    }
}
