//! What a ring lies in: the kernel's memory, or, for tests, our own.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::net::xdp::XdpRingOffset;

use crate::umem::Map;

/// The parts of a ring.
pub(crate) trait Memory {
    /// Entries put in.
    fn producer(&self) -> &AtomicU32;
    /// Entries taken out.
    fn consumer(&self) -> &AtomicU32;
    /// What the kernel asks for.
    fn flags(&self) -> &AtomicU32;
    /// The words of the entries.
    fn slots(&self) -> &[AtomicU64];
}

/// A ring that a socket shares with the kernel.
pub(crate) struct Mapped {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    slots: NonNull<[AtomicU64]>,
    /// What all of them point into.
    _map: Map,
}

// SAFETY: the places are of atomics in a mapping that moves with them and belongs to the process.
unsafe impl Send for Mapped {}

impl Mapped {
    /// Maps the ring of `words` words at `page`, whose parts are at `offsets`.
    pub(crate) fn new(
        socket: BorrowedFd<'_>,
        page: u64,
        offsets: &XdpRingOffset,
        words: usize,
    ) -> io::Result<Self> {
        let at = |offset: u64| usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidData);
        let flags = offsets.flags.ok_or(io::ErrorKind::Unsupported)?;
        let length = words
            .checked_mul(size_of::<u64>())
            .and_then(|bytes| bytes.checked_add(at(offsets.desc).ok()?))
            .ok_or(io::ErrorKind::InvalidData)?;
        let map = Map::shared(socket, page, length)?;
        let word = |offset| {
            let place = map.place::<AtomicU32>(at(offset)?, 1);
            place.ok_or(io::ErrorKind::InvalidData)
        };
        let slots = map
            .place::<AtomicU64>(at(offsets.desc)?, words)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            producer: word(offsets.producer)?,
            consumer: word(offsets.consumer)?,
            flags: word(flags)?,
            slots: NonNull::slice_from_raw_parts(slots, words),
            _map: map,
        })
    }
}

impl Memory for Mapped {
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: within the mapping and aligned, as `place` saw to; any bits are valid; it lives as long as `self`; the kernel
        // too uses it atomically.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.flags.as_ref() }
    }

    fn slots(&self) -> &[AtomicU64] {
        // SAFETY: as in `producer`, all of them; the counts say which of them the kernel writes now, and a mistake of its would
        // give wrong numbers, no more.
        unsafe { self.slots.as_ref() }
    }
}

/// A ring of our own, whose other end a test holds.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Heap(std::sync::Arc<HeapRing>);

#[cfg(test)]
struct HeapRing {
    producer: AtomicU32,
    consumer: AtomicU32,
    flags: AtomicU32,
    slots: Box<[AtomicU64]>,
}

#[cfg(test)]
impl Heap {
    /// A ring of `words` words whose counts are at `start`.
    pub(crate) fn new(words: usize, start: u32) -> Self {
        Self(std::sync::Arc::new(HeapRing {
            producer: AtomicU32::new(start),
            consumer: AtomicU32::new(start),
            flags: AtomicU32::new(0),
            slots: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }))
    }
}

#[cfg(test)]
impl Memory for Heap {
    fn producer(&self) -> &AtomicU32 {
        &self.0.producer
    }

    fn consumer(&self) -> &AtomicU32 {
        &self.0.consumer
    }

    fn flags(&self) -> &AtomicU32 {
        &self.0.flags
    }

    fn slots(&self) -> &[AtomicU64] {
        &self.0.slots
    }
}
