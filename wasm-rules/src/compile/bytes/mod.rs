//! Keywords that read numbers out of a buffer, or decode it.

mod common;
mod whole;

use weir_engine::plan::{
    ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, JumpFrom, MathOp, NumberBase,
    Op, Value,
};

use super::args::{self, Text};
use super::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::split_list;
use common::{Common, MAX_DIGITS, argument, digits, part, unknown};
pub(super) use whole::{absent, base64_data, base64_decode, bsize, entropy};

const MAX_OFFSET: i64 = u16::MAX as i64;

pub(super) fn byte_test(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const FORM: &str = "`BYTES, OPERATOR, VALUE, OFFSET` and options";
    let text = args::value(option)?;
    let parts = split_list(text);
    let count = part(&parts, 0, text, FORM)?;
    let bytes = draft.operand(count, 0, MAX_DIGITS)?;
    let operator = part(&parts, 1, text, FORM)?;
    let (negated, symbol) = match operator.value.as_slice() {
        [b'!', rest @ ..] => (true, rest.trim_ascii_start()),
        all => (false, all),
    };
    let op = match symbol {
        b"<" => ByteTestOp::Lt,
        b"<=" => ByteTestOp::Le,
        b"=" => ByteTestOp::Eq,
        b">=" => ByteTestOp::Ge,
        b">" => ByteTestOp::Gt,
        b"&" => ByteTestOp::And,
        b"^" => ByteTestOp::Xor,
        _ => {
            return Err(args::expected(
                operator,
                "`<`, `<=`, `=`, `>=`, `>`, `&` or `^`, with or without `!`",
            ));
        }
    };
    // These two are in C's notation.
    let operand = |text: &Text, least: i128, most: i128| {
        if args::is_number(text) {
            args::c_integer(text, least, most).map(Value::Const)
        } else {
            draft.variable(text)
        }
    };
    let value = operand(part(&parts, 2, text, FORM)?, 0, u64::MAX.into())?;
    let offset = operand(
        part(&parts, 3, text, FORM)?,
        i32::MIN.into(),
        i32::MAX.into(),
    )?;
    let mut common = Common::default();
    for (key, rest) in parts.iter().skip(4).map(args::pair) {
        if !common.take(&key, rest.as_ref())? {
            return Err(unknown(&key));
        }
    }
    let base = common.base(bytes, count)?;
    common.of_dce(draft)?;
    if bytes == Value::Const(0) {
        if !common.string {
            return Err(args::expected(count, "at least 1 byte for a binary number"));
        }
        return Err(Problem::unsupported(
            count.place,
            "",
            "0 bytes, which stand for all digits that are there",
        ));
    }
    draft.keep_position(common.relative);
    let Common {
        relative, bitmask, ..
    } = common;
    draft.push(
        Op::ByteTest(ByteTest {
            bytes,
            op,
            negated,
            value,
            offset,
            relative,
            base,
            bitmask,
        }),
        option.name.place,
    );
    Ok(())
}

pub(super) fn byte_jump(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const FORM: &str = "`BYTES, OFFSET` and options";
    let text = args::value(option)?;
    let parts = split_list(text);
    let count = part(&parts, 0, text, FORM)?;
    let bytes = draft.operand(count, 0, MAX_DIGITS)?;
    let offset = draft.operand(part(&parts, 1, text, FORM)?, -MAX_OFFSET, MAX_OFFSET)?;
    let mut common = Common::default();
    let (mut multiplier, mut align, mut from, mut post_offset) =
        (1, false, JumpFrom::Here, Value::Const(0));
    for (key, rest) in parts.iter().skip(2).map(args::pair) {
        match (key.value.to_ascii_lowercase().as_slice(), &rest) {
            (b"align", None) => align = true,
            (b"from_beginning" | b"from_end", None) => {
                if from != JumpFrom::Here {
                    return Err(Problem::syntax(
                        key.place,
                        "`from_beginning` and `from_end` exclude each other",
                    ));
                }
                from = if key.value.ends_with(b"end") {
                    JumpFrom::End
                } else {
                    JumpFrom::Beginning
                };
            }
            (b"multiplier", rest) => {
                multiplier = args::integer(argument(&key, rest.as_ref())?, 1, MAX_OFFSET)? as u32;
            }
            (b"post_offset", rest) => {
                post_offset =
                    draft.operand(argument(&key, rest.as_ref())?, -MAX_OFFSET, MAX_OFFSET)?;
            }
            (_, rest) => {
                if !common.take(&key, rest.as_ref())? {
                    return Err(unknown(&key));
                }
            }
        }
    }
    let base = common.base(bytes, count)?;
    common.of_dce(draft)?;
    draft.keep_position(common.relative);
    let Common {
        relative, bitmask, ..
    } = common;
    let jump = ByteJump {
        bytes,
        offset,
        relative,
        base,
        multiplier,
        align,
        from,
        post_offset,
        bitmask,
    };
    draft.push(Op::ByteJump(jump), option.name.place);
    Ok(())
}

pub(super) fn byte_extract(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const FORM: &str = "`BYTES, OFFSET, NAME` and options";
    let text = args::value(option)?;
    let parts = split_list(text);
    let count = part(&parts, 0, text, FORM)?;
    let bytes = args::integer(count, 1, MAX_DIGITS)?;
    let offset = args::integer(part(&parts, 1, text, FORM)?, -MAX_OFFSET, MAX_OFFSET)? as i32;
    let name = part(&parts, 2, text, FORM)?;
    let mut common = Common::default();
    let (mut multiplier, mut align, mut slice) = (1, 0, None);
    for (key, rest) in parts.iter().skip(3).map(args::pair) {
        match key.value.to_ascii_lowercase().as_slice() {
            b"multiplier" => {
                multiplier = args::integer(argument(&key, rest.as_ref())?, 1, MAX_OFFSET)? as u16
            }
            b"align" => {
                let to = argument(&key, rest.as_ref())?;
                align = args::integer(to, 2, 4)? as u8;
                if align == 3 {
                    return Err(args::expected(to, "2 or 4"));
                }
            }
            b"bitmask" => return Err(unknown(&key)),
            b"slice" => slice = Some(key.place),
            _ => {
                if !common.take(&key, rest.as_ref())? {
                    return Err(unknown(&key));
                }
            }
        }
    }
    let var = draft.define(name)?;
    if let Some(place) = slice {
        return Err(Problem::unsupported(place, "", "`slice`"));
    }
    // Unlike `byte_test` and `byte_jump`, it does not guess the base.
    if common.string {
        common.base.get_or_insert(NumberBase::Dec);
    }
    let base = common.base(Value::Const(bytes), count)?;
    common.of_dce(draft)?;
    draft.keep_position(common.relative);
    let extract = ByteExtract {
        bytes: bytes as u8,
        offset,
        relative: common.relative,
        base,
        multiplier,
        align,
        var,
    };
    draft.push(Op::ByteExtract(extract), option.name.place);
    Ok(())
}

pub(super) fn byte_math(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::value(option)?;
    let mut common = Common::default();
    let (mut bytes, mut offset, mut op, mut rvalue, mut name) = (None, None, None, None, None);
    for (key, rest) in args::pairs(text) {
        let needed = || argument(&key, rest.as_ref());
        match key.value.to_ascii_lowercase().as_slice() {
            b"bytes" => bytes = Some((draft.operand(needed()?, 1, 10)?, needed()?.clone())),
            b"offset" => offset = Some(args::integer(needed()?, -MAX_OFFSET, MAX_OFFSET)? as i32),
            b"oper" => {
                op = Some(match needed()?.value.as_slice() {
                    b"+" => MathOp::Add,
                    b"-" => MathOp::Sub,
                    b"*" => MathOp::Mul,
                    b"/" => MathOp::Div,
                    b"<<" => MathOp::Shl,
                    b">>" => MathOp::Shr,
                    _ => {
                        return Err(args::expected(
                            needed()?,
                            "`+`, `-`, `*`, `/`, `<<` or `>>`",
                        ));
                    }
                });
            }
            b"rvalue" => {
                rvalue = Some((
                    draft.operand(needed()?, 0, i64::from(u32::MAX))?,
                    needed()?.place,
                ))
            }
            b"result" => name = Some(needed()?.clone()),
            b"endian" => match needed()?.value.as_slice() {
                b"big" => common.endian = Some(Endian::Big),
                b"little" => common.endian = Some(Endian::Little),
                b"dce" => common.dce = Some(key.place),
                _ => return Err(args::expected(needed()?, "`big` or `little`")),
            },
            b"string" => {
                common.string = true;
                common.base = Some(digits(needed()?)?);
            }
            b"relative" | b"dce" | b"bitmask" => {
                common.take(&key, rest.as_ref())?;
            }
            _ => return Err(unknown(&key)),
        }
    }
    let (Some((bytes, count)), Some(offset), Some(op), Some((rvalue, right)), Some(name)) =
        (bytes, offset, op, rvalue, name)
    else {
        return Err(args::expected(
            text,
            "at least `bytes`, `offset`, `oper`, `rvalue` and `result`",
        ));
    };
    if op == MathOp::Div && rvalue == Value::Const(0) {
        return Err(Problem::syntax(right, "a division by zero"));
    }
    if matches!(op, MathOp::Shl | MathOp::Shr) {
        if matches!(rvalue, Value::Const(32..)) {
            return Err(Problem::syntax(right, "a shift of 32 bits or more"));
        }
        if matches!(bytes, Value::Const(5..)) {
            return Err(args::expected(&count, "at most 4 bytes for a shift"));
        }
    }
    let var = draft.define(&name)?;
    let base = common.base(bytes, &count)?;
    common.of_dce(draft)?;
    draft.keep_position(common.relative);
    let Common {
        relative, bitmask, ..
    } = common;
    let math = ByteMath {
        bytes,
        offset,
        relative,
        base,
        op,
        rvalue,
        bitmask,
        var,
    };
    draft.push(Op::ByteMath(math), option.name.place);
    Ok(())
}
