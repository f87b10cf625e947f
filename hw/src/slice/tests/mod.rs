//! The slice against the definition.

mod hash;
mod model;
mod sieve;
mod whole;
