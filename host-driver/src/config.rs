//! What can be set.

use std::path::PathBuf;
use std::time::Duration;

use weir_tables::Settings;
use weir_tables::split::Guide;

/// Who looks through a buffer while the card is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Whoever is cheaper, by what was measured.
    #[default]
    Auto,
    /// The card.
    Card,
    /// Software; the card is kept ready.
    Software,
}

/// How a card is used.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a staging buffer: a worker's records go out when it has so many. 64 KiB to 1 MiB are sensible.
    pub staging: usize,
    /// Bytes that may be under way, all workers together; each has an equal share, and one staging buffer at least.
    pub room_bytes: usize,
    /// Records that may be under way, all workers together.
    pub room_records: usize,
    /// The card has failed a worker when records are under way, and nothing at all has come from it for so long; or when a staging
    /// buffer is ten times as old.
    pub deadline: Duration,
    /// Records that wait in a staging buffer go out after so long even if it is not full.
    pub linger: Duration,
    /// Longest time that a poll waits for an answer.
    pub wait: Duration,
    /// One known-answer record is mixed in with so many others; 0 for none.
    pub known_every: u32,
    /// Bytes of a known-answer payload, about.
    pub known_bytes: usize,
    /// Records and units that may go wrong in a second; one more, and the card is suspect.
    pub strikes: u32,
    /// Wait before a failed card is tried again: first, and at most.
    pub backoff: (Duration, Duration),
    /// How often the card's registers are looked at.
    pub watch: Duration,
    /// Table words that are written anew each second.
    pub scrub: u32,
    /// How long a card in preparation may keep still, when it is opened, loaded, or tried.
    pub patience: Duration,
    /// Before tables are used, every entry is asked for at each lane, and not in each slice alone.
    pub thorough: bool,
    /// How long the first load waits until the card is ready; then it goes on with software.
    pub load_wait: Duration,
    /// Who looks through a buffer.
    pub policy: Policy,
    /// Values of the core's registers.
    pub settings: Settings,
    /// What a probe set that does not fit is split by.
    pub guide: Guide,
    /// Draw keys and nonces from this, not from the operating system's randomness: for tests.
    pub seed: Option<u64>,
    /// Where the card's status is published, if anywhere.
    pub status: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            staging: 128 << 10,
            room_bytes: 4 << 20,
            room_records: 1 << 16,
            deadline: Duration::from_millis(10),
            linger: Duration::from_micros(100),
            wait: Duration::from_micros(50),
            known_every: 64,
            known_bytes: 1024,
            strikes: 3,
            backoff: (Duration::from_millis(10), Duration::from_secs(2)),
            watch: Duration::from_millis(100),
            scrub: 20_000,
            patience: Duration::from_secs(2),
            thorough: false,
            load_wait: Duration::from_secs(20),
            policy: Policy::Auto,
            settings: Settings::default(),
            guide: Guide::default(),
            seed: None,
            status: None,
        }
    }
}
