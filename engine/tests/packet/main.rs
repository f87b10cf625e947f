//! The decoder, from bytes to packets.

mod any;
mod build;
mod defrag;
mod layers;
mod network;
mod transport;
mod tunnels;
