//! The `http` object of EVE for HTTP/2.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::hpack::{Field, Kind};
use super::stream::{Side, Stream};
use crate::app::text::eve_text;

/// Most headers of a direction that a record shows.
const MOST_HEADERS: usize = 1024;

const SETTINGS: [&str; 6] = [
    "HEADERTABLESIZE",
    "ENABLEPUSH",
    "MAXCONCURRENTSTREAMS",
    "INITIALWINDOWSIZE",
    "MAXFRAMESIZE",
    "MAXHEADERLISTSIZE",
];
const ERRORS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// The object of a stream; `None` where there is nothing worth to be shown.
pub(super) fn object(stream: &Stream) -> Option<Value> {
    let mut object = Map::new();
    object.insert("version".into(), "2".into());
    let mut common = Map::new();
    let names = ["request_headers", "response_headers"];
    let mut says = false;
    for (name, side) in names.into_iter().zip(&stream.sides) {
        if !side.fields.is_empty() {
            object.insert(name.into(), headers(&side.fields, &mut common));
            says = true;
        }
    }
    object.append(&mut common);
    let mut http2 = Map::new();
    http2.insert("stream_id".into(), stream.id.into());
    for (name, side) in ["request", "response"].into_iter().zip(&stream.sides) {
        let of_side = frames(side);
        says |= !of_side.is_empty();
        http2.insert(name.into(), of_side.into());
    }
    object.insert("http2".into(), http2.into());
    says.then(|| object.into())
}

/// Headers one by one, and those that have names of their own in the object.
fn headers(fields: &[Field], common: &mut Map<String, Value>) -> Value {
    let mut shown: Vec<Value> = Vec::new();
    let mut repeated: Vec<*const u8> = Vec::new();
    for field in fields.iter().take(MOST_HEADERS) {
        match field.kind {
            Kind::Header => {}
            Kind::Size(size) => {
                shown.push(json!({ "table_size_update": size }));
                continue;
            }
            Kind::Missing | Kind::Overflow => {
                let error = match field.kind {
                    Kind::Overflow => "HTTP2HeaderDecodeIntegerOverflow",
                    _ => "HTTP2HeaderDecodeNotIndexed",
                };
                shown.push(json!({ "error": error }));
                continue;
            }
        }
        if field.is_shared() {
            let name = Arc::as_ptr(&field.name).cast();
            if repeated.contains(&name) {
                continue;
            }
            repeated.push(name);
        }
        shown.push(json!({ "name": eve_text(&field.name), "value": eve_text(&field.value) }));
        let number = || std::str::from_utf8(&field.value).ok()?.parse::<u64>().ok();
        let (name, value): (_, Value) = match field.name.to_ascii_lowercase().as_slice() {
            b":method" => ("http_method", eve_text(&field.value).into()),
            b":path" => ("url", eve_text(&field.value).into()),
            b":authority" | b"host" => ("hostname", eve_text(&field.value).into()),
            b"user-agent" => ("http_user_agent", eve_text(&field.value).into()),
            b":status" => match number() {
                Some(status) => ("status", status.into()),
                None => continue,
            },
            b"content-length" => match number() {
                Some(length) => ("length", length.into()),
                None => continue,
            },
            _ => continue,
        };
        common.insert(name.into(), value);
    }
    shown.into()
}

/// Settings, errors and priorities.
fn frames(side: &Side) -> Map<String, Value> {
    let mut object = Map::new();
    if !side.settings.is_empty() {
        let settings = side.settings.iter().map(|&(id, value)| {
            let name = usize::from(id)
                .checked_sub(1)
                .and_then(|at| SETTINGS.get(at));
            let name = name.copied().unwrap_or_default();
            json!({ "settings_id": format!("SETTINGS{name}"), "settings_value": value })
        });
        object.insert("settings".into(), settings.collect::<Vec<_>>().into());
    }
    if let Some(&(code, _)) = side.errors.first() {
        let name = usize::try_from(code).ok().and_then(|at| ERRORS.get(at));
        let text = name.map_or_else(|| code.to_string(), |name| (*name).to_owned());
        object.insert("error_code".into(), text.into());
    }
    if let Some(&weight) = side.priorities.first() {
        object.insert("priority".into(), weight.into());
    }
    for (name, count) in [
        ("error_code", side.errors.len()),
        ("priority", side.priorities.len()),
    ] {
        if count > 1 {
            object.entry("has_multiple").or_insert_with(|| name.into());
        }
    }
    object
}
