//! Kerberos 5 (RFC 4120) over UDP and TCP: who asks for which service, errors, encryption. Each message is a transaction
//! of its own.

use std::collections::VecDeque;

use kerberos_parser::krb5::{
    EncryptionType, ErrorCode, KdcRep, KdcReq, KrbError, MessageType, PrincipalName, Realm,
};
use kerberos_parser::krb5_parser;
use serde_json::{Map, Value, json};
use x509_parser::prelude::FromDer;

use super::{AppBuffer, AppField, AppProto, MOST_LIVE, Output, Parser, Pending, TxId, Way};

/// Events of Kerberos, by their names in rules.
pub const EVENTS: &[&str] = &["krb5.malformed_data", "krb5.weak_encryption"];

/// Longest message of a stream.
const MOST_MESSAGE: usize = 100_000;

/// What is known of a message.
struct Known {
    kind: MessageType,
    cname: Option<PrincipalName>,
    realm: Option<Realm>,
    sname: Option<PrincipalName>,
    encryption: Option<EncryptionType>,
    ticket_encryption: Option<EncryptionType>,
    error: Option<ErrorCode>,
    /// What an error is the answer to.
    failed: Option<MessageType>,
}

impl Known {
    fn new(kind: MessageType) -> Self {
        Self {
            kind,
            cname: None,
            realm: None,
            sname: None,
            encryption: None,
            ticket_encryption: None,
            error: None,
            failed: None,
        }
    }
}

/// Reads Kerberos.
#[derive(Debug)]
pub struct Krb5 {
    udp: bool,
    pending: [Pending; 2],
    /// The request that was seen last, and has no answer.
    asked: Option<MessageType>,
    objects: VecDeque<(TxId, Value)>,
    failed: bool,
}

impl Krb5 {
    /// For a flow of Kerberos.
    pub fn new(udp: bool) -> Self {
        Self {
            udp,
            pending: Default::default(),
            asked: None,
            objects: VecDeque::new(),
            failed: false,
        }
    }

    /// A whole message; false where it is none.
    fn message(&mut self, way: Way, message: &[u8], out: &mut Output) -> bool {
        // An application tag with its number (ITU-T X.690).
        let Some(kind) = message.first().filter(|first| *first >> 6 == 1) else {
            return !message.is_empty();
        };
        let known = match kind & 0x1f {
            10 => {
                self.asked = Some(MessageType::KRB_AS_REQ);
                let request = krb5_parser::parse_as_req(message);
                request.ok().map(|(_, request)| asked(request))
            }
            12 => {
                self.asked = Some(MessageType::KRB_TGS_REQ);
                let request = krb5_parser::parse_tgs_req(message);
                request.ok().map(|(_, request)| asked(request))
            }
            11 => {
                self.asked = None;
                let answer = krb5_parser::parse_as_rep(message);
                answer.ok().map(|(_, answer)| answered(answer))
            }
            13 => {
                self.asked = None;
                let answer = krb5_parser::parse_tgs_rep(message);
                answer.ok().map(|(_, answer)| answered(answer))
            }
            30 => {
                let failed = self.asked.take();
                let error = KrbError::from_der(message);
                error.ok().map(|(_, error)| Known {
                    cname: error.cname,
                    realm: error.crealm,
                    sname: Some(error.sname),
                    error: Some(error.error_code),
                    failed,
                    ..Known::new(MessageType::KRB_ERROR)
                })
            }
            14 => {
                self.asked = Some(MessageType::KRB_AP_REQ);
                None
            }
            15 => {
                self.asked = None;
                None
            }
            _ => None,
        };
        if let Some(known) = known {
            self.show(way, &known, out);
        }
        true
    }

    fn show(&mut self, way: Way, known: &Known, out: &mut Output) {
        let tx = out.begin();
        out.number(tx, way, AppField::Krb5MsgType, known.kind.0.into());
        if let Some(code) = known.error.and_then(|error| u64::try_from(error.0).ok()) {
            out.number(tx, way, AppField::Krb5ErrCode, code);
        }
        if let Some(encryption) = known.ticket_encryption {
            let bits = encryption.0.cast_unsigned();
            out.number(tx, way, AppField::Krb5TicketEncryption, bits.into());
        }
        // Of what is meant for the client: the ticket's is the service's matter.
        if known.encryption.is_some_and(is_weak) {
            out.event(tx, "krb5.weak_encryption");
        }
        if way == Way::ToClient {
            let names = [
                (AppBuffer::Krb5Cname, &known.cname),
                (AppBuffer::Krb5Sname, &known.sname),
            ];
            for (buffer, name) in names {
                for part in name.iter().flat_map(|name| &name.name_string) {
                    out.put(tx, way, buffer, part.as_bytes());
                }
            }
        }
        out.finish(tx);
        let object = object(known);
        if out.logs() && way == Way::ToClient {
            out.log(way, "krb5", object.clone());
        }
        if self.objects.len() >= MOST_LIVE {
            self.objects.pop_front();
        }
        self.objects.push_back((tx, object));
    }

    /// Messages with four bytes of length before each.
    fn stream(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        let mut pending = std::mem::take(&mut self.pending[way as usize]);
        while !data.is_empty() && !self.failed {
            let waits = pending.bytes().len();
            let wanted = match pending.bytes().first_chunk() {
                Some(len) => u32::from_be_bytes(*len) as usize + 4,
                None => 4,
            };
            if wanted > MOST_MESSAGE {
                self.failed = true;
                break;
            }
            let (piece, rest) = data.split_at(wanted.saturating_sub(waits).min(data.len()));
            data = rest;
            self.failed = !pending.add(piece, MOST_MESSAGE);
            if wanted > 4 && pending.bytes().len() == wanted {
                let message = pending.bytes().get(4..).unwrap_or_default();
                self.failed |= !self.message(way, message, out);
                pending.clear();
            } else if pending.bytes() == [0; 4] {
                pending.clear();
            }
        }
        if self.failed {
            out.fail();
            return;
        }
        self.pending[way as usize] = pending;
    }
}

fn asked(request: KdcReq<'_>) -> Known {
    let body = request.req_body;
    Known {
        cname: body.cname,
        realm: Some(body.realm),
        sname: body.sname,
        ..Known::new(request.msg_type)
    }
}

fn answered(answer: KdcRep<'_>) -> Known {
    Known {
        cname: Some(answer.cname),
        realm: Some(answer.crealm),
        sname: Some(answer.ticket.sname),
        encryption: Some(answer.enc_part.etype),
        ticket_encryption: Some(answer.ticket.enc_part.etype),
        ..Known::new(answer.msg_type)
    }
}

/// All but AES and Camellia are weak, or deprecated (RFC 6649, RFC 8429).
fn is_weak(encryption: EncryptionType) -> bool {
    !matches!(
        encryption,
        EncryptionType::AES128_CTS_HMAC_SHA1_96
            | EncryptionType::AES256_CTS_HMAC_SHA1_96
            | EncryptionType::AES128_CTS_HMAC_SHA256_128
            | EncryptionType::AES256_CTS_HMAC_SHA384_192
            | EncryptionType::CAMELLIA128_CTS_CMAC
            | EncryptionType::CAMELLIA256_CTS_CMAC
    )
}

/// The `krb5` object.
fn object(known: &Known) -> Value {
    let mut object = Map::new();
    object.insert("msg_type".into(), json!(format!("{:?}", known.kind)));
    if let Some(error) = known.error {
        let failed = known.failed.map(|kind| format!("{kind:?}"));
        let failed = failed.unwrap_or_else(|| "UNKNOWN".to_owned());
        object.insert("failed_request".into(), json!(failed));
        object.insert("error_code".into(), json!(format!("{error:?}")));
    }
    let name = |name: &Option<PrincipalName>| {
        let name = name.as_ref().map(ToString::to_string);
        json!(name.unwrap_or_else(|| "<empty>".to_owned()))
    };
    object.insert("cname".into(), name(&known.cname));
    let realm = known.realm.as_ref().map_or("<empty>", |realm| &realm.0);
    object.insert("realm".into(), json!(realm));
    object.insert("sname".into(), name(&known.sname));
    let encryption = known.encryption.map(|encryption| format!("{encryption:?}"));
    let encryption = encryption.unwrap_or_else(|| "<none>".to_owned());
    object.insert("encryption".into(), json!(encryption));
    let weak = known.encryption.is_some_and(is_weak);
    object.insert("weak_encryption".into(), json!(weak));
    if let Some(encryption) = known.ticket_encryption {
        let shown = json!(format!("{encryption:?}"));
        object.insert("ticket_encryption".into(), shown);
        let weak = is_weak(encryption);
        object.insert("ticket_weak_encryption".into(), json!(weak));
    }
    Value::Object(object)
}

impl Parser for Krb5 {
    fn proto(&self) -> AppProto {
        AppProto::Krb5
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        while let Some((tx, _)) = self.objects.front() {
            if out.get(*tx).is_some() {
                break;
            }
            self.objects.pop_front();
        }
        if self.udp {
            // A datagram that is none is that datagram's matter.
            self.message(way, data, out);
        } else if !self.failed {
            self.stream(way, data, out);
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        self.failed = true;
        out.fail();
    }

    fn end(&mut self, way: Way, _out: &mut Output) {
        self.pending[way as usize].clear();
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let found = self.objects.binary_search_by_key(&tx, |(id, _)| *id);
        let (_, object) = self.objects.get(found.ok()?)?;
        Some(("krb5", object.clone()))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(Pending::memory).sum();
        pending + self.objects.len() * 1024
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    fn texts(out: &Output, buffer: AppBuffer) -> Vec<String> {
        let of_tx = |tx: &crate::app::Transaction| -> Vec<String> {
            let buffers = tx.buffers(Way::ToClient, buffer);
            buffers
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .collect()
        };
        out.transactions().flat_map(of_tx).collect()
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
        assert_eq!(texts(out, AppBuffer::Krb5Cname), ["alice"]);
        let names = texts(out, AppBuffer::Krb5Sname);
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
}
