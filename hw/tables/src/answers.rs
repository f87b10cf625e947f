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

/// Requests in the order in which they came, which is the order of their answers: the records of a request are done after those of
/// the requests before it.
#[derive(Debug, Default)]
pub struct Answers {
    /// Number of the first request in `open`.
    first: u64,
    open: VecDeque<Pending>,
    /// Requests in `open` that wait for records.
    waiting: usize,
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

    /// The number that the next request gets.
    pub fn number(&self) -> u64 {
        self.first.wrapping_add(self.open.len() as u64)
    }

    /// Takes a request: one without records is answered, another one waits for them.
    pub fn put(&mut self, mut pending: Pending) {
        if pending.records == 0 {
            settle(&mut pending.hits);
        } else {
            self.waiting += 1;
        }
        self.open.push_back(pending);
    }

    /// Has `with` add what a record of this request gave; the last one answers the request.
    pub fn record(&mut self, number: u64, with: impl FnOnce(&mut Pending)) {
        let at = number.wrapping_sub(self.first) as usize;
        let pending = self.open.get_mut(at).filter(|pending| pending.records > 0);
        let Some(pending) = pending else {
            return;
        };
        with(pending);
        pending.records = pending.records.saturating_sub(1);
        if pending.records == 0 {
            settle(&mut pending.hits);
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// True when there is an answer to deliver.
    pub fn any(&self) -> bool {
        self.open.front().is_some_and(|first| first.records == 0)
    }

    /// Requests that wait for records.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Delivers the answers there are, and returns how many.
    pub fn deliver(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let mut count = 0;
        while let Some(mut pending) = self.open.pop_front_if(|first| first.records == 0) {
            self.first = self.first.wrapping_add(1);
            count += 1;
            deliver(Report {
                tag: pending.tag,
                outcome: if pending.done {
                    Outcome::Done
                } else {
                    Outcome::Unfinished
                },
                hits: &pending.hits,
            });
            if pending.hits.capacity() > 0 && self.spare.len() < SPARE {
                pending.hits.clear();
                self.spare.push(pending.hits);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_requests() {
        let mut answers = Answers::default();
        let hit = |probe, end| Hit { probe, end };
        let first = answers.number();
        for (tag, records) in [(7, 2), (8, 0), (9, 1)] {
            let mut pending = answers.begin(tag);
            pending.records = records;
            answers.put(pending);
        }
        let mut said = Vec::new();
        let mut deliver = |answers: &mut Answers| {
            answers.deliver(&mut |report| {
                said.push((report.tag, report.outcome, report.hits.to_vec()));
            })
        };
        let add = |hits: Vec<Hit>| move |pending: &mut Pending| pending.hits.extend(hits);
        answers.record(first + 2, |pending| pending.done = false);
        // More records than there were.
        answers.record(first + 2, |_| panic!("it is answered"));
        answers.record(first + 3, |_| panic!("there is no such request"));
        answers.record(first, add(vec![hit(4, 9), hit(2, 5)]));
        assert_eq!(
            (deliver(&mut answers), answers.any(), answers.waiting()),
            (0, false, 1)
        );
        answers.record(first, add(vec![hit(4, 3)]));
        assert_eq!((answers.any(), answers.waiting()), (true, 0));
        assert_eq!((deliver(&mut answers), deliver(&mut answers)), (3, 0));
        assert_eq!(answers.number(), first + 3);
        assert_eq!(
            said,
            [
                (7, Outcome::Done, vec![hit(2, 5), hit(4, 3)]),
                (8, Outcome::Done, vec![]),
                (9, Outcome::Unfinished, vec![])
            ]
        );
    }
}
