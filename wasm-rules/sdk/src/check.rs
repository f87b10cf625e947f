//! What can be wrong with a declaration, found while the module is compiled.

use crate::declare::{Buffer, Kept, Module, Pattern, Rule, Scope};

/// Most bytes of a text.
const MAX_TEXT: usize = 8192;

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
            is_line(self.version),
            "`version` is one line of at most 8192 bytes"
        );
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
            "a buffer is declared twice, or has no name of one line"
        );
        assert!(
            self.flow_bits.len() <= 64,
            "a module has at most 64 flow bits"
        );
        assert!(
            different(self.flow_bits),
            "a flow bit is declared twice, or has no name of one line"
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
    assert!(
        is_line(rule.message),
        "`message` is one line of at most 8192 bytes"
    );
    assert!(
        is_line(rule.header) && !ends_header(rule.header),
        "`header` is what stands before the options of a text rule: one line without ( ) ;"
    );
    assert!(
        is_line(rule.options),
        "`options` are one line of at most 8192 bytes"
    );
    if let Some(class) = rule.class {
        assert!(is_line(class), "`class` is one line of at most 8192 bytes");
    }
    check_pairs(rule.references);
    check_pairs(rule.metadata);
    check_buffers(rule.buffers);
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

const fn check_pairs(pairs: &[(&str, &str)]) {
    assert!(
        pairs.len() <= 64,
        "a rule has at most 64 references, and 64 of metadata"
    );
    let mut at = 0;
    while at < pairs.len() {
        assert!(
            is_line(pairs[at].0) && is_line(pairs[at].1),
            "references and metadata are lines of at most 8192 bytes"
        );
        at += 1;
    }
}

const fn check_buffers(buffers: &[Buffer]) {
    assert!(buffers.len() <= 64, "a rule names at most 64 buffers");
    let mut at = 0;
    while at < buffers.len() {
        let mut before = 0;
        while before < at {
            assert!(
                buffers[before].index != buffers[at].index,
                "a rule names a buffer twice"
            );
            before += 1;
        }
        at += 1;
    }
}

/// True for text without control characters that is not too long.
const fn is_line(text: &str) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        // Those behind ASCII are U+0080 to U+009F: C2 80 to C2 9F.
        let further = text[at] == 0xc2 && at + 1 < text.len() && text[at + 1] < 0xa0;
        if text[at].is_ascii_control() || further {
            return false;
        }
        at += 1;
    }
    text.len() <= MAX_TEXT
}

/// True for text with what would end a header.
const fn ends_header(text: &str) -> bool {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        if matches!(text[at], b'(' | b')' | b';') {
            return true;
        }
        at += 1;
    }
    false
}

/// True when no two names are the same, and each is a line that is not empty.
const fn different(names: &[&str]) -> bool {
    let mut at = 0;
    while at < names.len() {
        if names[at].is_empty() || !is_line(names[at]) {
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
