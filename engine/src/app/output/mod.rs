//! What a parser writes to: the transactions of a flow, and what else it says.

mod files;

use std::collections::VecDeque;
use std::net::IpAddr;

use super::buffer::{AppBuffer, AppField, level};
use super::proto::AppProto;
use super::transaction::{
    Half, MOST_BYTES, MOST_ENTRIES, MOST_LIVE, Piece, Transaction, TxId, Way,
};
use crate::flow::Endpoint;

/// Which buffers anyone looks at: what nobody wants need not be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub(super) buffers: [u64; 3],
}

impl Wants {
    /// Adds a buffer.
    pub fn add(&mut self, buffer: AppBuffer) {
        let at = buffer as usize;
        if let Some(word) = self.buffers.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// All buffers: for tests and tools.
    pub fn all() -> Self {
        Self {
            buffers: [u64::MAX; 3],
        }
    }

    /// True when the buffer is wanted.
    #[inline]
    pub fn has(&self, buffer: AppBuffer) -> bool {
        let at = buffer as usize;
        self.buffers
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// What a connection that is announced in another one will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Who will listen.
    pub server: Endpoint,
    /// Who will connect.
    pub client: IpAddr,
    /// What it will speak.
    pub proto: AppProto,
    /// What the parser of the new connection is told: for FTP data, 1 for `RETR`, 2 for `STOR`, and bit 8 where the file
    /// goes to the client of the new connection.
    pub hint: u64,
    /// A name that it is told ([`Parser::announced`](super::Parser::announced)): of the file, for FTP data.
    pub name: Vec<u8>,
}

/// A record about a transaction, for EVE.
#[derive(Clone, Debug)]
pub struct Record {
    /// `event_type`, and the name of the object in the record: `http`, `dns`, `tls`.
    pub kind: &'static str,
    /// The object.
    pub fields: serde_json::Value,
    /// Another object of the record, with its name: `email` beside `smtp`.
    pub more: Option<(&'static str, serde_json::Value)>,
}

/// Transactions of a flow, and what else its parser says. A parser writes to it.
#[derive(Debug, Default)]
pub struct Output {
    pub(crate) live: VecDeque<Transaction>,
    pub(crate) next: TxId,
    pub(crate) wants: Wants,
    /// Somebody reads records.
    pub(crate) logs: bool,
    /// Client and server of the flow.
    pub(crate) ends: Option<(Endpoint, Endpoint)>,
    /// Time of the packet at hand, nanoseconds since the Unix epoch.
    pub(crate) now_ns: u64,
    pub(crate) records: Vec<(Way, Record)>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) change: Option<AppProto>,
    /// What the next parser begins with, to the server, to the client.
    pub(crate) rest: [Vec<u8>; 2],
    /// What it is called from now on.
    pub(crate) rename: Option<AppProto>,
    /// What the next parser is told of what was before.
    pub(crate) told: Vec<u8>,
    pub(crate) failed: bool,
    pub(crate) opaque: bool,
    /// Transactions that gave way, buffers and numbers that found no room.
    pub(crate) dropped: u64,
    pub(crate) fresh: bool,
    /// Direction of the data at hand.
    pub(crate) way: Way,
}

impl Output {
    /// For a parser by itself, which is asked for everything: for tests and tools.
    pub fn everything() -> Self {
        Self {
            wants: Wants::all(),
            logs: true,
            ..Self::default()
        }
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> TxId {
        let id = self.next;
        self.next += 1;
        self.live.push_back(Transaction::new(id, self.wants));
        self.fresh = true;
        id
    }

    /// A transaction that is not over.
    pub fn get(&self, id: TxId) -> Option<&Transaction> {
        self.live.get(self.at(id)?)
    }

    fn at(&self, id: TxId) -> Option<usize> {
        let at = self.live.binary_search_by_key(&id, |tx| tx.id);
        at.ok()
    }

    fn tx(&mut self, id: TxId) -> Option<&mut Transaction> {
        let at = self.at(id)?;
        self.fresh = true;
        self.live.get_mut(at)
    }

    /// All transactions that are not over.
    pub fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.live.iter()
    }

    /// True when somebody looks at this buffer.
    #[inline]
    pub fn wants(&self, buffer: AppBuffer) -> bool {
        self.wants.has(buffer)
    }

    /// True when somebody reads records.
    pub fn logs(&self) -> bool {
        self.logs
    }

    /// Client and server of the flow.
    pub fn ends(&self) -> Option<(Endpoint, Endpoint)> {
        self.ends
    }

    /// Time of the packet at hand, nanoseconds since the Unix epoch.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Adds a buffer. What nobody [wants](Self::wants) is left out.
    pub fn put(&mut self, id: TxId, way: Way, buffer: AppBuffer, bytes: &[u8]) {
        if !self.wants(buffer) {
            return;
        }
        let mut full = false;
        if let Some(tx) = self.tx(id) {
            let half = &mut tx.halves[way as usize];
            half.fresh = true;
            full = half.bytes.len() + bytes.len() > MOST_BYTES || half.pieces.len() >= MOST_ENTRIES;
            if !full {
                let start = half.bytes.len() as u32;
                half.bytes.extend_from_slice(bytes);
                // What is complete sooner is searched sooner.
                let after = half
                    .pieces
                    .iter()
                    .rposition(|piece| piece.buffer.level() <= buffer.level());
                let at = after.map_or(0, |at| at + 1).max(half.searched);
                let piece = Piece {
                    buffer,
                    start,
                    len: bytes.len() as u32,
                };
                half.pieces.insert(at.min(half.pieces.len()), piece);
            }
        }
        self.dropped += u64::from(full);
    }

    /// Adds a number.
    pub fn number(&mut self, id: TxId, way: Way, field: AppField, number: u64) {
        let mut full = false;
        if let Some(tx) = self.tx(id) {
            let half = &mut tx.halves[way as usize];
            half.fresh = true;
            let numbers = &mut half.numbers;
            full = numbers.len() >= MOST_ENTRIES;
            if !full {
                numbers.push((field, number));
            }
        }
        self.dropped += u64::from(full);
    }

    /// Something is wrong with a transaction: the event's name in rules (`http.request_field_too_long`).
    pub fn event(&mut self, id: TxId, event: &'static str) {
        let way = self.way;
        if let Some(tx) = self.tx(id)
            && !tx.events.contains(&event)
        {
            tx.events.push(event);
            // The other side's rules see it when something of theirs comes.
            tx.halves[way as usize].fresh = true;
        }
    }

    /// A direction has come so far ([`level`]); it never goes back.
    pub fn reach(&mut self, id: TxId, way: Way, level: u8) {
        if let Some(tx) = self.tx(id) {
            let half = &mut tx.halves[way as usize];
            half.fresh |= half.level < level;
            half.level = half.level.max(level);
        }
    }

    /// Nothing more comes in either direction. A direction that has said nothing is not looked at.
    pub fn finish(&mut self, id: TxId) {
        let own = self.way;
        if let Some(tx) = self.tx(id) {
            let mute = !tx.halves.iter().any(Half::has_said);
            for way in Way::ALL {
                let half = &mut tx.halves[way as usize];
                let looks = half.has_said() || mute && way == own;
                half.fresh |= half.level < level::DONE && looks;
                half.level = level::DONE;
            }
        }
    }

    /// What is new in a direction is not looked at.
    pub(crate) fn leave(&mut self, id: TxId, way: Way) {
        if let Some(tx) = self.tx(id) {
            tx.halves[way as usize].fresh = false;
        }
    }

    /// A record, where somebody [reads](Self::logs) them; `way` says from which side it is told.
    pub fn log(&mut self, way: Way, kind: &'static str, fields: serde_json::Value) {
        self.log_with(way, kind, fields, None);
    }

    /// A record with another object.
    pub fn log_with(
        &mut self,
        way: Way,
        kind: &'static str,
        fields: serde_json::Value,
        more: Option<(&'static str, serde_json::Value)>,
    ) {
        if self.logs {
            self.records.push((way, Record { kind, fields, more }));
            self.fresh = true;
        }
    }

    /// Another connection was announced.
    pub fn expect(&mut self, expected: Expected) {
        if self.expected.len() < 16 {
            self.expected.push(expected);
        }
    }

    /// From here on the flow speaks this; [`AppProto::Failed`]: what it speaks is to be found out.
    pub fn change_to(&mut self, proto: AppProto) {
        self.change = Some(proto);
    }

    /// What has come in a direction already of what [the flow speaks from here on](Self::change_to).
    pub fn leave_over(&mut self, way: Way, rest: &[u8]) {
        self.rest[way as usize] = rest.to_vec();
    }

    /// The same parser goes on, but the flow is called this: HTTP/2 that turned out to carry DNS.
    pub fn rename(&mut self, proto: AppProto) {
        self.rename = Some(proto);
    }

    /// What the parser after [`change_to`](Self::change_to) is told ([`Parser::announced`](super::Parser::announced)).
    pub fn tell(&mut self, told: Vec<u8>) {
        self.told = told;
    }

    /// Something of a transaction found no room.
    pub(crate) fn drop_some(&mut self) {
        self.dropped += 1;
    }

    /// How many transactions were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.next
    }

    /// This is not what the parser was made for; it gets no more data.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// What follows is encrypted: nobody looks into payloads any more.
    pub fn opaque(&mut self) {
        self.opaque = true;
    }

    /// Forgets what is done and was looked at. What is done, and was not looked at when it could have been, goes once
    /// there is too much: of datagrams, only those of one direction may ever come.
    pub(crate) fn sweep(&mut self) {
        self.live
            .retain(|tx| !tx.is_done() || tx.halves.iter().any(|half| half.fresh));
        while self.live.len() > MOST_LIVE && self.live.front().is_some_and(Transaction::is_done) {
            self.live.pop_front();
        }
    }

    /// No more data comes in a direction: what was wrong before was told with the data that came.
    pub(crate) fn settle_events(&mut self, way: Way) {
        for tx in &mut self.live {
            tx.halves[way as usize].events_seen = tx.events.len();
        }
    }

    /// Nothing more comes of any transaction.
    pub(crate) fn finish_all(&mut self) {
        for at in 0..self.live.len() {
            if let Some(id) = self.live.get(at).map(|tx| tx.id) {
                self.break_off_files(id);
                self.finish(id);
            }
        }
    }

    /// Ends the oldest transactions where there are too many.
    pub(crate) fn crowd(&mut self) {
        let over = self.live.len().saturating_sub(MOST_LIVE);
        for at in 0..over {
            let Some(id) = self.live.get(at).map(|tx| tx.id) else {
                break;
            };
            self.break_off_files(id);
            if let Some(tx) = self.live.get_mut(at) {
                self.dropped += u64::from(!tx.is_done());
                for half in &mut tx.halves {
                    half.fresh |= half.level < level::DONE;
                    half.level = level::DONE;
                }
            }
        }
    }

    /// Counts everything as looked at, as the engine does after each piece of data: for tests and tools.
    pub fn look(&mut self) {
        self.crowd();
        for tx in &mut self.live {
            tx.halves.iter_mut().for_each(|half| half.fresh = false);
        }
        self.sweep();
        self.records.clear();
        self.expected.clear();
        self.fresh = false;
    }

    /// True when the parser gave up, or another one is to go on.
    pub fn is_over(&self) -> bool {
        self.failed || self.change.is_some()
    }

    /// Bytes that transactions hold.
    pub fn memory(&self) -> usize {
        self.live.iter().map(Transaction::memory).sum()
    }
}
