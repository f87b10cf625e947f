//! Values of options: strings, expressions, numbers, lists.
//!
//! Each parser takes the value with its place and names the exact place of a problem. The subject of a problem is
//! left to the caller, which knows the keyword ([`Problem::about`]).

mod number;

pub(crate) use number::{number_at, plain_at};
pub use number::{parse_number, parse_number_inclusive, parse_plain_u64, parse_urilen};

use super::ast::{At, Place, Problem};
use super::cursor::Cursor;

/// The value of `content`, `uricontent` and their like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentValue {
    /// `!` before the string.
    pub negated: bool,
    /// The bytes, escapes and `|hex|` resolved; never empty.
    pub bytes: Vec<u8>,
}

/// The value of `pcre`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcreValue {
    /// `!` before the string.
    pub negated: bool,
    /// What stands between the slashes.
    pub pattern: Vec<u8>,
    /// The letters after the closing slash; only ones that Suricata knows.
    pub flags: Vec<u8>,
    /// `pkt:name`, `flow:name` and `alert:name`, one for each capture group.
    pub captures: Vec<String>,
}

/// Letters that may follow the closing slash of a `pcre`.
const PCRE_FLAGS: &[u8] = b"AEGimsxOBRUVWZHIDMCPQYS";
/// Where a `pcre` can store a capture.
const PCRE_TARGETS: [&[u8]; 3] = [b"pkt:", b"flow:", b"alert:"];

/// A value without its `!` and quotation marks.
#[derive(Clone, Debug)]
pub(crate) struct Quoted<'a> {
    /// `!` before it.
    pub(crate) negated: bool,
    /// True when there were quotation marks.
    pub(crate) quoted: bool,
    /// What stands between them.
    pub(crate) text: &'a [u8],
    /// Place of its first byte.
    pub(crate) place: Place,
}

/// Takes `!` (if `negation` says that the keyword has it) and quotation marks off a value.
pub(crate) fn unquote(value: &At<Vec<u8>>, negation: bool) -> Result<Quoted<'_>, Problem> {
    let mut cursor = Cursor::of(value);
    cursor.skip_blanks();
    let negated = negation && cursor.eat(b"!");
    cursor.skip_blanks();
    let opening = cursor.clone();
    if !cursor.eat(b"\"") {
        let text = cursor.rest().trim_ascii_end();
        return Ok(Quoted {
            negated,
            quoted: false,
            text,
            place: opening.place(),
        });
    }
    let place = cursor.place();
    match cursor.rest().trim_ascii_end() {
        [text @ .., b'"'] => Ok(Quoted {
            negated,
            quoted: true,
            text,
            place,
        }),
        rest => Err(match rest.iter().rposition(|&byte| byte == b'"') {
            Some(quote) => {
                cursor.advance(quote + 1);
                cursor.expected("`;` after the closing quotation mark")
            }
            None => Problem::syntax(
                opening.place(),
                "the quotation mark is not closed (`;` within a string is written `\\;`)",
            ),
        }),
    }
}

/// Like [`unquote`], for values that must have quotation marks.
pub(crate) fn unquote_strictly(value: &At<Vec<u8>>, negation: bool) -> Result<Quoted<'_>, Problem> {
    let quoted = unquote(value, negation)?;
    if quoted.quoted {
        return Ok(quoted);
    }
    Err(Cursor::new(quoted.text, quoted.place).expected("a string in quotation marks"))
}

/// Parses the value of `content`: an optional `!` and a quoted string with `|41 42|` for bytes and `\"`, `\;`, `\\`,
/// `\:` for these characters.
pub fn parse_content(value: &At<Vec<u8>>) -> Result<ContentValue, Problem> {
    let Quoted {
        negated,
        text,
        place,
        ..
    } = unquote_strictly(value, true)?;
    let bytes = parse_bytes(text, place)?;
    if bytes.is_empty() {
        return Err(Problem::syntax(
            place,
            "expected at least one byte, found an empty string",
        ));
    }
    Ok(ContentValue { negated, bytes })
}

/// Resolves escapes and `|hex|` of the text between quotation marks.
pub(crate) fn parse_bytes(text: &[u8], start: Place) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut cursor = Cursor::new(text, start);
    while let Some(byte) = cursor.peek() {
        match byte {
            b'|' => hex_block(&mut cursor, &mut bytes)?,
            b'\\' => {
                let escape = cursor.clone();
                cursor.advance(1);
                match cursor.peek() {
                    Some(escaped @ (b'"' | b';' | b'\\' | b':')) => bytes.push(escaped),
                    _ => return Err(escape.expected("`\\\"`, `\\;`, `\\\\` or `\\:`")),
                }
                cursor.advance(1);
            }
            b'"' => {
                return Err(cursor.expected("`\\\"`: a quotation mark within a string is escaped"));
            }
            _ => {
                bytes.push(byte);
                cursor.advance(1);
            }
        }
    }
    Ok(bytes)
}

/// `|41 42|`, cursor on the first bar.
fn hex_block(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>) -> Result<(), Problem> {
    let opening = cursor.clone();
    cursor.advance(1);
    let (mut high, mut some) = (None, false);
    while let Some(byte) = cursor.peek() {
        match byte {
            b'|' if high.is_some() => return Err(cursor.expected("a second hexadecimal digit")),
            b'|' if !some => return Err(cursor.expected("hexadecimal digits")),
            b'|' => {
                cursor.advance(1);
                return Ok(());
            }
            // Suricata takes commas for spaces here.
            b' ' | b',' => {}
            _ => match ((byte as char).to_digit(16), high.take()) {
                (Some(low), Some(high)) => bytes.push((high << 4 | low) as u8),
                (Some(digit), None) => (high, some) = (Some(digit), true),
                (None, _) => return Err(cursor.expected("a hexadecimal digit or `|`")),
            },
        }
        cursor.advance(1);
    }
    Err(Problem::syntax(
        opening.place(),
        "the hexadecimal block is not closed: expected a second `|`",
    ))
}

/// Parses the value of `pcre`: an optional `!`, and `"/pattern/flags"`, where commas and capture names (`pkt:name`,
/// `flow:name`, `alert:name`) can follow the flags.
pub fn parse_pcre(value: &At<Vec<u8>>) -> Result<PcreValue, Problem> {
    let Quoted {
        negated,
        text,
        place,
        ..
    } = unquote(value, true)?;
    let mut cursor = Cursor::new(text, place);
    if !cursor.eat(b"/") {
        return Err(cursor.expected("`/` before the expression"));
    }
    let open = cursor.pos();
    let Some(close) = closing_slash(text, open) else {
        return Err(Problem::syntax(
            place,
            "the expression is not closed: expected a second `/`",
        ));
    };
    let pattern = text.get(open..close).unwrap_or_default().to_vec();
    cursor.advance(close + 1 - open);
    let mut flags = Vec::new();
    let captures = loop {
        match cursor.peek() {
            None => break Vec::new(),
            Some(_)
                if PCRE_TARGETS
                    .iter()
                    .any(|target| cursor.rest().starts_with(target)) =>
            {
                break captures(&mut cursor)?;
            }
            Some(b' ' | b',') => {}
            Some(flag) if PCRE_FLAGS.contains(&flag) => flags.push(flag),
            Some(_) => {
                return Err(
                    cursor.expected("a flag (one of AEGimsxOBRUVWZHIDMCPQYS) or a capture name")
                );
            }
        }
        cursor.advance(1);
    };
    Ok(PcreValue {
        negated,
        pattern,
        flags,
        captures,
    })
}

/// Offset of the last slash from `open` on that is not escaped (`\/` is, `\\/` is not).
fn closing_slash(text: &[u8], open: usize) -> Option<usize> {
    (open..text.len()).rev().find(|&at| {
        let backslash = |back: usize| {
            at.checked_sub(back)
                .filter(|&at| at >= open)
                .and_then(|at| text.get(at))
                == Some(&b'\\')
        };
        text.get(at) == Some(&b'/') && (!backslash(1) || backslash(2))
    })
}

/// `pkt:a, flow:b`
fn captures(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    loop {
        cursor.skip_blanks();
        let start = cursor.clone();
        let target = PCRE_TARGETS.iter().find(|target| cursor.eat(target));
        let name = cursor.take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
        });
        let (Some(target), false) = (target, name.is_empty()) else {
            return Err(start.expected("`pkt:name`, `flow:name` or `alert:name`"));
        };
        names.push(format!(
            "{}{}",
            String::from_utf8_lossy(target),
            String::from_utf8_lossy(name)
        ));
        cursor.skip_blanks();
        if cursor.at_end() {
            return Ok(names);
        }
        if !cursor.eat(b",") {
            return Err(cursor.expected("`,` or the end"));
        }
    }
}

/// Parses text such as that of `msg`: quotation marks around it are optional, a backslash stands for the character
/// after it, and invalid UTF-8 becomes U+FFFD.
pub fn parse_text(value: &At<Vec<u8>>) -> Result<String, Problem> {
    let Quoted { text, .. } = unquote(value, false)?;
    if !text.contains(&b'\\') {
        return Ok(String::from_utf8_lossy(text).into_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut escaped = false;
    for &byte in text {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            bytes.push(byte);
            escaped = false;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Splits a value at its commas; the parts are trimmed and know their places. An empty part stays, as an empty one.
pub fn split_list(value: &At<Vec<u8>>) -> Vec<At<Vec<u8>>> {
    let mut offset = 0;
    let parts = value.value.split(|&byte| byte == b',').map(|part| {
        let blank = part.len() - part.trim_ascii_start().len();
        let place = value.place.plus(offset + blank);
        offset += part.len() + 1;
        At {
            value: part.trim_ascii().to_vec(),
            place,
        }
    });
    parts.collect()
}
