//! What looks for the rules' literals.

use std::path::PathBuf;

use weir_driver::link::default_device;
use weir_driver::status::{self, Status};
use weir_driver::{Card, Policy};
use weir_engine::matcher::{Matcher, Software, SoftwareShared};
use weir_sim::verilator::Trace;
use weir_sim::{Engine, Offloaded};
use weir_tables::{Geometry, Key, Model, Settings, Size};

use crate::cli::{MatcherKind, RunOptions};
use crate::config::CardSection;
use crate::failure::Failure;

/// Candidates that a slice of the model examines of a record: as many as the register can say, since the model has all the time
/// there is.
const MODEL_LIMIT: u16 = u16::MAX;

/// Matchers of one kind, one for each worker.
pub struct Matchers {
    kind: MatcherKind,
    /// Of the simulated core: 8, 16, 32 or 64.
    lanes: usize,
    card: Option<Card>,
    /// Tables of software matchers.
    tables: SoftwareShared,
}

impl Matchers {
    /// The software matcher.
    pub fn software() -> Self {
        Self {
            kind: MatcherKind::Software,
            lanes: 8,
            card: None,
            tables: SoftwareShared::default(),
        }
    }

    /// What the command line and the configuration ask for; a card is opened.
    ///
    /// # Errors
    /// When there is no card, and one must be.
    pub fn open(options: &RunOptions, card: &CardSection) -> Result<Self, Failure> {
        let card = card.clone().with_options(options);
        let mut matchers = Self {
            kind: options.matcher,
            lanes: options.lanes,
            card: None,
            tables: SoftwareShared::default(),
        };
        let must = match options.matcher {
            MatcherKind::Auto => false,
            MatcherKind::Card => true,
            _ => return Ok(matchers),
        };
        let Some(device) = card.device.clone().or_else(default_device) else {
            return match must {
                false => Ok(matchers),
                true => Err(Failure::Failed(
                    "no card: there are no nodes of the XDMA driver in /dev; load the driver, or name the card with --device"
                        .to_owned(),
                )),
            };
        };
        let mut config = weir_driver::Config {
            policy: if must { Policy::Card } else { Policy::Auto },
            status: status::place(&device),
            ..weir_driver::Config::default()
        };
        card.apply(&mut config);
        match Card::open(&device, config) {
            Ok(card) => matchers.card = Some(card),
            Err(error) if must => return Err(Failure::failed(error)),
            // Nobody has said that there is one.
            Err(error) if card.device.is_none() => {
                tracing::info!("software does the matching: {error}");
            }
            Err(error) => tracing::warn!("software does the matching: {error}"),
        }
        Ok(matchers)
    }

    /// A matcher for a worker.
    ///
    /// # Errors
    /// When the simulated core cannot be built.
    pub fn one(&self) -> Result<Box<dyn Matcher>, Failure> {
        if let Some(card) = &self.card {
            return Ok(Box::new(card.port()));
        }
        match self.kind {
            MatcherKind::Auto | MatcherKind::Software | MatcherKind::Card => {
                Ok(Box::new(Software::sharing(self.tables.clone())))
            }
            MatcherKind::Model => {
                let geometry = Geometry::new(64, Size::Full);
                Ok(Box::new(Model::new(geometry, Key::random(), MODEL_LIMIT)))
            }
            MatcherKind::Rtl => {
                let core = Engine::Rtl
                    .core(Geometry::new(self.lanes, Size::Full), Trace::None)
                    .map_err(Failure::failed)?;
                let matcher = Offloaded::new(core, Key::random(), Settings::default());
                Ok(Box::new(matcher))
            }
        }
    }

    /// What is known of the card, if there is one.
    pub fn card(&self) -> Option<Status> {
        self.card.as_ref().map(Card::status)
    }
}

/// The card that a command is about.
///
/// # Errors
/// When none is named, and there is none where cards are as a rule.
pub fn device(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let found = named.cloned().or_else(default_device);
    found.ok_or_else(|| {
        Failure::Failed(
            "no card: there are no nodes of the XDMA driver in /dev; name the card with --device"
                .to_owned(),
        )
    })
}
