//! Transactions: what parsers find, and rules look at.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::buffer::{AppBuffer, AppField, level};
use super::file::{File, FileState};
use super::proto::AppProto;
use crate::flow::Endpoint;
use crate::plan::RuleId;

/// Number of a transaction in its flow, from 0.
pub type TxId = u64;

/// To the server (0) or to the client (1): an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Way {
    /// What the client sends.
    #[default]
    ToServer = 0,
    /// What the server sends.
    ToClient = 1,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// The way with this index.
    pub fn of(way: usize) -> Self {
        if way == 0 {
            Self::ToServer
        } else {
            Self::ToClient
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// What is kept of a direction of a transaction beside what rules asked for: 1 MiB, whatever a parser puts.
const MOST_BYTES: usize = 1 << 20;

/// Most buffers and numbers of a direction of a transaction.
const MOST_ENTRIES: usize = 4096;

/// Most transactions that are kept because they are not complete; the oldest gives way.
pub const MOST_LIVE: usize = 256;

/// A piece of a direction's bytes.
#[derive(Clone, Copy, Debug)]
struct Piece {
    buffer: AppBuffer,
    start: u32,
    len: u32,
}

/// One direction of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) level: u8,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    numbers: Vec<(AppField, u64)>,
    /// Pieces from here on have not been searched for probes.
    pub(crate) searched: usize,
    /// Rules that are to be evaluated once what they look at is complete, in order, each once.
    pub(crate) candidates: Vec<RuleId>,
    /// Rules that matched in this direction.
    pub(crate) matched: Vec<RuleId>,
    /// Rules that need no probe were made candidates.
    pub(crate) begun: bool,
    /// Something changed since rules last looked.
    pub(crate) fresh: bool,
    /// How many events rules have seen.
    pub(crate) events_seen: usize,
}

/// A transaction: a request and its answer, or a message.
#[derive(Debug)]
pub struct Transaction {
    /// Its number.
    pub id: TxId,
    pub(crate) halves: [Half; 2],
    events: Vec<&'static str>,
    pub(crate) files: Vec<File>,
    /// Buffers that were wanted ever since it began: of others, some may be missing.
    pub(crate) whole: Wants,
}

impl Transaction {
    fn new(id: TxId, whole: Wants) -> Self {
        Self {
            id,
            whole,
            halves: Default::default(),
            events: Vec::new(),
            files: Vec::new(),
        }
    }

    /// How far a direction has come ([`level`]).
    pub fn level(&self, way: Way) -> u8 {
        self.halves[way as usize].level
    }

    /// True when nothing more can come.
    pub fn is_done(&self) -> bool {
        self.halves.iter().all(|half| half.level >= level::DONE)
    }

    /// All buffers of a kind in a direction.
    pub fn buffers(&self, way: Way, buffer: AppBuffer) -> impl Iterator<Item = &[u8]> {
        let half = &self.halves[way as usize];
        let of_kind = half
            .pieces
            .iter()
            .filter(move |piece| piece.buffer == buffer);
        of_kind.map(|piece| half.bytes_of(*piece))
    }

    /// All numbers of a kind in a direction.
    pub fn numbers(&self, way: Way, field: AppField) -> impl Iterator<Item = u64> {
        let numbers = self.halves[way as usize].numbers.iter();
        numbers
            .filter(move |(of, _)| *of == field)
            .map(|&(_, number)| number)
    }

    /// Events, by their names in rules.
    pub fn events(&self) -> &[&'static str] {
        &self.events
    }

    /// Its files.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let halves = self.halves.iter().map(|half| {
            half.bytes.capacity()
                + half.pieces.capacity() * size_of::<Piece>()
                + (half.candidates.capacity() + half.matched.capacity()) * size_of::<RuleId>()
        });
        halves.sum::<usize>() + size_of::<Self>() + self.files.len() * size_of::<File>()
    }
}

impl Half {
    /// Gives rules other numbers: those of which `goes_on` says none are forgotten, those of which `matched` says none may
    /// match again.
    pub(crate) fn renumber(
        &mut self,
        goes_on: impl Fn(RuleId) -> Option<RuleId>,
        matched: impl Fn(RuleId) -> Option<RuleId>,
    ) {
        fn renumber(list: &mut Vec<RuleId>, number: impl Fn(RuleId) -> Option<RuleId>) {
            list.retain_mut(|rule| number(*rule).map(|new| *rule = new).is_some());
            list.sort_unstable();
            list.dedup();
        }
        renumber(&mut self.candidates, goes_on);
        renumber(&mut self.matched, matched);
    }

    fn bytes_of(&self, piece: Piece) -> &[u8] {
        let start = piece.start as usize;
        self.bytes
            .get(start..start + piece.len as usize)
            .unwrap_or_default()
    }

    /// Anything is known of it.
    fn has_said(&self) -> bool {
        !self.pieces.is_empty() || !self.numbers.is_empty() || self.level > level::BEGUN
    }

    /// Pieces that have not been searched and are complete.
    pub(crate) fn unsearched(&self) -> impl Iterator<Item = (usize, AppBuffer, &[u8])> {
        let level = self.level;
        let pieces = self.pieces.iter().enumerate().skip(self.searched);
        let complete = pieces.take_while(move |(_, piece)| piece.buffer.level() <= level);
        complete.map(|(at, piece)| (at, piece.buffer, self.bytes_of(*piece)))
    }
}

/// Which buffers anyone looks at: what nobody wants need not be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    buffers: [u64; 3],
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

    /// What both want.
    fn both(self, other: Self) -> Self {
        let mut buffers = self.buffers;
        for (word, other) in buffers.iter_mut().zip(other.buffers) {
            *word &= other;
        }
        Self { buffers }
    }

    /// True when it has all that the other one wants.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.both(other) == other
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
    /// What the next parser begins with.
    pub(crate) rest: Vec<u8>,
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

    /// From now on somebody looks at these buffers, and no others.
    pub(crate) fn change_wants(&mut self, wants: Wants) {
        self.wants = wants;
        for tx in &mut self.live {
            tx.whole = tx.whole.both(wants);
        }
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

    /// A file begins in a transaction; its number there.
    pub fn open_file(&mut self, id: TxId, way: Way, name: &[u8]) -> usize {
        let hashes = [
            AppBuffer::FileMd5,
            AppBuffer::FileSha1,
            AppBuffer::FileSha256,
        ];
        let wanted = hashes.map(|hash| self.wants(hash) || self.logs);
        let number = self.tx(id).map(|tx| {
            tx.files.push(File::new(way, name, wanted));
            tx.files.len() - 1
        });
        self.put(id, way, AppBuffer::FileName, name);
        if number.is_some() {
            self.number(id, way, AppField::FileStored, 1);
        }
        number.unwrap_or(usize::MAX)
    }

    /// More of a file.
    pub fn file_data(&mut self, id: TxId, file: usize, bytes: &[u8]) {
        let at = self.at(id);
        let tx = at.and_then(|at| self.live.get_mut(at));
        if let Some(file) = tx.and_then(|tx| tx.files.get_mut(file)) {
            file.add(bytes);
        }
    }

    /// How many bytes of a file are kept for `file.data`.
    pub fn file_kept(&self, id: TxId, file: usize) -> usize {
        let file = self.get(id).and_then(|tx| tx.files.get(file));
        file.map_or(0, |file| file.data().len())
    }

    /// Some of a file is missing.
    pub fn file_gap(&mut self, id: TxId, file: usize) {
        let at = self.at(id);
        let tx = at.and_then(|at| self.live.get_mut(at));
        if let Some(file) = tx.and_then(|tx| tx.files.get_mut(file)) {
            file.gap();
        }
    }

    /// All of a file that rules are to see was seen, and it goes on: its data and magic become buffers now, its size and
    /// hashes when it [closes](Self::close_file).
    pub fn fill_file(&mut self, id: TxId, file: usize) {
        let Some(tx) = self.tx(id) else { return };
        let Some(of_tx) = tx.files.get_mut(file).filter(|file| !file.is_full()) else {
            return;
        };
        let (way, data, magic) = (of_tx.way(), of_tx.fill(), of_tx.magic());
        self.put(id, way, AppBuffer::FileData, &data);
        if let Some(magic) = magic {
            self.put(id, way, AppBuffer::FileMagic, magic.as_bytes());
        }
    }

    /// A file ends: its data, magic, hashes and size become buffers.
    pub fn close_file(&mut self, id: TxId, file: usize, state: FileState) {
        let Some(tx) = self.tx(id) else { return };
        let Some(of_tx) = tx
            .files
            .get_mut(file)
            .filter(|file| file.state() == FileState::Open)
        else {
            return;
        };
        of_tx.close(state);
        let info = of_tx.describe(id);
        let (way, size) = (of_tx.way(), of_tx.size());
        let hashes = of_tx.hashes();
        self.fill_file(id, file);
        let kinds = [
            AppBuffer::FileMd5,
            AppBuffer::FileSha1,
            AppBuffer::FileSha256,
        ];
        for (kind, hash) in kinds.into_iter().zip(hashes) {
            if let Some(hash) = hash {
                self.put(id, way, kind, &hash);
            }
        }
        if self.logs {
            self.log(way, "fileinfo", info);
        }
        self.number(id, way, AppField::FileSize, size);
    }

    /// Closes the files of a direction that are open.
    pub fn close_files(&mut self, id: TxId, way: Way, state: FileState) {
        let count = self.get(id).map_or(0, |tx| tx.files.len());
        for file in 0..count {
            let of_way =
                |tx: &Transaction| tx.files.get(file).is_some_and(|file| file.way() == way);
            if self.get(id).is_some_and(of_way) {
                self.close_file(id, file, state);
            }
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
        }
    }

    /// Another connection was announced.
    pub fn expect(&mut self, expected: Expected) {
        if self.expected.len() < 16 {
            self.expected.push(expected);
        }
    }

    /// From here on the flow speaks this; [`AppProto::Failed`]: what it speaks is to be found out.
    /// `rest`: what has come of it already, in the direction at hand.
    pub fn change_to(&mut self, proto: AppProto, rest: &[u8]) {
        self.change = Some(proto);
        self.rest = rest.to_vec();
    }

    /// The same parser goes on, but the flow is called this: HTTP/2 that turned out to carry DNS.
    pub fn rename(&mut self, proto: AppProto) {
        self.rename = Some(proto);
    }

    /// What the parser after [`change_to`](Self::change_to) is told ([`Parser::announced`](super::Parser::announced)).
    pub fn tell(&mut self, told: Vec<u8>) {
        self.told = told;
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

    /// The transactions that are to be looked at. What is done and was looked at goes.
    pub(crate) fn sweep(&mut self) {
        self.live
            .retain(|tx| !tx.is_done() || tx.halves.iter().any(|half| half.fresh));
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
                for way in Way::ALL {
                    self.close_files(id, way, FileState::Truncated);
                }
                self.finish(id);
            }
        }
    }

    /// Ends the oldest transactions where there are too many.
    pub(crate) fn crowd(&mut self) {
        let over = self.live.len().saturating_sub(MOST_LIVE);
        for at in 0..over {
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
