//! The way home: frames that other workers are done with.
//!
//! A list for each worker, linked through an array that has one link for each frame of the bridge. Anyone puts frames on a list,
//! its worker takes the whole list at once. It has room for all frames there are, so that no frame is ever stranded; and as nothing
//! but the whole list is taken, a frame that comes by twice in between does no harm.

use std::sync::atomic::{AtomicU32, Ordering};

/// No frame.
const END: u32 = u32::MAX;

/// A list's head in a cache line of its own.
#[repr(align(64))]
#[derive(Debug)]
struct Head(AtomicU32);

/// Lists of frames on their way home.
#[derive(Debug)]
pub(super) struct Homeward {
    heads: Box<[Head]>,
    links: Box<[AtomicU32]>,
}

impl Homeward {
    /// Empty lists for `workers` workers that share `frames` frames.
    pub(super) fn new(workers: u32, frames: u32) -> Self {
        Self {
            heads: (0..workers).map(|_| Head(AtomicU32::new(END))).collect(),
            links: (0..frames).map(|_| AtomicU32::new(END)).collect(),
        }
    }

    /// Puts a frame, which is on no list, on a worker's list.
    pub(super) fn send(&self, worker: u32, frame: u32) {
        let head = self.heads.get(worker as usize);
        let link = self.links.get(frame as usize);
        let (Some(Head(head)), Some(link)) = (head, link) else {
            return;
        };
        let mut first = head.load(Ordering::Relaxed);
        loop {
            link.store(first, Ordering::Relaxed);
            match head.compare_exchange_weak(first, frame, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// True when a worker's list has frames.
    pub(super) fn waits(&self, worker: u32) -> bool {
        self.heads
            .get(worker as usize)
            .is_some_and(|Head(head)| head.load(Ordering::Relaxed) != END)
    }

    /// Takes all frames of a worker's list, the latest first.
    pub(super) fn take(&self, worker: u32) -> Arrivals<'_> {
        let next = match self.heads.get(worker as usize) {
            Some(Head(head)) if head.load(Ordering::Relaxed) != END => {
                head.swap(END, Ordering::Acquire)
            }
            _ => END,
        };
        Arrivals {
            next,
            links: &self.links,
        }
    }
}

/// Frames of a list that was taken. The link of a frame is read before the frame is given out.
pub(super) struct Arrivals<'a> {
    next: u32,
    links: &'a [AtomicU32],
}

impl Iterator for Arrivals<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let frame = self.next;
        self.next = self.links.get(frame as usize)?.load(Ordering::Relaxed);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn lists_are_taken_whole_and_apart() {
        let homeward = Homeward::new(2, 10);
        assert!(!homeward.waits(0));
        assert_eq!(homeward.take(0).count(), 0);
        for frame in [3, 1, 4] {
            homeward.send(0, frame);
        }
        homeward.send(1, 9);
        // Neither a frame nor a worker that is not there.
        homeward.send(1, 10);
        homeward.send(2, 5);
        assert!(homeward.waits(0));
        assert_eq!(homeward.take(0).collect::<Vec<_>>(), [4, 1, 3]);
        assert_eq!(homeward.take(0).count(), 0);
        assert_eq!(homeward.take(1).collect::<Vec<_>>(), [9]);
        assert_eq!(homeward.take(2).count(), 0);
    }

    /// Frames go round between four senders and one taker: each stays one, and none is lost.
    #[test]
    fn frames_sent_from_many_threads_arrive_once() {
        const SENDERS: u32 = 4;
        const EACH: u32 = 500;
        let homeward = Homeward::new(1, SENDERS * EACH);
        let mut seen = vec![0; (SENDERS * EACH) as usize];
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let homeward = &homeward;
                scope.spawn(move || {
                    for frame in sender * EACH..(sender + 1) * EACH {
                        homeward.send(0, frame);
                    }
                });
            }
            let mut arrived = 0;
            let mut again = Vec::new();
            while arrived < 3 * SENDERS * EACH {
                for frame in homeward.take(0) {
                    arrived += 1;
                    seen[frame as usize] += 1;
                    if seen[frame as usize] < 3 {
                        again.push(frame);
                    }
                }
                for frame in again.drain(..) {
                    homeward.send(0, frame);
                }
                thread::yield_now();
            }
        });
        assert!(seen.iter().all(|&times| times == 3));
        assert!(!homeward.waits(0));
    }
}
