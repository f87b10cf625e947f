//! Bodies that are packed: gzip, deflate (without a header of zlib, as Suricata reads it) and brotli.
//!
//! Limits: 1 MiB may come of one frame; more is a bomb, and what follows is taken as it is.

use std::io::{Error, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, GzDecoder};

/// Most bytes that come of a frame.
const MOST_OF_FRAME: usize = 1 << 20;

/// Takes what is unpacked, up to the limit: a few bytes of brotli can stand for gigabytes.
#[derive(Default)]
pub(super) struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.0.len() + bytes.len() > MOST_OF_FRAME {
            return Err(Error::other("too much comes of a frame"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// How a body is packed.
#[derive(Default)]
pub(super) enum Unpack {
    /// Nothing was said.
    #[default]
    Unknown,
    Gzip(Box<GzDecoder<Sink>>),
    Deflate(Box<DeflateDecoder<Sink>>),
    Brotli(Box<Brotli>),
    /// It is not, or not in a way that is known, or it failed.
    Plain,
}

impl Unpack {
    /// What `content-encoding` says; the first counts.
    pub(super) fn set(&mut self, encoding: &[u8]) {
        if matches!(self, Self::Unknown) {
            *self = match encoding {
                b"gzip" => Self::Gzip(Box::new(GzDecoder::new(Sink::default()))),
                b"deflate" => Self::Deflate(Box::new(DeflateDecoder::new(Sink::default()))),
                b"br" => Self::Brotli(Box::default()),
                _ => Self::Plain,
            };
        }
    }

    /// Unpacks what a frame has; `None` where that fails.
    pub(super) fn frame(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let plain = match self {
            Self::Unknown | Self::Plain => return Some(data.to_vec()),
            Self::Gzip(decoder) => {
                all(data, &mut **decoder).map(|()| std::mem::take(&mut decoder.get_mut().0))
            }
            Self::Deflate(decoder) => {
                all(data, &mut **decoder).map(|()| std::mem::take(&mut decoder.get_mut().0))
            }
            Self::Brotli(brotli) => brotli.frame(data),
        };
        if plain.is_none() {
            *self = Self::Plain;
        }
        plain
    }

    /// Bytes that it holds, about.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Unknown | Self::Plain => 0,
            Self::Gzip(_) | Self::Deflate(_) => 48 * 1024,
            Self::Brotli(brotli) => brotli.memory(),
        }
    }
}

/// Brotli, and how much has come of it.
pub(super) struct Brotli {
    decoder: DecompressorWriter<Sink>,
    plain: usize,
}

impl Default for Brotli {
    fn default() -> Self {
        const BUFFER: usize = 4096;
        Self {
            decoder: DecompressorWriter::new(Sink::default(), BUFFER),
            plain: 0,
        }
    }
}

impl Brotli {
    fn frame(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        all(data, &mut self.decoder)?;
        let plain = std::mem::take(&mut self.decoder.get_mut().0);
        self.plain = self.plain.saturating_add(plain.len());
        Some(plain)
    }

    /// Its tables, and as much of its window as is filled.
    fn memory(&self) -> usize {
        const TABLES: usize = 256 * 1024;
        const WINDOW: usize = 16 << 20;
        TABLES + self.plain.min(WINDOW)
    }
}

/// Gives all data to a decoder, which takes nothing more once it is at its end. `None` where it fails.
fn all(mut data: &[u8], decoder: &mut impl Write) -> Option<()> {
    while !data.is_empty() {
        let used = decoder.write(data).ok()?;
        if used == 0 {
            break;
        }
        data = data.get(used..).unwrap_or_default();
    }
    decoder.flush().ok()
}

impl std::fmt::Debug for Unpack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "Unknown",
            Self::Gzip(_) => "Gzip",
            Self::Deflate(_) => "Deflate",
            Self::Brotli(_) => "Brotli",
            Self::Plain => "Plain",
        })
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};

    use super::*;

    fn text() -> Vec<u8> {
        b"what is said again and again can be said in few words. ".repeat(300)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("written");
        encoder.finish().expect("finished")
    }

    #[test]
    fn bodies_are_unpacked_in_any_frames() {
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&text()).expect("written");
        let deflated = deflate.finish().expect("finished");
        for (encoding, packed) in [(&b"gzip"[..], gzip(&text())), (b"deflate", deflated)] {
            for step in [1, 7, 100, 10_000] {
                let mut unpack = Unpack::default();
                unpack.set(encoding);
                unpack.set(b"br");
                let frames = packed.chunks(step);
                let plain = frames.flat_map(|frame| unpack.frame(frame).expect("unpacked"));
                assert!(plain.eq(text()), "{step}");
                // What follows is passed over.
                assert_eq!(unpack.frame(b"more").map(|plain| plain.len()), Some(0));
            }
        }
    }

    #[test]
    fn what_comes_of_few_bytes_of_brotli_is_never_held() {
        let mut bomb = Bits::default();
        bomb.put(0b1111, 4);
        for _ in 0..64 {
            bomb.metablock();
        }
        let mut brotli = Brotli::default();
        assert!(bomb.bytes.len() < 2048);
        assert_eq!(brotli.frame(&bomb.bytes), None);
        let held = brotli.decoder.get_mut();
        assert!(
            (1..=MOST_OF_FRAME).contains(&held.0.len()),
            "{}",
            held.0.len()
        );
        assert!(held.0.iter().all(|&byte| byte == b'a'));
        assert!(held.0.capacity() <= 2 * MOST_OF_FRAME);
    }

    /// Bits, the first in the lowest of a byte (RFC 7932).
    #[derive(Default)]
    struct Bits {
        bytes: Vec<u8>,
        used: u32,
    }

    impl Bits {
        fn put(&mut self, value: u64, count: u32) {
            for bit in 0..count {
                if self.used == 0 {
                    self.bytes.push(0);
                }
                let bit = (value >> bit & 1) as u8;
                *self.bytes.last_mut().expect("a byte") |= bit << self.used;
                self.used = (self.used + 1) % 8;
            }
        }

        /// A metablock of 16 MiB: a literal, `a`, and a copy of it.
        fn metablock(&mut self) {
            const LEN: u64 = 1 << 24;
            // Not the last, six digits of length, no raw bytes, one block type of each kind.
            self.put(0, 1);
            self.put(2, 2);
            self.put(LEN - 1, 24);
            self.put(0, 1);
            self.put(0, 3);
            // No postfix of distances, no direct ones; contexts of literals; one tree each for literals and distances.
            self.put(0, 6);
            self.put(0, 2);
            self.put(0, 2);
            // Simple codes of one symbol: the literal; insert 1 and copy 2118 and more; a distance of 1.
            self.put(1, 2);
            self.put(0, 2);
            self.put(b'a'.into(), 8);
            self.put(1, 2);
            self.put(0, 2);
            // Insert code 1 (one byte) and copy code 23 (2118 and 24 bits more).
            self.put(384 + 8 + 7, 10);
            self.put(1, 2);
            self.put(0, 2);
            // A distance of 1 is code 16 with a bit of 0.
            self.put(16, 6);
            // The command: its bits of copy length; then the bit of the distance.
            self.put(LEN - 1 - 2118, 24);
            self.put(0, 1);
        }
    }

    #[test]
    fn a_bomb_and_garbage_fail_and_what_follows_is_taken_as_it_is() {
        let bomb = gzip(&vec![0; 8 << 20]);
        for packed in [&bomb[..], b"no gzip, this"] {
            let mut unpack = Unpack::default();
            unpack.set(b"gzip");
            assert_eq!(unpack.frame(packed), None);
            assert_eq!(unpack.frame(b"plain"), Some(b"plain".to_vec()));
        }
        for encoding in [&b"br"[..], b"deflate"] {
            let mut unpack = Unpack::default();
            unpack.set(encoding);
            assert_eq!(unpack.frame(&[0xff; 600]), None);
        }
    }
}
