//! The record layer: TLS and SSLv3 (RFC 8446, section 5), SSLv2, alerts, heartbeats (RFC 6520).

use super::{Broken, MOST_MESSAGE, Tls, hello, state};
use crate::app::bytes::Bytes;
use crate::app::{AppField, Output, Way, level};

/// Most bytes of a record: what RFC 5246 allows, encryption included.
const MOST_RECORD: usize = (1 << 14) + 1024;

/// Fewest bytes of a record with its header that says anything.
const FEWEST_RECORD: usize = 6;

/// How SSLv2 is told in `version`.
const SSL2: u16 = 0x0002;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// A handshake message that goes over several records.
#[derive(Debug)]
struct Message {
    kind: u8,
    len: usize,
    bytes: Vec<u8>,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Of the hello; before it, of records.
    pub(super) version: u16,
    said_hello: bool,
    /// The record at hand with its header, as far as it is here.
    pending: Vec<u8>,
    /// Bytes of application data that are still to be skipped.
    skip: usize,
    message: Option<Message>,
}

impl Side {
    pub(super) fn between_records(&self) -> bool {
        self.pending.is_empty() && self.skip == 0
    }

    pub(super) fn memory(&self) -> usize {
        let message = self.message.as_ref();
        self.pending.capacity() + message.map_or(0, |message| message.bytes.capacity())
    }
}

impl Tls {
    /// Records, in pieces as they come.
    pub(super) fn records(
        &mut self,
        way: Way,
        mut data: &[u8],
        out: &mut Output,
    ) -> Result<(), Broken> {
        let most = (data.len() / FEWEST_RECORD).max(1);
        let mut count = 0;
        while !data.is_empty() {
            let side = &mut self.sides[way as usize];
            if side.skip > 0 {
                let skipped = side.skip.min(data.len());
                side.skip -= skipped;
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            let (begun, first) = (side.pending.first(), data.first());
            // A record that began before counted then.
            if begun.is_none() {
                if count > most {
                    self.event("tls.too_many_records_in_packet", out);
                    return Err(Broken);
                }
                count += 1;
            }
            if begun.or(first).is_some_and(|first| first & 0xc0 != 0) {
                self.ssl2_record(way, &mut data, out)?;
            } else {
                self.tls_record(way, &mut data, out)?;
            }
        }
        Ok(())
    }

    /// Adds data to the record at hand until it has that many bytes; false where more are needed.
    fn fill(&mut self, way: Way, data: &mut &[u8], len: usize) -> bool {
        let pending = &mut self.sides[way as usize].pending;
        let missing = len.saturating_sub(pending.len()).min(data.len());
        let (taken, rest) = data.split_at(missing);
        pending.extend_from_slice(taken);
        *data = rest;
        pending.len() >= len
    }

    fn tls_record(&mut self, way: Way, data: &mut &[u8], out: &mut Output) -> Result<(), Broken> {
        let new = self.sides[way as usize].pending.len() < 5;
        if !self.fill(way, data, 5) {
            return Ok(());
        }
        let side = &mut self.sides[way as usize];
        let &[kind, high, low, len_high, len_low, ..] = side.pending.as_slice() else {
            return Ok(());
        };
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        if new && !self.check_header(way, kind, u16::from_be_bytes([high, low]), len, out)? {
            // It goes with all that came together with it.
            self.sides[way as usize].pending.clear();
            *data = &[];
            return Ok(());
        }
        if kind == APPLICATION_DATA {
            let side = &mut self.sides[way as usize];
            side.pending.clear();
            side.skip = len;
            self.application_data(way, out);
            return Ok(());
        }
        if !self.fill(way, data, 5 + len) {
            return Ok(());
        }
        let record = std::mem::take(&mut self.sides[way as usize].pending);
        let body = record.get(5..).unwrap_or_default();
        match kind {
            CHANGE_CIPHER_SPEC => {
                self.changed[way as usize] = true;
                self.handshake_done(way, out);
                Ok(())
            }
            ALERT => self.alert(body, out),
            HANDSHAKE => self.handshake_record(way, body, out),
            _ => self.heartbeat(way, body, out),
        }
    }

    /// False where the record is of a kind that is not known, and it is not the end.
    fn check_header(
        &mut self,
        way: Way,
        kind: u8,
        version: u16,
        len: usize,
        out: &mut Output,
    ) -> Result<bool, Broken> {
        let side = &mut self.sides[way as usize];
        let before = side.version;
        // The hello's counts for more.
        if !side.said_hello || before == 0 || before == SSL2 {
            side.version = version;
        }
        let now = side.version;
        let mut odd = None;
        if !matches!(kind, CHANGE_CIPHER_SPEC..=HEARTBEAT) {
            if matches!(before, 0x0301 | 0x0302) {
                side.version = before;
                self.event("tls.invalid_record_type", out);
                return Ok(false);
            }
            odd = Some("tls.invalid_record_type");
        } else if len == 0 {
            odd = Some("tls.invalid_record_length");
        } else if !hello::is_version(now) {
            odd = Some("tls.invalid_record_version");
        } else if len > MOST_RECORD {
            odd = Some("tls.invalid_record_length");
        }
        match odd {
            Some(odd) => {
                self.event(odd, out);
                Err(Broken)
            }
            None => Ok(true),
        }
    }

    fn application_data(&mut self, way: Way, out: &mut Output) {
        if self.early_data && self.hellos[1].is_none() {
            // The handshake goes on.
            return;
        }
        self.handshake_done(way, out);
        out.opaque();
    }

    fn alert(&mut self, body: &[u8], out: &mut Output) -> Result<(), Broken> {
        match body {
            [] | [_] => {
                self.event("tls.invalid_alert_message", out);
                Err(Broken)
            }
            // Fatal. What is longer is encrypted.
            [2, _] => {
                self.finish(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn handshake_record(&mut self, way: Way, body: &[u8], out: &mut Output) -> Result<(), Broken> {
        if self.changed.contains(&true) {
            // A change of cipher spec is for show only before the server hello of TLS 1.3; else this is encrypted.
            let waits = self.hellos[0].is_some()
                && self.hellos[1].is_none()
                && self.sides[0].version > hello::TLS12;
            if !waits {
                return Ok(());
            }
        }
        if body.len() < 4 {
            self.event("tls.invalid_ssl_record", out);
            return Err(Broken);
        }
        let result = self.handshake_messages(way, body, out);
        if result.is_err() {
            self.event("tls.invalid_handshake_message", out);
        }
        result
    }

    fn handshake_messages(
        &mut self,
        way: Way,
        body: &[u8],
        out: &mut Output,
    ) -> Result<(), Broken> {
        let mut bytes = Bytes(body);
        while !bytes.is_empty() {
            let open = self.sides[way as usize].message.take();
            if let Some(mut message) = open {
                let missing = message.len.saturating_sub(message.bytes.len());
                let more = bytes.take(missing.min(bytes.len())).unwrap_or_default();
                message.bytes.extend_from_slice(more);
                if message.bytes.len() < message.len {
                    self.sides[way as usize].message = Some(message);
                } else {
                    self.read_message(way, message.kind, &message.bytes, out)?;
                }
                continue;
            }
            let (Some(kind), Some(len)) = (bytes.u8(), bytes.u24()) else {
                self.event("tls.invalid_ssl_record", out);
                return Err(Broken);
            };
            let whole = bytes.take(len.min(bytes.len())).unwrap_or_default();
            if !matches!(kind, 0 | 1 | 2 | 4 | 11..=16 | 20..=22) {
                if !self.changed[way as usize] {
                    self.event("tls.invalid_handshake_message", out);
                }
            } else if whole.len() == len {
                self.read_message(way, kind, whole, out)?;
            } else if len > MOST_MESSAGE {
                return Err(Broken);
            } else {
                self.sides[way as usize].message = Some(Message {
                    kind,
                    len,
                    bytes: whole.to_vec(),
                });
            }
        }
        Ok(())
    }

    fn read_message(
        &mut self,
        way: Way,
        kind: u8,
        body: &[u8],
        out: &mut Output,
    ) -> Result<(), Broken> {
        self.handshake(way, kind, body, out)?;
        if matches!(kind, 1 | 2) {
            self.sides[way as usize].said_hello = true;
        }
        Ok(())
    }

    /// Heartbeats, in which OpenSSL once told too much (CVE-2014-0160).
    fn heartbeat(&mut self, way: Way, body: &[u8], out: &mut Output) -> Result<(), Broken> {
        let encrypted = self.changed.contains(&true);
        let mut bytes = Bytes(body);
        let (Some(kind), Some(payload)) = (bytes.u8(), bytes.u16()) else {
            return Ok(());
        };
        let odd = if !encrypted && !matches!(kind, 1 | 2) {
            Some("tls.invalid_heartbeat_message")
        } else {
            self.odd_heartbeat(way, encrypted, payload.into(), body.len())
        };
        match odd {
            Some(odd) => {
                self.event(odd, out);
                Err(Broken)
            }
            None => Ok(()),
        }
    }

    fn odd_heartbeat(
        &mut self,
        way: Way,
        encrypted: bool,
        payload: usize,
        len: usize,
    ) -> Option<&'static str> {
        match self.heartbeat {
            None => {
                self.heartbeat = Some(way);
                if encrypted {
                    self.heartbeat_len = len;
                    None
                } else if payload + 3 > len {
                    Some("tls.overflow_heartbeat_message")
                } else if len - payload - 3 < 16 {
                    Some("tls.invalid_heartbeat_message")
                } else {
                    None
                }
            }
            Some(asked) if asked == way => Some("tls.invalid_heartbeat_message"),
            Some(_) => {
                self.heartbeat = None;
                let asked = std::mem::take(&mut self.heartbeat_len);
                (encrypted && asked > 0 && asked < len).then_some("tls.dataleak_heartbeat_mismatch")
            }
        }
    }

    fn ssl2_record(&mut self, way: Way, data: &mut &[u8], out: &mut Output) -> Result<(), Broken> {
        let side = &mut self.sides[way as usize];
        side.version = SSL2;
        let first = side.pending.first().or(data.first()).copied();
        // Three bytes where there is padding, and the first byte of the message says its kind.
        let header = if first.is_some_and(|first| first & 0x80 != 0) {
            2
        } else {
            3
        };
        if !self.fill(way, data, header + 1) {
            return Ok(());
        }
        let side = &self.sides[way as usize];
        let &[high, low, ..] = side.pending.as_slice() else {
            return Ok(());
        };
        let mask = if header == 2 { 0x7f } else { 0x3f };
        let len = usize::from(u16::from_be_bytes([high & mask, low]));
        if len == 0 {
            self.event("tls.invalid_sslv2_header", out);
            self.event("tls.invalid_ssl_record", out);
            return Err(Broken);
        }
        if !self.fill(way, data, header + len) {
            return Ok(());
        }
        let record = std::mem::take(&mut self.sides[way as usize].pending);
        let mut body = Bytes(record.get(header..header + len).unwrap_or_default());
        let kind = body.u8().unwrap_or(0);
        self.ssl2_message(way, kind, body, out)
    }

    fn ssl2_message(
        &mut self,
        way: Way,
        kind: u8,
        mut body: Bytes<'_>,
        out: &mut Output,
    ) -> Result<(), Broken> {
        match kind {
            0 => self.event("tls.error_message_encountered", out),
            1 => {
                let version = body.u16();
                body.u16();
                let (Some(version), Some(session)) = (version, body.u16()) else {
                    self.event("tls.invalid_ssl_record", out);
                    return Err(Broken);
                };
                self.state = state::CLIENT_HELLO;
                self.v2_hellos[0] = true;
                self.v2_no_session = session == 0;
                self.sides[way as usize].version = version;
                self.sides[way as usize].said_hello = true;
                let tx = self.tx(out);
                out.number(tx, way, AppField::TlsVersion, version.into());
                self.reach(way, level::START, out);
            }
            2 => self.v2_master_key = true,
            4 => {
                self.state = state::SERVER_HELLO;
                self.v2_hellos[1] = true;
                let tx = self.tx(out);
                out.number(tx, way, AppField::TlsVersion, SSL2.into());
                self.reach(way, level::START, out);
            }
            3 | 5..=8 => {
                if kind == 8 && way == Way::ToServer {
                    self.state = state::CLIENT_KEYX;
                }
                if self.v2_hellos == [true; 2] {
                    self.v2_encrypted[way as usize] |=
                        way == Way::ToClient || self.v2_no_session || self.v2_master_key;
                }
                if self.v2_encrypted == [true; 2] {
                    out.opaque();
                }
            }
            _ => {}
        }
        Ok(())
    }
}
