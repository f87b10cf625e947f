//! Values that have a form of their own: header fields and rule information.

use super::grammar::{
    end, int, key_value, listed, name, next, number_or_name, one_of, parts, text,
};
use crate::syntax::ast::Problem;
use crate::syntax::cursor::Cursor;
use crate::syntax::value::{number_at, plain_at};

type Checked = Result<(), Problem>;

const U32: i64 = u32::MAX as i64;

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
