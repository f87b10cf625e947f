use super::*;
use serde_json::json;

pub(crate) const UUID: [u8; 16] =
    *b"\x12\x34\x56\x78\x12\x34\xab\xcd\xef\x00\x01\x23\x45\x67\xcf\xfb";

/// A PDU of little endian byte order.
pub(crate) fn pdu(kind: u8, flags: u8, call: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    bytes.extend_from_slice(&((HEADER + body.len()) as u16).to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&call.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A bind that asks for the interface twice, with other versions.
pub(crate) fn bind() -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend_from_slice(&[2, 0, 0, 0]);
    for context in 0..2_u8 {
        body.extend_from_slice(&[context, 0, 1, 0]);
        body.extend_from_slice(b"\x78\x56\x34\x12\x34\x12\xcd\xab\xef\x00\x01\x23\x45\x67\xcf\xfb");
        body.extend_from_slice(&[context + 1, 0, 0, 0]);
        body.extend_from_slice(&[0; 20]);
    }
    pdu(kind::BIND, 3, 1, &body)
}

/// The answer to it: the first is accepted.
pub(crate) fn bind_ack() -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend_from_slice(b"\x06\0pipe\0\0\x02\0\0\0");
    body.extend_from_slice(&[0; 24]);
    body.extend_from_slice(&[2; 24]);
    pdu(kind::BIND_ACK, 3, 1, &body)
}

pub(crate) fn request(flags: u8, call: u32, context: u8, opnum: u8, data: &[u8]) -> Vec<u8> {
    let head = [9, 0, 0, 0, context, 0, opnum, 0];
    pdu(kind::REQUEST, flags, call, &[&head, data].concat())
}

fn talk(chunk: usize) -> (DceRpc, Output) {
    let (mut parser, mut out) = (DceRpc::default(), Output::everything());
    let said = [
        (Way::ToServer, bind()),
        (Way::ToClient, bind_ack()),
        (
            Way::ToServer,
            [request(1, 1, 0, 4, b"one "), request(2, 1, 0, 4, b"two")].concat(),
        ),
        (
            Way::ToClient,
            [pdu(2, 1, 1, b"headhead1"), pdu(2, 2, 1, b"2")].concat(),
        ),
        (Way::ToServer, request(3, 1, 1, 5, b"refused")),
        (Way::ToClient, pdu(kind::FAULT, 3, 1, b"x")),
    ];
    for (way, bytes) in said {
        for piece in bytes.chunks(chunk) {
            parser.data(way, piece, &mut out);
        }
    }
    (parser, out)
}

fn buffers(out: &Output, tx: TxId, way: Way, buffer: AppBuffer) -> Vec<Vec<u8>> {
    let tx = out.get(tx).expect("a transaction");
    tx.buffers(way, buffer).map(<[u8]>::to_vec).collect()
}

#[test]
fn calls_have_interface_operation_and_data() {
    let (parser, out) = talk(usize::MAX);
    assert_eq!(out.transactions().count(), 3);
    assert!(out.transactions().all(|tx| tx.is_done()));
    assert_eq!(
        buffers(&out, 1, Way::ToServer, AppBuffer::DceStubData),
        [b"one two"]
    );
    assert_eq!(
        buffers(&out, 1, Way::ToClient, AppBuffer::DceStubData),
        [b"headhead12"]
    );
    let mut interface = UUID.to_vec();
    interface.extend_from_slice(&[0, 1, 1]);
    for way in Way::ALL {
        assert_eq!(
            buffers(&out, 1, way, AppBuffer::DceInterface),
            [interface.clone()]
        );
        assert!(buffers(&out, 0, way, AppBuffer::DceInterface).is_empty());
        assert!(buffers(&out, 2, way, AppBuffer::DceInterface).is_empty());
        let tx = out.get(1).expect("a call");
        assert_eq!(tx.numbers(way, AppField::DceOpnum).collect::<Vec<_>>(), [4]);
        assert_eq!(
            tx.numbers(way, AppField::DceLittleEndian)
                .collect::<Vec<_>>(),
            [1]
        );
    }
    let (_, fields) = parser.describe(1, &out).expect("an object");
    assert_eq!(
        fields,
        json!({"request": "REQUEST", "req": {"opnum": 4, "frag_cnt": 2, "stub_data_size": 7},
            "interfaces": [{"uuid": "12345678-1234-abcd-ef00-01234567cffb", "version": "1.0", "ack_result": 0}],
            "response": "RESPONSE", "res": {"frag_cnt": 2, "stub_data_size": 10}, "call_id": 1, "rpc_version": "5.0"})
    );
    assert_eq!(
        parser.describe(2, &out).expect("an object").1["response"],
        "FAULT"
    );
    for chunk in 1..60 {
        let (_, cut) = talk(chunk);
        for tx in 0..3 {
            for way in Way::ALL {
                for buffer in [AppBuffer::DceStubData, AppBuffer::DceInterface] {
                    assert_eq!(
                        buffers(&out, tx, way, buffer),
                        buffers(&cut, tx, way, buffer)
                    );
                }
            }
        }
        assert_eq!(format!("{:?}", out.records), format!("{:?}", cut.records));
    }
}

#[test]
fn after_a_gap_the_next_header_counts() {
    let (mut parser, mut out) = (DceRpc::default(), Output::everything());
    parser.data(Way::ToServer, &request(1, 7, 0, 1, b"begun"), &mut out);
    parser.gap(Way::ToServer, &mut out);
    let more = [
        &b"\x05\x05 rest \x05\0\0\0\x10\0\0\0\x01\0 is no header"[..],
        &request(3, 8, 0, 2, b"whole"),
    ]
    .concat();
    parser.data(Way::ToServer, &more, &mut out);
    assert_eq!(
        buffers(&out, 0, Way::ToServer, AppBuffer::DceStubData),
        [b"begun"]
    );
    assert_eq!(
        buffers(&out, 1, Way::ToServer, AppBuffer::DceStubData),
        [b"whole"]
    );
    for way in Way::ALL {
        parser.end(way, &mut out);
    }
    assert!(out.transactions().all(|tx| tx.is_done()));
}

#[test]
fn calls_and_data_are_bounded() {
    let (mut parser, mut out) = (DceRpc::default(), Output::everything());
    let data = vec![1; 60_000];
    for call in 0..2000 {
        parser.data(
            Way::ToServer,
            &request(1, call % 500, 0, 1, &data),
            &mut out,
        );
        out.crowd();
        assert!(parser.memory() < 6 << 20, "{}", parser.memory());
    }
}

#[test]
fn data_of_calls_that_are_open_is_bounded_together() {
    let (mut parser, mut out) = (DceRpc::default(), Output::everything());
    let data = vec![1; 60_000];
    for call in 0..200 {
        parser.data(Way::ToServer, &request(1, call, 0, 1, b"x"), &mut out);
    }
    for call in 0..200 {
        parser.data(Way::ToServer, &request(0, call, 0, 1, &data), &mut out);
    }
    assert!(parser.memory() < 6 << 20, "{}", parser.memory());
    assert!(out.dropped > 0);
}

#[test]
fn interfaces_of_a_call_are_bounded() {
    let mut interfaces = Interfaces::default();
    for number in 0..200_u8 {
        let interface = pdu::Interface {
            uuid: [number; 16],
            version: 1,
            minor: 0,
            context: 0,
            call: 1,
            index: 0,
            first: true,
            result: Some(0),
        };
        interfaces.asked(vec![interface.clone(), interface]);
    }
    let accepted = interfaces.accepted(Some(0));
    // The latest count.
    assert_eq!(accepted.len(), 64);
    assert_eq!((accepted[0][0], accepted[63][0]), (136, 199));
}

#[test]
fn what_is_no_pdu_ends_it() {
    let (mut parser, mut out) = (DceRpc::default(), Output::everything());
    parser.data(Way::ToServer, b"GET / HTTP/1.1\r\nHost: x\r\n", &mut out);
    assert!(out.failed);
    let mut out = Output::everything();
    DceRpc::default().data(Way::ToServer, &[5; 40], &mut out);
    assert!(out.failed);
}

proptest::proptest! {
    #[test]
    fn garbage_does_no_harm(pieces in proptest::collection::vec(
        (0..2usize, 0..24u8, 0..4u8, 0..3u32, proptest::collection::vec(0..40u8, 0..80)), 0..20), cut in 1..50usize) {
        let (mut parser, mut out) = (DceRpc::default(), Output::everything());
        for (way, kind, flags, call, body) in &pieces {
            for piece in pdu(*kind, *flags, *call, body).chunks(cut) {
                parser.data(Way::of(*way), piece, &mut out);
            }
        }
        for way in Way::ALL {
            parser.gap(way, &mut out);
            parser.data(way, &[5, 0, 0, 3, 16, 0, 0, 0, 255, 255], &mut out);
            parser.end(way, &mut out);
        }
        proptest::prop_assert!(out.transactions().all(|tx| tx.is_done()));
    }
}
