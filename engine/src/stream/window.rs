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
    /// In order of the rules, as are those that matched.
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

    /// Bytes that its lists take.
    pub(super) fn bytes(&self) -> usize {
        self.candidates.capacity() * size_of::<Candidate>()
            + self.matched.capacity() * size_of::<Matched>()
    }

    /// Probes of these rules, which are in order, occur before `end`. Returns how many rules had to be forgotten.
    pub(crate) fn add(&mut self, rules: &[RuleId], end: u64) -> u64 {
        let start = self.start;
        let known =
            |rule: &RuleId| (self.candidates.binary_search_by_key(rule, |c| c.rule)).is_ok();
        let fresh = rules.iter().filter(|rule| !known(rule)).count();
        let excess = (self.candidates.len() + fresh).saturating_sub(MOST_CANDIDATES);
        if excess > 0 {
            self.candidates.sort_unstable_by_key(|c| c.found);
            self.candidates.drain(..excess.min(self.candidates.len()));
            self.candidates.sort_unstable_by_key(|c| c.rule);
        }
        let room = fresh.min(MOST_CANDIDATES - self.candidates.len());
        let candidate = |rule| Candidate {
            rule,
            found: end,
            looked: start,
        };
        merge(
            &mut self.candidates,
            rules,
            room,
            |candidate| candidate.rule,
            |known| known.found = end,
            candidate,
        );
        excess as u64
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
        let place = self.matched.binary_search_by_key(&rule, |m| m.rule).ok();
        let matched = place.and_then(|at| self.matched.get(at));
        matched.map_or(0, |matched| matched.seen)
    }

    /// The rules, which are in order, have matched in this window.
    pub(crate) fn matched(&mut self, rules: &[RuleId]) {
        let others = |rule: RuleId| rules.binary_search(&rule).is_err();
        self.candidates.retain(|candidate| others(candidate.rule));
        let known = |rule: &RuleId| (self.matched.binary_search_by_key(rule, |m| m.rule)).is_ok();
        let fresh = rules.iter().filter(|rule| !known(rule)).count();
        let seen = u64::MAX;
        merge(
            &mut self.matched,
            rules,
            fresh,
            |matched| matched.rule,
            |known| known.seen = seen,
            |rule| Matched { rule, seen },
        );
    }

    /// Puts the lists in order, where the numbers of rules have changed. No rule may be there twice.
    pub(super) fn sort(&mut self) {
        self.candidates.sort_unstable_by_key(|c| c.rule);
        self.matched.sort_unstable_by_key(|m| m.rule);
        self.candidates.dedup_by_key(|c| c.rule);
        self.matched.dedup_by_key(|m| m.rule);
    }

    /// Gives rules other numbers: those of which `waits` says none do not wait any more, those of which `matched` says none
    /// have not matched.
    pub(super) fn renumber(
        &mut self,
        waits: &mut dyn FnMut(RuleId) -> Option<RuleId>,
        matched: &dyn Fn(RuleId) -> Option<RuleId>,
    ) {
        self.candidates
            .retain_mut(|c| waits(c.rule).map(|new| c.rule = new).is_some());
        self.matched
            .retain_mut(|m| matched(m.rule).map(|new| m.rule = new).is_some());
        self.sort();
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

/// Brings rules, which are in order, into a list that is in order of theirs: those that it has are updated, and of the
/// others as many as there is room for, the last ones, are put where they belong. One walk over both, from behind: an
/// attacker who writes a thousand probes into a window must not make the lists dear.
fn merge<T: Copy>(
    list: &mut Vec<T>,
    rules: &[RuleId],
    room: usize,
    rule_of: impl Fn(&T) -> RuleId,
    update: impl Fn(&mut T),
    fresh: impl Fn(RuleId) -> T,
) {
    let mut from = list.len();
    let Some(&first) = rules.first() else {
        return;
    };
    let mut to = from + room;
    list.resize(to, fresh(first));
    for &rule in rules.iter().rev() {
        while from > 0 && rule_of(&list[from - 1]) > rule {
            (from, to) = (from - 1, to - 1);
            list[to] = list[from];
        }
        if from > 0 && rule_of(&list[from - 1]) == rule {
            update(&mut list[from - 1]);
        } else if to > from {
            to -= 1;
            list[to] = fresh(rule);
        }
    }
    // Where less room was needed than there is.
    list.drain(from..to);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn undecided(window: &Window) -> Vec<RuleId> {
        window.due(0, 1).map(|due| due.rule).collect()
    }

    #[test]
    fn what_was_before_the_window_is_looked_at_now_and_then() {
        let mut window = Window::default();
        window.add(&[3], 10);
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
        window.add(&[3], 150);
        assert_eq!(due(&window, 200), Some((true, true)));
    }

    #[test]
    fn candidates_wait_as_long_as_their_probe_can_be_seen() {
        let mut window = Window::default();
        window.add(&[3], 10);
        window.add(&[5], 90);
        window.close(100, 20);
        assert_eq!(undecided(&window), [5]);
        window.add(&[5], 150);
        window.close(200, 120);
        assert_eq!(undecided(&window), [5]);
        window.close(300, 220);
        assert!(window.idle());
    }

    #[test]
    fn a_rule_matches_once_in_a_window_and_not_again_by_what_it_has_seen() {
        let mut window = Window::default();
        window.add(&[3], 10);
        window.matched(&[3]);
        assert_eq!((undecided(&window).len(), window.seen(3)), (0, u64::MAX));
        window.add(&[3], 50);
        assert!(undecided(&window).is_empty());
        window.close(100, 40);
        assert_eq!((undecided(&window), window.seen(3)), (vec![3], 100));
        window.close(200, 140);
        assert_eq!(window.seen(3), 0);
    }

    #[test]
    fn a_flood_of_candidates_is_bounded_and_counted() {
        let mut window = Window::default();
        let forgotten: u64 = (0..2000).map(|rule| window.add(&[rule], 1)).sum();
        assert_eq!(forgotten, 2000 - MOST_CANDIDATES as u64);
        assert_eq!(undecided(&window).len(), MOST_CANDIDATES);
    }

    proptest! {
        /// The lists are what plain maps would hold, whatever comes in whatever portions.
        #[test]
        fn lists_are_maps_in_order(
            steps in prop::collection::vec((prop::collection::btree_set(0..40u32, 0..12), any::<bool>()), 1..40)
        ) {
            let mut window = Window::default();
            let (mut waiting, mut matched) = (BTreeMap::new(), BTreeSet::new());
            for ((rules, hit), end) in steps.into_iter().zip(1..) {
                let list: Vec<RuleId> = rules.iter().copied().collect();
                if hit {
                    window.matched(&list);
                    waiting.retain(|rule, _| !rules.contains(rule));
                    matched.extend(rules);
                } else {
                    prop_assert_eq!(window.add(&list, end), 0);
                    waiting.extend(rules.iter().map(|&rule| (rule, end)));
                }
                let is = |c: &Candidate| (c.rule, c.found);
                prop_assert!(window.candidates.iter().map(is).eq(waiting.clone()));
                prop_assert!(window.matched.iter().map(|m| m.rule).eq(matched.iter().copied()));
                for rule in 0..40 {
                    prop_assert_eq!(window.seen(rule) == u64::MAX, matched.contains(&rule));
                }
            }
        }
    }
}
