//! Values that have a form of their own: flows, state and sets.

use weir_engine::plan::NumOp;

use super::grammar::{
    end, int, key_value, listed, name, next, number_or_name, one_of, parts, text,
};
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

/// `[!]protocol[,mode]`
pub(super) fn app_layer_protocol(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    name(next(&mut parts, &cursor, "a protocol")?, true)?;
    if let Some(mode) = parts.next() {
        one_of(
            mode,
            &[
                "direction",
                "final",
                "original",
                "either",
                "to_server",
                "to_client",
                "toserver",
                "toclient",
            ],
        )?;
    }
    end(parts)
}

/// `[<|<=|>|>=]state`
pub(super) fn app_layer_state(mut cursor: Cursor<'_>) -> Checked {
    cursor.take_while(|byte| byte == b'<' || byte == b'>' || byte == b'=');
    name(cursor, false)
}

/// `[direction,]number`
pub(super) fn filesize(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone()).peekable();
    if parts.peek().is_some_and(|side| {
        one_of(
            side.clone(),
            &["to_client", "to_server", "toclient", "toserver"],
        )
        .is_ok()
    }) {
        parts.next();
    }
    number_at(next(&mut parts, &cursor, "a size")?, u64::MAX)?;
    end(parts)
}

/// `direction[,scope]`
pub(super) fn filestore(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let directions = ["request", "to_server", "response", "to_client", "both"];
    one_of(next(&mut parts, &cursor, "a direction")?, &directions)?;
    if let Some(scope) = parts.next() {
        one_of(scope, &["file", "tx", "ssn", "flow"])?;
    }
    end(parts)
}

/// `[op]date` or `date<>date`, a date being anything from a year to a second.
pub(super) fn date(cursor: Cursor<'_>) -> Checked {
    let mut cursor = text(cursor);
    let alone = cursor.eat(b"<") || cursor.eat(b">");
    let rest = cursor.rest();
    let middle = rest
        .windows(2)
        .position(|pair| pair == b"<>")
        .filter(|_| !alone);
    let is_date = |text: &[u8]| {
        let text = text.trim_ascii();
        text.len() >= 4
            && text
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"-T: ".contains(byte))
            && text.iter().take(4).all(u8::is_ascii_digit)
    };
    let ok = match middle {
        Some(at) => {
            is_date(rest.get(..at).unwrap_or_default())
                && is_date(rest.get(at + 2..).unwrap_or_default())
        }
        None => is_date(rest),
    };
    if ok {
        Ok(())
    } else {
        Err(cursor.expected("a date such as 2025-01-31T12:00:00"))
    }
}

/// A version of TLS: a word or a number.
pub(super) fn tls_version(cursor: Cursor<'_>) -> Checked {
    let bare = text(cursor.clone());
    let inner = bare
        .rest()
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(bare.rest());
    if one_of(
        Cursor::new(inner, bare.place()),
        &["1.0", "1.1", "1.2", "1.3"],
    )
    .is_ok()
    {
        return Ok(());
    }
    if !bare.rest().starts_with(b"0x") {
        return Err(bare.expected("1.0, 1.1, 1.2, 1.3 or a hexadecimal number"));
    }
    plain_at(cursor, u16::MAX.into()).map(drop)
}

/// Words with `between` them, each perhaps negated.
fn alternatives(cursor: Cursor<'_>, between: u8, words: &[&str]) -> Checked {
    let mut offset = 0;
    for part in cursor.rest().split(|&byte| byte == between) {
        let mut word = text(Cursor::new(part, cursor.place().plus(offset)));
        offset += part.len() + 1;
        if word.eat(b"!") {
            word.skip_blanks();
        }
        one_of(word, words)?;
    }
    Ok(())
}

/// `[!]state|[!]state…`
pub(super) fn ssl_state(cursor: Cursor<'_>) -> Checked {
    let between = if cursor.rest().contains(&b',') {
        b','
    } else {
        b'|'
    };
    alternatives(
        cursor,
        between,
        &[
            "client_hello",
            "server_hello",
            "client_keyx",
            "server_keyx",
            "unknown",
        ],
    )
}

/// `[!]version,[!]version…`
pub(super) fn ssl_version(cursor: Cursor<'_>) -> Checked {
    alternatives(
        cursor,
        b',',
        &["sslv2", "sslv3", "tls1.0", "tls1.1", "tls1.2", "tls1.3"],
    )
}

/// `uuid[,[op]version][,any_frag]`
pub(super) fn dce_iface(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    let uuid = next(&mut parts, &cursor, "an interface's UUID")?;
    let lengths = [8, 4, 4, 4, 12];
    let groups = uuid.rest().split(|&byte| byte == b'-');
    let hex = |group: &[u8], length: usize| {
        group.len() == length && group.iter().all(u8::is_ascii_hexdigit)
    };
    if groups.clone().count() != lengths.len()
        || !groups
            .zip(lengths)
            .all(|(group, length)| hex(group, length))
    {
        return Err(uuid.expected("an interface's UUID"));
    }
    parts.try_for_each(|part| {
        if part.rest() == b"any_frag" {
            Ok(())
        } else {
            number_at(part, u16::MAX.into()).map(drop)
        }
    })
}

/// `number[-number],…`, or one comparison
pub(super) fn dce_opnum(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|mut part| {
        let whole = part.clone();
        let low = part.take_while(|byte| byte.is_ascii_digit());
        if low.is_empty() || !part.eat(b"-") {
            return number_at(whole, u16::MAX.into()).map(drop);
        }
        let high = Cursor::new(part.rest(), part.place());
        plain_at(Cursor::new(low, whole.place()), u16::MAX.into())?;
        plain_at(high, u16::MAX.into()).map(drop)
    })
}

/// `function …`, `access …` or `unit N`, with commas between them
pub(super) fn modbus(cursor: Cursor<'_>) -> Checked {
    let value = |cursor: Cursor<'_>| number_at(cursor, u16::MAX.into()).map(drop);
    let classes = [
        "assigned",
        "unassigned",
        "public",
        "user",
        "reserved",
        "all",
    ];
    let bare = text(cursor.clone());
    let inner = match bare.rest() {
        [b'"', inner @ .., b'"'] => Cursor::new(inner, bare.place().plus(1)),
        _ => cursor,
    };
    parts(inner).try_for_each(|part| match key_value(part.clone()) {
        (b"function", what) => number_or_name(what, u8::MAX.into(), &classes),
        (b"subfunction" | b"address" | b"value", number) => value(number),
        (b"unit", number) => value(number),
        (b"access", what) => {
            let (direction, table) = key_value(what.clone());
            one_of(Cursor::new(direction, what.place()), &["read", "write"])?;
            if table.at_end() {
                Ok(())
            } else {
                one_of(table, &["discretes", "coils", "input", "holding"])
            }
        }
        _ => {
            Err(part.expected("`function`, `subfunction`, `access`, `address`, `value` or `unit`"))
        }
    })
}

/// `group,variation`
pub(super) fn dnp3_obj(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    int(next(&mut parts, &cursor, "a group")?, 0, 255)?;
    int(next(&mut parts, &cursor, "a variation")?, 0, 255)?;
    end(parts)
}

/// `service[,class[,attribute]]`, each perhaps negated
pub(super) fn cip_service(cursor: Cursor<'_>) -> Checked {
    let mut parts = parts(cursor.clone());
    for part in parts.by_ref().take(3) {
        number_at(part, u32::MAX.into())?;
    }
    end(parts)
}

/// `NAME[op number]`
pub(super) fn http2_settings(mut cursor: Cursor<'_>) -> Checked {
    let start = cursor.clone();
    if cursor
        .take_while(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        .is_empty()
    {
        return Err(start.expected("the name of a setting"));
    }
    cursor.skip_blanks();
    if cursor.at_end() {
        Ok(())
    } else {
        number_at(cursor, u32::MAX.into()).map(drop)
    }
}

/// `name=number`
pub(super) fn ike_attribute(mut cursor: Cursor<'_>) -> Checked {
    let start = cursor.clone();
    let name = cursor.take_while(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if name.is_empty() {
        return Err(start.expected("the name of an attribute"));
    }
    if !cursor.eat(b"=") {
        return Err(cursor.expected("`=`"));
    }
    plain_at(cursor, u32::MAX.into()).map(drop)
}

/// A signed error code, perhaps with a comparison.
pub(super) fn krb5_err_code(cursor: Cursor<'_>) -> Checked {
    let mut bare = text(cursor);
    bare.take_while(|byte| b"!<>=".contains(&byte));
    int(bare, i32::MIN.into(), i32::MAX.into())
}

/// Encryption types: `weak`, `strong`, or names and numbers.
pub(super) fn krb5_encryption(cursor: Cursor<'_>) -> Checked {
    parts(cursor).try_for_each(|mut part| {
        if part.eat(b"!") {
            part.skip_blanks();
        }
        if int(part.clone(), i32::MIN.into(), i32::MAX.into()).is_ok() {
            Ok(())
        } else {
            name(part, false)
        }
    })
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

/// A quality of service of MQTT.
pub(super) fn quality(cursor: Cursor<'_>) -> Checked {
    let num = number_at(cursor.clone(), u8::MAX.into())?;
    if num.op == NumOp::Eq && num.a > 2 {
        return Err(cursor.expected("a quality of service: 0, 1 or 2"));
    }
    Ok(())
}
