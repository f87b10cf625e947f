//! What became of frames that were forwarded: the kernel decides that after the program has ended, and says so at tracepoints,
//! for all interfaces of all network namespaces.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::TracePointContext;
use weir_xdp_common::{Cause, MAX_PORTS};

use crate::{COUNTERS, SETTINGS};

/// For longer than that no frame waits to be sent: the kernel does it at the end of each round of its work, on the same CPU.
const LONG: u64 = 10_000_000;

/// Frames that a CPU has forwarded and not heard of yet, by the port on which they came.
#[repr(C)]
struct Flying {
    frames: u64,
    /// When the latest was forwarded, in nanoseconds of `CLOCK_MONOTONIC`.
    since: u64,
}

#[map]
static FLYING: PerCpuArray<Flying> = PerCpuArray::with_max_entries(MAX_PORTS, 0);

/// A frame that came on a port is being forwarded.
#[inline(always)]
pub fn begins(port: u32, now: u64) {
    if let Some(flying) = FLYING.get_ptr_mut(port) {
        // SAFETY: this CPU's, and nothing else runs on this CPU that writes it.
        unsafe {
            // In generic mode nobody tells of those that were sent.
            let stale = now.saturating_sub((*flying).since) > LONG;
            (*flying).frames = if stale { 1 } else { (*flying).frames + 1 };
            (*flying).since = now;
        }
    }
}

/// Of so many frames from one interface to another some were not sent. Interfaces of other network namespaces may have the same
/// numbers: then no frame of ours is on its way on this CPU.
#[inline(always)]
fn ended(from: u32, to: u32, frames: u32, lost: u32) -> Option<()> {
    let settings = SETTINGS.get_ptr(0)?;
    // SAFETY: as in `decide`: any words will do.
    let ports = unsafe {
        [
            (*settings).record.ports[0].ifindex,
            (*settings).record.ports[1].ifindex,
        ]
    };
    let port = match (from, to) {
        _ if [from, to] == ports => 0,
        _ if [to, from] == ports => 1,
        _ => return None,
    };
    let flying = FLYING.get_ptr_mut(port)?;
    let counters = COUNTERS.get_ptr_mut(port)?;
    // SAFETY: without conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: this CPU's; the kernel says it where it has run the program, before it runs it again.
    unsafe {
        if now.saturating_sub((*flying).since) > LONG {
            return None;
        }
        let ours = u64::from(frames).min((*flying).frames);
        (*flying).frames -= ours;
        (*counters).causes[Cause::XmitDropped as usize] += u64::from(lost).min(ours);
    }
    Some(())
}

/// A word of what a tracepoint tells.
///
/// # Safety
///
/// It has one there.
#[inline(always)]
unsafe fn word(ctx: &TracePointContext, at: usize) -> u32 {
    // SAFETY: the caller's; loads from it are checked by the kernel.
    unsafe {
        ctx.as_ptr()
            .cast::<u8>()
            .add(at)
            .cast::<u32>()
            .read_volatile()
    }
}

/// Frames were given to an interface.
#[tracepoint]
pub fn weir_xmit(ctx: TracePointContext) -> u32 {
    // SAFETY: as the loader has seen, there are from_ifindex, to_ifindex, drops and sent.
    let (from, to, drops, sent) = unsafe {
        (
            word(&ctx, 8),
            word(&ctx, 16),
            word(&ctx, 20),
            word(&ctx, 24),
        )
    };
    ended(from, to, drops.saturating_add(sent), drops);
    0
}

/// A frame could not be given to an interface.
#[tracepoint]
pub fn weir_refused(ctx: TracePointContext) -> u32 {
    // SAFETY: as the loader has seen, there are ifindex and to_ifindex, which is 0 where it was a socket's.
    let (from, to) = unsafe { (word(&ctx, 16), word(&ctx, 24)) };
    ended(from, to, 1, 1);
    0
}
