//! `threshold` and `detection_filter`: counts per rule and what it tracks, over packet time.

use std::collections::HashMap;
use std::net::IpAddr;

use super::PacketFacts;
use crate::plan::{Rule, RuleId, Threshold, ThresholdKind, Track};

const SECOND: u64 = 1_000_000_000;

/// Most counters kept; when there are more, those whose period is over go first, then the oldest half.
const MOST: usize = 1 << 20;

/// What a threshold makes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Alert and act.
    Alert,
    /// Act without an alert.
    Silent,
    /// As if the rule had not matched.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tracked {
    One(IpAddr),
    Pair(IpAddr, IpAddr),
    Rule,
    Flow(u64),
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    since_ns: u64,
    count: u32,
    /// `backoff`: the count that alerts next.
    next: u32,
}

/// Counters of all rules that have limits.
#[derive(Debug, Default)]
pub(super) struct Thresholds {
    counters: HashMap<(RuleId, bool, Tracked), Counter>,
    /// Counters given up because there were too many.
    pub(super) evicted: u64,
}

impl Thresholds {
    /// Counts a match and says what is due.
    pub(super) fn count(&mut self, id: RuleId, rule: &Rule, facts: &PacketFacts) -> Due {
        if !facts.is_ip {
            return Due::Alert;
        }
        for (filter, limit) in [(true, rule.detection_filter), (false, rule.threshold)] {
            if let Some(limit) = limit {
                match self.one(id, filter, limit, facts) {
                    Due::Alert => {}
                    other => return other,
                }
            }
        }
        Due::Alert
    }

    fn one(&mut self, id: RuleId, filter: bool, limit: Threshold, facts: &PacketFacts) -> Due {
        let tracked = match limit.track {
            Track::BySrc => Tracked::One(facts.src),
            Track::ByDst => Tracked::One(facts.dst),
            Track::ByBoth => Tracked::Pair(facts.src.min(facts.dst), facts.src.max(facts.dst)),
            Track::ByRule => Tracked::Rule,
            Track::ByFlow => match facts.flow {
                Some(flow) => Tracked::Flow(flow.id),
                // Nothing to count by: as Suricata, the rule is not limited.
                None => return Due::Alert,
            },
        };
        if self.counters.len() >= MOST {
            self.prune(facts.ts_ns);
        }
        let period = u64::from(limit.seconds).saturating_mul(SECOND);
        let fresh = Counter {
            since_ns: facts.ts_ns,
            count: 0,
            next: limit.count,
        };
        let counter = self.counters.entry((id, filter, tracked)).or_insert(fresh);
        let lapsed = !matches!(limit.kind, ThresholdKind::Backoff { .. })
            && facts.ts_ns > counter.since_ns.saturating_add(period);
        if lapsed {
            *counter = fresh;
        }
        counter.count = counter.count.saturating_add(1);
        due(limit, counter)
    }

    /// Makes room.
    fn prune(&mut self, now_ns: u64) {
        // An hour is longer than any period in the rule sets seen; what is older is over.
        let before = self.counters.len();
        self.counters
            .retain(|_, counter| counter.since_ns.saturating_add(3600 * SECOND) > now_ns);
        if self.counters.len() > MOST / 2 {
            let mut starts: Vec<u64> = self
                .counters
                .values()
                .map(|counter| counter.since_ns)
                .collect();
            let middle = starts.len() / 2;
            let (_, &mut median, _) = starts.select_nth_unstable(middle);
            self.counters.retain(|_, counter| counter.since_ns > median);
        }
        self.evicted += (before - self.counters.len()) as u64;
    }
}

/// What is due once the match has been counted.
fn due(limit: Threshold, counter: &mut Counter) -> Due {
    let Counter { count, next, .. } = *counter;
    match limit.kind {
        ThresholdKind::Limit if count <= limit.count => Due::Alert,
        ThresholdKind::Limit => Due::Silent,
        ThresholdKind::Threshold if count >= limit.count => {
            counter.count = 0;
            Due::Alert
        }
        ThresholdKind::Both if count == limit.count => Due::Alert,
        ThresholdKind::Both if count > limit.count => Due::Silent,
        ThresholdKind::Backoff { multiplier } if count == next => {
            counter.next = next.saturating_mul(multiplier);
            Due::Alert
        }
        ThresholdKind::Backoff { .. } => Due::Silent,
        ThresholdKind::DetectionFilter if count > limit.count => Due::Alert,
        ThresholdKind::Threshold | ThresholdKind::Both | ThresholdKind::DetectionFilter => {
            Due::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: ThresholdKind, count: u32, seconds: u32, times: &[u64]) -> Vec<Due> {
        let limit = Threshold {
            kind,
            track: Track::BySrc,
            count,
            seconds,
        };
        let mut thresholds = Thresholds::default();
        let mut facts = PacketFacts::example();
        times
            .iter()
            .map(|&seconds| {
                facts.ts_ns = seconds * SECOND;
                thresholds.one(0, false, limit, &facts)
            })
            .collect()
    }

    #[test]
    fn each_kind_counts_as_documented() {
        use Due::{Alert, Nothing, Silent};
        let every_second = [0, 1, 2, 3, 4, 5];
        assert_eq!(
            run(ThresholdKind::Limit, 2, 60, &every_second),
            [Alert, Alert, Silent, Silent, Silent, Silent]
        );
        assert_eq!(
            run(ThresholdKind::Threshold, 2, 60, &every_second),
            [Nothing, Alert, Nothing, Alert, Nothing, Alert]
        );
        assert_eq!(
            run(ThresholdKind::Both, 3, 60, &every_second),
            [Nothing, Nothing, Alert, Silent, Silent, Silent]
        );
        assert_eq!(
            run(ThresholdKind::DetectionFilter, 4, 60, &every_second),
            [Nothing, Nothing, Nothing, Nothing, Alert, Alert]
        );
        let backoff = ThresholdKind::Backoff { multiplier: 2 };
        assert_eq!(
            run(backoff, 1, 0, &every_second),
            [Alert, Alert, Silent, Alert, Silent, Silent]
        );
    }

    #[test]
    fn a_period_ends_after_its_seconds() {
        use Due::{Alert, Silent};
        assert_eq!(
            run(ThresholdKind::Limit, 1, 10, &[0, 10, 11, 12]),
            [Alert, Silent, Alert, Silent]
        );
    }

    #[test]
    fn pairs_are_counted_both_ways_and_sources_apart() {
        let mut thresholds = Thresholds::default();
        let mut facts = PacketFacts::example();
        let limit = |track| Threshold {
            kind: ThresholdKind::Limit,
            track,
            count: 1,
            seconds: 60,
        };
        assert_eq!(
            thresholds.one(0, false, limit(Track::ByBoth), &facts),
            Due::Alert
        );
        assert_eq!(
            thresholds.one(1, false, limit(Track::BySrc), &facts),
            Due::Alert
        );
        std::mem::swap(&mut facts.src, &mut facts.dst);
        assert_eq!(
            thresholds.one(0, false, limit(Track::ByBoth), &facts),
            Due::Silent
        );
        assert_eq!(
            thresholds.one(1, false, limit(Track::BySrc), &facts),
            Due::Alert
        );
    }
}
