//! What is remembered of a connection, and the transactions that are under way.

use std::collections::VecDeque;

use super::file::{Placed, Transfer};
use super::names;
use super::transaction::{About, Common, FileId, Tx};
use crate::app::dcerpc::pdu::Interfaces;
use crate::app::{AppBuffer, AppField, FileState, Output, TxId, Way, level};

/// Most transactions that are under way; the oldest gives way.
const MOST_LIVE: usize = 256;

/// Most things of a kind that are remembered; the oldest gives way.
const MOST_REMEMBERED: usize = 256;

/// Longest name that is kept.
pub(super) const NAME_LIMIT: usize = 4096;

/// The latest of something, by keys.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    entries: VecDeque<(K, V)>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
        }
    }
}

impl<K: PartialEq, V> Recent<K, V> {
    pub fn put(&mut self, key: K, value: V) {
        self.take(&key);
        if self.entries.len() >= MOST_REMEMBERED {
            self.entries.pop_front();
        }
        self.entries.push_back((key, value));
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let found = self.entries.iter().rev().find(|(of, _)| of == key);
        found.map(|(_, value)| value)
    }

    pub fn take(&mut self, key: &K) -> Option<V> {
        let at = self.entries.iter().rposition(|(of, _)| of == key)?;
        self.entries.remove(at).map(|(_, value)| value)
    }

    /// Bytes that it holds, when this is what a value holds.
    pub fn memory(&self, of: impl Fn(&V) -> usize) -> usize {
        self.entries
            .iter()
            .map(|(_, value)| size_of::<(K, V)>() + of(value))
            .sum()
    }
}

/// Most dialects of an offer that are kept.
pub(super) const MOST_DIALECTS: usize = 64;

/// A record: a command, or its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// 1 or 2.
    pub version: u8,
    pub command: u16,
    pub status: u32,
    pub session: u64,
    pub tree: u32,
    /// What tells requests apart.
    pub message: u64,
    /// Text is UTF-16.
    pub unicode: bool,
    /// It says that it is an answer.
    pub answer: bool,
    /// From its header on; of a very long one only the beginning.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    pub fn u64(&self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    pub fn guid(&self, at: usize) -> Option<[u8; 16]> {
        self.bytes.get(at..)?.first_chunk().copied()
    }

    /// As many of these bytes as are there.
    pub fn part(&self, at: usize, length: u64) -> &'a [u8] {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        rest.get(..length).unwrap_or(rest)
    }

    /// Seconds since the Unix epoch of a time of Windows.
    pub fn time(&self, at: usize) -> Option<u64> {
        const EPOCH: u64 = 11_644_473_600;
        Some((self.u64(at)? / 10_000_000).saturating_sub(EPOCH))
    }
}

/// Data of a file whose rest is still to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flowing {
    pub file: FileId,
    /// Bytes that were there, and all bytes.
    pub seen: u64,
    pub length: u64,
    /// Where in the record they begin.
    pub at: usize,
}

/// Everything but the input.
#[derive(Debug, Default)]
pub(super) struct State {
    pub txs: VecDeque<Tx>,
    /// Names of open files.
    pub names: Recent<FileId, Vec<u8>>,
    /// Names of files that are being opened, by message.
    pub opening: Recent<u64, Vec<u8>>,
    /// File and offset of what is being read, by message.
    pub reading: Recent<u64, (FileId, u64)>,
    /// Files that are being closed, and pipes that are being asked (SMB 1), by message.
    pub closing: Recent<u64, FileId>,
    pub asking: Recent<u64, FileId>,
    /// Names of shares, and whether they are pipes, by session and tree.
    pub trees: Recent<(u64, u32), (Vec<u8>, bool)>,
    /// Parts of PDUs from pipes, by tree and file.
    pub parts: Recent<(u32, FileId), Vec<u8>>,
    pub interfaces: Interfaces,
    pub dialect: Option<u16>,
    pub dialect1: Option<String>,
    pub max_read: u32,
    pub max_write: u32,
}

impl State {
    fn common(&self) -> Common<'_> {
        Common {
            dialect: match (self.dialect, &self.dialect1) {
                (Some(dialect), _) => names::dialect(dialect),
                (None, Some(dialect)) => dialect.clone(),
                (None, None) => "unknown".to_owned(),
            },
            max_read: self.max_read,
            max_write: self.max_write,
            interfaces: &self.interfaces,
        }
    }

    /// Begins a transaction.
    pub fn begin(&mut self, r: &Record<'_>, about: About, out: &mut Output) -> TxId {
        let id = out.begin();
        self.begin_as(id, r, about, out);
        id
    }

    /// Begins a transaction under a number that it has got.
    pub fn begin_as(&mut self, id: TxId, r: &Record<'_>, about: About, out: &mut Output) {
        if self.txs.len() >= MOST_LIVE {
            if let Some(tx) = self.txs.front().filter(|tx| tx.done != [true; 2]) {
                out.event(tx.id, "smb.too_many_transactions");
            }
            self.finish_all(0, FileState::Truncated, out);
            self.txs.pop_front();
        }
        for way in Way::ALL {
            out.number(id, way, AppField::SmbVersion, u64::from(r.version));
        }
        self.txs.push_back(Tx {
            id,
            version: r.version,
            command: r.command,
            session: r.session,
            tree: r.tree,
            message: r.message,
            status: None,
            about,
            done: [false; 2],
        });
    }

    /// Begins a transaction whose request is all there.
    pub fn asked(&mut self, r: &Record<'_>, about: About, out: &mut Output) -> TxId {
        let id = self.begin(r, about, out);
        self.finish(self.txs.len() - 1, Way::ToServer, out);
        id
    }

    /// Forgets what nobody looks at any more.
    pub fn tidy(&mut self, out: &Output) {
        if self.txs.len() > 16 {
            self.txs
                .retain(|tx| tx.done != [true; 2] || out.get(tx.id).is_some());
        }
    }

    /// The last transaction that waits for this answer.
    pub fn waiting(&self, r: &Record<'_>) -> Option<usize> {
        let is_it = |tx: &Tx| {
            tx.version == r.version
                && tx.message == r.message
                && tx.command == r.command
                && !tx.done[1]
                && !matches!(tx.about, About::File { .. } | About::Call(_))
        };
        self.txs.iter().rposition(is_it)
    }

    /// An event of the latest transaction.
    pub fn event(&mut self, event: &'static str, out: &mut Output) {
        if let Some(tx) = self.txs.back() {
            out.event(tx.id, event);
        }
    }

    /// A direction of a transaction is over.
    pub fn finish(&mut self, at: usize, way: Way, out: &mut Output) {
        let Some(tx) = self.txs.get_mut(at) else {
            return;
        };
        if std::mem::replace(&mut tx.done[way as usize], true) {
            return;
        }
        let id = tx.id;
        if let About::Call(call) = &mut tx.about {
            let stub = std::mem::take(&mut call.stubs[way as usize]);
            if !stub.is_empty() {
                out.put(id, way, AppBuffer::DceStubData, &stub);
            }
        }
        if let About::Tree {
            name, pipe, put, ..
        } = &mut tx.about
            && way == Way::ToServer
        {
            if *pipe {
                out.put(id, way, AppBuffer::SmbNamedPipe, name);
            } else if !std::mem::replace(put, true) {
                out.put(id, way, AppBuffer::SmbShare, name);
            }
        }
        out.reach(id, way, level::DONE);
        if tx.done == [true; 2] && out.logs() {
            let fields = self.txs.get(at).map(|tx| tx.fields(&self.common()));
            out.log(Way::ToServer, "smb", fields.unwrap_or_default());
        }
    }

    /// The client goes on before a tree connect is answered: until then it is one to a share, as for Suricata.
    pub fn goes_on(&mut self, out: &mut Output) {
        for tx in &mut self.txs {
            if let About::Tree {
                name,
                put: put @ false,
                ..
            } = &mut tx.about
                && !tx.done[0]
            {
                *put = true;
                out.put(tx.id, Way::ToServer, AppBuffer::SmbShare, name);
                out.reach(tx.id, Way::ToServer, level::START);
            }
        }
    }

    /// All of a transaction is over.
    pub fn finish_all(&mut self, at: usize, state: FileState, out: &mut Output) {
        if let Some(tx) = self.txs.get_mut(at)
            && let About::File { transfer, .. } = &mut tx.about
            && tx.done != [true; 2]
        {
            transfer.close(state, out);
        }
        for way in Way::ALL {
            self.finish(at, way, out);
        }
    }

    /// A command was answered.
    pub fn answered(&mut self, r: &Record<'_>, out: &mut Output) {
        const PENDING: u32 = 0x103;
        let Some(at) = self.waiting(r) else { return };
        if let Some(tx) = self.txs.get_mut(at) {
            tx.status = Some(r.status);
            if r.status == PENDING {
                out.reach(tx.id, Way::ToClient, level::START);
                return;
            }
        }
        for way in Way::ALL {
            self.finish(at, way, out);
        }
    }

    /// The object of a transaction.
    pub fn describe(&self, id: TxId) -> Option<serde_json::Value> {
        let tx = self.txs.iter().find(|tx| tx.id == id)?;
        Some(tx.fields(&self.common()))
    }

    /// Closes a file in a direction.
    pub fn close(&mut self, way: Way, file: FileId, status: Option<u32>, out: &mut Output) {
        if let Some(at) = self
            .txs
            .iter_mut()
            .rposition(|tx| tx.transfer(way, file).is_some())
        {
            if let Some(tx) = self.txs.get_mut(at) {
                tx.status = status.or(tx.status);
            }
            self.finish_all(at, FileState::Closed, out);
        }
    }

    /// More bytes of the piece of a file that is under way.
    pub fn more(&mut self, way: Way, file: FileId, bytes: &[u8], out: &mut Output) {
        let mut transfers = self.txs.iter_mut().rev();
        if let Some(transfer) = transfers.find_map(|tx| tx.transfer(way, file)) {
            transfer.more(bytes, out);
        }
    }

    /// Bytes are missing in this direction.
    pub fn gap(&mut self, way: Way, out: &mut Output) {
        for tx in &mut self.txs {
            if let About::File { transfer, .. } = &mut tx.about
                && transfer.way == way
                && tx.done != [true; 2]
            {
                transfer.gap(out);
            }
        }
    }

    /// A piece of a file, or of what goes over a pipe; of a long one the rest is still to come.
    pub fn data(
        &mut self,
        r: &Record<'_>,
        way: Way,
        file: FileId,
        piece: (u64, u64, usize),
        out: &mut Output,
    ) -> Option<Flowing> {
        let (offset, length, at) = piece;
        let bytes = r.part(at, length);
        let open = |tx: &mut Tx| tx.transfer(way, file).is_some();
        if !self.txs.iter_mut().any(open) {
            let (share, pipe) = self
                .trees
                .get(&(r.session, r.tree))
                .cloned()
                .unwrap_or_default();
            let unknown = share.is_empty() && !pipe;
            if pipe || (unknown && self.looks_like_call(file, bytes)) {
                self.pipe(r, way, file, bytes, out);
                return None;
            }
            let name = self.names.get(&file).cloned();
            // What Suricata calls a file whose name was not seen.
            let nameless = r.version == 1 || way == Way::ToClient;
            let nothing = if nameless { &b"<unknown>"[..] } else { b"" };
            let name = name.unwrap_or_else(|| nothing.to_vec());
            let id = out.begin();
            let transfer = Transfer::open(id, way, &name, out);
            self.begin_as(
                id,
                r,
                About::File {
                    file,
                    name,
                    share,
                    transfer,
                },
                out,
            );
            out.reach(id, way, level::START);
        }
        let held = |tx: &Tx| match &tx.about {
            About::File { transfer, .. } => transfer.memory(),
            _ => 0,
        };
        let all: usize = self.txs.iter().map(held).sum();
        let mut transfers = self.txs.iter_mut().rev();
        let transfer = transfers.find_map(|tx| tx.transfer(way, file))?;
        let others = all.saturating_sub(transfer.memory());
        let placed = transfer.piece(offset, length, others, out);
        transfer.more(bytes, out);
        let event = match (placed, way) {
            (Placed::Fine, _) => None,
            (Placed::Overlap, _) => Some("smb.file_overlap"),
            (Placed::TooMuch, Way::ToServer) => Some("smb.write_queue_size_exceeded"),
            (Placed::TooMany, Way::ToServer) => Some("smb.write_queue_cnt_exceeded"),
            (Placed::TooMuch, Way::ToClient) => Some("smb.read_queue_size_exceeded"),
            (Placed::TooMany, Way::ToClient) => Some("smb.read_queue_cnt_exceeded"),
        };
        if let Some(event) = event {
            self.event(event, out);
        }
        let seen = bytes.len() as u64;
        (seen < length).then_some(Flowing {
            file,
            seen,
            length,
            at,
        })
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let txs: usize = self.txs.iter().map(Tx::memory).sum();
        txs + self.names.memory(Vec::len)
            + self.opening.memory(Vec::len)
            + self.reading.memory(|_| 0)
            + self.closing.memory(|_| 0)
            + self.asking.memory(|_| 0)
            + self.trees.memory(|(name, _)| name.len())
            + self.parts.memory(Vec::len)
            + self.interfaces.memory()
    }
}
