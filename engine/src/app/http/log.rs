//! The `http` object of EVE.

use serde_json::{Map, Value, json};

use super::htp::Tx;
use crate::app::Way;

/// The object for a transaction.
pub(super) fn object(tx: Tx<'_>) -> Value {
    let request = |name| tx.header(Way::ToServer, name);
    let response = |name| tx.header(Way::ToClient, name);
    let mut object = Map::new();
    let mut add = |name: &str, value: Option<&[u8]>| {
        if let Some(value) = value {
            object.insert(name.into(), text(value).into());
        }
    };
    add("hostname", tx.hostname());
    add("url", tx.uri());
    add("http_user_agent", request(c"user-agent"));
    add("xff", request(c"x-forwarded-for"));
    let content_type = response(c"content-type");
    add(
        "http_content_type",
        content_type.and_then(|value| value.split(|&byte| byte == b';').next()),
    );
    add("http_refer", request(c"referer"));
    add("http_method", tx.method());
    add("protocol", tx.request_protocol());
    if tx.status_number().is_none() {
        add("status_string", tx.status());
    }
    add("redirect", response(c"location"));
    if let Some(port) = tx.port() {
        object.insert("http_port".into(), port.into());
    }
    if let Some(range) = response(c"content-range") {
        object.insert("content_range".into(), content_range(range));
    }
    if let Some(status) = tx.status_number() {
        object.insert("status".into(), status.into());
    }
    object.insert("length".into(), tx.response_len().into());
    Value::Object(object)
}

/// `bytes 0-99/1000`, and its numbers.
fn content_range(raw: &[u8]) -> Value {
    let mut object = json!({ "raw": text(raw) });
    if let Some(range) = range(raw)
        && let Some(object) = object.as_object_mut()
    {
        for (name, number) in ["start", "end", "size"].into_iter().zip(range) {
            if let Some(number) = number {
                object.insert(name.into(), number.into());
            }
        }
    }
    object
}

/// Start, end and size of a content range (RFC 9110, 14.4): each `None` where it is not known.
fn range(raw: &[u8]) -> Option<[Option<u64>; 3]> {
    let raw = std::str::from_utf8(raw).ok()?;
    let (_, range) = raw.trim().split_once(char::is_whitespace)?;
    let (ends, size) = range.trim().split_once('/')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let size = match size {
        "*" => None,
        size => Some(number(size)?),
    };
    if ends == "*" {
        return Some([None, None, size]);
    }
    let (start, end) = ends.split_once('-')?;
    Some([Some(number(start)?), Some(number(end)?), size])
}

/// True when a response's range says something that cannot be.
pub(in crate::app) fn bad_range(raw: &[u8]) -> bool {
    match range(raw) {
        None => true,
        Some([Some(start), Some(end), Some(size)]) if end > 0 && size > 0 => {
            start > end || end >= size
        }
        Some(_) => false,
    }
}

/// Text as EVE shows it: what is no UTF-8 as `\xNN`.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}
