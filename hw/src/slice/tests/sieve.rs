//! The sieve alone.
