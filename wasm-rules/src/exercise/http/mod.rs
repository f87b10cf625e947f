//! HTTP/1: a request and its response that show what rules want to see.

mod headers;

use weir_engine::app::AppBuffer;
use weir_engine::plan::{Buffer, Rule};

use super::fill::Filled;
use super::parts::{Parts, of_files};
use super::set::ByteSet;
use super::talk::Say;
use super::unmet::Unmet;
pub(super) use headers::lines_so_far;
use headers::{announced, headers};

use AppBuffer::*;

/// A request and a response.
pub(super) fn messages(rule: &Rule, parts: &Parts<'_>, attempt: usize) -> Result<Vec<Say>, Unmet> {
    let to_server = parts.to_server;
    of_files(rule)?;
    if let Some(whole) = parts.whole() {
        let none = Parts {
            to_server,
            ..Parts::of_nothing()
        };
        return Ok(if to_server {
            vec![Say::up(whole), message(&none, false, 0)]
        } else {
            vec![message(&none, true, 0), Say::down(whole)]
        });
    }
    if let Some(payload) = parts.payload()
        && parts.of(HttpUri).is_none()
        && begins_like_http(payload, to_server)
    {
        return Ok(raw(payload, to_server));
    }
    Ok(vec![
        message(parts, true, attempt),
        message(parts, false, attempt),
    ])
}

/// The message of the rule's side without what its payload must hold, which comes behind it in so many `extra` bytes.
pub(super) fn around(rule: &Rule, filled: &[Filled], attempt: usize, extra: usize) -> Vec<u8> {
    let payload = |filled: &&Filled| filled.buffer == Buffer::Payload;
    let asked = filled
        .iter()
        .find(payload)
        .and_then(|filled| filled.bytes.as_deref());
    let old = asked.is_some_and(|asked| asked.windows(8).any(|eight| eight == b"HTTP/1.0"));
    let rest: Vec<Filled> = filled
        .iter()
        .filter(|filled| !payload(filled))
        .cloned()
        .collect();
    let parts = Parts {
        extra,
        old,
        ..Parts::new(rule, &rest)
    };
    message(&parts, parts.to_server, attempt / 2).bytes
}

/// The URI as it is sent, where it is known.
pub(super) fn uri_so_far(rule: &Rule, filled: &[Filled]) -> Option<Vec<ByteSet>> {
    let uri = escape(Parts::new(rule, filled).of(HttpUri)?, b"%");
    Some(uri.into_iter().map(ByteSet::of).collect())
}

fn begins_like_http(payload: &[u8], to_server: bool) -> bool {
    if !to_server {
        return payload.starts_with(b"HTTP/");
    }
    let word = payload
        .split(|&byte| byte == b' ')
        .next()
        .unwrap_or_default();
    (3..9).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase)
}

/// Bytes that are themselves the beginning of a message.
fn raw(payload: &[u8], to_server: bool) -> Vec<Say> {
    let mut bytes = payload.to_vec();
    let has = |what: &[u8]| payload.windows(what.len()).any(|window| window == what);
    if !has(b"\r\n\r\n") {
        if to_server && !has(b" HTTP/1.") && !has(b"\r\n") {
            bytes.extend_from_slice(b" HTTP/1.1");
        }
        if !to_server && !has(b"\r\n") {
            bytes.extend_from_slice(b" OK");
        }
        bytes.extend_from_slice(b"\r\nX-B: b\r\n\r\n");
    }
    if to_server {
        vec![
            Say::up(bytes),
            Say::down(*b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ]
    } else {
        vec![
            Say::up(*b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            Say::down(bytes),
        ]
    }
}

/// A request (true) or a response.
fn message(parts: &Parts<'_>, request: bool, attempt: usize) -> Say {
    let mine = parts.to_server == request;
    let own = if request {
        HttpRequestBody
    } else {
        HttpResponseBody
    };
    let announced = announced(parts, mine);
    let body = parts
        .of(own)
        .or(parts.file().filter(|_| mine))
        .or(parts.payload().filter(|_| mine))
        .unwrap_or(&announced);
    let mut all = match parts.of(HttpStart).filter(|_| mine) {
        Some(start) => start.to_vec(),
        None => {
            let length = body.len() + parts.extra;
            let line = if request {
                request_line(parts, mine, length, attempt)
            } else {
                status_line(parts, mine)
            };
            let mut lines = headers(parts, mine, request, length, attempt);
            lines.insert(0, line);
            lines.push(Vec::new());
            lines
                .into_iter()
                .flat_map(|line| [line, b"\r\n".to_vec()])
                .flatten()
                .collect()
        }
    };
    all.extend_from_slice(body);
    if request {
        Say::up(all)
    } else {
        Say::down(all)
    }
}

/// The first line of a request with a body of this length.
fn request_line(parts: &Parts<'_>, mine: bool, body: usize, attempt: usize) -> Vec<u8> {
    if let Some(line) = parts.of(HttpRequestLine) {
        return line.to_vec();
    }
    let default: &[u8] = if body == 0 { b"GET" } else { b"POST" };
    let method = parts.of(HttpMethod).unwrap_or(default);
    let uri = match (parts.of(HttpUriRaw), parts.of(HttpUri)) {
        (Some(raw), _) => escape(raw, b""),
        (None, Some(uri)) if attempt % 2 == 1 => escape(uri, b"%+\"<>\\^`{|}"),
        (None, Some(uri)) => escape(uri, b"%"),
        (None, None) => b"/".to_vec(),
    };
    let default: &[u8] = if parts.old { b"HTTP/1.0" } else { b"HTTP/1.1" };
    let protocol = parts.of(HttpProtocol).filter(|_| mine).unwrap_or(default);
    [method, b" ", &uri, b" ", protocol].concat()
}

/// The first line of a response.
fn status_line(parts: &Parts<'_>, mine: bool) -> Vec<u8> {
    if let Some(line) = parts.of(HttpResponseLine) {
        return line.to_vec();
    }
    let status = parts.of(HttpStatCode).unwrap_or(b"200");
    let message = parts.of(HttpStatMsg).unwrap_or(b"OK");
    let protocol = parts.of(HttpProtocol).filter(|_| mine);
    let protocol = protocol.unwrap_or(b"HTTP/1.1");
    [protocol, b" ", status, b" ", message].concat()
}

/// A URI as it is sent: what cannot stand there, and what is `also` told, as `%HH`.
fn escape(uri: &[u8], also: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(uri.len());
    for &byte in uri {
        if byte.is_ascii_graphic() && !also.contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}
