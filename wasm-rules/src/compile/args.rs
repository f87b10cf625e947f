//! Reading the values of options.

use crate::syntax::ast::{At, Problem, RuleOption};
use crate::syntax::cursor::{Cursor, shown};

/// A value, or a part of one, with its place.
pub(super) type Text = At<Vec<u8>>;

/// The option's value, which must be there.
pub(super) fn value(option: &RuleOption) -> Result<&Text, Problem> {
    option.value.as_ref().ok_or_else(|| {
        let name = &option.name.value;
        Problem::syntax(
            option.name.place,
            format!("`{name}` needs a value: expected `{name}:…;`"),
        )
    })
}

/// A problem unless the option has no value.
pub(super) fn no_value(option: &RuleOption) -> Result<(), Problem> {
    match &option.value {
        None => Ok(()),
        Some(value) => Err(expected(value, "no value")),
    }
}

/// The value as text without quotation marks; such a value may have them for no purpose.
pub(super) fn bare(text: &Text) -> Text {
    match text.value.as_slice() {
        [b'"', inner @ .., b'"'] => At {
            value: inner.trim_ascii().to_vec(),
            place: text.place.plus(1),
        },
        _ => text.clone(),
    }
}

/// As text. Rules are valid UTF-8, so nothing is lost.
pub(super) fn string(text: &Text) -> String {
    String::from_utf8_lossy(&text.value).into_owned()
}

/// What was expected, and what is there.
pub(super) fn expected(text: &Text, what: &str) -> Problem {
    Problem::syntax(
        text.place,
        format!("expected {what}, found {}", shown(&text.value)),
    )
}

/// The parts of a value that commas separate, each as a key and, after white space, what belongs to it.
pub(super) fn pairs(text: &Text) -> Vec<(Text, Option<Text>)> {
    crate::syntax::value::split_list(text)
        .iter()
        .map(pair)
        .collect()
}

/// A key and, after white space, what belongs to it.
pub(super) fn pair(part: &Text) -> (Text, Option<Text>) {
    let mut cursor = Cursor::of(part);
    let key = At {
        value: cursor
            .take_while(|byte| !byte.is_ascii_whitespace())
            .to_vec(),
        place: part.place,
    };
    cursor.skip_blanks();
    let rest = At {
        value: cursor.rest().to_vec(),
        place: cursor.place(),
    };
    (key, (!rest.value.is_empty()).then_some(rest))
}

/// A number with an optional sign, decimal or `0x…`; with `octal`, digits after a 0 are octal.
fn number(text: &Text, octal: bool) -> Option<i128> {
    let written = str::from_utf8(&text.value).ok()?;
    let (negative, digits) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written.strip_prefix('+').unwrap_or(written)),
    };
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match hex {
        Some(hex) => (16, hex),
        None if octal && digits.len() > 1 && digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    // `from_str_radix` would take a second sign.
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let magnitude = i128::from(u64::from_str_radix(digits?, radix).ok()?);
    Some(if negative { -magnitude } else { magnitude })
}

/// An integer from `least` to `most`, decimal or `0x…`, with an optional sign.
pub(super) fn integer(text: &Text, least: i64, most: i64) -> Result<i64, Problem> {
    number(text, false)
        .and_then(|number| i64::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| expected(text, &format!("a number from {least} to {most}")))
}

/// The low 64 bits of an integer from `least` to `most` in C's notation, where `010` is 8.
pub(super) fn c_integer(text: &Text, least: i128, most: i128) -> Result<i64, Problem> {
    number(text, true)
        .filter(|number| (least..=most).contains(number))
        .map(|number| number as i64)
        .ok_or_else(|| expected(text, &format!("a number from {least} to {most}")))
}

/// True when a number begins here, rather than a name.
pub(super) fn is_number(text: &Text) -> bool {
    matches!(
        text.value.as_slice(),
        [b'0'..=b'9', ..] | [b'-' | b'+', b'0'..=b'9', ..]
    )
}

/// The bytes of hexadecimal digits, two each.
pub(super) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
    bytes
        .collect::<Option<Vec<u8>>>()
        .filter(|_| rest.is_empty())
}
