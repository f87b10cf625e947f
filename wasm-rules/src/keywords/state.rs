//! Values that have a form of their own: flows, state and sets.

use super::grammar::{end, int, key_value, listed, name, next, one_of, parts, text};
use crate::syntax::ast::Problem;
use crate::syntax::cursor::Cursor;
use crate::syntax::value::{number_at, plain_at};

type Checked = Result<(), Problem>;

const U32: i64 = u32::MAX as i64;

/// `dir,[op]number` of `flow.pkts` and `flow.bytes`.
fn directed(cursor: Cursor<'_>, max: u64) -> Checked {
    let mut parts = parts(cursor.clone());
    one_of(
        next(&mut parts, &cursor, "a direction")?,
        &["toclient", "toserver", "either", "both"],
    )?;
    number_at(next(&mut parts, &cursor, "a number")?, max)?;
    end(parts)
}

/// `flow.pkts`
pub(super) fn flow_pkts(cursor: Cursor<'_>) -> Checked {
    directed(cursor, u32::MAX.into())
}

/// `flow.bytes`
pub(super) fn flow_bytes(cursor: Cursor<'_>) -> Checked {
    directed(cursor, u64::MAX)
}

/// `side,op,number` of `stream_size`.
pub(super) fn stream_size(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    one_of(
        next(&mut parts, &cursor, "a side")?,
        &["server", "client", "both", "either"],
    )?;
    let operator = next(&mut parts, &cursor, "an operator")?;
    match operator.rest() {
        b"<" | b">" | b"=" | b"<=" | b">=" | b"!=" | b"!" => {}
        // One part with operator and number is fine too.
        _ => {
            number_at(operator, u32::MAX.into())?;
            return end(parts);
        }
    }
    plain_at(next(&mut parts, &cursor, "a number")?, u32::MAX.into())?;
    end(parts)
}

/// A bit's name, or several with `|` between them: whatever is not empty and has no white space within.
fn bit_names(cursor: Cursor<'_>) -> Checked {
    let cursor = text(cursor);
    let ok = |name: &[u8]| {
        !name.trim_ascii().is_empty() && !name.trim_ascii().iter().any(u8::is_ascii_whitespace)
    };
    if cursor.rest().split(|&byte| byte == b'|').all(ok) {
        return Ok(());
    }
    Err(cursor.expected("a name without white space"))
}

const BIT_COMMANDS: [&str; 5] = ["set", "unset", "isset", "isnotset", "toggle"];

/// True for the lone `noalert` of the bit keywords.
fn is_noalert(cursor: &Cursor<'_>) -> bool {
    cursor.rest() == b"noalert"
}

/// `command,name[|name]`, or `noalert`
pub(super) fn flowbits(cursor: Cursor<'_>) -> Checked {
    if is_noalert(&cursor) {
        return Ok(());
    }
    let mut parts = parts(cursor.clone());
    let command = next(&mut parts, &cursor, "a command")?;
    let either = matches!(command.rest(), b"isset" | b"isnotset");
    one_of(command, &BIT_COMMANDS)?;
    let names = next(&mut parts, &cursor, "a name")?;
    if !either && names.rest().contains(&b'|') {
        return Err(names.expected("one name (`|` goes with `isset` and `isnotset` only)"));
    }
    bit_names(names)?;
    end(parts)
}

/// `command,name[,direction[,seconds]]`, or `noalert`
pub(super) fn hostbits(cursor: Cursor<'_>) -> Checked {
    if is_noalert(&cursor) {
        return Ok(());
    }
    let mut parts = parts(cursor.clone());
    one_of(next(&mut parts, &cursor, "a command")?, &BIT_COMMANDS)?;
    bit_names(next(&mut parts, &cursor, "a name")?)?;
    if let Some(direction) = parts.next() {
        one_of(direction, &["src", "dst", "both"])?;
    }
    if let Some(expire) = parts.next() {
        int(expire, 1, U32)?;
    }
    end(parts)
}

/// `command,name,track T[,expire N]`, or `noalert`
pub(super) fn xbits(cursor: Cursor<'_>) -> Checked {
    if is_noalert(&cursor) {
        return Ok(());
    }
    let mut parts = parts(cursor.clone());
    one_of(next(&mut parts, &cursor, "a command")?, &BIT_COMMANDS)?;
    bit_names(next(&mut parts, &cursor, "a name")?)?;
    let track = next(&mut parts, &cursor, "`track`")?;
    match key_value(track.clone()) {
        (b"track", what) => one_of(what, &["ip_src", "ip_dst", "ip_pair", "tx"])?,
        _ => return Err(track.expected("`track`")),
    }
    if let Some(expire) = parts.next() {
        match key_value(expire.clone()) {
            (b"expire", seconds) => int(seconds, 1, U32)?,
            _ => return Err(expire.expected("`expire`")),
        }
    }
    end(parts)
}

/// `name,operator,value` or `name,isset|isnotset|notset`
pub(super) fn flowint(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    name(next(&mut parts, &cursor, "the name of a counter")?, false)?;
    let modifier = next(&mut parts, &cursor, "an operator")?;
    match modifier.rest() {
        b"isset" | b"isnotset" | b"notset" => return end(parts),
        b"+" | b"-" | b"=" | b"==" | b"!=" | b"<" | b"<=" | b">" | b">=" => {}
        _ => {
            return Err(
                modifier.expected("one of +, -, =, ==, !=, <, <=, >, >=, isset, isnotset, notset")
            );
        }
    }
    let operand = next(&mut parts, &cursor, "a number or the name of a counter")?;
    if operand.peek().is_some_and(|first| first.is_ascii_digit()) {
        int(operand, 0, U32)?;
    } else {
        name(operand, false)?;
    }
    end(parts)
}

/// `name,value`
pub(super) fn variable(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    name(next(&mut parts, &cursor, "the name of a variable")?, false)?;
    next(&mut parts, &cursor, "a value").map(drop)
}

const SET_TYPES: [&str; 5] = ["string", "md5", "sha256", "ipv4", "ip"];

/// Settings of a set: `type T, load FILE, …`
fn set_settings<'a>(mut parts: impl Iterator<Item = Cursor<'a>>) -> Checked {
    const WORDS: [&str; 11] = [
        "type",
        "load",
        "save",
        "state",
        "memcap",
        "hashsize",
        "format",
        "context_key",
        "value_key",
        "array_key",
        "remove_key",
    ];
    parts.try_for_each(|part| match key_value(part.clone()) {
        (b"type", kind) => one_of(kind, &SET_TYPES),
        (b"memcap", size) => number_at(size, u64::MAX).map(drop),
        (b"hashsize", size) => int(size, 1, U32),
        (b"format", format) => one_of(format, &["csv", "json", "jsonline", "ndjson"]),
        (b"load" | b"save" | b"state", file) => some(file, "the name of a file"),
        (b"context_key" | b"enrichment_key" | b"value_key" | b"array_key", key) => {
            some(key, "a key")
        }
        (b"remove_key", rest) if rest.at_end() => Ok(()),
        _ => Err(part.expected(&listed(&WORDS))),
    })
}

fn some(cursor: Cursor<'_>, what: &str) -> Checked {
    if cursor.at_end() {
        Err(cursor.expected(what))
    } else {
        Ok(())
    }
}

/// `command,name[,settings]`
pub(super) fn dataset(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    one_of(
        next(&mut parts, &cursor, "a command")?,
        &["set", "unset", "isset", "isnotset"],
    )?;
    name(next(&mut parts, &cursor, "the name of a set")?, false)?;
    set_settings(parts)
}

/// `name,operator,value[,settings]`
pub(super) fn datarep(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    name(next(&mut parts, &cursor, "the name of a set")?, false)?;
    let operator = next(&mut parts, &cursor, "an operator")?;
    one_of(operator, &["<", ">", "=="])?;
    int(
        next(&mut parts, &cursor, "a reputation")?,
        0,
        u16::MAX.into(),
    )?;
    set_settings(parts)
}

/// `side,category,operator,value` or `side,category,isset|isnotset`
pub(super) fn iprep(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    one_of(
        next(&mut parts, &cursor, "a side")?,
        &["any", "both", "src", "dst"],
    )?;
    name(next(&mut parts, &cursor, "a category")?, false)?;
    let operator = next(&mut parts, &cursor, "an operator")?;
    match operator.rest() {
        b"isset" | b"isnotset" => return end(parts),
        b"<" | b">" | b"=" | b"<=" | b">=" => {
            int(next(&mut parts, &cursor, "a reputation")?, 0, 127)?;
        }
        _ => number_at(operator, 127).map(drop)?,
    }
    end(parts)
}

/// `[side,]CC,CC,…`, each country perhaps negated
pub(super) fn geoip(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone()).peekable();
    if parts
        .peek()
        .is_some_and(|side| one_of(side.clone(), &["src", "dst", "both", "any"]).is_ok())
    {
        parts.next();
    }
    let country = |mut part: Cursor<'_>| {
        part.eat(b"!");
        let ok = part.rest().len() == 2 && part.rest().iter().all(u8::is_ascii_alphabetic);
        if ok {
            Ok(())
        } else {
            Err(part.expected("a country of two letters"))
        }
    };
    country(next(&mut parts, &cursor, "a country")?)?;
    parts.try_for_each(country)
}

const ASN1: [&str; 5] = [
    "bitstring_overflow",
    "double_overflow",
    "oversize_length",
    "absolute_offset",
    "relative_offset",
];

/// `check[ N]` with commas between them
pub(super) fn asn1(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|part| match key_value(part.clone()) {
        (b"bitstring_overflow" | b"double_overflow", rest) if rest.at_end() => Ok(()),
        (b"oversize_length", length) => int(length, 0, U32),
        (b"absolute_offset", offset) => int(offset, 0, U32),
        (b"relative_offset", offset) => int(offset, -65535, 65535),
        _ => Err(part.expected(&listed(&ASN1))),
    })
}

/// A key in hexadecimal digits, perhaps in quotation marks.
pub(super) fn xor(cursor: Cursor<'_>) -> Checked {
    let bare = text(cursor);
    let inner = bare
        .rest()
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(bare.rest());
    let even = inner.len().is_multiple_of(2) && !inner.is_empty();
    if even && inner.iter().all(u8::is_ascii_hexdigit) {
        Ok(())
    } else {
        Err(bare.expected("an even number of hexadecimal digits"))
    }
}
