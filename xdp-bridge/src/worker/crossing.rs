//! Rings between workers, for frames whose flow belongs to another one: one producer, one consumer, bounded.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A count in a cache line of its own.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Count(AtomicU32);

/// What crosses: where a packet is, not its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// Its address in the UMEM.
    pub(super) address: u64,
    /// Its bytes.
    pub(super) length: u32,
    /// The port on which it came.
    pub(super) port: u32,
    /// When it came.
    pub(super) ts_ns: u64,
}

/// A ring from one worker to another.
#[derive(Debug)]
pub(super) struct Crossing {
    put: Count,
    taken: Count,
    slots: Box<[[AtomicU64; 3]]>,
}

impl Crossing {
    /// A ring for `size` parcels, a power of two; one of size 0 takes none.
    pub(super) fn new(size: usize) -> Self {
        Self::starting_at(size, 0)
    }

    fn starting_at(size: usize, start: u32) -> Self {
        Self {
            put: Count(AtomicU32::new(start)),
            taken: Count(AtomicU32::new(start)),
            slots: (0..size).map(|_| Default::default()).collect(),
        }
    }

    fn slot(&self, count: u32) -> Option<&[AtomicU64; 3]> {
        self.slots
            .get(count as usize & self.slots.len().checked_sub(1)?)
    }

    /// True while another parcel fits; stays true until one is put in. For the producing worker alone.
    pub(super) fn has_room(&self) -> bool {
        let used = self.put.0.load(Ordering::Relaxed);
        // Pairs with `pop`'s release: the slot was read before it is written again.
        let used = used.wrapping_sub(self.taken.0.load(Ordering::Acquire));
        (used as usize) < self.slots.len()
    }

    /// Puts a parcel in; false when the ring is full. For the producing worker alone.
    pub(super) fn push(&self, parcel: Parcel) -> bool {
        let put = self.put.0.load(Ordering::Relaxed);
        let Some([address, shape, time]) = self.slot(put).filter(|_| self.has_room()) else {
            return false;
        };
        address.store(parcel.address, Ordering::Relaxed);
        let port = u64::from(parcel.port) << 32;
        shape.store(port | u64::from(parcel.length), Ordering::Relaxed);
        time.store(parcel.ts_ns, Ordering::Relaxed);
        self.put.0.store(put.wrapping_add(1), Ordering::Release);
        true
    }

    /// Takes the oldest parcel. For the consuming worker alone.
    pub(super) fn pop(&self) -> Option<Parcel> {
        let taken = self.taken.0.load(Ordering::Relaxed);
        if self.put.0.load(Ordering::Acquire) == taken {
            return None;
        }
        let [address, shape, time] = self.slot(taken)?;
        let shape = shape.load(Ordering::Relaxed);
        let parcel = Parcel {
            address: address.load(Ordering::Relaxed),
            length: shape as u32,
            port: (shape >> 32) as u32,
            ts_ns: time.load(Ordering::Relaxed),
        };
        self.taken.0.store(taken.wrapping_add(1), Ordering::Release);
        Some(parcel)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn parcel(number: u64) -> Parcel {
        Parcel {
            address: number,
            length: number as u32 & 0xFFF,
            port: number as u32 & 1,
            ts_ns: !number,
        }
    }

    proptest! {
        #[test]
        fn a_crossing_is_a_bounded_queue(
            order in 0u32..5,
            start in prop_oneof![Just(0), u32::MAX - 20..=u32::MAX],
            steps in prop::collection::vec(any::<bool>(), 0..300),
        ) {
            let size = 1usize << order;
            let crossing = Crossing::starting_at(size, start);
            let mut model = VecDeque::new();
            for (number, put) in (0..).zip(steps) {
                prop_assert_eq!(crossing.has_room(), model.len() < size);
                if put {
                    let fits = model.len() < size;
                    prop_assert_eq!(crossing.push(parcel(number)), fits);
                    if fits {
                        model.push_back(parcel(number));
                    }
                } else {
                    prop_assert_eq!(crossing.pop(), model.pop_front());
                }
            }
        }
    }

    #[test]
    fn one_without_slots_takes_nothing() {
        let crossing = Crossing::new(0);
        assert!(!crossing.has_room());
        assert!(!crossing.push(parcel(1)));
        assert_eq!(crossing.pop(), None);
    }

    #[test]
    fn parcels_cross_threads_whole_and_in_order() {
        const PARCELS: u64 = 30_000;
        let crossing = Crossing::starting_at(16, u32::MAX - 100);
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..PARCELS {
                    while !crossing.push(parcel(number)) {
                        thread::yield_now();
                    }
                }
            });
            let mut next = 0;
            while next < PARCELS {
                match crossing.pop() {
                    Some(got) => {
                        assert_eq!(got, parcel(next));
                        next += 1;
                    }
                    None => thread::yield_now(),
                }
            }
        });
    }
}
