//! What a message would show of the bytes that were made for a buffer.
//!
//! A parser shows headers with line ends, names of hosts in lower case, and so on. Bytes are brought into that form
//! before they are judged, so that what was judged is what will be seen.

use weir_engine::app::AppBuffer;
use weir_engine::plan::Buffer;

/// True for buffers of which a transaction can have several: each plan of a rule can have its own.
pub(super) fn repeats(buffer: AppBuffer) -> bool {
    use AppBuffer::*;
    matches!(
        buffer,
        HttpRequestHeader
            | HttpResponseHeader
            | EmailUrl
            | EmailReceived
            | SmtpRcptTo
            | DnsAnswersRrname
            | DnsAdditionalsRrname
            | DnsAuthoritiesRrname
    )
}

/// The bytes as a message would show them; `None` where no message can.
pub(super) fn canonical(buffer: Buffer, bytes: Vec<u8>) -> Option<Vec<u8>> {
    use AppBuffer::*;
    let Buffer::App(buffer) = buffer else {
        return Some(bytes);
    };
    match buffer {
        HttpUri | HttpUriRaw => Some(uri(bytes)),
        HttpRequestLine => request_line(bytes),
        HttpStart => Some(start(&bytes)),
        TlsCertSubject | TlsCertIssuer => Some(super::der::name_text(&bytes)),
        TlsCertSerial => {
            let pair = |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            let bytes = bytes.to_ascii_uppercase();
            bytes.split(|&byte| byte == b':').all(pair).then_some(bytes)
        }
        HttpMethod | HttpProtocol => bytes.iter().all(u8::is_ascii_graphic).then_some(bytes),
        HttpHeader => headers(&bytes),
        HttpHeaderRaw => headers(&bytes),
        HttpHeaderNames => Some(names(&bytes)),
        HttpHost | HttpHostRaw => {
            let bytes = if buffer == HttpHost {
                bytes.to_ascii_lowercase()
            } else {
                bytes
            };
            let fits = |byte: &u8| byte.is_ascii_graphic() && !b"/?#@".contains(byte);
            (bytes.iter().all(fits) && !bytes.is_empty()).then_some(bytes)
        }
        HttpStatCode => (bytes.len() <= 3 && bytes.iter().all(u8::is_ascii_digit)).then_some(bytes),
        HttpCookie | HttpUserAgent | HttpAccept | HttpAcceptEnc | HttpAcceptLang | HttpReferer
        | HttpConnection | HttpContentLen | HttpContentType | HttpLocation | HttpServer
        | HttpRequestHeader | HttpResponseHeader | HttpStatMsg | HttpResponseLine => {
            let bytes = value(bytes);
            let one_line = !bytes.iter().any(|byte| b"\r\n\0".contains(byte));
            (one_line && !bytes.is_empty()).then_some(bytes)
        }
        DnsQuery | DnsQueriesRrname | DnsAnswersRrname | DnsAuthoritiesRrname
        | DnsAdditionalsRrname | DnsResponseRrname => {
            let mut bytes = bytes;
            if bytes.starts_with(b".") {
                bytes.insert(0, b'a');
            }
            let fits = |label: &[u8]| (1..64).contains(&label.len());
            (bytes.len() < 254 && bytes.split(|&byte| byte == b'.').all(fits)).then_some(bytes)
        }
        TlsSni => (bytes.len() < 256 && bytes.iter().all(|byte| *byte != 0)).then_some(bytes),
        _ => Some(bytes),
    }
}

/// A request's URI begins with a slash, or with what says that it is another form.
fn uri(bytes: Vec<u8>) -> Vec<u8> {
    let authority = |bytes: &[u8]| {
        let port = bytes
            .rsplit(|&byte| byte == b':')
            .next()
            .unwrap_or_default();
        port.len() < bytes.len()
            && !port.is_empty()
            && port.iter().all(u8::is_ascii_digit)
            && !bytes.iter().any(|byte| b"?/=&".contains(byte))
    };
    if bytes.starts_with(b"/") || bytes.starts_with(b"http://") || authority(&bytes) {
        return bytes;
    }
    [b"/", bytes.as_slice()].concat()
}

/// Method, URI and protocol.
fn request_line(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let method = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    let has_method =
        method.len() < bytes.len() && method.len() > 2 && method.iter().all(u8::is_ascii_uppercase);
    if !has_method {
        let start: &[u8] = if bytes.starts_with(b" ") {
            b"GET /a"
        } else {
            b"GET /"
        };
        let start = if bytes.starts_with(b"/") {
            b"GET "
        } else {
            start
        };
        bytes.splice(..0, start.iter().copied());
    }
    if bytes.ends_with(b" HTTP/1.") {
        bytes.push(b'1');
    } else if !bytes.windows(8).any(|eight| eight == b" HTTP/1.") {
        let end: &[u8] = match bytes.last() {
            Some(b' ') => b"HTTP/1.1",
            _ => b" HTTP/1.1",
        };
        bytes.extend_from_slice(end);
    }
    (!bytes.iter().any(|byte| b"\r\n\0".contains(byte))).then_some(bytes)
}

/// A first line, headers and an empty line.
fn start(bytes: &[u8]) -> Vec<u8> {
    let first = bytes
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let is_first = first.windows(6).any(|six| six == b" HTTP/") || first.starts_with(b"HTTP/1.");
    let mut out = Vec::with_capacity(bytes.len() + 32);
    if first.starts_with(b"HTTP/1.") && first.len() < 10 {
        // The end of a request's line.
        out.extend_from_slice(b"GET /a ");
    } else if !is_first && !bytes.is_empty() {
        out.extend_from_slice(b"GET / HTTP/1.1\r\n");
    }
    let rest = match (is_first, bytes.windows(2).position(|two| two == b"\r\n")) {
        (true, Some(len)) => {
            out.extend_from_slice(bytes.get(..len + 2).unwrap_or_default());
            bytes.get(len + 2..).unwrap_or_default()
        }
        (true, None) => {
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
            b""
        }
        (false, _) => bytes,
    };
    let mut lines = lines(rest);
    if lines.is_empty() {
        lines.push(b"X-B: b".to_vec());
    }
    for line in lines {
        out.extend_from_slice(&line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The value of a header: white space around it would not be seen.
fn value(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.first().is_some_and(u8::is_ascii_whitespace) {
        bytes.insert(0, b'a');
    }
    if bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.push(b'a');
    }
    bytes
}

/// True for a line that has a name, a colon and a value.
pub(super) fn is_header(line: &[u8]) -> bool {
    let name = line
        .iter()
        .position(|&byte| byte == b':')
        .and_then(|at| line.get(..at));
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    name.is_some_and(|name| !name.is_empty() && name.iter().all(token))
}

/// The lines of headers; each that is none becomes the value of one.
pub(super) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = rest.windows(2).position(|two| two == b"\r\n");
        let (line, after) = match len {
            Some(len) => (
                rest.get(..len).unwrap_or_default(),
                rest.get(len + 2..).unwrap_or_default(),
            ),
            None => (rest, &b""[..]),
        };
        if !line.is_empty() {
            let token = line.len() > 2
                && line
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
            if is_header(line) {
                let empty = line.ends_with(b":") || line.ends_with(b": ");
                all.push(if empty {
                    [line.trim_ascii_end(), b" a"].concat()
                } else {
                    line.to_vec()
                });
            } else if token
                && (after.is_empty() || line.first().is_some_and(u8::is_ascii_uppercase))
            {
                all.push([line, b": a"].concat());
            } else {
                all.push([b"X-A: ", line].concat());
            }
        }
        rest = after;
    }
    all
}

/// Headers as rules see them: name, colon, a space, value, each with its line end.
fn headers(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    if bytes.starts_with(b"\r\n") {
        out.extend_from_slice(b"X-A: a\r\n");
    }
    for line in lines(bytes) {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        let value = value.get(1..)?.trim_ascii_start();
        out.extend_from_slice(value);
        if value.ends_with(b" ") {
            // It would not be seen.
            out.push(b'a');
        }
        out.extend_from_slice(b"\r\n");
    }
    Some(out)
}

/// Names of headers, each in its line, with an empty line before and after.
fn names(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\r\n".to_vec();
    for name in bytes.split(|&byte| byte == b'\n') {
        let name = name.strip_suffix(b"\r").unwrap_or(name).trim_ascii();
        if !name.is_empty() {
            out.extend_from_slice(name);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
