//! Transforms of sticky buffers.

/// What is done to a buffer before rules look at it, one after the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transform {
    /// `to_lowercase`
    ToLowercase,
}
