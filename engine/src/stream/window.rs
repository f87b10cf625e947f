//! The windows in which rules look at a stream.
//!
//! A rule needs a piece of stream to look at, and what it says must not depend on how the stream was cut into segments.
//! So a window ends where the stream itself says so: after [`StreamConfig::window`](super::StreamConfig) bytes, when the
//! other side answers, at a gap, and when the stream ends. A rule alerts at most once in a window. What spans the end
//! of a window is found because a window can be looked at together with as many bytes before it.

use crate::plan::RuleId;

/// Most rules that wait for the end of a window. Before there are more, those that wait are decided and forgotten, and
/// counted.
pub(crate) const MOST_CANDIDATES: usize = 1024;

/// So many rules that wait are looked at with every segment.
const FEW: u64 = 64;

/// A rule one of whose probes occurs, and which has not been decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) rule: RuleId,
    /// Offset just after the buffer in which its probe was found last.
    pub(super) found: u64,
    /// Up to here the stream was looked at together with what was before the window.
    pub(super) looked: u64,
}

/// A rule that is due, as [`Window::due`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The rule.
    pub(crate) rule: RuleId,
    /// Just after the buffer in which its probe was found last.
    pub(crate) found: u64,
    /// Its probe occurs in this window.
    pub(crate) fresh: bool,
    /// Much has come since what was before the window was looked at, too.
    pub(crate) stale: bool,
}

/// A rule that matched, and how far it has seen the stream; nothing before that can make it match again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matched {
    pub(super) rule: RuleId,
    /// `u64::MAX` while the window is open.
    pub(super) seen: u64,
}

/// The window at hand of one direction, with what earlier ones left behind.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(super) start: u64,
    pub(super) candidates: Vec<Candidate>,
    pub(super) matched: Vec<Matched>,
    /// As [`Candidate::looked`], for rules that need no probe.
    pub(super) looked: u64,
}

impl Window {
    /// Offset of its first byte.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// True when no rule waits.
    pub(crate) fn idle(&self) -> bool {
        self.candidates.is_empty()
    }

    /// True when so many more rules are more than may wait.
    pub(crate) fn crowded(&self, more: usize) -> bool {
        self.candidates.len() + more > MOST_CANDIDATES
    }

    /// No rule waits any more; returns how many did.
    pub(crate) fn forget(&mut self) -> u64 {
        let forgotten = self.candidates.len();
        self.candidates.clear();
        forgotten as u64
    }

    /// A probe of the rule occurs before `end`. Returns how many other rules had to be forgotten.
    pub(crate) fn add(&mut self, rule: RuleId, end: u64) -> u64 {
        if let Some(known) = self.candidates.iter_mut().find(|c| c.rule == rule) {
            known.found = end;
            return 0;
        }
        let full = self.candidates.len() >= MOST_CANDIDATES;
        if full {
            self.candidates.remove(0);
        }
        self.candidates.push(Candidate {
            rule,
            found: end,
            looked: self.start,
        });
        u64::from(full)
    }

    /// The rules that wait, when the stream has come to `end`. One is stale when at least `patience` bytes have come since
    /// it was looked at together with what was before the window: that is not done for every few bytes of a
    /// conversation.
    pub(crate) fn due(&self, end: u64, patience: u64) -> impl Iterator<Item = Due> {
        let open = |candidate: &&Candidate| self.seen(candidate.rule) != u64::MAX;
        self.candidates
            .iter()
            .filter(open)
            .map(move |candidate| Due {
                rule: candidate.rule,
                found: candidate.found,
                fresh: candidate.found > self.start,
                stale: end.saturating_sub(candidate.looked) >= patience,
            })
    }

    /// True when rules that wait are to be looked at while the window is open, now that the stream has come from `since` to
    /// `end`. Where many wait, that is so once in as many bytes: otherwise a flow of single bytes would have all of them
    /// looked at for each.
    pub(crate) fn worth_a_look(&self, since: u64, end: u64) -> bool {
        let waiting = self.candidates.len() as u64;
        waiting <= FEW || end / waiting > since / waiting
    }

    /// The same for rules that need no probe.
    pub(crate) fn stale(&self, end: u64, patience: u64) -> bool {
        end.saturating_sub(self.looked) >= patience
    }

    /// The stale rules have been looked at up to `end`.
    pub(crate) fn looked(&mut self, end: u64, patience: u64) {
        let stale = |looked: u64| end.saturating_sub(looked) >= patience;
        for candidate in &mut self.candidates {
            if stale(candidate.looked) {
                candidate.looked = end;
            }
        }
        if stale(self.looked) {
            self.looked = end;
        }
    }

    /// How far the rule has seen the stream: `u64::MAX` when it has matched in this window, 0 when it has not matched.
    pub(crate) fn seen(&self, rule: RuleId) -> u64 {
        let of_rule = self.matched.iter().filter(|matched| matched.rule == rule);
        of_rule.map(|matched| matched.seen).max().unwrap_or(0)
    }

    /// The rule has matched in this window.
    pub(crate) fn matched(&mut self, rule: RuleId) {
        self.candidates.retain(|candidate| candidate.rule != rule);
        self.matched.retain(|matched| matched.rule != rule);
        self.matched.push(Matched {
            rule,
            seen: u64::MAX,
        });
    }

    /// Ends the window at `end`, where the next one starts. `back`: from here on bytes can still be looked at.
    pub(crate) fn close(&mut self, end: u64, back: u64) {
        self.start = end;
        for matched in &mut self.matched {
            matched.seen = matched.seen.min(end);
        }
        self.matched.retain(|matched| matched.seen > back);
        self.candidates.retain(|candidate| candidate.found > back);
    }

    /// The stream goes on from an offset that it had come past: what was said about bytes behind it is void.
    pub(crate) fn take_back(&mut self, from: u64) {
        self.start = self.start.min(from);
        self.looked = self.looked.min(from);
        for matched in &mut self.matched {
            // What has matched before has not matched in what comes now.
            matched.seen = matched.seen.min(from);
        }
        for candidate in &mut self.candidates {
            candidate.looked = candidate.looked.min(from);
        }
    }

    /// Begins anew at an offset, with nothing from before.
    pub(crate) fn restart(&mut self, at: u64) {
        self.start = at;
        self.looked = at;
        self.candidates.clear();
        self.matched.clear();
        // What one connection needed once is no reason to keep it.
        self.candidates.shrink_to(64);
        self.matched.shrink_to(64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undecided(window: &Window) -> Vec<RuleId> {
        window.due(0, 1).map(|due| due.rule).collect()
    }

    #[test]
    fn what_was_before_the_window_is_looked_at_now_and_then() {
        let mut window = Window::default();
        window.add(3, 10);
        let due = |window: &Window, end| {
            window
                .due(end, 100)
                .next()
                .map(|due| (due.fresh, due.stale))
        };
        assert_eq!(due(&window, 10), Some((true, false)));
        window.looked(10, 100);
        window.close(10, 0);
        assert_eq!(due(&window, 20), Some((false, false)));
        assert_eq!(due(&window, 100), Some((false, true)));
        assert!(window.stale(100, 100) && !window.stale(99, 100));
        window.looked(100, 100);
        assert_eq!(due(&window, 199), Some((false, false)));
        assert!(!window.stale(199, 100));
        window.add(3, 150);
        assert_eq!(due(&window, 200), Some((true, true)));
    }

    #[test]
    fn candidates_wait_as_long_as_their_probe_can_be_seen() {
        let mut window = Window::default();
        window.add(3, 10);
        window.add(5, 90);
        window.close(100, 20);
        assert_eq!(undecided(&window), [5]);
        window.add(5, 150);
        window.close(200, 120);
        assert_eq!(undecided(&window), [5]);
        window.close(300, 220);
        assert!(window.idle());
    }

    #[test]
    fn a_rule_matches_once_in_a_window_and_not_again_by_what_it_has_seen() {
        let mut window = Window::default();
        window.add(3, 10);
        window.matched(3);
        assert_eq!((undecided(&window).len(), window.seen(3)), (0, u64::MAX));
        window.add(3, 50);
        assert!(undecided(&window).is_empty());
        window.close(100, 40);
        assert_eq!((undecided(&window), window.seen(3)), (vec![3], 100));
        window.close(200, 140);
        assert_eq!(window.seen(3), 0);
    }

    #[test]
    fn a_flood_of_candidates_is_bounded_and_counted() {
        let mut window = Window::default();
        let forgotten: u64 = (0..2000).map(|rule| window.add(rule, 1)).sum();
        assert_eq!(forgotten, 2000 - MOST_CANDIDATES as u64);
        assert_eq!(undecided(&window).len(), MOST_CANDIDATES);
    }
}
