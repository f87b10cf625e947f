//! All workers' cells, mapped from the program's array.

use std::io;
use std::mem::size_of;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use weir_xdp_common::{MAX_QUEUES, WorkerState};

use super::cell::{CellMemory, QueueCell};
use super::sys;

/// The mapping; unmapped when the last cell goes.
#[derive(Debug)]
pub(super) struct Mapped {
    base: NonNull<WorkerState>,
}

// SAFETY: nothing but atomics is reached through it.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

const COUNT: usize = MAX_QUEUES as usize;
const BYTES: usize = COUNT * size_of::<WorkerState>();

impl Mapped {
    /// Maps the array, whose shape must be that of this version.
    pub fn new(map: BorrowedFd<'_>) -> io::Result<Arc<Self>> {
        let shape = sys::map_shape(map)?;
        if shape.entries != MAX_QUEUES || shape.value as usize != size_of::<WorkerState>() {
            return Err(io::Error::other("the map of workers has another shape"));
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, where the kernel likes; it shows the array, which is as large as checked.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                BYTES,
                access,
                MapFlags::SHARED,
                map,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Arc::new(Self { base }))
    }

    /// The cell of a worker; `None` past the last.
    pub fn get(self: &Arc<Self>, worker: usize) -> Option<QueueCell> {
        QueueCell::new(Arc::<Self>::clone(self), worker)
    }

    /// All of them.
    pub fn all(self: &Arc<Self>) -> impl Iterator<Item = QueueCell> + use<> {
        let mapped = Arc::clone(self);
        (0..COUNT).filter_map(move |worker| mapped.get(worker))
    }
}

impl CellMemory for Mapped {
    fn cell(&self, worker: usize) -> Option<NonNull<WorkerState>> {
        // SAFETY: within the mapping; pages, and the size of a cell, are multiples of a cell's alignment.
        (worker < COUNT).then(|| unsafe { self.base.add(worker) })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, of this size; cells keep this value alive.
        if let Err(error) = unsafe { munmap(self.base.as_ptr().cast(), BYTES) } {
            tracing::warn!("the workers' cells stay mapped: {error}");
        }
    }
}
