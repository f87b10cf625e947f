//! Application layers: what rules see of conversations, however they are cut, and what conversations may cost.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use weir_engine::detect::{Alerts, Counters, Engine, EngineConfig};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::RuleSet;
use weir_engine::{eval, matcher};
use weir_rules::classification::Classification;
use weir_rules::compile::{self, Compiler, Variables};
use weir_rules::syntax::SourceFile;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];

fn rules(text: &str) -> Arc<RuleSet> {
    let source = SourceFile {
        name: "test.rules".into(),
        bytes: text.as_bytes().to_vec(),
    };
    let compiler = Compiler::new(Variables::stock(), Classification::stock());
    let loaded = compile::load(&[source], &compiler);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Arc::new(loaded.rules)
}

/// What is said in a connection: to the server (true) or to the client.
type Talk<'a> = &'a [(bool, &'a [u8])];

/// A connection of one client port, as packets.
struct Line {
    port: u16,
    server: u16,
    seq: [u32; 2],
}

impl Line {
    fn new(port: u16, server: u16) -> Self {
        Self {
            port,
            server,
            seq: [100, 500],
        }
    }

    fn packet(&self, to_server: bool, flags: u8, payload: &[u8]) -> Vec<u8> {
        let ends = [(CLIENT, self.port), (SERVER, self.server)];
        let [from, to] = if to_server { ends } else { [ends[1], ends[0]] };
        let (own, other) = (usize::from(!to_server), usize::from(to_server));
        let mut body = Vec::new();
        body.extend(from.1.to_be_bytes());
        body.extend(to.1.to_be_bytes());
        body.extend(self.seq[own].to_be_bytes());
        body.extend(self.seq[other].to_be_bytes());
        body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        body.extend(payload);
        ip(6, from.0, to.0, &body)
    }

    fn begin(&mut self, send: &mut dyn FnMut(Vec<u8>)) {
        send(self.packet(true, 0x02, b""));
        self.seq[0] += 1;
        send(self.packet(false, 0x12, b""));
        self.seq[1] += 1;
        send(self.packet(true, 0x10, b""));
    }

    /// Says something in segments of at most so many bytes, each acknowledged.
    fn say(&mut self, to_server: bool, bytes: &[u8], most: usize, send: &mut dyn FnMut(Vec<u8>)) {
        for piece in bytes.chunks(most) {
            send(self.packet(to_server, 0x18, piece));
            self.seq[usize::from(!to_server)] += piece.len() as u32;
            send(self.packet(!to_server, 0x10, b""));
        }
    }

    fn end(&mut self, send: &mut dyn FnMut(Vec<u8>)) {
        send(self.packet(true, 0x11, b""));
        self.seq[0] += 1;
        send(self.packet(false, 0x11, b""));
        self.seq[1] += 1;
        send(self.packet(true, 0x10, b""));
    }
}

fn ip(proto: u8, src: [u8; 4], dst: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, proto, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(body);
    packet
}

fn udp(to_server: bool, server: u16, payload: &[u8]) -> Vec<u8> {
    let ends = [(CLIENT, 4000), (SERVER, server)];
    let [from, to] = if to_server { ends } else { [ends[1], ends[0]] };
    let mut body = Vec::new();
    body.extend(from.1.to_be_bytes());
    body.extend(to.1.to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    ip(17, from.0, to.0, &body)
}

/// A worker with its alerts.
struct Sensor {
    engine: Engine,
    alerts: Alerts,
    /// Signature and direction of every alert.
    got: Vec<(u32, bool)>,
    number: u64,
}

impl Sensor {
    fn new(text: &str, config: EngineConfig) -> Self {
        let rules = rules(text);
        let evaluator = Box::new(eval::Plain::new(rules.clone()));
        let matcher = Box::new(matcher::Software::new());
        Self {
            engine: Engine::new(rules.clone(), matcher, evaluator, config.clone())
                .expect("the matcher holds any set"),
            alerts: Alerts::new(rules, &config),
            got: Vec::new(),
            number: 0,
        }
    }

    fn packet(&mut self, data: &[u8]) {
        self.number += 1;
        let frame = Frame {
            ts_ns: 1_577_836_800_000_000_000 + self.number * 1000,
            number: self.number,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        let mut events = Vec::new();
        self.engine.process(frame, &mut events);
        self.commit(&events);
    }

    fn commit(&mut self, events: &[weir_engine::detect::Event]) {
        for event in events {
            self.alerts.commit(event, &mut |alert| {
                let to_server = alert.packet.flow.is_some_and(|flow| flow.to_server);
                self.got.push((alert.rule.meta.sid, to_server));
            });
        }
    }

    fn finish(mut self) -> (Vec<(u32, bool)>, Counters) {
        let mut events = Vec::new();
        self.engine.finish(self.number + 1, &mut events);
        self.commit(&events);
        self.got.sort_unstable();
        (self.got, self.engine.counters())
    }
}

/// The alerts of a conversation in segments of at most so many bytes.
fn hear(text: &str, server: u16, talk: Talk<'_>, most: usize) -> Vec<(u32, bool)> {
    let mut sensor = Sensor::new(text, EngineConfig::default());
    let mut line = Line::new(4000, server);
    let mut send = |packet: Vec<u8>| sensor.packet(&packet);
    line.begin(&mut send);
    for (to_server, bytes) in talk {
        line.say(*to_server, bytes, most, &mut send);
    }
    line.end(&mut send);
    sensor.finish().0
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes it");
    encoder.finish().expect("a Vec takes it")
}

const WEB: &str = r#"
alert http any any -> any any (flow:to_server; http.method; content:"GET"; http.uri; content:"/a b"; sid:1;)
alert http any any -> any any (flow:to_client; http.stat_code; content:"200"; file.data; content:"needle"; sid:2;)
alert http any any => any any (http.uri; content:"/a b"; http.stat_code; content:"200"; sid:3;)
alert tcp any any -> any any (content:"x=y"; http_cookie; content:"EVIL"; nocase; http_user_agent; sid:4;)
alert http any any -> any any (http.uri; content:"/second"; http.host; content:"b.example"; bsize:9; sid:5;)
alert http any any -> any any (http.uri; content:"/a b"; http.host; content:"b.example"; sid:6;)
alert http any any -> any any (http.user_agent; content:!"evil"; nocase; http.uri; content:"/"; sid:7;)
alert dns any any -> any any (sid:8;)
"#;

#[test]
fn rules_see_the_same_transactions_however_a_stream_is_cut() {
    let body = gzip(b"a haystack with a needle in it");
    let mut chunked =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(9) {
        chunked.extend(format!("{:x}\r\n", piece.len()).bytes());
        chunked.extend(piece);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let first =
        b"GET /a%20b HTTP/1.1\r\nHost: A.example\r\nUser-Agent: evil/1\r\nCookie: x=y\r\n\r\n";
    let second = b"POST /second HTTP/1.1\r\nHost: b.example\r\nContent-Length: 3\r\n\r\nabc";
    let both = [&first[..], second].concat();
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let answers = [&chunked[..], missing].concat();
    let expected = [(1, true), (2, false), (3, false), (4, true), (5, true)];
    for server in [80, 31_337] {
        for most in (1..12).chain([100, 1000]) {
            let pipelined: Talk<'_> = &[(true, &both), (false, &answers)];
            assert_eq!(
                hear(WEB, server, pipelined, most),
                expected,
                "port {server}, pipelined by {most}"
            );
            let in_turn: Talk<'_> = &[
                (true, first),
                (false, &chunked),
                (true, second),
                (false, missing),
            ];
            assert_eq!(
                hear(WEB, server, in_turn, most),
                expected,
                "port {server}, in turn by {most}"
            );
        }
    }
}

#[test]
fn every_transaction_is_looked_at_once_in_each_direction() {
    let request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny".repeat(40);
    let text = r#"
alert http any any -> any any (http.uri; content:"/x"; sid:1;)
alert http any any -> any any (http.protocol; content:"HTTP/1.1"; sid:2;)
alert http any any -> any any (http.method; content:"PUT"; sid:3;)
"#;
    let got = hear(text, 8080, &[(true, &request), (false, &answer)], 700);
    let count = |wanted| got.iter().filter(|alert| **alert == wanted).count();
    assert_eq!(count((1, true)), 40);
    assert_eq!((count((2, true)), count((2, false))), (40, 40));
    assert_eq!(got.len(), 120);
}

#[test]
fn a_rule_about_request_and_answer_says_who_asks_whom() {
    let text = r#"
alert http 10.0.0.1 any => 10.0.0.2 80 (http.uri; content:"/x"; http.stat_code; content:"200"; sid:1;)
alert http 10.0.0.2 any => 10.0.0.1 any (http.uri; content:"/x"; http.stat_code; content:"200"; sid:2;)
alert http any 80 => any any (http.stat_code; content:"200"; http.uri; content:"/x"; sid:3;)
alert http any any => any 80 (http.stat_code; content:"200"; sid:4;)
"#;
    let talk: Talk<'_> = &[
        (true, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    assert_eq!(hear(text, 80, talk, 100), [(1, false), (4, false)]);
}

#[test]
fn an_answer_without_its_request_is_looked_into() {
    let text = r#"
alert http any any -> any any (flow:to_client; http.stat_code; content:"200"; file.data; content:"needle"; sid:1;)
alert http any any -> any any (flow:to_client; http.header; content:"X-Needle"; sid:2;)
"#;
    let answer = b"HTTP/1.1 200 OK\r\nX-Needle: 1\r\nContent-Length: 6\r\n\r\nneedle";
    let got = hear(text, 80, &[(false, answer)], 50);
    assert_eq!(got, [(1, false), (2, false)]);
}

#[test]
fn protocols_are_found_and_what_does_not_fit_is_told() {
    let text = r#"
alert ssh any any -> any any (ssh.software; content:"OpenSSH"; sid:1;)
alert tcp any any -> any any (app-layer-protocol:ssh; sid:2;)
alert tcp any any -> any any (app-layer-event:applayer_mismatch_protocol_both_directions; sid:3;)
alert tcp any any -> any any (app-layer-protocol:!http; flow:to_server; sid:4;)
"#;
    let (client, server) = (b"SSH-2.0-me\r\n", b"SSH-2.0-OpenSSH_9\r\n");
    let got = hear(text, 80, &[(false, server), (true, client)], 100);
    assert!(
        got.contains(&(1, false)) && got.contains(&(2, true)) && got.contains(&(2, false)),
        "{got:?}"
    );
    assert!(
        got.contains(&(4, true)) && !got.iter().any(|(sid, _)| *sid == 3),
        "{got:?}"
    );
    let got = hear(
        text,
        80,
        &[
            (true, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (false, server),
        ],
        100,
    );
    assert_eq!(
        got.iter().filter(|(sid, _)| *sid == 3).count(),
        1,
        "{got:?}"
    );
    assert!(!got.iter().any(|(sid, _)| *sid == 4), "{got:?}");
}

#[test]
fn datagrams_are_messages() {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04evil\x07example\0\0\x01\0\x01";
    let text = r#"
alert dns any any -> any any (dns.query; content:"evil.example"; sid:1;)
alert dns any any -> any any (dns.query; dotprefix; content:".example"; endswith; sid:2;)
alert dns any any -> any any (dns.opcode:0; sid:3;)
alert udp any any -> any any (dns.query; content:"other"; sid:4;)
"#;
    let mut sensor = Sensor::new(text, EngineConfig::default());
    sensor.packet(&udp(true, 53, query));
    sensor.packet(&udp(true, 54, query));
    assert_eq!(sensor.finish().0, [(1, true), (2, true), (3, true)]);
}

/// Says something in a connection, packet by packet.
type Saying<'a> = dyn FnMut(&mut Line, &mut dyn FnMut(Vec<u8>)) + 'a;

/// A sensor that looks at everything in a stream of any length, and what its parsers held at most.
fn cost(talk: &mut Saying<'_>) -> Counters {
    let text = r#"
alert http any any -> any any (http.request_body; content:"needle"; sid:1;)
alert http any any -> any any (http.header; content:"needle"; sid:2;)
alert http any any -> any any (file.data; content:"needle"; sid:3;)
alert http any any -> any any (http.uri; content:"needle"; sid:4;)
"#;
    let mut config = EngineConfig::default();
    config.stream.depth = u64::MAX;
    let mut sensor = Sensor::new(text, config);
    let mut line = Line::new(4000, 80);
    let mut send = |packet: Vec<u8>| sensor.packet(&packet);
    line.begin(&mut send);
    talk(&mut line, &mut send);
    let (got, counters) = sensor.finish();
    assert!(got.is_empty(), "{got:?}");
    counters
}

/// What one connection may cost, whatever is sent in it.
const MOST_OF_A_FLOW: u64 = 4 << 20;

#[test]
fn a_bomb_costs_no_more_than_anything_else() {
    let zeros = vec![0; 8 << 20];
    let once = gzip(&zeros);
    let twice = gzip(&once);
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
    raw.write_all(&zeros).expect("a Vec takes it");
    let raw = raw.finish().expect("a Vec takes it");
    for (encoding, body) in [("gzip", &once), ("gzip, gzip", &twice), ("deflate", &raw)] {
        let counters = cost(&mut |line, send| {
            for _ in 0..4 {
                line.say(true, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1460, send);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                line.say(false, head.as_bytes(), 1460, send);
                line.say(false, body, 1460, send);
            }
        });
        assert!(
            counters.app.most_memory < MOST_OF_A_FLOW,
            "{encoding}: {}",
            counters.app.most_memory
        );
    }
}

#[test]
fn endless_headers_lines_and_bodies_cost_no_more_than_anything_else() {
    let endless: [(&[u8], Vec<u8>); 5] = [
        (b"GET / HTTP/1.1\r\n", b"X-Header: a value that is of some length\r\n".to_vec()),
        (b"GET / HTTP/1.1\r\nX: ", vec![b'a'; 1460]),
        (b"GET /", vec![b'a'; 1460]),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", vec![b'a'; 1460]),
        (b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999999\r\n\r\n",
            b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\nx\r\n".to_vec()),
    ];
    for (start, more) in endless {
        let counters = cost(&mut |line, send| {
            line.say(true, start, 1460, send);
            let piece = more.repeat(1460 / more.len());
            for _ in 0..3000 {
                line.say(true, &piece, 1460, send);
            }
        });
        let most = counters.app.most_memory;
        assert!(most < MOST_OF_A_FLOW, "{}: {most}", start.escape_ascii());
    }
}

/// Transactions of one connection, answered or not; a million of them with `WEIR_TRANSACTIONS=1000000`.
#[test]
fn many_transactions_cost_no_more_than_few() {
    let number = std::env::var("WEIR_TRANSACTIONS")
        .ok()
        .and_then(|number| number.parse().ok());
    let number: u64 = number.unwrap_or(20_000);
    for answered in [true, false] {
        let counters = cost(&mut |line, send| {
            for _ in 0..number / 20 {
                line.say(
                    true,
                    &b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20),
                    1460,
                    send,
                );
                if answered {
                    line.say(
                        false,
                        &b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny".repeat(20),
                        1460,
                        send,
                    );
                }
            }
        });
        let app = &counters.app;
        println!(
            "{number} transactions, answered: {answered}: at most {} bytes",
            app.most_memory
        );
        assert!(app.transactions >= number / 2, "{}", app.transactions);
        assert!(app.most_memory < MOST_OF_A_FLOW, "{}", app.most_memory);
    }
    let mut sensor = Sensor::new(
        "alert dns any any -> any any (dns.query; content:\"needle\"; sid:1;)",
        EngineConfig::default(),
    );
    for at in 0..number {
        let [.., high, low] = at.to_be_bytes();
        let mut query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
        (query[0], query[1]) = (high, low);
        sensor.packet(&udp(true, 53, &query));
    }
    let (got, counters) = sensor.finish();
    assert!(got.is_empty());
    assert_eq!(counters.app.transactions, number);
    assert!(
        counters.app.most_memory < 64 << 10,
        "{}",
        counters.app.most_memory
    );
}

#[test]
fn a_limit_for_all_connections_holds() {
    let mut config = EngineConfig {
        app_memory: 256 << 10,
        ..EngineConfig::default()
    };
    config.stream.depth = u64::MAX;
    let mut sensor = Sensor::new(
        "alert http any any -> any any (http.request_body; content:\"needle\"; sid:1;)",
        config,
    );
    let mut send = |packet: Vec<u8>| sensor.packet(&packet);
    let mut lines: Vec<Line> = (0..200).map(|at| Line::new(5000 + at, 80)).collect();
    for line in &mut lines {
        line.begin(&mut send);
        line.say(
            true,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n",
            1460,
            &mut send,
        );
        line.say(true, &vec![b'a'; 14_600], 1460, &mut send);
    }
    let (_, counters) = sensor.finish();
    assert!(counters.app.no_room > 100, "{}", counters.app.no_room);
    assert!(
        counters.app.most_memory < 512 << 10,
        "{}",
        counters.app.most_memory
    );
}

#[test]
fn the_answer_that_changes_the_protocol_is_looked_into() {
    let text = r#"
alert http any any -> any any (flow:to_client; http.stat_code; content:"200"; sid:1;)
alert http any any => any any (http.method; content:"CONNECT"; http.stat_msg; content:"Fine"; sid:2;)
alert ssh any any -> any any (flow:to_client; ssh.proto; content:"2.0"; sid:3;)
alert http any any -> any any (flow:to_client; http.stat_code; content:"101"; sid:4;)
alert websocket any any -> any any (flow:to_client; websocket.payload; content:"needle"; sid:5;)
"#;
    let ask = b"CONNECT h:22 HTTP/1.1\r\nHost: h:22\r\n\r\n";
    let agree = b"HTTP/1.1 200 Fine\r\n\r\nSSH-2.0-x\r\n";
    for most in [1, 2, 5, 20, 1000] {
        let talk: Talk<'_> = &[(true, ask), (false, agree), (true, b"SSH-2.0-y\r\n")];
        let got = hear(text, 8080, talk, most);
        assert_eq!(
            got,
            [(1, false), (2, false), (3, false)],
            "pieces of {most}"
        );
        let talk: Talk<'_> = &[
            (
                true,
                b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
            ),
            (
                false,
                b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n\x81\x06needle",
            ),
        ];
        let got = hear(text, 8080, talk, most);
        assert_eq!(got, [(4, false), (5, false)], "pieces of {most}");
    }
}

#[test]
fn a_rule_about_both_waits_for_a_request_that_ends_after_its_answer() {
    let text = r#"
alert http any any => any any (http.request_body; content:"late"; http.stat_code; content:"200"; sid:1;)
alert http any any => any any (http.request_body; content:"late"; http.stat_code; content:"404"; sid:2;)
alert http any any => any any (http.uri; content:"/x"; http.request_body; content:!"never"; http.response_body; content:"done"; sid:3;)
"#;
    for most in [1, 3, 1000] {
        let talk: Talk<'_> = &[
            (
                true,
                b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n",
            ),
            (false, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"),
            (true, b"xxlatexx"),
        ];
        let got = hear(text, 80, talk, most);
        assert_eq!(got, [(1, false), (3, false)], "pieces of {most}");
    }
}

#[test]
fn datagrams_of_one_direction_do_not_fill_memory() {
    let mut sensor = Sensor::new(
        "alert dcerpc any any -> any any (dce_stub_data; content:\"needle\"; sid:1;)",
        EngineConfig::default(),
    );
    for at in 0..20_000_u32 {
        let mut call = vec![0; 80];
        call[0] = 4;
        call[64..68].copy_from_slice(&at.to_be_bytes());
        call[74..76].copy_from_slice(&6_u16.to_be_bytes());
        call.extend(if at % 1000 == 7 { b"needle" } else { b"nothin" });
        sensor.packet(&udp(true, 135, &call));
    }
    let (got, counters) = sensor.finish();
    assert_eq!(got.len(), 20);
    assert!(
        counters.app.most_memory < 2 << 20,
        "{}",
        counters.app.most_memory
    );
}

#[test]
fn what_a_connection_has_said_that_gave_way_is_decided_when_it_ends() {
    let mut config = EngineConfig::default();
    config.stream.memory = 4096;
    let mut sensor = Sensor::new(
        "alert http any any -> any any (http.request_body; content:\"needle\"; sid:1;)",
        config,
    );
    let mut send = |packet: Vec<u8>| sensor.packet(&packet);
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\na needle in it";
    for at in 0..6 {
        let mut line = Line::new(5000 + at, 80);
        line.begin(&mut send);
        let more: &[u8] = if at == 0 { request } else { &[b'x'; 1400] };
        line.say(true, more, 1460, &mut send);
    }
    let (got, counters) = sensor.finish();
    assert!(counters.streams.evicted > 0);
    assert_eq!(got, [(1, true)]);
}
