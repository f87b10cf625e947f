//! HTTP/1: requests and responses, read by the parser of Suricata ([`htp`]).
//!
//! Each call feeds htp, which calls back with header lines as they came ([`Event::raw_headers`](htp::Events)) and with
//! bodies. After each call, transactions that went on are looked at, and what they have by then becomes buffers: so rules
//! see headers joined with trailers exactly where Suricata's do, when both came in one piece.
//!
//! Limits: a body keeps 100 KiB for rules, headers as they came 256 KiB, a connection 512 transactions that wait and a
//! line 18,000 bytes (htp's own limits).

mod body;
mod buffers;
mod events;
mod htp;
mod log;
mod multipart;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use events::EVENTS;
pub(super) use log::bad_range;

use body::Body;
use htp::{Answer, Connection, Tx};
use suricata_htp::request::HtpMethod;

use crate::app::{AppProto, Output, Parser, TxId, Way, http2, level};

/// Most bytes of header lines that are kept as they came, a direction.
const MOST_RAW: usize = 256 * 1024;
/// Most complaints of htp's that become events, a connection.
const MOST_COMPLAINTS: u32 = 512;

/// One direction of a transaction.
#[derive(Debug, Default)]
struct Side {
    /// How far buffers have been put.
    level: u8,
    raw: Vec<u8>,
    body: Body,
}

/// A transaction of htp's and ours.
#[derive(Debug)]
struct Entry {
    /// htp's number.
    number: usize,
    id: TxId,
    sides: [Side; 2],
    flags: u64,
    logged: bool,
}

impl Entry {
    fn is_done(&self) -> bool {
        self.sides.iter().all(|side| side.level >= level::DONE)
    }
}

/// The transactions that have begun and are not forgotten, by htp's numbers, which go up.
#[derive(Debug, Default)]
struct Entries {
    live: VecDeque<Entry>,
    /// How many responses were complete.
    responses: usize,
    /// The first request was a CONNECT that the server agreed to.
    connected: bool,
}

impl Entries {
    /// The entry of a transaction; it begins one where there is none.
    fn of(&mut self, tx: Tx<'_>, out: &mut Output) -> &mut Entry {
        let number = tx.number();
        let at = self.live.partition_point(|entry| entry.number < number);
        if self.live.get(at).is_none_or(|entry| entry.number != number) {
            let entry = Entry {
                number,
                id: out.begin(),
                sides: Default::default(),
                flags: 0,
                logged: false,
            };
            self.live.insert(at, entry);
        }
        // It is there: it was found, or put there.
        &mut self.live[at]
    }

    fn id_of(&self, number: usize) -> Option<TxId> {
        let at = self
            .live
            .binary_search_by_key(&number, |entry| entry.number);
        at.ok().and_then(|at| self.live.get(at)).map(|of| of.id)
    }
}

/// Takes what htp tells while it is fed.
struct Feed<'a> {
    entries: &'a mut Entries,
    out: &'a mut Output,
}

impl htp::Events for Feed<'_> {
    fn raw_headers(&mut self, way: Way, tx: Tx<'_>, data: &[u8]) {
        let side = &mut self.entries.of(tx, self.out).sides[way as usize];
        if side.level >= level::HEAD {
            // Trailers that came too late for rules.
            return;
        }
        let raw = &mut side.raw;
        let room = MOST_RAW.saturating_sub(raw.len()).min(data.len());
        raw.extend_from_slice(data.get(..room).unwrap_or_default());
    }

    fn body(&mut self, way: Way, tx: Tx<'_>, data: &[u8]) {
        let entry = self.entries.of(tx, self.out);
        entry.sides[way as usize]
            .body
            .data(entry.id, way, tx, data, self.out);
    }

    fn body_gap(&mut self, way: Way, tx: Tx<'_>) {
        let entry = self.entries.of(tx, self.out);
        entry.sides[way as usize].body.gap(entry.id, self.out);
    }

    fn response_complete(&mut self, tx: Tx<'_>) {
        self.entries.responses += 1;
        let agreed = tx
            .status_number()
            .is_some_and(|status| (200..300).contains(&status));
        if self.entries.responses == 1 && tx.method_number() == HtpMethod::CONNECT && agreed {
            self.entries.connected = true;
        }
    }
}

/// Puts what a transaction has by now; a direction that is `over` comes to its end whatever it lacks.
fn look(entry: &mut Entry, tx: Tx<'_>, over: [bool; 2], out: &mut Output) {
    let mut went_on = false;
    for way in Way::ALL {
        let side = &mut entry.sides[way as usize];
        let (at, over) = (tx.level(way), over[way as usize]);
        if side.level >= level::DONE {
            continue;
        }
        if at >= level::START && side.level < level::START {
            buffers::start(entry.id, way, tx, out);
        }
        // A response that changes the protocol has no end but its headers.
        let head = at >= level::HEAD || (over && at >= level::START);
        if head && side.level < level::HEAD {
            let raw = std::mem::take(&mut side.raw);
            buffers::head(entry.id, way, tx, &raw, out);
            range(entry.id, way, tx, out);
        }
        if at >= level::BODY || over {
            side.body.end(entry.id, way, at < level::BODY, out);
        }
        let level = match () {
            () if over => level::DONE,
            () if side.body.is_full() => at.max(level::BODY),
            () => at,
        };
        if level > side.level {
            side.level = level;
            went_on = true;
            out.reach(entry.id, way, level);
        }
    }
    let flags = tx.flags();
    if went_on || flags != entry.flags {
        entry.flags = flags;
        for event in events::of_tx(tx) {
            out.event(entry.id, event);
        }
    }
    if entry.is_done() && !std::mem::replace(&mut entry.logged, true) && out.logs() {
        out.log(Way::ToServer, "http", log::object(tx));
    }
}

/// Complains about a content range that cannot be.
fn range(id: TxId, way: Way, tx: Tx<'_>, out: &mut Output) {
    if way == Way::ToClient && tx.header(way, c"content-range").is_some_and(log::bad_range) {
        out.event(id, events::RANGE_INVALID);
    }
}

/// The parser.
#[derive(Debug, Default)]
pub struct Http1 {
    connection: Option<Connection>,
    entries: Entries,
    complaints: u32,
    ended: [bool; 2],
    /// It is not HTTP any more, or cannot be read.
    over: bool,
}

impl Http1 {
    /// For a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds htp, and looks at what came of it.
    fn feed(
        &mut self,
        way: Way,
        data: &[u8],
        out: &mut Output,
        feed: impl FnOnce(&mut Connection, &mut Feed<'_>) -> Answer,
    ) {
        if self.over {
            return;
        }
        self.forget(out);
        let connection = self.connection.get_or_insert_with(|| {
            let (client, server) = out
                .ends()
                .map_or((0, 0), |(client, server)| (client.1, server.1));
            Connection::new(client, server)
        });
        let mut events = Feed {
            entries: &mut self.entries,
            out,
        };
        let answer = feed(connection, &mut events);
        self.look(out);
        self.complain(way, out);
        if self.entries.connected {
            // What is inside is for others to find out.
            self.change(AppProto::Failed, &[], out);
        } else if answer == Answer::Tunnel && way == Way::ToClient {
            self.upgrade(data, out);
        } else if answer == Answer::Error {
            self.over = true;
            out.fail();
        }
    }

    fn look(&mut self, out: &mut Output) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        for place in 0.. {
            let Some(tx) = connection.at(place) else {
                break;
            };
            look(self.entries.of(tx, out), tx, self.ended, out);
        }
    }

    /// Makes events of what htp complains about. Suricata gives them to the last request, or the response at hand.
    fn complain(&mut self, way: Way, out: &mut Output) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let number = match way {
            Way::ToServer => connection.count().saturating_sub(1),
            Way::ToClient => self.entries.responses,
        };
        let of = |number| self.entries.id_of(number);
        let id = of(number).or_else(|| of(number.checked_sub(1)?));
        while let Some(code) = connection.complaint() {
            self.complaints = self.complaints.saturating_add(1);
            let event = if self.complaints > MOST_COMPLAINTS {
                Some(events::TOO_MANY_WARNINGS)
            } else {
                events::named(code)
            };
            if let (Some(id), Some(event)) = (id, event) {
                out.event(id, event);
            }
        }
    }

    /// The server switches to another protocol (101), where it is one that we know.
    fn upgrade(&mut self, data: &[u8], out: &mut Output) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let used = connection.response_consumed();
        let last = self.entries.live.iter().rev();
        let mut txs = last.filter_map(|entry| connection.tx(entry.number));
        let switch = txs.find(|tx| tx.status_number() == Some(101));
        let upgrade = switch.and_then(|tx| tx.header(Way::ToClient, c"upgrade"));
        let proto = match upgrade {
            Some(b"h2c") => AppProto::Http2,
            Some(name) if name.eq_ignore_ascii_case(b"websocket") => AppProto::Websocket,
            _ => return,
        };
        if proto == AppProto::Http2
            && let Some(tx) = switch
        {
            // The request is that of the first stream.
            let line = [
                (&b":method"[..], tx.method().unwrap_or_default()),
                (b":path", tx.uri().unwrap_or_default()),
            ];
            let headers = tx.headers(Way::ToServer).map(|(name, value)| {
                let host = name.eq_ignore_ascii_case(b"host");
                (if host { b":authority" } else { name }, value)
            });
            out.tell(http2::tell(line.into_iter().chain(headers)));
        }
        self.change(proto, data.get(used..).unwrap_or_default(), out);
    }

    /// From here on it is something else: all transactions are over.
    fn change(&mut self, proto: AppProto, rest: &[u8], out: &mut Output) {
        self.ended = [true; 2];
        self.look(out);
        self.over = true;
        out.change_to(proto, rest);
    }

    /// Forgets what is over and was looked at, and requests that gave way to newer ones without an answer: where only
    /// one direction is seen, htp would come to the end of its transactions.
    fn forget(&mut self, out: &Output) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        self.entries.live.retain(|entry| {
            let gone = out.get(entry.id).is_none();
            let mut done = gone && entry.is_done();
            if gone && !done {
                let tx = connection.tx(entry.number);
                done = tx.is_some_and(|tx| tx.is_unanswered());
            }
            if done {
                connection.remove(entry.number);
            }
            !done
        });
    }
}

impl Parser for Http1 {
    fn proto(&self) -> AppProto {
        AppProto::Http1
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        self.feed(way, data, out, |connection, events| {
            connection.data(way, data, events)
        });
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        self.gap_of(way, 1, out);
    }

    fn gap_of(&mut self, way: Way, missing: u64, out: &mut Output) {
        let missing = usize::try_from(missing).unwrap_or(usize::MAX / 2);
        self.feed(way, &[], out, |connection, events| {
            connection.gap(way, missing, events)
        });
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if self.connection.is_some() {
            self.feed(way, &[], out, |connection, events| {
                connection.close(way, events);
                Answer::More
            });
        }
        self.ended[way as usize] = true;
        self.look(out);
    }

    fn describe(&self, id: TxId, _: &Output) -> Option<(&'static str, serde_json::Value)> {
        let mut live = self.entries.live.iter();
        let entry = live.find(|entry| entry.id == id)?;
        let tx = self.connection.as_ref()?.tx(entry.number)?;
        Some(("http", log::object(tx)))
    }

    fn memory(&self) -> usize {
        /// About what htp holds: two tables of headers with room for 32, and lines.
        const OF_TX: usize = 8 * 1024;
        let live = self.entries.live.iter().map(|entry| {
            let sides = entry.sides.iter();
            let held = sides.map(|side| side.raw.capacity() + side.body.memory());
            held.sum::<usize>() + size_of::<Entry>() + OF_TX
        });
        live.sum::<usize>() + size_of::<Self>()
    }
}
