//! Other rules, offered to the workers of a run while frames go on.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weir_engine::detect::Event;
use weir_engine::state::Order;

use super::Inspect;

/// What all workers change to after the same frame.
pub struct Change<N> {
    /// One for each worker, in their order.
    pub parts: Vec<N>,
    /// The order that the parts have turns of.
    pub order: Order,
}

/// Where a change is offered to a run, and what can be seen of the run from outside.
pub struct Changes<N> {
    offered: Mutex<Option<Change<N>>>,
    /// There is one: looked at before each frame, without a lock.
    ready: AtomicBool,
    frames: AtomicU64,
}

impl<N> Default for Changes<N> {
    fn default() -> Self {
        Self {
            offered: Mutex::new(None),
            ready: AtomicBool::new(false),
            frames: AtomicU64::new(0),
        }
    }
}

impl<N> Changes<N> {
    /// Offers a change; it takes place before the next frame. One that was not taken is forgotten.
    pub fn offer(&self, change: Change<N>) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        *offered = Some(change);
        self.ready.store(true, Ordering::Release);
    }

    /// The change that is offered, if there is one.
    #[inline]
    pub fn take(&self) -> Option<Change<N>> {
        if !self.ready.load(Ordering::Relaxed) {
            return None;
        }
        self.take_offered()
    }

    #[cold]
    fn take_offered(&self) -> Option<Change<N>> {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        self.ready.store(false, Ordering::Relaxed);
        offered.take()
    }

    /// Frames that have come so far.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// So many more frames have come.
    pub fn add(&self, frames: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// A frame has come. Only the thread that reads frames calls this.
    #[inline]
    pub(super) fn count(&self) {
        let frames = self.frames.load(Ordering::Relaxed);
        self.frames.store(frames + 1, Ordering::Relaxed);
    }
}

/// What workers have left behind: to drop it may take a while.
pub type Retired = Box<dyn Any + Send>;

/// All workers have changed.
pub struct Changed {
    /// How long the slowest of them took, in which it inspected nothing.
    pub took: Duration,
    /// What they have left behind.
    pub retired: Vec<Retired>,
}

impl Changed {
    /// Has a worker change.
    pub fn of<W: Inspect>(worker: &mut W, next: W::Next, events: &mut Vec<Event>) -> Self {
        let start = Instant::now();
        let retired = worker.change(next, events);
        Self {
            took: start.elapsed(),
            retired: vec![retired],
        }
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.retired.extend(other.retired);
        Self {
            took: self.took.max(other.took),
            retired: self.retired,
        }
    }
}

/// What is committed, in packet order.
pub enum Step<'a> {
    /// What a worker has to say.
    Event(&'a Event),
    /// What follows is of the rules that all workers have changed to.
    Changed(Changed),
}
