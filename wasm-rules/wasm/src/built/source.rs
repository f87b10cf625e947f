//! Where the bytes of a built file are, and taking its sections only if they are what the header says.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};
use sha2::{Digest, Sha256};

use super::BuiltError;
use super::format::Section;

/// Bytes that are read, hashed and put away at a time: they stay in the processor's cache for that long.
const CHUNK: usize = 128 << 10;

/// The bytes of a built file.
pub(super) enum Source {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file that is open.
    File {
        file: File,
        /// Its length when it was opened.
        length: u64,
    },
}

impl Source {
    /// Opens a file. What is no regular file is read at once.
    pub(super) fn open(path: &Path) -> Result<Self, BuiltError> {
        let open = || {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            if !meta.is_file() {
                return std::fs::read(path).map(Self::Bytes);
            }
            Ok(Self::File {
                file,
                length: meta.len(),
            })
        };
        open().map_err(|error| BuiltError::Read {
            path: path.to_owned(),
            error,
        })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// Some of its bytes, whatever they are; `None` where it ends before them.
    pub(super) fn part(&self, at: u64, length: u64) -> Result<Option<Cow<'_, [u8]>>, BuiltError> {
        let end = at.checked_add(length).filter(|end| *end <= self.len());
        let (Some(_), Ok(length)) = (end, usize::try_from(length)) else {
            return Ok(None);
        };
        match self {
            Self::Bytes(bytes) => Ok(slice(bytes, at, length).map(Cow::Borrowed)),
            Self::File { .. } => {
                let mut bytes = vec![0; length];
                self.chunks(at, &mut bytes, |_| ())?;
                Ok(Some(bytes.into()))
            }
        }
    }

    /// A section, if its bytes are what the header says.
    pub(super) fn checked(&self, section: &Section) -> Result<Cow<'_, [u8]>, BuiltError> {
        match self {
            Self::Bytes(bytes) => right(bytes, section).map(Cow::Borrowed),
            Self::File { .. } => {
                let mut buffer = Vec::new();
                self.fill(section, &mut buffer)?;
                Ok(buffer.into())
            }
        }
    }

    /// A section, if its bytes are what the header says; read into the buffer where they are not in memory yet.
    pub(super) fn checked_into<'b>(
        &'b self,
        section: &Section,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], BuiltError> {
        match self {
            Self::Bytes(bytes) => right(bytes, section),
            Self::File { .. } => {
                self.fill(section, buffer)?;
                Ok(buffer)
            }
        }
    }

    /// Reads a section, if its bytes are what the header says.
    fn fill(&self, section: &Section, buffer: &mut Vec<u8>) -> Result<(), BuiltError> {
        // That the file is as long was seen when it was taken apart.
        let length = usize::try_from(section.length).map_err(|_| section.wrong())?;
        buffer.resize(length, 0);
        let mut sum = Sha256::new();
        self.chunks(section.start, buffer, |chunk| sum.update(chunk))?;
        if *sum.finalize() == section.sha256 {
            Ok(())
        } else {
            Err(section.wrong())
        }
    }

    /// A section as a file in memory that nobody can change any more, if its bytes are what the header says; `None` where the
    /// system has no such files, or the bytes are in memory already.
    pub(super) fn sealed(&self, section: &Section) -> Result<Option<File>, BuiltError> {
        let Self::File { .. } = self else {
            return Ok(None);
        };
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let Ok(memory) = rustix::fs::memfd_create("weir-native", flags) else {
            return Ok(None);
        };
        let mut memory = File::from(memory);
        let mut sum = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut left = section.length;
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let Some(chunk) = buffer.get_mut(..length) else {
                break;
            };
            self.chunks(section.start + (section.length - left), chunk, |_| ())?;
            sum.update(&*chunk);
            if memory.write_all(chunk).is_err() {
                // No memory for it: whoever asks may have less need of it.
                return Ok(None);
            }
            left -= length as u64;
        }
        if *sum.finalize() != section.sha256 {
            return Err(section.wrong());
        }
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        Ok(rustix::fs::fcntl_add_seals(&memory, seals)
            .ok()
            .map(|()| memory))
    }

    /// Fills a buffer from there on, and shows each piece of it when it has been read.
    fn chunks(
        &self,
        mut at: u64,
        buffer: &mut [u8],
        mut read: impl FnMut(&[u8]),
    ) -> Result<(), BuiltError> {
        let Self::File { file, .. } = self else {
            return Ok(());
        };
        for chunk in buffer.chunks_mut(CHUNK) {
            file.read_exact_at(chunk, at).map_err(|error| {
                BuiltError::Broken(match error.kind() {
                    io::ErrorKind::UnexpectedEof => "it was cut off while it was read".to_owned(),
                    _ => format!("it cannot be read at byte {at}: {error}"),
                })
            })?;
            read(chunk);
            at = at.saturating_add(chunk.len() as u64);
        }
        Ok(())
    }
}

fn slice(bytes: &[u8], at: u64, length: usize) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    rest.get(..length)
}

/// A section of what is in memory.
fn right<'b>(bytes: &'b [u8], section: &Section) -> Result<&'b [u8], BuiltError> {
    let length = usize::try_from(section.length).ok();
    let bytes = length.and_then(|length| slice(bytes, section.start, length));
    let right = bytes.filter(|bytes| *Sha256::digest(bytes) == section.sha256);
    right.ok_or_else(|| section.wrong())
}
