use proptest::prelude::*;

use super::*;
use crate::app::{AppBuffer, AppField, level};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers without tables and codes.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

fn request() -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":path", "/index"),
        (":authority", "me@Example.com:80"),
        ("cookie", "a=b"),
        ("user-agent", "curl"),
    ])
}

/// What a client sends: its magic, settings, a request in two frames, an update of a window.
fn client() -> Vec<u8> {
    let (first, second) = (&request()[..20], &request()[20..]);
    [
        MAGIC.to_vec(),
        frame(frame::SETTINGS, 0, 0, &[0, 1, 0, 0, 0x10, 0]),
        frame(frame::HEADERS, frame::END_STREAM, 1, first),
        frame(frame::CONTINUATION, frame::END_HEADERS, 1, second),
        frame(frame::WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0]),
    ]
    .concat()
}

fn server() -> Vec<u8> {
    let headers = block(&[
        (":status", "200"),
        ("server", "x"),
        ("content-length", "10"),
    ]);
    [
        frame(frame::SETTINGS, 0, 0, &[]),
        frame(frame::HEADERS, frame::END_HEADERS, 1, &headers),
        frame(frame::DATA, frame::PADDED, 1, b"\x02hello\0\0"),
        frame(frame::DATA, frame::END_STREAM, 1, b"world"),
    ]
    .concat()
}

fn talk(step: usize) -> (Http2, Output) {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    for (way, bytes) in [(Way::ToServer, client()), (Way::ToClient, server())] {
        for piece in bytes.chunks(step) {
            parser.data(way, piece, &mut out);
        }
    }
    (parser, out)
}

fn texts(out: &Output, tx: TxId, way: Way, buffer: AppBuffer) -> Vec<String> {
    let tx = out.get(tx).expect("a transaction");
    let texts = tx.buffers(way, buffer);
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

#[test]
fn a_request_and_its_answer_are_seen_whatever_pieces_they_come_in() {
    for step in 1..120 {
        let (parser, out) = talk(step);
        let request = |buffer| texts(&out, 1, Way::ToServer, buffer).join("|");
        assert_eq!(request(AppBuffer::HttpUri), "/index");
        assert_eq!(request(AppBuffer::HttpHost), "example.com");
        assert_eq!(request(AppBuffer::HttpHostRaw), "me@Example.com:80");
        assert_eq!(request(AppBuffer::HttpUserAgent), "curl");
        assert_eq!(request(AppBuffer::HttpCookie), "a=b");
        assert_eq!(request(AppBuffer::HttpRequestLine), "GET /index HTTP/2\r\n");
        assert_eq!(
            request(AppBuffer::HttpHeader),
            ":method: GET\r\n:path: /index\r\n:authority: me@Example.com:80\r\nuser-agent: curl\r\n"
        );
        assert!(request(AppBuffer::HttpRequestHeader).contains("|cookie: a=b|"));
        assert_eq!(
            request(AppBuffer::HttpHeaderNames),
            "\r\n:method\r\n:path\r\n:authority\r\ncookie\r\nuser-agent\r\n\r\n"
        );
        let answer = |buffer| texts(&out, 1, Way::ToClient, buffer).join("|");
        assert_eq!(answer(AppBuffer::HttpStatCode), "200");
        assert_eq!(answer(AppBuffer::HttpServer), "x");
        assert_eq!(answer(AppBuffer::HttpResponseLine), "HTTP/2 200\r\n");
        assert_eq!(answer(AppBuffer::FileData), "helloworld");
        assert_eq!(answer(AppBuffer::HttpResponseBody), "helloworld");
        let tx = out.get(1).expect("a transaction");
        assert!(tx.is_done());
        assert_eq!(tx.events(), ["http2.userinfo_in_uri"]);
        let window = tx.numbers(Way::ToServer, AppField::Http2Window);
        assert!(window.eq([256]));
        let types = tx.numbers(Way::ToServer, AppField::Http2FrameType);
        assert!(types.eq([1, 9, 8]));
        let settings = out.get(0).expect("a transaction");
        let setting = settings.numbers(Way::ToServer, AppField::Http2Setting);
        assert!(setting.eq([1 << 32 | 4096]));
        let (_, object) = parser.describe(1, &out).expect("an object");
        assert_eq!(object["http_method"], "GET");
        assert_eq!(object["status"], 200);
        assert_eq!(object["http2"]["stream_id"], 1);
    }
}

#[test]
fn rules_look_at_a_request_once_its_body_begins() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    parser.data(Way::ToServer, MAGIC, &mut out);
    let headers = frame(frame::HEADERS, frame::END_HEADERS, 1, &request());
    parser.data(Way::ToServer, &headers, &mut out);
    assert_eq!(
        out.get(0).map(|tx| tx.level(Way::ToServer)),
        Some(level::BEGUN)
    );
    parser.data(Way::ToServer, &frame(frame::DATA, 0, 1, b"x"), &mut out);
    assert_eq!(
        out.get(0).map(|tx| tx.level(Way::ToServer)),
        Some(level::HEAD)
    );
}

#[test]
fn a_question_of_dns_in_a_path_is_seen() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    parser.data(Way::ToServer, MAGIC, &mut out);
    // An A record of `a.b`.
    let headers = block(&[
        (":method", "GET"),
        (":path", "/dns-query?dns=AAABAAABAAAAAAAAAWEBYgAAAQAB"),
        ("accept", "application/dns-message"),
    ]);
    let flags = frame::END_HEADERS | frame::END_STREAM;
    parser.data(
        Way::ToServer,
        &frame(frame::HEADERS, flags, 1, &headers),
        &mut out,
    );
    assert_eq!(texts(&out, 0, Way::ToServer, AppBuffer::DnsQuery), ["a.b"]);
    assert_eq!(out.rename, Some(AppProto::Doh2));
    let (kind, _) = parser.describe_more(0, &out).expect("an object");
    assert_eq!(kind, "dns");
}

#[test]
fn the_end_of_a_long_frame_is_passed_over() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    let bytes = [
        client(),
        frame(frame::DATA, 0, 3, &vec![b'x'; 200_000]),
        frame(frame::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0]),
    ];
    for piece in bytes.concat().chunks(1000) {
        parser.data(Way::ToServer, piece, &mut out);
    }
    let last = out.transactions().last().expect("a transaction");
    let types = last.numbers(Way::ToServer, AppField::Http2FrameType);
    assert!(types.eq([7]));
    let told = out.transactions().flat_map(|tx| tx.events());
    assert!(
        told.into_iter()
            .any(|event| *event == "http2.long_frame_data")
    );
    assert!(parser.memory() < 200_000);
}

#[test]
fn what_http1_has_asked_is_the_request_of_the_first_stream() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    let headers = [
        (&b":path"[..], &b"/x"[..]),
        (b"HTTP2-Settings", b"AAMAAABk"),
    ];
    parser.announced(&tell(headers.into_iter()));
    parser.data(Way::ToClient, &server(), &mut out);
    assert_eq!(texts(&out, 0, Way::ToServer, AppBuffer::HttpUri), ["/x"]);
    assert_eq!(
        texts(&out, 0, Way::ToClient, AppBuffer::HttpStatCode),
        ["200"]
    );
    let settings = out.get(1).expect("a transaction");
    let setting = settings.numbers(Way::ToServer, AppField::Http2Setting);
    assert!(setting.eq([3 << 32 | 100]));
}

#[test]
fn streams_without_end_do_not_fill_memory() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    parser.data(Way::ToServer, MAGIC, &mut out);
    let mut told = false;
    for stream in 0..6000 {
        let headers = frame(
            frame::HEADERS,
            frame::END_HEADERS,
            stream * 2 + 1,
            &request(),
        );
        parser.data(Way::ToServer, &headers, &mut out);
        told |= out
            .transactions()
            .any(|tx| tx.events().contains(&"http2.too_many_streams"));
        out.look();
    }
    assert!(told);
    assert!(parser.streams.len() <= crate::app::MOST_LIVE + 1);
    assert!(parser.memory() < 1 << 20);
}

#[test]
fn what_is_wrong_with_headers_is_told_and_what_is_too_much_is_counted() {
    let (mut parser, mut out) = (Http2::new(), Output::everything());
    let overflow = b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x82";
    let many = [&b"\x40\x01a\x01b"[..], &[0xbe; 5000]].concat();
    let bytes = [
        MAGIC.to_vec(),
        frame(frame::HEADERS, frame::END_HEADERS, 1, &request()),
        frame(frame::HEADERS, frame::END_HEADERS, 1, overflow),
        frame(frame::HEADERS, frame::END_HEADERS, 3, &many),
    ];
    parser.data(Way::ToServer, &bytes.concat(), &mut out);
    let events = out.get(0).expect("a transaction").events();
    assert!(events.contains(&"http2.header_integer_overflow"));
    assert!(events.contains(&"http2.invalid_header"));
    assert!(events.iter().all(|event| EVENTS.contains(event)));
    assert_eq!(parser.streams[1].sides[0].fields.len(), 4096);
    assert_eq!(out.dropped, 5001 - 4096);
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        frames in proptest::collection::vec(
            (any::<bool>(), 0..11_u8, any::<u8>(), 0..4_u32, proptest::collection::vec(any::<u8>(), 0..60)),
            0..30,
        ),
        step in 1_usize..200,
    ) {
        let (mut parser, mut out) = (Http2::new(), Output::everything());
        parser.data(Way::ToServer, MAGIC, &mut out);
        for (to_client, kind, flags, stream, payload) in frames {
            for piece in frame(kind, flags, stream, &payload).chunks(step) {
                parser.data(Way::of(to_client.into()), piece, &mut out);
            }
            out.look();
        }
        for way in Way::ALL {
            parser.end(way, &mut out);
        }
    }
}
