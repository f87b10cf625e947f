//! Buffers as Wasm asks for them: by their place among several of a kind.

use weir_engine::app::{AppBuffer, Transaction, Way};
use weir_engine::eval::{Buffers, Subject, parts};
use weir_engine::plan::{Buffer, Transform};

/// Finds buffers, in memory that is kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Views {
    buffers: Buffers,
    walk: Walk,
}

/// The place in a transaction that was looked at last. Buffers of a kind are mostly asked for one after the other, or the same
/// several times: so none is counted from the start.
#[derive(Debug, Default)]
struct Walk(Option<Mark>);

#[derive(Clone, Copy, Debug)]
struct Mark {
    kind: (AppBuffer, Way),
    /// Which of its kind.
    index: u32,
    /// Where it is looked for.
    from: usize,
}

impl Views {
    /// There is another subject.
    pub(crate) fn begin(&mut self) {
        self.walk = Walk::default();
    }

    /// The bytes of a buffer after these transforms; of several of a kind in a transaction, of the one with this index. `None`
    /// where there is no such.
    pub(crate) fn nth<'a>(
        &'a mut self,
        buffer: Buffer,
        transforms: &[Transform],
        index: u32,
        subject: &Subject<'a>,
    ) -> Option<&'a [u8]> {
        match parts::of_transaction(buffer, subject) {
            Some(kind) => {
                let bytes = self.walk.nth(subject.app.transaction?, kind, index)?;
                Some(self.buffers.transformed(transforms, bytes))
            }
            None if index > 0 => None,
            None => self.buffers.bytes(buffer, transforms, subject),
        }
    }

    /// How many decompressions were cut off at their limit, and how many expressions were given up at theirs.
    pub(crate) fn limits(&self) -> (u64, u64) {
        self.buffers.limits()
    }
}

impl Walk {
    fn nth<'t>(
        &mut self,
        tx: &'t Transaction,
        kind: (AppBuffer, Way),
        index: u32,
    ) -> Option<&'t [u8]> {
        let start = Mark {
            kind,
            index: 0,
            from: 0,
        };
        let fits = |mark: &Mark| mark.kind == kind && mark.index <= index;
        let mut mark = self.0.filter(fits).unwrap_or(start);
        loop {
            let (behind, bytes) = tx.next_buffer(kind.1, kind.0, mark.from)?;
            if mark.index == index {
                self.0 = Some(mark);
                return Some(bytes);
            }
            mark.index = mark.index.checked_add(1)?;
            mark.from = behind;
        }
    }
}
