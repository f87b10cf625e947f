//! Who answers: the sensor, or a test.

#[cfg(target_arch = "wasm32")]
mod sensor;
#[cfg(not(target_arch = "wasm32"))]
mod test;

#[cfg(target_arch = "wasm32")]
pub(crate) use sensor::*;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use test::*;
