//! What the CPUs of the machine were busy with.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::BedError;

/// CPU time of all CPUs together since the machine was started, in steps of 10 ms.
///
/// A frame that a sender pushes into a veth is received by the far end on the sender's time, unless a kernel thread
/// does it: only the machine's time, less that of generator and sink, tells what a bridge took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuUse {
    /// Programs.
    pub user: Duration,
    /// The kernel on behalf of programs, and its threads.
    pub system: Duration,
    /// Interrupts, soft ones included.
    pub interrupts: Duration,
    /// Taken by the machine below.
    pub stolen: Duration,
}

impl CpuUse {
    /// Now.
    ///
    /// # Errors
    /// [`BedError::System`]; [`BedError::Invalid`] when the kernel's text is not understood.
    pub fn now() -> Result<Self, BedError> {
        let path = "/proc/stat";
        let text =
            std::fs::read_to_string(path).map_err(BedError::system(format!("reading {path}")))?;
        Self::parse(&text).ok_or_else(|| {
            BedError::Invalid(format!("{path} has no line of eight columns for cpu"))
        })
    }

    /// `proc_stat(5)`: user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a second.
    fn parse(text: &str) -> Option<Self> {
        let row = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let columns: Vec<u64> = row
            .split_whitespace()
            .map_while(|column| column.parse().ok())
            .collect();
        let time = |index: usize| {
            let ticks = columns.get(index).copied()?;
            Some(Duration::from_millis(ticks.saturating_mul(10)))
        };
        Some(Self {
            user: time(0)?.saturating_add(time(1)?),
            system: time(2)?,
            interrupts: time(5)?.saturating_add(time(6)?),
            stolen: time(7)?,
        })
    }

    /// What was used between `earlier` and this.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            stolen: self.stolen.saturating_sub(earlier.stolen),
        }
    }

    /// User, system and interrupts together.
    pub fn busy(&self) -> Duration {
        self.user
            .saturating_add(self.system)
            .saturating_add(self.interrupts)
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_where_the_kernel_puts_them() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        let used = CpuUse::parse(text).expect("the line is there");
        let ms = Duration::from_millis;
        assert_eq!(
            (used.user, used.system, used.interrupts, used.stolen),
            (ms(30), ms(30), ms(130), ms(80))
        );
        assert_eq!(used.busy(), ms(190));
    }
}
