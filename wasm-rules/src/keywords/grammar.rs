//! How the value of a keyword is checked: the common forms, and the pieces that the others are made of.

use crate::syntax::ast::{At, Problem};
use crate::syntax::cursor::{Cursor, shown};
use crate::syntax::value::{
    self, number_at, parse_content, parse_number_inclusive, parse_pcre, parse_text, plain_at,
    unquote, unquote_strictly,
};

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub enum Grammar {
    /// A comparison with a number of at most this ([`value::parse_number`]).
    Number(u64),
    /// The same, with ranges that include their ends ([`value::parse_number_inclusive`]).
    InclusiveNumber(u64),
    /// A comparison, or a (negated) name for one value; then perhaps a comma and an index (`all`, `any`, `-1`).
    IndexedNumber {
        /// Largest number.
        max: u64,
        /// The names; any word where there are none.
        names: &'static [&'static str],
    },
    /// A comparison, or a list of (negated) names of bits.
    Bits {
        /// Largest number.
        max: u64,
        /// The names of the bits.
        names: &'static [&'static str],
    },
    /// The value of `urilen` ([`value::parse_urilen`]).
    UriLength,
    /// A plain number within these bounds.
    Plain(u64, u64),
    /// A quoted string of bytes ([`value::parse_content`]).
    Content,
    /// A regular expression ([`value::parse_pcre`]).
    Pcre,
    /// A quoted string that is not empty; the flag says whether `!` can precede it.
    Quoted(bool),
    /// A string with or without quotation marks, not empty; the flag says whether `!` can precede it.
    Text(bool),
    /// Anything without a quotation mark at its start.
    Free,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, with commas between them.
    AllOf(&'static [&'static str]),
    /// A name: letters, digits, `.`, `_`, `-`; the flag says whether `!` can precede it.
    Name(bool),
    /// Something of its own; the second part says whether it can be negated.
    Special(Form, bool),
}

/// The form of a value that no other keyword has.
#[derive(Clone, Copy, Debug)]
pub struct Form(fn(Cursor<'_>) -> Result<(), Problem>);

/// A grammar that is a function; `negatable` says whether values or parts of them can be negated.
pub(super) const fn special(
    check: fn(Cursor<'_>) -> Result<(), Problem>,
    negatable: bool,
) -> Grammar {
    Grammar::Special(Form(check), negatable)
}

impl Grammar {
    /// True when values (or parts of them) can be negated with `!`.
    pub const fn negatable(self) -> bool {
        match self {
            Self::Number(_)
            | Self::InclusiveNumber(_)
            | Self::IndexedNumber { .. }
            | Self::Bits { .. } => true,
            Self::Content | Self::Pcre | Self::UriLength => true,
            Self::Quoted(negatable)
            | Self::Text(negatable)
            | Self::Name(negatable)
            | Self::Special(_, negatable) => negatable,
            Self::Plain(..) | Self::Free | Self::OneOf(_) | Self::AllOf(_) => false,
        }
    }

    /// Checks a value.
    pub fn check(self, value: &At<Vec<u8>>) -> Result<(), Problem> {
        let cursor = Cursor::of(value);
        match self {
            Self::Number(max) => value::parse_number(value, max).map(drop),
            Self::InclusiveNumber(max) => parse_number_inclusive(value, max).map(drop),
            Self::IndexedNumber { max, names } => indexed_number(cursor, max, names),
            Self::Bits { max, names } => bits(cursor, max, names),
            Self::Plain(min, max) => plain(cursor, min, max),
            Self::UriLength => value::parse_urilen(value).map(drop),
            Self::Content => parse_content(value).map(drop),
            Self::Pcre => parse_pcre(value).map(drop),
            Self::Quoted(negation) => not_empty(unquote_strictly(value, negation)?.text, cursor),
            Self::Text(false) => not_empty(parse_text(value)?.as_bytes(), cursor),
            Self::Text(true) => not_empty(unquote(value, true)?.text, cursor),
            Self::Free if cursor.peek() == Some(b'"') => {
                Err(cursor.expected("a value without quotation marks"))
            }
            Self::Free => Ok(()),
            Self::OneOf(words) => one_of(cursor, words),
            Self::AllOf(words) => parts(cursor).try_for_each(|part| one_of(part, words)),
            Self::Name(negation) => name(cursor, negation),
            Self::Special(Form(check), _) => check(cursor),
        }
    }
}

fn not_empty(text: &[u8], cursor: Cursor<'_>) -> Result<(), Problem> {
    if text.is_empty() {
        Err(Problem::syntax(
            cursor.place(),
            "expected a string that is not empty",
        ))
    } else {
        Ok(())
    }
}

/// The parts of a list, without the white space around them.
pub(super) fn parts(list: Cursor<'_>) -> impl Iterator<Item = Cursor<'_>> {
    let start = list.place();
    let mut offset = 0;
    list.rest().split(|&byte| byte == b',').map(move |part| {
        let blank = part.len() - part.trim_ascii_start().len();
        let place = start.plus(offset + blank);
        offset += part.len() + 1;
        Cursor::new(part.trim_ascii(), place)
    })
}

/// The next part of a list, which must be there.
pub(super) fn next<'a>(
    parts: &mut impl Iterator<Item = Cursor<'a>>,
    whole: &Cursor<'_>,
    what: &str,
) -> Result<Cursor<'a>, Problem> {
    match parts.next() {
        Some(part) if !part.at_end() => Ok(part),
        Some(part) => Err(part.expected(what)),
        None => {
            let end = whole.place().plus(whole.rest().len());
            Err(Problem::syntax(
                end,
                format!("expected `,` and {what}, found the end"),
            ))
        }
    }
}

/// A problem if there is another part.
pub(super) fn end<'a>(mut parts: impl Iterator<Item = Cursor<'a>>) -> Result<(), Problem> {
    parts
        .next()
        .map_or(Ok(()), |part| Err(part.expected("nothing more")))
}

/// Splits `key value` at the white space.
pub(super) fn key_value(mut part: Cursor<'_>) -> (&[u8], Cursor<'_>) {
    let key = part.take_while(|byte| !byte.is_ascii_whitespace());
    part.skip_blanks();
    (key, part)
}

/// The text of a cursor without white space around it.
pub(super) fn text(mut cursor: Cursor<'_>) -> Cursor<'_> {
    cursor.skip_blanks();
    let place = cursor.place();
    Cursor::new(cursor.rest().trim_ascii_end(), place)
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

pub(super) fn one_of(cursor: Cursor<'_>, words: &[&str]) -> Result<(), Problem> {
    let cursor = text(cursor);
    if is_one_of(cursor.rest(), words) {
        return Ok(());
    }
    Err(cursor.expected(&listed(words)))
}

/// Words as a message lists them.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        _ => format!("one of {}", words.join(", ")),
    }
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

pub(super) fn name(cursor: Cursor<'_>, negation: bool) -> Result<(), Problem> {
    let mut cursor = text(cursor);
    if negation && cursor.eat(b"!") {
        cursor.skip_blanks();
    }
    let start = cursor.clone();
    if cursor.take_while(is_name).is_empty() || !cursor.at_end() {
        return Err(start.expected("a name (letters, digits, `.`, `_`, `-`)"));
    }
    Ok(())
}

fn plain(cursor: Cursor<'_>, min: u64, max: u64) -> Result<(), Problem> {
    let place = cursor.place();
    let number = plain_at(cursor.clone(), max)?;
    if number < min {
        return Err(Problem::syntax(
            place,
            format!(
                "expected a number from {min} to {max}, found {}",
                shown(cursor.rest())
            ),
        ));
    }
    Ok(())
}

/// A signed number within bounds, decimal or `0x…`.
pub(super) fn int(cursor: Cursor<'_>, min: i64, max: i64) -> Result<(), Problem> {
    let cursor = text(cursor);
    let written = str::from_utf8(cursor.rest()).unwrap_or_default();
    let (negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let number = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    };
    // `parse` would take a second sign.
    let number = number.filter(|_| digits.starts_with(|first: char| first.is_ascii_digit()));
    match number.map(|number| if negative { -number } else { number }) {
        Some(number) if min <= number && number <= max => Ok(()),
        _ => Err(cursor.expected(&format!("a number from {min} to {max}"))),
    }
}

/// A signed number, or the name of a byte variable.
pub(super) fn int_or_variable(cursor: Cursor<'_>, min: i64, max: i64) -> Result<(), Problem> {
    let cursor = text(cursor);
    match cursor.peek() {
        Some(first) if first.is_ascii_alphabetic() || first == b'_' => variable(cursor),
        Some(_) => int(cursor, min, max),
        None => Err(cursor.expected(&format!("a number from {min} to {max} or a variable"))),
    }
}

/// The name of a byte variable.
pub(super) fn variable(cursor: Cursor<'_>) -> Result<(), Problem> {
    let cursor = text(cursor);
    let letter = cursor
        .peek()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if letter && cursor.rest().iter().all(|&byte| is_name(byte)) {
        return Ok(());
    }
    Err(cursor.expected("the name of a variable"))
}

/// A comparison or a name.
pub(super) fn number_or_name(cursor: Cursor<'_>, max: u64, names: &[&str]) -> Result<(), Problem> {
    let mut word = text(cursor.clone());
    if word.eat(b"!") {
        word.skip_blanks();
    }
    if !word.peek().is_some_and(|first| first.is_ascii_alphabetic()) {
        return number_at(cursor, max).map(drop);
    }
    if names.is_empty() {
        name(word, false)
    } else {
        one_of(word, names)
    }
}

fn indexed_number(cursor: Cursor<'_>, max: u64, names: &[&str]) -> Result<(), Problem> {
    let mut parts = parts(cursor.clone());
    number_or_name(next(&mut parts, &cursor, "a number")?, max, names)?;
    let Some(index) = parts.next() else {
        return Ok(());
    };
    if !is_one_of(index.rest(), &["all", "any"])
        && int(index.clone(), i32::MIN.into(), i32::MAX.into()).is_err()
    {
        return Err(index.expected("an index: `all`, `any` or a number"));
    }
    end(parts)
}

fn bits(cursor: Cursor<'_>, max: u64, names: &[&str]) -> Result<(), Problem> {
    let first = text(cursor.clone())
        .rest()
        .iter()
        .copied()
        .find(|&byte| byte != b'!' && byte != b' ');
    if !first.is_some_and(|first| first.is_ascii_alphabetic()) {
        return number_at(cursor, max).map(drop);
    }
    parts(cursor).try_for_each(|mut part| {
        if part.eat(b"!") {
            part.skip_blanks();
        }
        one_of(part, names)
    })
}
