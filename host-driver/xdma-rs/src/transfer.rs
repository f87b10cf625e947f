//! DMA channels.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::OFlags;

use crate::error::Error;

/// Most bytes of one transfer: the driver pins each page of the buffer, and keeps lists of them.
pub const MOST_BYTES: usize = 16 << 20;

/// How a channel to the card is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Most bytes that are handed to the driver at once; longer buffers go in pieces. On a streaming channel each piece
    /// ends a packet. From 1 to [`MOST_BYTES`].
    pub piece: usize,
}

impl Default for WriteOptions {
    /// 1 MiB.
    fn default() -> Self {
        Self { piece: 1 << 20 }
    }
}

/// How a channel from the card is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Most bytes that are asked of the driver at once. From 1 to [`MOST_BYTES`].
    pub piece: usize,
    /// On a streaming channel: a read ends where a packet ends, too, not only when the buffer is full (`O_TRUNC`, which the
    /// driver takes for that). Where the packet is shorter than the buffer, only this brings it.
    pub packets: bool,
}

impl Default for ReadOptions {
    /// 1 MiB, up to the ends of packets.
    fn default() -> Self {
        Self {
            piece: 1 << 20,
            packets: true,
        }
    }
}

/// Checks the size of a piece.
fn piece(path: &Path, piece: usize) -> Result<usize, Error> {
    if (1..=MOST_BYTES).contains(&piece) {
        return Ok(piece);
    }
    Err(Error::Length {
        path: path.to_owned(),
        got: piece,
        most: MOST_BYTES,
    })
}

fn open(path: &Path, options: &OpenOptions) -> Result<File, Error> {
    let since = Instant::now();
    options
        .open(path)
        .map_err(|error| Error::of(path, "opening", error, since.elapsed()))
}

/// A channel to the card.
pub struct HostToCard {
    path: PathBuf,
    file: File,
    piece: usize,
}

impl HostToCard {
    pub(crate) fn open(path: PathBuf, options: WriteOptions) -> Result<Self, Error> {
        let piece = piece(&path, options.piece)?;
        let file = open(&path, OpenOptions::new().write(true))?;
        Ok(Self { path, file, piece })
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends all bytes; returns when the engine has moved them.
    ///
    /// # Errors
    ///
    /// When it did not, after the driver's own time as a rule; how many bytes were moved is not known then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pieces(bytes, |mut file, piece, _| file.write(piece))
    }

    /// Sends all bytes to an address of the design. For channels to memory; on a stream the address means nothing.
    ///
    /// # Errors
    ///
    /// As [`HostToCard::write`].
    pub fn write_at(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.pieces(bytes, |file, piece, done| {
            let at = address
                .checked_add(done as u64)
                .ok_or(std::io::ErrorKind::InvalidInput)?;
            file.write_at(piece, at)
        })
    }

    fn pieces(
        &mut self,
        bytes: &[u8],
        call: impl Fn(&File, &[u8], usize) -> std::io::Result<usize>,
    ) -> Result<(), Error> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let next = &rest[..rest.len().min(self.piece)];
            let since = Instant::now();
            let what = "transfer to the card";
            match call(&self.file, next, done) {
                // Nothing moved and no error: it would stay so.
                Ok(0) => {
                    return Err(Error::Short {
                        path: self.path.clone(),
                        what,
                        got: 0,
                        expected: next.len(),
                    });
                }
                Ok(moved) => done += moved,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::of(&self.path, what, error, since.elapsed())),
            }
        }
        Ok(())
    }
}

/// A channel from the card.
pub struct CardToHost {
    path: PathBuf,
    file: File,
    piece: usize,
}

impl CardToHost {
    pub(crate) fn open(path: PathBuf, options: ReadOptions) -> Result<Self, Error> {
        let piece = piece(&path, options.piece)?;
        let mut open_options = OpenOptions::new();
        open_options.read(true);
        if options.packets {
            open_options.custom_flags(OFlags::TRUNC.bits() as i32);
        }
        let file = open(&path, &open_options)?;
        Ok(Self { path, file, piece })
    }

    /// The node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for data and returns how many bytes came: as many as there is room for (and at most the piece of the options), fewer where a
    /// packet ended.
    ///
    /// # Errors
    ///
    /// When nothing came in the driver's own time ([`Error::TimedOut`]: it may be tried again), or the channel failed.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        self.call(into, |mut file, into| file.read(into))
    }

    /// Reads from an address of the design. For channels from memory; on a stream the address means nothing.
    ///
    /// # Errors
    ///
    /// As [`CardToHost::read`].
    pub fn read_at(&mut self, address: u64, into: &mut [u8]) -> Result<usize, Error> {
        self.call(into, |file, into| file.read_at(into, address))
    }

    fn call(
        &mut self,
        into: &mut [u8],
        call: impl Fn(&File, &mut [u8]) -> std::io::Result<usize>,
    ) -> Result<usize, Error> {
        let room = into.len().min(self.piece);
        let Some(into) = into.get_mut(..room).filter(|into| !into.is_empty()) else {
            return Err(Error::Length {
                path: self.path.clone(),
                got: 0,
                most: self.piece,
            });
        };
        loop {
            let since = Instant::now();
            match call(&self.file, into) {
                Ok(got) => return Ok(got),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = "transfer from the card";
                    return Err(Error::of(&self.path, what, error, since.elapsed()));
                }
            }
        }
    }
}
