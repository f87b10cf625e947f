//! HTTP/1: a request and its response that show what rules want to see.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Buffer, Rule};

use super::canonical::lines;
use super::fill::Filled;
use super::parts::Parts;
use super::set::ByteSet;
use super::talk::Say;
use super::unmet::Unmet;

use AppBuffer::*;

/// Headers that are a buffer of their own.
const REQUEST: &[(AppBuffer, &str)] = &[
    (HttpHostRaw, "Host"),
    (HttpHost, "Host"),
    (HttpUserAgent, "User-Agent"),
    (HttpAccept, "Accept"),
    (HttpAcceptEnc, "Accept-Encoding"),
    (HttpAcceptLang, "Accept-Language"),
    (HttpReferer, "Referer"),
    (HttpContentType, "Content-Type"),
    (HttpContentLen, "Content-Length"),
    (HttpConnection, "Connection"),
    (HttpCookie, "Cookie"),
];
const RESPONSE: &[(AppBuffer, &str)] = &[
    (HttpServer, "Server"),
    (HttpContentType, "Content-Type"),
    (HttpContentLen, "Content-Length"),
    (HttpConnection, "Connection"),
    (HttpLocation, "Location"),
    (HttpCookie, "Set-Cookie"),
];

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

/// Lines of headers that are known, with room for values that are not.
pub(super) fn lines_so_far(rule: &Rule, filled: &[Filled], attempt: usize) -> Option<Vec<ByteSet>> {
    let parts = Parts::new(rule, filled);
    let request = parts.to_server;
    let body = [HttpRequestBody, FileData, HttpResponseBody]
        .into_iter()
        .find_map(|buffer| parts.of(buffer));
    let own = if request { REQUEST } else { RESPONSE };
    let known = |name: &[u8]| {
        let buffers = own
            .iter()
            .filter(|(_, own)| own.as_bytes().eq_ignore_ascii_case(name));
        buffers.filter_map(|&(buffer, _)| parts.of(buffer)).next()
    };
    let names: Vec<&[u8]> = match parts.of(HttpHeaderNames) {
        Some(names) => {
            let names = names.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
            names.filter(|name| !name.is_empty()).collect()
        }
        None => {
            let mut names: Vec<&[u8]> = own.iter().map(|(_, name)| name.as_bytes()).collect();
            names.dedup();
            names.retain(|name| known(name).is_some());
            names
        }
    };
    let printable = ByteSet::range(b' ', b'~');
    let width = [12, 24, 40].get(attempt / 4).copied().unwrap_or(16);
    let mut cells = Vec::new();
    let mut add = |bytes: &[u8]| cells.extend(bytes.iter().map(|&byte| ByteSet::of(byte)));
    for name in names {
        if name.eq_ignore_ascii_case(b"Cookie") || name.eq_ignore_ascii_case(b"Set-Cookie") {
            // Rules see cookies elsewhere.
            continue;
        }
        add(name);
        add(b": ");
        match (known(name), body) {
            (Some(value), _) => add(value),
            (None, Some(body)) if name.eq_ignore_ascii_case(b"Content-Length") => {
                add(body.len().to_string().as_bytes());
            }
            _ => add(&vec![0xff; width]),
        }
        add(b"\r\n");
    }
    for cell in &mut cells {
        if *cell == ByteSet::of(0xff) {
            *cell = printable;
        }
    }
    (!cells.is_empty()).then_some(cells)
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

/// A body of the length that headers announce, where they do and nothing else is known of it.
fn announced(parts: &Parts<'_>, mine: bool) -> Vec<u8> {
    if !mine {
        return Vec::new();
    }
    let length = |line: &[u8]| {
        let value = line.splitn(2, |&byte| byte == b':').nth(1)?;
        std::str::from_utf8(value)
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()
    };
    let from_headers = [HttpHeader, HttpHeaderRaw]
        .into_iter()
        .filter_map(|buffer| parts.of(buffer));
    let lengths = from_headers
        .flat_map(lines)
        .filter(|line| named(line, b"Content-Length"));
    let own = parts.of(HttpContentLen).map(|value| [b":", value].concat());
    let length = lengths
        .chain(own)
        .find_map(|line| length(&line))
        .unwrap_or(0);
    vec![b'a'; length.min(100_000)]
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

/// The lines of headers of a message, in order.
fn headers(
    parts: &Parts<'_>,
    mine: bool,
    request: bool,
    body: usize,
    attempt: usize,
) -> Vec<Vec<u8>> {
    let (own, single) = if request {
        (REQUEST, HttpRequestHeader)
    } else {
        (RESPONSE, HttpResponseHeader)
    };
    // Buffers that both directions have are of the rule's direction.
    let of = |buffer: AppBuffer| {
        let there = buffer.ways().has(usize::from(!request));
        let here = if request {
            parts.to_server
        } else {
            !parts.to_server
        };
        parts
            .of(buffer)
            .filter(|_| there && (here || buffer.ways() != weir_engine::app::Ways::Both))
    };
    let mut special: Vec<Vec<u8>> = Vec::new();
    for &(buffer, name) in own {
        if let Some(value) = of(buffer)
            && !special.iter().any(|line| named(line, name.as_bytes()))
        {
            special.push([name.as_bytes(), b": ", value].concat());
        }
    }
    special.extend(parts.all(single).map(<[u8]>::to_vec));
    let mut free: Vec<Vec<u8>> = Vec::new();
    for buffer in [HttpHeader, HttpHeaderRaw] {
        free.extend(of(buffer).map(lines).unwrap_or_default());
    }
    let names = of(HttpHeaderNames).filter(|_| mine).map(|names| {
        let names = names.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        names.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    });
    let default_host = request && attempt % 4 != 3 && parts.may(HttpHost);
    let mut all: Vec<Vec<u8>> = Vec::new();
    if let Some(names) = names {
        for name in names {
            let at = special.iter().position(|line| named(line, name));
            let line = match at {
                Some(at) => {
                    let line = special.remove(at);
                    // As the list of names writes it.
                    let value = line.get(name.len()..).unwrap_or_default().to_vec();
                    [name, &value].concat()
                }
                None => match free.iter().position(|line| named(line, name)) {
                    Some(at) => free.remove(at),
                    None => [name, b": ", &default_value(name, body)].concat(),
                },
            };
            all.push(line);
        }
        all.extend(special);
        all.extend(free);
    } else {
        // What another buffer says already is not said again.
        free.retain(|line| !special.iter().any(|other| same_name(line, other)));
        match attempt / 2 % 2 {
            0 => {
                all.extend(special);
                all.extend(free);
            }
            _ => {
                all.extend(free);
                all.extend(special);
            }
        }
        if default_host && !all.iter().any(|line| named(line, b"Host")) {
            let at = if (attempt / 2).is_multiple_of(2) {
                0
            } else {
                all.len()
            };
            all.insert(at, b"Host: www.example.com".to_vec());
        }
    }
    if body > 0 {
        // Rules ask for the name, and seldom for the value.
        for line in all.iter_mut().filter(|line| named(line, b"Content-Length")) {
            if line.ends_with(b" a") {
                *line = format!("Content-Length: {body}").into_bytes();
            }
        }
    } else {
        for line in all
            .iter_mut()
            .filter(|line| named(line, b"Content-Length") && line.ends_with(b" a"))
        {
            *line = b"Content-Length: 0".to_vec();
        }
    }
    let has_length = all.iter().any(|line| named(line, b"Content-Length"));
    let needs_length = if request { body > 0 } else { true };
    if needs_length && !has_length {
        all.push(format!("Content-Length: {body}").into_bytes());
    }
    all
}

fn default_value(name: &[u8], body: usize) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    let text = match name.as_slice() {
        b"host" => "www.example.com",
        b"user-agent" => "Mozilla/5.0",
        b"accept" => "*/*",
        b"accept-encoding" => "gzip, deflate",
        b"accept-language" => "en-US",
        b"connection" => "Keep-Alive",
        b"cache-control" => "no-cache",
        b"content-type" => "application/x-www-form-urlencoded",
        b"referer" => "http://www.example.com/",
        b"cookie" | b"set-cookie" => "a=b",
        b"content-length" => return body.to_string().into_bytes(),
        b"date" => "Mon, 01 Jan 2024 00:00:00 GMT",
        b"server" => "Apache",
        _ => "a",
    };
    text.as_bytes().to_vec()
}

/// True for a header of this name.
fn named(line: &[u8], name: &[u8]) -> bool {
    let own = line.split(|&byte| byte == b':').next().unwrap_or_default();
    own.trim_ascii().eq_ignore_ascii_case(name)
}

fn same_name(line: &[u8], other: &[u8]) -> bool {
    let name = other.split(|&byte| byte == b':').next().unwrap_or_default();
    named(line, name.trim_ascii())
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
