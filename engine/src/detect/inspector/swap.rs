//! Other rules, between two packets: everything goes on, under the numbers that rules have now.

use std::sync::Arc;

use super::super::change::{Fate, Successor};
use super::super::index::Candidates;
use super::super::{Event, Prepared, Retired};
use super::Inspector;
use super::scene::{headers, in_stream};
use crate::plan::RuleId;
use crate::state::Seat;

impl Inspector {
    /// Goes on with other rules. Nothing of a packet is under way.
    pub(in crate::detect) fn swap(
        &mut self,
        successor: Successor,
        out: &mut Vec<Event>,
    ) -> Retired {
        let Successor {
            change,
            seat,
            matcher,
            mut evaluator,
        } = successor;
        // What modules of the rules before had to say.
        self.hand_out_notices(self.place.ts_ns, out);
        evaluator.take_over(&mut *self.evaluator);
        self.evaluated = self.evaluated.and(self.evaluator.counters());
        let matcher = self.search.swap(matcher);
        if change.renumbers() {
            self.renumber(&change.fates, &change.after);
        }
        let left = change.left();
        if left.of_flows() {
            self.flows.each_vars().for_each(|vars| vars.forget(left));
        }
        if self.apps.wants() != change.after.wants {
            self.apps.change_wants(change.after.wants);
        }
        self.candidates = Candidates::new(&change.after.index);
        self.tags = self.tagged_packets && change.after.state.has_tags();
        self.prepared = Arc::clone(&change.after);
        let seat: Seat = std::mem::replace(&mut self.settler.seat, seat);
        self.settler.seat.at(self.place);
        Retired {
            _parts: (
                std::mem::replace(&mut self.evaluator, evaluator),
                matcher,
                seat,
                change,
            ),
        }
    }

    /// Gives rules that wait, or have matched, the numbers that they have now; those that are gone are forgotten.
    fn renumber(&mut self, fates: &[Fate], after: &Prepared) {
        let Self {
            streams,
            flows,
            apps,
            ..
        } = self;
        let fate = |rule: RuleId| fates.get(rule as usize).copied().unwrap_or(Fate::GONE);
        let goes_on = |rule: RuleId| fate(rule).same();
        let matched = |rule: RuleId| fate(rule).number();
        let mut waits = |slot: u32, way: usize, rule: RuleId| {
            let fate = fate(rule);
            // One that concerns other streams now does not wait for this one.
            fate.same().or_else(|| {
                let new = fate.number()?;
                let view = in_stream(slot, way);
                let flow = flows.get(view);
                let headers = headers(flow, way);
                let packet = headers.packet(flow.last_ns);
                let rule = after.rules.get(new)?;
                (after.index)
                    .may_wait(rule, new, &packet, view)
                    .then_some(new)
            })
        };
        streams.renumber(&mut waits, &matched);
        for tx in apps.transactions() {
            for half in &mut tx.halves {
                half.renumber(goes_on, matched);
            }
        }
    }
}
