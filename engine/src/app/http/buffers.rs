//! What rules look at in a request and in a response.

use std::ffi::CStr;

use super::htp::Tx;
use crate::app::{AppBuffer, Output, TxId, Way};

use AppBuffer::*;

/// What is known after the first line.
pub(super) fn start(id: TxId, way: Way, tx: Tx<'_>, out: &mut Output) {
    let texts: [_; 5] = match way {
        Way::ToServer => [
            (HttpUri, tx.uri_normal()),
            (HttpUriRaw, tx.uri()),
            (HttpMethod, tx.method()),
            (HttpProtocol, tx.request_protocol()),
            (HttpRequestLine, tx.request_line()),
        ],
        Way::ToClient => [
            (HttpProtocol, tx.response_protocol()),
            (HttpStatCode, tx.status()),
            (HttpStatMsg, tx.message()),
            (HttpResponseLine, tx.response_line()),
            (HttpResponseLine, None),
        ],
    };
    for (buffer, text) in texts {
        if let Some(text) = text {
            out.put(id, way, buffer, text);
        }
    }
}

/// Buffers that are the value of one header.
const REQUEST_VALUES: &[(AppBuffer, &CStr)] = &[
    (HttpCookie, c"cookie"),
    (HttpUserAgent, c"user-agent"),
    (HttpAccept, c"accept"),
    (HttpAcceptEnc, c"accept-encoding"),
    (HttpAcceptLang, c"accept-language"),
    (HttpReferer, c"referer"),
    (HttpConnection, c"connection"),
    (HttpContentLen, c"content-length"),
    (HttpContentType, c"content-type"),
];
const RESPONSE_VALUES: &[(AppBuffer, &CStr)] = &[
    (HttpCookie, c"set-cookie"),
    (HttpConnection, c"connection"),
    (HttpContentLen, c"content-length"),
    (HttpContentType, c"content-type"),
    (HttpLocation, c"location"),
    (HttpServer, c"server"),
];

/// What is known after the headers; `raw` is them as they came.
pub(super) fn head(id: TxId, way: Way, tx: Tx<'_>, raw: &[u8], out: &mut Output) {
    let values = match way {
        Way::ToServer => REQUEST_VALUES,
        Way::ToClient => RESPONSE_VALUES,
    };
    for (buffer, name) in values {
        if out.wants(*buffer)
            && let Some(value) = tx.header(way, name)
        {
            out.put(id, way, *buffer, value);
        }
    }
    if way == Way::ToServer {
        if let Some(host) = tx.hostname() {
            out.put(id, way, HttpHost, host);
        }
        if let Some(host) = tx.uri_host().or_else(|| tx.header(way, c"host")) {
            out.put(id, way, HttpHostRaw, host);
        }
    }
    if !raw.is_empty() {
        out.put(id, way, HttpHeaderRaw, raw);
    }
    headers(id, way, tx, out);
    names(id, way, tx, out);
    whole(id, way, tx, out);
}

/// Headers without cookies in one buffer, and each in one of its own.
fn headers(id: TxId, way: Way, tx: Tx<'_>, out: &mut Output) {
    let (single, cookie) = match way {
        Way::ToServer => (HttpRequestHeader, &b"cookie"[..]),
        Way::ToClient => (HttpResponseHeader, &b"set-cookie"[..]),
    };
    let (all_wanted, single_wanted) = (out.wants(HttpHeader), out.wants(single));
    if !all_wanted && !single_wanted {
        return;
    }
    let mut all = Vec::new();
    let mut line = Vec::new();
    for (name, value) in tx.headers(way) {
        line.clear();
        for part in [name, b": ", value] {
            line.extend_from_slice(part);
        }
        if single_wanted {
            out.put(id, way, single, &line);
        }
        if all_wanted && !name.eq_ignore_ascii_case(cookie) {
            all.extend_from_slice(&line);
            all.extend_from_slice(b"\r\n");
        }
    }
    if !all.is_empty() {
        out.put(id, way, HttpHeader, &all);
    }
}

/// The names of headers, each in a line, with an empty line before and after.
fn names(id: TxId, way: Way, tx: Tx<'_>, out: &mut Output) {
    if !out.wants(HttpHeaderNames) {
        return;
    }
    let mut names = b"\r\n".to_vec();
    for (name, _) in tx.headers(way) {
        names.extend_from_slice(name);
        names.extend_from_slice(b"\r\n");
    }
    if names.len() > 2 {
        names.extend_from_slice(b"\r\n");
    }
    out.put(id, way, HttpHeaderNames, &names);
}

/// The first line and all headers.
fn whole(id: TxId, way: Way, tx: Tx<'_>, out: &mut Output) {
    let line = match way {
        Way::ToServer => tx.request_line(),
        Way::ToClient => tx.response_line(),
    };
    let Some(line) = line.filter(|_| out.wants(HttpStart)) else {
        return;
    };
    let mut whole = [line, b"\r\n"].concat();
    let after_line = whole.len();
    for (name, value) in tx.headers(way) {
        for part in [name, b": ", value, b"\r\n"] {
            whole.extend_from_slice(part);
        }
    }
    if whole.len() > after_line {
        whole.extend_from_slice(b"\r\n");
    }
    out.put(id, way, HttpStart, &whole);
}
