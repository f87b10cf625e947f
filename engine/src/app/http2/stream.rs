//! A stream: a request and its answer. What is known of it, and when rules look at that.

use super::frame::{self, END_HEADERS, END_STREAM, Said};
use super::hpack::{Field, Kind};
use super::unpack::Unpack;
use super::{DNS_MESSAGE, buffers};
use crate::app::{AppBuffer, AppField, FILE_LIMIT, FileState, Output, TxId, Way, dns, http, level};

/// Most headers of a direction that are kept.
const MOST_FIELDS: usize = 4096;
/// Most bytes of them.
const MOST_TEXT: usize = 256 * 1024;
/// Most settings, priorities and errors of a direction that records show.
const MOST_SHOWN: usize = 256;
/// Longest message of DNS.
const MOST_DNS: usize = 65_535;

/// How far a stream has come, in Suricata's order: rules look at requests from [`State::DataClient`] on, at answers from
/// [`State::DataServer`] on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Open,
    /// Promised by the server.
    Reserved,
    DataClient,
    HalfClosedClient,
    DataServer,
    HalfClosedServer,
    Closed,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) fields: Vec<Field>,
    text: usize,
    /// Its headers go on in the next frame.
    waits: bool,
    /// Headers were put.
    put: bool,
    over: bool,
    unpack: Unpack,
    file: Option<usize>,
    full: bool,
    /// Its body is a message of DNS.
    dns: Option<Vec<u8>>,
    pub(super) settings: Vec<(u16, u32)>,
    pub(super) priorities: Vec<u8>,
    /// Codes of errors, of `GOAWAY` where that is true.
    pub(super) errors: Vec<(u32, bool)>,
}

impl Side {
    /// All values of a header, one after the other. Values that only repeat a name of the table are left out, as in
    /// Suricata.
    pub(super) fn value(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut fields = self.fields.iter().filter(|field| *field.name == *name);
        let mut all = fields.next()?.value.to_vec();
        for field in fields {
            if !field.is_shared() && all.len() + field.value.len() < MOST_TEXT {
                all.extend_from_slice(b", ");
                all.extend_from_slice(&field.value);
            }
        }
        Some(all)
    }

    /// The first value of a header.
    pub(super) fn first(&self, name: &[u8]) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let field = fields.find(|field| *field.name == *name)?;
        Some(&field.value)
    }
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) tx: TxId,
    pub(super) state: State,
    /// A stream that was promised on this one, until its headers end.
    pub(super) child: u32,
    pub(super) sides: [Side; 2],
    pub(super) logged: bool,
    /// The connection holds so much that no more is kept.
    pub(super) full: bool,
    /// What was asked and answered about names.
    pub(super) dns: [Option<serde_json::Value>; 2],
}

impl Stream {
    pub(super) fn new(id: u32, tx: TxId) -> Self {
        Self {
            id,
            tx,
            state: State::Open,
            child: 0,
            sides: Default::default(),
            logged: false,
            full: false,
            dns: [None, None],
        }
    }

    /// What a frame says, and its type and flags.
    pub(super) fn take(&mut self, way: Way, kind: u8, flags: u8, said: Said, out: &mut Output) {
        let number = |field, number, out: &mut Output| out.number(self.tx, way, field, number);
        number(AppField::Http2FrameType, kind.into(), out);
        let side = &mut self.sides[way as usize];
        if let frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION = kind {
            side.waits = flags & END_HEADERS == 0;
        }
        let (mut head, mut fields) = (false, Vec::new());
        match said {
            Said::Headers(of_frame, priority) => {
                if let Some(weight) = priority {
                    number(AppField::Http2Priority, weight.into(), out);
                    if side.priorities.len() < MOST_SHOWN {
                        side.priorities.push(weight);
                    }
                }
                if way == Way::ToClient {
                    self.child = 0;
                }
                (head, fields) = (true, of_frame);
            }
            Said::Promise(child, of_frame, ended) => {
                if way == Way::ToClient {
                    if !ended {
                        self.child = child;
                    }
                    self.state = State::Reserved;
                }
                fields = of_frame;
            }
            Said::Continuation(of_frame, ended) => {
                if way == Way::ToClient && ended {
                    self.child = 0;
                }
                fields = of_frame;
            }
            Said::Reset(code) => {
                self.child = 0;
                number(AppField::Http2ErrorCode, code.into(), out);
                side.errors.push((code, false));
                side.errors.truncate(MOST_SHOWN);
            }
            Said::Goaway(code) => {
                number(AppField::Http2ErrorCode, code.into(), out);
                side.errors.push((code, true));
                side.errors.truncate(MOST_SHOWN);
            }
            Said::Priority(weight) => {
                number(AppField::Http2Priority, weight.into(), out);
                side.priorities.push(weight);
                side.priorities.truncate(MOST_SHOWN);
            }
            Said::Window(increment) => number(AppField::Http2Window, increment.into(), out),
            Said::Settings(settings) => {
                for (id, value) in settings {
                    let both = u64::from(id) << 32 | u64::from(value);
                    number(AppField::Http2Setting, both, out);
                    side.settings.push((id, value));
                }
                side.settings.truncate(MOST_SHOWN);
            }
            Said::Data | Said::Nothing => {}
        }
        if !fields.is_empty() {
            self.headers(way, fields, out);
        }
        if head || kind == frame::DATA {
            self.advance(way, head, flags);
        }
    }

    /// A direction ends, or its body goes on.
    fn advance(&mut self, way: Way, head: bool, flags: u8) {
        let to_client = way == Way::ToClient;
        if flags & END_STREAM != 0 {
            self.sides[way as usize].over = true;
            self.state = match self.state {
                State::HalfClosedClient | State::DataServer if to_client => State::Closed,
                State::HalfClosedServer if !to_client => State::Closed,
                State::HalfClosedClient
                | State::DataServer
                | State::HalfClosedServer
                | State::Closed => self.state,
                _ if to_client => State::HalfClosedServer,
                _ => State::HalfClosedClient,
            };
        } else if !head {
            let data = if to_client {
                State::DataServer
            } else {
                State::DataClient
            };
            self.state = self.state.max(data);
        }
    }

    /// Headers came.
    pub(super) fn headers(&mut self, way: Way, fields: Vec<Field>, out: &mut Output) {
        let (mut authority, mut host, mut path, mut wants_dns) = (None, None, None, false);
        let side = &mut self.sides[way as usize];
        for field in &fields {
            let value = &field.value;
            match &*field.name {
                b"content-encoding" if self.full => side.unpack.set(b""),
                b"content-encoding" => side.unpack.set(value),
                b":authority" => authority = Some(value),
                b"host" => host = Some(value),
                b":path" => path = Some(value),
                b"accept" => wants_dns |= **value == *DNS_MESSAGE,
                b"content-type" if **value == *DNS_MESSAGE => {
                    side.dns.get_or_insert_default();
                }
                _ => {}
            }
            if let Kind::Size(size) = field.kind {
                out.number(self.tx, way, AppField::Http2SizeUpdate, size);
            }
        }
        if let Some(authority) = authority {
            if authority.contains(&b'@') {
                out.event(self.tx, "http2.userinfo_in_uri");
            }
            if host.is_some_and(|host| !host.eq_ignore_ascii_case(authority)) {
                out.event(self.tx, "http2.authority_host_mismatch");
            }
        }
        let question = path
            .filter(|_| wants_dns && way == Way::ToServer)
            .and_then(|path| super::base64::question(path));
        for field in fields {
            let size = field.name.len() + field.value.len();
            let side = &mut self.sides[way as usize];
            let room = side.fields.len() < MOST_FIELDS && side.text + size <= MOST_TEXT;
            if room && !self.full {
                side.text += size;
                side.fields.push(field);
            } else {
                out.drop_some();
            }
        }
        if let Some(question) = question {
            self.carried(way, &question, out);
        }
    }

    /// A message of DNS.
    fn carried(&mut self, way: Way, message: &[u8], out: &mut Output) {
        if let Some(object) = dns::put_carried(self.tx, way, message, out) {
            out.rename(crate::app::AppProto::Doh2);
            self.dns[way as usize] = Some(object);
        }
    }

    /// A part of a body; false where it could not be unpacked.
    pub(super) fn body(&mut self, way: Way, data: &[u8], over: bool, out: &mut Output) -> bool {
        let side = &mut self.sides[way as usize];
        let Some(plain) = side.unpack.frame(data) else {
            return false;
        };
        if let Some(message) = &mut side.dns {
            if message.len() + plain.len() <= MOST_DNS {
                message.extend_from_slice(&plain);
            } else {
                side.dns = None;
                let event = match way {
                    Way::ToServer => "http2.dns_request_too_long",
                    Way::ToClient => "http2.dns_response_too_long",
                };
                out.event(self.tx, event);
            }
        }
        if !plain.is_empty() {
            if side.file.is_none() {
                let range = side
                    .value(b"content-range")
                    .filter(|_| way == Way::ToClient);
                if range.is_some_and(|range| http::bad_range(&range)) {
                    out.event(self.tx, "http2.invalid_range");
                }
                self.sides[way as usize].file = Some(out.open_file(self.tx, way, b""));
            }
            if let Some(file) = self.sides[way as usize].file {
                out.file_data(self.tx, file, &plain);
                if out.file_kept(self.tx, file) >= FILE_LIMIT {
                    self.fill(way, file, out);
                }
            }
        }
        if over {
            self.close(way, FileState::Closed, out);
            if let Some(message) = self.sides[way as usize].dns.take() {
                self.carried(way, &message, out);
            }
        }
        true
    }

    /// Rules see what there is of a body.
    fn fill(&mut self, way: Way, file: usize, out: &mut Output) {
        let side = &mut self.sides[way as usize];
        if !std::mem::replace(&mut side.full, true) {
            let buffer = match way {
                Way::ToServer => AppBuffer::HttpRequestBody,
                Way::ToClient => AppBuffer::HttpResponseBody,
            };
            let of_tx = out.get(self.tx).and_then(|tx| tx.files().get(file));
            let data = of_tx.map(|file| file.data().to_vec()).unwrap_or_default();
            out.put(self.tx, way, buffer, &data);
            out.fill_file(self.tx, file);
        }
    }

    /// A body is over.
    fn close(&mut self, way: Way, state: FileState, out: &mut Output) {
        if let Some(file) = self.sides[way as usize].file {
            self.fill(way, file, out);
            out.close_file(self.tx, file, state);
        }
    }

    /// Lets rules look at what is known by now.
    pub(super) fn look(&mut self, out: &mut Output) {
        let state = self.state;
        for (way, from) in [
            (Way::ToServer, State::DataClient),
            (Way::ToClient, State::DataServer),
        ] {
            let side = &mut self.sides[way as usize];
            if side.waits && state != State::Closed {
                continue;
            }
            if state >= from && !std::mem::replace(&mut side.put, true) {
                buffers::head(self.tx, way, &self.sides[way as usize], out);
                out.reach(self.tx, way, level::HEAD);
            }
            let side = &self.sides[way as usize];
            if side.full && state >= from {
                out.reach(self.tx, way, level::BODY);
            }
            if state == State::Closed || (side.over && state >= from) {
                self.close(way, FileState::Truncated, out);
                out.reach(self.tx, way, level::DONE);
            }
        }
        if state == State::Closed {
            self.log(out);
        }
    }

    /// The connection ends: what is known is all.
    pub(super) fn end(&mut self, out: &mut Output) {
        for way in Way::ALL {
            self.close(way, FileState::Truncated, out);
        }
        self.look(out);
        out.finish(self.tx);
        self.log(out);
    }

    fn log(&mut self, out: &mut Output) {
        if std::mem::replace(&mut self.logged, true) || !out.logs() {
            return;
        }
        let Some(object) = super::log::object(self) else {
            return;
        };
        for way in Way::ALL {
            if let Some(dns) = self.dns[way as usize].clone() {
                out.log_with(way, "dns", dns, Some(("http", object.clone())));
            }
        }
        out.log(Way::ToServer, "http", object);
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let sides = self.sides.iter().map(|side| {
            side.text
                + side.fields.capacity() * size_of::<Field>()
                + side.unpack.memory()
                + side.dns.as_ref().map_or(0, Vec::capacity)
                + side.settings.capacity() * 8
                + side.errors.capacity() * 8
                + side.priorities.capacity()
        });
        let dns = self.dns.iter().flatten().count() * 2048;
        sides.sum::<usize>() + size_of::<Self>() + dns
    }
}
