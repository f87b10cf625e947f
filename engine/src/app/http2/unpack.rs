//! Bodies that are packed: gzip, deflate (without a header of zlib, as Suricata reads it) and brotli.
//!
//! Limits: 1 MiB may come of one frame; more is a bomb, and what follows is taken as it is.

use std::io::Write;

use flate2::write::{DeflateDecoder, GzDecoder};

/// Most bytes that come of a frame.
const MOST_OF_FRAME: usize = 1 << 20;
/// Bytes that are unpacked at a time: what comes of them is bounded by how well they can be packed.
const PIECE: usize = 512;

/// How a body is packed.
#[derive(Default)]
pub(super) enum Unpack {
    /// Nothing was said.
    #[default]
    Unknown,
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Vec<u8>>>),
    /// It is not, or not in a way that is known, or it failed.
    Plain,
}

impl Unpack {
    /// What `content-encoding` says; the first counts.
    pub(super) fn set(&mut self, encoding: &[u8]) {
        if matches!(self, Self::Unknown) {
            *self = match encoding {
                b"gzip" => Self::Gzip(Box::new(GzDecoder::new(Vec::new()))),
                b"deflate" => Self::Deflate(Box::new(DeflateDecoder::new(Vec::new()))),
                b"br" => Self::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(
                    Vec::new(),
                    4096,
                ))),
                _ => Self::Plain,
            };
        }
    }

    /// Unpacks what a frame has; `None` where that fails.
    pub(super) fn frame(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        let unpacked = match self {
            Self::Unknown | Self::Plain => return Some(data.to_vec()),
            Self::Gzip(decoder) => each(data, &mut plain, |piece, plain| {
                let used = decoder.write(piece).and_then(|used| {
                    decoder.flush()?;
                    Ok(used)
                });
                plain.append(decoder.get_mut());
                used.ok()
            }),
            Self::Deflate(decoder) => each(data, &mut plain, |piece, plain| {
                let used = decoder.write(piece).and_then(|used| {
                    decoder.flush()?;
                    Ok(used)
                });
                plain.append(decoder.get_mut());
                used.ok()
            }),
            Self::Brotli(decoder) => each(data, &mut plain, |piece, plain| {
                let used = decoder.write(piece);
                plain.append(decoder.get_mut());
                used.ok()
            }),
        };
        if unpacked.is_none() {
            *self = Self::Plain;
        }
        unpacked.map(|()| plain)
    }

    /// Bytes that it holds, about.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Unknown | Self::Plain => 0,
            Self::Gzip(_) | Self::Deflate(_) => 48 * 1024,
            Self::Brotli(_) => 256 * 1024,
        }
    }
}

/// Gives data in pieces to a decoder that says how much of them it took: nothing, once it is at its end.
fn each(
    mut data: &[u8],
    plain: &mut Vec<u8>,
    mut write: impl FnMut(&[u8], &mut Vec<u8>) -> Option<usize>,
) -> Option<()> {
    while !data.is_empty() {
        let piece = data.get(..PIECE).unwrap_or(data);
        let used = write(piece, plain)?;
        if plain.len() > MOST_OF_FRAME {
            return None;
        }
        if used == 0 {
            break;
        }
        data = data.get(used..).unwrap_or_default();
    }
    Some(())
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
