//! Numbers and names of numbers.

use weir_engine::app::AppField;
use weir_engine::plan::{AppTest, Num, NumOp, Which};

use super::need;
use crate::compile::args::{self, Text};
use crate::compile::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list};

/// A comparison or a name, and then perhaps which of several numbers is meant.
pub(super) fn indexed(value: &Text, names: &[(&str, u64)]) -> Result<(Num, Which), Problem> {
    let value = args::bare(value);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a number"));
    };
    let text = args::string(first);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name.trim()),
        None => (false, text.trim()),
    };
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let num = match known {
        Some(&(_, number)) => Num::one(if negated { NumOp::Ne } else { NumOp::Eq }, number),
        None => parse_number(first, u64::MAX)?,
    };
    let which = match parts.get(1) {
        None => Which::Any,
        Some(part) => match part.value.as_slice() {
            b"any" => Which::Any,
            b"all" => Which::AllOrNone,
            b"all1" => Which::All,
            _ => Which::At(args::integer(part, -1024, 1024)? as i32),
        },
    };
    Ok((num, which))
}

pub(super) const YES_NO: [(&str, u64); 8] = [
    ("yes", 1),
    ("true", 1),
    ("on", 1),
    ("1", 1),
    ("no", 0),
    ("false", 0),
    ("off", 0),
    ("0", 0),
];

pub(super) fn one_of(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: &[(&str, u64)],
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let text = args::string(&value);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name),
        None => (false, text.trim()),
    };
    let known = names
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    let &(_, number) =
        known.ok_or_else(|| args::expected(&value, "one of the values that the keyword has"))?;
    draft.app_test(AppTest::OneOf {
        field,
        values: vec![number],
        negated,
    });
    Ok(())
}

pub(super) fn is_set(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
) -> Result<(), Problem> {
    args::no_value(option)?;
    need(draft, option, field.protos())?;
    draft.app_test(AppTest::OneOf {
        field,
        values: vec![1],
        negated: false,
    });
    Ok(())
}

/// Names of bits, each perhaps negated, or a comparison with the whole.
pub(super) fn bits(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
    names: &[(&str, u64)],
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
        let text = args::string(&part);
        let name = text.trim().strip_prefix('!').unwrap_or(text.trim());
        let known = names
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        let &(_, bit) = known.ok_or_else(|| args::expected(&part, "a flag"))?;
        mask |= bit;
        if !text.trim().starts_with('!') {
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

pub(super) fn krb5_error(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let field = AppField::Krb5ErrCode;
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let (num, which) = indexed(&value, &[])?;
    draft.app_test(AppTest::Number {
        field,
        num,
        which,
        way: None,
    });
    Ok(())
}
