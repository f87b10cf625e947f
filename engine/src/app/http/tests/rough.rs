//! What is long, broken, or not HTTP for long.

use super::*;

#[test]
fn a_long_body_does_not_keep_rules_waiting() {
    let (mut parser, mut out) = fed(&[
        (ToServer, REQUEST),
        (
            ToClient,
            b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n",
        ),
    ]);
    for piece in 0..300 {
        let before = level_of(&out, 0, ToClient);
        assert_eq!(
            before,
            if piece < 103 {
                level::HEAD
            } else {
                level::BODY
            }
        );
        parser.data(ToClient, &[b'x'; 1000], &mut out);
        assert!(parser.memory() < 200_000);
    }
    let tx = out.get(0).expect("it");
    for buffer in [HttpResponseBody, FileData] {
        let lens: Vec<_> = tx.buffers(ToClient, buffer).map(<[u8]>::len).collect();
        assert_eq!(lens, [102_400], "{buffer:?}");
    }
    assert!(tx.is_done());
    assert_eq!(
        tx.numbers(ToClient, AppField::FileSize).collect::<Vec<_>>(),
        [300_000]
    );
    assert_eq!(tx.buffers(ToClient, FileMd5).count(), 1);
}

#[test]
fn compressed_bodies_are_opened() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"secret secret secret").expect("memory");
    let body = gzip.finish().expect("memory");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let response = [head.as_bytes(), &body].concat();
    for piece in [1, 7, 1000] {
        let out = said(&[(ToServer, REQUEST), (ToClient, &response)], piece);
        is(&out, 0, ToClient, HttpResponseBody, "secret secret secret");
        is(&out, 0, ToClient, FileData, "secret secret secret");
    }
}

#[test]
fn a_gap_in_a_body_leaves_the_rest_in_its_place() {
    let (mut parser, mut out) = fed(&[
        (ToServer, REQUEST),
        (
            ToClient,
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        ),
    ]);
    parser.gap_of(ToClient, 4, &mut out);
    parser.data(
        ToClient,
        b"xyzHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        &mut out,
    );
    let tx = out.get(0).expect("it");
    assert_eq!(level_of(&out, 0, ToClient), level::DONE);
    assert!(tx.files()[0].gaps());
    assert_eq!(
        tx.buffers(ToClient, FileMd5).count(),
        0,
        "a part has no hash"
    );
    is(&out, 0, ToClient, FileData, "abcxyz");
    is(&out, 1, ToClient, HttpStatCode, "404");
}

#[test]
fn a_response_without_a_request_is_read() {
    let out = said(&[(ToClient, RESPONSE)], usize::MAX);
    is(&out, 0, ToClient, FileData, "hello");
    assert!(has_event(
        &out,
        0,
        "http.unable_to_match_response_to_request"
    ));
    assert_eq!(texts(&out, 0, ToServer, HttpUri), [""; 0]);
    let mut records = out.records.iter().map(|(_, record)| record);
    let record = records.find(|record| record.kind == "http");
    assert_eq!(
        record.expect("a record").fields["url"],
        "/libhtp::request_uri_not_seen"
    );
}

#[test]
fn a_request_without_a_response_is_told_at_the_end() {
    let (mut parser, mut out) = fed(&[(ToServer, REQUEST)]);
    assert!(out.records.is_empty());
    parser.end(ToServer, &mut out);
    parser.end(ToClient, &mut out);
    assert_eq!(out.records.len(), 1);
    assert!(out.get(0).expect("it").is_done());
}

#[test]
fn http_0_9_has_neither_headers_nor_a_status() {
    let out = said(
        &[(ToServer, b"GET /old\r\n"), (ToClient, b"just this")],
        usize::MAX,
    );
    is(&out, 0, ToServer, HttpUri, "/old");
    is(&out, 0, ToClient, FileData, "just this");
    assert_eq!(texts(&out, 0, ToClient, HttpStatCode), [""; 0]);
}

#[test]
fn a_first_100_does_not_end_the_response() {
    let out = said(
        &[
            (
                ToServer,
                b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            ),
            (ToClient, b"HTTP/1.1 100 Continue\r\n\r\n"),
            (ToServer, b"ab"),
            (ToClient, RESPONSE),
        ],
        usize::MAX,
    );
    is(&out, 0, ToClient, HttpStatCode, "200");
    is(&out, 0, ToClient, FileData, "hello");
    is(&out, 0, ToServer, HttpRequestBody, "ab");
}

#[test]
fn a_tunnel_is_for_others_to_read() {
    let (mut parser, mut out) = fed(&[
        (ToServer, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
        (ToClient, b"HTTP/1.1 200 Established\r\n\r\n"),
    ]);
    assert_eq!(out.change, Some(AppProto::Failed));
    assert!(out.get(0).expect("it").is_done());
    assert_eq!(out.records.len(), 1);
    parser.data(ToServer, b"\x16\x03\x01", &mut out);
    assert_eq!(out.begun(), 1, "the rest is not for this parser");
}

#[test]
fn a_tunnel_hands_over_what_both_sides_have_said_in_it() {
    let request = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n\x16\x03\x01early";
    let answer = b"HTTP/1.1 200 Established\r\n\r\nSSH-2.0-x\r\n";
    for piece in [1, 2, 3, 4, 5, 7, 11, 20, 100] {
        let (mut parser, mut out) = fed(&[(ToServer, &request[..request.len() - 5])]);
        let mut inside = Vec::new();
        for (at, data) in answer.chunks(piece).enumerate() {
            match out.change {
                None => {
                    parser.data(ToClient, data, &mut out);
                    // The client does not wait for the end of the answer.
                    if at == 0 && out.change.is_none() {
                        parser.data(ToServer, b"early", &mut out);
                    }
                }
                // What comes later is not for this parser.
                Some(_) => inside.extend_from_slice(&answer[at * piece..][..data.len()]),
            }
        }
        assert_eq!(out.change, Some(AppProto::Failed));
        let early: &[u8] = if piece < 100 {
            b"\x16\x03\x01early"
        } else {
            b"\x16\x03\x01"
        };
        assert_eq!(out.rest[0], early, "pieces of {piece}");
        let inside = [std::mem::take(&mut out.rest[1]), inside].concat();
        assert_eq!(inside, b"SSH-2.0-x\r\n", "pieces of {piece}");
        is(&out, 0, ToClient, HttpStatCode, "200");
        assert!(texts(&out, 0, ToClient, FileData).is_empty());
    }
}

#[test]
fn requests_behind_a_tunnel_that_was_refused_are_read() {
    let requests = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n\
        POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbodyGET /last HTTP/1.1\r\nHost: h\r\n\r\n";
    let answers = b"HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nno\
        HTTP/1.1 200 Fine\r\nContent-Length: 6\r\n\r\nneedle\
        HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n";
    for piece in [1, 2, 3, 10, 50, 1000] {
        let out = said(&[(ToServer, requests), (ToClient, answers)], piece);
        assert!(!out.failed);
        for (id, uri, status) in [
            (0, "h:443", "405"),
            (1, "/next", "200"),
            (2, "/last", "404"),
        ] {
            is(&out, id, ToServer, HttpUriRaw, uri);
            is(&out, id, ToClient, HttpStatCode, status);
        }
        is(&out, 1, ToServer, HttpRequestBody, "body");
        is(&out, 1, ToClient, HttpResponseBody, "needle");
    }
}

#[test]
fn what_waits_for_the_answer_to_a_tunnel_is_bounded() {
    let (mut parser, mut out) =
        fed(&[(ToServer, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")]);
    for _ in 0..1000 {
        parser.data(ToServer, &[b'x'; 1000], &mut out);
        assert!(parser.memory() < 200_000);
    }
    assert!(out.failed);
    assert!(out.get(0).expect("it").is_done());
}

#[test]
fn headers_are_counted_and_bounded() {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    let mut sent = 0;
    while !out.failed && sent < 100 << 20 {
        parser.data(ToServer, b"GET / HTTP/1.1\r\nHost: h\r\n", &mut out);
        for at in 0..60 {
            let line = format!("{at}-{}: y\r\n", "x".repeat(8_000));
            parser.data(ToServer, line.as_bytes(), &mut out);
            sent += 8_000;
        }
        parser.data(ToServer, b"\r\n", &mut out);
        if !out.failed {
            assert!(parser.memory() >= sent, "{} of {sent}", parser.memory());
        }
    }
    assert!((2 << 20..3 << 20).contains(&sent), "{sent}");
    assert!(out.begun() > 2);
    assert!(out.transactions().all(|tx| tx.is_done()));
}

#[test]
fn an_upgrade_hands_over_what_follows() {
    for (name, proto) in [("h2c", AppProto::Http2), ("WebSocket", AppProto::Websocket)] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {name}\r\n\r\n");
        let response = format!("HTTP/1.1 101 S\r\nUpgrade: {name}\r\n\r\n\x01\x02rest");
        let (_, out) = fed(&[
            (ToServer, request.as_bytes()),
            (ToClient, response.as_bytes()),
        ]);
        assert_eq!(out.change, Some(proto));
        assert_eq!(out.rest[1], b"\x01\x02rest");
        is(&out, 0, ToClient, HttpStatCode, "101");
        is(
            &out,
            0,
            ToClient,
            HttpHeader,
            &format!("Upgrade: {name}\r\n"),
        );
        assert!(out.get(0).expect("it").is_done());
    }
}

#[test]
fn what_is_wrong_becomes_events() {
    let (_, out) = fed(&[(
        ToServer,
        b"GET / HTTP/1.1\r\nAuthorization: Turbo x\r\nno colon\r\nContent-Length: x\r\n\r\n",
    )]);
    for event in [
        "http.missing_host_header",
        "http.request_auth_unrecognized",
        "http.request_field_missing_colon",
        "http.invalid_content_length_field_in_request",
    ] {
        assert!(
            has_event(&out, 0, event),
            "{event}: {:?}",
            out.get(0).map(|tx| tx.events().to_vec())
        );
        assert!(EVENTS.contains(&event));
    }
}

#[test]
fn requests_go_on_where_responses_are_never_seen() {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    for round in 0..1500 {
        let request = format!("GET /{round} HTTP/1.1\r\nHost: h\r\n\r\n");
        parser.data(ToServer, request.as_bytes(), &mut out);
        is(&out, round, ToServer, HttpUri, &format!("/{round}"));
        out.crowd();
        for tx in &mut out.live {
            tx.halves.iter_mut().for_each(|half| half.fresh = false);
        }
        out.sweep();
    }
    assert!(!out.failed);
    parser.data(ToClient, RESPONSE, &mut out);
    assert!(!out.failed && parser.entries.live.len() < 512);
}

#[test]
fn garbage_does_no_harm() {
    let mut state = 1_u64;
    for round in 0..300 {
        let (mut parser, mut out) = (Http1::new(), Output::everything());
        let talk = [(ToServer, REQUEST), (ToClient, RESPONSE)];
        for turn in 0..6 {
            let (way, text) = talk[turn % 2];
            let mut text = text.to_vec();
            for _ in 0..round % 9 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let at = (state >> 33) as usize % text.len();
                text[at] = (state >> 56) as u8;
            }
            parser.data(way, &text, &mut out);
            if state.is_multiple_of(11) {
                parser.gap_of(way, state % 5000, &mut out);
            }
            assert!(parser.memory() < 1 << 20);
        }
        parser.end(ToServer, &mut out);
        parser.end(ToClient, &mut out);
        assert!(out.failed || out.transactions().all(|tx| tx.is_done()));
    }
}

#[test]
fn endless_lines_and_requests_come_to_an_end() {
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    for _ in 0..100 {
        parser.data(ToServer, &[b'a'; 1000], &mut out);
    }
    assert!(out.failed || has_event(&out, 0, "http.request_field_too_long"));
    let (mut parser, mut out) = (Http1::new(), Output::everything());
    for _ in 0..1000 {
        parser.data(ToServer, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", &mut out);
    }
    assert!(parser.entries.live.len() <= 512);
}

#[test]
fn every_event_has_its_protocol_before_it_and_is_there_once() {
    let mut all = EVENTS.to_vec();
    assert!(all.iter().all(|name| name.starts_with("http.")));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), EVENTS.len());
}
