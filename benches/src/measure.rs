//! Taking time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use weir_engine::matcher::Hit;

use crate::BenchError;
use crate::contender::Contender;
use crate::workload::Buffers;

/// Processor time of this thread, user and system.
pub fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// Memory of this process that is resident now, in bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    status("VmRSS:")
}

/// Most memory of this process that was resident at a time since [`forget_peak`], or since it began where the system
/// does not allow that, in bytes; 0 where it does not say.
pub fn peak_bytes() -> u64 {
    status("VmHWM:")
}

/// What was resident before now no longer counts for [`peak_bytes`].
pub fn forget_peak() {
    // proc(5): 5 resets the peak. Without that, a peak is rather too high than too low.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// A size in what Linux says of this process.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib.saturating_mul(1024))
}

/// Keeps this thread on one core, the last of those it may use, and says which; `None` where that is not possible.
pub fn pin() -> Option<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None).ok()?;
    let core = (0..CpuSet::MAX_CPU)
        .rev()
        .find(|&core| allowed.is_set(core))?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).ok()?;
    Some(core)
}

/// Nanoseconds from handing a buffer in to having its hits, the clock's own time included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Half of the buffers take no longer.
    pub p50: u64,
    /// 90 % take no longer.
    pub p90: u64,
    /// 99 % take no longer.
    pub p99: u64,
    /// 99.9 % take no longer.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// Processor time of a contender, one figure a round.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds a round.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The round in the middle.
    pub fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The fastest round and the slowest.
    pub fn spread(&self) -> (Duration, Duration) {
        let least = self.0.iter().min().copied().unwrap_or_default();
        (least, self.0.iter().max().copied().unwrap_or_default())
    }
}

/// Looks through all buffers; returns processor time and hits.
fn round(
    contender: &mut dyn Contender,
    buffers: &Buffers,
    found: &mut Vec<Hit>,
) -> Result<(Duration, usize), BenchError> {
    let mut hits = 0;
    let start = cpu_time();
    for buffer in buffers.iter() {
        found.clear();
        contender.scan(buffer, found)?;
        hits += found.len();
    }
    Ok((cpu_time().saturating_sub(start), std::hint::black_box(hits)))
}

/// Times every contender `rounds` times. They take turns, so that what disturbs the machine for a while disturbs all of them, and
/// each round begins with another one. `done` is called after each round.
///
/// # Errors
///
/// When a contender could not finish a buffer.
pub fn throughput(
    contenders: &mut [Box<dyn Contender>],
    buffers: &Buffers,
    rounds: usize,
    done: &mut dyn FnMut(),
) -> Result<Vec<Times>, BenchError> {
    let mut times = vec![Times::default(); contenders.len()];
    let mut found = Vec::new();
    for number in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (turn + number) % contenders.len();
            let (time, _) = round(&mut *contenders[at], buffers, &mut found)?;
            times[at].add(time);
        }
        done();
    }
    Ok(times)
}

/// Times every buffer by itself.
///
/// # Errors
///
/// When the contender could not finish a buffer.
pub fn latency(contender: &mut dyn Contender, buffers: &Buffers) -> Result<Latency, BenchError> {
    // Up to ten seconds, three digits.
    let mut histogram = Histogram::<u64>::new_with_max(10_000_000_000, 3)
        .map_err(|error| BenchError::Nothing(error.to_string()))?;
    let mut found = Vec::new();
    for buffer in buffers.iter() {
        found.clear();
        let start = Instant::now();
        contender.scan(buffer, &mut found)?;
        let nanos = start.elapsed().as_nanos();
        histogram.saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
    }
    Ok(Latency {
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let times = |list: &[u64]| Times(list.iter().map(|&n| Duration::from_nanos(n)).collect());
        assert_eq!(times(&[5, 1, 9]).median().as_nanos(), 5);
        assert_eq!(times(&[5]).median().as_nanos(), 5);
        assert_eq!(times(&[]).median().as_nanos(), 0);
        let (least, most) = times(&[5, 1, 9]).spread();
        assert_eq!((least.as_nanos(), most.as_nanos()), (1, 9));
    }
}
