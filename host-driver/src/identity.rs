//! What a card says it is.

use card_protocol::register;
use weir_tables::Geometry;

use crate::error::OpenError;
use crate::link::{LinkError, Registers};

/// The identity registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How large the core is.
    pub geometry: Geometry,
    /// Interface version.
    pub interface: u32,
    /// First 32 bits of the source revision, 0 if unknown.
    pub revision: u32,
    /// Clock that the core was built for, in kHz.
    pub clock_khz: u32,
}

impl Identity {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read, or are not those of a core that this program knows.
    pub fn read(name: &str, registers: &mut dyn Registers) -> Result<Self, OpenError> {
        let mut failed: Option<LinkError> = None;
        let mut read = |address| match registers.read(address) {
            Ok(value) => value,
            Err(error) => {
                failed.get_or_insert(error);
                0
            }
        };
        let geometry = Geometry::identify(&mut read);
        let [interface, revision, clock_khz] =
            [register::INTERFACE, register::REVISION, register::CLOCK].map(read);
        if let Some(error) = failed {
            let name = name.to_owned();
            return Err(OpenError::Link { name, error });
        }
        let geometry = geometry.map_err(|error| OpenError::Identity {
            name: name.to_owned(),
            error,
        })?;
        Ok(Self {
            geometry,
            interface,
            revision,
            clock_khz,
        })
    }
}
