//! Transforms: what is done to the bytes of a buffer before operations look at them.
//!
//! None makes more of its input than a byte more, but decompression, which ends at its `max_size`.

use flate2::{Decompress, FlushDecompress, Status};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::base64;
use crate::pcre;
use crate::plan::{Base64Mode, Subslice, Transform};

/// Bytes that are decompressed at a time.
const CHUNK: usize = 4096;

/// Applies transforms. Its memory is kept from one buffer to the next, so that in the long run nothing is allocated.
#[derive(Debug)]
pub(super) struct Transformer {
    /// What the transforms so far have made.
    current: Vec<u8>,
    /// What the one at hand makes.
    next: Vec<u8>,
    pcre: pcre::Scratch,
    /// Made when it is first needed: it is large.
    inflate: Option<Box<Decompress>>,
    /// Decompressions that ended at their `max_size`.
    pub(super) cut: u64,
    /// Expressions given up at their match limit.
    pub(super) pcre_limits: u64,
}

impl Transformer {
    pub(super) fn new() -> Self {
        Self {
            current: Vec::new(),
            next: Vec::new(),
            pcre: pcre::Scratch::new(),
            inflate: None,
            cut: 0,
            pcre_limits: 0,
        }
    }

    /// What the transforms make of `bytes`.
    pub(super) fn apply<'a>(&'a mut self, transforms: &[Transform], bytes: &'a [u8]) -> &'a [u8] {
        if transforms.is_empty() {
            return bytes;
        }
        self.current.clear();
        self.current.extend_from_slice(bytes);
        for transform in transforms {
            if self.current.is_empty() {
                break;
            }
            self.step(transform);
        }
        &self.current
    }

    /// Applies one transform to what is there, which is not empty.
    fn step(&mut self, transform: &Transform) {
        let Self { current, next, .. } = self;
        match transform {
            Transform::ToLowercase => current.make_ascii_lowercase(),
            Transform::ToUppercase => current.make_ascii_uppercase(),
            Transform::StripWhitespace => current.retain(|&byte| !is_space(byte)),
            Transform::CompressWhitespace => {
                let mut after_space = false;
                current.retain(|&byte| {
                    let again = after_space && is_space(byte);
                    after_space = is_space(byte);
                    !again
                });
            }
            Transform::DotPrefix => current.insert(0, b'.'),
            Transform::Domain | Transform::Tld => {
                next.clear();
                if let Some(domain) = psl::domain(current) {
                    next.extend_from_slice(match transform {
                        Transform::Domain => domain.as_bytes(),
                        _ => domain.suffix().as_bytes(),
                    });
                }
                std::mem::swap(current, next);
            }
            Transform::UrlDecode => url_decode(current),
            Transform::HeaderLowercase => header_lowercase(current),
            Transform::StripPseudoHeaders => {
                next.clear();
                let lines = current.split_inclusive(|&byte| byte == b'\n');
                for line in lines.filter(|line| line.first() != Some(&b':')) {
                    next.extend_from_slice(line);
                }
                std::mem::swap(current, next);
            }
            Transform::ToMd5 => hash::<Md5>(current),
            Transform::ToSha1 => hash::<Sha1>(current),
            Transform::ToSha256 => hash::<Sha256>(current),
            Transform::Xor(key) => {
                for (byte, key) in current.iter_mut().zip(key.iter().cycle()) {
                    *byte ^= key;
                }
            }
            Transform::FromBase64 {
                offset,
                bytes,
                mode,
            } => {
                next.clear();
                if let Some(text) = base64_part(current, *offset, *bytes) {
                    match mode {
                        Base64Mode::Rfc4648 => base64::decode(text, next),
                        Base64Mode::Rfc2045 => base64::decode_lenient(text, next),
                        Base64Mode::Strict => base64::decode_strict(text, next),
                    }
                }
                if !next.is_empty() {
                    std::mem::swap(current, next);
                }
            }
            Transform::Gunzip { max_size } => self.inflate(true, *max_size),
            Transform::ZlibDeflate { max_size } => self.inflate(false, *max_size),
            Transform::Pcre(regex) => match regex.find_group(current, &mut self.pcre) {
                Ok(Some((start, end))) => cut_to(current, start, end),
                Ok(None) => {}
                Err(pcre::MatchLimit) => self.pcre_limits += 1,
            },
            Transform::Subslice(part) => {
                let (start, end) = part.place(current.len()).unwrap_or((0, 0));
                cut_to(current, start, end);
            }
        }
    }

    /// Decompresses what is there: as much of it as can be, up to `max_size` bytes, or nothing when it is corrupt before.
    fn inflate(&mut self, gzip: bool, max_size: u32) {
        let Self {
            current,
            next,
            inflate,
            cut,
            ..
        } = self;
        next.clear();
        let start = if gzip { gzip_header(current) } else { Some(0) };
        let mut input = start
            .and_then(|start| current.get(start..))
            .unwrap_or_default();
        let inflate = inflate.get_or_insert_with(|| Box::new(Decompress::new(false)));
        inflate.reset(!gzip);
        let max_size = usize::try_from(max_size).unwrap_or(usize::MAX);
        let mut chunk = [0; CHUNK];
        while start.is_some() {
            // At the limit, one byte more tells whether that was all.
            let room = max_size.saturating_sub(next.len());
            let to = chunk.get_mut(..room.clamp(1, CHUNK)).unwrap_or_default();
            let before = (inflate.total_in(), inflate.total_out());
            let Ok(status) = inflate.decompress(input, to, FlushDecompress::None) else {
                next.clear();
                break;
            };
            let read = (inflate.total_in() - before.0) as usize;
            let written = (inflate.total_out() - before.1) as usize;
            if room == 0 && written > 0 {
                *cut += 1;
                break;
            }
            input = input.get(read..).unwrap_or_default();
            next.extend_from_slice(to.get(..written).unwrap_or_default());
            if status == Status::StreamEnd || (read == 0 && written == 0) {
                break;
            }
        }
        std::mem::swap(current, next);
    }
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Leaves only the bytes from `start` to `end`.
fn cut_to(bytes: &mut Vec<u8>, start: usize, end: usize) {
    bytes.truncate(end);
    bytes.drain(..start.min(bytes.len()));
}

/// The part that `from_base64` decodes, if there is so much.
fn base64_part(bytes: &[u8], offset: u32, count: Option<u32>) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    match count {
        Some(count) => rest.get(..usize::try_from(count).ok()?),
        None => Some(rest),
    }
}

fn hash<D: Digest>(bytes: &mut Vec<u8>) {
    let sum = D::digest(&*bytes);
    bytes.clear();
    bytes.extend_from_slice(&sum);
}

/// What follows a `%` and is not two hexadecimal digits stays as it is up to the byte that is none.
fn url_decode(bytes: &mut Vec<u8>) {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut to = 0;
    let mut put = |bytes: &mut [u8], decoded: &[u8]| {
        for &byte in decoded {
            if let Some(place) = bytes.get_mut(to) {
                *place = byte;
            }
            to += 1;
        }
    };
    let mut from = 0;
    while let Some(&byte) = bytes.get(from) {
        let (first, second) = (bytes.get(from + 1).copied(), bytes.get(from + 2).copied());
        from += 1;
        match byte {
            b'+' => put(bytes, b" "),
            b'%' => match (
                first.map(|byte| (byte, digit(byte))),
                second.map(|byte| (byte, digit(byte))),
            ) {
                (Some((_, Some(high))), Some((_, Some(low)))) => {
                    put(bytes, &[(high << 4 | low) as u8]);
                    from += 2;
                }
                (Some((first, Some(_))), Some((second, None))) => {
                    put(bytes, &[b'%', first, second]);
                    from += 2;
                }
                (Some((first, _)), _) => {
                    put(bytes, &[b'%', first]);
                    from += 1;
                }
                (None, _) => put(bytes, b"%"),
            },
            _ => put(bytes, &[byte]),
        }
    }
    bytes.truncate(to);
}

fn header_lowercase(bytes: &mut [u8]) {
    for line in bytes.split_mut(|&byte| byte == b'\n') {
        let name = line.iter_mut().take_while(|byte| **byte != b':');
        name.for_each(|byte| byte.make_ascii_lowercase());
    }
}

/// Where the compressed data of a gzip member begins (RFC 1952, 2.3); `None` when no such header is there.
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    const FIXED: usize = 10;
    let [0x1f, 0x8b, 8, flags, ..] = *bytes else {
        return None;
    };
    let has = |flag: u8| flags >> flag & 1 == 1;
    let mut at = FIXED;
    if has(2) {
        let length = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes(length.try_into().ok()?));
    }
    // Name and comment, each with a zero byte at its end.
    for _ in 0..u8::from(has(3)) + u8::from(has(4)) {
        at += 1 + bytes.get(at..)?.iter().position(|&byte| byte == 0)?;
    }
    if has(1) {
        at += 2;
    }
    (at <= bytes.len()).then_some(at)
}

impl Subslice {
    /// First byte and end of the part of a buffer of this length; `None` when it does not fit.
    fn place(&self, length: usize) -> Option<(usize, usize)> {
        let length = i64::try_from(length).ok()?;
        let fits =
            |at: i64| (self.truncate || (0..=length).contains(&at)).then(|| at.clamp(0, length));
        let start = match self.offset {
            offset if offset < 0 => fits(length.saturating_add(offset))?,
            offset => fits(offset)?,
        };
        let end = match self.bytes {
            None => length,
            Some(bytes) if bytes < 0 => fits(length.saturating_add(bytes))?,
            Some(bytes) => fits(start.saturating_add(bytes))?,
        };
        // As in Suricata, an end before the start is no mistake.
        Some((start.min(end) as usize, start.max(end) as usize))
    }
}

#[cfg(test)]
mod tests;
