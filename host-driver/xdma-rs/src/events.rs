//! Interrupts of the design.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::Error;

/// An interrupt.
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        match OpenOptions::new().read(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Error::of(&path, "opening", error, Duration::ZERO)),
        }
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the interrupt, at most so long; returns what the driver has counted since the last call, 0 when it did not come.
    ///
    /// # Errors
    ///
    /// When the node cannot be waited for or read.
    pub fn wait(&mut self, most: Duration) -> Result<u32, Error> {
        let what = "waiting for an interrupt";
        let since = Instant::now();
        let failed = |error| Error::of(&self.path, what, error, since.elapsed());
        loop {
            let left = most.saturating_sub(since.elapsed());
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Ok(0) => return Ok(0),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(failed(error.into())),
            }
            let [polled] = polled;
            if !polled.revents().contains(PollFlags::IN) {
                return Err(Error::Gone {
                    path: self.path.clone(),
                    what,
                });
            }
            let mut count = [0; 4];
            match (&self.file).read(&mut count) {
                Ok(4) => return Ok(u32::from_le_bytes(count)),
                Ok(got) => {
                    return Err(Error::Short {
                        path: self.path.clone(),
                        what,
                        got,
                        expected: 4,
                    });
                }
                // A signal came in between.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}
