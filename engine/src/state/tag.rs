//! Tags: after a rule with `tag` has matched, further packets of its flow or host are logged.
//!
//! What is counted and when a tag ends is as in Suricata: the packet that set the tag counts, but is not logged (its
//! alert is), so `tag:session,5,packets` logs four more; a rule that matches again starts its tag anew, the first nine
//! times.

use serde::{Deserialize, Serialize};

use crate::plan::TagMetric;

const SECOND: u64 = 1_000_000_000;

/// Most tags of one flow or host; rules that match when it has so many set none.
pub(super) const MOST_TAGS: usize = 50;

/// How often the same rule may start its tag anew.
const MOST_RESTARTS: u8 = 9;

/// One tag of a flow or host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// `gid` of the rule.
    pub gid: u32,
    /// `sid` of the rule.
    pub sid: u32,
    #[serde(with = "metric")]
    metric: TagMetric,
    /// Packets or bytes counted.
    used: u64,
    /// When it was set, in seconds since the Unix epoch.
    since: u64,
    restarts: u8,
    /// The packet that set it has been counted.
    begun: bool,
}

/// [`TagMetric`] as saved: a kind and a number.
mod metric {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::plan::TagMetric;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Saved {
        Packets(u32),
        Seconds(u32),
        Bytes(u32),
    }

    pub(super) fn serialize<S: Serializer>(
        metric: &TagMetric,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match *metric {
            TagMetric::Packets(count) => Saved::Packets(count),
            TagMetric::Seconds(count) => Saved::Seconds(count),
            TagMetric::Bytes(count) => Saved::Bytes(count),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<TagMetric, D::Error> {
        Ok(match Saved::deserialize(deserializer)? {
            Saved::Packets(count) => TagMetric::Packets(count),
            Saved::Seconds(count) => TagMetric::Seconds(count),
            Saved::Bytes(count) => TagMetric::Bytes(count),
        })
    }
}

impl Tag {
    /// Counts a packet; `None` when the tag is over with it, else whether it is to be logged.
    fn count(&mut self, ts_ns: u64, bytes: u32) -> Option<bool> {
        self.used = self.used.saturating_add(match self.metric {
            TagMetric::Packets(_) => 1,
            TagMetric::Bytes(_) => u64::from(bytes),
            TagMetric::Seconds(_) => 0,
        });
        if !self.begun {
            self.begun = true;
            return Some(false);
        }
        let over = match self.metric {
            TagMetric::Packets(most) | TagMetric::Bytes(most) => self.used > u64::from(most),
            TagMetric::Seconds(most) => {
                (ts_ns / SECOND).saturating_sub(self.since) > u64::from(most)
            }
        };
        (!over).then_some(true)
    }
}

/// Sets a rule's tag, or starts it anew; false when there are too many.
pub(super) fn set(
    tags: &mut Vec<Tag>,
    (gid, sid): (u32, u32),
    metric: TagMetric,
    ts_ns: u64,
) -> bool {
    let since = ts_ns / SECOND;
    if let Some(tag) = tags.iter_mut().find(|tag| (tag.gid, tag.sid) == (gid, sid)) {
        tag.restarts = tag.restarts.saturating_add(1);
        if tag.restarts <= MOST_RESTARTS {
            (tag.used, tag.since) = (0, since);
        }
        return true;
    }
    if tags.len() >= MOST_TAGS {
        return false;
    }
    tags.push(Tag {
        gid,
        sid,
        metric,
        used: 0,
        since,
        restarts: 0,
        begun: false,
    });
    true
}

/// Counts a packet for all tags, ends those that are over, and says whether one wants it logged.
pub(super) fn count(tags: &mut Vec<Tag>, ts_ns: u64, bytes: u32) -> bool {
    let mut logged = false;
    tags.retain_mut(|tag| {
        let counted = tag.count(ts_ns, bytes);
        logged |= counted == Some(true);
        counted.is_some()
    });
    logged
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: TagMetric = TagMetric::Packets(256);

    /// Which of the packets, 100 bytes and a second each, are logged; the first one sets the tag.
    fn logged(metric: TagMetric, packets: usize) -> Vec<bool> {
        let mut tags = Vec::new();
        assert!(set(&mut tags, (1, 1), metric, 0));
        (0..packets as u64)
            .map(|at| count(&mut tags, at * SECOND, 100))
            .collect()
    }

    #[test]
    fn each_metric_ends_as_documented() {
        let yes = |count| {
            let mut expected = vec![false];
            expected.extend(vec![true; count]);
            expected.extend([false; 2]);
            expected
        };
        assert_eq!(logged(TagMetric::Packets(5), 7), yes(4));
        assert_eq!(logged(TagMetric::Bytes(300), 5), yes(2));
        assert_eq!(logged(TagMetric::Seconds(3), 6), yes(3));
    }

    #[test]
    fn a_rule_starts_its_tag_anew_nine_times() {
        let mut tags = Vec::new();
        let metric = TagMetric::Packets(3);
        let packets = (0..30).filter(|_| {
            assert!(set(&mut tags, (1, 1), metric, 0));
            count(&mut tags, 0, 60)
        });
        // The first packet sets the tag, nine start it anew, two use it up, and the next one ends it: 11 of 13 are logged.
        // The same again, then three of four.
        assert_eq!(packets.count(), 25);
    }

    #[test]
    fn a_flow_has_a_limited_number_of_tags() {
        let mut tags = Vec::new();
        for sid in 0..MOST_TAGS as u32 {
            assert!(set(&mut tags, (1, sid), METRIC, 0));
        }
        assert!(!set(&mut tags, (1, 999), METRIC, 0));
        assert!(set(&mut tags, (1, 3), METRIC, 0));
        assert_eq!(tags.len(), MOST_TAGS);
    }
}
