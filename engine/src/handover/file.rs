//! The head of a file, and how its body is written.

use std::io::{self, Seek, SeekFrom, Write};

use super::Record;

/// The format that is written and read.
pub const VERSION: u32 = 2;

const MAGIC: [u8; 8] = *b"weirflow";
const WRITER: usize = 16;
const HEAD: usize = MAGIC.len() + 4 + WRITER + 8 + 4;
/// The body is written in pieces of about this size.
const PIECE: usize = 1 << 18;

/// Why a file was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// Something else.
    #[error("this is no saved state: expected it to begin with `weirflow`")]
    Foreign,
    /// Another format.
    #[error(
        "the state is of format {found}, written by Weir {writer}; this program reads format {VERSION}"
    )]
    Version {
        /// The format that was found.
        found: u32,
        /// The version of the program that wrote it.
        writer: String,
    },
    /// The file ends within its head.
    #[error("expected a head of {HEAD} bytes, found {0}")]
    Head(usize),
    /// The file has another length than its head says.
    #[error("expected {expected} bytes after the head, found {found}")]
    Length {
        /// What the head says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The body is not what was written.
    #[error("the checksum is {found:08x}, expected {expected:08x}: the state is damaged")]
    Checksum {
        /// What the head says.
        expected: u32,
        /// That of the body.
        found: u32,
    },
    /// The body makes no sense.
    #[error("{0}")]
    Content(String),
}

/// Writes a file.
pub(super) struct Writer<W> {
    out: W,
    piece: Vec<u8>,
    checksum: crc32fast::Hasher,
    length: u64,
}

impl<W: Write + Seek> Writer<W> {
    pub fn new(mut out: W) -> io::Result<Self> {
        // Until the head is there, the file is none.
        out.write_all(&[0; HEAD])?;
        Ok(Self {
            out,
            piece: Vec::with_capacity(2 * PIECE),
            checksum: crc32fast::Hasher::new(),
            length: 0,
        })
    }

    pub fn put(&mut self, record: &Record<'_>) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        self.piece = postcard::to_extend(record, piece).map_err(io::Error::other)?;
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.checksum.update(&self.piece);
        self.length += self.piece.len() as u64;
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Writes what is left, and the head; the size of the file.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out
            .write_all(&head(self.length, self.checksum.finalize()))?;
        self.out.flush()?;
        Ok(HEAD as u64 + self.length)
    }
}

fn head(length: u64, checksum: u32) -> Vec<u8> {
    let mut writer = [0; WRITER];
    for (place, &byte) in writer.iter_mut().zip(env!("CARGO_PKG_VERSION").as_bytes()) {
        *place = byte;
    }
    [
        &MAGIC[..],
        &VERSION.to_le_bytes(),
        &writer,
        &length.to_le_bytes(),
        &checksum.to_le_bytes(),
    ]
    .concat()
}

/// The body of a file that is whole and of this version.
pub(super) fn body(file: &[u8]) -> Result<&[u8], HandoverError> {
    let rest = file.strip_prefix(&MAGIC).ok_or(HandoverError::Foreign)?;
    let short = || HandoverError::Head(file.len());
    let (version, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (writer, rest) = rest.split_first_chunk::<WRITER>().ok_or_else(short)?;
    let found = u32::from_le_bytes(*version);
    if found != VERSION {
        let writer = String::from_utf8_lossy(writer);
        let printable = |letter: &char| letter.is_ascii_graphic();
        return Err(HandoverError::Version {
            found,
            writer: writer.chars().filter(printable).collect(),
        });
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (checksum, body) = rest.split_first_chunk().ok_or_else(short)?;
    let (expected, found) = (u64::from_le_bytes(*length), body.len() as u64);
    if expected != found {
        return Err(HandoverError::Length { expected, found });
    }
    let (expected, found) = (u32::from_le_bytes(*checksum), crc32fast::hash(body));
    if expected != found {
        return Err(HandoverError::Checksum { expected, found });
    }
    Ok(body)
}

/// A file with this body, for tests that make up bodies.
#[cfg(any(test, feature = "testing"))]
pub fn around(body: &[u8]) -> Vec<u8> {
    let mut file = head(body.len() as u64, crc32fast::hash(body));
    file.extend_from_slice(body);
    file
}
