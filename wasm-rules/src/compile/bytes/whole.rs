//! Keywords about a buffer as a whole, and those that decode it.

use weir_engine::plan::{Base64Decode, Entropy, NumOp, Op};

use super::MAX_OFFSET;
use super::common::argument;
use crate::compile::args::{self, Text};
use crate::compile::draft::{Draft, Target};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::parse_number;

pub(in crate::compile) fn bsize(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let num = parse_number(&args::bare(args::value(option)?), u64::MAX)?;
    if draft.sticky.is_none() {
        let message = "`bsize` is about a sticky buffer, and there is none before it (`dsize` is about the payload)";
        return Err(Problem::syntax(option.name.place, message));
    }
    draft.push(Op::BSize(num), option.name.place);
    Ok(())
}

pub(in crate::compile) fn base64_decode(
    draft: &mut Draft<'_>,
    option: &RuleOption,
) -> Result<(), Problem> {
    let mut decode = Base64Decode {
        bytes: None,
        offset: 0,
        relative: false,
        data: Vec::new(),
    };
    for (key, rest) in option.value.as_ref().map(args::pairs).unwrap_or_default() {
        let number = |least| {
            let text = argument(&key, rest.as_ref())?;
            if !args::is_number(text) {
                return Err(Problem::unsupported(
                    text.place,
                    "",
                    "a length or offset from a byte variable",
                ));
            }
            args::integer(text, least, MAX_OFFSET).map(|number| number as u32)
        };
        match key.value.to_ascii_lowercase().as_slice() {
            b"bytes" => decode.bytes = Some(number(1)?),
            b"offset" => decode.offset = number(0)?,
            b"relative" if rest.is_none() => decode.relative = true,
            _ => {
                return Err(args::expected(
                    &key,
                    "`bytes NUMBER`, `offset NUMBER` or `relative`",
                ));
            }
        }
    }
    if draft.decodes() {
        return Err(Problem::unsupported(
            option.name.place,
            "",
            "two `base64_decode` in one rule",
        ));
    }
    draft.keep_position(decode.relative);
    draft.push(Op::Base64Decode(decode), option.name.place);
    Ok(())
}

pub(in crate::compile) fn base64_data(
    draft: &mut Draft<'_>,
    option: &RuleOption,
) -> Result<(), Problem> {
    args::no_value(option)?;
    if !draft.decodes() {
        return Err(Problem::syntax(
            option.name.place,
            "`base64_data` needs a `base64_decode` before it",
        ));
    }
    draft.select(Target::Base64, option.name.place)
}

pub(in crate::compile) fn entropy(
    draft: &mut Draft<'_>,
    option: &RuleOption,
) -> Result<(), Problem> {
    let text = args::value(option)?;
    let (mut offset, mut bytes, mut value) = (0, 0, None);
    for (key, rest) in args::pairs(text) {
        let needed = argument(&key, rest.as_ref());
        match key.value.to_ascii_lowercase().as_slice() {
            b"offset" => offset = args::integer(needed?, 0, i64::from(i32::MAX))? as u32,
            b"bytes" => bytes = args::integer(needed?, 0, i64::from(i32::MAX))? as u32,
            b"value" => value = Some(comparison(needed?)?),
            _ => {
                return Err(args::expected(
                    &key,
                    "`bytes NUMBER`, `offset NUMBER` or `value COMPARISON`",
                ));
            }
        }
    }
    let Some((op, a, b)) = value else {
        return Err(args::expected(text, "`value` and a comparison"));
    };
    draft.push(
        Op::Entropy(Entropy {
            offset,
            bytes,
            op,
            a,
            b,
        }),
        option.name.place,
    );
    Ok(())
}

/// A comparison with numbers that have fractions: `>4.2`, `!=3`, `2.5-4`.
fn comparison(text: &Text) -> Result<(NumOp, f64, f64), Problem> {
    let written = args::string(text);
    let number = |digits: &str| {
        let digits = digits.trim();
        let plain = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        plain
            .then(|| digits.parse::<f64>().ok())
            .flatten()
            .ok_or_else(|| args::expected(text, "a comparison with a number such as 4.5"))
    };
    let one = |op, digits| number(digits).map(|a| (op, a, 0.0));
    for (symbol, op) in [
        ("<=", NumOp::Le),
        (">=", NumOp::Ge),
        ("!=", NumOp::Ne),
        ("<", NumOp::Lt),
        (">", NumOp::Gt),
        ("=", NumOp::Eq),
    ] {
        if let Some(rest) = written.strip_prefix(symbol) {
            return one(op, rest);
        }
    }
    let (negated, rest) = match written.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, written.as_str()),
    };
    match rest.split_once("<>").or_else(|| rest.split_once('-')) {
        Some((a, b)) => {
            let (a, b) = (number(a)?, number(b)?);
            if a >= b {
                return Err(args::expected(
                    text,
                    "a range whose second number is greater",
                ));
            }
            Ok((
                if negated {
                    NumOp::NotBetween
                } else {
                    NumOp::Between
                },
                a,
                b,
            ))
        }
        None => one(if negated { NumOp::Ne } else { NumOp::Eq }, rest),
    }
}

pub(in crate::compile) fn absent(
    draft: &mut Draft<'_>,
    option: &RuleOption,
) -> Result<(), Problem> {
    let or_else = match &option.value {
        None => false,
        Some(value) if value.value == b"or_else" => true,
        Some(value) => return Err(args::expected(value, "`or_else` or no value")),
    };
    if draft.sticky.is_none() {
        return Err(Problem::syntax(
            option.name.place,
            "`absent` is about a sticky buffer, and there is none before it",
        ));
    }
    if !draft.entries().is_empty() {
        return Err(Problem::syntax(
            option.name.place,
            "`absent` comes straight after its sticky buffer",
        ));
    }
    draft.push(Op::Absent { or_else }, option.name.place);
    Ok(())
}
