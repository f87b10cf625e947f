//! Searching for one literal, with everything that can be worked out beforehand worked out.

use memchr::memmem::Finder;

/// A literal to search for.
#[derive(Debug)]
pub enum Needle {
    /// One byte, as it is.
    Byte(u8),
    /// Bytes as they are. (Boxed: it is by far the largest.)
    Exact(Box<Finder<'static>>),
    /// Bytes in either case.
    Folded(Folded),
}

/// A literal whose ASCII letters stand for both cases.
#[derive(Debug)]
pub struct Folded {
    bytes: Box<[u8]>,
    /// Where the byte is that is looked for first: the one expected to be rarest.
    anchor: usize,
    /// That byte's two cases; the same where it is no letter.
    cases: [u8; 2],
}

impl Needle {
    /// A literal; `nocase` lets ASCII letters match in either case.
    pub(super) fn new(bytes: &[u8], nocase: bool) -> Self {
        if nocase && bytes.iter().any(u8::is_ascii_alphabetic) {
            return Self::Folded(Folded::new(bytes));
        }
        match bytes {
            &[byte] => Self::Byte(byte),
            _ => Self::Exact(Box::new(Finder::new(bytes).into_owned())),
        }
    }

    /// Its bytes as they were given.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Byte(byte) => std::slice::from_ref(byte),
            Self::Exact(finder) => finder.needle(),
            Self::Folded(folded) => &folded.bytes,
        }
    }

    /// Where both cases are meant: the place of the byte that is looked for first.
    pub fn anchor(&self) -> Option<usize> {
        match self {
            Self::Byte(_) | Self::Exact(_) => None,
            Self::Folded(folded) => Some(folded.anchor),
        }
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Byte(_) => 1,
            Self::Exact(finder) => finder.needle().len(),
            Self::Folded(folded) => folded.bytes.len(),
        }
    }

    /// Offset of its first occurrence in `text`. What is looked at is taken off `work`; when that comes to nothing, an
    /// occurrence may have been missed.
    pub(super) fn find(&self, text: &[u8], work: &mut u64) -> Option<usize> {
        let found = match self {
            Self::Byte(byte) => memchr::memchr(*byte, text),
            Self::Exact(finder) => finder.find(text),
            Self::Folded(folded) => folded.find(text, work),
        };
        let seen = found.map_or(text.len(), |at| at + self.len());
        *work = work.saturating_sub(seen as u64);
        found
    }

    /// True when `text` ends with it.
    pub(super) fn ends(&self, text: &[u8]) -> bool {
        match self {
            Self::Byte(byte) => text.last() == Some(byte),
            Self::Exact(finder) => text.ends_with(finder.needle()),
            Self::Folded(Folded { bytes, .. }) => text
                .len()
                .checked_sub(bytes.len())
                .and_then(|at| text.get(at..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(bytes)),
        }
    }
}

impl Folded {
    fn new(bytes: &[u8]) -> Self {
        let rarest = bytes
            .iter()
            .enumerate()
            .min_by_key(|&(_, &byte)| commonness(byte));
        let (anchor, byte) = rarest.map_or((0, 0), |(at, &byte)| (at, byte));
        let cases = [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()];
        Self {
            bytes: bytes.into(),
            anchor,
            cases,
        }
    }

    /// As [`Needle::find`], where `work` pays for comparisons only: text in which the anchor is everywhere costs as much
    /// as it is long for each byte of the literal.
    fn find(&self, text: &[u8], work: &mut u64) -> Option<usize> {
        let [lower, upper] = self.cases;
        // The anchor of an occurrence cannot lie further back than this.
        let last = text
            .len()
            .checked_sub(self.bytes.len())?
            .checked_add(self.anchor)?;
        let mut at = self.anchor;
        loop {
            let rest = text.get(at..=last)?;
            let skip = if lower == upper {
                memchr::memchr(lower, rest)?
            } else {
                memchr::memchr2(lower, upper, rest)?
            };
            let start = at + skip - self.anchor;
            let here = text.get(start..start + self.bytes.len())?;
            let same = here
                .iter()
                .zip(&self.bytes)
                .take_while(|(here, byte)| here.eq_ignore_ascii_case(byte))
                .count();
            if same == self.bytes.len() {
                return Some(start);
            }
            *work = work.checked_sub(same as u64)?;
            at += skip + 1;
        }
    }
}

/// How often a byte is to be expected in network payloads, both cases of a letter together: a rough order, good enough
/// to tell `q` from `e`.
pub fn commonness(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        0 => 255,
        b' ' | b'e' => 250,
        b't' | b'a' | b'o' => 230,
        b'i' | b'n' | b's' | b'r' => 220,
        b'c' | b'd' | b'l' | b'h' | b'p' | b'm' => 190,
        b'u' | b'w' | b'f' | b'g' | b'b' => 160,
        0xff => 150,
        b'.' | b'/' | b'-' | b'0' | b'1' => 140,
        b'\r' | b'\n' | b':' | b'=' | b'2'..=b'9' => 120,
        b'y' | b'v' | b'k' | b'x' => 110,
        b'j' | b'q' | b'z' => 80,
        b'!'..=b'~' => 60,
        1..=0x1f => 50,
        _ => 30,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever byte is the anchor, the first occurrence is found, as if every place had been looked at.
        #[test]
        fn finds_the_first_occurrence(
            text in proptest::collection::vec(prop::sample::select(b"aAbBqQ-\x00".to_vec()), 0..40),
            literal in proptest::collection::vec(prop::sample::select(b"abq-\x00".to_vec()), 1..5),
            nocase: bool,
        ) {
            let same = |window: &[u8]| if nocase { window.eq_ignore_ascii_case(&literal) } else { window == literal };
            let needle = Needle::new(&literal, nocase);
            prop_assert_eq!(needle.len(), literal.len());
            let mut work = 1_000;
            prop_assert_eq!(needle.find(&text, &mut work), text.windows(literal.len()).position(same));
            prop_assert!(text.is_empty() || work < 1_000);
            let tail = text.len().checked_sub(literal.len()).map(|at| &text[at..]);
            prop_assert_eq!(needle.ends(&text), tail.is_some_and(same));
        }
    }
}
