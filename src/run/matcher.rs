//! What looks for the rules' literals.

use weir_engine::matcher::{Matcher, Software};
use weir_tables::{Geometry, Key, Model, Size};

use crate::cli::MatcherKind;
use crate::failure::Failure;

/// Candidates that a slice of the model examines of a record: as many as the register can say, since the model has all the time
/// there is.
const MODEL_LIMIT: u16 = u16::MAX;

impl MatcherKind {
    /// A matcher of this kind, one for each worker.
    ///
    /// # Errors
    /// When this build has none.
    pub fn matcher(self) -> Result<Box<dyn Matcher>, Failure> {
        match self {
            Self::Auto | Self::Software => Ok(Box::new(Software::new())),
            Self::Model => {
                let geometry = Geometry::new(64, Size::Full);
                Ok(Box::new(Model::new(geometry, Key::random(), MODEL_LIMIT)))
            }
            Self::Rtl | Self::Card => Err(Failure::Failed(
                "this matcher is not built into this version: use auto, software or model"
                    .to_owned(),
            )),
        }
    }
}
