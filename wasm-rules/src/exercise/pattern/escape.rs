//! Escapes, and classes of characters.

use super::{Node, Reader};
use crate::exercise::set::{ByteSet, posix, shorthand};

impl Reader<'_> {
    pub(super) fn escape(&mut self) -> Option<Option<Node>> {
        let byte = self.next()?;
        if let Some(set) = shorthand(byte) {
            return Some(Some(Node::Set(set)));
        }
        Some(match byte {
            b'b' | b'B' => Some(Node::Word),
            b'A' | b'G' => Some(Node::Start(false)),
            b'Z' | b'z' => Some(Node::End(false)),
            b'K' | b'E' => None,
            b'R' => Some(Node::Seq(vec![
                Node::Set(ByteSet::of(b'\r')),
                Node::Set(ByteSet::of(b'\n')),
            ])),
            b'Q' => {
                let rest = self.text.get(self.at..)?;
                let len = rest.windows(2).position(|two| two == b"\\E");
                let (len, over) = len.map_or((rest.len(), 0), |len| (len, 2));
                let all = rest.get(..len)?.iter().map(|&byte| self.literal(byte));
                let all = all.collect();
                self.at += len + over;
                Some(Node::Seq(all))
            }
            b'k' | b'g' => {
                let name = match self.peek()? {
                    b'{' => {
                        self.at += 1;
                        self.until(b'}')?
                    }
                    b'<' => {
                        self.at += 1;
                        self.until(b'>')?
                    }
                    b'0'..=b'9' => vec![self.next()?],
                    _ => return None,
                };
                let number = std::str::from_utf8(&name)
                    .ok()
                    .and_then(|name| name.parse().ok());
                Some(Node::Back(number.or_else(|| self.named(&name))?))
            }
            b'1'..=b'9' if u32::from(byte - b'0') <= self.groups.max(1) => {
                Some(Node::Back(u32::from(byte - b'0')))
            }
            other => {
                let byte = self.character(other)?;
                Some(self.literal(byte))
            }
        })
    }

    /// The byte that an escape stands for, in a class and outside.
    fn character(&mut self, byte: u8) -> Option<u8> {
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'f' => 0x0c,
            b'e' => 0x1b,
            b'a' => 0x07,
            b'x' => self.hexadecimal()?,
            b'c' => self.next()?.to_ascii_uppercase() ^ 0x40,
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    match self.peek() {
                        Some(digit @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(digit - b'0');
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                u8::try_from(value).ok()?
            }
            other if !other.is_ascii_alphanumeric() => other,
            b'8' | b'9' | b'i' | b'j' | b'l' | b'm' | b'o' | b'q' | b'y' | b'_' => byte,
            _ => return None,
        })
    }

    fn hexadecimal(&mut self) -> Option<u8> {
        if self.take(b"{") {
            let text = self.until(b'}')?;
            let text = std::str::from_utf8(&text).ok()?;
            return u8::from_str_radix(text, 16).ok();
        }
        let mut value = 0;
        for _ in 0..2 {
            match self.peek().and_then(|digit| char::from(digit).to_digit(16)) {
                Some(digit) => {
                    value = value * 16 + digit;
                    self.at += 1;
                }
                None => break,
            }
        }
        u8::try_from(value).ok()
    }

    pub(super) fn class(&mut self) -> Option<ByteSet> {
        let negated = self.take(b"^");
        let mut set = ByteSet::NONE;
        let mut first = true;
        loop {
            let byte = self.next()?;
            let low = match byte {
                b']' if !first => break,
                b'[' if self.peek() == Some(b':') => {
                    self.at += 1;
                    let name = self.until(b':')?;
                    if !self.take(b"]") {
                        return None;
                    }
                    set = set.or(posix(&name)?);
                    first = false;
                    continue;
                }
                b'\\' => {
                    let escaped = self.next()?;
                    if let Some(short) = shorthand(escaped) {
                        set = set.or(short);
                        first = false;
                        continue;
                    }
                    match escaped {
                        b'b' => 8,
                        b'Q' | b'E' => continue,
                        escaped => self.character(escaped)?,
                    }
                }
                byte => byte,
            };
            first = false;
            let range = self.peek() == Some(b'-')
                && !matches!(self.text.get(self.at + 1), None | Some(b']'));
            if !range {
                set.add(low);
                continue;
            }
            self.at += 1;
            let high = match self.next()? {
                b'\\' => {
                    let escaped = self.next()?;
                    if let Some(short) = shorthand(escaped) {
                        set.add(low);
                        set.add(b'-');
                        set = set.or(short);
                        continue;
                    }
                    self.character(escaped)?
                }
                byte => byte,
            };
            set = set.or(ByteSet::range(low, high));
        }
        if self.flags.caseless {
            set = set.folded();
        }
        Some(if negated { set.complement() } else { set })
    }
}
