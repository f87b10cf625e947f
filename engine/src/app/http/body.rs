//! Bodies: what is kept of them, and the files in them.

use suricata_htp::request::HtpMethod;

use super::events;
use super::htp::Tx;
use super::multipart::{Multipart, Part, parameter};
use crate::app::{AppBuffer, FILE_LIMIT, FileState, Output, TxId, Way};

/// Longest file name in bytes; a longer one is cut.
const MOST_NAME: usize = 4096;
/// Most files of a transaction.
const MOST_FILES: usize = 256;

/// What carries files in a body.
#[derive(Debug, Default)]
enum Kind {
    /// Not known before the first byte.
    #[default]
    Unknown,
    /// None is.
    Nothing,
    /// The body is the file.
    Whole,
    /// A form.
    Form(Box<Multipart>),
}

/// A body of one direction.
#[derive(Debug, Default)]
pub(super) struct Body {
    kind: Kind,
    /// What rules look at, until it is put.
    kept: Vec<u8>,
    /// Bytes so far.
    seen: u64,
    put: bool,
    file: Option<usize>,
    files: usize,
}

impl Body {
    /// More of a body.
    pub(super) fn data(&mut self, id: TxId, way: Way, tx: Tx<'_>, data: &[u8], out: &mut Output) {
        if matches!(self.kind, Kind::Unknown) {
            self.kind = kind(way, tx);
        }
        self.keep(way, data, out);
        match &mut self.kind {
            Kind::Whole => {
                // What comes before a status line is no file.
                if way == Way::ToServer || tx.response_line().is_some() || tx.is_0_9() {
                    self.whole(id, way, tx, data, out);
                }
            }
            Kind::Form(form) => {
                let (file, files) = (&mut self.file, &mut self.files);
                form.data(data, &mut |part| form_part(id, part, file, files, out));
            }
            Kind::Unknown | Kind::Nothing => {}
        }
        self.seen += data.len() as u64;
        if self.seen >= FILE_LIMIT as u64 && !self.put {
            // Rules do not wait for the rest, which they would not see.
            self.put(id, way, out);
            if let Some(file) = self.file {
                out.fill_file(id, file);
            }
        }
    }

    fn keep(&mut self, way: Way, data: &[u8], out: &Output) {
        if !self.put && out.wants(buffer(way)) {
            let room = FILE_LIMIT.saturating_sub(self.kept.len()).min(data.len());
            self.kept
                .extend_from_slice(data.get(..room).unwrap_or_default());
        }
    }

    fn put(&mut self, id: TxId, way: Way, out: &mut Output) {
        if !std::mem::replace(&mut self.put, true) && self.seen > 0 {
            let kept = std::mem::take(&mut self.kept);
            out.put(id, way, buffer(way), &kept);
        }
    }

    /// Rules have all of it that they are to see.
    pub(super) fn is_full(&self) -> bool {
        self.put
    }

    /// Some of it is missing.
    pub(super) fn gap(&mut self, id: TxId, out: &mut Output) {
        if let Some(file) = self.file {
            out.file_gap(id, file);
        }
    }

    /// It is over.
    pub(super) fn end(&mut self, id: TxId, way: Way, broken: bool, out: &mut Output) {
        self.put(id, way, out);
        let mut state = if broken {
            FileState::Truncated
        } else {
            FileState::Closed
        };
        if let Kind::Form(form) = &mut self.kind {
            let (file, files) = (&mut self.file, &mut self.files);
            form.end(&mut |part| form_part(id, part, file, files, out));
            // The form did not end.
            state = FileState::Truncated;
        }
        if let Some(file) = self.file.take() {
            out.close_file(id, file, state);
        }
        self.kind = Kind::Nothing;
    }

    /// A file whose name is in a header or is the path.
    fn whole(&mut self, id: TxId, way: Way, tx: Tx<'_>, data: &[u8], out: &mut Output) {
        if self.file.is_none() && self.files == 0 {
            let disposition = match way {
                Way::ToServer => None,
                Way::ToClient => tx
                    .header(way, c"content-disposition")
                    .and_then(|header| parameter(header, "filename")),
            };
            let name = disposition.as_deref().or_else(|| tx.path());
            if let Some(name) = name {
                self.file = Some(open(id, way, name, out));
                self.files = 1;
            }
        }
        if let Some(file) = self.file {
            out.file_data(id, file, data);
        }
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let form = match &self.kind {
            Kind::Form(form) => form.memory(),
            _ => 0,
        };
        self.kept.capacity() + form
    }
}

fn buffer(way: Way) -> AppBuffer {
    match way {
        Way::ToServer => AppBuffer::HttpRequestBody,
        Way::ToClient => AppBuffer::HttpResponseBody,
    }
}

fn kind(way: Way, tx: Tx<'_>) -> Kind {
    if way == Way::ToClient {
        return Kind::Whole;
    }
    match tx.method_number() {
        HtpMethod::POST => {
            let form = tx.header(way, c"content-type").and_then(Multipart::new);
            form.map_or(Kind::Whole, |form| Kind::Form(Box::new(form)))
        }
        HtpMethod::PUT => Kind::Whole,
        _ => Kind::Nothing,
    }
}

fn open(id: TxId, way: Way, name: &[u8], out: &mut Output) -> usize {
    if name.len() > MOST_NAME {
        out.event(id, events::FILE_NAME_TOO_LONG);
    }
    let name = name.get(..MOST_NAME).unwrap_or(name);
    out.open_file(id, way, name)
}

fn form_part(
    id: TxId,
    part: Part<'_>,
    file: &mut Option<usize>,
    files: &mut usize,
    out: &mut Output,
) {
    match part {
        Part::Open(name) => {
            if let Some(before) = file.take() {
                out.close_file(id, before, FileState::Closed);
            }
            if *files < MOST_FILES {
                *files += 1;
                *file = Some(open(id, Way::ToServer, name, out));
            } else {
                out.drop_some();
            }
        }
        Part::Data(data) => {
            if let Some(file) = *file {
                out.file_data(id, file, data);
            }
        }
        Part::Close | Part::Empty => {
            if part == Part::Empty {
                out.event(id, events::MULTIPART_NO_FILEDATA);
            }
            if let Some(file) = file.take() {
                out.close_file(id, file, FileState::Closed);
            }
        }
        Part::BadHeader => out.event(id, events::MULTIPART_INVALID_HEADER),
    }
}
