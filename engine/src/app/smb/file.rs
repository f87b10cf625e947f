//! Files that are written and read in pieces, in any order.

use std::collections::BTreeMap;

use crate::app::{FileState, Output, TxId, Way};

/// Most bytes and pieces that wait because what comes before them is missing.
const MOST_WAITING: usize = 1 << 20;
const MOST_PIECES: usize = 64;

/// Most bytes that wait in all files of a flow.
const MOST_OF_FLOW: usize = 4 << 20;

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    Fine,
    /// Some of it was there already.
    Overlap,
    /// Too much waits.
    TooMuch,
    /// Too many pieces wait.
    TooMany,
}

/// A file of a transaction.
#[derive(Debug)]
pub(super) struct Transfer {
    pub tx: TxId,
    pub way: Way,
    /// In [`Output`].
    number: usize,
    /// So much was added.
    pub done: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    held: usize,
    /// Where the piece goes that is under way; `None` where it is dropped.
    at: Option<u64>,
}

impl Transfer {
    /// Opens a file.
    pub fn open(tx: TxId, way: Way, name: &[u8], out: &mut Output) -> Self {
        Self {
            tx,
            way,
            number: out.open_file(tx, way, name),
            done: 0,
            waiting: BTreeMap::new(),
            held: 0,
            at: None,
        }
    }

    /// A piece of this length begins at an offset; its bytes follow ([`more`](Self::more)). `others` is what pieces of
    /// other files hold that wait.
    pub fn piece(&mut self, offset: u64, length: u64, others: usize, out: &mut Output) -> Placed {
        self.at = Some(offset);
        if offset == self.done {
            return Placed::Fine;
        }
        let fits = usize::try_from(length).is_ok_and(|length| {
            let held = self.held.saturating_add(length);
            held <= MOST_WAITING && held.saturating_add(others) <= MOST_OF_FLOW
        });
        if offset < self.done || self.waiting.contains_key(&offset) {
            // What was there already is what counts.
            self.at = None;
            out.file_gap(self.tx, self.number);
            return Placed::Overlap;
        }
        if !fits || self.waiting.len() >= MOST_PIECES {
            self.at = None;
            out.file_gap(self.tx, self.number);
            return if fits {
                Placed::TooMany
            } else {
                Placed::TooMuch
            };
        }
        self.waiting.entry(offset).or_default();
        Placed::Fine
    }

    /// More bytes of the piece at hand.
    pub fn more(&mut self, bytes: &[u8], out: &mut Output) {
        let Some(at) = self.at else { return };
        if at == self.done {
            out.file_data(self.tx, self.number, bytes);
            self.done += bytes.len() as u64;
            self.at = Some(self.done);
            self.follow(out);
        } else if let Some(piece) = self.waiting.get_mut(&at)
            && self.held + bytes.len() <= MOST_WAITING
        {
            piece.extend_from_slice(bytes);
            self.held += bytes.len();
        }
    }

    /// What waited for this.
    fn follow(&mut self, out: &mut Output) {
        while let Some(piece) = self.waiting.remove(&self.done) {
            self.held = self.held.saturating_sub(piece.len());
            out.file_data(self.tx, self.number, &piece);
            self.done += piece.len() as u64;
            if piece.is_empty() {
                break;
            }
        }
    }

    /// Some of it is missing.
    pub fn gap(&mut self, out: &mut Output) {
        self.at = None;
        out.file_gap(self.tx, self.number);
    }

    /// It is closed.
    pub fn close(&mut self, state: FileState, out: &mut Output) {
        if self.held > 0 {
            out.file_gap(self.tx, self.number);
        }
        self.waiting.clear();
        self.held = 0;
        out.close_file(self.tx, self.number, state);
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.held + self.waiting.len() * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppBuffer;

    #[test]
    fn pieces_come_in_any_order() {
        let mut out = Output::everything();
        let tx = out.begin();
        let mut file = Transfer::open(tx, Way::ToServer, b"n", &mut out);
        let mut put = |offset, bytes: &[u8], out: &mut Output| {
            let placed = file.piece(offset, bytes.len() as u64, 0, out);
            bytes.chunks(2).for_each(|part| file.more(part, out));
            placed
        };
        assert_eq!(put(0, b"one", &mut out), Placed::Fine);
        assert_eq!(put(6, b"three", &mut out), Placed::Fine);
        assert_eq!(put(3, b"two", &mut out), Placed::Fine);
        assert_eq!(put(1, b"xx", &mut out), Placed::Overlap);
        assert_eq!(
            put(100, &vec![0; MOST_WAITING + 1], &mut out),
            Placed::TooMuch
        );
        file.close(FileState::Closed, &mut out);
        let tx = out.get(tx).expect("a transaction");
        let data: Vec<_> = tx.buffers(Way::ToServer, AppBuffer::FileData).collect();
        assert_eq!(data, [b"onetwothree"]);
        assert!(tx.files()[0].gaps());
    }

    #[test]
    fn a_piece_that_waits_counts_once() {
        let mut out = Output::everything();
        let tx = out.begin();
        let mut file = Transfer::open(tx, Way::ToServer, b"n", &mut out);
        for bytes in [b"two", b"TWO"] {
            file.piece(3, 3, 0, &mut out);
            file.more(bytes, &mut out);
        }
        assert_eq!(file.piece(3, 3, 0, &mut out), Placed::Overlap);
        file.piece(0, 3, 0, &mut out);
        file.more(b"one", &mut out);
        file.close(FileState::Closed, &mut out);
        let found = crate::app::testing::all(&out, Way::ToServer, AppBuffer::FileData);
        assert_eq!(found, ["onetwo"]);
    }

    #[test]
    fn other_files_count() {
        let mut out = Output::everything();
        let tx = out.begin();
        let mut file = Transfer::open(tx, Way::ToServer, b"n", &mut out);
        assert_eq!(file.piece(9, 1, MOST_OF_FLOW, &mut out), Placed::TooMuch);
        assert_eq!(file.piece(9, 1, 0, &mut out), Placed::Fine);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut out = Output::everything();
        let tx = out.begin();
        let mut file = Transfer::open(tx, Way::ToServer, b"n", &mut out);
        for at in 1..1000 {
            let placed = file.piece(at * 1_000_000, 40_000, 0, &mut out);
            assert_eq!(placed == Placed::Fine, at <= 26, "{at} {placed:?}");
            file.more(&[7; 40_000], &mut out);
            assert!(file.memory() < 2 * MOST_WAITING);
        }
    }
}
