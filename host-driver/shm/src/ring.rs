//! Byte rings with one producer and one consumer, which do not trust each other.
//!
//! Each end knows its own position by heart and publishes it; of the other's it takes only how far apart they are, and that is
//! held to the ring's size.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::ShmError;
use crate::layout::{Sizes, words};
use crate::map::Map;

/// What both ends know.
struct Ring {
    map: Arc<Map>,
    /// Place of the words: put in, taken out, host sleeps.
    words: [usize; 3],
    start: usize,
    size: u32,
}

impl Ring {
    fn new(map: &Arc<Map>, sizes: &Sizes, ring: usize) -> Self {
        let (start, size) = sizes.ring(ring);
        Self {
            map: Arc::clone(map),
            words: words(ring),
            start,
            size: size as u32,
        }
    }

    /// Bytes in the ring, between these positions.
    fn used(&self, put: u32, taken: u32) -> Result<u32, ShmError> {
        let used = put.wrapping_sub(taken);
        if used > self.size {
            return Err(ShmError::Corrupt {
                what: "distance of a ring's positions",
                got: used,
                expected: "at most the ring's size",
            });
        }
        Ok(used)
    }

    fn load(&self, which: usize) -> u32 {
        self.map.word(self.words[which]).load(Ordering::SeqCst)
    }

    fn publish(&self, which: usize, position: u32) {
        self.map
            .word(self.words[which])
            .store(position, Ordering::SeqCst);
    }

    /// The place of `length` bytes at a position, in one or two parts: (place, bytes) of the first, the second is at the start.
    fn split(&self, position: u32, length: usize) -> (usize, usize) {
        let at = (position & (self.size - 1)) as usize;
        (self.start + at, length.min(self.size as usize - at))
    }
}

/// Words of a ring that can be waited for.
pub(crate) const PUT: usize = 0;
pub(crate) const TAKEN: usize = 1;
const SLEEPS: usize = 2;

/// The end where bytes go in.
pub(crate) struct Producer {
    ring: Ring,
    put: u32,
}

impl Producer {
    /// At the start of a session: nothing was put in.
    pub(crate) fn new(map: &Arc<Map>, sizes: &Sizes, ring: usize) -> Self {
        Self {
            ring: Ring::new(map, sizes, ring),
            put: 0,
        }
    }

    /// The other end's position, to see whether it moves.
    pub(crate) fn taken(&self) -> u32 {
        self.ring.load(TAKEN)
    }

    /// Bytes that the other end has not taken.
    pub(crate) fn used(&self) -> Result<usize, ShmError> {
        Ok(self.ring.used(self.put, self.taken())? as usize)
    }

    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> Result<usize, ShmError> {
        Ok(self.ring.size as usize - self.used()?)
    }

    /// Puts in as many bytes as there is room for, in steps of `step`; returns how many.
    pub(crate) fn push(&mut self, bytes: &[u8], step: usize) -> Result<usize, ShmError> {
        let length = bytes.len().min(self.room()?) / step * step;
        if length == 0 {
            return Ok(0);
        }
        let (at, first) = self.ring.split(self.put, length);
        let (one, two) = bytes[..length].split_at(first);
        self.ring.map.write(at, one);
        self.ring.map.write(self.ring.start, two);
        self.put = self.put.wrapping_add(length as u32);
        self.ring.publish(PUT, self.put);
        Ok(length)
    }

    /// True when the host sleeps until this ring has something to read.
    pub(crate) fn host_sleeps(&self) -> bool {
        self.ring.load(SLEEPS) != 0
    }

    /// Place of the word that this end waits for, of the one that it publishes, and of the one that says that the host sleeps.
    pub(crate) fn places(&self) -> [usize; 3] {
        let [put, taken, sleeps] = self.ring.words;
        [taken, put, sleeps]
    }
}

/// The end where bytes come out.
pub(crate) struct Consumer {
    ring: Ring,
    taken: u32,
}

impl Consumer {
    /// At the start of a session: nothing was taken.
    pub(crate) fn new(map: &Arc<Map>, sizes: &Sizes, ring: usize) -> Self {
        Self {
            ring: Ring::new(map, sizes, ring),
            taken: 0,
        }
    }

    /// The other end's position, to see whether it moves.
    pub(crate) fn put(&self) -> u32 {
        self.ring.load(PUT)
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> Result<usize, ShmError> {
        Ok(self.ring.used(self.put(), self.taken)? as usize)
    }

    /// Takes what waits, in steps of `step`; returns how many bytes.
    pub(crate) fn pull(&mut self, into: &mut [u8], step: usize) -> Result<usize, ShmError> {
        let length = into.len().min(self.waiting()?) / step * step;
        if length == 0 {
            return Ok(0);
        }
        let (at, first) = self.ring.split(self.taken, length);
        let (one, two) = into[..length].split_at_mut(first);
        self.ring.map.read(at, one);
        self.ring.map.read(self.ring.start, two);
        self.taken = self.taken.wrapping_add(length as u32);
        self.ring.publish(TAKEN, self.taken);
        Ok(length)
    }

    /// True when the host sleeps until this ring has room, and half of it has: waking it for each bit of room would cost more
    /// than all else. It looks for itself every [`LIVENESS`](crate::LIVENESS).
    pub(crate) fn host_sleeps(&self) -> bool {
        let roomy = self
            .waiting()
            .is_ok_and(|waiting| waiting <= self.ring.size as usize / 2);
        roomy && self.ring.load(SLEEPS) != 0
    }

    /// Place of the word that this end waits for, of the one that it publishes, and of the one that says that the host sleeps.
    pub(crate) fn places(&self) -> [usize; 3] {
        self.ring.words
    }
}
