//! Tests of the HTTP/1 parser.

mod rough;

use super::*;
use crate::app::{AppBuffer, AppBuffer::*, AppField, FileState, level};

/// What is sent, in order.
type Talk<'a> = &'a [(Way, &'a [u8])];

use Way::{ToClient, ToServer};

/// Says it to a parser, cut into pieces of at most this size, and ends both directions.
fn said(talk: Talk<'_>, piece: usize) -> Output {
    let mut out = Output::everything();
    let mut parser = Http1::new();
    for (way, data) in talk {
        for piece in data.chunks(piece) {
            parser.data(*way, piece, &mut out);
        }
    }
    parser.end(ToServer, &mut out);
    parser.end(ToClient, &mut out);
    out
}

/// The buffers of a kind of a transaction, as text.
fn texts(out: &Output, id: TxId, way: Way, buffer: AppBuffer) -> Vec<String> {
    let tx = out.get(id).expect("a transaction");
    let texts = tx.buffers(way, buffer).map(|text| {
        String::from_utf8(text.to_vec()).unwrap_or_else(|_| panic!("{buffer:?} is not text"))
    });
    texts.collect()
}

#[track_caller]
fn is(out: &Output, id: TxId, way: Way, buffer: AppBuffer, expected: &str) {
    assert_eq!(texts(out, id, way, buffer), [expected], "{buffer:?}");
}

/// Everything that rules can see, for comparison.
fn everything(out: &Output) -> Vec<String> {
    let mut all = Vec::new();
    for tx in out.transactions() {
        for way in Way::ALL {
            for &buffer in AppBuffer::ALL {
                for mut text in tx.buffers(way, buffer) {
                    if buffer == HttpHeaderRaw {
                        // With the end of trailers where they came in the same piece, as Suricata has it.
                        text = text.trim_ascii_end();
                    }
                    all.push(format!(
                        "{} {way:?} {buffer:?} {}",
                        tx.id,
                        text.escape_ascii()
                    ));
                }
            }
            let sizes = tx.numbers(way, AppField::FileSize);
            all.extend(sizes.map(|size| format!("{} {way:?} size {size}", tx.id)));
        }
        all.extend(tx.events().iter().map(|event| format!("{} {event}", tx.id)));
    }
    all
}

const REQUEST: &[u8] = b"GET /a%41//b/./c?q=%41+b HTTP/1.1\r\nHost: WWW.Example.com:80\r\n\
    User-Agent: test\r\nCookie: a=b\r\nAccept: */*\r\nX-A: 1\r\nX-A: 2\r\nReferer: http://r/\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nSet-Cookie: c=d\r\nServer: s\r\n\
    Content-Type: text/plain; charset=x\r\n\r\nhello";

#[test]
fn a_request_and_its_response_make_all_buffers() {
    let out = said(&[(ToServer, REQUEST), (ToClient, RESPONSE)], usize::MAX);
    for (buffer, text) in [
        (HttpUri, "/aA/b/c?q=A+b"),
        (HttpUriRaw, "/a%41//b/./c?q=%41+b"),
        (HttpMethod, "GET"),
        (HttpProtocol, "HTTP/1.1"),
        (HttpRequestLine, "GET /a%41//b/./c?q=%41+b HTTP/1.1"),
        (HttpHost, "www.example.com"),
        (HttpHostRaw, "WWW.Example.com:80"),
        (HttpUserAgent, "test"),
        (HttpCookie, "a=b"),
        (HttpAccept, "*/*"),
        (HttpReferer, "http://r/"),
        (
            HttpHeader,
            "Host: WWW.Example.com:80\r\nUser-Agent: test\r\nAccept: */*\r\nX-A: 1, 2\r\nReferer: http://r/\r\n",
        ),
        (
            HttpHeaderNames,
            "\r\nHost\r\nUser-Agent\r\nCookie\r\nAccept\r\nX-A\r\nReferer\r\n\r\n",
        ),
    ] {
        is(&out, 0, ToServer, buffer, text);
    }
    let raw = texts(&out, 0, ToServer, HttpHeaderRaw).concat();
    assert!(
        raw.starts_with("Host: WWW") && raw.ends_with("r/\r\n\r\n"),
        "{raw}"
    );
    let start = texts(&out, 0, ToServer, HttpStart).concat();
    assert!(
        start.starts_with("GET /a%41")
            && start.ends_with("X-A: 1, 2\r\nReferer: http://r/\r\n\r\n")
    );
    assert_eq!(texts(&out, 0, ToServer, HttpRequestHeader).len(), 6);
    for (buffer, text) in [
        (HttpStatCode, "200"),
        (HttpStatMsg, "Fine"),
        (HttpProtocol, "HTTP/1.1"),
        // htp leaves its end on it.
        (HttpResponseLine, "HTTP/1.1 200 Fine\r\n"),
        (HttpCookie, "c=d"),
        (HttpServer, "s"),
        (HttpContentLen, "5"),
        (HttpContentType, "text/plain; charset=x"),
        (HttpResponseBody, "hello"),
        (FileData, "hello"),
        (FileName, "/aA/b/c"),
    ] {
        is(&out, 0, ToClient, buffer, text);
    }
    let header = texts(&out, 0, ToClient, HttpHeader).concat();
    assert!(!header.contains("Set-Cookie"), "{header}");
    assert!(out.get(0).expect("it").is_done());
}

#[test]
fn the_record_is_written_once_and_says_what_suricata_says() {
    let out = said(&[(ToServer, REQUEST), (ToClient, RESPONSE)], 7);
    let of_http = |(_, record): &&(Way, crate::app::Record)| record.kind == "http";
    let records: Vec<_> = out.records.iter().filter(of_http).collect();
    assert_eq!(records.len(), 1);
    let (_, record) = records[0];
    assert_eq!(
        record.fields,
        serde_json::json!({
            "hostname": "www.example.com", "http_port": 80, "url": "/a%41//b/./c?q=%41+b",
            "http_user_agent": "test", "http_content_type": "text/plain", "http_refer": "http://r/",
            "http_method": "GET", "protocol": "HTTP/1.1", "status": 200, "length": 5,
        })
    );
}

#[test]
fn however_it_is_cut_rules_see_the_same() {
    let form = b"POST /up HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=\"xy\"\r\n\
        Content-Length: 142\r\n\r\n--xy\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--xy\r\n\
        Content-Disposition: form-data; filename=\"f.txt\"\r\n\r\nab\r\n--xz\rcd\r\n--xy--\r\n";
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n";
    let talk: Talk<'_> = &[
        (ToServer, REQUEST),
        (ToClient, RESPONSE),
        (ToServer, form),
        (ToClient, chunked),
    ];
    let whole = everything(&said(talk, usize::MAX));
    assert!(
        whole.iter().any(|line| line.contains("ab\\r\\n--xz\\rcd")),
        "{whole:#?}"
    );
    assert!(whole.iter().any(|line| line.contains("FileName f.txt")));
    for piece in 1..70 {
        assert_eq!(everything(&said(talk, piece)), whole, "pieces of {piece}");
    }
}

/// A parser that was fed, and what it said.
fn fed(talk: Talk<'_>) -> (Http1, Output) {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    for (way, data) in talk {
        parser.data(*way, data, &mut out);
    }
    (parser, out)
}

fn level_of(out: &Output, id: TxId, way: Way) -> u8 {
    out.get(id).expect("a transaction").level(way)
}

fn has_event(out: &Output, id: TxId, event: &str) -> bool {
    out.get(id)
        .expect("a transaction")
        .events()
        .contains(&event)
}

#[test]
fn levels_rise_with_what_has_come() {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    let mut at = |parser: &mut Http1, data: &[u8], level: u8| {
        parser.data(ToServer, data, &mut out);
        assert_eq!(
            level_of(&out, 0, ToServer),
            level,
            "{}",
            data.escape_ascii()
        );
    };
    at(&mut parser, b"POST /x HT", level::BEGUN);
    at(&mut parser, b"TP/1.1\r\nHost: h\r\n", level::START);
    at(&mut parser, b"Content-Length: 4\r\n\r\nab", level::HEAD);
    at(&mut parser, b"cd", level::DONE);
    is(&out, 0, ToServer, HttpRequestBody, "abcd");
    is(&out, 0, ToServer, FileData, "abcd");
    is(&out, 0, ToServer, FileName, "/x");
    assert_eq!(level_of(&out, 0, ToClient), level::BEGUN);
}

#[test]
fn pipelined_requests_find_their_responses() {
    let requests = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    let responses =
        b"HTTP/1.1 200 A\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 404 B\r\nContent-Length: 1\r\n\r\n2";
    let (_, out) = fed(&[(ToServer, requests), (ToClient, responses)]);
    for (id, uri, status, body) in [(0, "/1", "200", "1"), (1, "/2", "404", "2")] {
        is(&out, id, ToServer, HttpUri, uri);
        is(&out, id, ToClient, HttpStatCode, status);
        is(&out, id, ToClient, FileData, body);
        assert!(out.get(id).expect("it").is_done());
    }
}

#[test]
fn what_was_looked_at_is_forgotten() {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    for round in 0..2000 {
        parser.data(ToServer, REQUEST, &mut out);
        parser.data(ToClient, RESPONSE, &mut out);
        assert!(parser.describe(round, &out).is_some());
        for tx in &mut out.live {
            tx.halves.iter_mut().for_each(|half| half.fresh = false);
        }
        out.sweep();
        assert!(parser.entries.live.len() <= 1 && parser.memory() < 100_000);
    }
}

#[test]
fn a_name_is_taken_from_the_disposition_first() {
    let response = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; x=\"filename=no\"; filename=\"a b.exe\"\r\n\
        Content-Length: 2\r\n\r\nMZ";
    let out = said(&[(ToServer, REQUEST), (ToClient, response)], usize::MAX);
    is(&out, 0, ToClient, FileName, "a b.exe");
}

#[test]
fn trailers_are_headers_where_they_come_in_one_piece() {
    let response =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n";
    let out = said(&[(ToServer, REQUEST), (ToClient, response)], usize::MAX);
    assert!(
        texts(&out, 0, ToClient, HttpHeader)
            .concat()
            .contains("X-T: 1\r\n")
    );
    is(&out, 0, ToClient, FileData, "a");
}

#[test]
fn a_file_is_in_its_own_part_with_its_own_name() {
    let body = b"--b\r\nContent-Disposition: form-data; filename=\"one\"\r\n\r\nfirst\r\n--b\r\n\
        bad line\r\nContent-Disposition: form-data; filename=two\r\n\r\n--b\r\n\
        Content-Disposition: form-data; filename*1=\"ree\"; filename*0=th\r\n\r\nthird";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    for piece in [1, 2, 3, 50, 1000] {
        let out = said(&[(ToServer, &request)], piece);
        let tx = out.get(0).expect("it");
        let files: Vec<_> = tx
            .files()
            .iter()
            .map(|file| (file.name(), file.size(), file.state()))
            .collect();
        assert_eq!(
            files,
            [
                (&b"one"[..], 5, FileState::Closed),
                (b"two", 0, FileState::Closed),
                (b"three", 5, FileState::Truncated),
            ]
        );
        assert_eq!(texts(&out, 0, ToServer, FileData), ["first", "", "third"]);
        assert!(has_event(&out, 0, "http.multipart_invalid_header"));
        assert!(has_event(&out, 0, "http.multipart_no_filedata"));
    }
}

#[test]
fn a_long_header_of_a_part_is_no_header_however_it_is_cut() {
    for len in [4040, 4090, 4094, 4095, 4096, 4097, 4098, 6000] {
        let name = "x".repeat(len - "Content-Disposition: a; filename=".len());
        let body = format!(
            "--b\r\nContent-Disposition: a; filename={name}\r\nX: 1\r\n\r\ndata\r\n--b--\r\n"
        );
        let request = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let names = |piece| {
            let out = said(&[(ToServer, request.as_bytes())], piece);
            texts(&out, 0, ToServer, FileName).len()
        };
        let whole = names(usize::MAX);
        assert_eq!(whole, usize::from(len < 4096), "{len}");
        for piece in [1, 7, 100, 4096, 4200] {
            assert_eq!(names(piece), whole, "{len} in pieces of {piece}");
        }
    }
}
