//! The host's side of a card.
//!
//! Workers pack buffers as records into staging buffers; I/O threads carry them over a [`link::Link`] and bring reports back.

pub mod link;
