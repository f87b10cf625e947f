//! Interfaces: what the kernel counts on them, which features are on, and which queue a frame leaves by.
//!
//! All of this speaks of the namespace of the calling thread.

mod counters;
mod features;
mod steering;

use std::ffi::CString;
use std::io;

pub use counters::LinkCounters;
pub(crate) use counters::counters;
pub(crate) use features::Features;
pub use features::Offloads;
pub(crate) use steering::Steering;

use crate::BedError;

/// The number of an interface in this thread's namespace.
pub(crate) fn index(interface: &str) -> Result<u32, BedError> {
    let what = || format!("looking for the interface {interface}");
    let name = CString::new(interface)
        .map_err(|_| BedError::Invalid(format!("{interface:?} is no name of an interface")))?;
    // SAFETY: the name ends with a zero byte and is only read.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(BedError::system(what())(io::Error::last_os_error())),
        index => Ok(index),
    }
}
