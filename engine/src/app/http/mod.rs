//! HTTP/1: requests and responses, read by the parser of Suricata ([`htp`]).
//!
//! Each call feeds htp, which calls back with header lines as they came ([`Event::raw_headers`](htp::Events)) and with
//! bodies. After each call, transactions that went on are looked at, and what they have by then becomes buffers: so rules
//! see headers joined with trailers exactly where Suricata's do, when both came in one piece.
//!
//! Limits: a body keeps 100 KiB for rules, headers as they came 256 KiB, a connection 512 transactions that wait and a
//! line 18,000 bytes (htp's own limits). A connection whose headers hold more than 2 MiB, or that says more than 64 KiB
//! before the answer to its CONNECT, is not read on.

mod body;
mod buffers;
mod entries;
mod events;
mod htp;
mod log;
mod multipart;
#[cfg(test)]
mod tests;

pub use events::EVENTS;
pub(super) use log::bad_range;

use entries::{Entries, Entry, Feed, look};
use htp::{Answer, Connection};

use crate::app::{AppProto, Output, Parser, TxId, Way, http2};

/// Most bytes of header lines of the transactions of a connection, which htp keeps.
const MOST_HEADERS: usize = 2 << 20;
/// Most bytes of a direction that wait for what the other side says.
const MOST_WAITING: usize = 64 * 1024;
/// Most complaints of htp's that become events, a connection.
const MOST_COMPLAINTS: u32 = 512;

/// The parser.
#[derive(Debug, Default)]
pub struct Http1 {
    connection: Option<Connection>,
    entries: Entries,
    complaints: u32,
    /// What htp does not take before the other side has said more: about a CONNECT, mostly.
    waiting: [Vec<u8>; 2],
    ended: [bool; 2],
    /// It is not HTTP any more, or cannot be read.
    over: bool,
}

impl Http1 {
    /// For a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds htp, and looks at what came of it; how much of `data` waits until the other side has said more.
    fn feed(
        &mut self,
        way: Way,
        data: &[u8],
        out: &mut Output,
        feed: impl FnOnce(&mut Connection, &mut Feed<'_>) -> Answer,
    ) -> usize {
        if self.over {
            return 0;
        }
        self.forget(out);
        let connection = self.connection.get_or_insert_with(|| {
            let (client, server) = out
                .ends()
                .map_or((0, 0), |(client, server)| (client.1, server.1));
            Connection::new(client, server)
        });
        if let Some(tunnel) = &mut self.entries.tunnel {
            tunnel.used = 0;
        }
        let mut events = Feed {
            entries: &mut self.entries,
            out,
        };
        let answer = feed(connection, &mut events);
        let used = connection.consumed(way).min(data.len());
        let tunnel = (self.entries.tunnel).filter(|tunnel| tunnel.is_open(connection));
        self.look(out);
        self.complain(way, out);
        match answer {
            _ if let Some(tunnel) = tunnel => {
                // What is inside is for others to find out.
                let inside = data.get(tunnel.used..).filter(|_| way == Way::ToClient);
                self.change(AppProto::Failed, inside.unwrap_or_default(), out);
            }
            Answer::Tunnel if way == Way::ToClient => self.upgrade(data, out),
            Answer::Error => self.fail(out),
            Answer::Other => return data.len() - used,
            _ if self.entries.headers() > MOST_HEADERS => self.fail(out),
            _ => {}
        }
        0
    }

    /// Feeds htp data of one direction, and then what has waited for that.
    fn take(&mut self, way: Way, data: &[u8], out: &mut Output) {
        let mut wait = |parser: &mut Self, way: Way, data: &[u8]| {
            let left = parser.feed(way, data, out, |connection, events| {
                connection.data(way, data, events)
            });
            data.len() - left
        };
        let used = wait(self, way, data);
        self.waiting[way as usize].extend_from_slice(data.get(used..).unwrap_or_default());
        let mut turn = way.other();
        // Each turn takes some, or is the last but one.
        let mut idle = 0;
        while idle < 2 && !self.over && !self.waiting.iter().all(Vec::is_empty) {
            if turn == Way::ToServer && self.opens_tunnel() {
                break;
            }
            let data = std::mem::take(&mut self.waiting[turn as usize]);
            let used = match data.is_empty() {
                true => 0,
                false => wait(self, turn, &data),
            };
            idle = if used > 0 { 0 } else { idle + 1 };
            if !self.over {
                self.waiting[turn as usize] = data.get(used..).unwrap_or_default().to_vec();
            }
            turn = turn.other();
        }
    }

    /// The first response has begun and agrees to a CONNECT; its headers have not ended. What the client says in the
    /// tunnel is not for htp, which would take it once it has seen the status.
    fn opens_tunnel(&self) -> bool {
        let first = || self.connection.as_ref()?.tx(0);
        self.entries.responses == 0 && first().is_some_and(entries::is_tunnel)
    }

    /// It cannot be read on: what is there by now is all.
    fn fail(&mut self, out: &mut Output) {
        self.ended = [true; 2];
        self.look(out);
        self.over = true;
        self.waiting = Default::default();
        out.fail();
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
        let used = connection.consumed(Way::ToClient);
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

    /// From here on it is something else: all transactions are over. `inside`: what the server has said of it.
    fn change(&mut self, proto: AppProto, inside: &[u8], out: &mut Output) {
        self.ended = [true; 2];
        self.look(out);
        self.over = true;
        let [asked, answered] = std::mem::take(&mut self.waiting);
        out.change_to(proto);
        out.leave_over(Way::ToServer, &asked);
        out.leave_over(Way::ToClient, &[inside, &answered].concat());
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
        let waits = way == Way::ToServer && self.opens_tunnel();
        let waiting = &mut self.waiting[way as usize];
        if waiting.is_empty() && !waits {
            self.take(way, data, out);
        } else if waiting.len() + data.len() > MOST_WAITING {
            self.fail(out);
        } else {
            waiting.extend_from_slice(data);
        }
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        self.gap_of(way, 1, out);
    }

    fn gap_of(&mut self, way: Way, missing: u64, out: &mut Output) {
        if !self.waiting[way as usize].is_empty() {
            // Nobody knows where what follows belongs.
            self.fail(out);
        }
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
            held.sum::<usize>() + size_of::<Entry>() + OF_TX + entry.headers()
        });
        let waiting = self.waiting.iter().map(Vec::capacity);
        live.sum::<usize>() + waiting.sum::<usize>() + size_of::<Self>()
    }
}
