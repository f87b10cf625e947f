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

/// An integer from `least` to `most`, decimal or `0x…`, with an optional sign.
pub(super) fn integer(text: &Text, least: i64, most: i64) -> Result<i64, Problem> {
    let digits = string(text);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    let magnitude = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        // `from_str_radix` would take a second sign.
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            i64::from_str_radix(hex, 16).ok()
        }
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    };
    magnitude
        .map(|number: i64| if negative { -number } else { number })
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| expected(text, &format!("a number from {least} to {most}")))
}

/// True when a number begins here, rather than a name.
pub(super) fn is_number(text: &Text) -> bool {
    matches!(
        text.value.as_slice(),
        [b'0'..=b'9', ..] | [b'-' | b'+', b'0'..=b'9', ..]
    )
}
