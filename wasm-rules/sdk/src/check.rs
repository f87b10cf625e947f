//! What can be wrong with a declaration, found while the module is compiled.

use crate::declare::{Kept, Module, Pattern, Rule, Scope};

impl Module {
    /// This module; does not compile where the host would refuse the declaration for its form.
    #[doc(hidden)]
    pub const fn checked(self) -> Self {
        let name = self.name.as_bytes();
        assert!(
            !name.is_empty() && name.len() <= 64,
            "`name` has 1 to 64 characters"
        );
        let mut at = 0;
        while at < name.len() {
            assert!(
                matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-'),
                "`name` is made of a-z, 0-9 and -"
            );
            at += 1;
        }
        assert!(
            !self.rules.is_empty() && self.rules.len() <= 4096,
            "a module has 1 to 4096 rules"
        );
        let mut at = 0;
        while at < self.rules.len() {
            check_rule(&self.rules[at]);
            let mut before = 0;
            while before < at {
                assert!(
                    self.rules[before].sid != self.rules[at].sid,
                    "two rules have the same `sid`"
                );
                before += 1;
            }
            at += 1;
        }
        assert!(self.buffers.len() <= 64, "a module has at most 64 buffers");
        assert!(
            different(self.buffers),
            "a buffer is declared twice, or has no name"
        );
        assert!(
            self.flow_bits.len() <= 64,
            "a module has at most 64 flow bits"
        );
        assert!(
            different(self.flow_bits),
            "a flow bit is declared twice, or has no name"
        );
        let mut at = 0;
        while at < self.state.len() {
            check_kept(&self.state[at]);
            let mut before = 0;
            while before < at {
                assert!(
                    self.state[before].scope as u8 != self.state[at].scope as u8,
                    "state of one scope is declared twice: keep one type with both"
                );
                before += 1;
            }
            at += 1;
        }
        self
    }
}

const fn check_rule(rule: &Rule) {
    assert!(rule.sid > 0, "a rule has no `sid`, or it is 0");
    assert!(!rule.message.is_empty(), "a rule has no `message`");
    assert!(
        !rule.header.is_empty(),
        "a rule has no `header`, such as \"tcp any any -> any 80\""
    );
    if let Some(priority) = rule.priority {
        assert!(priority > 0, "`priority` is 1 to 255");
    }
    assert!(rule.patterns.len() <= 64, "a rule has at most 64 patterns");
    let mut at = 0;
    while at < rule.patterns.len() {
        let Pattern { buffer, bytes, .. } = rule.patterns[at];
        assert!(
            !bytes.is_empty() && bytes.len() <= 255,
            "a pattern has 1 to 255 bytes"
        );
        assert!(!buffer.is_empty(), "a pattern names no buffer");
        assert!(
            same(buffer, rule.patterns[0].buffer),
            "the patterns of a rule are all in the same buffer"
        );
        at += 1;
    }
}

const fn check_kept(kept: &Kept) {
    assert!(
        kept.bytes > 0 && kept.bytes <= 4096,
        "`bytes` of state is 1 to 4096"
    );
    assert!(
        kept.entries > 0 && kept.entries <= 1_000_000,
        "`entries` of state is 1 to 1000000"
    );
    assert!(
        !matches!(kept.scope, Scope::Everywhere) || kept.entries == 1,
        "there is one value for everything: `entries` is 1"
    );
}

/// True when no two names are the same, and none is empty.
const fn different(names: &[&str]) -> bool {
    let mut at = 0;
    while at < names.len() {
        if names[at].is_empty() {
            return false;
        }
        let mut before = 0;
        while before < at {
            if same(names[before], names[at]) {
                return false;
            }
            before += 1;
        }
        at += 1;
    }
    true
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
