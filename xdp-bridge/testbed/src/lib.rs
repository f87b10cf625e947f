//! Hosts and links made of network namespaces and veth pairs, for tests and benchmarks.
//!
//! ```text
//! client ── eth0 ═ port-a [middle] port-b ═ eth0 ── server
//! 10.77.0.1                                    10.77.0.2
//! fd00:77::1                                   fd00:77::2
//! ```
//!
//! A [`Bed`] is those three hosts. What joins the two ports is what is tested; [`Bed::bridge`] is the kernel's own
//! bridge, to compare with. Every [`Host`] runs programs ([`Host::run`], [`Host::spawn`]) and closures
//! ([`Host::enter`]). A [`Generator`] on one end sends a [`Load`] of numbered frames, a [`Sink`] on the other says what
//! became of each of them; [`serve`] has real servers and clients.
//!
//! ```no_run
//! # use weir_testbed::{Bed, BedError, BedOptions, Load, Sink, generate};
//! # fn main() -> Result<(), BedError> {
//! let bed = Bed::new(&BedOptions::default())?;
//! let _bridge = bed.bridge()?;
//! let load = Load { frames: 10_000, rate: Some(50_000.0), flows: 16, ..Load::default() };
//! let sink = Sink::start(bed.server(), &load)?;
//! let sent = generate(bed.client(), &load)?;
//! let received = sink.stop()?;
//! assert_eq!(received.missing(&sent), 0);
//! println!("p99 {} ns", received.latency.value_at_quantile(0.99));
//! # Ok(())
//! # }
//! ```
//!
//! It needs Linux, root and iproute2; [`missing`] says what is not there, and [`ready`] lets a test pass over.

mod bed;
mod child;
mod cpu;
mod error;
mod frames;
mod host;
mod link;
pub mod needs;
mod netns;
pub mod serve;

pub use bed::{Bed, BedCounters, BedOptions, KernelBridge};
pub use child::{Child, Output};
pub use cpu::CpuUse;
pub use error::BedError;
pub use frames::{
    Captured, Choose, Generator, Load, MAX_FLOWS, MAX_FRAMES, Received, Sent, Sink, Steer, Tap,
    Trace, generate, inject, smallest,
};
pub use hdrhistogram::Histogram;
pub use host::{Host, Link, Mac, RUN_LIMIT};
pub use link::{LinkCounters, Offloads};
pub use needs::Need;
pub use netns::Namespace;
pub use rustix::process::Signal;

/// Why beds cannot be made here, if they cannot: no root, no `ip`, no namespaces, no veth. It tries.
pub fn missing() -> Option<String> {
    let trial = || {
        let host = Host::new("trial")?;
        host.ip("link add trial-a type veth peer name trial-b\n")
    };
    lacking().or_else(|| {
        let error = trial().err()?;
        Some(format!("no test network can be made here: {error}"))
    })
}

/// What is seen to be missing without trying.
pub(crate) fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let refused = host::require(needs::IPROUTE2).err()?;
    Some(refused.to_string())
}

/// For tests: true when beds can be made and all of `needs` is there. Otherwise says "skipped" and why.
///
/// # Panics
/// With WEIR_CI=1, when something is missing: there nothing is passed over.
pub fn ready(needs: &[Need]) -> bool {
    let why = missing().or_else(|| {
        let missing = needs.iter().find(|need| !(need.present)())?;
        host::require(*missing).err().map(|error| error.to_string())
    });
    let Some(why) = why else { return true };
    let ci = std::env::var_os("WEIR_CI").is_some_and(|value| value == "1");
    assert!(!ci, "skipped: {why}");
    eprintln!("skipped: {why}");
    false
}

/// For times in nanoseconds: from 1 ns to a minute, three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these constants are in range")
}
