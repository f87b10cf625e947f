//! HTTP/1: a request and its response that show what rules want to see.

mod headers;

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Buffer, Rule};

use super::fill::Filled;
use super::parts::Parts;
use super::set::ByteSet;
use super::talk::Say;
use super::unmet::Unmet;
pub(super) use headers::lines_so_far;
use headers::{announced, headers};

use AppBuffer::*;

/// A request and a response.
pub(super) fn messages(rule: &Rule, parts: &Parts<'_>, attempt: usize) -> Result<Vec<Say>, Unmet> {
    let to_server = parts.to_server;
    for test in &rule.app.tests {
        match test {
            AppTest::Number {
                field: AppField::FileSize | AppField::FileStored,
                ..
            } => {}
            AppTest::Event(_) => return Err(Unmet::Event),
            AppTest::HashIn { buffer, .. } => return Err(Unmet::Digest(buffer.name())),
            _ => return Err(Unmet::Field("app-layer")),
        }
    }
    if let Some(whole) = parts.whole() {
        let none = Parts {
            to_server,
            ..Parts::of_nothing()
        };
        return Ok(if to_server {
            vec![Say::up(whole), response(&none, 0)?]
        } else {
            vec![request(&none, 0)?, Say::down(whole)]
        });
    }
    if let Some(payload) = parts.payload()
        && parts.of(HttpUri).is_none()
        && begins_like_http(payload, to_server)
    {
        return Ok(raw(payload, to_server));
    }
    Ok(vec![request(parts, attempt)?, response(parts, attempt)?])
}

/// The message of the rule's side without what its payload must hold, which comes behind it in so many `extra` bytes.
pub(super) fn around(
    rule: &Rule,
    filled: &[Filled],
    attempt: usize,
    extra: usize,
) -> Option<Vec<u8>> {
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
    let say = if parts.to_server {
        request(&parts, attempt / 2)
    } else {
        response(&parts, attempt / 2)
    };
    say.ok().map(|say| say.bytes)
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

/// A message as `http.start` has it, with a body behind it.
fn started(parts: &Parts<'_>, mine: bool, body: &[u8]) -> Option<Vec<u8>> {
    let start = parts.of(HttpStart).filter(|_| mine)?;
    Some([start, body].concat())
}

fn request(parts: &Parts<'_>, attempt: usize) -> Result<Say, Unmet> {
    let mine = parts.to_server;
    let raw = parts.payload().filter(|_| mine);
    let file = parts.file().filter(|_| mine);
    let announced = announced(parts, mine);
    let body = parts
        .of(HttpRequestBody)
        .or(file)
        .or(raw)
        .unwrap_or(&announced);
    if let Some(all) = started(parts, mine, body) {
        return Ok(Say::up(all));
    }
    let line = match parts.of(HttpRequestLine) {
        Some(line) => line.to_vec(),
        None => {
            let empty = body.is_empty() && parts.extra == 0;
            let default: &[u8] = if empty { b"GET" } else { b"POST" };
            let method = parts.of(HttpMethod).unwrap_or(default);
            let uri = match (parts.of(HttpUriRaw), parts.of(HttpUri)) {
                (Some(raw), _) => escape(raw, b""),
                (None, Some(uri)) => escape(
                    uri,
                    if attempt % 2 == 1 {
                        b"%+\"<>\\^`{|}"
                    } else {
                        b"%"
                    },
                ),
                (None, None) => b"/".to_vec(),
            };
            let default: &[u8] = if parts.old { b"HTTP/1.0" } else { b"HTTP/1.1" };
            let protocol = parts.of(HttpProtocol).filter(|_| mine).unwrap_or(default);
            [method, b" ", &uri, b" ", protocol].concat()
        }
    };
    let mut all = line;
    all.extend_from_slice(b"\r\n");
    for header in headers(parts, mine, true, body.len() + parts.extra, attempt) {
        all.extend_from_slice(&header);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"\r\n");
    all.extend_from_slice(body);
    Ok(Say::up(all))
}

fn response(parts: &Parts<'_>, attempt: usize) -> Result<Say, Unmet> {
    let mine = !parts.to_server;
    let raw = parts.payload().filter(|_| mine);
    let file = parts.file().filter(|_| mine);
    let announced = announced(parts, mine);
    let body = parts
        .of(HttpResponseBody)
        .or(file)
        .or(raw)
        .unwrap_or(&announced);
    if let Some(all) = started(parts, mine, body) {
        return Ok(Say::down(all));
    }
    let line = match parts.of(HttpResponseLine) {
        Some(line) => line.to_vec(),
        None => {
            let status = parts.of(HttpStatCode).unwrap_or(b"200");
            let message = parts.of(HttpStatMsg).unwrap_or(b"OK");
            let protocol = parts
                .of(HttpProtocol)
                .filter(|_| mine)
                .unwrap_or(b"HTTP/1.1");
            [protocol, b" ", status, b" ", message].concat()
        }
    };
    let mut all = line;
    all.extend_from_slice(b"\r\n");
    for header in headers(parts, mine, false, body.len() + parts.extra, attempt) {
        all.extend_from_slice(&header);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"\r\n");
    all.extend_from_slice(body);
    Ok(Say::down(all))
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
