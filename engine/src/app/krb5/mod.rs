//! Kerberos 5 (RFC 4120) over UDP and TCP: who asks for which service, errors, encryption. Each message is a transaction
//! of its own.

#[cfg(test)]
mod tests;

use kerberos_parser::krb5::{
    EncryptionType, ErrorCode, KdcRep, KdcReq, KrbError, MessageType, PrincipalName, Realm,
};
use kerberos_parser::krb5_parser;
use serde_json::{Map, Value, json};
use x509_parser::prelude::FromDer;

use super::remember::Remembered;
use super::{AppBuffer, AppField, AppProto, Output, Parser, Pending, TxId, Way};

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
    objects: Remembered<Value>,
    failed: bool,
}

impl Krb5 {
    /// For a flow of Kerberos.
    pub fn new(udp: bool) -> Self {
        Self {
            udp,
            pending: Default::default(),
            asked: None,
            objects: Remembered::default(),
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
        self.objects.put(tx, object, out);
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
        self.objects.forget(out);
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
        let object = self.objects.get(tx)?;
        Some(("krb5", object.clone()))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(Pending::memory).sum();
        pending + self.objects.memory()
    }
}
