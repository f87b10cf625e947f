//! Reading bytes while remembering where they are.

use super::ast::{At, Place, Problem};

/// A position in some bytes whose first one has a known place.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
    start: Place,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], start: Place) -> Self {
        Self {
            bytes,
            pos: 0,
            start,
        }
    }

    pub(crate) fn of(value: &'a At<Vec<u8>>) -> Self {
        Self::new(&value.value, value.place)
    }

    /// Where the next byte is.
    pub(crate) fn place(&self) -> Place {
        self.start.plus(self.pos)
    }

    /// Offset of the next byte.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.pos..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    /// Moves on, but not past the end.
    pub(crate) fn advance(&mut self, count: usize) {
        self.pos = self.pos.saturating_add(count).min(self.bytes.len());
    }

    /// Takes `text` if it comes next.
    pub(crate) fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.advance(text.len());
        }
        found
    }

    /// Takes bytes as long as `keep` says so.
    pub(crate) fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let count = rest
            .iter()
            .position(|&byte| !keep(byte))
            .unwrap_or(rest.len());
        self.advance(count);
        rest.get(..count).unwrap_or_default()
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.take_while(|byte| byte.is_ascii_whitespace());
    }

    /// A syntax problem here: what was expected, and what is there.
    pub(crate) fn expected(&self, what: &str) -> Problem {
        Problem::syntax(
            self.place(),
            format!("expected {what}, found {}", shown(self.rest())),
        )
    }

    /// A problem unless everything but white space has been read.
    pub(crate) fn finish(&mut self) -> Result<(), Problem> {
        self.skip_blanks();
        if self.at_end() {
            Ok(())
        } else {
            Err(self.expected("nothing more"))
        }
    }
}

/// Bytes as a message shows them: quoted, escaped, not too many.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    match bytes.get(..MOST) {
        _ if bytes.is_empty() => "the end".to_owned(),
        Some(head) if bytes.len() > MOST => format!("`{}…`", readable(head)),
        _ => format!("`{}`", readable(bytes)),
    }
}

/// Text with whatever is not printable ASCII or valid UTF-8 escaped.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
