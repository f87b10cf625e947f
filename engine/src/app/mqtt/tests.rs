use proptest::prelude::*;

use super::*;
use crate::app::AppBuffer;
use crate::app::testing::{all, events};

fn message(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let more = if len > 0x7f { 0x80 } else { 0 };
        bytes.push((len & 0x7f) as u8 | more);
        len >>= 7;
        if len == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn connect(version: u8) -> Vec<u8> {
    let properties: &[u8] = if version >= 5 {
        &[5, 17, 0, 0, 0, 9]
    } else {
        &[]
    };
    let will: &[u8] = if version >= 5 { &[0] } else { &[] };
    let body = [
        &string("MQTT")[..],
        &[version, 0xc6, 0, 60],
        properties,
        &string("client"),
        will,
        &string("will/topic"),
        &string("bye"),
        &string("user"),
        &string("secret"),
    ];
    message(0x10, &body.concat())
}

fn connack(version: u8) -> Vec<u8> {
    message(0x20, if version >= 5 { &[1, 0, 0] } else { &[1, 0] })
}

fn publish(qos: u8, id: &[u8]) -> Vec<u8> {
    message(
        0x31 | qos << 1,
        &[&string("a/b")[..], id, &[0], b"payload"].concat(),
    )
}

#[test]
fn a_session_is_read_however_it_is_cut() {
    let subscribe = message(
        0x82,
        &[&[0, 7, 0][..], &string("t/#"), &[1], &string("u"), &[0]].concat(),
    );
    let client = [
        connect(5),
        subscribe,
        publish(1, &[0, 9]),
        publish(0, &[]),
        message(0xe0, &[]),
    ]
    .concat();
    let suback = message(0x90, &[0, 7, 0, 1, 0x80]);
    let server = [connack(5), suback, message(0x40, &[0, 9])].concat();
    for step in [1, 2, 3, 11, 1000] {
        let (mut parser, mut out) = (Mqtt::new(), Output::everything());
        let connect_len = connect(5).len();
        for piece in client[..connect_len].chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        parser.data(Way::ToClient, &server[..5], &mut out);
        for piece in client[connect_len..].chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        for piece in server[5..].chunks(step) {
            parser.data(Way::ToClient, piece, &mut out);
        }
        let way = Way::ToServer;
        assert!(out.transactions().all(crate::app::Transaction::is_done));
        assert_eq!(all(&out, way, AppBuffer::MqttClientId), ["client"]);
        assert_eq!(all(&out, way, AppBuffer::MqttPassword), ["secret"]);
        assert_eq!(all(&out, way, AppBuffer::MqttWillTopic), ["will/topic"]);
        assert_eq!(all(&out, way, AppBuffer::MqttSubscribeTopic), ["t/#", "u"]);
        assert_eq!(
            all(&out, way, AppBuffer::MqttPublishMessage),
            ["payload"; 2]
        );
        let first = out.get(0).expect("a transaction");
        assert!(first.numbers(way, AppField::MqttType).eq([1, 2]));
        assert!(first.numbers(way, AppField::MqttProtocolVersion).eq([5]));
        assert!(first.numbers(way, AppField::MqttSessionPresent).eq([1]));
        let second = out.get(1).expect("a transaction");
        assert!(second.numbers(way, AppField::MqttReasonCode).eq([1, 0x80]));
        assert!(events(&out).is_empty(), "{:?}", events(&out));
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(
            object["connect"]["properties"]["session_expiry_interval"],
            9
        );
        assert_eq!(object["connack"]["return_code"], 0);
        assert_eq!(out.records.len(), 5);
    }
}

#[test]
fn an_old_version_has_no_properties() {
    let (mut parser, mut out) = (Mqtt::new(), Output::everything());
    parser.data(Way::ToServer, &connect(4), &mut out);
    parser.data(Way::ToClient, &connack(4), &mut out);
    parser.data(Way::ToServer, &message(0xe0, &[]), &mut out);
    let way = Way::ToServer;
    assert_eq!(all(&out, way, AppBuffer::MqttUsername), ["user"]);
    let last = out.get(1).expect("a transaction");
    assert_eq!(last.numbers(way, AppField::MqttReasonCode).count(), 0);
}

#[test]
fn what_is_odd_is_told() {
    let first = |way: Way, bytes: &[u8]| {
        let (mut parser, mut out) = (Mqtt::new(), Output::everything());
        parser.data(way, bytes, &mut out);
        (events(&out), out.failed)
    };
    let server = Way::ToServer;
    assert_eq!(
        first(Way::ToClient, &connack(4)).0,
        ["mqtt.missing_connect"]
    );
    assert_eq!(
        first(server, &publish(3, &[0, 1])).0,
        ["mqtt.invalid_qos_level", "mqtt.unintroduced_message"]
    );
    assert_eq!(
        first(server, &message(0x40, &[0, 1])).0,
        ["mqtt.missing_publish", "mqtt.unintroduced_message"]
    );
    assert_eq!(
        first(server, &message(0, &[1])).0,
        ["mqtt.unassigned_msg_type"]
    );
    let malformed = (vec!["mqtt.malformed_traffic"], true);
    assert_eq!(first(server, &[0x10, 0xff, 0xff, 0xff, 0xff, 1]), malformed);
    assert_eq!(first(server, &message(0x10, &[0, 99])), malformed);
    let mut excessive = connect(5);
    excessive[12] = 0x7f;
    assert_eq!(first(server, &excessive), malformed);
}

#[test]
fn messages_and_transactions_have_limits() {
    let (mut parser, mut out) = (Mqtt::new(), Output::everything());
    let huge = message(0x30, &vec![0; MOST_MESSAGE + 10]);
    for piece in huge.chunks(100_000) {
        parser.data(Way::ToServer, piece, &mut out);
    }
    assert!(parser.memory() < 10_000);
    let (_, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(object["publish"]["truncated"], true);
    for id in 0..300_u16 {
        parser.data(Way::ToServer, &publish(1, &id.to_be_bytes()), &mut out);
    }
    assert!(events(&out).contains(&"mqtt.too_many_transactions"));
    // Very many at once.
    parser.data(Way::ToServer, &message(0xc0, &[]).repeat(20_000), &mut out);
    assert!(parser.open.len() <= 2 * MOST_LIVE);
}

#[test]
fn objects_are_bounded_and_count_as_memory() {
    let (mut parser, mut out) = (Mqtt::new(), Output::everything());
    parser.data(Way::ToServer, &connect(5), &mut out);
    parser.data(Way::ToClient, &connack(5), &mut out);
    let property = |key: &str| [&[38][..], &string(key), &string("v")].concat();
    let publish = |id: u8, properties: &[u8]| {
        let len = properties.len();
        let size = [
            len as u8 & 0x7f | 0x80,
            (len >> 7) as u8 & 0x7f | 0x80,
            (len >> 14) as u8,
        ];
        message(
            0x32,
            &[&string("a/b")[..], &[0, id], &size, properties].concat(),
        )
    };
    let long = publish(1, &property(&"k".repeat(60_000)));
    parser.data(Way::ToServer, &long, &mut out);
    let (_, object) = parser.describe(1, &out).expect("an object");
    let properties = object["publish"]["properties"]
        .as_object()
        .expect("properties");
    assert!(properties.keys().all(|key| key.len() < 1200));
    assert!(parser.memory() > 1024);

    let many: Vec<_> = (0..5000).map(|at| property(&at.to_string())).collect();
    parser.data(Way::ToServer, &publish(2, &many.concat()), &mut out);
    let (_, object) = parser.describe(2, &out).expect("an object");
    let properties = object["publish"]["properties"]
        .as_object()
        .expect("properties");
    assert_eq!(properties.len(), 256);
    assert_eq!(out.dropped, 5000 - 256);

    let subscribe = message(0x82, &[&[0, 7, 0][..], &string("t"), &[1]].concat());
    parser.data(Way::ToServer, &subscribe, &mut out);
    let suback = message(0x90, &[&[0, 7, 0][..], &[1; 3000]].concat());
    parser.data(Way::ToClient, &suback, &mut out);
    let (_, object) = parser.describe(3, &out).expect("an object");
    let granted = object["suback"]["qos_granted"].as_array().expect("a list");
    assert_eq!(granted.len(), 1024);
    let tx = out.get(3).expect("a transaction");
    assert_eq!(
        tx.numbers(Way::ToServer, AppField::MqttReasonCode).count(),
        3000
    );
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        first in any::<u8>(),
        version in 3_u8..6,
    ) {
        for way in Way::ALL {
            let (mut parser, mut out) = (Mqtt::new(), Output::everything());
            let all = [connect(version), message(first, &bytes), bytes.clone()].concat();
            for piece in all.chunks(37) {
                parser.data(way, piece, &mut out);
            }
            for way in Way::ALL {
                parser.end(way, &mut out);
            }
            prop_assert!(out.transactions().all(crate::app::Transaction::is_done));
        }
    }
}
