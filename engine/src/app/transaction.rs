//! Transactions: what parsers find, and rules look at.

use super::buffer::{AppBuffer, AppField, level};
use super::file::File;
use super::output::Wants;
use super::proto::AppProto;
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
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Most buffers and numbers of a direction of a transaction.
pub(super) const MOST_ENTRIES: usize = 4096;

/// Most transactions that are kept because they are not complete; the oldest gives way.
pub const MOST_LIVE: usize = 256;

/// A piece of a direction's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) buffer: AppBuffer,
    pub(super) start: u32,
    pub(super) len: u32,
}

/// One direction of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) level: u8,
    pub(super) bytes: Vec<u8>,
    pub(super) pieces: Vec<Piece>,
    pub(super) numbers: Vec<(AppField, u64)>,
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
    /// What the flow spoke when it was begun, where that has changed since.
    pub(crate) past: Option<AppProto>,
    pub(super) events: Vec<&'static str>,
    pub(crate) files: Vec<File>,
    /// Buffers that were wanted ever since it began: of others, some may be missing.
    pub(crate) whole: Wants,
}

impl Transaction {
    pub(super) fn new(id: TxId, whole: Wants) -> Self {
        Self {
            id,
            whole,
            halves: Default::default(),
            past: None,
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

    /// The next buffer of a kind in a direction, and where to go on behind it; from the start with 0.
    pub fn next_buffer(&self, way: Way, buffer: AppBuffer, from: usize) -> Option<(usize, &[u8])> {
        let half = &self.halves[way as usize];
        let rest = half.pieces.get(from..)?;
        let at = rest.iter().position(|piece| piece.buffer == buffer)?;
        Some((from + at + 1, half.bytes_of(*rest.get(at)?)))
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
                + half.numbers.capacity() * size_of::<(AppField, u64)>()
                + (half.candidates.capacity() + half.matched.capacity()) * size_of::<RuleId>()
        });
        halves.sum::<usize>()
            + size_of::<Self>()
            + self.events.capacity() * size_of::<&str>()
            + self.files.iter().map(File::memory).sum::<usize>()
    }
}

impl Half {
    fn bytes_of(&self, piece: Piece) -> &[u8] {
        let start = piece.start as usize;
        self.bytes
            .get(start..start + piece.len as usize)
            .unwrap_or_default()
    }

    /// Anything is known of it.
    pub(crate) fn has_said(&self) -> bool {
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
