//! `[wire]`: how traffic gets in and out.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::read::Section;

/// Room for frames, of each receive queue.
const FRAMES: std::ops::RangeInclusive<usize> = 128..=1 << 20;

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
        Ok(Self {
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
