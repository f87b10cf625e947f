//! Regular expressions as trees, as far as strings are to be made of them.
//!
//! This reads PCRE's syntax with its commonest extensions. What it does not know makes the expression unreadable; what is
//! no matter for making strings (possessive and lazy quantifiers, negative look-around) is read and left out: whoever
//! makes a string asks the engine's own expression whether it matches.

mod escape;

use weir_engine::pcre::Flags;

use super::set::ByteSet;

/// Deepest nesting of groups that is read.
const DEPTH: u32 = 40;

/// Most repetitions of repetitions that are read.
const REPEATS: u32 = 8;

/// Part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One byte.
    Set(ByteSet),
    /// One after another.
    Seq(Vec<Node>),
    /// One of them.
    Alt(Vec<Node>),
    /// So many times.
    Repeat {
        /// What.
        node: Box<Node>,
        /// At least.
        min: u32,
        /// At most.
        max: Option<u32>,
    },
    /// A group that captures.
    Group(u32, Box<Node>),
    /// What a group captured.
    Back(u32),
    /// `^`; with `true` also after the end of a line.
    Start(bool),
    /// `$`; with `true` also before the end of a line.
    End(bool),
    /// What must stand ahead.
    Ahead(Box<Node>),
    /// What must stand behind.
    Behind(Box<Node>),
    /// A boundary of a word (true), or none.
    Word,
}

/// Reads an expression; `None` where that is beyond this reader.
pub(super) fn parse(pattern: &[u8], flags: Flags) -> Option<Node> {
    let mut reader = Reader {
        text: pattern,
        at: 0,
        flags,
        groups: 0,
        names: Vec::new(),
        depth: 0,
    };
    let node = reader.alternatives()?;
    (reader.at == pattern.len()).then_some(node)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    flags: Flags,
    groups: u32,
    names: Vec<(Vec<u8>, u32)>,
    depth: u32,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, wanted: &[u8]) -> bool {
        let there = self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(wanted));
        if there {
            self.at += wanted.len();
        }
        there
    }

    fn until(&mut self, end: u8) -> Option<Vec<u8>> {
        let rest = self.text.get(self.at..)?;
        let len = rest.iter().position(|&byte| byte == end)?;
        self.at += len + 1;
        rest.get(..len).map(<[u8]>::to_vec)
    }

    fn alternatives(&mut self) -> Option<Node> {
        let flags = self.flags;
        let mut all = vec![self.sequence()?];
        while self.take(b"|") {
            all.push(self.sequence()?);
        }
        // Options that were set inside end with the group.
        self.flags = flags;
        Some(if all.len() == 1 {
            all.pop()?
        } else {
            Node::Alt(all)
        })
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut all = Vec::new();
        while let Some(byte) = self.peek() {
            if matches!(byte, b'|' | b')') {
                break;
            }
            if let Some(node) = self.atom()? {
                let node = self.quantified(node)?;
                all.push(node);
            }
        }
        Some(Node::Seq(all))
    }

    /// `None` inside: nothing that takes part in a match.
    fn atom(&mut self) -> Option<Option<Node>> {
        let byte = self.next()?;
        let line_end = ByteSet::of(b'\n');
        Some(Some(match byte {
            b'.' if self.flags.dotall => Node::Set(ByteSet::ALL),
            b'.' => Node::Set(line_end.complement()),
            b'^' => Node::Start(self.flags.multiline),
            b'$' => Node::End(self.flags.multiline),
            b'[' => Node::Set(self.class()?),
            b'(' => return self.group(),
            b'\\' => return self.escape(),
            b' ' | b'\t' | b'\n' | b'\r' if self.flags.extended => return Some(None),
            b'#' if self.flags.extended => {
                while self.next().is_some_and(|byte| byte != b'\n') {}
                return Some(None);
            }
            b'*' | b'+' | b'?' => return None,
            other => self.literal(other),
        }))
    }

    fn literal(&self, byte: u8) -> Node {
        Node::Set(ByteSet::cased(byte, self.flags.caseless))
    }

    fn quantified(&mut self, mut node: Node) -> Option<Node> {
        for _ in 0..=REPEATS {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => match self.counts() {
                    Some(counts) => {
                        node = Node::Repeat {
                            node: Box::new(node),
                            min: counts.0,
                            max: counts.1,
                        };
                        self.manner();
                        continue;
                    }
                    None => return Some(node),
                },
                _ => return Some(node),
            };
            self.at += 1;
            self.manner();
            node = Node::Repeat {
                node: Box::new(node),
                min,
                max,
            };
        }
        None
    }

    /// Lazy or possessive: no matter here.
    fn manner(&mut self) {
        if matches!(self.peek(), Some(b'?' | b'+')) {
            self.at += 1;
        }
    }

    /// `{m}`, `{m,}`, `{m,n}`, `{,n}`; anything else is a brace.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let rest = self.text.get(self.at + 1..)?;
        let len = rest.iter().position(|&byte| byte == b'}')?;
        let text = std::str::from_utf8(rest.get(..len)?).ok()?;
        let counts = match text.split_once(',') {
            None => {
                let count = text.trim().parse().ok()?;
                (count, Some(count))
            }
            Some((min, "")) => (min.trim().parse().ok()?, None),
            Some(("", max)) => (0, Some(max.trim().parse().ok()?)),
            Some((min, max)) => (min.trim().parse().ok()?, Some(max.trim().parse().ok()?)),
        };
        self.at += len + 2;
        Some(counts)
    }

    fn group(&mut self) -> Option<Option<Node>> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let flags = self.flags;
        let mut number = None;
        let mut wrap: fn(Box<Node>) -> Option<Node> = |node| Some(*node);
        if self.take(b"?#") {
            self.until(b')')?;
            self.depth -= 1;
            return Some(None);
        } else if self.take(b"?=") {
            wrap = |node| Some(Node::Ahead(node));
        } else if self.take(b"?<=") {
            wrap = |node| Some(Node::Behind(node));
        } else if self.take(b"?!") || self.take(b"?<!") {
            // Only a check of the engine's can tell whether it holds.
            wrap = |_| None;
        } else if self.take(b"?>") || self.take(b"?:") || self.take(b"?|") {
        } else if self.take(b"?P<") || self.take(b"?<") {
            number = Some(self.numbered(b'>')?);
        } else if self.take(b"?'") {
            number = Some(self.numbered(b'\'')?);
        } else if self.take(b"?P=") {
            let name = self.until(b')')?;
            self.depth -= 1;
            return Some(Some(Node::Back(self.named(&name)?)));
        } else if self.take(b"?") {
            if self.options()? {
                // Until the end of the group around it.
                self.depth -= 1;
                return Some(None);
            }
        } else if self.take(b"*") {
            return None;
        } else {
            self.groups += 1;
            number = Some(self.groups);
        }
        let inner = self.alternatives()?;
        self.flags = flags;
        self.depth -= 1;
        if !self.take(b")") {
            return None;
        }
        Some(match number {
            Some(number) => Some(Node::Group(number, Box::new(inner))),
            None => wrap(Box::new(inner)),
        })
    }

    fn numbered(&mut self, end: u8) -> Option<u32> {
        let name = self.until(end)?;
        self.groups += 1;
        self.names.push((name, self.groups));
        Some(self.groups)
    }

    fn named(&self, name: &[u8]) -> Option<u32> {
        let known = self.names.iter().find(|(known, _)| known == name);
        known.map(|&(_, number)| number)
    }

    /// `(?i)` or `(?i:`: true where nothing follows inside.
    fn options(&mut self) -> Option<bool> {
        let mut on = true;
        loop {
            match self.next()? {
                b'-' => on = false,
                b'i' => self.flags.caseless = on,
                b's' => self.flags.dotall = on,
                b'm' => self.flags.multiline = on,
                b'x' => self.flags.extended = on,
                b'U' | b'J' => {}
                b')' => return Some(true),
                b':' => return Some(false),
                _ => return None,
            }
        }
    }
}
