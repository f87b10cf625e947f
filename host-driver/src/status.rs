//! All that is known of a card, for people and for bug reports.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::Policy;
use crate::cost::Costs;
use crate::health::{Change, Counts, State};
use crate::identity::Identity;
use crate::session::lock;
use crate::shared::Shared;

/// The identity registers, in numbers and names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdentityStatus {
    /// Interface version.
    pub interface: u32,
    /// First 32 bits of the source revision, in hexadecimal digits.
    pub revision: String,
    /// Clock that the core was built for, in kHz.
    pub clock_khz: u32,
    /// Bytes a cycle.
    pub lanes: usize,
    /// Exact engines.
    pub engines: usize,
    /// Address bits of the filters of the length classes 8, 6, 4, 3, 2.
    pub filters: [u32; 5],
    /// Slots of the exact table.
    pub slots: usize,
}

impl From<Identity> for IdentityStatus {
    fn from(identity: Identity) -> Self {
        let geometry = identity.geometry;
        Self {
            interface: identity.interface,
            revision: format!("{:08x}", identity.revision),
            clock_khz: identity.clock_khz,
            lanes: geometry.lanes,
            engines: geometry.engines,
            filters: geometry.filters,
            slots: geometry.slots(),
        }
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangeStatus {
    /// Seconds since the Unix epoch.
    pub at: f64,
    /// To what.
    pub state: State,
    /// Why.
    pub reason: String,
}

impl From<&Change> for ChangeStatus {
    fn from(change: &Change) -> Self {
        Self {
            at: seconds(change.at),
            state: change.state,
            reason: change.reason.clone(),
        }
    }
}

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablesStatus {
    /// Probes.
    pub probes: usize,
    /// Those of them that are left to software.
    pub software: usize,
    /// Generation.
    pub generation: u16,
    /// Records within which every entry is asked for at every lane, with one known-answer record in so many as are mixed in.
    pub known_answer_bound: u64,
}

/// All that is known of a card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// What messages call the card.
    pub device: String,
    /// Process that uses it.
    pub process: u32,
    /// When this was written, in seconds since the Unix epoch.
    pub at: f64,
    /// How it is.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Since how many seconds.
    pub for_seconds: f64,
    /// Workers use it.
    pub in_use: bool,
    /// What it says it is.
    pub identity: Option<IdentityStatus>,
    /// What is loaded, while it is in use.
    pub tables: Option<TablesStatus>,
    /// Who is to look through buffers.
    pub offload: Policy,
    /// Who does, and from what that was chosen; that of the worker that chose last.
    pub costs: Costs,
    /// Bytes to the card and back, in the session that is open.
    pub session_bytes: [u64; 2],
    /// Counters.
    pub counters: Counts,
    /// The latest changes of state.
    pub history: Vec<ChangeStatus>,
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

impl Status {
    pub(crate) fn of(shared: &Shared) -> Self {
        let costs = *lock(&shared.costs);
        let every = u64::from(shared.config.known_every);
        let health = shared.health();
        let tables = health.active.as_ref().map(|active| TablesStatus {
            probes: active.set.probes.len(),
            software: active.set.split.software.len(),
            generation: active.set.generation,
            known_answer_bound: active.set.plan.cycle() as u64 * every,
        });
        let session_bytes = health.active.as_ref().map_or([0; 2], |active| {
            [&active.session.sent, &active.session.received].map(|bytes| bytes.load(Relaxed))
        });
        Self {
            device: shared.name.clone(),
            process: std::process::id(),
            at: seconds(SystemTime::now()),
            state: health.state,
            reason: health.reason.clone(),
            for_seconds: health.since.elapsed().as_secs_f64(),
            in_use: health.active.is_some(),
            identity: health.identity.map(Into::into),
            tables,
            offload: shared.config.policy,
            costs,
            session_bytes,
            counters: shared.counters.counts(),
            history: health.history.iter().map(Into::into).collect(),
        }
    }
}

/// Where the status of the card at `device` is published: in the folder for files of running programs of this user, or of the system.
pub fn place(device: &Path) -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => PathBuf::from("/run"),
    };
    let device = device.canonicalize().unwrap_or_else(|_| device.to_owned());
    let device = device.to_string_lossy();
    // Whatever can stand in a path, in one name.
    let name: String = device
        .bytes()
        .flat_map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => vec![char::from(byte)],
            _ => format!("-{byte:02x}").chars().collect(),
        })
        .collect();
    // Names have an end, too; what is cut off is told apart by its checksum.
    let cut: String = name.chars().rev().take(120).collect();
    let cut: String = cut.chars().rev().collect();
    let mark = card_protocol::crc32(device.as_bytes());
    Some(
        folder
            .join("weir")
            .join(format!("card-{mark:08x}{cut}.json")),
    )
}

/// Writes the status for others to read, all of it at once.
pub(crate) fn publish(shared: &Shared, path: &Path) {
    let write = || -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(&Status::of(shared))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let draft = path.with_extension(format!("json.{}", std::process::id()));
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, path)
    };
    if let Err(error) = write() {
        tracing::debug!("{}: the status is not published: {error}", path.display());
    }
}

/// Removes a published status.
pub(crate) fn withdraw(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::debug!("{}: not removed: {error}", path.display());
    }
}
