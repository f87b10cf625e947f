//! SSH (RFC 4253): banners, and the algorithms that are offered (HASSH, Salesforce, BSD). What follows new keys is encrypted.

#[cfg(test)]
mod tests;

use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::text::{eve_text, hex};
use super::{AppBuffer, AppProto, Output, Parser, Pending, TxId, Way, level};

/// Events of SSH, by their names in rules.
pub const EVENTS: &[&str] = &[
    "ssh.invalid_banner",
    "ssh.long_banner",
    "ssh.invalid_record",
    "ssh.long_kex_record",
];

/// From how many bytes on a banner is too long; what is behind it is left out.
const LONG_BANNER: usize = 256;

/// Length, padding and code of a record.
const HEADER: usize = 6;

/// Most bytes of an offer of algorithms.
const MOST_OFFER: usize = 65_535;

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// How far a direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Banner,
    /// A banner that was too long, and has not ended.
    BannerTail,
    Header,
    /// Bytes of a record that nobody needs.
    Skip(usize),
    /// An offer of algorithms of this many bytes.
    Offer(usize),
    Encrypted,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    state: State,
    pending: Pending,
    proto: Vec<u8>,
    software: Vec<u8>,
    /// Hash and string.
    hassh: Option<(String, Vec<u8>)>,
}

/// Reads SSH.
#[derive(Debug, Default)]
pub struct Ssh {
    tx: Option<TxId>,
    sides: [Side; 2],
    logged: bool,
    failed: bool,
}

impl Ssh {
    /// For a flow of SSH.
    pub fn new() -> Self {
        Self::default()
    }

    fn tx(&mut self, out: &mut Output) -> TxId {
        *self.tx.get_or_insert_with(|| out.begin())
    }

    fn fail(&mut self, event: Option<&'static str>, out: &mut Output) {
        let tx = self.tx(out);
        if let Some(event) = event {
            out.event(tx, event);
        }
        self.failed = true;
        out.finish(tx);
        out.fail();
    }

    /// Takes what it can of the data, once; the rest.
    fn step<'a>(&mut self, way: Way, data: &'a [u8], out: &mut Output) -> &'a [u8] {
        let side = &mut self.sides[way as usize];
        match side.state {
            State::Banner => self.banner(way, data, out),
            State::BannerTail => {
                let end = data.iter().position(|&byte| byte == b'\n');
                if end.is_some() {
                    side.state = State::Header;
                }
                rest(data, end.map_or(data.len(), |end| end + 1))
            }
            State::Header => self.header(way, data, out),
            State::Skip(left) => {
                let taken = left.min(data.len());
                side.state = if taken < left {
                    State::Skip(left - taken)
                } else {
                    State::Header
                };
                rest(data, taken)
            }
            State::Offer(len) => {
                let missing = len.saturating_sub(side.pending.bytes().len());
                let (piece, rest) = data.split_at(missing.min(data.len()));
                if !side.pending.add(piece, MOST_OFFER) || side.pending.bytes().len() < len {
                    return rest;
                }
                let offer = std::mem::take(&mut side.pending);
                side.state = State::Header;
                self.offer(way, offer.bytes(), out);
                rest
            }
            State::Encrypted => &[],
        }
    }

    fn banner<'a>(&mut self, way: Way, data: &'a [u8], out: &mut Output) -> &'a [u8] {
        let tx = self.tx(out);
        let side = &mut self.sides[way as usize];
        let room = LONG_BANNER.saturating_sub(side.pending.bytes().len());
        let waits_for_feed = side.pending.bytes().last() == Some(&b'\r');
        if waits_for_feed {
            // The end of the line is known now: a line feed goes with it, anything else does not.
            let taken = usize::from(data.first() == Some(&b'\n'));
            let line = std::mem::take(&mut side.pending);
            let line = line.bytes().strip_suffix(b"\r").unwrap_or_default();
            self.banner_line(way, line, State::Header, out);
            return rest(data, taken);
        }
        let end = data.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let piece = data.get(..end.unwrap_or(data.len())).unwrap_or(data);
        if piece.len() >= room {
            // Too long: it is taken as it is, cut.
            let _ = side
                .pending
                .add(piece.get(..room).unwrap_or(piece), LONG_BANNER);
            let line = std::mem::take(&mut side.pending);
            out.event(tx, "ssh.long_banner");
            self.banner_line(way, line.bytes(), State::BannerTail, out);
            return rest(data, room);
        }
        let _ = side.pending.add(piece, LONG_BANNER);
        let Some(end) = end else { return &[] };
        if data.get(end) == Some(&b'\r') {
            let _ = side.pending.add(b"\r", LONG_BANNER + 1);
        } else {
            let line = std::mem::take(&mut side.pending);
            self.banner_line(way, line.bytes(), State::Header, out);
        }
        rest(data, end + 1)
    }

    /// `SSH-2.0-software comments`.
    fn banner_line(&mut self, way: Way, line: &[u8], next: State, out: &mut Output) {
        let tx = self.tx(out);
        let parts = line.strip_prefix(b"SSH-").and_then(|line| {
            let dash = line.iter().position(|&byte| byte == b'-');
            line.split_at_checked(dash.filter(|&dash| dash > 0)?)
        });
        let Some((proto, software)) = parts else {
            self.fail(Some("ssh.invalid_banner"), out);
            return;
        };
        let software = software.strip_prefix(b"-").unwrap_or_default();
        let software = software.split(|&byte| byte == b' ').next();
        let software = software.unwrap_or_default();
        out.put(tx, way, AppBuffer::SshProto, proto);
        if !software.is_empty() {
            out.put(tx, way, AppBuffer::SshSoftware, software);
        }
        out.reach(tx, way, level::START);
        let side = &mut self.sides[way as usize];
        side.proto = proto.to_vec();
        side.software = software.to_vec();
        side.state = next;
    }

    fn header<'a>(&mut self, way: Way, data: &'a [u8], out: &mut Output) -> &'a [u8] {
        let side = &mut self.sides[way as usize];
        let missing = HEADER.saturating_sub(side.pending.bytes().len());
        let (piece, rest) = data.split_at(missing.min(data.len()));
        let _ = side.pending.add(piece, HEADER);
        let mut bytes = Bytes(side.pending.bytes());
        let len = bytes.u32().map(|len| len as usize);
        if len.is_some_and(|len| len < 2) {
            self.fail(Some("ssh.invalid_record"), out);
            return &[];
        }
        let (Some(len), Some(_padding), Some(code)) = (len, bytes.u8(), bytes.u8()) else {
            return rest;
        };
        let len = len - 2;
        side.pending.clear();
        side.state = match code {
            NEWKEYS => State::Encrypted,
            KEXINIT if wants(way, out) && len <= MOST_OFFER => State::Offer(len),
            _ if len == 0 => State::Header,
            _ => State::Skip(len),
        };
        match code {
            NEWKEYS => self.new_keys(way, out),
            KEXINIT => {
                let tx = self.tx(out);
                if wants(way, out) && len > MOST_OFFER {
                    out.event(tx, "ssh.long_kex_record");
                }
                if !wants(way, out) || len > MOST_OFFER {
                    out.reach(tx, way, level::HEAD);
                }
            }
            _ => {}
        }
        rest
    }

    fn offer(&mut self, way: Way, body: &[u8], out: &mut Output) {
        let tx = self.tx(out);
        if let Some(text) = hassh_string(way, body) {
            let hash = hex(&Md5::digest(&text), "");
            let (hash_buffer, text_buffer) = buffers(way);
            out.put(tx, way, text_buffer, &text);
            out.put(tx, way, hash_buffer, hash.as_bytes());
            self.sides[way as usize].hassh = Some((hash, text));
        }
        out.reach(tx, way, level::HEAD);
    }

    fn new_keys(&mut self, way: Way, out: &mut Output) {
        let tx = self.tx(out);
        out.reach(tx, way, level::BODY);
        if self.sides.iter().all(|side| side.state == State::Encrypted) {
            self.log(out);
            out.finish(tx);
            out.opaque();
        }
    }

    /// Once both sides have said what they are, and what they offer where anybody asks for that.
    fn log(&mut self, out: &mut Output) {
        if !self.logged && self.sides.iter().all(|side| !side.proto.is_empty()) {
            self.logged = true;
            if out.logs() {
                out.log(Way::ToServer, "ssh", self.object());
            }
        }
    }

    fn object(&self) -> Value {
        let mut object = Map::new();
        for (name, side) in ["client", "server"].into_iter().zip(&self.sides) {
            if side.proto.is_empty() {
                continue;
            }
            let mut shown = Map::new();
            shown.insert("proto_version".into(), json!(eve_text(&side.proto)));
            if !side.software.is_empty() {
                let software = json!(eve_text(&side.software));
                shown.insert("software_version".into(), software);
            }
            if let Some((hash, text)) = &side.hassh {
                let hassh = json!({"hash": hash, "string": eve_text(text)});
                shown.insert("hassh".into(), hassh);
            }
            object.insert(name.into(), Value::Object(shown));
        }
        Value::Object(object)
    }
}

fn rest(data: &[u8], from: usize) -> &[u8] {
    data.get(from..).unwrap_or_default()
}

fn buffers(way: Way) -> (AppBuffer, AppBuffer) {
    match way {
        Way::ToServer => (AppBuffer::SshHassh, AppBuffer::SshHasshString),
        Way::ToClient => (AppBuffer::SshHasshServer, AppBuffer::SshHasshServerString),
    }
}

fn wants(way: Way, out: &Output) -> bool {
    let (hash, text) = buffers(way);
    out.wants(hash) || out.wants(text)
}

/// Key exchange, encryption, authentication and compression that a side offers for what it sends.
fn hassh_string(way: Way, body: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Bytes(body);
    bytes.take(16)?;
    let mut lists = [&[][..]; 10];
    for list in &mut lists {
        let len = bytes.u32()? as usize;
        *list = bytes.take(len)?;
    }
    // Whether a guess follows, and four bytes for later.
    bytes.take(5)?;
    let [kex, _, to_server, to_client @ ..] = lists;
    let [
        enc_to_client,
        mac_to_server,
        mac_to_client,
        zip_to_server,
        zip_to_client,
        ..,
    ] = to_client;
    let parts = match way {
        Way::ToServer => [kex, to_server, mac_to_server, zip_to_server],
        Way::ToClient => [kex, enc_to_client, mac_to_client, zip_to_client],
    };
    Some(parts.join(&b';'))
}

impl Parser for Ssh {
    fn proto(&self) -> AppProto {
        AppProto::Ssh
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        while !data.is_empty() && !self.failed {
            data = self.step(way, data, out);
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        // Once it is encrypted nothing is read.
        let read = self.sides.iter().any(|side| side.state != State::Encrypted);
        if read && !self.failed {
            self.fail(None, out);
        }
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if let Some(tx) = self.tx {
            out.reach(tx, way, level::DONE);
            if out.get(tx).is_none_or(super::Transaction::is_done) {
                self.log(out);
            }
        }
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        (self.tx == Some(tx)).then(|| ("ssh", self.object()))
    }

    fn memory(&self) -> usize {
        let memory = |side: &Side| {
            let hassh = side.hassh.as_ref();
            side.pending.memory()
                + side.proto.len()
                + side.software.len()
                + hassh.map_or(0, |(hash, text)| hash.len() + text.len())
        };
        self.sides.iter().map(memory).sum()
    }
}
