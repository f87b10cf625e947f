//! Values that have a form of their own: payload operations, header fields and rule information.

use super::grammar::{
    end, int, int_or_variable, key_value, listed, name, next, number_or_name, one_of, parts, text,
    variable,
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

/// `[!+*]flags[,ignored flags]` of TCP, or a number.
pub(super) fn tcp_flags(cursor: Cursor<'_>) -> Checked {
    if looks_numeric(&cursor) {
        return number_at(cursor, u8::MAX.into()).map(drop);
    }
    let mut parts = parts(cursor.clone());
    letters(next(&mut parts, &cursor, "TCP flags")?, b"SAPRFUCE120+*!")?;
    if let Some(mask) = parts.next() {
        letters(mask, b"SAPRFUCE12")?;
    }
    end(parts)
}

/// `[!+*]MDR`, or a number.
pub(super) fn fragbits(cursor: Cursor<'_>) -> Checked {
    if looks_numeric(&cursor) {
        return number_at(cursor, u8::MAX.into()).map(drop);
    }
    letters(text(cursor), b"MDR+*!")
}

/// True for what only a comparison can be: Suricata takes `12` (two reserved bits) and `0` for flags.
fn looks_numeric(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    matches!(rest.first(), Some(b'&' | b'<' | b'>' | b'='))
        || rest.starts_with(b"0x")
        || rest.iter().any(|byte| matches!(byte, b'3'..=b'9'))
}

fn letters(cursor: Cursor<'_>, known: &[u8]) -> Checked {
    let mut rest = cursor.clone();
    // Suricata's flags can be in lower case.
    rest.take_while(|byte| known.contains(&byte.to_ascii_uppercase()) || byte == b' ');
    if cursor.at_end() || !rest.at_end() {
        return Err(rest.expected(&format!("one of `{}`", String::from_utf8_lossy(known))));
    }
    Ok(())
}

/// A protocol's number with a comparison, or its name.
pub(super) fn ip_proto(cursor: Cursor<'_>) -> Checked {
    number_or_name(cursor, u8::MAX.into(), &[])
}

/// `[!]number`, or `x` and two hexadecimal digits.
pub(super) fn tos(cursor: Cursor<'_>) -> Checked {
    let mut hex = text(cursor.clone());
    if hex.eat(b"!") {
        hex.skip_blanks();
    }
    if !hex.eat(b"x") && !hex.eat(b"X") {
        return number_at(cursor, u8::MAX.into()).map(drop);
    }
    let digits = hex.rest();
    if (1..=2).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit) {
        return Ok(());
    }
    Err(hex.expected("one or two hexadecimal digits"))
}

/// A 16-bit number, perhaps in quotation marks.
pub(super) fn quoted_u16(cursor: Cursor<'_>) -> Checked {
    let bare = text(cursor.clone());
    match bare.rest() {
        [b'"', inner @ .., b'"'] => {
            number_at(Cursor::new(inner, bare.place().plus(1)), u16::MAX.into()).map(drop)
        }
        _ => number_at(cursor, u16::MAX.into()).map(drop),
    }
}

/// `number[,layer]`: the layer is as the index of other keywords, from -3 to 2.
pub(super) fn vlan_id(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let place = cursor.place();
    let number = number_at(next(&mut parts, &cursor, "a VLAN number")?, u16::MAX.into())?;
    if number.a >= 4096 {
        return Err(Problem::syntax(place, "expected a VLAN number below 4096"));
    }
    if let Some(layer) = parts.next()
        && one_of(layer.clone(), &["all", "any"]).is_err()
        && int(layer.clone(), -3, 2).is_err()
    {
        return Err(layer.expected("a layer: `all`, `any` or a number from -3 to 2"));
    }
    end(parts)
}

/// `system,reference`
pub(super) fn reference(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let system = next(&mut parts, &cursor, "a reference system")?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !system.rest().iter().all(word) {
        return Err(system.expected("a reference system such as `url` or `cve`"));
    }
    next(&mut parts, &cursor, "a reference").map(drop)
}

/// `key value, key value, …`
pub(super) fn metadata(cursor: Cursor<'_>) -> Checked {
    if text(cursor.clone()).at_end() {
        Err(cursor.expected("a key and a value"))
    } else {
        Ok(())
    }
}

/// `version >= 8.0.3 < 9 | >= 9.0.1, feature NAME, …`; what is not known is not met, which is for the reader to decide.
pub(super) fn requires(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|part| match key_value(part.clone()) {
        (b"version", versions) => versions_of(versions),
        (b"feature" | b"keyword", name) if name.at_end() => Err(name.expected("a name")),
        _ if part.at_end() => Err(part.expected("`version`, `feature` or `keyword`")),
        _ => Ok(()),
    })
}

fn versions_of(mut cursor: Cursor<'_>) -> Checked {
    loop {
        cursor.skip_blanks();
        if !(cursor.eat(b">=") || cursor.eat(b"<=") || cursor.eat(b">") || cursor.eat(b"<")) {
            return Err(cursor.expected("`>=`, `>`, `<=` or `<`"));
        }
        cursor.skip_blanks();
        let start = cursor.clone();
        let version = cursor.take_while(|byte| byte.is_ascii_digit() || byte == b'.');
        let numbers = version.split(|&byte| byte == b'.');
        let ok =
            |number: &[u8]| str::from_utf8(number).is_ok_and(|number| number.parse::<u8>().is_ok());
        if !(1..=3).contains(&numbers.clone().count()) || !numbers.clone().all(ok) {
            return Err(start.expected("a version such as 8.0.3"));
        }
        cursor.skip_blanks();
        cursor.eat(b"|");
        cursor.skip_blanks();
        if cursor.at_end() {
            return Ok(());
        }
    }
}

/// `key value` settings of `threshold` and `detection_filter`.
fn counting(cursor: Cursor<'_>, needed: &[&str], optional: &[&str], types: &[&str]) -> Checked {
    let mut seen = 0_u8;
    for part in parts(cursor.clone()) {
        let (key, rest) = key_value(part.clone());
        let position = needed
            .iter()
            .chain(optional)
            .position(|name| name.as_bytes() == key);
        let Some(bit) = position.map(|position| 1 << position) else {
            return Err(part.expected(&listed(&[needed, optional].concat())));
        };
        if seen & bit != 0 {
            return Err(part.expected("each setting once"));
        }
        seen |= bit;
        match key {
            b"type" => one_of(rest, types)?,
            b"track" => one_of(rest, &["by_src", "by_dst", "by_both", "by_rule", "by_flow"])?,
            _ => int(rest, i64::from(key != b"seconds"), U32)?,
        }
    }
    match needed
        .iter()
        .enumerate()
        .find(|(position, _)| seen & (1 << position) == 0)
    {
        Some((_, missing)) => Err(Problem::syntax(
            cursor.place(),
            format!("expected `{missing}` among the settings"),
        )),
        None => Ok(()),
    }
}

/// `type limit, track by_src, count N, seconds N`
pub(super) fn threshold(cursor: Cursor<'_>) -> Checked {
    let backoff = parts(cursor.clone())
        .any(|part| matches!(key_value(part), (b"type", kind) if kind.rest() == b"backoff"));
    let types = ["limit", "threshold", "both", "backoff"];
    if backoff {
        return counting(
            cursor,
            &["type", "track", "count", "multiplier"],
            &["seconds"],
            &types,
        );
    }
    counting(cursor, &["type", "track", "count", "seconds"], &[], &types)
}

/// `track by_src, count N, seconds N`
pub(super) fn detection_filter(cursor: Cursor<'_>) -> Checked {
    counting(cursor, &["track", "count", "seconds"], &[], &[])
}

/// `session|host[,N,packets|seconds|bytes[,src|dst]]`
pub(super) fn tag(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    one_of(
        next(&mut parts, &cursor, "`session` or `host`")?,
        &["session", "host"],
    )?;
    let Some(count) = parts.next() else {
        return Ok(());
    };
    int(count, 0, U32)?;
    one_of(
        next(&mut parts, &cursor, "a unit")?,
        &["packets", "seconds", "bytes"],
    )?;
    if let Some(direction) = parts.next() {
        one_of(direction, &["src", "dst"])?;
    }
    end(parts)
}

/// `setting value, type T, scope S`
pub(super) fn config(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let (setting, value) = key_value(next(&mut parts, &cursor, "a setting")?);
    if setting != b"logging" && setting != b"tracking" {
        return Err(cursor.expected("`logging` or `tracking`"));
    }
    one_of(value, &["disable"])?;
    parts.try_for_each(|part| match key_value(part.clone()) {
        (b"type", kind) => one_of(kind, &["tx", "flow"]),
        (b"scope", scope) => one_of(scope, &["tx", "flow"]),
        _ => Err(part.expected("`type` or `scope`")),
    })
}

/// `value/mask`
pub(super) fn mark(cursor: Cursor<'_>) -> Checked {
    let mut mark = cursor.clone();
    let value = mark.take_while(|byte| byte != b'/');
    if !mark.eat(b"/") {
        return Err(mark.expected("`/` and a mask"));
    }
    plain_at(Cursor::new(value, cursor.place()), u32::MAX.into())?;
    plain_at(Cursor::new(mark.rest(), mark.place()), u32::MAX.into()).map(drop)
}

/// A protocol or one of its events: `http` or `http.invalid_…`.
pub(super) fn event(cursor: Cursor<'_>) -> Checked {
    name(cursor, false)
}
