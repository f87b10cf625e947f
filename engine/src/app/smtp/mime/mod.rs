//! A mail as it comes: headers, parts, attachments (RFC 5322, RFC 2045, RFC 2046).
//!
//! Parts with a file name are files. Headers of parts in parts count, too, and those of mails in mails.

mod shown;

use md5::{Digest, Md5};

use super::decode::{Base64, Quoted};
use super::header;
use super::url::Urls;
use crate::app::lines::Line;
use crate::app::{AppBuffer, FileState, Output, TxId, Way, level};

/// Most bytes of headers of the mail or of a part that are kept, and most headers. The first ones of [`THAT_MATTER`] are
/// kept in any case, so that others do not hide what follows.
const HEADER_BYTES: usize = 128 * 1024;
const MOST_HEADERS: usize = 512;

/// Headers that say how a part is written, and those that rules ask for by name.
const THAT_MATTER: &[&str] = &[
    "content-type",
    "content-disposition",
    "content-transfer-encoding",
    "from",
    "subject",
    "to",
    "cc",
    "date",
    "message-id",
    "x-mailer",
];

/// How deep parts may lie in parts; deeper ones are text of the one around them.
const MOST_BOUNDARIES: usize = 32;

/// Most attachments of a mail; further ones are not looked into.
const MOST_FILES: usize = 128;

/// How deep mails may lie in files of mails.
const DEEPEST: u8 = 4;

/// Longer ones are told by events; lengths as in RFC 2045 and, for values, as Suricata's default.
const LONG_LINE: usize = 998;
const LONG_ENCODED_LINE: usize = 76;
const LONG_NAME: usize = 75;
const LONG_VALUE: usize = 2000;
const LONG_BOUNDARY: usize = 254;

/// The longest file name (what is longer is cut).
const FILE_NAME: usize = 255;

/// How a part is written.
#[derive(Debug)]
enum Encoding {
    Plain,
    Base64(Base64),
    Quoted(Quoted),
}

/// A mail.
#[derive(Debug)]
pub(super) struct Mime {
    body: bool,
    /// Those of the mail, then those of the part at hand.
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of the mail's, and of the part's.
    held: [usize; 2],
    /// The header at hand is left out.
    left_out: bool,
    /// How many headers are the mail's own, once they are complete.
    main: Option<usize>,
    boundaries: Vec<Vec<u8>>,
    encoding: Encoding,
    /// Text is searched for links.
    text: bool,
    /// The part has a file name; the file that is open.
    named: bool,
    file: Option<usize>,
    /// The end of the last line of a file: it belongs to the boundary where one follows.
    ending: u8,
    /// Length of the line so far.
    length: usize,
    attachments: Vec<Vec<u8>>,
    urls: Urls,
    md5: Option<Md5>,
    /// How many mails this one lies in, and a mail that lies in the file at hand.
    depth: u8,
    inner: Option<Box<Mime>>,
}

impl Mime {
    /// A mail that begins.
    pub fn new(out: &Output) -> Self {
        Self {
            body: false,
            headers: Vec::new(),
            held: [0; 2],
            left_out: false,
            main: None,
            boundaries: Vec::new(),
            encoding: Encoding::Plain,
            text: true,
            named: false,
            file: None,
            ending: 0,
            length: 0,
            attachments: Vec::new(),
            urls: Urls::default(),
            md5: out.wants(AppBuffer::EmailBodyMd5).then(Md5::new),
            depth: 0,
            inner: None,
        }
    }

    /// A mail that lies in a file of this one: only its attachments are looked for.
    fn embedded(&self, out: &Output) -> Self {
        let mut inner = Self::new(out);
        inner.md5 = None;
        inner.depth = self.depth + 1;
        inner
    }

    /// True while lines are headers.
    pub fn in_headers(&self) -> bool {
        !self.body
    }

    /// True before the first line.
    pub fn is_untouched(&self) -> bool {
        self.length == 0 && self.headers.is_empty() && !self.body
    }

    /// The next line, or piece of one.
    pub fn line(&mut self, tx: TxId, line: &Line<'_>, out: &mut Output) {
        if line.begins {
            self.length = 0;
        }
        self.length += line.bytes.len();
        if line.ending > 0 && self.length > LONG_LINE {
            out.event(tx, "smtp.mime_long_line");
        }
        if self.main.is_some()
            && let Some(md5) = &mut self.md5
        {
            md5.update(&line.bytes);
            md5.update(super::ending(line.ending));
        }
        if self.body {
            self.body_line(tx, line, out);
        } else {
            self.header_line(tx, line, out);
        }
    }

    fn header_line(&mut self, tx: TxId, line: &Line<'_>, out: &mut Output) {
        if line.begins && line.bytes.is_empty() {
            self.headers_end(tx, out);
            return;
        }
        let first = self.main.unwrap_or(0);
        let section = self.headers.get(first..).unwrap_or_default();
        let held = &mut self.held[usize::from(self.main.is_some())];
        let matters = |name: &[u8]| {
            let is_it = |of: &&str| name.eq_ignore_ascii_case(of.as_bytes());
            THAT_MATTER.iter().any(is_it)
        };
        let goes_on = match line.bytes.first() {
            _ if !line.begins => Some(&line.bytes[..]),
            Some(b' ' | b'\t') => line.bytes.get(1..),
            _ => None,
        };
        if let Some(more) = goes_on {
            let Some((name, value)) = self.headers.get_mut(first..).and_then(<[_]>::last_mut)
            else {
                return;
            };
            let most = if matters(name) { 2 } else { 1 } * HEADER_BYTES;
            if !self.left_out && *held + more.len() <= most {
                value.extend_from_slice(more);
                *held += more.len();
            } else {
                out.event(tx, "smtp.mime_long_header_value");
                out.dropped += 1;
            }
        } else if let Some((name, value)) = header::split(&line.bytes) {
            let fits = *held + line.bytes.len() <= HEADER_BYTES;
            let known = |of: &(Vec<u8>, Vec<u8>)| of.0.eq_ignore_ascii_case(name);
            let kept =
                fits && section.len() < MOST_HEADERS || matters(name) && !section.iter().any(known);
            self.left_out = !kept;
            if !fits {
                out.event(tx, "smtp.mime_long_header_value");
            }
            if !kept {
                out.dropped += 1;
                return;
            }
            if name.len() > LONG_NAME {
                out.event(tx, "smtp.mime_long_header_name");
            }
            if value.len() > LONG_VALUE {
                out.event(tx, "smtp.mime_long_header_value");
            }
            *held += line.bytes.len();
            self.headers.push((name.to_vec(), value.to_vec()));
        }
    }

    /// An empty line: the body of the mail or of a part begins.
    fn headers_end(&mut self, tx: TxId, out: &mut Output) {
        let first = self.main.unwrap_or(0);
        let part = self.headers.get(first..).unwrap_or_default();
        let value = |name: &str| {
            let of = part
                .iter()
                .find(|of| of.0.eq_ignore_ascii_case(name.as_bytes()));
            of.map(|(_, value)| &value[..])
        };
        let disposition = value("content-disposition");
        let kind = value("content-type");
        let mut name = disposition.and_then(|of| header::find(of, "filename"));
        if name.as_ref().is_none_or(|name| name.is_empty()) {
            name = kind.and_then(|of| header::find(of, "name"));
        }
        let name = name.map(|name| name.into_owned()).unwrap_or_default();
        let boundary = kind.and_then(|of| header::find(of, "boundary"));
        let mut boundary = boundary.map(|of| of.into_owned());
        let plain_kind = kind.map(|of| {
            let end = memchr::memchr(b';', of).unwrap_or(of.len());
            header::trim(of.get(..end).unwrap_or_default())
        });
        let is = |what: &str| plain_kind.is_some_and(|of| of.eq_ignore_ascii_case(what.as_bytes()));
        self.text = plain_kind.is_none() || is("text/plain") || is("text/html");
        let within = is("message/rfc822");
        let encoding = value("content-transfer-encoding").map(header::trim);
        self.encoding = match encoding {
            Some(of) if of.eq_ignore_ascii_case(b"base64") => Encoding::Base64(Base64::default()),
            Some(of) if of.eq_ignore_ascii_case(b"quoted-printable") => {
                Encoding::Quoted(Quoted::default())
            }
            _ => Encoding::Plain,
        };
        if let Some(boundary) = &mut boundary
            && boundary.len() > LONG_BOUNDARY
        {
            out.event(tx, "smtp.mime_long_boundary");
            boundary.truncate(LONG_LINE);
        }
        if let Some(boundary) = boundary
            && self.boundaries.len() < MOST_BOUNDARIES
        {
            self.boundaries.push([b"--", &boundary[..]].concat());
        }
        let main = self.main.is_none();
        if main {
            self.main = Some(self.headers.len());
            if self.depth == 0 {
                self.put_headers(tx, out);
                out.reach(tx, Way::ToServer, level::HEAD);
            }
        }
        self.body = true;
        self.named = !name.is_empty();
        self.ending = 0;
        if self.named {
            self.open(tx, name, out);
            let deeper = within && self.depth < DEEPEST && matches!(self.encoding, Encoding::Plain);
            self.inner = deeper.then(|| Box::new(self.embedded(out)));
        } else if within && matches!(self.encoding, Encoding::Plain) {
            // A mail in the mail: its headers are those of a part.
            self.next_part();
        }
    }

    /// Headers follow.
    fn next_part(&mut self) {
        self.body = false;
        self.headers.truncate(self.main.unwrap_or(0));
        self.held[1] = 0;
        self.left_out = false;
        self.encoding = Encoding::Plain;
        self.named = false;
    }

    fn open(&mut self, tx: TxId, mut name: Vec<u8>, out: &mut Output) {
        if name.len() > FILE_NAME {
            out.event(tx, "smtp.mime_long_filename");
            name.truncate(FILE_NAME);
        }
        if self.attachments.len() < MOST_FILES {
            self.file = Some(out.open_file(tx, Way::ToServer, &name));
            self.attachments.push(name);
        } else {
            out.dropped += 1;
        }
    }

    fn body_line(&mut self, tx: TxId, line: &Line<'_>, out: &mut Output) {
        if line.begins && line.bytes.starts_with(b"--") {
            let of = |boundary: &Vec<u8>| line.bytes.starts_with(boundary);
            if let Some(at) = self.boundaries.iter().rposition(of) {
                let length = self.boundaries.get(at).map_or(0, Vec::len);
                let closes = line
                    .bytes
                    .get(length..)
                    .is_some_and(|rest| rest.starts_with(b"--"));
                // The outermost stays: Suricata goes on with parts after it was closed.
                self.boundaries
                    .truncate(if closes && at > 0 { at } else { at + 1 });
                self.part_ends(tx, FileState::Closed, out);
                self.next_part();
                return;
            }
        }
        if !self.named && !self.text {
            return;
        }
        // What holds this mail has looked for links.
        let looks_for_urls = self.depth == 0 && (out.logs() || out.wants(AppBuffer::EmailUrl));
        if !self.named {
            if let (Encoding::Base64(decoder), true) = (&mut self.encoding, looks_for_urls) {
                let mut decoded = Vec::new();
                decoder.decode(&line.bytes, &mut decoded);
                self.urls.text(&decoded);
            } else if looks_for_urls {
                // Suricata looks at quoted text as it is written.
                self.urls.text(&line.bytes);
                self.urls.text(super::ending(line.ending));
            }
            return;
        }
        if let Some(inner) = &mut self.inner {
            inner.line(tx, line, out);
        }
        let mut decoded = Vec::new();
        let valid = match &mut self.encoding {
            Encoding::Plain => {
                decoded.extend_from_slice(super::ending(self.ending));
                decoded.extend_from_slice(&line.bytes);
                self.ending = line.ending;
                Ok(())
            }
            Encoding::Base64(decoder) => {
                let valid = decoder.decode(&line.bytes, &mut decoded);
                valid.then_some(()).ok_or("smtp.mime_invalid_base64")
            }
            Encoding::Quoted(decoder) => {
                let valid = decoder.decode(&line.bytes, line.ending, &mut decoded);
                valid.then_some(()).ok_or("smtp.mime_invalid_qp")
            }
        };
        if let Err(event) = valid {
            out.event(tx, event);
        }
        if self.length > LONG_ENCODED_LINE && !matches!(self.encoding, Encoding::Plain) {
            out.event(tx, "smtp.mime_long_enc_line");
        }
        self.add(tx, &decoded, looks_for_urls, out);
    }

    fn add(&mut self, tx: TxId, decoded: &[u8], looks_for_urls: bool, out: &mut Output) {
        if looks_for_urls {
            self.urls.text(decoded);
        }
        if let Some(file) = self.file {
            out.file_data(tx, file, decoded);
        }
    }

    fn part_ends(&mut self, tx: TxId, state: FileState, out: &mut Output) {
        if let Encoding::Base64(decoder) = &mut self.encoding {
            let mut decoded = Vec::new();
            decoder.flush(&mut decoded);
            self.add(tx, &decoded, false, out);
        }
        self.urls.flush();
        if let Some(mut inner) = self.inner.take() {
            inner.part_ends(tx, state, out);
            let room = MOST_FILES.saturating_sub(self.attachments.len());
            out.dropped += inner.attachments.len().saturating_sub(room) as u64;
            self.attachments
                .extend(inner.attachments.into_iter().take(room));
        }
        if let Some(file) = self.file.take() {
            out.close_file(tx, file, state);
        }
    }

    /// Some of the mail is missing.
    pub fn gap(&mut self, tx: TxId, out: &mut Output) {
        if let Some(file) = self.file {
            out.file_gap(tx, file);
        }
        if let Some(inner) = &mut self.inner {
            inner.gap(tx, out);
        }
        self.md5 = None;
    }

    /// The mail is over: all of it was seen, or it broke off.
    pub fn complete(&mut self, tx: TxId, state: FileState, out: &mut Output) {
        self.part_ends(tx, state, out);
        let begun = self.main.is_some();
        if !begun {
            self.main = Some(self.headers.len());
            self.put_headers(tx, out);
        }
        out.dropped += self.urls.left_out();
        for url in self.urls.found() {
            out.put(tx, Way::ToServer, AppBuffer::EmailUrl, url);
        }
        if let Some(md5) = self
            .md5
            .take()
            .filter(|_| state == FileState::Closed && begun)
        {
            let hex: String = md5
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            out.put(tx, Way::ToServer, AppBuffer::EmailBodyMd5, hex.as_bytes());
        }
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let boundaries: usize = self.boundaries.iter().map(Vec::len).sum();
        let names: usize = self.attachments.iter().map(Vec::len).sum();
        let inner = self.inner.as_ref().map_or(0, |inner| inner.memory());
        let held = self.held.iter().sum::<usize>();
        let headers = held + self.headers.len() * size_of::<(Vec<u8>, Vec<u8>)>();
        headers + boundaries + names + self.urls.memory() + inner + size_of::<Self>()
    }
}
