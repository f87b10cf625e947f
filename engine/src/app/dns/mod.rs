//! DNS over UDP and TCP, and multicast DNS.
//!
//! Each message is a transaction of its own: a request has nothing to say to the client, a response nothing to the server.
//! Multicast DNS is one direction only: whoever asks or answers sends to the group.

mod log;
mod message;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::message::{Header, Message, Record};
use super::remember::{Held, Remembered};
use super::{AppBuffer, AppField, AppProto, Output, Parser, Pending, TxId, Way};

/// Events of DNS, by their names in rules.
pub const EVENTS: &[&str] = &[
    "dns.malformed_data",
    "dns.not_request",
    "dns.not_response",
    "dns.z_flag_set",
    "dns.invalid_opcode",
    "dns.name_too_long",
    "dns.infinite_loop",
    "dns.too_many_labels",
    "dns.invalid_additionals",
    "dns.invalid_authorities",
];

/// The same of multicast DNS, in the same order.
pub const MDNS_EVENTS: &[&str] = &[
    "mdns.malformed_data",
    "mdns.not_request",
    "mdns.not_response",
    "mdns.z_flag_set",
    "mdns.invalid_opcode",
    "mdns.name_too_long",
    "mdns.infinite_loop",
    "mdns.too_many_labels",
    "mdns.invalid_additionals",
    "mdns.invalid_authorities",
];

/// What can be wrong: an index into the tables.
#[derive(Clone, Copy, Debug)]
enum Event {
    Malformed,
    NotRequest,
    NotResponse,
    ZFlag,
    Opcode,
    NameTooLong,
    Loop,
    Labels,
    Additionals,
    Authorities,
}

/// Two bytes of length and what they can say.
const MOST_PENDING: usize = 2 + 0xffff;

/// A message, and whether it is a request.
#[derive(Debug)]
struct Known {
    is_request: bool,
    message: Message,
}

impl Held for Known {
    fn held(&self) -> usize {
        self.message.memory()
    }
}

/// Reads DNS.
#[derive(Debug)]
pub struct Dns {
    proto: AppProto,
    udp: bool,
    pending: [Pending; 2],
    /// Bytes are missing: the next message has to be found.
    lost: [bool; 2],
    failed: bool,
    /// Messages of transactions that are not over.
    messages: Remembered<Known>,
}

impl Dns {
    /// For a flow of DNS.
    pub fn new(udp: bool) -> Self {
        Self {
            proto: AppProto::Dns,
            udp,
            pending: Default::default(),
            lost: [false; 2],
            failed: false,
            messages: Remembered::default(),
        }
    }

    /// For a flow of multicast DNS.
    pub fn multicast() -> Self {
        Self {
            proto: AppProto::Mdns,
            ..Self::new(true)
        }
    }

    fn event(&self, event: Event) -> &'static str {
        let table = if self.proto == AppProto::Mdns {
            MDNS_EVENTS
        } else {
            EVENTS
        };
        table.get(event as usize).copied().unwrap_or_default()
    }

    /// A whole message; false where it is not worth going on. An event that has no transaction goes to the last one of
    /// those that came together with it.
    fn message(
        &mut self,
        way: Way,
        bytes: &[u8],
        last: &mut Option<TxId>,
        out: &mut Output,
    ) -> bool {
        let Some(header) = Header::read(bytes, bytes.len()) else {
            return self.udp;
        };
        let Some(message) = Message::read(bytes, header) else {
            if let Some(last) = *last {
                out.event(last, self.event(Event::Malformed));
            }
            return false;
        };
        let multicast = self.proto == AppProto::Mdns;
        // Multicast has no direction but one.
        let way = if multicast { Way::ToServer } else { way };
        if !multicast && way == Way::ToServer && header.is_response() {
            if let Some(last) = *last {
                out.event(last, self.event(Event::NotRequest));
            }
            return false;
        }
        let is_request = way == Way::ToServer && !header.is_response();
        let id = out.begin();
        *last = Some(id);
        out.dropped += message.left_out;
        let oddities = message.oddities;
        let events = [
            (message.bad_additionals, Event::Additionals),
            (message.bad_authorities, Event::Authorities),
            (
                way == Way::ToClient && !header.is_response(),
                Event::NotResponse,
            ),
            (header.has_z(), Event::ZFlag),
            (header.opcode() >= 7, Event::Opcode),
            (oddities.truncated, Event::NameTooLong),
            (oddities.looped, Event::Loop),
            (oddities.too_many_labels, Event::Labels),
        ];
        for (is, event) in events {
            if is {
                out.event(id, self.event(event));
            }
        }
        if multicast {
            put_multicast(&message, is_request, id, out);
        } else {
            put(&message, way, id, out);
        }
        out.finish(id);
        if out.logs() {
            let record = self.object(id, is_request, &message);
            out.log(way, self.proto.name(), record);
        }
        let known = Known {
            is_request,
            message,
        };
        self.messages.put(id, known, out);
        true
    }

    fn object(&self, id: TxId, is_request: bool, message: &Message) -> Value {
        if self.proto == AppProto::Mdns {
            log::mdns(message, is_request)
        } else {
            log::dns(id, message, is_request)
        }
    }

    /// Messages with two bytes of length before each.
    fn stream(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        let mut last = None;
        if self.lost[way as usize] {
            if !begins_message(data) {
                return;
            }
            self.lost[way as usize] = false;
        }
        let mut pending = std::mem::take(&mut self.pending[way as usize]);
        while !data.is_empty() && !self.failed {
            let (len, from_data) = match (pending.bytes(), data) {
                (&[], &[high, low, ..]) => (usize::from(u16::from_be_bytes([high, low])), true),
                (&[high, low, ..], _) => (usize::from(u16::from_be_bytes([high, low])), false),
                // Only the length is not whole: one byte more.
                _ => {
                    let (byte, rest) = data.split_at(1);
                    self.failed = !pending.add(byte, MOST_PENDING);
                    data = rest;
                    continue;
                }
            };
            let missing = (len + 2).saturating_sub(pending.bytes().len());
            if missing > data.len() {
                self.failed = !pending.add(data, MOST_PENDING);
                break;
            }
            let (piece, rest) = data.split_at(missing);
            data = rest;
            let mut fine = true;
            if from_data {
                if len > 0 {
                    fine = self.message(way, piece.get(2..).unwrap_or_default(), &mut last, out);
                }
            } else {
                fine = pending.add(piece, MOST_PENDING);
                if len > 0 && fine {
                    let bytes = pending.bytes().get(2..).unwrap_or_default();
                    fine = self.message(way, bytes, &mut last, out);
                }
                pending.clear();
            }
            self.failed |= !fine;
        }
        if self.failed {
            out.fail();
            return;
        }
        self.pending[way as usize] = pending;
    }
}

/// True where a message with its length before it can begin here, as far as one can see.
fn begins_message(data: &[u8]) -> bool {
    let &[high, low, ref message @ ..] = data else {
        return true;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let message = message.get(..len).unwrap_or(message);
    match Header::read(message, len) {
        Some(header) => message.len() < len || Message::read(message, header).is_some(),
        None => false,
    }
}

/// Puts a message that came in something else (DNS over HTTPS, RFC 8484) into the transaction of that, and gives its
/// `dns` object; `None` where it is no message, or one of the other direction.
pub fn put_carried(tx: TxId, way: Way, message: &[u8], out: &mut Output) -> Option<Value> {
    let header = Header::read(message, message.len())?;
    if header.is_response() != (way == Way::ToClient) {
        return None;
    }
    let message = Message::read(message, header)?;
    put(&message, way, tx, out);
    Some(log::dns(tx, &message, way == Way::ToServer))
}

/// What rules look at in a message.
fn put(message: &Message, way: Way, id: TxId, out: &mut Output) {
    let header = message.header;
    out.number(id, way, AppField::DnsOpcode, header.opcode().into());
    out.number(id, way, AppField::DnsRcode, header.rcode().into());
    put_queries(message, way, id, AppBuffer::DnsQueriesRrname, out);
    let answers = names(&message.answers);
    for name in answers {
        out.put(id, way, AppBuffer::DnsAnswersRrname, name);
    }
    if way == Way::ToServer {
        put_queries(message, way, id, AppBuffer::DnsQuery, out);
        for query in &message.queries {
            out.number(id, way, AppField::DnsRrtype, query.rrtype.into());
        }
        return;
    }
    for record in &message.answers {
        out.number(id, way, AppField::DnsRrtype, record.rrtype.into());
    }
    for name in names(&message.authorities) {
        out.put(id, way, AppBuffer::DnsAuthoritiesRrname, name);
    }
    for name in names(&message.additionals) {
        out.put(id, way, AppBuffer::DnsAdditionalsRrname, name);
    }
    put_queries(message, way, id, AppBuffer::DnsResponseRrname, out);
    put_names(message, way, id, AppBuffer::DnsResponseRrname, out);
}

fn put_multicast(message: &Message, is_request: bool, id: TxId, out: &mut Output) {
    let way = Way::ToServer;
    for name in names(&message.answers) {
        out.put(id, way, AppBuffer::MdnsAnswersRrname, name);
    }
    if is_request {
        put_queries(message, way, id, AppBuffer::MdnsQueriesRrname, out);
        return;
    }
    for name in names(&message.authorities) {
        out.put(id, way, AppBuffer::MdnsAuthoritiesRrname, name);
    }
    for name in names(&message.additionals) {
        out.put(id, way, AppBuffer::MdnsAdditionalsRrname, name);
    }
    put_queries(message, way, id, AppBuffer::MdnsResponseRrname, out);
    put_names(message, way, id, AppBuffer::MdnsResponseRrname, out);
}

/// Names of records, up to the first that is empty (the root): Suricata looks no further.
fn names(records: &[Record]) -> impl Iterator<Item = &[u8]> {
    let names = records.iter().map(|record| &record.name.bytes[..]);
    names.take_while(|name| !name.is_empty())
}

fn put_queries(message: &Message, way: Way, id: TxId, buffer: AppBuffer, out: &mut Output) {
    let names = message.queries.iter().map(|query| &query.name.bytes[..]);
    for name in names.take_while(|name| !name.is_empty()) {
        out.put(id, way, buffer, name);
    }
}

/// Names of all records, and those in their data.
fn put_names(message: &Message, way: Way, id: TxId, buffer: AppBuffer, out: &mut Output) {
    let sections = [&message.answers, &message.authorities, &message.additionals];
    for records in sections {
        for record in records.iter() {
            if record.name.bytes.is_empty() {
                break;
            }
            out.put(id, way, buffer, &record.name.bytes);
            let in_data = record.data.name().filter(|name| !name.bytes.is_empty());
            if let Some(name) = in_data {
                out.put(id, way, buffer, &name.bytes);
            }
        }
    }
}

impl Parser for Dns {
    fn proto(&self) -> AppProto {
        self.proto
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        self.messages.forget(out);
        if self.udp {
            // A datagram that makes no sense is that datagram's matter.
            self.message(way, data, &mut None, out);
        } else if !self.failed {
            self.stream(way, data, out);
        }
    }

    fn gap(&mut self, way: Way, _out: &mut Output) {
        self.pending[way as usize].clear();
        self.lost[way as usize] = true;
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        self.messages.forget(out);
        self.pending[way as usize].clear();
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let known = self.messages.get(tx)?;
        let object = self.object(tx, known.is_request, &known.message);
        Some((self.proto.name(), object))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(Pending::memory).sum();
        self.messages.memory() + pending
    }
}
