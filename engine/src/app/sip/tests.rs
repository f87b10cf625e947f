use proptest::prelude::*;

use super::*;
use crate::app::testing::all;

const INVITE: &str = "INVITE sip:bob@example.org SIP/2.0\r\n\
    Via: SIP/2.0/UDP a;branch=1\r\n\
    v: SIP/2.0/UDP b;\r\n branch=2\r\n\
    f: \"Alice\" <sip:alice@example.org>\r\n\
    TO : <sip:bob@example.org>\r\n\
    User-Agent: phone \r\n\
    c: application/sdp\r\n\
    Content-Length: 57\r\n\
    \r\n\
    v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ni=in\r\nm=audio 9\r\ni=media\r\n";

const OK: &str = "SIP/2.0 200 All right\r\nFrom: x\r\nContent-Length: 0\r\n\r\n";

fn check(out: &Output) {
    let way = Way::ToServer;
    assert_eq!(all(out, way, AppBuffer::SipMethod), ["INVITE"]);
    assert_eq!(all(out, way, AppBuffer::SipUri), ["sip:bob@example.org"]);
    assert_eq!(
        all(out, way, AppBuffer::SipRequestLine),
        ["INVITE sip:bob@example.org SIP/2.0"]
    );
    assert_eq!(
        all(out, way, AppBuffer::SipVia),
        ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b; branch=2"]
    );
    assert_eq!(
        all(out, way, AppBuffer::SipFrom),
        ["\"Alice\" <sip:alice@example.org>"]
    );
    assert_eq!(all(out, way, AppBuffer::SipTo), ["<sip:bob@example.org>"]);
    assert_eq!(all(out, way, AppBuffer::SipUserAgent), ["phone"]);
    assert_eq!(
        all(out, way, AppBuffer::SdpOrigin),
        ["- 1 1 IN IP4 192.0.2.1"]
    );
    assert_eq!(all(out, way, AppBuffer::SdpSessionInfo), ["in"]);
    assert_eq!(all(out, way, AppBuffer::SdpMedia), ["audio 9"]);
    assert_eq!(all(out, way, AppBuffer::SdpMediaInfo), ["media"]);
    let way = Way::ToClient;
    assert_eq!(all(out, way, AppBuffer::SipStatCode), ["200"]);
    assert_eq!(all(out, way, AppBuffer::SipStatMsg), ["All right"]);
    assert!(out.transactions().all(crate::app::Transaction::is_done));
}

#[test]
fn datagrams_are_messages() {
    let (mut parser, mut out) = (Sip::new(true), Output::everything());
    parser.data(Way::ToServer, INVITE.as_bytes(), &mut out);
    parser.data(Way::ToClient, OK.as_bytes(), &mut out);
    check(&out);
    let (_, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(object["method"], "INVITE");
    assert_eq!(
        object["sdp"]["media_descriptions"][0]["media_info"],
        "media"
    );
    let (_, object) = parser.describe(1, &out).expect("an object");
    assert_eq!(object["response_line"], "SIP/2.0 200 All right");
}

#[test]
fn a_stream_cut_anywhere_gives_the_same() {
    let client = format!("\r\n\r\n{INVITE}").into_bytes();
    for step in [1, 2, 3, 7, 50, 1000] {
        let (mut parser, mut out) = (Sip::new(false), Output::everything());
        for piece in client.chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        for piece in OK.as_bytes().chunks(step) {
            parser.data(Way::ToClient, piece, &mut out);
        }
        check(&out);
    }
}

#[test]
fn what_is_none_fails() {
    for nonsense in [
        "hello\r\n\r\n",
        "INVITE  \r\n\r\n",
        "A b c\r\nno colon\r\n\r\n",
    ] {
        let (mut parser, mut out) = (Sip::new(false), Output::everything());
        let bytes = format!("{INVITE}{nonsense}");
        parser.data(Way::ToServer, bytes.as_bytes(), &mut out);
        assert!(out.failed, "{nonsense}");
        let tx = out.get(0).expect("a transaction");
        assert_eq!(tx.events(), ["sip.invalid_data"]);
    }
    let (mut parser, mut out) = (Sip::new(false), Output::everything());
    parser.data(Way::ToServer, &vec![b'x'; 200_000], &mut out);
    assert!(out.failed && parser.memory() < 100_000);
}

#[test]
fn what_is_left_out_is_counted() {
    let headers = "X: y\r\n".repeat(520);
    let lines = "a=b\r\n".repeat(1030);
    let message = format!(
        "OPTIONS a SIP/2.0\r\nContent-Type: application/sdp\r\n{headers}\r\nv=0\r\n{lines}"
    );
    let (mut parser, mut out) = (Sip::new(true), Output::everything());
    parser.data(Way::ToServer, message.as_bytes(), &mut out);
    assert_eq!(
        all(&out, Way::ToServer, AppBuffer::SdpAttribute).len(),
        1024
    );
    assert_eq!(out.dropped, 521 - 512 + 6);
}

proptest! {
    #[test]
    fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
        let mut message = INVITE.as_bytes().to_vec();
        message.truncate(cut);
        message.extend(&bytes);
        for udp in [true, false] {
            for way in Way::ALL {
                let (mut parser, mut out) = (Sip::new(udp), Output::everything());
                for piece in message.chunks(99) {
                    parser.data(way, piece, &mut out);
                }
                parser.end(way, &mut out);
            }
        }
    }
}
