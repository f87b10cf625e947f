//! What rules look at in a request and in a response of HTTP/2.

use super::stream::Side;
use crate::app::{AppBuffer, Output, TxId, Way};

use AppBuffer::*;

/// Most bytes of a buffer that is made of all headers.
const MOST_TEXT: usize = 512 * 1024;

const REQUEST_VALUES: &[(AppBuffer, &[u8])] = &[
    (HttpCookie, b"cookie"),
    (HttpUserAgent, b"user-agent"),
    (HttpAccept, b"accept"),
    (HttpAcceptEnc, b"accept-encoding"),
    (HttpAcceptLang, b"accept-language"),
    (HttpReferer, b"referer"),
    (HttpConnection, b"connection"),
    (HttpContentLen, b"content-length"),
    (HttpContentType, b"content-type"),
    (HttpHostRaw, b":authority"),
];
const RESPONSE_VALUES: &[(AppBuffer, &[u8])] = &[
    (HttpCookie, b"set-cookie"),
    (HttpConnection, b"connection"),
    (HttpContentLen, b"content-length"),
    (HttpContentType, b"content-type"),
    (HttpLocation, b"location"),
    (HttpServer, b"server"),
];

/// Puts what is known once a direction's headers are.
pub(super) fn head(tx: TxId, way: Way, side: &Side, out: &mut Output) {
    out.put(tx, way, HttpProtocol, b"HTTP/2");
    let values = match way {
        Way::ToServer => {
            let method = side.first(b":method");
            let path = side.first(b":path");
            for (buffer, text) in [(HttpUri, path), (HttpUriRaw, path), (HttpMethod, method)] {
                if let Some(text) = text {
                    out.put(tx, way, buffer, text);
                }
            }
            let (method, path) = (method.unwrap_or_default(), path.unwrap_or_default());
            let line = [method, b" ", path, b" HTTP/2\r\n"].concat();
            out.put(tx, way, HttpRequestLine, &line);
            if let Some(authority) = side.value(b":authority") {
                out.put(tx, way, HttpHost, &host(&authority));
            }
            REQUEST_VALUES
        }
        Way::ToClient => {
            let status = side.first(b":status");
            if let Some(status) = status {
                out.put(tx, way, HttpStatCode, status);
            }
            out.put(tx, way, HttpStatMsg, b"");
            let line = [b"HTTP/2 ", status.unwrap_or_default(), b"\r\n"].concat();
            out.put(tx, way, HttpResponseLine, &line);
            RESPONSE_VALUES
        }
    };
    for (buffer, name) in values {
        if out.wants(*buffer)
            && let Some(value) = side.value(name)
        {
            out.put(tx, way, *buffer, &value);
        }
    }
    lines(tx, way, side, out);
}

/// The host without user and port, in lower case.
fn host(authority: &[u8]) -> Vec<u8> {
    let host = match authority.iter().position(|&byte| byte == b'@') {
        Some(at) => authority.get(at + 1..).unwrap_or_default(),
        None => authority,
    };
    let host = host.split(|&byte| byte == b':').next().unwrap_or_default();
    host.to_ascii_lowercase()
}

/// Headers: each by itself, all of them, all without cookies, and their names.
fn lines(tx: TxId, way: Way, side: &Side, out: &mut Output) {
    let (single, cookie) = match way {
        Way::ToServer => (HttpRequestHeader, &b"cookie"[..]),
        Way::ToClient => (HttpResponseHeader, &b"set-cookie"[..]),
    };
    let (mut all, mut raw) = (Vec::new(), Vec::new());
    let mut names = b"\r\n".to_vec();
    let mut line = Vec::new();
    for field in &side.fields {
        line.clear();
        for part in [&field.name[..], b": ", &field.value] {
            line.extend_from_slice(part);
        }
        out.put(tx, way, single, &line);
        out.put(tx, way, Http2HeaderName, &field.name);
        if raw.len() + line.len() > MOST_TEXT {
            continue;
        }
        raw.extend_from_slice(&line);
        raw.extend_from_slice(b"\r\n");
        names.extend_from_slice(&field.name);
        names.extend_from_slice(b"\r\n");
        if !field.name.eq_ignore_ascii_case(cookie) {
            let value = trim(&field.value);
            for part in [&field.name[..], b": ", value, b"\r\n"] {
                all.extend_from_slice(part);
            }
        }
    }
    if names.len() > 2 {
        names.extend_from_slice(b"\r\n");
        out.put(tx, way, HttpHeaderNames, &names);
    }
    for (buffer, text) in [(HttpHeader, all), (HttpHeaderRaw, raw)] {
        if !text.is_empty() {
            out.put(tx, way, buffer, &text);
        }
    }
}

/// Without blanks and tabs around it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
