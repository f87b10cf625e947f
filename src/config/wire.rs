//! `[wire]`: how traffic gets in and out.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::read::Section;

/// Room for frames, of each receive queue.
const FRAMES: std::ops::RangeInclusive<usize> = 128..=1 << 20;

/// Processors that a thread can be bound to.
const MAX_CPUS: usize = rustix::thread::CpuSet::MAX_CPU;

/// How the program is attached.
const MODES: [(&str, Mode); 3] = [
    ("auto", Mode::Auto),
    ("native", Mode::Native),
    ("generic", Mode::Generic),
];

/// What becomes of traffic that nobody inspects.
const FAIL: [(&str, Fail); 2] = [("open", Fail::Open), ("closed", Fail::Closed)];

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// By the driver where it can, else by the kernel's slower way, with a warning
    #[default]
    Auto,
    /// By the driver, or not at all
    Native,
    /// By the kernel's slower way, which every driver has
    Generic,
}

/// What becomes of traffic that nobody inspects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Fail {
    /// It goes on uninspected
    Open,
    /// It is dropped
    #[default]
    Closed,
}

/// What the table says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireSection {
    /// `wire.fail`
    pub fail: Option<Fail>,
    /// `wire.mode`
    pub mode: Option<Mode>,
    /// `wire.heartbeat`, in milliseconds.
    pub heartbeat: Option<usize>,
    /// `wire.queues`: how many of each port's.
    pub queues: Option<usize>,
    /// `wire.cpus`: the processors of workers, in turn; where there are none, workers run anywhere.
    pub cpus: Vec<usize>,
    /// `wire.frames`, of each queue.
    pub frames: Option<usize>,
    /// `wire.frame-size`, in bytes.
    pub frame_size: Option<usize>,
    /// `wire.bypass`: flows that need no inspection are left to the kernel.
    pub bypass: Option<bool>,
    /// `wire.shunt`, in bytes.
    pub shunt: Option<u64>,
    /// `wire.bpffs`
    pub bpffs: Option<PathBuf>,
}

impl WireSection {
    /// Reads the table.
    pub(super) fn read(root: &Section<'_, '_>) -> Result<Self, ConfigError> {
        let Some(wire) = root.section("wire")? else {
            return Ok(Self::default());
        };
        wire.only(&[
            "fail",
            "mode",
            "heartbeat",
            "queues",
            "cpus",
            "frames",
            "frame-size",
            "bypass",
            "shunt",
            "bpffs",
        ])?;
        let frame_size = wire.number("frame-size", 2048, 4096)?;
        if frame_size.is_some_and(|size| !size.is_power_of_two()) {
            return Err(wire.problem("frame-size", "expected 2048 or 4096"));
        }
        let cpus = match wire.string("cpus")? {
            None => Vec::new(),
            Some(list) => processors(list).ok_or_else(|| {
                wire.problem(
                    "cpus",
                    "expected processors and ranges of them, as in \"2-5,8\"",
                )
            })?,
        };
        Ok(Self {
            cpus,
            fail: wire.choice("fail", &FAIL)?,
            mode: wire.choice("mode", &MODES)?,
            heartbeat: wire.number("heartbeat", 5, 60_000)?,
            queues: wire.number("queues", 1, 64)?,
            frames: wire.number("frames", *FRAMES.start(), *FRAMES.end())?,
            frame_size,
            bypass: wire.boolean("bypass")?,
            shunt: wire.size("shunt")?.filter(|&bytes| bytes > 0),
            bpffs: wire.string("bpffs")?.map(PathBuf::from),
        })
    }

    /// After so long without progress, traffic is no longer a process's.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat.unwrap_or(30) as u64)
    }
}

/// A list of processors as the kernel writes them, in the order in which they are named; `None` where it is none.
fn processors(list: &str) -> Option<Vec<usize>> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.filter(|&cpu: &usize| cpu < MAX_CPUS)
    };
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), ""));
        let first = number(first)?;
        let last = match last {
            "" if part.contains('-') => return None,
            "" => first,
            last => number(last)?,
        };
        if last < first {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::processors;

    #[test]
    fn processors_are_named_as_the_kernel_does() {
        assert_eq!(processors("3"), Some(vec![3]));
        assert_eq!(processors("2-4,0, 7-7"), Some(vec![2, 3, 4, 0, 7]));
        for wrong in [
            "",
            ",",
            "a",
            "4-2",
            "1-",
            "-1",
            "1--2",
            "1-2-3",
            "+1",
            "1024",
            "0-99999999999",
        ] {
            assert_eq!(processors(wrong), None, "{wrong}");
        }
    }
}
