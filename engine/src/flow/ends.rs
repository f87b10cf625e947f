//! How flows end by time, and at the end of the run.

use super::table::{CLASSES, FlowTable};
use super::{EndReason, Ended};

/// How far the clock may go back between two looks at it before that counts as a leap.
const BACK_NS: u64 = 10_000_000_000;

/// The time of the latest look at the queues.
#[derive(Default)]
pub(super) struct Clock {
    pub now_ns: Option<u64>,
    /// It leapt, which only one look has seen so far.
    pub leap: bool,
}

/// What [`FlowTable::next_over`] goes through.
#[derive(Default)]
pub(super) enum Search {
    /// Nothing.
    #[default]
    Over,
    /// The classes from this one on, at this time.
    Due { class: usize, now_ns: u64 },
    /// These slots, from the last one on.
    All(Vec<u32>),
}

impl FlowTable {
    /// Time has come to `now_ns`: the flows whose time was up before that end, and [`FlowTable::next_over`] hands them
    /// out. They are found in spans of about a second, and it is a flow's own times alone that decide.
    ///
    /// When the clock leaps ahead by more than the longest timeout, the next look decides whether that was so, so that one
    /// packet with a wrong time ends nothing.
    pub fn look(&mut self, now_ns: u64) {
        if !self.leaps(now_ns) {
            self.search = Search::Due { class: 0, now_ns };
        }
    }

    /// The run is over, and so are all flows: [`FlowTable::next_over`] hands them out in the order of their last packet
    /// and their number.
    pub fn close(&mut self) {
        let classes = 0..CLASSES;
        let mut slots: Vec<u32> = classes
            .flat_map(|class| self.queues.members(class))
            .collect();
        slots.sort_unstable_by_key(|&slot| {
            let flow = &self.slots[slot as usize].flow;
            std::cmp::Reverse((flow.last_ns, flow.id))
        });
        self.search = Search::All(slots);
    }

    /// The next flow that [`FlowTable::look`] or [`FlowTable::close`] found to be over. No packet may come before there is
    /// none.
    pub fn next_over(&mut self) -> Option<Ended> {
        match &mut self.search {
            Search::Over => None,
            Search::All(slots) => match slots.pop() {
                Some(slot) => {
                    let last_ns = self.slots[slot as usize].flow.last_ns;
                    Some(self.end(slot, EndReason::Shutdown, last_ns))
                }
                None => {
                    self.search = Search::Over;
                    None
                }
            },
            &mut Search::Due { class, now_ns } => self.next_due(class, now_ns),
        }
    }

    fn next_due(&mut self, first: usize, now_ns: u64) -> Option<Ended> {
        for class in first..CLASSES {
            let timeout = self.timeout(class);
            let Some(before_ns) = now_ns.checked_sub(timeout) else {
                continue;
            };
            while let Some(slot) = self.queues.due(class, before_ns) {
                let flow = &mut self.slots[slot as usize].flow;
                // The clock went back: what lies ahead of it would never end.
                flow.last_ns = flow.last_ns.min(now_ns);
                let used_ns = flow.last_ns;
                if self.queues.is_due(used_ns, before_ns) {
                    self.search = Search::Due { class, now_ns };
                    let since_ns = used_ns.saturating_add(timeout);
                    return Some(self.end(slot, EndReason::Timeout, since_ns));
                }
                self.queues.remove(slot, class);
                self.queues.push(slot, class, used_ns);
            }
        }
        self.search = Search::Over;
        let room = self.config.max_flows - self.length();
        if self.emergency && room >= self.config.max_flows * 3 / 10 {
            self.emergency = false;
            self.counters.emergencies_over += 1;
        }
        None
    }

    /// True when the clock leapt, so that this look at it is not to be trusted.
    fn leaps(&mut self, now_ns: u64) -> bool {
        let Some(clock_ns) = self.clock.now_ns else {
            self.clock.now_ns = Some(now_ns);
            return false;
        };
        if now_ns.saturating_sub(clock_ns) > self.config.timeouts.longest() {
            self.clock.leap = !self.clock.leap;
            if self.clock.leap {
                self.counters.clock_leaps += 1;
                return true;
            }
        } else {
            self.clock.leap = false;
        }
        if clock_ns.saturating_sub(now_ns) > BACK_NS {
            self.counters.clock_leaps += 1;
            for class in 0..CLASSES {
                let from_ns = now_ns.saturating_sub(self.timeout(class));
                self.queues.rewind(class, from_ns, now_ns);
            }
            self.clock.now_ns = Some(now_ns);
        }
        self.clock.now_ns = self.clock.now_ns.max(Some(now_ns));
        false
    }
}
