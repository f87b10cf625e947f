//! Headers of messages.

use weir_engine::app::{AppBuffer, Ways};
use weir_engine::plan::Rule;

use AppBuffer::*;

use crate::exercise::canonical::lines;
use crate::exercise::fill::Filled;
use crate::exercise::parts::Parts;
use crate::exercise::set::ByteSet;

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

/// Lines of headers that are known, with room for values that are not.
pub(in crate::exercise) fn lines_so_far(
    rule: &Rule,
    filled: &[Filled],
    attempt: usize,
) -> Option<Vec<ByteSet>> {
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

/// A body of the length that headers announce, where they do and nothing else is known of it.
pub(super) fn announced(parts: &Parts<'_>, mine: bool) -> Vec<u8> {
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

/// The lines of headers of a message, in order.
pub(super) fn headers(
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
            .filter(|_| there && (here || buffer.ways() != Ways::Both))
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
