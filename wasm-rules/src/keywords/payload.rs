//! Values that have a form of their own: operations on bytes, and transforms.

use super::grammar::{
    end, int, int_or_variable, key_value, listed, next, one_of, parts, text, variable,
};
use crate::syntax::ast::Problem;
use crate::syntax::cursor::Cursor;
use crate::syntax::value::{number_at, plain_at};

type Checked = Result<(), Problem>;

const U32: i64 = u32::MAX as i64;
const OFFSET: i64 = 65535;

/// `depth`, `offset`: a number or a variable.
pub(super) fn position(cursor: Cursor<'_>) -> Checked {
    int_or_variable(cursor, 0, OFFSET)
}

/// `distance`, `within`: the same, and it can be negative.
pub(super) fn relative_position(cursor: Cursor<'_>) -> Checked {
    int_or_variable(cursor, -1024 * 1024, 1024 * 1024)
}

/// `only` or `offset,length`.
pub(super) fn fast_pattern(cursor: Cursor<'_>) -> Checked {
    if cursor.rest() == b"only" {
        return Ok(());
    }
    let mut parts = parts(cursor.clone());
    int(next(&mut parts, &cursor, "`only` or an offset")?, 0, OFFSET)?;
    int(next(&mut parts, &cursor, "a length")?, 1, OFFSET)?;
    end(parts)
}

/// `[!]number[,relative][,rawbytes]`
pub(super) fn isdataat(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let mut at = next(&mut parts, &cursor, "a number")?;
    at.eat(b"!");
    int_or_variable(at, 0, OFFSET)?;
    parts.try_for_each(|flag| one_of(flag, &["relative", "rawbytes"]))
}

/// What `byte_test`, `byte_jump` and `byte_extract` have in common.
const ENCODING: [&str; 8] = [
    "relative", "big", "little", "dce", "string", "hex", "dec", "oct",
];

fn is_flag(key: &[u8], flags: &[&str]) -> bool {
    flags.iter().any(|flag| flag.as_bytes() == key)
}

/// `number,[!]operator,value,offset[,flag…]`
pub(super) fn byte_test(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    // With `string`, 0 stands for as many digits as there are.
    int_or_variable(next(&mut parts, &cursor, "a number of bytes")?, 0, 23)?;
    let mut operator = next(&mut parts, &cursor, "an operator")?;
    if operator.eat(b"!") {
        operator.skip_blanks();
    }
    let bare = matches!(
        operator.rest(),
        b"<" | b">" | b"=" | b"<=" | b">=" | b"&" | b"^"
    );
    if !bare {
        return Err(operator.expected(&listed(&["<", "<=", "=", ">=", ">", "&", "^"])));
    }
    let value = next(&mut parts, &cursor, "a value")?;
    match value.peek() {
        Some(first) if first.is_ascii_digit() => plain_at(value, u64::MAX).map(drop)?,
        _ => variable(value)?,
    }
    int_or_variable(
        next(&mut parts, &cursor, "an offset")?,
        i32::MIN.into(),
        i32::MAX.into(),
    )?;
    parts.try_for_each(|part| match key_value(part.clone()) {
        (b"bitmask", mask) => bitmask(mask),
        (b"string", kind) if !kind.at_end() => one_of(kind, &["hex", "dec", "oct"]),
        (key, rest) if is_flag(key, &ENCODING) && rest.at_end() => Ok(()),
        _ => Err(part.expected(&format!("{}, bitmask", listed(&ENCODING)))),
    })
}

/// `number,offset[,flag…]`
pub(super) fn byte_jump(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    int_or_variable(next(&mut parts, &cursor, "a number of bytes")?, 0, 23)?;
    int_or_variable(
        next(&mut parts, &cursor, "an offset")?,
        i32::MIN.into(),
        i32::MAX.into(),
    )?;
    parts.try_for_each(|part| match key_value(part.clone()) {
        (b"multiplier", number) => int(number, 1, OFFSET),
        (b"post_offset", number) => int_or_variable(number, -OFFSET, OFFSET),
        (b"bitmask", mask) => bitmask(mask),
        (b"string", kind) if !kind.at_end() => one_of(kind, &["hex", "dec", "oct"]),
        (b"align" | b"from_beginning" | b"from_end", rest) if rest.at_end() => Ok(()),
        (key, rest) if is_flag(key, &ENCODING) && rest.at_end() => Ok(()),
        _ => Err(part.expected(&format!(
            "{}, multiplier, align, from_beginning, from_end, post_offset, bitmask",
            listed(&ENCODING)
        ))),
    })
}

/// `number,offset,name[,flag…]`
pub(super) fn byte_extract(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    int(next(&mut parts, &cursor, "a number of bytes")?, 0, 23)?;
    int(
        next(&mut parts, &cursor, "an offset")?,
        i16::MIN.into(),
        i16::MAX.into(),
    )?;
    variable(next(&mut parts, &cursor, "the name of a variable")?)?;
    parts.try_for_each(|part| match key_value(part.clone()) {
        (b"multiplier", number) => int(number, 1, OFFSET),
        (b"align", number) => one_of(number, &["2", "4"]),
        (b"slice", rest) if rest.at_end() => Ok(()),
        (b"string", kind) if !kind.at_end() => one_of(kind, &["hex", "dec", "oct"]),
        (key, rest) if is_flag(key, &ENCODING) && rest.at_end() => Ok(()),
        _ => Err(part.expected(&format!("{}, multiplier, align, slice", listed(&ENCODING)))),
    })
}

/// `bytes N, offset N, oper O, rvalue V, result NAME[, …]`
pub(super) fn byte_math(cursor: Cursor<'_>) -> Checked {
    const NEEDED: [&str; 5] = ["bytes", "offset", "oper", "rvalue", "result"];
    let mut seen = [false; NEEDED.len()];
    for part in parts(cursor.clone()) {
        let (key, rest) = key_value(part.clone());
        if let Some(seen) = NEEDED
            .iter()
            .position(|name| name.as_bytes() == key)
            .and_then(|at| seen.get_mut(at))
        {
            if *seen {
                return Err(part.expected("each setting once"));
            }
            *seen = true;
        }
        match key {
            b"bytes" => int_or_variable(rest, 1, 10)?,
            b"offset" => int(rest, -OFFSET, OFFSET)?,
            b"oper" => one_of(rest, &["+", "-", "*", "/", "<<", ">>"])?,
            b"rvalue" => int_or_variable(rest, 0, U32)?,
            b"result" => variable(rest)?,
            b"endian" => one_of(rest, &["big", "little", "dce"])?,
            b"string" => one_of(rest, &["hex", "dec", "oct"])?,
            b"bitmask" => bitmask(rest)?,
            b"relative" | b"dce" if rest.at_end() => {}
            _ => {
                let words = [
                    "bytes", "offset", "oper", "rvalue", "result", "relative", "endian", "string",
                    "dce", "bitmask",
                ];
                return Err(part.expected(&listed(&words)));
            }
        }
    }
    match NEEDED.iter().zip(seen).find(|(_, seen)| !seen) {
        Some((missing, _)) => Err(Problem::syntax(
            cursor.place(),
            format!("expected `{missing}` among the settings"),
        )),
        None => Ok(()),
    }
}

/// A mask in hexadecimal digits, with or without `0x`.
fn bitmask(cursor: Cursor<'_>) -> Checked {
    let digits = cursor
        .rest()
        .strip_prefix(b"0x")
        .or_else(|| cursor.rest().strip_prefix(b"0X"))
        .unwrap_or(cursor.rest());
    if (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit) {
        return Ok(());
    }
    Err(cursor.expected("a mask of up to 8 hexadecimal digits"))
}

/// `bytes N, offset N, relative`
pub(super) fn base64_decode(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|part| match key_value(part.clone()) {
        (b"bytes", number) => int(number, 1, U32),
        (b"offset", number) => int(number, 0, U32),
        (b"relative", rest) if rest.at_end() => Ok(()),
        _ => Err(part.expected("`bytes`, `offset` or `relative`")),
    })
}

/// `bytes N, offset N, mode M`
pub(super) fn from_base64(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|part| match key_value(part.clone()) {
        (b"bytes", number) => int(number, 1, OFFSET),
        (b"offset", number) => int(number, 0, OFFSET),
        (b"mode", mode) => one_of(mode, &["rfc2045", "rfc4648", "strict"]),
        _ => Err(part.expected("`bytes`, `offset` or `mode`")),
    })
}

/// `max-size=N`, or with white space for the equals sign
pub(super) fn max_size(mut cursor: Cursor<'_>) -> Checked {
    let start = cursor.clone();
    if !cursor.eat(b"max-size") {
        return Err(start.expected("`max-size=` and a number"));
    }
    cursor.skip_blanks();
    cursor.eat(b"=");
    cursor.skip_blanks();
    number_at(cursor, u32::MAX.into()).map(drop)
}

/// `offset[,bytes][,truncate]`, where negative numbers count from the end.
pub(super) fn subslice(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone()).peekable();
    int(next(&mut parts, &cursor, "an offset")?, -U32, U32)?;
    let is_flag = |part: &Cursor<'_>| one_of(part.clone(), &["truncate"]).is_ok();
    if let Some(size) = parts.next_if(|part| !is_flag(part)) {
        int(size, -U32, U32)?;
    }
    if let Some(flag) = parts.next() {
        one_of(flag, &["truncate"])?;
    }
    end(parts)
}

/// `bytes N, offset N, value OP X`
pub(super) fn entropy(cursor: Cursor<'_>) -> Checked {
    let mut value = false;
    for part in parts(cursor.clone()) {
        match key_value(part.clone()) {
            (b"bytes", number) => int(number, 0, i32::MAX.into())?,
            (b"offset", number) => int(number, -OFFSET, OFFSET)?,
            (b"value", number) => {
                float(number)?;
                value = true;
            }
            _ => return Err(part.expected("`bytes`, `offset` or `value`")),
        }
    }
    if value {
        Ok(())
    } else {
        Err(Problem::syntax(
            cursor.place(),
            "expected `value` among the settings",
        ))
    }
}

/// A comparison with one or two floating point numbers.
fn float(mut cursor: Cursor<'_>) -> Checked {
    cursor.skip_blanks();
    let bare = cursor.clone();
    let operator = cursor.take_while(|byte| b"<>=!".contains(&byte));
    if !matches!(
        operator,
        b"" | b"<" | b"<=" | b">" | b">=" | b"=" | b"!" | b"!="
    ) {
        return Err(bare.expected("a comparison"));
    }
    let cursor = text(cursor);
    let is_float = |text: &[u8]| {
        str::from_utf8(text.trim_ascii())
            .is_ok_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
    };
    let rest = cursor.rest();
    let range = matches!(operator, b"" | b"!")
        .then(|| rest.iter().position(|&byte| byte == b'-' || byte == b'<'))
        .flatten();
    let ok = match range {
        Some(dash) => {
            let (low, high) = (
                rest.get(..dash).unwrap_or_default(),
                rest.get(dash..).unwrap_or_default(),
            );
            let high = high.strip_prefix(b"-").or_else(|| high.strip_prefix(b"<>"));
            is_float(low) && high.is_some_and(is_float)
        }
        None => is_float(rest),
    };
    if ok {
        Ok(())
    } else {
        Err(cursor.expected("a number such as 7.5"))
    }
}

/// `application, version|*, procedure|*`
pub(super) fn rpc(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    int(next(&mut parts, &cursor, "an application number")?, 0, U32)?;
    for part in parts.by_ref().take(2) {
        if part.rest() != b"*" {
            int(part, 0, U32)?;
        }
    }
    end(parts)
}
