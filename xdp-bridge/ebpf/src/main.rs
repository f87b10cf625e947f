//! Weir's XDP program: decides for each frame, within some hundred instructions, whether user space sees it, the kernel
//! forwards it, or nobody does; and counts which.
//!
//! A frame of a flow that user space gave away is forwarded or dropped at once. All others go to the socket of the worker
//! that serves the queue. If that worker is late or its socket is gone, the frame fails: open to the other port, closed to
//! nowhere.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features)]

mod flow;
mod xmit;

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::bindings::{
    BPF_F_MMAPABLE,
    xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT},
};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, DevMap, LruHashMap, PerCpuArray, XskMap};
use aya_ebpf::programs::XdpContext;
use weir_xdp_common::{
    Cause, FlowEntry, FlowKey, MAX_PORTS, MAX_QUEUES, OPEN, Outcome, PASSIVE, PortCounters,
    Settings, WorkerState, action, socket_index,
};

#[map]
static SETTINGS: Array<Settings> = Array::with_max_entries(1, 0);
#[map]
static WORKERS: Array<WorkerState> = Array::with_max_entries(MAX_QUEUES, BPF_F_MMAPABLE);
#[map]
static COUNTERS: PerCpuArray<PortCounters> = PerCpuArray::with_max_entries(MAX_PORTS, 0);
#[map]
static XSKS: XskMap = XskMap::with_max_entries(MAX_PORTS * MAX_QUEUES, 0);
#[map]
static PEERS: DevMap = DevMap::with_max_entries(MAX_PORTS, 0);
/// The loader sets its size.
#[map]
static FLOWS: LruHashMap<FlowKey, FlowEntry> = LruHashMap::with_max_entries(1024, 0);

/// A frame that is being decided on.
struct Frame {
    data: usize,
    end: usize,
    port: u32,
    now: u64,
    settings: *const Settings,
    counters: *mut PortCounters,
}

#[xdp]
pub fn weir(ctx: XdpContext) -> u32 {
    // None only if an array had no such element, which all have.
    decide(&ctx).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn decide(ctx: &XdpContext) -> Option<u32> {
    let settings = SETTINGS.get_ptr(0)?;
    // SAFETY: the kernel keeps elements of arrays as long as the program runs; user space may write them meanwhile, one
    // word at a time, and any word will do.
    let port =
        u32::from(ctx.ingress_ifindex() as u32 == unsafe { (*settings).record.ports[1].ifindex });
    let frame = Frame {
        data: ctx.data(),
        end: ctx.data_end(),
        port,
        // SAFETY: without conditions.
        now: unsafe { bpf_ktime_get_ns() },
        settings,
        counters: COUNTERS.get_ptr_mut(port)?,
    };
    // SAFETY: this CPU's counters, and nothing else runs on this CPU that writes them.
    unsafe {
        (*frame.counters).received.packets += 1;
        (*frame.counters).received.bytes += frame.bytes();
    }
    // SAFETY: as above, of settings.
    if unsafe { (*settings).orders } != 0
        && let Some(action) = ordered(&frame)
    {
        return Some(action);
    }
    Some(to_user(&frame, ctx.rx_queue_index()))
}

/// What was ordered for the frame's flow, if anything.
#[inline(always)]
fn ordered(frame: &Frame) -> Option<u32> {
    let Some(found) = flow::find(frame.data, frame.end) else {
        frame.because(Cause::NoFlow);
        return None;
    };
    let entry = FLOWS.get_ptr_mut(&found.key)?;
    // SAFETY: the kernel keeps the entry's memory as long as the program runs. If the entry is evicted meanwhile, another
    // flow's may be written: its counters are then off by a frame.
    let (what, until) = unsafe { ((*entry).action, (*entry).until_ns) };
    match what {
        action::BLOCK if frame.now < until => {
            frame.count(entry);
            Some(frame.becomes(Outcome::Blocked, XDP_DROP))
        }
        action::BYPASS if found.opens => {
            // SAFETY: as above. The entry stays, so that user space can read its counters.
            unsafe { (*entry).action = action::ENDED };
            frame.because(Cause::Reopened);
            None
        }
        action::BYPASS => {
            frame.count(entry);
            Some(frame.forward(Outcome::Bypassed))
        }
        _ => None,
    }
}

#[inline(always)]
fn to_user(frame: &Frame, queue: u32) -> u32 {
    // SAFETY: as in `decide`.
    let (queues, timeout) = unsafe { ((*frame.settings).queues, (*frame.settings).timeout_ns) };
    if queue >= queues || queue >= MAX_QUEUES {
        return frame.fail(Cause::NoWorker);
    }
    let Some(worker) = WORKERS.get(queue) else {
        return frame.fail(Cause::NoWorker);
    };
    // SAFETY: an aligned word of the element, which user space writes in one go.
    let seen = unsafe { worker.heartbeat.as_ptr().read_volatile() };
    if frame.now.saturating_sub(seen) > timeout {
        return frame.fail(Cause::Late);
    }
    // The kernel answers with the flags where there is no socket; XDP_ABORTED is none of the ways out.
    let index = socket_index(frame.port, queue);
    if XSKS.redirect(index, XDP_ABORTED.into()).is_err() {
        return frame.fail(Cause::NoSocket);
    }
    frame.becomes(Outcome::ToUser, XDP_REDIRECT)
}

/// Adds to a word that others add to as well: one instruction. (`AtomicU64` cannot add on this target.)
///
/// # Safety
///
/// The word is valid, and aligned.
#[inline(always)]
unsafe fn add(word: *mut u64, what: u64) {
    // SAFETY: as demanded.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(word, what) };
}

impl Frame {
    #[inline(always)]
    fn bytes(&self) -> u64 {
        (self.end - self.data) as u64
    }

    #[inline(always)]
    fn becomes(&self, outcome: Outcome, action: u32) -> u32 {
        // SAFETY: as in `decide`.
        let count = unsafe { &mut (*self.counters).outcomes[outcome as usize] };
        count.packets += 1;
        count.bytes += self.bytes();
        action
    }

    #[inline(always)]
    fn because(&self, cause: Cause) {
        // SAFETY: as in `decide`.
        unsafe { (*self.counters).causes[cause as usize] += 1 };
    }

    /// Adds the frame to its flow's counters. Both directions of a flow may do so at once.
    #[inline(always)]
    fn count(&self, entry: *mut FlowEntry) {
        // SAFETY: the entry is valid, as in `ordered`; its words are aligned, and both sides add to them atomically.
        unsafe {
            add(&raw mut (*entry).packets, 1);
            add(&raw mut (*entry).bytes, self.bytes());
            (*entry).last_ns = self.now;
        }
    }

    /// User space does not take the frame.
    #[inline(always)]
    fn fail(&self, cause: Cause) -> u32 {
        self.because(cause);
        // SAFETY: as in `decide`.
        if unsafe { (*self.settings).fail } == OPEN {
            self.forward(Outcome::FailedOpen)
        } else {
            self.becomes(Outcome::FailedClosed, XDP_DROP)
        }
    }

    /// The frame goes on without user space.
    #[inline(always)]
    fn forward(&self, outcome: Outcome) -> u32 {
        // SAFETY: as in `decide`.
        if unsafe { (*self.settings).mode } == PASSIVE {
            return self.becomes(outcome, XDP_PASS);
        }
        match PEERS.redirect(self.port, XDP_DROP.into()) {
            Ok(action) => {
                xmit::begins(self.port, self.now);
                self.becomes(outcome, action)
            }
            Err(action) => self.becomes(Outcome::NoPeer, action),
        }
    }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 18] = *b"MIT OR Apache-2.0\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
