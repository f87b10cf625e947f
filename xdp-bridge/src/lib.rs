//! Weir on the wire: an XDP program, AF_XDP sockets, and the bridge between two ports.
//!
//! # Why sockets of our own
//!
//! The layer between [`worker`] and the kernel is thin: rustix has the system calls, `umem` and `ring` have what is left. Of the
//! crates that do it, `xdpilone` is under EUPL-1.2, `xdp` cannot share one UMEM between two devices, without which a forwarded
//! frame would be copied, and `xsk-rs` wraps libxdp, which wants libclang, libelf and m4 to build.

mod clock;
pub mod interface;
pub mod program;
pub mod reject;
mod ring;
pub mod socket;
mod umem;
pub mod worker;

pub use clock::monotonic_ns;
pub use weir_xdp_common as common;
