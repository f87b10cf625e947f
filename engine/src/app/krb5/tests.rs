use proptest::prelude::*;

use super::*;
use crate::app::testing::all;

fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let body = parts.concat();
    let len = (body.len() as u16).to_be_bytes();
    [&[tag, 0x82][..], &len, &body].concat()
}

fn int(number: u8) -> Vec<u8> {
    vec![2, 1, number]
}

fn text(text: &str) -> Vec<u8> {
    der(0x1b, &[text.as_bytes().to_vec()])
}

fn field(number: u8, value: Vec<u8>) -> Vec<u8> {
    der(0xa0 | number, &[value])
}

fn name(parts: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = parts.iter().map(|part| text(part)).collect();
    der(0x30, &[field(0, int(1)), field(1, der(0x30, &parts))])
}

fn encrypted(kind: u8) -> Vec<u8> {
    der(
        0x30,
        &[field(0, int(kind)), field(2, der(4, &[vec![7; 9]]))],
    )
}

fn as_rep(encryption: u8, ticket: u8) -> Vec<u8> {
    let ticket = [
        field(0, int(5)),
        field(1, text("EXAMPLE.ORG")),
        field(2, name(&["krbtgt", "EXAMPLE.ORG"])),
        field(3, encrypted(ticket)),
    ];
    let fields = [
        field(0, int(5)),
        field(1, int(11)),
        field(3, text("EXAMPLE.ORG")),
        field(4, name(&["alice"])),
        field(5, der(0x61, &[der(0x30, &ticket)])),
        field(6, encrypted(encryption)),
    ];
    der(0x6b, &[der(0x30, &fields)])
}

fn as_req() -> Vec<u8> {
    let body = [
        field(0, vec![3, 5, 0, 0x40, 0, 0, 0]),
        field(1, name(&["alice"])),
        field(2, text("EXAMPLE.ORG")),
        field(3, name(&["krbtgt", "EXAMPLE.ORG"])),
        field(5, der(0x18, &[b"20370913024805Z".to_vec()])),
        field(7, int(9)),
        field(8, der(0x30, &[int(18)])),
    ];
    let fields = [
        field(1, int(5)),
        field(2, int(10)),
        field(4, der(0x30, &body)),
    ];
    der(0x6a, &[der(0x30, &fields)])
}

fn error() -> Vec<u8> {
    let fields = [
        field(0, int(5)),
        field(1, int(30)),
        field(4, der(0x18, &[b"20370913024805Z".to_vec()])),
        field(5, int(1)),
        field(6, int(25)),
        field(9, text("EXAMPLE.ORG")),
        field(10, name(&["krbtgt"])),
    ];
    der(0x7e, &[der(0x30, &fields)])
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn check(parser: &Krb5, out: &Output) {
    let kinds: Vec<_> = Way::ALL
        .into_iter()
        .flat_map(|way| {
            let of_way = out.transactions();
            of_way.flat_map(move |tx| tx.numbers(way, AppField::Krb5MsgType))
        })
        .collect();
    assert_eq!(kinds, [10, 30, 11]);
    assert_eq!(all(out, Way::ToClient, AppBuffer::Krb5Cname), ["alice"]);
    let names = all(out, Way::ToClient, AppBuffer::Krb5Sname);
    assert_eq!(names, ["krbtgt", "krbtgt", "EXAMPLE.ORG"]);
    let last = out.transactions().last().expect("a transaction");
    assert_eq!(last.events(), ["krb5.weak_encryption"]);
    let (_, object) = parser.describe(1, out).expect("an object");
    assert_eq!(object["failed_request"], "KRB_AS_REQ");
    assert_eq!(object["error_code"], "KDC_ERR_PREAUTH_REQUIRED");
    let (_, object) = parser.describe(2, out).expect("an object");
    assert_eq!(object["sname"], "krbtgt/EXAMPLE.ORG");
    assert_eq!(object["ticket_weak_encryption"], true);
}

#[test]
fn datagrams_are_messages() {
    let (mut parser, mut out) = (Krb5::new(true), Output::everything());
    parser.data(Way::ToServer, &as_req(), &mut out);
    parser.data(Way::ToClient, &error(), &mut out);
    parser.data(Way::ToClient, &as_rep(23, 23), &mut out);
    check(&parser, &out);
}

#[test]
fn a_stream_cut_anywhere_gives_the_same() {
    let server = [framed(&error()), vec![0; 4], framed(&as_rep(23, 23))].concat();
    for step in [1, 2, 3, 5, 50, 1000] {
        let (mut parser, mut out) = (Krb5::new(false), Output::everything());
        for piece in framed(&as_req()).chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        for piece in server.chunks(step) {
            parser.data(Way::ToClient, piece, &mut out);
        }
        check(&parser, &out);
    }
}

#[test]
fn messages_have_a_limit() {
    let (mut parser, mut out) = (Krb5::new(false), Output::everything());
    parser.data(Way::ToServer, &[0, 255, 255, 255, 1], &mut out);
    assert!(out.failed && parser.memory() < 1000);
}

proptest! {
    #[test]
    fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
        for mut message in [as_req(), as_rep(1, 2), error(), Vec::new()] {
            message.truncate(at);
            message.extend(&bytes);
            for udp in [true, false] {
                let (mut parser, mut out) = (Krb5::new(udp), Output::everything());
                parser.data(Way::ToClient, &message, &mut out);
                parser.data(Way::ToClient, &framed(&message), &mut out);
            }
        }
    }
}
