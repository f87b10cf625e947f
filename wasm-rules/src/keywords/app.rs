//! Values that have a form of their own: application layers and files.

use weir_engine::plan::NumOp;

use super::grammar::{end, int, key_value, name, next, number_or_name, one_of, parts, text};
use crate::syntax::ast::Problem;
use crate::syntax::cursor::Cursor;
use crate::syntax::value::{number_at, plain_at};

type Checked = Result<(), Problem>;

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

/// A quality of service of MQTT.
pub(super) fn quality(cursor: Cursor<'_>) -> Checked {
    let num = number_at(cursor.clone(), u8::MAX.into())?;
    if num.op == NumOp::Eq && num.a > 2 {
        return Err(cursor.expected("a quality of service: 0, 1 or 2"));
    }
    Ok(())
}
