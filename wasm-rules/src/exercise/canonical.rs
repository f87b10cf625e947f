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
        HttpUri | HttpUriRaw => uri(bytes),
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
        | HttpRequestHeader | HttpResponseHeader | HttpStatMsg | HttpRequestLine
        | HttpResponseLine => {
            let bytes = bytes.trim_ascii().to_vec();
            let one_line = !bytes.iter().any(|byte| b"\r\n\0".contains(byte));
            (one_line && !bytes.is_empty()).then_some(bytes)
        }
        DnsQuery | DnsQueriesRrname | DnsAnswersRrname | DnsAuthoritiesRrname
        | DnsAdditionalsRrname | DnsResponseRrname => {
            let fits = |label: &[u8]| (1..64).contains(&label.len());
            (bytes.len() < 254 && bytes.split(|&byte| byte == b'.').all(fits)).then_some(bytes)
        }
        TlsSni => (bytes.len() < 256 && bytes.iter().all(|byte| *byte != 0)).then_some(bytes),
        _ => Some(bytes),
    }
}

/// A request's URI begins with a slash, or with what says that it is another form.
fn uri(bytes: Vec<u8>) -> Option<Vec<u8>> {
    if bytes.starts_with(b"/")
        || bytes.starts_with(b"http://")
        || bytes.contains(&b':') && !bytes.contains(&b'/')
    {
        return Some(bytes);
    }
    Some([b"/", bytes.as_slice()].concat())
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
            if is_header(line) {
                all.push(line.to_vec());
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
        out.extend_from_slice(value.get(1..)?.trim_ascii());
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
