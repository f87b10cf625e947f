use proptest::prelude::*;

use super::*;

const TALK: &[(Way, &[u8])] = &[
    (Way::ToClient, b"RFB 003.008\n"),
    (Way::ToServer, b"RFB 003.008\n"),
    (Way::ToClient, b"\x02\x01\x02"),
    (Way::ToServer, b"\x02"),
    (Way::ToClient, b"0123456789abcdef"),
    (Way::ToServer, b"fedcba9876543210"),
    (Way::ToClient, b"\0\0\0\0"),
    (Way::ToServer, b"\x01"),
    (
        Way::ToClient,
        b"\x04\0\x03\0\x20\x18\0\x01\0\xff\0\xff\0\xff\x10\x08\0\0\0\0\0\0\0\x04desk",
    ),
    (Way::ToServer, b"\0\0\0\0what follows is not read"),
];

fn talk(step: usize) -> (Rfb, Output) {
    let (mut parser, mut out) = (Rfb::new(), Output::everything());
    for (way, bytes) in TALK {
        for piece in bytes.chunks(step) {
            parser.data(*way, piece, &mut out);
        }
    }
    (parser, out)
}

#[test]
fn a_handshake_in_any_pieces_shows_its_parts() {
    for step in 1..40 {
        let (parser, out) = talk(step);
        let tx = out.get(0).expect("a transaction");
        assert!(tx.is_done() && tx.events().is_empty());
        assert!(tx.numbers(Way::ToServer, AppField::RfbSecType).eq([2]));
        assert!(tx.numbers(Way::ToClient, AppField::RfbSecResult).eq([0]));
        assert!(tx.buffers(Way::ToClient, AppBuffer::RfbName).eq([b"desk"]));
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["framebuffer"]["width"], 1024);
        assert_eq!(object["framebuffer"]["pixel_format"]["red_shift"], 16);
        assert_eq!(object["authentication"]["security_result"], "OK");
        assert_eq!(out.records.len(), 1);
    }
}

#[test]
fn no_security_is_believed_from_version_3_8_on() {
    for (version, result) in [("007", &b""[..]), ("008", b"\0\0\0\0")] {
        let line = format!("RFB 003.{version}\n");
        let (mut parser, mut out) = (Rfb::new(), Output::everything());
        let said = [
            (Way::ToClient, line.as_bytes()),
            (Way::ToServer, line.as_bytes()),
            (Way::ToClient, b"\x01\x01"),
            (Way::ToServer, b"\x01"),
            (Way::ToClient, result),
            TALK[7],
            TALK[8],
        ];
        for (way, bytes) in said {
            parser.data(way, bytes, &mut out);
        }
        let tx = out.get(0).expect("a transaction");
        let name: Vec<_> = tx.buffers(Way::ToClient, AppBuffer::RfbName).collect();
        assert_eq!(name, [b"desk"], "version {version}");
        let results = tx.numbers(Way::ToClient, AppField::RfbSecResult);
        assert_eq!(results.count(), result.len() / 4);
    }
}

#[test]
fn texts_count_as_memory() {
    let (mut parser, mut out) = (Rfb::new(), Output::everything());
    for (way, bytes) in &TALK[..6] {
        parser.data(*way, bytes, &mut out);
    }
    let reason = [&[0, 0, 0, 1, 0, 0, 0x40, 0][..], &[b'x'; 0x4000]].concat();
    parser.data(Way::ToClient, &reason, &mut out);
    assert!(out.get(0).expect("a transaction").is_done());
    assert!(parser.memory() > 0x4000);
}

#[test]
fn other_kinds_of_security_end_the_reading() {
    let (mut parser, mut out) = (Rfb::new(), Output::everything());
    for (way, bytes) in &TALK[..3] {
        parser.data(*way, bytes, &mut out);
    }
    parser.data(Way::ToServer, b"\x13", &mut out);
    let tx = out.get(0).expect("a transaction");
    assert_eq!(tx.events(), ["rfb.unimplemented_security_type"]);
    assert!(tx.is_done());
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..20),
        before in 0..TALK.len(),
    ) {
        let (mut parser, mut out) = (Rfb::new(), Output::everything());
        for (way, bytes) in &TALK[..before] {
            parser.data(*way, bytes, &mut out);
        }
        for (to_client, bytes) in pieces {
            parser.data(Way::of(to_client.into()), &bytes, &mut out);
        }
        parser.end(Way::ToServer, &mut out);
    }
}
