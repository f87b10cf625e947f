//! SIP over UDP and TCP (RFC 3261), with session descriptions. Each message is a transaction of its own.

mod message;
mod sdp;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use self::message::{Message, Start, Trouble};
use self::sdp::Sdp;
use super::remember::{Held, Remembered};
use super::text::eve_text;
use super::{AppBuffer, AppProto, Output, Parser, Pending, TxId, Way};

/// Events of SIP, by their names in rules.
pub const EVENTS: &[&str] = &["sip.incomplete_data", "sip.invalid_data"];

/// Longest message of a stream.
const MOST_MESSAGE: usize = 64 << 10;

/// What records show of a message.
#[derive(Debug)]
struct Shown {
    line: Vec<u8>,
    start: Start,
    sdp: Option<Sdp>,
}

impl Held for Shown {
    fn held(&self) -> usize {
        // Parts of the line are there a second time.
        size_of::<Self>() + 2 * self.line.len() + self.sdp.as_ref().map_or(0, Sdp::memory)
    }
}

/// Reads SIP.
#[derive(Debug)]
pub struct Sip {
    udp: bool,
    pending: [Pending; 2],
    /// Bytes of the message that is coming, where its headers are here.
    needed: [Option<usize>; 2],
    messages: Remembered<Shown>,
    failed: bool,
}

impl Sip {
    /// For a flow of SIP.
    pub fn new(udp: bool) -> Self {
        Self {
            udp,
            pending: Default::default(),
            needed: [None; 2],
            messages: Remembered::default(),
            failed: false,
        }
    }

    fn fail(&mut self, event: &'static str, last: Option<TxId>, out: &mut Output) {
        // It is told about the last message that came together with this.
        if let Some(last) = last {
            out.event(last, event);
        }
        self.failed = true;
        out.fail();
    }

    fn message(&mut self, way: Way, message: &Message<'_>, out: &mut Output) -> TxId {
        use AppBuffer::*;
        let tx = out.begin();
        match &message.start {
            Start::Request {
                method,
                uri,
                version,
            } => {
                out.put(tx, way, SipMethod, method);
                out.put(tx, way, SipUri, uri);
                out.put(tx, way, SipProtocol, version);
                out.put(tx, way, SipRequestLine, message.line);
            }
            Start::Response {
                version,
                code,
                reason,
            } => {
                out.put(tx, way, SipProtocol, version);
                out.put(tx, way, SipStatCode, code);
                out.put(tx, way, SipStatMsg, reason);
                out.put(tx, way, SipResponseLine, message.line);
            }
        }
        let headers: [(&[u8], AppBuffer); 6] = [
            (b"from", SipFrom),
            (b"to", SipTo),
            (b"via", SipVia),
            (b"user-agent", SipUserAgent),
            (b"content-type", SipContentType),
            (b"content-length", SipContentLength),
        ];
        for (name, buffer) in headers {
            for value in message.values(name) {
                out.put(tx, way, buffer, value);
            }
        }
        let is_sdp = message.values(b"content-type").any(|kind| {
            kind.len() >= 15
                && kind
                    .get(..15)
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/sdp"))
        });
        let sdp = is_sdp.then(|| Sdp::read(message.body)).flatten();
        out.dropped += message.left_out;
        if let Some(sdp) = &sdp {
            sdp.put(tx, way, out);
            out.dropped += sdp.left_out;
        }
        out.finish(tx);
        let shown = Shown {
            line: message.line.to_vec(),
            start: message.start.clone(),
            sdp,
        };
        if out.logs() {
            out.log(way, "sip", object(&shown));
        }
        self.messages.put(tx, shown, out);
        tx
    }

    fn datagram(&mut self, way: Way, data: &[u8], out: &mut Output) {
        // What is none is that datagram's matter, and there is no transaction to tell it about.
        if let Ok(message) = Message::read(data, way == Way::ToServer, true) {
            self.message(way, &message, out);
        }
    }

    fn stream(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        let mut pending = std::mem::take(&mut self.pending[way as usize]);
        let mut last = None;
        while !self.failed && !data.is_empty() {
            // No more than a message is kept.
            let before = pending.bytes().len();
            let room = MOST_MESSAGE.saturating_sub(before);
            let (piece, rest) = data.split_at(room.min(data.len()));
            data = rest;
            let _ = pending.add(piece, MOST_MESSAGE);
            let full = pending.bytes().len() >= MOST_MESSAGE;
            if !full && !self.is_due(way, pending.bytes(), before) {
                continue;
            }
            let taken = self.messages(way, pending.bytes(), &mut last, out);
            pending.consume(taken);
            if taken == 0 && full && !self.failed {
                self.fail("sip.incomplete_data", last, out);
            }
        }
        self.pending[way as usize] = pending;
    }

    /// True when another look can find more than the one before: when the body is whole, or the headers have ended, or
    /// the first line has. `before` is how many bytes were looked at.
    fn is_due(&self, way: Way, bytes: &[u8], before: usize) -> bool {
        if let Some(needed) = self.needed[way as usize] {
            return bytes.len() >= needed;
        }
        let new = bytes.get(before.saturating_sub(3)..).unwrap_or_default();
        let ends = memchr::memmem::find(new, b"\r\n\r\n").is_some();
        let first = bytes.get(..before).unwrap_or_default();
        ends || (memchr::memchr(b'\n', new).is_some() && memchr::memchr(b'\n', first).is_none())
    }

    /// All messages that are whole; how many bytes they take.
    fn messages(
        &mut self,
        way: Way,
        data: &[u8],
        last: &mut Option<TxId>,
        out: &mut Output,
    ) -> usize {
        self.needed[way as usize] = None;
        let mut at = 0;
        while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
            // Empty lines keep connections open (RFC 5626, section 4.4.1).
            if rest.starts_with(b"\r\n") {
                at += 2;
                continue;
            }
            match Message::read(rest, way == Way::ToServer, false) {
                Ok(message) => {
                    *last = Some(self.message(way, &message, out));
                    at += message.len;
                }
                Err(Trouble::Incomplete) => break,
                Err(Trouble::Needs(whole)) => {
                    self.needed[way as usize] = Some(whole);
                    break;
                }
                Err(Trouble::Invalid) => {
                    self.fail("sip.invalid_data", *last, out);
                    break;
                }
            }
        }
        at
    }
}

fn object(shown: &Shown) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: &[u8]| {
        object.insert(name.into(), json!(eve_text(value)));
    };
    match &shown.start {
        Start::Request {
            method,
            uri,
            version,
        } => {
            put("method", method);
            put("uri", uri);
            put("version", version);
            put("request_line", &shown.line);
        }
        Start::Response {
            version,
            code,
            reason,
        } => {
            put("version", version);
            put("code", code);
            put("reason", reason);
            put("response_line", &shown.line);
        }
    }
    if let Some(sdp) = &shown.sdp {
        object.insert("sdp".into(), sdp.object());
    }
    Value::Object(object)
}

impl Parser for Sip {
    fn proto(&self) -> AppProto {
        AppProto::Sip
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        self.messages.forget(out);
        if self.failed {
        } else if self.udp {
            self.datagram(way, data, out);
        } else {
            self.stream(way, data, out);
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        self.failed = true;
        out.fail();
    }

    fn end(&mut self, way: Way, _out: &mut Output) {
        self.pending[way as usize].clear();
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let shown = self.messages.get(tx)?;
        Some(("sip", object(shown)))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(Pending::memory).sum();
        pending + self.messages.memory()
    }
}
