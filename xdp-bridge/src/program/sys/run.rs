//! Programs run on made frames.

use std::io;
use std::os::fd::BorrowedFd;

use super::{bpf, fd};

/// Runs an XDP program so many times on a frame that comes on an interface's queue; what it answers, and how many
/// nanoseconds it takes.
pub(in super::super) fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    ifindex: u32,
    queue: u32,
    repeat: u32,
) -> io::Result<(u32, u32)> {
    const PROG_TEST_RUN: libc::c_int = 10;
    #[repr(C)]
    struct Run {
        program: u32,
        answer: u32,
        sizes: [u32; 2],
        frame: u64,
        result: u64,
        repeat: u32,
        duration: u32,
        context_sizes: [u32; 2],
        context: u64,
        context_result: u64,
    }
    // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let context = [0, frame.len() as u32, 0, ifindex, queue, 0];
    let mut run = Run {
        program: fd(program),
        answer: 0,
        sizes: [frame.len() as u32, 0],
        frame: frame.as_ptr() as u64,
        result: 0,
        repeat,
        duration: 0,
        context_sizes: [size_of_val(&context) as u32, 0],
        context: context.as_ptr() as u64,
        context_result: 0,
    };
    // SAFETY: frame and context with their sizes, and no room for results, which are then not written.
    unsafe { bpf(PROG_TEST_RUN, &mut run) }?;
    Ok((run.answer, run.duration))
}
