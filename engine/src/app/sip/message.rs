//! SIP messages: a line, headers, a body (RFC 3261, section 7).

use memchr::memmem;

/// Most headers of a message.
const MOST_HEADERS: usize = 512;

/// A header's name in small letters, short forms written out, and its value.
pub(super) type Header = (Vec<u8>, Vec<u8>);

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request {
        method: Vec<u8>,
        uri: Vec<u8>,
        version: Vec<u8>,
    },
    Response {
        version: Vec<u8>,
        code: Vec<u8>,
        reason: Vec<u8>,
    },
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) line: &'a [u8],
    pub(super) start: Start,
    pub(super) headers: Vec<Header>,
    pub(super) body: &'a [u8],
    /// Bytes that it takes.
    pub(super) len: usize,
    /// Headers for which there was no room.
    pub(super) left_out: u64,
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The headers are not whole.
    Incomplete,
    /// The body is not: the message has this many bytes.
    Needs(usize),
    /// It is none.
    Invalid,
}

impl<'a> Message<'a> {
    /// The first message of some data. A datagram is a message as a whole.
    pub(super) fn read(data: &'a [u8], request: bool, datagram: bool) -> Result<Self, Trouble> {
        let line_end = memmem::find(data, b"\r\n").ok_or(Trouble::Incomplete)?;
        let (line, _) = data.split_at(line_end);
        let start = start(line, request).ok_or(Trouble::Invalid)?;
        let mut headers: Vec<Header> = Vec::new();
        let mut left_out = 0;
        let mut is_kept = true;
        let mut at = line_end + 2;
        loop {
            let rest = data.get(at..).unwrap_or_default();
            let end = memmem::find(rest, b"\r\n").ok_or(Trouble::Incomplete)?;
            let (header, _) = rest.split_at(end);
            at += end + 2;
            if header.is_empty() {
                break;
            }
            if let (Some(b' ' | b'\t'), Some((_, value))) = (header.first(), headers.last_mut()) {
                // The line before goes on.
                if is_kept {
                    value.push(b' ');
                    value.extend_from_slice(header.trim_ascii());
                }
                continue;
            }
            let colon = memchr::memchr(b':', header).ok_or(Trouble::Invalid)?;
            let (name, value) = header.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let name = full_name(name.trim_ascii());
            // Where the message ends must be known.
            is_kept = headers.len() < MOST_HEADERS || name == b"content-length";
            if is_kept {
                headers.push((name, value.to_vec()));
            } else {
                left_out += 1;
            }
        }
        let rest = data.get(at..).unwrap_or_default();
        let length = headers.iter().find(|(name, _)| name == b"content-length");
        let length: Option<usize> =
            length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        // A datagram ends with its body, whatever length it says.
        let body = match length {
            _ if datagram => rest,
            Some(length) => {
                let whole = at.saturating_add(length);
                rest.get(..length).ok_or(Trouble::Needs(whole))?
            }
            None => &[],
        };
        let len = if datagram {
            data.len()
        } else {
            at + body.len()
        };
        Ok(Self {
            line,
            start,
            headers,
            body,
            len,
            left_out,
        })
    }

    /// The values of a header.
    pub(super) fn values<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let of_name = self.headers.iter().filter(move |(of, _)| of == name);
        of_name.map(|(_, value)| value.as_slice())
    }
}

fn start(line: &[u8], request: bool) -> Option<Start> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let is_version = |part: &[u8]| {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
        !part.is_empty() && part.iter().all(fits)
    };
    if request {
        let is_method = !first.is_empty() && first.iter().all(u8::is_ascii_alphabetic);
        (is_method && !second.is_empty() && is_version(third)).then(|| Start::Request {
            method: first.to_vec(),
            uri: second.to_vec(),
            version: third.to_vec(),
        })
    } else {
        let is_code = second.len() == 3 && second.iter().all(u8::is_ascii_digit);
        (is_version(first) && is_code).then(|| Start::Response {
            version: first.to_vec(),
            code: second.to_vec(),
            reason: third.to_vec(),
        })
    }
}

/// Small letters; short forms (RFC 3261, section 7.3.3) in full.
fn full_name(name: &[u8]) -> Vec<u8> {
    let full: &[u8] = match name.to_ascii_lowercase().as_slice() {
        b"c" => b"content-type",
        b"e" => b"content-encoding",
        b"f" => b"from",
        b"i" => b"call-id",
        b"k" => b"supported",
        b"l" => b"content-length",
        b"m" => b"contact",
        b"s" => b"subject",
        b"t" => b"to",
        b"v" => b"via",
        _ => return name.to_ascii_lowercase(),
    };
    full.to_vec()
}
