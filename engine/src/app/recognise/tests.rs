//! Tests of recognising protocols.

use super::*;

const WEB: Ports = Ports {
    client: 40_000,
    server: 80,
};

fn guess(way: Way, data: &[u8], server: u16) -> Guess {
    tcp(
        way,
        data,
        Ports {
            client: 40_000,
            server,
        },
    )
}

#[test]
fn protocols_are_known_by_their_first_bytes_on_any_port() {
    use AppProto::*;
    let (ts, tc) = (Way::ToServer, Way::ToClient);
    let cases: &[(Way, &[u8], AppProto)] = &[
        (ts, b"GET / HTTP/1.1\r\n", Http1),
        (ts, b"post /x HTTP/1.1\r\n", Http1),
        (tc, b"HTTP/1.1 200 OK\r\n", Http1),
        (ts, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2),
        (ts, b"OPTIONS sip:a@b SIP/2.0\r\n", Sip),
        (ts, b"INVITE sip:a@b SIP/2.0\r\n", Sip),
        (ts, b"\x16\x03\x01\x02\0\x01", Tls),
        (ts, b"\x80\x2e\x01\x03\x01\0", Tls),
        (ts, b"SSH-2.0-x\r\n", Ssh),
        (tc, b"SSH-2.0-x\r\n", Ssh),
        (ts, b"EHLO me\r\n", Smtp),
        (ts, b"USER me\r\n", Ftp),
        (tc, b"220 ftp ready\r\n", Ftp),
        (tc, b"220 x ESMTP\r\n", Smtp),
        (ts, b"\0\0\0\x45\xffSMBr", Smb),
        (ts, b"\0\0\0\x45\xfeSMB@", Smb),
        (ts, b"\x05\0\x0b\x03\x10\0\0\0", DceRpc),
        (ts, b"\x10\x10\0\x04MQTT\x04", Mqtt),
        (ts, b"\x03\0\0\x13\x0e\xe0\0\0", Rdp),
    ];
    for &(way, data, proto) in cases {
        assert_eq!(
            guess(way, data, 4444),
            Guess::Is(proto),
            "{}",
            data.escape_ascii()
        );
        // No prefix says anything else.
        for end in 0..data.len() {
            let of_part = guess(way, &data[..end], 4444);
            assert!(
                matches!(of_part, Guess::More) || of_part == Guess::Is(proto),
                "{} {of_part:?}",
                data[..end].escape_ascii()
            );
        }
    }
    for data in [&b"hello there"[..], b"GETTING", b"\0\0\0\0\0\0\0\0\0"] {
        assert_eq!(
            tcp(ts, data, WEB),
            Guess::Nothing,
            "{}",
            data.escape_ascii()
        );
    }
}

#[test]
fn datagrams_are_known_by_their_port_and_bytes() {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let ports = |server| Ports {
        client: 40_000,
        server,
    };
    assert_eq!(
        udp(Way::ToServer, query, ports(53)),
        Guess::Is(AppProto::Dns)
    );
    assert_eq!(
        udp(Way::ToServer, query, ports(5353)),
        Guess::Is(AppProto::Mdns)
    );
    assert_eq!(udp(Way::ToServer, query, ports(54)), Guess::Nothing);
    assert_eq!(
        udp(Way::ToServer, b"\x30\x05\x02\x01\x01", ports(161)),
        Guess::Is(AppProto::Snmp)
    );
}

#[test]
fn a_message_of_dns_is_known_however_little_of_it_has_come() {
    let mut message = b"\0\x1d\x12\x34\x01\0\0\x03\0\0\0\0\0\0".to_vec();
    for name in [b'a', b'b', b'c'] {
        message.extend([1, name, 0, 0, 1, 0, 1]);
    }
    for end in 1..=message.len() {
        let expected = match end {
            0..14 => Guess::More,
            _ => Guess::Is(AppProto::Dns),
        };
        assert_eq!(guess(Way::ToServer, &message[..end], 53), expected, "{end}");
    }
    // Far more questions than there can be.
    message[7] = 30;
    assert_eq!(guess(Way::ToServer, &message, 53), Guess::Nothing);
}
