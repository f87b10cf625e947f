//! Weir on the wire: an XDP program, AF_XDP sockets, and the bridge between two ports.

pub mod interface;
pub mod program;
