//! Programs at tracepoints.
//!
//! The layout is that of `include/uapi/linux/perf_event.h`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{LINK_CREATE, bpf, fd, owned};

/// Runs a program whenever a tracepoint is passed, on any CPU, for as long as the link lives.
pub(in super::super) fn link_tracepoint(program: BorrowedFd<'_>, id: u64) -> io::Result<OwnedFd> {
    /// `struct perf_event_attr`, as of `PERF_ATTR_SIZE_VER0`.
    #[repr(C)]
    struct Event {
        kind: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        zero: [u64; 5],
    }
    const TRACEPOINT: u32 = 2;
    const CLOEXEC: libc::c_ulong = 8;
    const ATTACH_PERF_EVENT: u32 = 41;
    let event = Event {
        kind: TRACEPOINT,
        size: size_of::<Event>() as u32,
        config: id,
        sample_period: 1,
        zero: [0; 5],
    };
    // All processes; a program is run wherever the tracepoint is passed, whatever the CPU.
    let (all, cpu, group) = (-1, 0, -1);
    // SAFETY: an attribute of the size that it tells, and numbers.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const event,
            all,
            cpu,
            group,
            CLOEXEC,
        )
    };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    let event = owned(opened)?;
    let mut attr = [fd(program), fd(event.as_fd()), ATTACH_PERF_EVENT, 0];
    // SAFETY: `link_create` up to its flags, no addresses.
    owned(unsafe { bpf(LINK_CREATE, &mut attr) }?)
}
