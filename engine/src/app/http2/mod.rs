//! HTTP/2 (RFC 9113): streams as transactions, headers unpacked, bodies as files, and DNS that comes in them (RFC 8484).
//! A frame of the connection itself (stream 0) is a transaction of its own.
//!
//! Rules look at a request once its body begins or it ends, at an answer likewise, as in Suricata.
//!
//! Limits: frames up to 64 KiB are read whole, of longer ones the part that is there once it is known how long they are;
//! headers in several frames up to 100 KiB; tables of headers 64 KiB; of a stream 4096 headers or 256 KiB each way, of all streams 16 MiB;
//! bodies as files of HTTP/1. More than 4096 streams that do not end are told. The connection keeps as many
//! transactions as any.

mod base64;
mod buffers;
mod frame;
mod hpack;
mod huffman;
mod log;
mod read;
mod stream;
#[cfg(test)]
mod tests;
mod unpack;

use std::collections::HashMap;

use serde_json::Value;

use self::frame::{Header, Said};
use self::hpack::{Field, Table};
use self::stream::{State, Stream};
use super::bytes::Bytes;
use super::{AppProto, Output, Parser, TxId, Way};

/// Events of HTTP/2, by their names in rules.
pub const EVENTS: &[&str] = &[
    "http2.invalid_frame_header",
    "http2.invalid_client_magic",
    "http2.invalid_frame_data",
    "http2.invalid_header",
    "http2.invalid_frame_length",
    "http2.extra_header_data",
    "http2.long_frame_data",
    "http2.stream_id_reuse",
    "http2.invalid_http1_settings",
    "http2.failed_decompression",
    "http2.invalid_range",
    "http2.header_integer_overflow",
    "http2.too_many_streams",
    "http2.authority_host_mismatch",
    "http2.userinfo_in_uri",
    "http2.reassembly_limit_reached",
    "http2.dns_request_too_long",
    "http2.dns_response_too_long",
    "http2.data_stream_zero",
    "http2.too_many_frames",
];

const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DNS_MESSAGE: &[u8] = b"application/dns-message";
/// Frames of this length and more are not read whole.
const LONG_FRAME: usize = 65_536;
/// So much of a long frame is waited for.
const ENOUGH: usize = 256;
/// Once streams hold so many bytes, no more of their headers are kept, and new bodies are not unpacked.
const MOST_HELD: usize = 16 << 20;
/// Most streams that do not end, before that is told.
const MOST_STREAMS: usize = 4096;

/// Headers that go on in the next frame.
#[derive(Debug)]
struct Block {
    stream: u32,
    bytes: Vec<u8>,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    pending: Vec<u8>,
    /// So much of a long frame's end is passed over.
    skip: usize,
    table: Table,
    block: Option<Block>,
}

/// Reads HTTP/2.
#[derive(Debug, Default)]
pub struct Http2 {
    sides: [Side; 2],
    magic: bool,
    /// In the order in which they began.
    streams: Vec<Stream>,
    /// The place of each, by its number; the newest counts.
    places: HashMap<u32, usize>,
    /// Streams that have begun and not ended.
    open: usize,
    /// The request of HTTP/1 that asked for HTTP/2.
    asked: Vec<Field>,
    full: bool,
    /// Nothing more can be read.
    over: bool,
}

impl Http2 {
    /// For a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// An event of the connection goes to the newest transaction.
    fn event(&self, event: &'static str, out: &mut Output) {
        let newest = out.begun().checked_sub(1);
        let newest = newest.filter(|&tx| out.get(tx).is_some());
        if let Some(tx) = newest.or_else(|| out.transactions().last().map(|tx| tx.id)) {
            out.event(tx, event);
        }
    }

    /// The frames at the front of what is there; how many bytes they have.
    fn frames(&mut self, way: Way, bytes: &[u8], out: &mut Output) -> usize {
        let mut rest = Bytes(bytes);
        loop {
            let used = bytes.len() - rest.len();
            let Some(header) = Header::read(&mut rest) else {
                return used;
            };
            let there = rest.len().min(header.len);
            let missing = header.len - there;
            if missing > 0 {
                if header.len < LONG_FRAME || there < ENOUGH {
                    return used;
                }
                self.event("http2.long_frame_data", out);
                self.sides[way as usize].skip = missing;
            }
            let payload = rest.take(there).unwrap_or_default();
            if header.len > 0 || header.kind != frame::SETTINGS {
                self.frame(way, header, payload, out);
            }
        }
    }

    fn frame(&mut self, way: Way, header: Header, payload: &[u8], out: &mut Output) {
        let said = self.read(way, header, payload, out);
        if header.stream == 0 {
            if header.kind == frame::DATA {
                self.event("http2.data_stream_zero", out);
            }
            // It concerns the connection, and is over.
            let mut global = Stream::new(0, out.begin());
            global.take(way, header.kind, 0, said, out);
            global.state = State::Closed;
            if let Some(object) = log::object(&global) {
                out.log(way, "http", object);
            }
            out.finish(global.tx);
            // For alerts.
            global.logged = true;
            self.streams.push(global);
            return;
        }
        let id = match &said {
            Said::Promise(promised, ..) => *promised,
            Said::Continuation(..) if way == Way::ToClient => self.continued(header.stream),
            _ => header.stream,
        };
        let at = self.find(id, header, out);
        let Some(stream) = self.streams.get_mut(at) else {
            return;
        };
        let was_closed = stream.state == State::Closed;
        stream.take(way, header.kind, header.flags, said, out);
        if header.kind == frame::DATA {
            let data = frame::unpadded(header, payload);
            let over = header.has(frame::END_STREAM);
            if !stream.body(way, data, over, out) {
                self.event("http2.failed_decompression", out);
            }
        }
        let closed = self.streams.get(at).map(|stream| stream.state);
        if closed == Some(State::Closed) && !was_closed {
            self.open = self.open.saturating_sub(1);
        }
    }

    /// The stream whose headers go on: one that was promised, perhaps.
    fn continued(&self, id: u32) -> u32 {
        match self.places.get(&id).and_then(|&at| self.streams.get(at)) {
            Some(stream) if stream.child != 0 => stream.child,
            _ => id,
        }
    }

    /// The place of a stream; it begins where it is not known.
    fn find(&mut self, id: u32, header: Header, out: &mut Output) -> usize {
        if let Some(&at) = self.places.get(&id) {
            let closed = self.streams.get(at).map(|stream| stream.state) == Some(State::Closed);
            let late = [frame::RST_STREAM, frame::WINDOW_UPDATE, frame::PRIORITY];
            if closed && !late.contains(&header.kind) {
                self.event("http2.stream_id_reuse", out);
            }
            return at;
        }
        if self.open > MOST_STREAMS {
            let oldest = out.transactions().next().map(|tx| tx.id);
            if let Some(oldest) = oldest {
                out.event(oldest, "http2.too_many_streams");
            }
        }
        self.open += 1;
        let mut stream = Stream::new(id, out.begin());
        stream.full = self.full;
        self.push(stream)
    }

    fn push(&mut self, stream: Stream) -> usize {
        let at = self.streams.len();
        self.places.insert(stream.id, at);
        self.streams.push(stream);
        at
    }

    /// Forgets the streams whose transactions are over and were looked at.
    fn forget(&mut self, out: &Output) {
        let before = self.streams.len();
        self.streams.retain(|stream| out.get(stream.tx).is_some());
        if self.streams.len() != before {
            self.places.clear();
            let streams = self.streams.iter().enumerate();
            self.places
                .extend(streams.map(|(at, stream)| (stream.id, at)));
        }
    }

    /// The request of HTTP/1 that asked for HTTP/2 is that of stream 1 (RFC 7540, 3.2).
    fn begin_asked(&mut self, out: &mut Output) {
        let fields = std::mem::take(&mut self.asked);
        if fields.is_empty() {
            return;
        }
        let (settings, fields): (Vec<_>, Vec<_>) = fields
            .into_iter()
            .partition(|field| field.name.eq_ignore_ascii_case(b"http2-settings"));
        let mut stream = Stream::new(1, out.begin());
        stream.headers(Way::ToServer, fields, out);
        stream.state = State::HalfClosedClient;
        self.open += 1;
        for field in settings {
            match base64::decode(&field.value).filter(|settings| settings.len() % 6 == 0) {
                Some(settings) => {
                    let said = Said::Settings(frame::settings(&settings));
                    let mut global = Stream::new(0, out.begin());
                    global.take(Way::ToServer, frame::SETTINGS, 0, said, out);
                    out.finish(global.tx);
                }
                None => out.event(stream.tx, "http2.invalid_http1_settings"),
            }
        }
        self.push(stream);
    }

    fn fail(&mut self, out: &mut Output) {
        self.over = true;
        self.end_all(out);
        self.sides = Default::default();
        out.fail();
    }

    fn end_all(&mut self, out: &mut Output) {
        for stream in &mut self.streams {
            stream.end(out);
        }
    }
}

/// Headers as one parser tells them the next: each name and value behind its length in four bytes.
pub(super) fn tell<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut told = Vec::new();
    for (name, value) in headers {
        for text in [name, value] {
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let text = text.get(..len as usize).unwrap_or(text);
            told.extend(len.to_be_bytes());
            told.extend_from_slice(text);
        }
    }
    told
}

impl Parser for Http2 {
    fn proto(&self) -> AppProto {
        AppProto::Http2
    }

    fn announced(&mut self, told: &[u8]) {
        let mut rest = Bytes(told);
        let mut text = || {
            let len = rest.u32()?;
            rest.take(len as usize)
        };
        while let (Some(name), Some(value)) = (text(), text()) {
            self.asked.push(Field::new(name, value));
        }
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        if self.over {
            return;
        }
        self.forget(out);
        let full = self.streams.iter().map(Stream::memory).sum::<usize>() > MOST_HELD;
        self.full = full;
        for stream in &mut self.streams {
            stream.full = full;
        }
        self.begin_asked(out);
        let side = &mut self.sides[way as usize];
        let over = side.skip.min(data.len());
        side.skip -= over;
        let mut pending = std::mem::take(&mut side.pending);
        pending.extend_from_slice(data.get(over..).unwrap_or_default());
        let mut start = 0;
        if way == Way::ToServer && !self.magic {
            if pending.len() < MAGIC.len() {
                self.sides[way as usize].pending = pending;
                return;
            }
            self.magic = true;
            if pending.starts_with(MAGIC) {
                start = MAGIC.len();
            } else {
                self.event("http2.invalid_client_magic", out);
            }
        }
        start += self.frames(way, pending.get(start..).unwrap_or_default(), out);
        pending.drain(..start.min(pending.len()));
        if pending.is_empty() {
            pending = Vec::new();
        }
        self.sides[way as usize].pending = pending;
        for stream in &mut self.streams {
            stream.look(out);
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        // Nothing says where the next frame begins, nor what the tables have.
        if !self.over {
            self.fail(out);
        }
    }

    fn gap_of(&mut self, way: Way, missing: u64, out: &mut Output) {
        let skip = &mut self.sides[way as usize].skip;
        match usize::try_from(missing) {
            Ok(missing) if missing <= *skip => *skip -= missing,
            _ => self.gap(way, out),
        }
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        // A request's answer may still come.
        if way == Way::ToClient && !self.over {
            self.over = true;
            self.forget(out);
            self.end_all(out);
        }
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let stream = self.streams.iter().find(|stream| stream.tx == tx)?;
        Some(("http", log::object(stream)?))
    }

    fn describe_more(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let stream = self.streams.iter().find(|stream| stream.tx == tx)?;
        let dns = stream.dns.iter().flatten().next()?;
        Some(("dns", dns.clone()))
    }

    fn memory(&self) -> usize {
        let sides = self.sides.iter().map(|side| {
            let block = side
                .block
                .as_ref()
                .map_or(0, |block| block.bytes.capacity());
            side.pending.capacity() + block + side.table.memory()
        });
        let streams: usize = self.streams.iter().map(Stream::memory).sum();
        sides.sum::<usize>()
            + streams
            + self.places.capacity() * 16
            + self.asked.len() * 64
            + size_of::<Self>()
    }
}
