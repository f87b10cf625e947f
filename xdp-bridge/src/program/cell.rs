//! A worker's cell: its heartbeat and its tallies, in memory that the XDP program reads and that outlives the process.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_xdp_common::{Tally, WorkerState};

/// Memory that holds cells: kept mapped as long as any cell is in use.
pub(super) trait CellMemory: Send + Sync {
    /// The cell of a worker; `None` past the end. It stays where it is as long as the memory lives.
    fn cell(&self, worker: usize) -> Option<NonNull<WorkerState>>;
}

/// One worker's cell. One thread at a time adds to it; anyone may read.
#[derive(Clone)]
pub struct QueueCell {
    state: NonNull<WorkerState>,
    _memory: Arc<dyn CellMemory>,
}

// SAFETY: the cell is made of atomics, and the memory, which is Send and Sync, lives as long as this does.
unsafe impl Send for QueueCell {}
// SAFETY: as above.
unsafe impl Sync for QueueCell {}

impl QueueCell {
    /// A cell in ordinary memory, which no program reads: for tests, and for workers without a kernel side.
    #[must_use]
    pub fn heap() -> Self {
        let memory: Arc<dyn CellMemory> = Arc::new(Heap(Box::default()));
        Self::new(memory, 0).unwrap_or_else(|| unreachable!("a heap has one cell"))
    }

    /// The cell of `worker` in `memory`; `None` past its end.
    pub(super) fn new(memory: Arc<dyn CellMemory>, worker: usize) -> Option<Self> {
        let state = memory.cell(worker)?;
        Some(Self {
            state,
            _memory: memory,
        })
    }

    fn state(&self) -> &WorkerState {
        // SAFETY: the memory keeps the cell where it is as long as `_memory` lives; it is zeroed or was written through
        // atomics, and every bit pattern is a valid one.
        unsafe { self.state.as_ref() }
    }

    /// Says that the worker is alive: `now_ns` is `CLOCK_MONOTONIC`'s time in nanoseconds.
    pub fn beat(&self, now_ns: u64) {
        self.state().heartbeat.store(now_ns, Ordering::Relaxed);
    }

    /// When the worker last said so, in nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    #[must_use]
    pub fn heartbeat(&self) -> u64 {
        self.state().heartbeat.load(Ordering::Relaxed)
    }

    fn slot(&self, port: usize, what: Tally) -> Option<&AtomicU64> {
        self.state().tallies.get(port)?.get(what as usize)
    }

    /// Adds to a tally of port 0 or 1. Only the thread whose cell this is may do so: the addition is not an atomic one.
    pub fn add(&self, port: usize, what: Tally, count: u64) {
        if let Some(slot) = self.slot(port, what) {
            let sum = slot.load(Ordering::Relaxed).wrapping_add(count);
            slot.store(sum, Ordering::Relaxed);
        }
    }

    /// Reads a tally of port 0 or 1.
    #[must_use]
    pub fn get(&self, port: usize, what: Tally) -> u64 {
        self.slot(port, what)
            .map_or(0, |slot| slot.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for QueueCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueCell")
            .field("heartbeat", &self.heartbeat())
            .finish_non_exhaustive()
    }
}

struct Heap(Box<WorkerState>);

impl CellMemory for Heap {
    fn cell(&self, worker: usize) -> Option<NonNull<WorkerState>> {
        (worker == 0).then(|| NonNull::from(&*self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_are_kept_by_port_and_kind() {
        let cell = QueueCell::heap();
        for (index, what) in Tally::ALL.into_iter().enumerate() {
            cell.add(0, what, index as u64);
            cell.add(1, what, 100);
            cell.add(1, what, index as u64);
        }
        for (index, what) in Tally::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, index);
            assert_eq!(cell.get(0, what), index as u64);
            assert_eq!(cell.get(1, what), 100 + index as u64);
        }
        cell.add(2, Tally::Passed, 1);
        assert_eq!(cell.get(2, Tally::Passed), 0);
        assert_eq!(cell.heartbeat(), 0);
        cell.beat(7);
        assert_eq!(cell.clone().heartbeat(), 7);
    }
}
