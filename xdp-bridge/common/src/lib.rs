//! What Weir's XDP program and its user space agree on: the layout of maps.
#![no_std]

/// Most receive queues of a port that are served.
pub const MAX_QUEUES: u32 = 64;
