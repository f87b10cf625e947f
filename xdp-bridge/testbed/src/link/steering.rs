//! Which TX queue a frame leaves by, said by its sender.
//!
//! On a veth the receiver's RX queue is the sender's TX queue. Left alone, the kernel takes for a socket's frame one by
//! the flow's hash, and for a frame that bypasses the queueing discipline the number of the CPU, so that a sender
//! reaches no more queues than there are CPUs. Here a program of five instructions on the way out (tcx, Linux 6.6)
//! takes the queue from the frame's mark, which any socket may set (`SO_MARK`): mark *n* is queue *n* - 1, and frames
//! without a mark go as before.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::BedError;

const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const SCHED_CLS: u32 = 3;
const TCX_EGRESS: u32 = 47;

/// `queue_mapping` of `struct __sk_buff` counts from one, as the mark does; 0 is "none".
const PROGRAM: [u64; 5] = [
    instruction(0x61, 2, 1, 8, 0),  // r2 = skb->mark
    instruction(0x15, 2, 0, 1, 0),  // if r2 == 0, over the next
    instruction(0x63, 1, 2, 12, 0), // skb->queue_mapping = r2
    instruction(0xb7, 0, 0, 0, -1), // r0 = TCX_NEXT
    instruction(0x95, 0, 0, 0, 0),  // return r0
];

/// RFC 9669 section 3: operation, destination and source registers, offset, constant.
const fn instruction(code: u8, to: u8, from: u8, offset: i16, constant: i32) -> u64 {
    let offset = offset.to_ne_bytes();
    let constant = constant.to_ne_bytes();
    let registers = if cfg!(target_endian = "little") {
        from << 4 | to
    } else {
        to << 4 | from
    };
    u64::from_ne_bytes([
        code,
        registers,
        offset[0],
        offset[1],
        constant[0],
        constant[1],
        constant[2],
        constant[3],
    ])
}

/// `union bpf_attr`, as much of it as is used.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    words: [u32; 4],
    addresses: [u64; 14],
}

/// The program on an interface: gone when dropped.
#[derive(Debug)]
pub(crate) struct Steering {
    _link: OwnedFd,
}

impl Steering {
    /// Puts it on the interface with this number in this thread's namespace.
    pub fn attach(interface: u32) -> Result<Self, BedError> {
        let what = "choosing queues by mark (needs Linux 6.6 and CAP_BPF)";
        let attach = || -> io::Result<OwnedFd> {
            let count = u32::try_from(PROGRAM.len()).unwrap_or(0);
            let licence = c"Dual MIT/GPL";
            let mut load = Attributes::default();
            load.words[..2].copy_from_slice(&[SCHED_CLS, count]);
            // Addresses fit 64 bits.
            load.words[2..].copy_from_slice(&halves(PROGRAM.as_ptr() as u64));
            load.addresses[0] = licence.as_ptr() as u64;
            // SAFETY: a load of as many instructions as said, with a text that ends with zero; the kernel reads both.
            let program = unsafe { bpf(PROG_LOAD, &load) }?;
            let create = Attributes {
                words: [
                    program.as_raw_fd().cast_unsigned(),
                    interface,
                    TCX_EGRESS,
                    0,
                ],
                ..Attributes::default()
            };
            // SAFETY: no address is in it.
            unsafe { bpf(LINK_CREATE, &create) }
        };
        let link = attach().map_err(BedError::system(what))?;
        Ok(Self { _link: link })
    }
}

fn halves(address: u64) -> [u32; 2] {
    let b = address.to_ne_bytes();
    [
        u32::from_ne_bytes([b[0], b[1], b[2], b[3]]),
        u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    ]
}

/// One of the commands that answer with a descriptor.
///
/// # Safety
/// Addresses in `attributes` are good for what the command does with them.
unsafe fn bpf(command: libc::c_long, attributes: &Attributes) -> io::Result<OwnedFd> {
    let size = size_of::<Attributes>();
    // SAFETY: the attributes are as long as said and only read; bytes beyond what a command knows are zero.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size) };
    let fd = RawFd::try_from(answer)
        .ok()
        .filter(|&fd| fd >= 0)
        .ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel made it just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
