//! Other rules come: what transactions that are under way keep for them.

use super::transaction::Half;
use super::{Apps, Output, Transaction, Wants};
use crate::plan::RuleId;

impl Apps {
    /// Which buffers anyone looks at.
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    /// From now on somebody looks at these buffers, and no others.
    pub(crate) fn change_wants(&mut self, wants: Wants) {
        self.wants = wants;
        for app in self.slots.iter_mut().flatten() {
            app.output.change_wants(wants);
        }
    }

    /// All transactions that are under way.
    pub(crate) fn transactions(&mut self) -> impl Iterator<Item = &mut Transaction> {
        let apps = self.slots.iter_mut().flatten();
        apps.flat_map(|app| &mut app.output.live)
    }
}

impl Output {
    fn change_wants(&mut self, wants: Wants) {
        self.wants = wants;
        for tx in &mut self.live {
            tx.whole = tx.whole.both(wants);
        }
    }
}

impl Wants {
    /// What both want.
    fn both(self, other: Self) -> Self {
        let mut buffers = self.buffers;
        for (word, other) in buffers.iter_mut().zip(other.buffers) {
            *word &= other;
        }
        Self { buffers }
    }

    /// True when it has all that the other one wants.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.both(other) == other
    }
}

impl Half {
    /// Gives rules other numbers: those of which `goes_on` says none are not waited with any more, those of which `matched` says
    /// none may match again.
    pub(crate) fn renumber(
        &mut self,
        goes_on: impl Fn(RuleId) -> Option<RuleId>,
        matched: impl Fn(RuleId) -> Option<RuleId>,
    ) {
        fn renumber(list: &mut Vec<RuleId>, number: impl Fn(RuleId) -> Option<RuleId>) {
            list.retain_mut(|rule| number(*rule).map(|new| *rule = new).is_some());
            list.sort_unstable();
            list.dedup();
        }
        renumber(&mut self.candidates, goes_on);
        renumber(&mut self.matched, matched);
    }
}
