//! Counts of matches, per rule, limit and what the limit tracks, over packet time.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::limits::{Limit, LimitId, Limits, RateFilter};
use super::plan::Left;
use super::sharded::Sharded;
use crate::plan::{Action, Rule, RuleId, RuleSet, Threshold, ThresholdKind, Track};

const SECOND: u64 = 1_000_000_000;

/// `backoff` has no period: a counter that was not used for so long may go when there are too many.
const BACKOFF_IDLE_NS: u64 = 3600 * SECOND;

/// What a limit makes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Alert and act.
    Alert,
    /// Act without an alert.
    Silent,
    /// As if the rule had not matched, except that it has changed state.
    Nothing,
}

/// What all limits of a rule make of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether to alert and to act.
    pub due: Due,
    /// The rule's action, or what a rate filter changed it into.
    pub action: Action,
}

/// The packet that matched, as far as it is counted by.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Source and destination; `None` without an IP header, and then nothing is limited.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// `flow_id`
    pub flow: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tracked {
    One(IpAddr),
    Pair(IpAddr, IpAddr),
    Rule,
    Flow(u64),
}

/// The limit, and what it tracks.
type Key = (LimitId, Tracked);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    since_ns: u64,
    count: u32,
    /// `backoff`: the count that alerts next.
    next: u32,
    /// When it is of no more use.
    until_ns: u64,
    /// A rate filter: when it began to change actions.
    active_s: Option<u64>,
}

/// A counter by name, for the next process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCount {
    gid: u32,
    sid: u32,
    /// The limit's place among those of the rule, and the limit: counts of another limit are of no use.
    at: u8,
    limit: String,
    tracked: Tracked,
    counter: Counter,
}

/// Counters of all rules that have limits.
pub struct Thresholds {
    counters: Sharded<Key, Counter>,
}

impl Thresholds {
    /// No counts yet; at most so many counters. When there are more, those whose period is over go first, then the older
    /// half.
    pub fn new(most: usize) -> Self {
        Self {
            counters: Sharded::new(most),
        }
    }

    /// Counts a match of a rule and says what is due.
    pub fn decide(
        &self,
        limits: &Limits,
        id: RuleId,
        action: Action,
        packet: &Counted,
    ) -> Decision {
        let mut decision = Decision {
            due: Due::Alert,
            action,
        };
        let (Some(limits), Some((src, dst))) = (limits.of(id), packet.addresses) else {
            return decision;
        };
        if limits.silent || limits.suppressed.iter().any(|test| test.holds(src, dst)) {
            decision.due = Due::Silent;
            return decision;
        }
        for &(number, ref limit) in &limits.limits {
            let tracked = match (limit.track(), packet.flow) {
                (Track::BySrc, _) => Tracked::One(src),
                (Track::ByDst, _) => Tracked::One(dst),
                (Track::ByBoth, _) => Tracked::Pair(src.min(dst), src.max(dst)),
                (Track::ByRule, _) => Tracked::Rule,
                (Track::ByFlow, Some(flow)) => Tracked::Flow(flow),
                // Nothing to count by: as Suricata, the rule is not limited.
                (Track::ByFlow, None) => continue,
            };
            let key = (number, tracked);
            match limit {
                Limit::Threshold(limit) => {
                    decision.due = self.count(key, limit, packet.ts_ns);
                    if decision.due != Due::Alert {
                        return decision;
                    }
                }
                Limit::Rate(filter) => {
                    if self.rate(key, filter, packet.ts_ns) {
                        decision.action = filter.action;
                    }
                }
            }
        }
        decision
    }

    /// Counters given up because there were too many.
    pub fn evicted(&self) -> u64 {
        self.counters.evicted()
    }

    /// Forgets the counts of limits that no rule has any more.
    pub(crate) fn forget(&self, left: &Left) {
        if !left.limits.is_empty() {
            self.counters
                .retain(|(number, _), _| !left.limits.contains(number));
        }
    }

    fn count(&self, key: Key, limit: &Threshold, now_ns: u64) -> Due {
        let period = u64::from(limit.seconds).saturating_mul(SECOND);
        let backoff = matches!(limit.kind, ThresholdKind::Backoff { .. });
        let lasts = if backoff { BACKOFF_IDLE_NS } else { period };
        let fresh = Counter {
            since_ns: now_ns,
            count: 0,
            next: limit.count,
            until_ns: now_ns.saturating_add(lasts),
            active_s: None,
        };
        self.entry(key, fresh, |counter| {
            if backoff {
                counter.until_ns = fresh.until_ns;
            } else if now_ns > counter.since_ns.saturating_add(period) {
                *counter = fresh;
            }
            counter.count = counter.count.saturating_add(1);
            due(limit, counter)
        })
    }

    /// Counts a match for a rate filter; true when it changes the action.
    fn rate(&self, key: Key, filter: &RateFilter, now_ns: u64) -> bool {
        let period = u64::from(filter.seconds).saturating_mul(SECOND);
        let lasts = u64::from(filter.seconds.max(filter.timeout)).saturating_mul(SECOND);
        let fresh = Counter {
            since_ns: now_ns,
            count: 0,
            next: 0,
            until_ns: now_ns.saturating_add(lasts),
            active_s: None,
        };
        self.entry(key, fresh, |counter| {
            if let Some(since) = counter.active_s {
                let active = (now_ns / SECOND).saturating_sub(since) <= u64::from(filter.timeout);
                if !active {
                    // As Suricata, this match is not counted.
                    counter.active_s = None;
                }
                return active;
            }
            if now_ns > counter.since_ns.saturating_add(period) {
                *counter = fresh;
            }
            counter.count = counter.count.saturating_add(1);
            let reached = counter.count > filter.count;
            if reached {
                counter.active_s = Some(now_ns / SECOND);
                counter.until_ns = fresh.until_ns;
            }
            reached
        })
    }

    fn entry<T>(&self, key: Key, fresh: Counter, change: impl FnOnce(&mut Counter) -> T) -> T {
        let now_ns = fresh.since_ns;
        let over = |counter: &Counter| counter.until_ns < now_ns;
        self.counters.entry(&key, || fresh, over, change)
    }

    /// All counters, by `gid` and `sid`.
    pub fn export(&self, rules: &RuleSet, limits: &Limits) -> Vec<SavedCount> {
        let mut places = HashMap::new();
        for (id, of_rule) in limits.each() {
            for (at, (number, _)) in of_rule.limits.iter().enumerate() {
                places.insert(*number, (id, u8::try_from(at).unwrap_or(u8::MAX)));
            }
        }
        self.counters.export(|&(number, tracked), &counter| {
            let &(id, at) = places.get(&number)?;
            let Rule { meta, .. } = rules.get(id)?;
            Some(SavedCount {
                gid: meta.gid,
                sid: meta.sid,
                at,
                limit: described(limits, id, at)?,
                tracked,
                counter,
            })
        })
    }

    /// Takes counters over; returns how many are of no use, because their rule is gone or has another limit.
    pub fn import(&self, saved: &[SavedCount], rules: &RuleSet, limits: &Limits) -> u64 {
        let ids: HashMap<(u32, u32), RuleId> = rules
            .rules()
            .iter()
            .zip(0..)
            .map(|(rule, id)| ((rule.meta.gid, rule.meta.sid), id))
            .collect();
        let mut useless = 0;
        for count in saved {
            let id = ids.get(&(count.gid, count.sid)).copied();
            match id
                .filter(|&id| described(limits, id, count.at).as_ref() == Some(&count.limit))
                .and_then(|id| {
                    let limit = limits.of(id)?.limits.get(usize::from(count.at))?;
                    Some(limit.0)
                }) {
                Some(number) => {
                    let key = (number, count.tracked);
                    self.entry(key, count.counter, |counter| *counter = count.counter);
                }
                None => useless += 1,
            }
        }
        useless
    }
}

/// A limit in words, to compare it with one of another process.
fn described(limits: &Limits, id: RuleId, at: u8) -> Option<String> {
    let (_, limit) = limits.of(id)?.limits.get(usize::from(at))?;
    Some(match limit {
        Limit::Threshold(Threshold {
            kind,
            track,
            count,
            seconds,
        }) => format!("{kind:?} {track:?} {count}/{seconds}"),
        Limit::Rate(RateFilter {
            track,
            count,
            seconds,
            timeout,
            ..
        }) => format!("rate {track:?} {count}/{seconds}, {timeout}"),
    })
}

/// What is due once the match has been counted.
fn due(limit: &Threshold, counter: &mut Counter) -> Due {
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

    const SRC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const DST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn limit(kind: ThresholdKind, count: u32, seconds: u32) -> Threshold {
        Threshold {
            kind,
            track: Track::BySrc,
            count,
            seconds,
        }
    }

    fn run(kind: ThresholdKind, count: u32, seconds: u32, times: &[u64]) -> Vec<Due> {
        let (thresholds, limit) = (Thresholds::new(8), limit(kind, count, seconds));
        let counted =
            |&seconds: &u64| thresholds.count((0, Tracked::One(SRC)), &limit, seconds * SECOND);
        times.iter().map(counted).collect()
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

    /// Which matches a rate filter of 3 in 10 seconds, for 5 seconds, changes.
    fn changed(times: &[u64]) -> Vec<bool> {
        let thresholds = Thresholds::new(8);
        let filter = RateFilter {
            which: super::super::Which { gid: 1, sid: 1 },
            track: Track::BySrc,
            count: 3,
            seconds: 10,
            action: Action::Drop,
            timeout: 5,
        };
        let counted =
            |&seconds: &u64| thresholds.rate((0, Tracked::One(SRC)), &filter, seconds * SECOND);
        times.iter().map(counted).collect()
    }

    #[test]
    fn a_rate_filter_changes_the_action_for_its_timeout() {
        assert_eq!(
            changed(&[0, 1, 2, 3, 4, 8, 9, 20, 21, 22, 23]),
            [
                false, false, false, true, true, true, false, false, false, false, true
            ]
        );
        assert_eq!(changed(&[0, 5, 10, 11, 12, 13]), [false; 6]);
    }

    fn one(limit: Threshold, sid: u32) -> (RuleSet, Limits) {
        let mut rule = super::super::example::rule();
        rule.meta.sid = sid;
        rule.meta.gid = 1;
        rule.threshold = Some(limit);
        let rules = RuleSet::new(vec![rule]);
        let limits = Limits::new(&rules, &super::super::Overrides::default());
        (rules, limits)
    }

    #[test]
    fn pairs_are_counted_both_ways_and_sources_apart() {
        let there = Counted {
            ts_ns: 0,
            addresses: Some((SRC, DST)),
            flow: None,
        };
        let back = Counted {
            addresses: Some((DST, SRC)),
            ..there
        };
        for (track, expected) in [(Track::ByBoth, Due::Silent), (Track::BySrc, Due::Alert)] {
            let thresholds = Thresholds::new(8);
            let (_, limits) = one(
                Threshold {
                    track,
                    ..limit(ThresholdKind::Limit, 1, 60)
                },
                1,
            );
            let due = |packet| thresholds.decide(&limits, 0, Action::Alert, packet).due;
            assert_eq!(
                (due(&there), due(&back)),
                (Due::Alert, expected),
                "{track:?}"
            );
        }
    }

    #[test]
    fn counts_go_on_in_the_next_process_by_name() {
        let packet = Counted {
            ts_ns: 0,
            addresses: Some((SRC, DST)),
            flow: None,
        };
        let (rules, limits) = one(limit(ThresholdKind::Limit, 1, 60), 7);
        let before = Thresholds::new(8);
        let due = |counts: &Thresholds| counts.decide(&limits, 0, Action::Alert, &packet).due;
        assert_eq!(due(&before), Due::Alert);
        let saved = before.export(&rules, &limits);
        let text = serde_json::to_string(&saved);
        let text = text.expect("plain data");
        let read: Vec<SavedCount> = serde_json::from_str(&text).expect("as written");
        assert_eq!(read, saved);
        let after = Thresholds::new(8);
        assert_eq!(after.import(&read, &rules, &limits), 0);
        assert_eq!(due(&after), Due::Silent);
        let (others, other_limits) = one(limit(ThresholdKind::Limit, 2, 60), 7);
        assert_eq!(Thresholds::new(8).import(&read, &others, &other_limits), 1);
        let (others, other_limits) = one(limit(ThresholdKind::Limit, 1, 60), 8);
        assert_eq!(Thresholds::new(8).import(&read, &others, &other_limits), 1);
    }
}
