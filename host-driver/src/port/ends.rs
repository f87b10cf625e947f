//! What comes back: ends of records, and what takes their place where they do not come.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use card_protocol::report::{
    FLAG_DAMAGED, FLAG_MALFORMED, FLAG_OVERFLOW, FLAG_STALE, FLAGS_UNFINISHED,
};
use weir_engine::matcher::Hit;
use weir_tables::Ended;

use super::{Lane, Port, search};
use crate::flight::Owner;
use crate::health::{Counters, State};
use crate::oracle::judge;
use crate::session::COUNT_BITS;

impl Port {
    /// Has software look through all that is under way.
    pub(super) fn take_over(&mut self) {
        if self.flight.staged() > 0 {
            self.flight.seal(Instant::now());
        }
        while self.close(None) {
            self.counts.records_lost += 1;
        }
        self.publish();
    }

    /// Ends the first record under way, by these hits or by software. False when there is none.
    pub(super) fn close(&mut self, ended: Option<&Ended<'_>>) -> bool {
        let Self {
            flight,
            answers,
            software,
            lane,
            counts,
            found,
            shared,
            ..
        } = self;
        flight.first(|sent, payload| match (sent.owner, ended, lane) {
            (Owner::Known { index }, Some(ended), Some(lane)) => {
                counts.known_answers += 1;
                let records = shared.counters.records.load(Relaxed);
                let plan = &lane.active.set.plan;
                let wrong = judge(software, &lane.share, sent.group, payload, ended.hits);
                let Some(wrong) = wrong else {
                    plan.right(index, records);
                    return;
                };
                Counters::count(&shared.counters.known_wrong);
                let exposure = plan.exposure(index, records);
                shared.counters.exposure_most.fetch_max(exposure, Relaxed);
                let blame = (&*lane.active.session, lane.active.epoch);
                shared.leave(Some(blame), State::Failed, || {
                    format!(
                        "{wrong}; at most {exposure} records were looked through since it was right"
                    )
                });
            }
            (Owner::Known { .. }, ..) => {}
            (Owner::Request { number, start }, Some(ended), Some(lane)) => {
                answers.record(number, |pending| {
                    let Lane { share, .. } = lane;
                    share.translate(ended.hits, sent.group, start, &mut pending.hits);
                    if pending.records == 1 && pending.again == 0 {
                        counts.card_buffers += 1;
                    } else if pending.records == 1 {
                        counts.rescanned += 1;
                    }
                });
            }
            (Owner::Request { number, start }, ..) => {
                let done = search(software, sent.group, sent.carry, payload, found);
                answers.record(number, |pending| {
                    pending.done &= done;
                    pending.again += 1;
                    pending.hits.extend(found.iter().map(|hit| Hit {
                        end: hit.end.saturating_add(start),
                        ..*hit
                    }));
                    if pending.records == 1 {
                        counts.rescanned += 1;
                    }
                });
            }
        })
    }

    /// Takes what has come, and waits for it so long if there is nothing.
    pub(super) fn collect(&mut self, wait: Duration) {
        let (Some(lane), Some(number)) = (&self.lane, self.number) else {
            return;
        };
        let mut batch = std::mem::take(&mut self.batch);
        let session = Arc::clone(&lane.active.session);
        session.take(number, wait, &mut batch);
        batch.drain(|ended| self.end(&ended));
        self.batch = batch;
    }

    pub(super) fn end(&mut self, ended: &Ended<'_>) {
        let Some(lane) = &self.lane else { return };
        let (session, epoch) = (Arc::clone(&lane.active.session), lane.active.epoch);
        let due = lane.active.set.generation == ended.generation;
        let before = self.flight.before(ended.sequence & ((1 << COUNT_BITS) - 1));
        let Some(before) = before.filter(|_| due) else {
            self.counts.stray_reports += 1;
            let what = "a report on a record that was not due";
            self.shared.strike(&session, epoch, what);
            return;
        };
        // Ends come in the order of the records.
        if before > 0 {
            // One unit that is lost takes several with it.
            self.shared
                .strike(&session, epoch, "records without an end");
        }
        for _ in 0..before {
            self.counts.records_lost += 1;
            self.close(None);
        }
        let refused = FLAG_DAMAGED | FLAG_STALE | FLAG_MALFORMED;
        let what = if ended.flags & refused != 0 {
            self.counts.records_refused += 1;
            "a record that arrived damaged"
        } else if ended.flags & FLAG_OVERFLOW != 0 {
            self.counts.records_overflowed += 1;
            ""
        } else if !ended.whole {
            self.counts.records_short += 1;
            "hits that were lost"
        } else {
            debug_assert_eq!(ended.flags & FLAGS_UNFINISHED, 0);
            self.counts.records_done += 1;
            ""
        };
        if !what.is_empty() {
            self.shared.strike(&session, epoch, what);
        }
        self.close(ended.finished().then_some(ended));
    }

    /// Suspects the card when it keeps records too long.
    pub(super) fn look_at_the_clock(&mut self) {
        let (Some(lane), Some(oldest)) = (&self.lane, self.flight.oldest()) else {
            return;
        };
        let now = Instant::now();
        let session = &lane.active.session;
        let deadline = self.shared.config.deadline;
        let quiet = now.saturating_duration_since(oldest.max(session.last()));
        let age = now.saturating_duration_since(oldest);
        if quiet <= deadline && age <= deadline.saturating_mul(10) {
            return;
        }
        let (_, records) = self.flight.load();
        Counters::count(&self.shared.counters.deadlines);
        let blame = Some((&**session, lane.active.epoch));
        self.shared.leave(blame, State::Suspect, || {
            format!("{records} records under way for {age:?}, nothing came for {quiet:?}")
        });
    }
}
