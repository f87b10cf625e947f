//! `--state-dir`: what a run leaves for the next one.
//!
//! The folder holds one file, which a run writes when it ends and the next one takes over when it begins
//! ([`weir_engine::handover`]), and the data sets that rules have kept. One process at a time uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use weir_engine::detect::{Alerts, Engine};
use weir_engine::handover::{self, Block, Restored};

use crate::failure::Failure;
use crate::ui::figures;

/// The file with the state.
const STATE: &str = "weir.state";
/// Its name until it is whole.
const UNFINISHED: &str = "weir.state.new";
/// Held while the folder is in use.
const LOCK: &str = "weir.lock";

/// A folder for what a run leaves behind.
#[derive(Debug)]
pub struct StateDir {
    folder: PathBuf,
    /// A state that cannot be taken over is an error.
    strict: bool,
    _lock: File,
}

impl StateDir {
    /// Uses a folder, which is made if it is not there. With `strict`, a state that cannot be taken over is an error.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(folder: &Path, strict: bool) -> Result<Self, Failure> {
        let failed = |what: String| Failure::Failed(format!("{}: {what}", folder.display()));
        std::fs::create_dir_all(folder)
            .map_err(|error| failed(format!("cannot make the folder: {error}")))?;
        let lock = private(&folder.join(LOCK))
            .map_err(|error| failed(format!("cannot write there: {error}")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed("another process uses this folder".to_owned()));
            }
            Err(TryLockError::Error(error)) => {
                return Err(failed(format!("cannot lock {LOCK} there: {error}")));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            strict,
            _lock: lock,
        })
    }

    /// Where data sets go.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Goes on where the last process left off; returns the block of frames that it left unfinished. The file is gone
    /// then, so that nothing is taken over twice.
    ///
    /// # Errors
    /// When the state cannot be taken over, in a strict run.
    pub fn restore(&self, engines: &mut [Engine], alerts: &Alerts) -> Result<Block, Failure> {
        let started = Instant::now();
        let path = self.folder.join(STATE);
        let refused = |why: String| format!("{}: {why}", path.display());
        let restored = match std::fs::read(&path) {
            Ok(bytes) => handover::restore(&bytes, engines, alerts)
                .map(|restored| (restored, bytes.len()))
                .map_err(|error| refused(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Block::default()),
            Err(error) => Err(refused(format!("cannot read the state: {error}"))),
        };
        let (restored, size) = match restored {
            Ok(restored) => restored,
            Err(why) if self.strict => return Err(Failure::Failed(why)),
            Err(why) => {
                tracing::warn!("{why}; beginning without what was known");
                return Ok(Block::default());
            }
        };
        tracing::info!(
            "took over {} ({}, {:.3} s)",
            figures::counted(restored.flows, "flow"),
            figures::bytes(size as u64),
            started.elapsed().as_secs_f64()
        );
        for left in left_behind(&restored) {
            tracing::warn!("{}: {left}", path.display());
        }
        std::fs::remove_file(&path).map_err(|error| {
            Failure::Failed(refused(format!("cannot remove the state: {error}")))
        })?;
        Ok(restored.block)
    }

    /// Leaves what is known to the next process: all of it where `block` says where it is to go on, else what outlives
    /// flows.
    ///
    /// # Errors
    /// When it cannot be written; then what was there stays.
    pub fn save(
        &self,
        engines: &[Engine],
        alerts: &Alerts,
        block: Option<Block>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let path = self.folder.join(STATE);
        let unfinished = self.folder.join(UNFINISHED);
        let written = private(&unfinished).and_then(|file| {
            let size = handover::save(engines, alerts, block, BufWriter::new(&file))?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &path)?;
            // The name is safe when the folder is.
            File::open(&self.folder)?.sync_all()?;
            Ok(size)
        });
        let size = written.map_err(|error| {
            Failure::Failed(format!(
                "{}: cannot save the state: {error}",
                path.display()
            ))
        })?;
        tracing::info!(
            "saved the state ({}, {:.3} s)",
            figures::bytes(size),
            started.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// An empty file that only its owner can read: there may be anything in what was on the wire.
pub fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// What was saved and could not be taken over, in words.
fn left_behind(restored: &Restored) -> impl Iterator<Item = String> {
    let counts = [
        (restored.flows_dropped, "flows forgotten: no room for them"),
        (
            restored.streams_dropped,
            "flows go on without their streams: no room for these",
        ),
        (
            restored.fragmented_dropped,
            "packets whose fragments were forgotten: no room for them",
        ),
        (
            restored.waiting_dropped,
            "times a rule waited for more of a stream that is gone, or is about other streams now",
        ),
        (
            restored.useless,
            "bits, counts and members of sets forgotten: no rule uses them now",
        ),
    ];
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{} {what}", figures::count(count)))
}
