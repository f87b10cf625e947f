//! TLS and SSL: hellos, certificates, fingerprints.
//!
//! One transaction for a flow: hellos are its first lines ([`level::START`]), certificates its headers ([`level::HEAD`]),
//! and it is over with the connection: what is odd about encrypted records can still be told. Once application data
//! flows nobody looks into payloads any more.

mod cert;
pub(crate) mod hello;
pub(crate) mod ja;
mod log;
mod record;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::cert::{Cert, MOST_NAMES};
use self::hello::{Hello, TLS12};
use self::ja::Grease;
use self::record::Side;
use super::bytes::Bytes;
use super::{AppBuffer, AppField, AppProto, Output, Parser, TxId, Way, level};

/// Events of TLS, by their names in rules.
pub const EVENTS: &[&str] = &[
    "tls.invalid_sslv2_header",
    "tls.invalid_tls_header",
    "tls.invalid_record_version",
    "tls.invalid_record_type",
    "tls.invalid_record_length",
    "tls.invalid_handshake_message",
    "tls.heartbeat_message",
    "tls.invalid_heartbeat_message",
    "tls.overflow_heartbeat_message",
    "tls.dataleak_heartbeat_mismatch",
    "tls.handshake_invalid_length",
    "tls.multiple_sni_extensions",
    "tls.invalid_sni_type",
    "tls.invalid_sni_length",
    "tls.too_many_records_in_packet",
    "tls.invalid_alert_message",
    "tls.invalid_certificate",
    "tls.certificate_missing_element",
    "tls.certificate_unknown_element",
    "tls.certificate_invalid_string",
    "tls.certificate_invalid_length",
    "tls.certificate_invalid_version",
    "tls.certificate_invalid_serial",
    "tls.certificate_invalid_algorithmidentifier",
    "tls.certificate_invalid_x509name",
    "tls.certificate_invalid_date",
    "tls.certificate_invalid_extensions",
    "tls.certificate_invalid_der",
    "tls.certificate_invalid_subject",
    "tls.certificate_invalid_issuer",
    "tls.certificate_invalid_validity",
    "tls.error_message_encountered",
    "tls.too_many_subject_alternative_names",
    "tls.invalid_ssl_record",
];

/// Longest handshake message: more than any chain of certificates that works.
const MOST_MESSAGE: usize = 256 << 10;

/// Most certificates of a chain that rules see.
const MOST_CERTS: u64 = 64;

/// `ssl_state`: the message that was read last.
mod state {
    pub(super) const CLIENT_HELLO: u64 = 1;
    pub(super) const SERVER_HELLO: u64 = 2;
    pub(super) const CLIENT_KEYX: u64 = 4;
    pub(super) const SERVER_KEYX: u64 = 8;
}

/// What cannot be read any further. What is wrong was told.
struct Broken;

/// Reads TLS.
#[derive(Debug, Default)]
pub struct Tls {
    tx: Option<TxId>,
    sides: [Side; 2],
    hellos: [Option<Hello>; 2],
    certs: [Option<Cert>; 2],
    /// Certificates seen.
    chain: [u64; 2],
    chain_seen: [bool; 2],
    /// Handshake over in this direction.
    done: [bool; 2],
    /// A change of cipher spec, by whom.
    changed: [bool; 2],
    ended: [bool; 2],
    /// Server hello of TLS 1.3: its certificates are not seen.
    hidden_certs: bool,
    client_cert_asked: bool,
    resumed: bool,
    early_data: bool,
    /// SSLv2: client and server hello seen, client and server encrypt.
    v2_hellos: [bool; 2],
    v2_encrypted: [bool; 2],
    v2_no_session: bool,
    v2_master_key: bool,
    /// A heartbeat is under way, and from whom; its length where it was encrypted.
    heartbeat: Option<Way>,
    heartbeat_len: usize,
    /// `ssl_state` of the message last read.
    state: u64,
    states_told: u64,
    ja3: Option<String>,
    ja3s: Option<String>,
    ja4: Option<String>,
    logged: bool,
    failed: bool,
}

impl Tls {
    /// For a flow of TLS.
    pub fn new() -> Self {
        Self::default()
    }

    fn tx(&mut self, out: &mut Output) -> TxId {
        *self.tx.get_or_insert_with(|| out.begin())
    }

    fn event(&mut self, event: &'static str, out: &mut Output) {
        let tx = self.tx(out);
        out.event(tx, event);
    }

    fn reach(&mut self, way: Way, level: u8, out: &mut Output) {
        let tx = self.tx(out);
        if level >= level::HEAD && !self.chain_seen[way as usize] {
            // It is known now that there are none, or none more.
            self.chain_seen[way as usize] = true;
            let count = self.chain[way as usize];
            out.number(tx, way, AppField::TlsCertChainLen, count);
        }
        out.reach(tx, way, level);
    }

    fn handshake_done(&mut self, way: Way, out: &mut Output) {
        if !std::mem::replace(&mut self.done[way as usize], true) {
            self.reach(way, level::BODY, out);
        }
    }

    fn finish(&mut self, out: &mut Output) {
        for way in Way::ALL {
            self.reach(way, level::DONE, out);
        }
        self.log(true, out);
    }

    fn fail(&mut self, out: &mut Output) {
        self.failed = true;
        self.finish(out);
        if let Some(tx) = self.tx {
            // It fails in this direction: rules about the other one have seen what there was.
            out.leave(tx, out.way.other());
        }
        out.fail();
    }

    /// A handshake message as a whole.
    fn handshake(
        &mut self,
        way: Way,
        kind: u8,
        body: &[u8],
        out: &mut Output,
    ) -> Result<(), Broken> {
        match kind {
            1 | 2 => self.hello(way, kind == 2, body, out),
            12 => self.state = state::SERVER_KEYX,
            16 => self.state = state::CLIENT_KEYX,
            11 => self.certificates(way, body, out),
            13 if way == Way::ToClient => {
                self.client_cert_asked = true;
                self.state = 0;
            }
            14 if way == Way::ToClient => self.reach(way, level::HEAD, out),
            _ => {}
        }
        Ok(())
    }

    fn hello(&mut self, way: Way, server: bool, body: &[u8], out: &mut Output) {
        let tx = self.tx(out);
        let side = &mut self.sides[way as usize];
        let first = self.hellos[way as usize].as_ref();
        let named = first.is_some_and(|hello| hello.sni.is_some());
        let hello = Hello::read(body, server, named, &mut |odd| out.event(tx, odd));
        self.state = if server {
            state::SERVER_HELLO
        } else {
            state::CLIENT_HELLO
        };
        side.version = hello.version;
        if server {
            let draft = hello.legacy_version == hello::TLS13 || hello.legacy_version >> 8 == 0x7f;
            self.hidden_certs |= draft || (hello.has_versions && hello.version > TLS12);
            let session = self.hellos[0].as_ref().map(|hello| &hello.session_id);
            let same = session.is_some_and(|id| !id.is_empty() && *id == hello.session_id);
            self.resumed |= same;
        } else {
            self.early_data |= hello.early_data;
            self.resumed |= hello.ticket;
        }
        // Only the first one is shown: another one follows a request to retry.
        if self.hellos[way as usize].is_none() {
            self.show_hello(way, server, &hello, tx, out);
            self.hellos[way as usize] = Some(hello);
        } else {
            self.reach(way, level::START, out);
        }
    }

    fn show_hello(&mut self, way: Way, server: bool, hello: &Hello, tx: TxId, out: &mut Output) {
        out.number(tx, way, AppField::TlsVersion, hello.version.into());
        if let Some(sni) = &hello.sni
            && !server
        {
            out.put(tx, way, AppBuffer::TlsSni, sni);
        }
        for alpn in &hello.alpns {
            out.put(tx, way, AppBuffer::TlsAlpn, alpn);
        }
        let (time, bytes) = hello.random.split_at(4);
        out.put(tx, way, AppBuffer::TlsRandom, &hello.random);
        out.put(tx, way, AppBuffer::TlsRandomTime, time);
        out.put(tx, way, AppBuffer::TlsRandomBytes, bytes);
        if hello.whole && wants_ja3(out) {
            let (text, buffers) = if server {
                (
                    ja::ja3s(hello, Grease::Out),
                    [AppBuffer::Ja3sString, AppBuffer::Ja3sHash],
                )
            } else {
                (
                    ja::ja3(hello, Grease::Out),
                    [AppBuffer::Ja3String, AppBuffer::Ja3Hash],
                )
            };
            out.put(tx, way, buffers[0], text.as_bytes());
            out.put(tx, way, buffers[1], ja::ja3_hash(&text).as_bytes());
            let kept = if server {
                &mut self.ja3s
            } else {
                &mut self.ja3
            };
            *kept = Some(text);
        }
        if !server && out.wants(AppBuffer::Ja4Hash) {
            let ja4 = ja::ja4(hello, false);
            out.put(tx, way, AppBuffer::Ja4Hash, ja4.as_bytes());
            self.ja4 = Some(ja4);
        }
        self.reach(way, level::START, out);
    }

    fn certificates(&mut self, way: Way, body: &[u8], out: &mut Output) {
        let tx = self.tx(out);
        let mut chain = Bytes(body).u24().and_then(|len| {
            let mut bytes = Bytes(body);
            bytes.take(3)?;
            bytes.part(len)
        });
        let known = self.certs[way as usize].is_some();
        let mut at = 0;
        while let Some(bytes) = chain.as_mut().filter(|bytes| !bytes.is_empty()) {
            let Some(der) = bytes.u24().and_then(|len| bytes.take(len)) else {
                out.event(tx, "tls.invalid_certificate");
                break;
            };
            at += 1;
            if at == 1 && !known {
                match Cert::read(der) {
                    Ok(cert) => self.show_cert(way, cert, tx, out),
                    Err(event) => {
                        out.event(tx, event);
                        continue;
                    }
                }
            }
            self.chain[way as usize] += 1;
            if self.chain[way as usize] <= MOST_CERTS {
                out.put(tx, way, AppBuffer::TlsCerts, der);
            } else {
                out.dropped += 1;
            }
        }
        self.reach(way, level::HEAD, out);
    }

    fn show_cert(&mut self, way: Way, cert: Cert, tx: TxId, out: &mut Output) {
        let texts = [
            (AppBuffer::TlsCertSubject, &cert.subject),
            (AppBuffer::TlsCertIssuer, &cert.issuer),
            (AppBuffer::TlsCertSerial, &cert.serial),
            (AppBuffer::TlsCertFingerprint, &cert.fingerprint),
        ];
        for (buffer, text) in texts {
            out.put(tx, way, buffer, text.as_bytes());
        }
        if cert.names.len() >= MOST_NAMES {
            out.event(tx, "tls.too_many_subject_alternative_names");
        }
        if way == Way::ToClient {
            for name in &cert.names {
                out.put(tx, way, AppBuffer::TlsSubjectAltName, name.as_bytes());
            }
            let times = [
                (AppField::TlsCertNotBefore, cert.not_before),
                (AppField::TlsCertNotAfter, cert.not_after),
            ];
            for (field, time) in times {
                out.number(tx, way, field, u64::try_from(time).unwrap_or(0));
            }
        }
        self.certs[way as usize] = Some(cert);
    }

    /// Writes the record, once the handshake is over: where there is a certificate, or where it is known why there is none.
    fn log(&mut self, last: bool, out: &mut Output) {
        let has_cert = self.certs[1].is_some();
        let over = match (has_cert, self.client_cert_asked) {
            (true, false) => true,
            (true, true) => self.certs[0].is_some() || self.done[0],
            (false, _) => self.done == [true; 2],
        };
        if self.logged || !(over || last) {
            return;
        }
        if has_cert || self.hidden_certs || (self.resumed && self.hellos[1].is_some()) {
            self.logged = true;
            if out.logs() {
                out.log(Way::ToServer, "tls", log::object(self));
            }
        }
    }

    /// `ssl_state` sees what the last message of a piece was.
    fn tell_state(&mut self, way: Way, out: &mut Output) {
        let bit = self.state;
        if bit != 0 && self.states_told & bit == 0 {
            self.states_told |= bit;
            let tx = self.tx(out);
            out.number(tx, way, AppField::TlsState, bit);
        }
    }
}

/// JA3 is made for all or for nobody.
fn wants_ja3(out: &Output) -> bool {
    use AppBuffer::{Ja3Hash, Ja3String, Ja3sHash, Ja3sString};
    let all = [Ja3Hash, Ja3String, Ja3sHash, Ja3sString];
    all.into_iter().any(|buffer| out.wants(buffer))
}

impl Parser for Tls {
    fn proto(&self) -> AppProto {
        AppProto::Tls
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        if self.failed || data.is_empty() {
            return;
        }
        self.tx(out);
        if self.sides[way as usize].between_records() {
            self.state = 0;
        }
        let result = self.records(way, data, out);
        self.tell_state(way, out);
        self.log(false, out);
        if result.is_err() {
            self.fail(out);
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        if !self.failed {
            self.fail(out);
        }
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if self.failed || self.tx.is_none() {
            return;
        }
        self.ended[way as usize] = true;
        if self.ended == [true; 2] {
            self.finish(out);
        } else {
            self.reach(way, level::BODY, out);
        }
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        (self.tx == Some(tx)).then(|| ("tls", log::object(self)))
    }

    fn memory(&self) -> usize {
        let sides: usize = self.sides.iter().map(Side::memory).sum();
        let hellos: usize = self.hellos.iter().flatten().map(Hello::memory).sum();
        let certs: usize = self.certs.iter().flatten().map(Cert::memory).sum();
        let prints = [&self.ja3, &self.ja3s, &self.ja4].into_iter().flatten();
        sides + hellos + certs + prints.map(String::len).sum::<usize>()
    }
}
