//! The file that holds a [`Table`].
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `weirfreq` |
//! | 2 | version of the format: 1 |
//! | 8 × 4 | learnt from: packets, payloads, bytes; the count below which windows were left out |
//! | 4 | length of the body as it stands here |
//! | 4 | length of the body when inflated |
//! | … | the body, compressed (raw DEFLATE) |
//! | 4 | CRC-32 of all before it |
//!
//! The body holds the windows of 1 byte, then those of 2, up to 8. Each length has: how many windows there are (4 bytes); for
//! every window that is shorter by a byte, how many of them begin with it (2 bytes each; not for length 1); then three
//! columns of a byte a window: its last byte; its count below the count of the window without its last byte (below 255 for
//! length 1); the number of its payloads below that of its occurrences. Counts are on a logarithmic scale, two bits after the
//! leading one, rounded up.

use std::io::{Read, Write};

use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use weir_engine::matcher::MAX_PROBE;

use super::scale::Scaled;
use super::{Learnt, Level, Levels, Table};

const MAGIC: &[u8; 8] = b"weirfreq";
const VERSION: u16 = 1;
/// Up to the body.
const HEADER: usize = 8 + 2 + 4 * 8 + 4 + 4;
/// Behind the body.
const TRAILER: usize = 4;
/// Most bytes of an inflated body: about five a window.
const MAX_BODY: usize = 128 << 20;

/// Why a frequency table cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Not such a file.
    #[error(
        "not a frequency table: expected a file that `weir rules learn` wrote, which begins with \"weirfreq\""
    )]
    NotATable,
    /// Another version of the format.
    #[error(
        "a frequency table of version {found}; this version of Weir reads version {VERSION}: learn it again"
    )]
    Version {
        /// The version that the file says.
        found: u16,
    },
    /// It ends early.
    #[error("the frequency table is cut short: expected {expected} bytes, found {found}")]
    Truncated {
        /// Bytes that the file should have at least.
        expected: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// The checksum does not fit.
    #[error(
        "the frequency table is damaged: its checksum should be {expected:08x} and is {found:08x}"
    )]
    Checksum {
        /// What was computed.
        expected: u32,
        /// What the file says.
        found: u32,
    },
    /// What it says contradicts itself.
    #[error("the frequency table is damaged: {0}")]
    Corrupt(&'static str),
}

/// Takes numbers and columns off the front of bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The compressed part of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'b> {
    deflated: &'b [u8],
    /// Bytes that it has when it is inflated.
    length: usize,
}

impl Body<'_> {
    pub(super) fn unpack(self) -> Result<[Level; MAX_PROBE], TableError> {
        levels(&inflate(self.deflated, self.length)?)
    }
}

impl Table {
    /// Reads a table that [`Table::to_bytes`] wrote. Takes any bytes.
    ///
    /// # Errors
    /// When it is no table, or one of another version, cut or damaged.
    pub fn read(bytes: &[u8]) -> Result<Self, TableError> {
        let (learnt, least, body) = Self::parts(bytes)?;
        Ok(Self {
            learnt,
            least,
            levels: Levels::of(body.unpack()?),
        })
    }

    /// As [`Self::read`], but windows are read when they are first looked at; there are none where that fails.
    pub(super) fn later(bytes: &'static [u8]) -> Result<Self, TableError> {
        let (learnt, least, body) = Self::parts(bytes)?;
        Ok(Self {
            learnt,
            least,
            levels: Levels {
                packed: Some(body),
                ..Levels::default()
            },
        })
    }

    /// What a file says: what the table was learnt from, the hits of the rarest window, and its body.
    fn parts(bytes: &[u8]) -> Result<(Learnt, u64, Body<'_>), TableError> {
        if !bytes.starts_with(MAGIC) {
            return Err(TableError::NotATable);
        }
        let short = |expected| TableError::Truncated {
            expected,
            found: bytes.len(),
        };
        let mut header = Cursor(bytes);
        header.take(MAGIC.len());
        let version = header.u16().ok_or_else(|| short(HEADER + TRAILER))?;
        if version != VERSION {
            return Err(TableError::Version { found: version });
        }
        let mut numbers = || {
            let learnt = Learnt {
                packets: header.u64()?,
                payloads: header.u64()?,
                bytes: header.u64()?,
            };
            Some((
                learnt,
                header.u64()?,
                header.u32()? as usize,
                header.u32()? as usize,
            ))
        };
        let (learnt, least, length, inflated) = numbers().ok_or_else(|| short(HEADER + TRAILER))?;
        let expected = HEADER.saturating_add(length).saturating_add(TRAILER);
        let body = header.take(length).ok_or_else(|| short(expected))?;
        let found = header.u32().ok_or_else(|| short(expected))?;
        if !header.0.is_empty() {
            return Err(TableError::Corrupt("there is something behind its end"));
        }
        let expected = checksum(bytes.get(..HEADER + length).unwrap_or_default());
        if found != expected {
            return Err(TableError::Checksum { expected, found });
        }
        if learnt.payloads > learnt.bytes || least == 0 {
            return Err(TableError::Corrupt(
                "it was learnt from more payloads than bytes, or keeps everything",
            ));
        }
        let body = Body {
            deflated: body,
            length: inflated,
        };
        Ok((learnt, least, body))
    }

    /// The table as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.with_body(&self.body())
    }

    /// The body, not yet compressed.
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut above: Option<&Level> = None;
        for level in self.levels.iter() {
            body.extend((level.symbols.len() as u32).to_le_bytes());
            let mut ceiling = vec![u8::MAX; level.symbols.len()];
            if let Some(above) = above {
                for (parent, hits) in above.hits.iter().enumerate() {
                    let children = above.children(parent);
                    body.extend((children.len() as u16).to_le_bytes());
                    ceiling.get_mut(children).unwrap_or_default().fill(hits.0);
                }
            }
            body.extend(&level.symbols);
            let hits = level.hits.iter().map(|hits| hits.0);
            body.extend(
                ceiling
                    .iter()
                    .zip(hits.clone())
                    .map(|(above, hits)| above.saturating_sub(hits)),
            );
            body.extend(
                hits.zip(&level.payloads)
                    .map(|(hits, payloads)| hits.saturating_sub(payloads.0)),
            );
            above = Some(level);
        }
        body
    }

    /// A file with this body.
    fn with_body(&self, body: &[u8]) -> Vec<u8> {
        let deflated = deflate(body);
        let mut file = Vec::with_capacity(HEADER + deflated.len() + TRAILER);
        file.extend(MAGIC);
        file.extend(VERSION.to_le_bytes());
        let Learnt {
            packets,
            payloads,
            bytes,
        } = self.learnt;
        for number in [packets, payloads, bytes, self.least] {
            file.extend(number.to_le_bytes());
        }
        file.extend((deflated.len() as u32).to_le_bytes());
        file.extend((body.len() as u32).to_le_bytes());
        file.extend(deflated);
        let checksum = checksum(&file);
        file.extend(checksum.to_le_bytes());
        file
    }
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // A Vec takes everything.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

fn inflate(body: &[u8], length: usize) -> Result<Vec<u8>, TableError> {
    if length > MAX_BODY {
        return Err(TableError::Corrupt("it is larger than any table"));
    }
    let mut inflated = Vec::new();
    let read = DeflateDecoder::new(body)
        .take(length as u64 + 1)
        .read_to_end(&mut inflated);
    match read {
        Ok(found) if found == length => Ok(inflated),
        _ => Err(TableError::Corrupt(
            "its body cannot be inflated to the length that it should have",
        )),
    }
}

/// Reads the body, and checks all that lookups rely on.
fn levels(body: &[u8]) -> Result<[Level; MAX_PROBE], TableError> {
    const SHORT: TableError = TableError::Corrupt("its body ends early");
    let mut body = Cursor(body);
    let mut levels: [Level; MAX_PROBE] = Default::default();
    let mut above: Option<&mut Level> = None;
    for level in &mut levels {
        let windows = body.u32().ok_or(SHORT)? as usize;
        let mut siblings = vec![windows];
        if let Some(above) = &above {
            let counts = (0..above.symbols.len()).map(|_| body.u16().map(usize::from));
            siblings = counts.collect::<Option<_>>().ok_or(SHORT)?;
        }
        if siblings.iter().sum::<usize>() != windows {
            return Err(TableError::Corrupt("its windows do not add up"));
        }
        level.symbols = body.take(windows).ok_or(SHORT)?.to_vec();
        let (below, fewer) = body.take(windows).zip(body.take(windows)).ok_or(SHORT)?;
        let mut start = 0;
        let mut starts = vec![0];
        for (parent, count) in siblings.into_iter().enumerate() {
            let range = start..start + count;
            start = range.end;
            starts.push(start as u32);
            let ceiling = above.as_ref().map_or(Some(u8::MAX), |above| {
                above.hits.get(parent).map(|hits| hits.0)
            });
            let ceiling = ceiling.ok_or(SHORT)?;
            let columns = (|| {
                let symbols = level.symbols.get(range.clone())?;
                Some((
                    symbols,
                    below.get(range.clone())?.iter().zip(fewer.get(range)?),
                ))
            })();
            let (symbols, columns) = columns.ok_or(SHORT)?;
            if !symbols.is_sorted_by(|a, b| a < b) {
                return Err(TableError::Corrupt("its windows are out of order"));
            }
            for (below, fewer) in columns {
                let hits = ceiling.checked_sub(*below).filter(|&hits| hits > 0);
                let hits = hits.ok_or(TableError::Corrupt(
                    "a window has more hits than what is in it, or none",
                ))?;
                let payloads = hits.checked_sub(*fewer);
                let payloads =
                    payloads.ok_or(TableError::Corrupt("a window has fewer payloads than none"))?;
                level.hits.push(Scaled(hits));
                level.payloads.push(Scaled(payloads));
            }
        }
        if let Some(above) = above {
            above.children = starts;
        }
        above = Some(level);
    }
    if body.0.is_empty() {
        Ok(levels)
    } else {
        Err(TableError::Corrupt(
            "there is something behind its last window",
        ))
    }
}

/// The table as a file whose body was changed, and whose checksum is right nevertheless.
#[cfg(test)]
pub(super) fn with_body(table: &Table, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = table.body();
    change(&mut body);
    table.with_body(&body)
}
