//! Numbers, and names of numbers.

use weir_engine::app::AppField;
use weir_engine::plan::{AppTest, Num, NumOp, Which};

use super::need;
use crate::compile::args::{self, Text};
use crate::compile::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list};

/// Names of numbers, in any case.
pub(super) type Names<'a> = &'a [(&'a str, u64)];

pub(super) const YES_NO: Names<'_> = &[
    ("yes", 1),
    ("true", 1),
    ("on", 1),
    ("1", 1),
    ("no", 0),
    ("false", 0),
    ("off", 0),
    ("0", 0),
];

/// Takes `!` off a word: whether it was there, and the rest.
pub(super) fn negation(word: &str) -> (bool, &str) {
    let word = word.trim();
    match word.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, word),
    }
}

/// A word that is a name, perhaps negated: whether it is, and the number that it stands for.
fn named(text: &Text, names: Names<'_>) -> Option<(bool, u64)> {
    let word = args::string(text);
    let (negated, name) = negation(&word);
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|&(_, number)| (negated, number))
}

/// A comparison or a name, and then perhaps which of several numbers is meant.
pub(super) fn indexed(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: Names<'_>,
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a number"));
    };
    let num = match named(first, names) {
        Some((true, number)) => Num::one(NumOp::Ne, number),
        Some((false, number)) => Num::one(NumOp::Eq, number),
        None => parse_number(first, u64::MAX)?,
    };
    let which = match parts.get(1) {
        None => Which::Any,
        Some(part) => match part.value.to_ascii_lowercase().as_slice() {
            b"any" => Which::Any,
            b"all" => Which::AllOrNone,
            _ => Which::At(args::integer(part, -1024, 1024)? as i32),
        },
    };
    draft.app_test(AppTest::Number {
        field,
        num,
        which,
        way: None,
    });
    Ok(())
}

/// A name, perhaps negated.
pub(super) fn one_of(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: Names<'_>,
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let (negated, number) = named(&value, names)
        .ok_or_else(|| args::expected(&value, "one of the values that the keyword has"))?;
    has(draft, field, number, negated);
    Ok(())
}

/// A keyword without a value: the number is 1.
pub(super) fn is_set(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
) -> Result<(), Problem> {
    args::no_value(option)?;
    need(draft, option, field.protos())?;
    has(draft, field, 1, false);
    Ok(())
}

/// Asks for a number of the field that is this one, or that is another.
fn has(draft: &mut Draft<'_>, field: AppField, number: u64, negated: bool) {
    draft.app_test(AppTest::OneOf {
        field,
        values: vec![number],
        negated,
    });
}

/// Names of bits, each perhaps negated, or a comparison with the whole.
pub(super) fn bits(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: Names<'_>,
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    if let Ok(num) = parse_number(&value, u64::MAX) {
        draft.app_test(AppTest::Number {
            field,
            num,
            which: Which::Any,
            way: None,
        });
        return Ok(());
    }
    let (mut mask, mut wanted) = (0, 0);
    for part in split_list(&value) {
        let (negated, bit) = named(&part, names).ok_or_else(|| args::expected(&part, "a flag"))?;
        mask |= bit;
        if !negated {
            wanted |= bit;
        }
    }
    draft.app_test(AppTest::Bits {
        field,
        mask,
        value: wanted,
        negated: false,
    });
    Ok(())
}
