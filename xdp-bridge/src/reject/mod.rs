//! Answers to packets that were rejected.

/// An answer: made from a frame into a buffer; its length, or `None` where there is none.
pub type Answer = fn(&[u8], &mut [u8]) -> Option<usize>;

pub fn to_source(_: &[u8], _: &mut [u8]) -> Option<usize> { None }
pub fn to_destination(_: &[u8], _: &mut [u8]) -> Option<usize> { None }
