//! What is due from time to time, by the time of packets.

/// Periods of packet time, the same for all workers that look at the same times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    period_ns: u64,
    /// The period in which the latest look was.
    current: Option<u64>,
}

impl Interval {
    /// Periods of this length; never due with 0.
    pub fn new(period_ns: u64) -> Self {
        Self {
            period_ns,
            current: None,
        }
    }

    /// True once in each period, but for the first. Where time goes back, periods begin anew.
    pub fn is_due(&mut self, now_ns: u64) -> bool {
        let Some(now) = now_ns.checked_div(self.period_ns) else {
            return false;
        };
        self.current.replace(now).is_some_and(|before| before < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_due_once_and_the_first_one_never() {
        let mut interval = Interval::new(10);
        let due = [3, 9, 10, 19, 45, 46, 20, 29, 30].map(|now| interval.is_due(now));
        let expected = [false, false, true, false, true, false, false, false, true];
        assert_eq!(due, expected);
        let mut never = Interval::new(0);
        assert!([0, 10, u64::MAX].iter().all(|&now| !never.is_due(now)));
    }
}
