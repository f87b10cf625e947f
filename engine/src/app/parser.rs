//! The contract of a parser.

use super::AppProto;
use super::output::Output;
use super::transaction::{TxId, Way};

/// Reads one flow of one protocol.
///
/// It takes data as it comes, in any pieces, takes all of it each time, and keeps what it needs of it: bounded, whatever
/// the peers send. It never blocks and never panics. What it finds it says to an [`Output`]: it begins transactions, puts
/// buffers and numbers into them, raises how far each direction has come, and says what is wrong. What nobody
/// [wants](Output::wants) it need not make.
pub trait Parser: Send {
    /// What it reads.
    fn proto(&self) -> AppProto;

    /// The connection was announced in another one, with this name: of a file, for FTP data. Before the first data.
    fn announced(&mut self, _name: &[u8]) {}

    /// The next bytes of one direction; for UDP a datagram.
    fn data(&mut self, way: Way, data: &[u8], out: &mut Output);

    /// Bytes are missing here, nobody knows how many. A parser that cannot go on says so ([`Output::fail`]).
    fn gap(&mut self, way: Way, out: &mut Output);

    /// The same, where it is known how many bytes are missing.
    fn gap_of(&mut self, way: Way, missing: u64, out: &mut Output) {
        let _ = missing;
        self.gap(way, out);
    }

    /// Nothing more comes in this direction: what can be known of its transactions now is final.
    fn end(&mut self, way: Way, out: &mut Output);

    /// The object that EVE shows for a transaction in alerts (`http`, `dns`, `tls` …), with Suricata's names; `None` where
    /// there is nothing to show.
    fn describe(&self, tx: TxId, out: &Output) -> Option<(&'static str, serde_json::Value)>;

    /// A second object beside that of [`describe`](Self::describe): `email` beside `smtp`.
    fn describe_more(&self, _tx: TxId, _out: &Output) -> Option<(&'static str, serde_json::Value)> {
        None
    }

    /// Bytes that it holds beside transactions.
    fn memory(&self) -> usize;
}

/// Bytes that wait until a message is complete, up to a limit.
#[derive(Debug, Default)]
pub struct Pending {
    bytes: Vec<u8>,
}

impl Pending {
    /// Adds bytes; false where there would be more than `limit`, and then nothing is added.
    #[must_use]
    pub fn add(&mut self, bytes: &[u8], limit: usize) -> bool {
        let fits = self.bytes.len() + bytes.len() <= limit;
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// What waits.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first bytes have been dealt with.
    pub fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        if self.bytes.is_empty() && self.bytes.capacity() > 4096 {
            self.bytes = Vec::new();
        }
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}
