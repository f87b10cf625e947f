//! Buffers for streams: recycled, and bounded all together.

/// Capacities of the buffers, as powers of two: 512 bytes to 256 KiB.
const SMALLEST: u32 = 9;
const CLASSES: usize = 10;

/// Buffers that are handed out and given back. What is out and what lies ready never take more than the limit.
#[derive(Debug)]
pub(crate) struct Pool {
    spare: [Vec<Vec<u8>>; CLASSES],
    /// Bytes of all buffers that are out.
    used: usize,
    /// Bytes of all buffers that lie ready.
    ready: usize,
    limit: usize,
}

/// The class of buffers that hold so many bytes; `None` for more than the largest holds.
fn class(bytes: usize) -> Option<usize> {
    let power = bytes.max(1).next_power_of_two().trailing_zeros();
    let class = power.saturating_sub(SMALLEST) as usize;
    (class < CLASSES).then_some(class)
}

/// What a buffer of a class holds.
fn capacity(class: usize) -> usize {
    1 << (SMALLEST as usize + class)
}

/// What a buffer of a class takes: the allocator writes down something for each, too.
fn cost(class: usize) -> usize {
    capacity(class) + 16
}

impl Pool {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            spare: Default::default(),
            used: 0,
            ready: 0,
            limit,
        }
    }

    /// Bytes of all buffers that are out.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Sets aside for good what is not a buffer; false when the limit does not allow it.
    pub(super) fn set_aside(&mut self, bytes: usize) -> bool {
        let enough = self.make_room(bytes);
        if enough {
            self.limit -= bytes;
        }
        enough
    }

    /// Counts what is not a buffer among what is out, even where the limit does not allow it: [`Pool::is_over`].
    pub(super) fn charge(&mut self, bytes: usize) {
        self.used += bytes;
        while self.used + self.ready > self.limit && self.let_go() {}
    }

    /// The opposite of [`Pool::charge`].
    pub(super) fn refund(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// True when more is out than the limit allows.
    pub(super) fn is_over(&self) -> bool {
        self.used > self.limit
    }

    /// Lets a buffer that lies ready go; false when there is none.
    fn let_go(&mut self) -> bool {
        let mut lists = self.spare.iter_mut().enumerate();
        let Some((class, list)) = lists.find(|(_, list)| !list.is_empty()) else {
            return false;
        };
        list.pop();
        self.ready -= cost(class);
        true
    }

    /// Lets buffers that lie ready go where they are in the way; false when that is not enough.
    fn make_room(&mut self, bytes: usize) -> bool {
        if self.used + bytes > self.limit {
            return false;
        }
        while self.used + self.ready + bytes > self.limit {
            if !self.let_go() {
                return false;
            }
        }
        true
    }

    /// An empty buffer for at least so many bytes; `None` when the limit does not allow it.
    pub(super) fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let class = class(bytes)?;
        let size = cost(class);
        if let Some(buffer) = self.spare.get_mut(class)?.pop() {
            self.ready -= size;
            self.used += size;
            return Some(buffer);
        }
        if !self.make_room(size) {
            return None;
        }
        self.used += size;
        Some(Vec::with_capacity(capacity(class)))
    }

    /// Takes a buffer back. Those that never came from here (without capacity) are nothing.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        let holds = buffer.capacity();
        let Some(class) = class(holds).filter(|&class| capacity(class) == holds) else {
            return;
        };
        let size = cost(class);
        buffer.clear();
        self.used = self.used.saturating_sub(size);
        if let Some(list) = self.spare.get_mut(class) {
            self.ready += size;
            list.push(buffer);
        }
    }

    /// Makes room for `more` bytes in `buffer`, whose bytes move where they must; false when the limit does not allow it.
    pub(super) fn grow(&mut self, buffer: &mut Vec<u8>, more: usize) -> bool {
        let needed = buffer.len().saturating_add(more);
        if needed <= buffer.capacity() {
            return true;
        }
        let Some(mut larger) = self.take(needed) else {
            return false;
        };
        larger.extend_from_slice(buffer);
        self.give(std::mem::replace(buffer, larger));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is asked for and given back, in whatever order: the limit holds, and what is out is known.
        #[test]
        fn the_limit_holds(steps in prop::collection::vec((any::<bool>(), 0..300_000usize), 1..200)) {
            const LIMIT: usize = 1 << 20;
            let mut pool = Pool::new(LIMIT);
            let mut out: Vec<Vec<u8>> = Vec::new();
            for (take, size) in steps {
                if take {
                    if let Some(buffer) = pool.take(size) {
                        prop_assert!(buffer.is_empty() && buffer.capacity() >= size);
                        out.push(buffer);
                    }
                } else if !out.is_empty() {
                    let at = size % out.len();
                    pool.give(out.swap_remove(at));
                }
                let sum: usize = out.iter().map(|buffer| buffer.capacity() + 16).sum();
                prop_assert_eq!(pool.used(), sum);
                prop_assert!(pool.used + pool.ready <= LIMIT);
            }
        }
    }

    #[test]
    fn a_buffer_that_grows_keeps_its_bytes() {
        let mut pool = Pool::new(1 << 20);
        let mut buffer = Vec::new();
        for byte in 0..=255u8 {
            for _ in 0..10 {
                assert!(pool.grow(&mut buffer, 1));
                buffer.push(byte);
            }
        }
        assert!((0..2560).all(|at| buffer[at] == (at / 10) as u8));
        assert_eq!(pool.used(), 4096 + 16);
        assert!(!pool.grow(&mut buffer, 1 << 20), "beyond the limit");
        assert_eq!(buffer.len(), 2560);
    }
}
