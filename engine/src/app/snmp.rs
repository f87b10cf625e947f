//! SNMP 1, 2c and 3 (RFC 1157, 1901, 3412, 3414): versions, communities, users, what is asked. Each message is a
//! transaction of its own.

use serde_json::{Map, Value, json};
use snmp_parser::{
    NetworkAddress, PduType, ScopedPduData, SecurityParameters, SnmpGenericMessage, SnmpPdu,
    parse_snmp_generic_message,
};

use super::remember::Remembered;
use super::{AppBuffer, AppField, AppProto, Output, Parser, TxId, Way};

/// Events of SNMP, by their names in rules.
pub const EVENTS: &[&str] = &[
    "snmp.malformed_data",
    "snmp.unknown_security_model",
    "snmp.version_mismatch",
];

/// Most variables that a record names.
const MOST_VARIABLES: usize = 256;

/// Reads SNMP.
#[derive(Debug, Default)]
pub struct Snmp {
    /// 1, 2 or 3: of the first message; 0 before it.
    version: u32,
    objects: Remembered<Value>,
}

impl Snmp {
    /// For a flow of SNMP.
    pub fn new() -> Self {
        Self::default()
    }

    fn message(&mut self, way: Way, message: &SnmpGenericMessage<'_>, out: &mut Output) {
        let tx = out.begin();
        let mut object = Map::new();
        let version = match message {
            SnmpGenericMessage::V1(message) | SnmpGenericMessage::V2(message) => {
                message.version.saturating_add(1)
            }
            SnmpGenericMessage::V3(message) => message.version,
        };
        if self.version == 0 {
            self.version = version;
        }
        if self.version != version {
            out.event(tx, "snmp.version_mismatch");
        }
        out.number(tx, way, AppField::SnmpVersion, self.version.into());
        object.insert("version".into(), json!(self.version));
        match message {
            SnmpGenericMessage::V1(message) | SnmpGenericMessage::V2(message) => {
                put_pdu(&message.pdu, way, tx, &mut object, out);
                let community = &message.community;
                out.put(tx, way, AppBuffer::SnmpCommunity, community.as_bytes());
                object.insert("community".into(), json!(community));
            }
            SnmpGenericMessage::V3(message) => {
                let encrypted = match &message.data {
                    ScopedPduData::Plaintext(pdu) => {
                        put_pdu(&pdu.data, way, tx, &mut object, out);
                        false
                    }
                    ScopedPduData::Encrypted(_) => {
                        object.insert("pdu_type".into(), json!("encrypted"));
                        true
                    }
                };
                match &message.security_params {
                    SecurityParameters::USM(usm) => {
                        let user = &usm.msg_user_name;
                        out.put(tx, way, AppBuffer::SnmpUsm, user.as_bytes());
                        if !encrypted {
                            object.insert("usm".into(), json!(user));
                        }
                    }
                    SecurityParameters::Raw(_) => out.event(tx, "snmp.unknown_security_model"),
                }
            }
        }
        out.finish(tx);
        let object = Value::Object(object);
        if out.logs() {
            out.log(way, "snmp", object.clone());
        }
        self.objects.put(tx, object, out);
    }
}

fn put_pdu(
    pdu: &SnmpPdu<'_>,
    way: Way,
    tx: TxId,
    object: &mut Map<String, Value>,
    out: &mut Output,
) {
    let kind = pdu.pdu_type();
    out.number(tx, way, AppField::SnmpPduType, kind.0.into());
    object.insert("pdu_type".into(), json!(kind_name(kind)));
    match pdu {
        SnmpPdu::Generic(pdu) if pdu.err.0 != 0 => {
            object.insert("error".into(), json!(format!("{:?}", pdu.err)));
        }
        SnmpPdu::TrapV1(trap) => {
            let kind = trap.generic_trap;
            out.number(tx, way, AppField::SnmpTrapType, kind.0.into());
            object.insert("trap_type".into(), json!(format!("{kind:?}")));
            object.insert("trap_oid".into(), json!(trap.enterprise.to_string()));
            let NetworkAddress::IPv4(address) = trap.agent_addr;
            object.insert("trap_address".into(), json!(address.to_string()));
        }
        _ => {}
    }
    let mut variables = pdu.vars_iter();
    let names = variables.by_ref().take(MOST_VARIABLES);
    let names: Vec<_> = names.map(|variable| variable.oid.to_string()).collect();
    out.dropped += variables.count() as u64;
    if !names.is_empty() {
        object.insert("vars".into(), json!(names));
    }
}

fn kind_name(kind: PduType) -> String {
    let name = match kind.0 {
        0 => "get_request",
        1 => "get_next_request",
        2 => "response",
        3 => "set_request",
        4 => "trap_v1",
        5 => "get_bulk_request",
        6 => "inform_request",
        7 => "trap_v2",
        8 => "report",
        other => return format!("Unknown(0x{other:x})"),
    };
    name.to_owned()
}

impl Parser for Snmp {
    fn proto(&self) -> AppProto {
        AppProto::Snmp
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        self.objects.forget(out);
        // A datagram that is none has no transaction that could tell of it: the one before is over.
        if let Ok((_, message)) = parse_snmp_generic_message(data) {
            self.message(way, &message, out);
        }
    }

    fn gap(&mut self, _way: Way, _out: &mut Output) {}

    fn end(&mut self, _way: Way, _out: &mut Output) {}

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let object = self.objects.get(tx)?;
        Some(("snmp", object.clone()))
    }

    fn memory(&self) -> usize {
        self.objects.memory()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ber(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let mut bytes = vec![tag, 0x82];
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn int(number: u8) -> Vec<u8> {
        vec![2, 1, number]
    }

    fn text(text: &[u8]) -> Vec<u8> {
        ber(4, &[text.to_vec()])
    }

    fn variables() -> Vec<u8> {
        let oid = vec![6, 4, 0x2b, 6, 1, 2];
        ber(0x30, &[ber(0x30, &[oid, vec![5, 0]])])
    }

    fn pdu(kind: u8, error: u8) -> Vec<u8> {
        ber(0xa0 | kind, &[int(7), int(error), int(0), variables()])
    }

    fn v12(version: u8, community: &str, pdu: Vec<u8>) -> Vec<u8> {
        ber(0x30, &[int(version), text(community.as_bytes()), pdu])
    }

    fn v3(flags: u8, data: Vec<u8>) -> Vec<u8> {
        let head = ber(0x30, &[int(1), vec![2, 2, 0x10, 0], text(&[flags]), int(3)]);
        let usm = ber(
            0x30,
            &[
                text(b"engine"),
                int(1),
                int(1),
                text(b"admin"),
                text(b""),
                text(b""),
            ],
        );
        ber(0x30, &[int(3), head, text(&usm), data])
    }

    fn first(bytes: &[u8]) -> (Snmp, Output) {
        let (mut parser, mut out) = (Snmp::new(), Output::everything());
        parser.data(Way::ToServer, bytes, &mut out);
        (parser, out)
    }

    fn texts(out: &Output, buffer: AppBuffer) -> Vec<Vec<u8>> {
        let tx = out.get(0).expect("a transaction");
        let buffers = tx.buffers(Way::ToServer, buffer);
        buffers.map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_question_shows_its_community() {
        let (parser, out) = first(&v12(1, "public", pdu(1, 0)));
        assert_eq!(texts(&out, AppBuffer::SnmpCommunity), [b"public"]);
        let tx = out.get(0).expect("a transaction");
        assert!(tx.is_done());
        assert!(tx.numbers(Way::ToServer, AppField::SnmpVersion).eq([2]));
        assert!(tx.numbers(Way::ToServer, AppField::SnmpPduType).eq([1]));
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["pdu_type"], "get_next_request");
        assert_eq!(object["vars"][0], "1.3.6.1.2");
    }

    #[test]
    fn an_error_and_another_version_are_told() {
        let (mut parser, mut out) = first(&v12(0, "a", pdu(0, 0)));
        parser.data(Way::ToClient, &v12(1, "a", pdu(2, 2)), &mut out);
        let tx = out.get(1).expect("a transaction");
        assert_eq!(tx.events(), ["snmp.version_mismatch"]);
        let (_, object) = parser.describe(1, &out).expect("an object");
        assert_eq!(object["error"], "NoSuchName");
    }

    #[test]
    fn version_3_shows_its_user() {
        let plain = ber(0x30, &[text(b"engine"), text(b""), pdu(0, 0)]);
        let (parser, out) = first(&v3(4, plain));
        assert_eq!(texts(&out, AppBuffer::SnmpUsm), [b"admin"]);
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["usm"], "admin");
        let (parser, out) = first(&v3(7, text(&[9; 30])));
        assert_eq!(texts(&out, AppBuffer::SnmpUsm), [b"admin"]);
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["pdu_type"], "encrypted");
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..120), at in 0_usize..90) {
            first(&bytes);
            let mut message = v3(4, ber(0x30, &[text(b"engine"), text(b""), pdu(0, 0)]));
            let at = at.min(message.len());
            message.truncate(at);
            message.extend(&bytes);
            first(&message);
        }
    }
}
