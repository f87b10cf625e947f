//! Forms in parts (RFC 7578, RFC 2046): files that requests upload.

use memchr::memmem;

/// Longest boundary in bytes; a longer one is none.
const MOST_BOUNDARY: usize = 255;
/// A header line of a part has fewer bytes; a longer one is passed over.
const MOST_LINE: usize = 4096;

/// The value of a parameter of a header like `form-data; name="a"; filename="b"`, also where it comes in sections
/// (`filename*0`, RFC 2231), as it is written: with its backslashes.
pub(super) fn parameter(header: &[u8], wanted: &str) -> Option<Vec<u8>> {
    let start = memchr::memchr(b';', header)? + 1;
    let mut plain = None;
    let mut sections: Vec<(&[u8], &[u8])> = Vec::new();
    let mut rest = header.get(start..).unwrap_or_default();
    while let Some((name, value, after)) = pair(rest) {
        if name == wanted.as_bytes() {
            // The last one counts.
            plain = Some(value);
        } else if let Some(section) = name
            .strip_prefix(wanted.as_bytes())
            .and_then(|section| section.strip_prefix(b"*"))
            && sections.len() < 64
        {
            sections.push((section, value));
        }
        rest = after;
    }
    if let Some(plain) = plain {
        return Some(plain.to_vec());
    }
    let mut whole = None::<Vec<u8>>;
    for number in 0.. {
        let number = number.to_string();
        let is_it = |(section, _): &&(&[u8], &[u8])| *section == number.as_bytes();
        let Some((_, value)) = sections.iter().rfind(is_it) else {
            break;
        };
        whole.get_or_insert_default().extend_from_slice(value);
    }
    whole
}

fn unescaped(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .copied()
        .filter(|&byte| byte != b'\\')
        .collect()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The first `name=value` and what follows it.
fn pair(header: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let header = skip_space(header);
    let equals = memchr::memchr(b'=', header)?;
    let (name, value) = (header.get(..equals)?, header.get(equals + 1..)?);
    let (value, rest) = match value.strip_prefix(b"\"").and_then(quoted) {
        Some(found) => found,
        None => {
            let end = memchr::memchr(b';', value).unwrap_or(value.len());
            let (value, rest) = value.split_at_checked(end)?;
            (value.trim_ascii_end(), rest)
        }
    };
    let rest = skip_space(rest);
    Some((name, value, rest.strip_prefix(b";").unwrap_or(rest)))
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|&&byte| is_space(byte)).count();
    bytes.get(spaces..).unwrap_or_default()
}

/// What is before a quote that ends it, and what is after; a quote after a backslash ends nothing, unless there is no
/// other.
fn quoted(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = value.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\';
        ends
    });
    let end = end.or_else(|| memchr::memchr(b'"', value))?;
    Some((value.get(..end)?, value.get(end + 1..)?))
}

/// What a form is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A file with this name begins.
    Open(&'a [u8]),
    /// More of the part, a file or not.
    Data(&'a [u8]),
    /// The part ends.
    Close,
    /// A file without content ended.
    Empty,
    /// A line that is no header.
    BadHeader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a line that may be a boundary.
    Start,
    /// In a line that does not matter.
    SkipLine,
    /// In the rest of a boundary's line.
    BoundaryLine,
    Header,
    HeaderEnd,
    Content,
}

/// Reads a form as it comes; keeps no more than a header line, or a boundary.
#[derive(Debug)]
pub(super) struct Multipart {
    /// With the line end and the hyphens before it.
    boundary: Vec<u8>,
    state: State,
    pending: Vec<u8>,
    /// The part at hand is a file.
    named: bool,
}

impl Multipart {
    /// For a form with this content type; `None` where it names no boundary.
    pub(super) fn new(content_type: &[u8]) -> Option<Self> {
        let boundary = parameter(content_type, "boundary")?;
        let fits = boundary.len() <= MOST_BOUNDARY;
        let boundary = unescaped(&boundary);
        fits.then(|| Self {
            boundary: [b"\r\n--", boundary.as_slice()].concat(),
            state: State::Start,
            pending: Vec::new(),
            named: false,
        })
    }

    /// The boundary at the start of a line.
    fn line(&self) -> &[u8] {
        self.boundary.get(2..).unwrap_or_default()
    }

    /// The next bytes.
    pub(super) fn data(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Part<'_>)) {
        let mut all = std::mem::take(&mut self.pending);
        let rest = if all.is_empty() {
            self.read(bytes, tell)
        } else {
            all.extend_from_slice(bytes);
            self.read(&all, tell)
        };
        self.pending = rest.to_vec();
    }

    /// Nothing more comes: what is left of the part.
    pub(super) fn end(&mut self, tell: &mut dyn FnMut(Part<'_>)) {
        let rest = std::mem::take(&mut self.pending);
        if self.state == State::Content && !rest.is_empty() {
            tell(Part::Data(&rest));
        }
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        self.pending.capacity() + self.boundary.capacity()
    }

    /// Reads as far as it can; gives back what is not enough to go on with.
    fn read<'a>(&mut self, mut input: &'a [u8], tell: &mut dyn FnMut(Part<'_>)) -> &'a [u8] {
        while !input.is_empty() {
            let Some(rest) = self.step(input, tell) else {
                break;
            };
            input = rest;
        }
        input
    }

    fn step<'a>(&mut self, input: &'a [u8], tell: &mut dyn FnMut(Part<'_>)) -> Option<&'a [u8]> {
        match self.state {
            State::Start => {
                if input.len() < self.line().len() && self.line().starts_with(input) {
                    return None;
                }
                self.state = State::SkipLine;
                if input.starts_with(self.line()) {
                    self.state = State::BoundaryLine;
                    self.named = false;
                }
                Some(input)
            }
            State::SkipLine | State::BoundaryLine => {
                let Some(end) = memchr::memchr(b'\n', input) else {
                    return Some(&[]);
                };
                self.state = if self.state == State::SkipLine {
                    State::Start
                } else {
                    State::Header
                };
                input.get(end + 1..)
            }
            State::Header => self.header(input, tell),
            State::HeaderEnd => {
                if input.len() < self.line().len() && self.line().starts_with(input) {
                    return None;
                }
                if input.starts_with(self.line()) {
                    tell(if self.named { Part::Empty } else { Part::Close });
                    self.state = State::Start;
                } else {
                    self.state = State::Content;
                }
                Some(input)
            }
            State::Content => self.content(input, tell),
        }
    }

    fn header<'a>(&mut self, input: &'a [u8], tell: &mut dyn FnMut(Part<'_>)) -> Option<&'a [u8]> {
        let end = memmem::find(input, b"\r\n");
        if end.unwrap_or(input.len().saturating_sub(1)) >= MOST_LINE {
            self.state = State::BoundaryLine;
            return Some(input);
        }
        let end = end?;
        let (line, rest) = (input.get(..end)?, input.get(end + 2..)?);
        if line.is_empty() || line == b"\r" {
            self.state = State::HeaderEnd;
            return Some(rest);
        }
        match memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) {
            None => tell(Part::BadHeader),
            Some((name, value)) => {
                let value = skip_space(value.get(1..).unwrap_or_default());
                if value.is_empty() {
                    tell(Part::BadHeader);
                }
                if name.eq_ignore_ascii_case(b"content-disposition")
                    && let Some(file) = parameter(value, "filename").filter(|name| !name.is_empty())
                {
                    self.named = true;
                    tell(Part::Open(&unescaped(&file)));
                }
            }
        }
        Some(rest)
    }

    fn content<'a>(&mut self, input: &'a [u8], tell: &mut dyn FnMut(Part<'_>)) -> Option<&'a [u8]> {
        if let Some(end) = memmem::find(input, &self.boundary) {
            if end > 0 {
                tell(Part::Data(input.get(..end)?));
            }
            tell(Part::Close);
            self.state = State::Start;
            return input.get(end + 2..);
        }
        // The boundary may have begun at the end.
        let from = input.len().saturating_sub(self.boundary.len() - 1);
        let tail = input.get(from..)?;
        let begun = memchr::memchr_iter(b'\r', tail).find(|&at| {
            tail.get(at..)
                .is_some_and(|tail| self.boundary.starts_with(tail))
        });
        let sure = begun.map_or(input.len(), |at| from + at);
        if sure > 0 {
            tell(Part::Data(input.get(..sure)?));
        }
        // The next call, on the rest alone, finds nothing to tell and waits.
        (sure > 0).then(|| input.get(sure..)).flatten()
    }
}
