//! What all workers of a bridge share.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use super::crossing::{Crossing, Parcel};
use super::home::Homeward;
use super::mail::Mail;
use crate::umem::{Frame, Place, Umem};

/// The frames, and the ways between workers.
pub(super) struct Shared {
    pub(super) umem: Umem,
    pub(super) workers: u32,
    /// Frames that each worker has.
    frames: u32,
    homeward: Homeward,
    /// From worker to worker: row by row.
    crossings: Box<[Crossing]>,
    mail: Box<[Mail]>,
    /// Workers that have not ended.
    left: AtomicU32,
    /// Workers that receive no more, and so give nothing to others.
    dry: AtomicU32,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("workers", &self.workers)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Memory and ways for `workers` workers with `frames` frames each; and the frames.
    pub(super) fn new(
        workers: u32,
        frames: u32,
        frame_size: u32,
        huge_pages: bool,
    ) -> io::Result<(Self, Vec<Frame>)> {
        let total = workers.checked_mul(frames);
        let total = total.ok_or(io::ErrorKind::OutOfMemory)?;
        let (umem, all) = Umem::new(total, frame_size, huge_pages)?;
        // A ring to each of the others: as long as a kernel's ring for few workers, and for many not more memory in all.
        let size = (4096 / workers.max(1)).clamp(64, 2048).next_power_of_two() as usize;
        let shared = Self {
            umem,
            workers,
            frames,
            homeward: Homeward::new(workers, total),
            crossings: (0..workers)
                .flat_map(|from| (0..workers).map(move |to| (from, to)))
                .map(|(from, to)| Crossing::new(if from == to { 0 } else { size }))
                .collect(),
            mail: (0..workers)
                .map(|_| Mail::new())
                .collect::<io::Result<_>>()?,
            left: AtomicU32::new(workers),
            dry: AtomicU32::new(0),
        };
        Ok((shared, all))
    }

    /// The worker that a frame belongs to.
    pub(super) fn home(&self, frame: &Frame) -> u32 {
        frame.number() / self.frames.max(1)
    }

    /// The ring from one worker to another.
    pub(super) fn crossing(&self, from: u32, to: u32) -> Option<&Crossing> {
        if to >= self.workers {
            return None;
        }
        self.crossings.get((from * self.workers + to) as usize)
    }

    /// A worker has ended, and takes nothing more. The last one gets what others put into rings to workers that had ended before
    /// they noticed.
    pub(super) fn end_worker(&self) -> impl Iterator<Item = Parcel> + '_ {
        // Acquires what all others have put there.
        let last = self.left.fetch_sub(1, Ordering::AcqRel) == 1;
        let crossings = self.crossings.iter().filter(move |_| last);
        crossings.flat_map(|crossing| std::iter::from_fn(|| crossing.pop()))
    }

    /// A worker receives no more: what others may find in its rings to them is there now. Once for each.
    pub(super) fn runs_dry(&self) {
        self.dry.fetch_add(1, Ordering::Release);
    }

    /// True when nothing more is put into rings between workers.
    pub(super) fn is_dry(&self) -> bool {
        self.dry.load(Ordering::Acquire) >= self.workers
    }

    /// Frames of all workers.
    pub(super) fn frames(&self) -> u32 {
        self.workers.saturating_mul(self.frames)
    }

    /// A worker's letter box.
    pub(super) fn mail(&self, worker: u32) -> Option<&Mail> {
        self.mail.get(worker as usize)
    }

    /// Sends a frame to the worker that it belongs to.
    pub(super) fn send_home(&self, frame: Frame) {
        let (worker, number) = (self.home(&frame), frame.number());
        self.umem.give(frame, Place::HOMEWARD);
        self.homeward.send(worker, number);
        if let Some(mail) = self.mail(worker) {
            mail.frames_came();
        }
    }

    /// True when frames of a worker wait to be taken home.
    pub(super) fn homeward_waits(&self, worker: u32) -> bool {
        self.homeward.waits(worker)
    }

    /// Frames of a worker that have come home.
    pub(super) fn come_home(&self, worker: u32) -> impl Iterator<Item = Frame> + '_ {
        let size = u64::from(self.umem.frame_size());
        self.homeward.take(worker).filter_map(move |number| {
            let taken = self.umem.take(u64::from(number) * size, Place::HOMEWARD);
            taken.map(|(frame, _)| frame)
        })
    }
}
