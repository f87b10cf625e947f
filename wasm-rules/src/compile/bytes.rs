//! Keywords that read numbers out of a buffer, or decode it.

use weir_engine::app::AppField;
use weir_engine::plan::{
    Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, Entropy, JumpFrom,
    MathOp, NumOp, NumberBase, Op, Value,
};

use super::args::{self, Text};
use super::draft::{Draft, Target};
use crate::syntax::ast::{Place, Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list};

const MAX_OFFSET: i64 = u16::MAX as i64;
/// Most bytes of a number that is written out in octal, decimal or hexadecimal, in Suricata's `byte_*` keywords.
const MAX_DIGITS: i64 = 23;

/// What the `byte_*` keywords have in common.
#[derive(Debug, Default)]
struct Common {
    relative: bool,
    string: bool,
    base: Option<NumberBase>,
    endian: Option<Endian>,
    bitmask: Option<u32>,
    /// Where `dce` stands.
    dce: Option<Place>,
}

impl Common {
    /// Takes a part that several keywords have; false when it is not one of those.
    fn take(&mut self, key: &Text, rest: Option<&Text>) -> Result<bool, Problem> {
        let twice = |known: bool| {
            if known {
                Err(Problem::syntax(
                    key.place,
                    format!("`{}` contradicts what is before it", args::string(key)),
                ))
            } else {
                Ok(())
            }
        };
        match key.value.to_ascii_lowercase().as_slice() {
            b"relative" => self.relative = true,
            b"string" => {
                self.string = true;
                if let Some(rest) = rest {
                    self.base = Some(digits(rest)?);
                }
                return Ok(true);
            }
            b"dec" | b"hex" | b"oct" => {
                twice(self.base.is_some())?;
                self.base = Some(digits(key)?);
            }
            b"big" | b"little" => {
                twice(self.endian.is_some())?;
                let big = key.value.first().map(u8::to_ascii_lowercase) == Some(b'b');
                self.endian = Some(if big { Endian::Big } else { Endian::Little });
            }
            b"dce" => self.dce = Some(key.place),
            b"bitmask" => {
                twice(self.bitmask.is_some())?;
                self.bitmask = Some(bitmask(rest.unwrap_or(key))?);
                return Ok(true);
            }
            _ => return Ok(false),
        }
        match rest {
            Some(rest) => Err(args::expected(rest, "`,` or the end")),
            None => Ok(true),
        }
    }

    /// `dce` needs flows of DCE/RPC: its requests say the byte order.
    fn of_dce(&self, draft: &mut Draft<'_>) -> Result<(), Problem> {
        match self.dce {
            Some(place) => draft.restrict(AppField::DceLittleEndian.protos(), place),
            None => Ok(()),
        }
    }

    /// The encoding, checked against the number of bytes. Digits have no byte order: Suricata takes `big` and `little`
    /// with `string`, and they mean nothing.
    fn base(&self, bytes: Value, text: &Text) -> Result<NumberBase, Problem> {
        let place = text.place;
        let count = match bytes {
            Value::Const(count) => Some(count),
            Value::Var(_) => None,
        };
        let most = match (self.string, self.base) {
            (false, Some(_)) => {
                return Err(Problem::syntax(
                    place,
                    "`dec`, `hex` and `oct` need `string`",
                ));
            }
            (true, Some(NumberBase::Hex)) => 14,
            (true, Some(NumberBase::Dec)) => 20,
            (true, _) => MAX_DIGITS,
            (false, None) => 8,
        };
        if count.is_some_and(|count| count > most) {
            return Err(args::expected(
                text,
                &format!("at most {most} bytes for a number in this form"),
            ));
        }
        Ok(match (self.base, self.string) {
            (Some(base), _) => base,
            (None, true) => NumberBase::Guessed,
            (None, false) if self.dce.is_some() => NumberBase::Binary(Endian::Dce),
            (None, false) => NumberBase::Binary(self.endian.unwrap_or_default()),
        })
    }
}

/// How digits are written.
fn digits(text: &Text) -> Result<NumberBase, Problem> {
    match text.value.to_ascii_lowercase().as_slice() {
        b"dec" => Ok(NumberBase::Dec),
        b"hex" => Ok(NumberBase::Hex),
        b"oct" => Ok(NumberBase::Oct),
        _ => Err(args::expected(text, "`dec`, `hex` or `oct`")),
    }
}

fn bitmask(text: &Text) -> Result<u32, Problem> {
    let digits = args::string(text);
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .unwrap_or(&digits);
    let valid = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mask = if valid {
        u32::from_str_radix(hex, 16).ok()
    } else {
        None
    };
    mask.filter(|&mask| mask != 0)
        .ok_or_else(|| args::expected(text, "a mask of up to 32 bits in hexadecimal, not 0"))
}

/// A part that has to be there.
fn part<'a>(parts: &'a [Text], at: usize, whole: &Text, what: &str) -> Result<&'a Text, Problem> {
    parts
        .get(at)
        .filter(|part| !part.value.is_empty())
        .ok_or_else(|| args::expected(whole, what))
}

fn unknown(key: &Text) -> Problem {
    args::expected(key, "an option of the keyword")
}

/// The number after a key.
fn argument<'a>(key: &Text, rest: Option<&'a Text>) -> Result<&'a Text, Problem> {
    rest.ok_or_else(|| {
        Problem::syntax(
            key.place,
            format!("`{}` needs a number after it", args::string(key)),
        )
    })
}

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

pub(super) fn bsize(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let num = parse_number(&args::bare(args::value(option)?), u64::MAX)?;
    if draft.sticky.is_none() {
        let message = "`bsize` is about a sticky buffer, and there is none before it (`dsize` is about the payload)";
        return Err(Problem::syntax(option.name.place, message));
    }
    draft.push(Op::BSize(num), option.name.place);
    Ok(())
}

pub(super) fn base64_decode(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
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

pub(super) fn base64_data(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    if !draft.decodes() {
        return Err(Problem::syntax(
            option.name.place,
            "`base64_data` needs a `base64_decode` before it",
        ));
    }
    draft.select(Target::Base64, option.name.place)
}

pub(super) fn entropy(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
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

pub(super) fn absent(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
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
