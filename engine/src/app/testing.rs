//! What tests of parsers have in common.

use super::{AppBuffer, Output, Transaction, TxId, Way};

fn strings(tx: &Transaction, way: Way, buffer: AppBuffer) -> impl Iterator<Item = String> {
    let buffers = tx.buffers(way, buffer);
    buffers.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// All buffers of a kind in a direction, those of all transactions that are not over.
pub(crate) fn all(out: &Output, way: Way, buffer: AppBuffer) -> Vec<String> {
    let of_tx = |tx| strings(tx, way, buffer);
    out.transactions().flat_map(of_tx).collect()
}

/// The same of one transaction, which must be there.
pub(crate) fn all_of(out: &Output, tx: TxId, way: Way, buffer: AppBuffer) -> Vec<String> {
    let tx = out.get(tx).expect("a transaction");
    strings(tx, way, buffer).collect()
}

/// Events of all transactions that are not over.
pub(crate) fn events(out: &Output) -> Vec<&'static str> {
    let events = out.transactions().flat_map(|tx| tx.events());
    events.copied().collect()
}

/// Bytes of hexadecimal digits; what is none is passed over.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.chars().filter_map(|digit| digit.to_digit(16));
    let digits: Vec<_> = digits.collect();
    let pairs = digits.as_chunks::<2>().0.iter();
    pairs.map(|[high, low]| (high << 4 | low) as u8).collect()
}
