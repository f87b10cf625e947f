//! Files, as parsers tell them.

use super::Output;
use crate::app::file::{File, FileState};
use crate::app::transaction::{Transaction, TxId, Way};
use crate::app::{AppBuffer, AppField};

impl Output {
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

    /// Closes the files of both directions: they broke off.
    pub(crate) fn break_off_files(&mut self, id: TxId) {
        for way in Way::ALL {
            self.close_files(id, way, FileState::Truncated);
        }
    }
}
