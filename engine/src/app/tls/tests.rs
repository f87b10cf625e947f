use proptest::prelude::*;

use super::*;
use crate::app::testing::{all, events, unhex};

/// A certificate of `www.example.org`, made for this test.
const CERT: &str = "\
     308201eb30820190a00302010202060a1b2c3d4e5f300a06082a8648ce3d0403023039310b30090603550406130244453110\
     300e060355040a0c074578616d706c653118301606035504030c0f7777772e6578616d706c652e6f7267301e170d32363131\
     32323036303632375a170d3336313131393036303632375a3039310b30090603550406130244453110300e060355040a0c07\
     4578616d706c653118301606035504030c0f7777772e6578616d706c652e6f72673059301306072a8648ce3d020106082a86\
     48ce3d030107034200043758e00fcfe88b7ac205ac13f3602458280682fd61faa1383a9243fcf2af84295ca980ce8c084113\
     0d2d0e57da63d80a353a4bcb702d8a0f3abacbc74ca7398ca38183308180301d0603551d0e041604146db472483536a08f78\
     837031f38ed42968c081d2301f0603551d230418301680146db472483536a08f78837031f38ed42968c081d2300f0603551d\
     130101ff040530030101ff302d0603551d1104263024820f7777772e6578616d706c652e6f7267820b6578616d706c652e6f\
     72678704c0000201300a06082a8648ce3d0403020349003046022100b35a781318cfd08e436319d21133f379c8b593b01f7a\
     84caf314cebb77d92e6102210095644d82d9ede46c3f79c3f7d25f1f2c7fe43c5dd2a4b3dae05a60891350fc8d";

fn counted(width: usize, bytes: &[u8]) -> Vec<u8> {
    let len = (bytes.len() as u32).to_be_bytes();
    [&len[4 - width..], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted(2, body)].concat()
}

fn sni(name: &str) -> Vec<u8> {
    let name = [&[0][..], &counted(2, name.as_bytes())].concat();
    extension(0, &counted(2, &name))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &counted(3, body)].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &counted(2, body)].concat()
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &counted(1, &[9; 8]),
        &counted(2, &[0x0a, 0x0a, 0x13, 0x01, 0xc0, 0x2f]),
        &counted(1, &[0]),
        &counted(2, &extensions.concat()),
    ];
    message(1, &body.concat())
}

fn usual_client_hello() -> Vec<u8> {
    client_hello(&[
        extension(0x1a1a, &[]),
        sni("www.example.org"),
        extension(10, &counted(2, &[0x2a, 0x2a, 0, 29, 0, 23])),
        extension(11, &counted(1, &[0])),
        extension(13, &counted(2, &[4, 3, 8, 4])),
        extension(16, &counted(2, b"\x02h2\x08http/1.1")),
    ])
}

fn server_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[8; 32],
        &counted(1, &[1; 8]),
        &[0xc0, 0x2f, 0],
        &counted(2, &extensions.concat()),
    ];
    message(2, &body.concat())
}

fn certificate() -> Vec<u8> {
    let cert = counted(3, &unhex(CERT));
    message(11, &counted(3, &[cert.clone(), cert].concat()))
}

fn handshake() -> [Vec<u8>; 2] {
    // Messages share a record, and go over several.
    let server = [
        server_hello(&[extension(65281, &[0])]),
        certificate(),
        message(14, &[]),
    ]
    .concat();
    let (first, second) = server.split_at(300);
    [
        record(22, &usual_client_hello()),
        [record(22, first), record(22, second)].concat(),
    ]
}

fn check(parser: &Tls, out: &Output) {
    let (to_server, to_client) = (Way::ToServer, Way::ToClient);
    assert_eq!(all(out, to_server, AppBuffer::TlsSni), ["www.example.org"]);
    assert_eq!(all(out, to_server, AppBuffer::TlsAlpn), ["h2", "http/1.1"]);
    assert_eq!(
        all(out, to_server, AppBuffer::Ja3String),
        ["771,4865-49199,0-10-11-13-16,29-23,0"]
    );
    assert_eq!(
        all(out, to_client, AppBuffer::Ja3sString),
        ["771,49199,65281"]
    );
    let ja4 = &all(out, to_server, AppBuffer::Ja4Hash)[0];
    assert!(ja4.starts_with("t12d0205h2_"), "{ja4}");
    assert_eq!(
        all(out, to_client, AppBuffer::TlsCertSubject),
        ["C=DE, O=Example, CN=www.example.org"]
    );
    assert_eq!(
        all(out, to_client, AppBuffer::TlsCertSerial),
        ["0A:1B:2C:3D:4E:5F"]
    );
    assert_eq!(
        all(out, to_client, AppBuffer::TlsCertFingerprint),
        ["6d:81:78:ba:4f:af:e8:9f:94:95:b7:89:69:fa:21:b7:eb:05:ed:06"]
    );
    assert_eq!(
        all(out, to_client, AppBuffer::TlsSubjectAltName),
        ["www.example.org", "example.org", "192.0.2.1"]
    );
    assert_eq!(all(out, to_client, AppBuffer::TlsCerts).len(), 2);
    let tx = out.get(0).expect("a transaction");
    assert!(tx.numbers(to_client, AppField::TlsCertChainLen).eq([2]));
    assert!(tx.numbers(to_server, AppField::TlsVersion).eq([0x0303]));
    assert!(tx.events().is_empty(), "{:?}", tx.events());
    let (kind, object) = parser.describe(0, out).expect("an object");
    assert_eq!(kind, "tls");
    assert_eq!(object["version"], "TLS 1.2");
    assert_eq!(object["notbefore"], "2026-11-22T06:06:27");
}

#[test]
fn a_handshake_shows_hellos_and_certificates() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let [client, server] = handshake();
    parser.data(Way::ToServer, &client, &mut out);
    assert_eq!(
        out.get(0).map(|tx| tx.level(Way::ToServer)),
        Some(level::START)
    );
    parser.data(Way::ToClient, &server, &mut out);
    assert_eq!(
        out.get(0).map(|tx| tx.level(Way::ToClient)),
        Some(level::HEAD)
    );
    check(&parser, &out);
    assert_eq!(out.records.len(), 1);
    assert!(!out.opaque);
    let tail = [record(20, &[1]), record(22, &[9; 40]), record(23, &[9; 99])].concat();
    for way in Way::ALL {
        parser.data(way, &tail, &mut out);
    }
    assert!(out.opaque && events(&out).is_empty());
    for way in Way::ALL {
        assert!(!out.get(0).expect("a transaction").is_done());
        parser.end(way, &mut out);
    }
    assert!(out.get(0).expect("a transaction").is_done());
}

#[test]
fn a_handshake_cut_anywhere_gives_the_same() {
    let [client, server] = handshake();
    for step in [1, 2, 5, 7, 64, 1000] {
        let (mut parser, mut out) = (Tls::new(), Output::everything());
        for piece in client.chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        for piece in server.chunks(step) {
            parser.data(Way::ToClient, piece, &mut out);
        }
        check(&parser, &out);
    }
}

#[test]
fn tls13_hides_its_certificates() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let versions = extension(43, &counted(1, &[0x3a, 0x3a, 3, 4, 3, 3]));
    let hello = record(22, &client_hello(&[versions]));
    parser.data(Way::ToServer, &hello, &mut out);
    let hello = server_hello(&[extension(43, &[3, 4])]);
    let flight = [record(22, &hello), record(20, &[1]), record(23, &[0; 80])].concat();
    parser.data(Way::ToClient, &flight, &mut out);
    parser.data(
        Way::ToServer,
        &[record(20, &[1]), record(23, &[0; 80])].concat(),
        &mut out,
    );
    let tx = out.get(0).expect("a transaction");
    for way in Way::ALL {
        assert!(tx.numbers(way, AppField::TlsVersion).eq([0x0304]));
        assert!(tx.level(way) >= level::HEAD);
        assert!(tx.numbers(way, AppField::TlsCertChainLen).eq([0]));
    }
    assert_eq!(out.records.len(), 1);
    assert_eq!(out.records[0].1.fields["version"], "TLS 1.3");
}

#[test]
fn a_resumed_session_is_told() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let ticket = extension(35, &[1, 2, 3]);
    parser.data(
        Way::ToServer,
        &record(22, &client_hello(&[ticket])),
        &mut out,
    );
    let rest = [record(20, &[1]), record(22, &[7; 40])].concat();
    let hello = record(22, &server_hello(&[]));
    parser.data(Way::ToClient, &[hello, rest.clone()].concat(), &mut out);
    parser.data(Way::ToServer, &rest, &mut out);
    assert_eq!(out.records[0].1.fields["session_resumed"], true);
}

#[test]
fn what_is_odd_is_told() {
    let first = |bytes: &[u8]| {
        let (mut parser, mut out) = (Tls::new(), Output::everything());
        parser.data(Way::ToServer, bytes, &mut out);
        (events(&out), out.failed)
    };
    let hello = |extensions: &[Vec<u8>]| first(&record(22, &client_hello(extensions))).0;
    assert_eq!(
        hello(&[sni("a"), sni("b")]),
        ["tls.multiple_sni_extensions"]
    );
    assert_eq!(hello(&[sni("")]), ["tls.invalid_sni_length"]);
    assert_eq!(
        hello(&[extension(0, &[0, 4, 1, 0, 1, 97])]),
        ["tls.invalid_sni_type"]
    );
    assert_eq!(
        hello(&[extension(10, &[0, 9])]),
        ["tls.handshake_invalid_length"]
    );
    assert_eq!(
        first(&record(30, &[1])),
        (vec!["tls.invalid_record_type"], true)
    );
    assert_eq!(
        first(&[22, 9, 9, 0, 1, 1]),
        (vec!["tls.invalid_record_version"], true)
    );
    assert_eq!(
        first(&[22, 3, 1, 0, 0]),
        (vec!["tls.invalid_record_length"], true)
    );
    assert_eq!(
        first(&record(21, &[1])),
        (vec!["tls.invalid_alert_message"], true)
    );
    assert_eq!(
        first(&record(22, &[1, 0, 0])),
        (vec!["tls.invalid_ssl_record"], true)
    );
    assert_eq!(
        first(&record(22, &message(99, &[1]))),
        (vec!["tls.invalid_handshake_message"], false)
    );
    let heartbeat = record(24, &[1, 0x40, 0, 1]);
    assert_eq!(
        first(&[record(22, &client_hello(&[])), heartbeat].concat()),
        (vec!["tls.overflow_heartbeat_message"], true)
    );
    let bad = message(
        11,
        &counted(3, &counted(3, &[0x30, 6, 0x30, 0x84, 255, 255, 255, 255])),
    );
    assert_eq!(first(&record(22, &bad)).0.len(), 1);
}

#[test]
fn an_encrypted_heartbeat_that_is_answered_with_more_bleeds() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let [client, server] = handshake();
    parser.data(Way::ToServer, &client, &mut out);
    parser.data(Way::ToClient, &server, &mut out);
    for way in Way::ALL {
        parser.data(way, &record(20, &[1]), &mut out);
    }
    parser.data(Way::ToServer, &record(24, &[9; 40]), &mut out);
    parser.data(Way::ToClient, &record(24, &[9; 400]), &mut out);
    assert_eq!(events(&out), ["tls.dataleak_heartbeat_mismatch"]);
}

#[test]
fn an_old_hello_is_read() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let body = [1, 3, 1, 0, 3, 0, 0, 0, 16, 1, 0, 2, 9, 9];
    let hello = [&[0x80, body.len() as u8][..], &body].concat();
    for piece in hello.chunks(3) {
        parser.data(Way::ToServer, piece, &mut out);
    }
    let tx = out.get(0).expect("a transaction");
    assert!(tx.numbers(Way::ToServer, AppField::TlsVersion).eq([0x0301]));
    assert_eq!(tx.level(Way::ToServer), level::START);
    assert!(tx.events().is_empty());
}

#[test]
fn messages_have_a_limit() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let huge = record(22, &[&[11, 0xff, 0xff, 0xff][..], &[0; 100]].concat());
    parser.data(Way::ToClient, &huge, &mut out);
    assert!(out.failed);
    assert!(parser.memory() < 1 << 16);
}

#[test]
fn nothing_goes_on_after_a_gap() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    parser.data(Way::ToServer, &handshake()[0], &mut out);
    parser.gap(Way::ToServer, &mut out);
    assert!(out.failed && out.get(0).expect("a transaction").is_done());
}

#[test]
fn application_data_cut_anywhere_is_not_too_many_records() {
    let [client, server] = handshake();
    let data = [record(20, &[1]), record(23, &[9; 20]).repeat(20)].concat();
    for step in 1..40 {
        let (mut parser, mut out) = (Tls::new(), Output::everything());
        parser.data(Way::ToServer, &client, &mut out);
        parser.data(Way::ToClient, &server, &mut out);
        for piece in data.chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        assert!(events(&out).is_empty() && !out.failed, "pieces of {step}");
    }
}

#[test]
fn fingerprints_count_as_memory() {
    let (mut parser, mut out) = (Tls::new(), Output::everything());
    let ciphers = [0xc0, 0x2f].repeat(7000);
    let body = [&[3, 3][..], &[7; 32], &[0], &counted(2, &ciphers), &[1, 0]];
    let hello = record(22, &message(1, &body.concat()));
    parser.data(Way::ToServer, &hello, &mut out);
    let ja3 = &all(&out, Way::ToServer, AppBuffer::Ja3String)[0];
    assert!(ja3.len() > 6 * 7000 && parser.memory() > ja3.len() + ciphers.len());
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 20_u8..26,
        message_kind in 0_u8..24,
    ) {
        let pieces = [
            bytes.clone(),
            record(kind, &bytes),
            record(22, &message(message_kind, &bytes)),
            record(22, &client_hello(std::slice::from_ref(&bytes))),
            record(22, &message(11, &counted(3, &counted(3, &bytes)))),
        ];
        for piece in pieces {
            for way in Way::ALL {
                let (mut parser, mut out) = (Tls::new(), Output::everything());
                parser.data(way, &piece, &mut out);
                parser.data(way, &bytes, &mut out);
                parser.end(way, &mut out);
            }
        }
    }
}
