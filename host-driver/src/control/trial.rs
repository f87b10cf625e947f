//! Known-answer records, by the thread that looks after the card: before it is taken into use, and when it is suspect.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use weir_engine::matcher::{Matcher, MatcherError, Software};
use weir_tables::share::Share;

use super::{Control, Trouble};
use crate::health::Counters;
use crate::oracle::judge;
use crate::records::put;
use crate::session::{Batch, CONTROL, COUNT_BITS};
use crate::set::Set;

/// Known-answer records under way at once while the card is tried.
const TRIED_AT_ONCE: usize = 64;

impl Control {
    /// Has the card answer known-answer records.
    pub(super) fn try_out(&mut self, set: &Arc<Set>, indices: &[u32]) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let open = self.card.as_ref().ok_or("the card is not open")?;
        let too_many = |error: MatcherError| error.to_string();
        let share = Share::new(&set.probes, &set.split).map_err(too_many)?;
        let mut software = Software::new();
        software.load(&set.probes).map_err(too_many)?;
        let mut indices = indices.iter();
        let mut waiting: VecDeque<(u32, u32, u8, Vec<u8>)> = VecDeque::new();
        let (mut batch, mut heard) = (Batch::default(), Instant::now());
        let mask = (1 << COUNT_BITS) - 1;
        loop {
            let mut bytes = Vec::new();
            while waiting.len() < TRIED_AT_ONCE
                && let Some(&index) = indices.next()
            {
                let mut payload = Vec::new();
                let group = set.plan.payload(index, &mut payload);
                let sequence = u32::from(CONTROL) << COUNT_BITS | self.count;
                self.count = (self.count + 1) & mask;
                put(
                    &mut bytes,
                    set,
                    open.session.nonce(),
                    sequence,
                    group,
                    0,
                    &payload,
                );
                waiting.push_back((sequence, index, group, payload));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if !bytes.is_empty() && !open.session.send(open.epoch, Arc::new(bytes)) {
                return Err("nobody sends any more".to_owned());
            }
            open.session
                .take(CONTROL, Duration::from_millis(5), &mut batch);
            let records = shared.counters.records.load(Relaxed);
            let mut wrong = None;
            batch.drain(|ended| {
                let Some((sequence, index, group, payload)) = waiting.pop_front() else {
                    return;
                };
                heard = Instant::now();
                Counters::count(&shared.counters.known_answers);
                if ended.sequence != sequence {
                    wrong.get_or_insert(format!(
                        "known-answer record {sequence:#x}: the answer is to record {:#x}",
                        ended.sequence
                    ));
                } else if !ended.finished() {
                    wrong.get_or_insert(format!(
                        "known-answer record: flags {:#x}{}",
                        ended.flags,
                        if ended.whole { "" } else { ", hits lost" }
                    ));
                } else if let Some(why) = judge(&mut software, &share, group, &payload, ended.hits)
                {
                    Counters::count(&shared.counters.known_wrong);
                    wrong.get_or_insert(why);
                } else {
                    set.plan.right(index, records);
                }
            });
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            if open.session.broken() {
                return Err("the link failed while the card was tried".to_owned());
            }
            if heard.elapsed() > shared.config.patience {
                return Err(format!(
                    "no answer to a known-answer record within {:?}",
                    shared.config.patience
                ));
            }
            if shared.health().stop {
                return Err("all is to end".to_owned());
            }
        }
    }
}
