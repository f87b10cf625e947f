//! A worker's free frames.

use std::sync::Arc;

use super::shared::Shared;
use crate::umem::{Frame, Umem};

/// The frames that a worker has at hand, all of its own; those of others it sends home.
pub(super) struct Stock {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: u32,
    free: Vec<Frame>,
}

impl Stock {
    /// All frames of a worker. There are never more free, so that the list does not grow.
    pub(super) fn new(shared: Arc<Shared>, worker: u32, free: Vec<Frame>) -> Self {
        Self {
            shared,
            worker,
            free,
        }
    }

    /// The memory.
    pub(super) fn umem(&self) -> &Umem {
        &self.shared.umem
    }

    /// Free frames.
    pub(super) fn count(&self) -> u32 {
        self.free.len() as u32
    }

    /// Takes a free frame.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        self.free.pop()
    }

    /// Takes a frame that nobody needs any more.
    pub(super) fn release(&mut self, frame: Frame) {
        if self.shared.home(&frame) == self.worker {
            self.free.push(frame);
        } else {
            self.shared.send_home(frame);
        }
    }

    /// Takes in the frames that others have sent home.
    pub(super) fn come_home(&mut self) {
        let Self {
            shared,
            worker,
            free,
        } = self;
        free.extend(shared.come_home(*worker));
    }
}
