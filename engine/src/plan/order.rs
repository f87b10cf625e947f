//! In which order rules are evaluated: who changes state comes before who looks at it.

use std::cmp::Reverse;

use super::{Action, BitKeyword, BitTrack, Rule, StateAction, StateTest};

/// What a rule does with one kind of state. The later ones are evaluated first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Nothing.
    #[default]
    None,
    /// Looks at it.
    Reads,
    /// Looks at it and changes it.
    Both,
    /// Changes it.
    Writes,
}

impl Use {
    fn new(reads: bool, writes: bool) -> Self {
        match (reads, writes) {
            (false, false) => Self::None,
            (true, false) => Self::Reads,
            (true, true) => Self::Both,
            (false, true) => Self::Writes,
        }
    }

    fn of(rule: &Rule, reads: fn(&StateTest) -> bool, writes: fn(&StateAction) -> bool) -> Self {
        Self::new(
            rule.state_tests.iter().any(reads),
            rule.state_actions.iter().any(writes),
        )
    }
}

/// What decides about a rule's place, in Suricata's order of importance (userguide, "Rule Prioritization"): action, flow
/// bits, flow counters, bits of hosts, bits of pairs, priority. What is still equal stays as it was read.
pub(super) fn key(rule: &Rule) -> impl Ord + use<> {
    let action = match rule.action {
        Action::Pass => 0,
        Action::Drop => 1,
        Action::Reject(_) => 2,
        Action::Alert => 3,
    };
    let bits = Use::of(
        rule,
        |test| matches!(test, StateTest::FlowBit { .. }),
        |action| matches!(action, StateAction::FlowBit { .. }),
    );
    let counters = Use::of(
        rule,
        |test| {
            matches!(
                test,
                StateTest::FlowInt { .. } | StateTest::FlowIntExists { .. }
            )
        },
        |action| matches!(action, StateAction::FlowInt { .. }),
    );
    // Suricata counts only `hostbits` as writing and only `xbits` as reading, so `xbits:set` is not moved ahead of
    // `xbits:isset`: which of two rules sees the other's bit in the same packet hangs on it.
    let hosts = Use::of(
        rule,
        |test| matches!(test, StateTest::HostBit { keyword: BitKeyword::XBits, track, .. } if *track != BitTrack::Pair),
        |action| {
            matches!(
                action,
                StateAction::HostBit {
                    keyword: BitKeyword::HostBits,
                    ..
                }
            )
        },
    );
    let pairs = Use::of(
        rule,
        |test| matches!(test, StateTest::HostBit { keyword: BitKeyword::XBits, track, .. } if *track == BitTrack::Pair),
        |_| false,
    );
    (
        action,
        Reverse(bits),
        Reverse(counters),
        Reverse(hosts),
        Reverse(pairs),
        rule.meta.priority,
    )
}
