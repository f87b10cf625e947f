//! RESP, the protocol of Redis, as far as clients speak it: arrays of strings, or lines of words.
//!
//! The parser is fed with pieces of a stream as they come and is kept between them, so it holds little: of a command its
//! first words, of each word its first bytes.

use serde::{Deserialize, Serialize};

/// Words of a command that are kept.
const WORDS: usize = 3;
/// Bytes of a word that are kept.
const WORD: usize = 24;
/// Bytes of a line that are kept: a number with its mark, or the beginning of a command in a line.
const LINE: usize = 64;
/// The longest string that Redis takes.
const STRING_MAX: u32 = 512 << 20;
/// The most strings of a command that Redis takes.
const ARRAY_MAX: u32 = 1 << 20;

/// The most that a parser is when it is kept, in bytes.
pub const KEPT: u32 = 192;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Next {
    /// A line: the size of a command, a command in words, or the size of a string.
    #[default]
    Line,
    /// So many bytes of a string, and the end of its line.
    String(u32),
    /// Something unknown; understood again where a window begins with a command.
    Lost,
}

/// A parser of one direction of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parser {
    next: Next,
    /// The line so far.
    line: Vec<u8>,
    /// Strings of the command that are still to come.
    strings: u32,
    /// The command so far.
    words: Vec<Vec<u8>>,
    /// The string at hand is not one of the first.
    beyond: bool,
}

impl Parser {
    /// Bytes are missing.
    pub fn lose(&mut self) {
        *self = Self {
            next: Next::Lost,
            ..Self::default()
        };
    }

    /// Takes what comes next, and shows each command that ends in it: its first words, each as far as it is kept.
    pub fn feed(&mut self, mut bytes: &[u8], command: &mut dyn FnMut(&[Vec<u8>])) {
        if self.next == Next::Lost {
            if !bytes.starts_with(b"*") {
                return;
            }
            *self = Self::default();
        }
        while !bytes.is_empty() {
            match self.next {
                Next::Line => {
                    let (line, rest, whole) = match bytes.iter().position(|&byte| byte == b'\n') {
                        Some(end) => {
                            let (line, rest) = bytes.split_at(end);
                            (line, rest.get(1..).unwrap_or_default(), true)
                        }
                        None => (bytes, &[][..], false),
                    };
                    keep(&mut self.line, line, LINE);
                    bytes = rest;
                    if whole {
                        self.line(command);
                    }
                }
                Next::String(left) => {
                    let part = (left as usize).min(bytes.len());
                    let (text, rest) = bytes.split_at(part);
                    if let (Some(word), false) = (self.words.last_mut(), self.beyond) {
                        // The last two are the line's end.
                        let text = text
                            .get(..(left as usize).saturating_sub(2))
                            .unwrap_or(text);
                        keep(word, text, WORD);
                    }
                    bytes = rest;
                    self.next = Next::String(left - part as u32);
                    if left as usize == part {
                        self.string_ends(command);
                    }
                }
                Next::Lost => return,
            }
        }
    }

    /// A line is whole.
    fn line(&mut self, command: &mut dyn FnMut(&[Vec<u8>])) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if self.strings > 0 {
            match number(line, b'$', STRING_MAX) {
                Some(size) => {
                    self.beyond = self.words.len() >= WORDS;
                    if !self.beyond {
                        self.words.push(Vec::new());
                    }
                    self.next = Next::String(size + 2);
                }
                None => self.lose(),
            }
        } else if line.first() == Some(&b'*') {
            match number(line, b'*', ARRAY_MAX) {
                Some(strings) => self.strings = strings,
                None => self.lose(),
            }
        } else {
            let words = line
                .split(|&byte| byte == b' ')
                .filter(|word| !word.is_empty())
                .take(WORDS);
            let words: Vec<Vec<u8>> = words
                .map(|word| word.get(..WORD).unwrap_or(word).to_vec())
                .collect();
            if !words.is_empty() {
                command(&words);
            }
        }
    }

    fn string_ends(&mut self, command: &mut dyn FnMut(&[Vec<u8>])) {
        self.next = Next::Line;
        self.strings = self.strings.saturating_sub(1);
        if self.strings == 0 {
            command(&self.words);
            self.words.clear();
        }
    }
}

/// Adds bytes as long as there are no more than `most`.
fn keep(to: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(to.len());
    to.extend(bytes.iter().take(room));
}

/// `*3` or `$12`: what stands behind the mark, up to `most`.
fn number(line: &[u8], mark: u8, most: u32) -> Option<u32> {
    let digits = line.strip_prefix(&[mark])?;
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    u32::try_from(number).ok().filter(|&number| number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(pieces: &[&[u8]]) -> (Vec<String>, Parser) {
        let mut parser = Parser::default();
        let mut all = Vec::new();
        for piece in pieces {
            parser.feed(piece, &mut |words| {
                let words: Vec<_> = words
                    .iter()
                    .map(|word| String::from_utf8_lossy(word))
                    .collect();
                all.push(words.join(" "));
            });
        }
        (all, parser)
    }

    const TALK: &[u8] = b"*1\r\n$4\r\nPING\r\n*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$3\r\ndir\r\n$5\r\n/root\r\nFLUSHALL now\r\n\
                          *3\r\n$3\r\nSET\r\n$0\r\n\r\n$40\r\n*1\r\n$8\r\nFLUSHALL\r\n and so on, as a value!!\r\n*1\r\n$4\r\nQUIT\r\n";

    #[test]
    fn a_talk_is_the_same_however_it_is_cut() {
        let (whole, _) = commands(&[TALK]);
        assert_eq!(
            whole,
            [
                "PING",
                "CONFIG SET dir",
                "FLUSHALL now",
                "SET  *1\r\n$8\r\nFLUSHALL\r\n and s",
                "QUIT"
            ]
        );
        for at in 1..TALK.len() {
            let (a, b) = TALK.split_at(at);
            assert_eq!(commands(&[a, b]).0, whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = TALK.chunks(1).collect();
        assert_eq!(commands(&bytes).0, whole);
    }

    #[test]
    fn what_is_kept_fits_into_its_bound_wherever_the_talk_is_cut() {
        let mut parser = Parser::default();
        let long = [
            b"*9\r\n".to_vec(),
            b"$100\r\n".to_vec(),
            vec![b'x'; 100],
            b"\r\n".to_vec(),
        ]
        .concat();
        let long = [&long[..], &long[4..], &long[4..], &[b'y'; 200]].concat();
        for byte in TALK.iter().chain(&long) {
            parser.feed(&[*byte], &mut |_| {});
            let kept = size(&parser);
            assert!(kept <= KEPT as usize, "{kept} bytes: {parser:?}");
        }
    }

    /// What postcard makes of it, at most: numbers of up to five bytes, and lengths before bytes.
    fn size(parser: &Parser) -> usize {
        let words: usize = parser.words.iter().map(|word| 1 + word.len()).sum();
        7 + 1 + parser.line.len() + 5 + 1 + words
    }

    #[test]
    fn nonsense_is_given_up_until_a_command_begins_a_window() {
        for wrong in [
            &b"*x\r\n"[..],
            b"*99999999\r\n",
            b"*1\r\nPING\r\n",
            b"*1\r\n$-1\r\n",
            b"*2\r\n$9999999999\r\n",
        ] {
            let (all, parser) = commands(&[wrong, b"FLUSHALL\r\n"]);
            assert!(
                all.is_empty() && parser.next == Next::Lost,
                "{wrong:?}: {all:?}"
            );
            assert_eq!(commands(&[wrong, b"*1\r\n$4\r\nPING\r\n"]).0, ["PING"]);
        }
        assert_eq!(
            commands(&[b"*0\r\n*1\r\n$4\r\nPING\r\n\r\n  \r\n"]).0,
            ["PING"]
        );
    }
}
