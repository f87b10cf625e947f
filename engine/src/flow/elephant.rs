//! Flows that carry much in a short time.

use serde::{Deserialize, Serialize};

use super::config::ElephantConfig;

/// Bytes of a [`Ring`]'s head.
pub(super) const HEAD_BYTES: usize = size_of::<Head>();

/// Bytes by second of one direction of a flow, for the last so many seconds.
#[derive(Clone, Copy, Default)]
struct Head {
    /// Second of the latest packet since the Unix epoch.
    second: u64,
    /// Sum of the ring.
    sum: u64,
}

/// What one direction of a flow carried lately, for the next process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedRate {
    second: u64,
    ring: Vec<u32>,
}

/// How much each flow has carried lately.
pub(super) struct Rates {
    limit: u64,
    span: usize,
    /// By slot and direction.
    heads: Vec<Head>,
    /// `span` counters for each of `heads`.
    rings: Vec<u32>,
}

impl Rates {
    /// For flows in slots below `slots`.
    pub fn new(config: ElephantConfig, slots: usize) -> Self {
        let span = config.span();
        Self {
            limit: config.bytes,
            span,
            heads: vec![Head::default(); 2 * slots],
            rings: vec![0; 2 * slots * span],
        }
    }

    /// What a slot's flow carried lately, for the next process; `None` where that is nothing.
    pub fn save(&self, slot: u32) -> Option<[SavedRate; 2]> {
        let of_way = |way: usize| {
            let at = 2 * slot as usize + way;
            let start = at * self.span;
            Some(SavedRate {
                second: self.heads.get(at)?.second,
                ring: self.rings.get(start..start + self.span)?.to_vec(),
            })
        };
        let both = [of_way(0)?, of_way(1)?];
        both.iter().any(|rate| rate.second > 0).then_some(both)
    }

    /// Goes on with what was saved, unless that is of another span.
    pub fn adopt(&mut self, slot: u32, saved: &[SavedRate; 2]) {
        for (way, rate) in saved.iter().enumerate() {
            let at = 2 * slot as usize + way;
            if rate.ring.len() == self.span
                && rate.second <= u64::MAX / 1_000_000_000
                && let Some(head) = self.heads.get_mut(at)
            {
                *head = Head {
                    second: rate.second,
                    sum: rate.ring.iter().map(|&bytes| u64::from(bytes)).sum(),
                };
                self.ring(at).copy_from_slice(&rate.ring);
            }
        }
    }

    /// Forgets what a slot's last flow carried.
    pub fn reset(&mut self, slot: u32) {
        for at in [2 * slot as usize, 2 * slot as usize + 1] {
            if let Some(head) = self.heads.get_mut(at)
                && std::mem::take(head).sum > 0
            {
                self.ring(at).fill(0);
            }
        }
    }

    /// Counts a packet; true when its direction has reached the limit. Time that goes backwards counts as no time.
    pub fn count(&mut self, slot: u32, way: usize, ts_ns: u64, bytes: u32) -> bool {
        let at = 2 * slot as usize + way;
        let Some(&Head { second, sum }) = self.heads.get(at) else {
            return false;
        };
        let now = (ts_ns / 1_000_000_000).max(second);
        let (limit, span) = (self.limit, self.span);
        let ring = self.ring(at);
        let mut sum = sum;
        let passed = now - second;
        if passed >= span as u64 {
            ring.fill(0);
            sum = 0;
        } else {
            for second in second + 1..=now {
                let counter = &mut ring[(second % span as u64) as usize];
                sum -= u64::from(std::mem::take(counter));
            }
        }
        let counter = &mut ring[(now % span as u64) as usize];
        let before = *counter;
        *counter = before.saturating_add(bytes);
        sum += u64::from(*counter - before);
        self.heads[at] = Head { second: now, sum };
        sum >= limit
    }

    fn ring(&mut self, at: usize) -> &mut [u32] {
        let start = at * self.span;
        &mut self.rings[start..start + self.span]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rates() -> Rates {
        Rates::new(
            ElephantConfig {
                bytes: 100,
                seconds: 4,
            },
            2,
        )
    }

    #[test]
    fn bytes_of_the_last_seconds_count() {
        let mut rates = rates();
        let mut count = |second: u64, bytes| rates.count(1, 0, second * SECOND + 7, bytes);
        assert!(!count(10, 40));
        assert!(!count(11, 30));
        assert!(!count(13, 29));
        // 10 is not among the last four any more.
        assert!(!count(14, 40));
        assert!(count(14, 1));
        // A pause forgets everything.
        assert!(!count(20, 99));
        assert!(count(20, 1));
        assert!(!count(1_000_000, 99));
    }

    #[test]
    fn directions_and_slots_are_apart_and_a_new_flow_starts_at_nothing() {
        let mut rates = rates();
        assert!(!rates.count(0, 0, SECOND, 99));
        assert!(!rates.count(0, 1, SECOND, 99));
        assert!(!rates.count(1, 0, SECOND, 99));
        rates.reset(0);
        assert!(!rates.count(0, 0, SECOND, 99));
        assert!(rates.count(1, 0, SECOND, 1));
    }

    #[test]
    fn time_that_goes_backwards_and_counters_that_are_full_do_no_harm() {
        let mut rates = rates();
        rates.limit = u64::MAX;
        for second in [5, 0, u64::MAX / SECOND, 3] {
            for _ in 0..3 {
                assert!(!rates.count(0, 0, second * SECOND, u32::MAX));
            }
        }
        assert_eq!(rates.heads[0].sum, u64::from(u32::MAX));
    }
}
