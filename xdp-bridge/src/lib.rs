//! Weir on the wire: an XDP program, AF_XDP sockets, and the bridge between two ports.
//!
//! Two interfaces become one cable that somebody looks into. The program ([`program`]) decides in the kernel whether a frame is
//! to be looked at; the workers ([`worker`]) take those that are, show them to an [`Inspect`](worker::Inspect), and send them on
//! from where they lie. When nobody looks, because the process is dead, stopped or late, frames fail open or closed, as was chosen.
//!
//! ```no_run
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use weir_xdp::program::{AttachOptions, Fail, Ports};
//! use weir_xdp::worker::{Bridge, BridgeOptions, BridgePort, Inspect, Received, Verdict};
//!
//! /// Lets nothing but IPv4 and ARP through.
//! struct Only;
//!
//! impl Inspect for Only {
//!     fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
//!         for (frame, verdict) in frames.iter().zip(verdicts) {
//!             if matches!(frame.data.get(12..14), Some([8, 0 | 6])) {
//!                 *verdict = Verdict::Pass;
//!             }
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let attach = AttachOptions { fail: Fail::Closed, ..AttachOptions::new(["eth1", "eth2"]) };
//! let attached = Ports::attach(&attach)?;
//! let ports = attached.ports().iter();
//! let options = BridgeOptions {
//!     ports: ports.map(|port| BridgePort { name: port.name.clone(), interface: port.ifindex }).collect(),
//!     workers: attached.workers(),
//!     heartbeat: attach.heartbeat,
//!     ..BridgeOptions::default()
//! };
//! let cells = (0..attached.workers() as usize).filter_map(|worker| attached.cell(worker));
//! let bridge = Bridge::open(&options, cells.collect(), &mut |port, queue, socket| {
//!     Ok(attached.set_socket(port, queue, socket)?)
//! })?;
//! let stop = AtomicBool::new(false);
//! std::thread::scope(|scope| {
//!     for mut worker in bridge.into_workers() {
//!         let stop = &stop;
//!         scope.spawn(move || worker.run(&mut Only, stop));
//!     }
//!     std::thread::sleep(std::time::Duration::from_secs(3600));
//!     // In this order, what was given to the workers goes through.
//!     let told = attached.unset_sockets();
//!     stop.store(true, Ordering::Release);
//!     told
//! })?;
//! // What became of every frame is known, and goes on being known to whoever comes next.
//! println!("{:?}", attached.counters()?);
//! attached.leave();
//! # Ok(())
//! # }
//! ```
//!
//! [`interface`] says what ports are and when they change; [`reject`] makes the answers to rejected frames; [`common`] is what the
//! program agrees on with all of this. The crate's `DESIGN.md` says how the parts work together, and why so.
//!
//! # Why sockets of our own
//!
//! The layer between [`worker`] and the kernel is thin: rustix has the system calls, `umem` and `ring` have what is left. Of the
//! crates that do it, `xdpilone` is under EUPL-1.2, `xdp` cannot share one UMEM between two devices, without which a forwarded
//! frame would be copied, and `xsk-rs` wraps libxdp, which wants libclang, libelf and m4 to build.

mod clock;
pub mod interface;
pub mod privileges;
pub mod program;
pub mod reject;
mod ring;
pub mod socket;
mod umem;
pub mod worker;

pub use clock::{monotonic_ns, realtime_ns};
pub use weir_xdp_common as common;
