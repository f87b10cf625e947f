//! Registers of 32 bits.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::error::Error;
use crate::mapped::Mapped;

/// How registers are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// By a system call each, in the driver's own words (`pread`, `pwrite`).
    #[default]
    Calls,
    /// By memory that the driver maps: faster, but a card that is gone answers with all ones, and what only
    /// looks like a node (a file that some process serves) has no registers in its memory.
    Mapped {
        /// Bytes of the BAR to map.
        bytes: usize,
    },
}

/// Registers of a node.
pub struct Registers {
    path: PathBuf,
    file: File,
    mapped: Option<Mapped>,
}

impl Registers {
    /// Opens a node; `hold` locks it against others who do so, too.
    pub(crate) fn open(path: PathBuf, access: Access, hold: bool) -> Result<Self, Error> {
        let failed = |what, error| Error::of(&path, what, error, Duration::ZERO);
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| failed("opening", e))?;
        if hold {
            flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(
                |error| match error {
                    rustix::io::Errno::WOULDBLOCK => Error::Busy { path: path.clone() },
                    error => failed("locking", error.into()),
                },
            )?;
        }
        let mapped = match access {
            Access::Calls => None,
            Access::Mapped { bytes } => {
                Some(Mapped::new(&file, bytes).map_err(|error| failed("mapping", error))?)
            }
        };
        Ok(Self { path, file, mapped })
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn address(&self, address: u32) -> Error {
        Error::Address {
            path: self.path.clone(),
            address,
            space: self.mapped.as_ref().map(Mapped::length),
        }
    }

    /// Looks at how many bytes a call moved.
    fn whole(&self, what: &'static str, moved: std::io::Result<usize>) -> Result<(), Error> {
        match moved {
            Ok(4) => Ok(()),
            Ok(got) => Err(Error::Short {
                path: self.path.clone(),
                what,
                got,
                expected: 4,
            }),
            Err(error) => Err(Error::of(&self.path, what, error, Duration::ZERO)),
        }
    }

    /// Reads a register. All ones is what a card that has fallen off the bus answers, whatever was asked.
    ///
    /// # Errors
    ///
    /// When the address is no multiple of 4, or the driver refuses.
    pub fn read(&mut self, address: u32) -> Result<u32, Error> {
        if let Some(mapped) = &self.mapped {
            return mapped.read(address).ok_or_else(|| self.address(address));
        }
        if !address.is_multiple_of(4) {
            return Err(self.address(address));
        }
        let mut bytes = [0; 4];
        self.whole(
            "reading a register",
            self.file.read_at(&mut bytes, address.into()),
        )?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes a register. The write may still be on its way when this returns; reading any register waits for it.
    ///
    /// # Errors
    ///
    /// As [`Registers::read`].
    pub fn write(&mut self, address: u32, value: u32) -> Result<(), Error> {
        if let Some(mapped) = &self.mapped {
            return mapped
                .write(address, value)
                .ok_or_else(|| self.address(address));
        }
        if !address.is_multiple_of(4) {
            return Err(self.address(address));
        }
        let bytes = value.to_le_bytes();
        self.whole(
            "writing a register",
            self.file.write_at(&bytes, address.into()),
        )
    }
}
