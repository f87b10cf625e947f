//! The simulated card, as a process.

use std::path::PathBuf;

use rustix::mount::{UnmountFlags, unmount};
use weir_testbed::{Child, Signal};

use super::rig::{PATIENCE, Rig};
use crate::BenchError;

/// Where it is, in the rig's folder.
pub const FOLDER: &str = "card";

/// A running `weir-sim card`.
pub struct Card {
    child: Child,
    folder: PathBuf,
}

impl Card {
    /// Starts it and waits until it can be used.
    pub fn start(rig: &Rig<'_>) -> Result<Self, BenchError> {
        let simulator = rig.options.simulator.as_ref();
        let simulator = simulator.ok_or_else(|| BenchError::Nothing("no weir-sim".to_owned()))?;
        let folder = rig.path(FOLDER);
        let middle = rig.bed.middle();
        let mut command = middle.command(&simulator.to_string_lossy());
        command.args(["card", "--listen"]).arg(&folder);
        let child = middle.spawn(command)?;
        let mut card = Self { child, folder };
        card.child.expect("ready ", PATIENCE)?;
        Ok(card)
    }

    /// It dies.
    pub fn kill(&mut self) -> Result<(), BenchError> {
        self.child.signal(Signal::KILL)?;
        self.child.wait(PATIENCE)?;
        Ok(())
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.child.stop(PATIENCE);
        // One that was killed leaves its file system behind, and the folder could not be removed.
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
