//! Which processors workers run on.

use std::sync::Arc;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::Failure;

/// Processors for workers, in turn; where none are named, workers run where the kernel has them run.
#[derive(Clone, Debug, Default)]
pub struct Cpus(Arc<[usize]>);

impl Cpus {
    /// Those that the configuration names.
    ///
    /// # Errors
    /// When this process may not run on one of them, or there is no such one.
    pub fn new(cpus: &[usize]) -> Result<Self, Failure> {
        let allowed = sched_getaffinity(None).map_err(|error| {
            Failure::Failed(format!("cannot ask for this process's processors: {error}"))
        })?;
        match cpus.iter().find(|&&cpu| !allowed.is_set(cpu)) {
            None => Ok(Self(cpus.into())),
            Some(cpu) => Err(Failure::Usage(format!(
                "wire.cpus: processor {cpu} is not there, or this process may not run on it"
            ))),
        }
    }

    /// Has the calling thread, which is the worker of that number, run on its processor.
    pub fn take_one(&self, worker: u32) {
        let Some(turn) = (worker as usize).checked_rem(self.0.len()) else {
            return;
        };
        let Some(&cpu) = self.0.get(turn) else {
            return;
        };
        let mut one = CpuSet::new();
        one.set(cpu);
        if let Err(error) = sched_setaffinity(None, &one) {
            tracing::warn!("worker {worker} does not run on processor {cpu}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The processors that a thread which took one may use.
    fn taken(cpus: &[usize], worker: u32) -> Vec<usize> {
        let cpus = Cpus::new(cpus).expect("they are allowed");
        let thread = std::thread::spawn(move || {
            cpus.take_one(worker);
            allowed()
        });
        thread.join().expect("it ended well")
    }

    fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(None).expect("it may ask");
        (0..CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect()
    }

    #[test]
    fn workers_take_processors_in_turn() {
        let all = allowed();
        let (first, last) = (all[0], all[all.len() - 1]);
        assert_eq!(taken(&[first, last], 0), [first]);
        assert_eq!(taken(&[first, last], 1), [last]);
        assert_eq!(taken(&[first, last], 2), [first]);
        assert_eq!(taken(&[], 0), all, "none is named");
        let missing = CpuSet::MAX_CPU - 1;
        assert!(!all.contains(&missing), "not a machine for this test");
        let error = Cpus::new(&[first, missing]).expect_err("it is not there");
        assert!(matches!(error, Failure::Usage(why) if why.contains("1023")));
    }
}
