//! Rings between user space and the kernel: one side puts entries in, the other takes them out, no lock between them.
//!
//! An entry is one 64-bit word (fill and completion rings: an address) or two (receive and transmit rings: a descriptor). Both
//! sides count what they put in or took out, wrapping at 2³², and publish their count; the place of an entry is its count modulo
//! the ring's size, a power of two. See `Documentation/networking/af_xdp.rst` of the kernel.
//!
//! Our ends read the other side's count once in a while, not for each entry: it lies in a cache line that the other side writes.
//! A count that is further off than the ring is long is no count: such a ring is full, or empty, for us.

mod memory;

use std::sync::atomic::Ordering;

#[cfg(test)]
pub(crate) use memory::Heap;
pub(crate) use memory::{Mapped, Memory};

/// The flag by which the kernel asks to be woken.
const NEED_WAKEUP: u32 = libc::XDP_RING_NEED_WAKEUP;

/// The end of a ring where entries of `WORDS` words go in: of fill and transmit rings.
pub(crate) struct Producer<M, const WORDS: usize> {
    memory: M,
    size: u32,
    /// Entries put in, published or not.
    put: u32,
    /// Of them published.
    published: u32,
    /// Entries taken out, as far as we know.
    taken: u32,
}

impl<M: Memory, const WORDS: usize> Producer<M, WORDS> {
    /// Goes on where the ring is.
    pub(crate) fn new(memory: M) -> Self {
        let put = memory.producer().load(Ordering::Acquire);
        Self {
            size: size::<M, WORDS>(&memory),
            put,
            published: put,
            taken: memory.consumer().load(Ordering::Acquire),
            memory,
        }
    }

    /// Entries that there is room for: at least `wanted` if there is so much.
    pub(crate) fn room(&mut self, wanted: u32) -> u32 {
        let room = |taken| self.size.saturating_sub(self.put.wrapping_sub(taken));
        let known = room(self.taken);
        if known >= wanted {
            return known;
        }
        // Pairs with the kernel's release: it has read what it took before we write there again.
        self.taken = self.memory.consumer().load(Ordering::Acquire);
        self.size.saturating_sub(self.put.wrapping_sub(self.taken))
    }

    /// Puts an entry in, to be published; false when there is no room.
    pub(crate) fn push(&mut self, entry: [u64; WORDS]) -> bool {
        if self.room(1) == 0 {
            return false;
        }
        let at = slot::<WORDS>(self.put, self.size);
        for (word, value) in self.memory.slots().iter().skip(at).zip(entry) {
            word.store(value, Ordering::Relaxed);
        }
        self.put = self.put.wrapping_add(1);
        true
    }

    /// Lets the kernel see what was put in; returns how many entries are new to it.
    pub(crate) fn publish(&mut self) -> u32 {
        let fresh = self.put.wrapping_sub(self.published);
        if fresh > 0 {
            self.memory.producer().store(self.put, Ordering::Release);
            self.published = self.put;
        }
        fresh
    }

    /// Entries in the ring that the kernel has not taken.
    pub(crate) fn waiting(&mut self) -> u32 {
        self.taken = self.memory.consumer().load(Ordering::Acquire);
        self.put.wrapping_sub(self.taken).min(self.size)
    }

    /// Entries that the other side had taken out when it was last asked; wraps.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    /// True when the kernel goes on only after a system call.
    pub(crate) fn needs_wakeup(&self) -> bool {
        self.memory.flags().load(Ordering::Relaxed) & NEED_WAKEUP != 0
    }
}

/// The end of a ring where entries of `WORDS` words come out: of receive and completion rings.
pub(crate) struct Consumer<M, const WORDS: usize> {
    memory: M,
    size: u32,
    /// Entries taken out, published or not.
    taken: u32,
    /// Of them published.
    published: u32,
    /// Entries put in, as far as we know.
    put: u32,
}

impl<M: Memory, const WORDS: usize> Consumer<M, WORDS> {
    /// Goes on where the ring is.
    pub(crate) fn new(memory: M) -> Self {
        let taken = memory.consumer().load(Ordering::Acquire);
        Self {
            size: size::<M, WORDS>(&memory),
            taken,
            published: taken,
            put: memory.producer().load(Ordering::Acquire),
            memory,
        }
    }

    /// Entries that can be taken; asks the kernel when none are known.
    pub(crate) fn waiting(&mut self) -> u32 {
        let waiting = self.put.wrapping_sub(self.taken);
        if waiting != 0 && waiting <= self.size {
            return waiting;
        }
        // Pairs with the kernel's release: entries are written before they are counted.
        self.put = self.memory.producer().load(Ordering::Acquire);
        let waiting = self.put.wrapping_sub(self.taken);
        if waiting <= self.size { waiting } else { 0 }
    }

    /// Takes an entry out; the kernel gets its place with [`Consumer::release`].
    pub(crate) fn pull(&mut self) -> Option<[u64; WORDS]> {
        if self.waiting() == 0 {
            return None;
        }
        let at = slot::<WORDS>(self.taken, self.size);
        let mut entry = [0; WORDS];
        for (value, word) in entry.iter_mut().zip(self.memory.slots().iter().skip(at)) {
            *value = word.load(Ordering::Relaxed);
        }
        self.taken = self.taken.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of entries that were taken back to the kernel.
    pub(crate) fn release(&mut self) {
        if self.taken != self.published {
            self.memory.consumer().store(self.taken, Ordering::Release);
            self.published = self.taken;
        }
    }
}

/// Entries of a ring: a power of two.
fn size<M: Memory, const WORDS: usize>(memory: &M) -> u32 {
    let size = memory.slots().len() / WORDS;
    assert!(
        size.is_power_of_two() && size <= 1 << 31,
        "a ring's size is a power of two"
    );
    size as u32
}

/// First word of an entry.
fn slot<const WORDS: usize>(count: u32, size: u32) -> usize {
    (count & (size - 1)) as usize * WORDS
}

#[cfg(test)]
mod tests;
