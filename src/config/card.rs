//! `[card]`: which card, and how it is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_driver::Policy;

use super::ConfigError;
use super::read::Section;
use crate::cli::RunOptions;

/// Who looks through buffers, by the names that `--offload` has.
const OFFLOAD: [(&str, Policy); 3] = [
    ("auto", Policy::Auto),
    ("card", Policy::Card),
    ("software", Policy::Software),
];

/// Room for records: a few staging buffers at least.
const ROOM: std::ops::RangeInclusive<usize> = 256 << 10..=1 << 30;

/// What the table says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardSection {
    /// `card.device`
    pub device: Option<PathBuf>,
    /// `card.offload`
    pub offload: Option<Policy>,
    /// `card.deadline`, in milliseconds.
    pub deadline: Option<usize>,
    /// `card.room`, in bytes.
    pub room: Option<usize>,
    /// `card.known-every`, in records.
    pub known_every: Option<usize>,
    /// `card.scrub`, in table words a second.
    pub scrub: Option<usize>,
}

impl CardSection {
    /// Reads the table.
    pub(super) fn read(root: &Section<'_, '_>) -> Result<Self, ConfigError> {
        let Some(card) = root.section("card")? else {
            return Ok(Self::default());
        };
        card.only(&[
            "device",
            "offload",
            "deadline",
            "room",
            "known-every",
            "scrub",
        ])?;
        let room = card.size("room")?.map(usize::try_from).map(Result::ok);
        if room.is_some_and(|room| room.is_none_or(|room| !ROOM.contains(&room))) {
            return Err(card.problem("room", "expected a size from 256 KiB to 1 GiB"));
        }
        Ok(Self {
            device: card.string("device")?.map(PathBuf::from),
            offload: card.choice("offload", &OFFLOAD)?,
            deadline: card.number("deadline", 1, 60_000)?,
            room: room.flatten(),
            known_every: card.number("known-every", 0, 1 << 30)?,
            scrub: card.number("scrub", 0, 100_000_000)?,
        })
    }

    /// The device is looked up in this folder.
    pub(super) fn beside(&mut self, folder: &Path) {
        if let Some(device) = &mut self.device {
            *device = folder.join(&device);
        }
    }

    /// The same with what the command line says, where it says anything, instead.
    pub fn with_options(mut self, options: &RunOptions) -> Self {
        let offload = options.offload.map(Policy::from);
        self.device = options.device.clone().or(self.device);
        self.offload = offload.or(self.offload);
        self
    }

    /// Sets what the table names.
    pub fn apply(&self, config: &mut weir_driver::Config) {
        let millis = |millis: usize| Duration::from_millis(millis as u64);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        config.policy = self.offload.unwrap_or(config.policy);
        config.deadline = self.deadline.map_or(config.deadline, millis);
        config.room_bytes = self.room.unwrap_or(config.room_bytes);
        config.known_every = self.known_every.map_or(config.known_every, count);
        config.scrub = self.scrub.map_or(config.scrub, count);
    }
}
