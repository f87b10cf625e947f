//! What parsers remember of transactions, for records of alerts about them.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Output, TxId};

/// Most bytes that are remembered in a flow; the oldest give way.
const MOST_BYTES: usize = 4 << 20;

/// Something that says how many bytes it holds, itself among them.
pub(crate) trait Held {
    /// As the allocator sees it, roughly.
    fn held(&self) -> usize;
}

impl Held for Value {
    /// For objects that parsers make, whose depth is theirs to bound.
    fn held(&self) -> usize {
        /// What a map needs beside keys and values.
        const ENTRY: usize = 48;
        size_of::<Self>()
            + match self {
                Self::String(text) => text.capacity(),
                Self::Array(values) => values.iter().map(Held::held).sum(),
                Self::Object(object) => {
                    let entries = object.iter();
                    let held = |(key, value): (&String, &Self)| ENTRY + key.len() + value.held();
                    entries.map(held).sum()
                }
                Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            }
    }
}

/// What is known of transactions, in their order, for as long as these live.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    entries: VecDeque<(TxId, T)>,
    bytes: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T: Held> Remembered<T> {
    /// Remembers something of a transaction that has just begun. What gives way to it is counted, while somebody may
    /// still ask for it.
    pub(crate) fn put(&mut self, tx: TxId, what: T, out: &mut Output) {
        self.bytes += what.held();
        self.entries.push_back((tx, what));
        while self.bytes > MOST_BYTES
            && self.entries.len() > 1
            && let Some(oldest) = self.take_oldest()
        {
            out.dropped += u64::from(out.get(oldest).is_some());
        }
    }

    fn take_oldest(&mut self) -> Option<TxId> {
        let (tx, what) = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(what.held());
        Some(tx)
    }

    /// Forgets transactions that are over and were looked at.
    pub(crate) fn forget(&mut self, out: &Output) {
        while let Some((tx, _)) = self.entries.front()
            && out.get(*tx).is_none()
        {
            self.take_oldest();
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
    }

    /// What is known of a transaction.
    pub(crate) fn get(&self, tx: TxId) -> Option<&T> {
        let at = self.entries.binary_search_by_key(&tx, |(id, _)| *id).ok()?;
        self.entries.get(at).map(|(_, what)| what)
    }

    /// Bytes that all of it holds.
    pub(crate) fn memory(&self) -> usize {
        self.bytes + self.entries.capacity() * size_of::<TxId>()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lives_is_known_and_what_is_over_forgotten() {
        let (mut known, mut out) = (Remembered::default(), Output::everything());
        for number in 0..1000 {
            let tx = out.begin();
            out.finish(tx);
            known.put(tx, json!({"number": number}), &mut out);
        }
        assert_eq!(known.get(0), Some(&json!({"number": 0})));
        assert_eq!(known.get(999), Some(&json!({"number": 999})));
        known.forget(&out);
        assert!(known.get(0).is_some() && known.memory() > 1000 * 32);
        out.look();
        known.forget(&out);
        assert_eq!((known.get(0), known.get(999)), (None, None));
        assert_eq!((known.memory(), out.dropped), (0, 0));
    }

    #[test]
    fn bytes_are_bounded_and_what_gives_way_counted() {
        let (mut known, mut out) = (Remembered::default(), Output::everything());
        for _ in 0..9 {
            let tx = out.begin();
            let text = "x".repeat(1 << 20);
            known.put(tx, json!([text, {"key": [1, 2]}]), &mut out);
            assert!(known.memory() <= MOST_BYTES + 64);
        }
        assert_eq!(out.dropped, 6);
        assert!(known.get(5).is_none() && known.get(6).is_some());
        // One that is too large by itself is all that is known.
        let tx = out.begin();
        known.put(tx, json!("x".repeat(5 << 20)), &mut out);
        assert!(known.get(tx).is_some() && known.get(tx - 1).is_none());
    }
}
