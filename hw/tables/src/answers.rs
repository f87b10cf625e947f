//! Requests that became records, until all of their records are done.

use std::collections::VecDeque;

use weir_engine::matcher::{Hit, Outcome, Report};

use crate::share::settle;

/// Vectors kept for later requests.
const SPARE: usize = 1024;

/// A request that was not answered yet.
#[derive(Debug)]
pub struct Pending {
    /// The request's.
    pub tag: u64,
    /// Records that are to come.
    pub records: u32,
    /// Records that software looked through because the core did not finish them.
    pub again: u32,
    /// Nothing was left unfinished so far.
    pub done: bool,
    /// What was found so far.
    pub hits: Vec<Hit>,
}

/// Requests in the order in which they came, and answers to them in the order in which they are done.
#[derive(Debug, Default)]
pub struct Answers {
    /// Number of the first request in `open`.
    first: u64,
    open: VecDeque<Option<Pending>>,
    ready: VecDeque<Pending>,
    spare: Vec<Vec<Hit>>,
}

impl Answers {
    /// A request that has no records yet.
    pub fn begin(&mut self, tag: u64) -> Pending {
        Pending {
            tag,
            records: 0,
            again: 0,
            done: true,
            hits: self.spare.pop().unwrap_or_default(),
        }
    }

    /// The number that the next request with records gets.
    pub fn number(&self) -> u64 {
        self.first.wrapping_add(self.open.len() as u64)
    }

    /// Takes a request: one without records is answered, another one waits for them.
    pub fn put(&mut self, pending: Pending) {
        if pending.records == 0 {
            self.answer(pending);
        } else {
            self.open.push_back(Some(pending));
        }
    }

    /// Has `with` add what a record of this request gave, and answers the request when it was the last.
    pub fn record(&mut self, number: u64, with: impl FnOnce(&mut Pending)) {
        let at = number.wrapping_sub(self.first) as usize;
        let Some(place) = self.open.get_mut(at) else {
            return;
        };
        let Some(pending) = place else { return };
        with(pending);
        pending.records = pending.records.saturating_sub(1);
        if pending.records > 0 {
            return;
        }
        let done = place.take();
        while let Some(None) = self.open.front() {
            self.open.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if let Some(done) = done {
            self.answer(done);
        }
    }

    fn answer(&mut self, mut pending: Pending) {
        settle(&mut pending.hits);
        self.ready.push_back(pending);
    }

    /// True when there is an answer to deliver.
    pub fn any(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Requests without an answer.
    pub fn waiting(&self) -> usize {
        self.open.len()
    }

    /// Delivers the answers there are, and returns how many.
    pub fn deliver(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let count = self.ready.len();
        for mut pending in self.ready.drain(..) {
            deliver(Report {
                tag: pending.tag,
                outcome: if pending.done {
                    Outcome::Done
                } else {
                    Outcome::Unfinished
                },
                hits: &pending.hits,
            });
            if self.spare.len() < SPARE {
                pending.hits.clear();
                self.spare.push(pending.hits);
            }
        }
        count
    }
}
