use proptest::prelude::*;

use super::*;
use crate::app::testing::{all, events, unhex};

const CONNECTION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// The server's first packet of RFC 9001, appendix A.3.
const SERVER: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a\
    5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3\
    dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84\
    022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4\
    2158407dd074ee";

fn hello() -> Vec<u8> {
    let name = b"www.example.org";
    let mut sni = vec![0, 0, 0, name.len() as u8 + 5, 0, name.len() as u8 + 3, 0, 0];
    sni.push(name.len() as u8);
    sni.extend(name);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x0a, 0x0a, 0x13, 1, 1, 0, 0, sni.len() as u8]);
    body.extend(sni);
    let mut hello = vec![1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

fn crypto(offset: u8, data: &[u8]) -> Vec<u8> {
    let len = (0x4000 | data.len() as u16).to_be_bytes();
    [&[6, offset][..], &len, data].concat()
}

/// A first packet of the client.
fn initial(version: u32, frames: &[u8]) -> Vec<u8> {
    let keys = InitialKeys::new(version, &CONNECTION).expect("a version that is known");
    let first = if version == crypto::VERSION_2 {
        0xd0
    } else {
        0xc0
    };
    let mut frames = frames.to_vec();
    frames.resize(frames.len().max(40), 0);
    let mut header = vec![first];
    header.extend(version.to_be_bytes());
    header.push(8);
    header.extend(CONNECTION);
    header.extend([0, 0]);
    let len = frames.len() as u16 + 1 + 16;
    header.extend((0x4000 | len).to_be_bytes());
    keys.seal(0, &header, &frames)
}

#[test]
fn the_packet_of_the_rfc_is_opened() {
    let (mut parser, mut out) = (Quic::new(), Output::everything());
    parser.keys = InitialKeys::new(1, &CONNECTION);
    parser.data(Way::ToClient, &unhex(SERVER), &mut out);
    assert_eq!(
        all(&out, Way::ToClient, AppBuffer::Ja3sString),
        ["771,4865,51-43"]
    );
    assert!(events(&out).is_empty());
}

#[test]
fn a_hello_is_read_in_every_version() {
    for version in [1, crypto::VERSION_2, 0xff00_001d] {
        let (mut parser, mut out) = (Quic::new(), Output::everything());
        parser.data(
            Way::ToServer,
            &initial(version, &crypto(0, &hello())),
            &mut out,
        );
        let way = Way::ToServer;
        assert_eq!(all(&out, way, AppBuffer::QuicSni), ["www.example.org"]);
        // Suricata leaves GREASE in.
        assert_eq!(all(&out, way, AppBuffer::Ja3String), ["771,2570-4865,0,,"]);
        assert!(all(&out, way, AppBuffer::Ja4Hash)[0].starts_with("q12d010100_"));
        let tx = out.get(0).expect("a transaction");
        let shown = tx.buffers(way, AppBuffer::QuicVersion).next();
        assert_eq!(shown, Some(&version.to_be_bytes()[..]));
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["extensions"][0]["name"], "server_name");
        // What follows is encrypted.
        parser.data(Way::ToServer, &initial(version, &[]), &mut out);
        assert_eq!(out.transactions().count(), 1);
    }
}

#[test]
fn a_hello_in_pieces_is_put_together() {
    let hello = hello();
    for cut in 1..hello.len() {
        let (mut parser, mut out) = (Quic::new(), Output::everything());
        let (first, second) = hello.split_at(cut);
        // The second piece comes first, and packets share a datagram.
        let datagram = [
            initial(1, &crypto(cut as u8 & 0x3f, second)),
            initial(1, &crypto(0, first)),
        ];
        if cut < 0x40 {
            parser.data(Way::ToServer, &datagram.concat(), &mut out);
            let names = all(&out, Way::ToServer, AppBuffer::QuicSni);
            assert_eq!(names, ["www.example.org"], "{cut}");
            assert_eq!(out.transactions().count(), 2);
        }
    }
}

#[test]
fn pieces_have_a_limit() {
    let (mut parser, mut out) = (Quic::new(), Output::everything());
    for offset in 1..60 {
        let crypto = crypto(offset, &[7; 16_000]);
        parser.data(Way::ToServer, &initial(1, &crypto), &mut out);
    }
    assert!(events(&out).contains(&"quic.crypto_frag_too_long"));
    assert!(parser.memory() < 300_000, "{}", parser.memory());
}

#[test]
fn what_cannot_be_read_is_told() {
    let first = |bytes: &[u8]| {
        let (mut parser, mut out) = (Quic::new(), Output::everything());
        parser.data(Way::ToServer, bytes, &mut out);
        events(&out)
    };
    let mut broken = initial(1, &crypto(0, &hello()));
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert_eq!(first(&broken), ["quic.failed_decrypt"]);
    assert_eq!(
        first(&initial(1, &crypto(0, &[9; 20]))),
        ["quic.error_on_data"]
    );
    let far = [&[6, 0x80, 1, 0, 0][..], &[0x40, 2, 1, 1]].concat();
    assert_eq!(first(&initial(1, &far)), ["quic.crypto_frag_too_long"]);
}

#[test]
fn googles_hello_shows_its_tags() {
    let mut message = b"CHLO".to_vec();
    message.extend([2, 0, 0, 0]);
    message.extend(b"SNI\0");
    message.extend(5_u32.to_le_bytes());
    message.extend(b"UAID");
    message.extend(8_u32.to_le_bytes());
    message.extend(b"a.orgagt");
    let mut packet = vec![0xc3];
    packet.extend(b"Q046");
    packet.push(0x50);
    packet.extend(CONNECTION);
    packet.extend([0; 16]);
    packet.extend([0xa0, 1]);
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend(message);
    let (mut parser, mut out) = (Quic::new(), Output::everything());
    parser.data(Way::ToServer, &packet, &mut out);
    let way = Way::ToServer;
    assert_eq!(all(&out, way, AppBuffer::QuicSni), ["a.org"]);
    assert_eq!(all(&out, way, AppBuffer::QuicUa), ["agt"]);
    assert_eq!(all(&out, way, AppBuffer::QuicVersion), ["Q046"]);
    assert_eq!(all(&out, way, AppBuffer::QuicCyuString), ["46,SNI-UAID"]);
}

/// A hello with these extensions.
fn hello_with(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let len = (body.len() as u32).to_be_bytes();
    [&[1, len[1], len[2], len[3]][..], &body].concat()
}

#[test]
fn a_list_that_comes_again_is_shown_once() {
    let one = [
        0, 16, 0, 11, 0, 9, 2, b'h', b'3', 5, b'o', b't', b'h', b'e', b'r',
    ];
    let hello = hello_with(&one.repeat(40));
    let (mut parser, mut out) = (Quic::new(), Output::everything());
    parser.data(Way::ToServer, &initial(1, &crypto(0, &hello)), &mut out);
    let (_, object) = parser.describe(0, &out).expect("an object");
    let extensions = object["extensions"].as_array().expect("a list");
    let shown = |of: &Value| of["values"].as_array().map_or(0, Vec::len);
    assert_eq!(extensions.len(), 40);
    assert_eq!(extensions.iter().map(shown).sum::<usize>(), 80);
}

#[test]
fn what_is_shown_counts_as_memory() {
    let alpns = [&[0, 16, 0x0f, 0xa2, 0x0f, 0xa0][..], &[0; 4000]].concat();
    let (mut parser, mut out) = (Quic::new(), Output::everything());
    let hello = hello_with(&alpns);
    parser.data(Way::ToServer, &initial(1, &crypto(0, &hello)), &mut out);
    assert_eq!(out.transactions().count(), 1);
    assert!(parser.memory() > 4000 * size_of::<Vec<u8>>());
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        version in prop_oneof![Just(0_u32), Just(1), Just(0x5130_3433), Just(0x5130_3436), any::<u32>()],
        first in 0x80_u8..,
    ) {
        for way in Way::ALL {
            let (mut parser, mut out) = (Quic::new(), Output::everything());
            parser.data(way, &initial(1, &bytes), &mut out);
            let packet = [&[first][..], &version.to_be_bytes(), &bytes].concat();
            parser.data(way, &packet, &mut out);
            parser.data(way, &bytes, &mut out);
        }
    }
}
