//! The slice against the definition.

mod model;
mod sieve;
mod whole;
