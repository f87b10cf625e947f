//! The transactions of a connection: what htp tells of them while it is fed, and what becomes of that.

use std::collections::VecDeque;

use suricata_htp::request::HtpMethod;

use super::body::Body;
use super::htp::{self, Connection, Tx};
use super::{buffers, events, log};
use crate::app::{Output, TxId, Way, level};

/// Most bytes of header lines that are kept as they came, a direction.
const MOST_RAW: usize = 256 * 1024;

/// One direction of a transaction.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// How far buffers have been put.
    level: u8,
    pub(super) raw: Vec<u8>,
    /// Bytes of header lines.
    headers: usize,
    pub(super) body: Body,
}

/// A transaction of htp's and ours.
#[derive(Debug)]
pub(super) struct Entry {
    /// htp's number.
    pub(super) number: usize,
    pub(super) id: TxId,
    pub(super) sides: [Side; 2],
    flags: u64,
    logged: bool,
}

impl Entry {
    pub(super) fn is_done(&self) -> bool {
        self.sides.iter().all(|side| side.level >= level::DONE)
    }

    /// Bytes of its header lines.
    pub(super) fn headers(&self) -> usize {
        self.sides.iter().map(|side| side.headers).sum()
    }
}

/// The transactions that have begun and are not forgotten, by htp's numbers, which go up.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) live: VecDeque<Entry>,
    /// How many responses were complete.
    pub(super) responses: usize,
    /// The first request was a CONNECT that the server agrees to.
    pub(super) tunnel: Option<Tunnel>,
}

/// A CONNECT that the server agrees to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    /// htp's number of the transaction.
    number: usize,
    /// So many bytes of what the server has sent last are headers.
    pub(super) used: usize,
    /// They are all: the empty line has come.
    whole: bool,
}

impl Tunnel {
    /// What follows is in the tunnel.
    pub(super) fn is_open(self, connection: &Connection) -> bool {
        let tx = connection.tx(self.number);
        self.whole || tx.is_some_and(|tx| tx.level(Way::ToClient) >= level::HEAD)
    }
}

impl Entries {
    /// The entry of a transaction; it begins one where there is none.
    pub(super) fn of(&mut self, tx: Tx<'_>, out: &mut Output) -> &mut Entry {
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

    /// Bytes of header lines of all of them.
    pub(super) fn headers(&self) -> usize {
        self.live.iter().map(Entry::headers).sum()
    }

    pub(super) fn id_of(&self, number: usize) -> Option<TxId> {
        let at = self
            .live
            .binary_search_by_key(&number, |entry| entry.number);
        at.ok().and_then(|at| self.live.get(at)).map(|of| of.id)
    }
}

/// Takes what htp tells while it is fed.
pub(super) struct Feed<'a> {
    pub(super) entries: &'a mut Entries,
    pub(super) out: &'a mut Output,
}

impl htp::Events for Feed<'_> {
    fn raw_headers(&mut self, way: Way, tx: Tx<'_>, data: &[u8], used: usize) {
        let first = self.entries.responses == 0;
        let entry = self.entries.of(tx, self.out);
        let side = &mut entry.sides[way as usize];
        side.headers += data.len();
        if side.level < level::HEAD {
            let room = MOST_RAW.saturating_sub(side.raw.len()).min(data.len());
            side.raw
                .extend_from_slice(data.get(..room).unwrap_or_default());
            if room < data.len() {
                self.out.drop_some();
            }
        }
        // Trailers that come later are too late for rules.
        if first && way == Way::ToClient && is_tunnel(tx) {
            let whole = is_whole(&side.raw);
            self.entries.tunnel = Some(Tunnel {
                number: tx.number(),
                used,
                whole,
            });
        }
    }

    fn body(&mut self, way: Way, tx: Tx<'_>, data: &[u8]) {
        if self.entries.tunnel.is_some() {
            // What follows the headers is in the tunnel.
            return;
        }
        let entry = self.entries.of(tx, self.out);
        entry.sides[way as usize]
            .body
            .data(entry.id, way, tx, data, self.out);
    }

    fn body_gap(&mut self, way: Way, tx: Tx<'_>) {
        let entry = self.entries.of(tx, self.out);
        entry.sides[way as usize].body.gap(entry.id, self.out);
    }

    fn response_complete(&mut self) {
        self.entries.responses += 1;
    }
}

/// Header lines end with an empty one.
fn is_whole(lines: &[u8]) -> bool {
    matches!(
        lines,
        b"\n" | b"\r\n" | [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n']
    )
}

/// The server agrees to a CONNECT.
pub(super) fn is_tunnel(tx: Tx<'_>) -> bool {
    let status = tx.status_number();
    tx.method_number() == HtpMethod::CONNECT
        && status.is_some_and(|status| (200..300).contains(&status))
}

/// Puts what a transaction has by now; a direction that is `over` comes to its end whatever it lacks.
pub(super) fn look(entry: &mut Entry, tx: Tx<'_>, over: [bool; 2], out: &mut Output) {
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
            // What htp keeps of them is known now: less, where names were repeated.
            let kept = tx
                .headers(way)
                .map(|(name, value)| name.len() + value.len());
            side.headers = side.headers.min(kept.sum());
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
