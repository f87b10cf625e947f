//! QUIC: versions, and the hellos in the first packets, whose keys everybody knows. Each packet with a long header is a
//! transaction of its own, until the hello of its direction is known: what follows is encrypted.

mod crypto;
mod frames;
mod log;
mod packet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use self::crypto::InitialKeys;
use self::frames::Frame;
use self::packet::{Header, Kind, is_google};
use super::bytes::Bytes;
use super::remember::{Held, Remembered};
use super::tls::hello::Hello;
use super::tls::ja::{self, Grease};
use super::{AppBuffer, AppProto, Output, Parser, TxId, Way};

/// Events of QUIC, by their names in rules.
pub const EVENTS: &[&str] = &[
    "quic.failed_decrypt",
    "quic.error_on_data",
    "quic.error_on_header",
    "quic.crypto_frag_too_long",
];

/// Longest handshake that is put together.
const MOST_CRYPTO: u64 = 65_535;

/// Most pieces of it that wait, and most bytes of them.
const MOST_PIECES: usize = 256;
const MOST_WAITING: usize = 2 * MOST_CRYPTO as usize;

/// What a record shows of a packet.
#[derive(Debug, Default)]
struct Shown {
    version: u32,
    client: bool,
    sni: Option<Vec<u8>>,
    ua: Option<Vec<u8>>,
    cyu: Vec<String>,
    ja3: Option<String>,
    ja4: Option<String>,
    extensions: Vec<u16>,
    alpns: Vec<Vec<u8>>,
}

impl Held for Shown {
    fn held(&self) -> usize {
        let names = self.sni.iter().chain(&self.ua).map(Vec::len);
        let texts = self.cyu.iter().chain(&self.ja3).chain(&self.ja4);
        let texts = texts.map(|text| size_of::<String>() + text.len());
        let alpns = self
            .alpns
            .iter()
            .map(|alpn| size_of::<Vec<u8>>() + alpn.len());
        let bytes = names.chain(texts).chain(alpns).sum::<usize>();
        size_of::<Self>() + bytes + self.extensions.len() * size_of::<u16>()
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// Pieces of the handshake, by where they belong.
    pieces: BTreeMap<u64, Vec<u8>>,
    /// Bytes of them.
    waiting: usize,
    said_hello: bool,
}

/// Reads QUIC.
#[derive(Debug, Default)]
pub struct Quic {
    keys: Option<InitialKeys>,
    sides: [Side; 2],
    retried: bool,
    packets: Remembered<Shown>,
}

impl Side {
    /// Adds a piece of the handshake; false where there is no room. Of two that begin at the same place the longer one
    /// counts.
    fn add(&mut self, offset: u64, data: &[u8]) -> bool {
        let old = self.pieces.get(&offset).map_or(0, Vec::len);
        if data.len() <= old {
            return true;
        }
        let waiting = self.waiting - old + data.len();
        let fits = waiting <= MOST_WAITING && self.pieces.len() < MOST_PIECES;
        if fits {
            self.waiting = waiting;
            self.pieces.insert(offset, data.to_vec());
        }
        fits
    }

    fn clear(&mut self) {
        self.pieces = BTreeMap::new();
        self.waiting = 0;
    }

    /// Kind and length of the message that the handshake begins with.
    fn message(&self) -> Option<(u8, usize)> {
        let first = match self.pieces.get(&0) {
            Some(piece) if piece.len() >= 4 => piece.get(..4)?.to_vec(),
            _ => self.whole(4)?,
        };
        let mut bytes = Bytes(&first);
        Some((bytes.u8()?, bytes.u24()?))
    }

    /// The first bytes, where all of them are here.
    fn whole(&self, len: usize) -> Option<Vec<u8>> {
        let mut known = 0_u64;
        for (&offset, piece) in &self.pieces {
            if offset > known {
                break;
            }
            known = known.max(offset.saturating_add(piece.len() as u64));
        }
        if known < len as u64 {
            return None;
        }
        let mut whole: Vec<u8> = Vec::with_capacity(len);
        for (&offset, piece) in &self.pieces {
            let skip = usize::try_from((whole.len() as u64).checked_sub(offset)?).ok()?;
            whole.extend_from_slice(piece.get(skip..).unwrap_or_default());
            if whole.len() >= len {
                break;
            }
        }
        whole.truncate(len);
        Some(whole)
    }
}

impl Quic {
    /// For a flow of QUIC.
    pub fn new() -> Self {
        Self::default()
    }

    /// The packet at the front; how many bytes it takes, `None` where nothing after it can be read.
    fn packet(&mut self, way: Way, data: &[u8], out: &mut Output) -> Option<usize> {
        let header = Header::read(data).ok().flatten()?;
        if self.sides[way as usize].said_hello {
            return None;
        }
        let len = header.size + header.len;
        if header.kind == Kind::Initial && self.keys.is_none() {
            self.keys = InitialKeys::new(header.version, header.destination);
        } else if header.kind == Kind::Retry
            && way == Way::ToClient
            && self.keys.is_some()
            && !self.retried
        {
            // The client begins again, with other keys.
            self.retried = true;
            self.keys = None;
            self.sides[Way::ToServer as usize] = Side::default();
        }
        let mut shown = Shown {
            version: header.version,
            client: way == Way::ToServer,
            ..Shown::default()
        };
        let mut event = None;
        if header.kind == Kind::Initial {
            event = self
                .initial(way, data.get(..len)?, header, &mut shown, out)
                .err();
        }
        self.show(way, shown, event, out);
        // What was wrong with one is likely to be wrong with the rest.
        event
            .is_none_or(|event| event == "quic.crypto_frag_too_long")
            .then_some(len)
    }

    /// A first packet; the error is the event.
    fn initial(
        &mut self,
        way: Way,
        packet: &[u8],
        header: Header<'_>,
        shown: &mut Shown,
        out: &Output,
    ) -> Result<(), &'static str> {
        let opened = match &self.keys {
            Some(keys) if header.len > 0 => {
                let opened = keys.open(way as usize, packet, header.size);
                opened.ok_or("quic.failed_decrypt")?
            }
            _ if is_google(header.version) => {
                packet.get(header.size..).unwrap_or_default().to_vec()
            }
            // A version that nobody knows.
            _ => return Ok(()),
        };
        let frames = frames::read(&opened).ok_or("quic.error_on_data")?;
        let mut too_long = false;
        for frame in frames {
            match frame {
                Frame::Crypto { offset, data } => {
                    let end = offset.saturating_add(data.len() as u64);
                    let fits = end <= MOST_CRYPTO;
                    too_long |= !fits || !self.sides[way as usize].add(offset, data);
                }
                Frame::Tags(tags) => show_tags(&tags, header.version, shown),
            }
        }
        self.hello(way, shown, out)?;
        if too_long {
            return Err("quic.crypto_frag_too_long");
        }
        Ok(())
    }

    /// Reads the hello, once it is whole.
    fn hello(&mut self, way: Way, shown: &mut Shown, out: &Output) -> Result<(), &'static str> {
        let side = &mut self.sides[way as usize];
        let Some((kind, len)) = side.message() else {
            return Ok(());
        };
        if !matches!(kind, 1 | 2) {
            side.clear();
            return Err("quic.error_on_data");
        }
        let Some(whole) = side.whole(len + 4) else {
            return Ok(());
        };
        let body = whole.get(4..).unwrap_or_default();
        let server = kind == 2;
        let hello = Hello::read(body, server, false, &mut |_| ());
        side.said_hello = true;
        side.clear();
        shown.ja3 = Some(if server {
            ja::ja3s(&hello, Grease::In)
        } else {
            ja::ja3(&hello, Grease::In)
        });
        let wants_ja4 = out.wants(AppBuffer::Ja4Hash);
        if way == Way::ToServer && wants_ja4 {
            shown.ja4 = Some(ja::ja4(&hello, true));
        }
        if hello.sni.is_some() {
            shown.sni = hello.sni;
        }
        shown.extensions = hello.extensions;
        shown.alpns = hello.alpns;
        Ok(())
    }

    fn show(&mut self, way: Way, shown: Shown, event: Option<&'static str>, out: &mut Output) {
        use AppBuffer::*;
        let tx = out.begin();
        if let Some(event) = event {
            out.event(tx, event);
        }
        out.put(tx, way, QuicVersion, &shown.version.to_be_bytes());
        for (buffer, text) in [(QuicSni, &shown.sni), (QuicUa, &shown.ua)] {
            if let Some(text) = text {
                out.put(tx, way, buffer, text);
            }
        }
        for text in &shown.cyu {
            out.put(tx, way, QuicCyuString, text.as_bytes());
            out.put(tx, way, QuicCyuHash, ja::ja3_hash(text).as_bytes());
        }
        if let Some(text) = &shown.ja3 {
            let (string, hash) = match way {
                Way::ToServer => (Ja3String, Ja3Hash),
                Way::ToClient => (Ja3sString, Ja3sHash),
            };
            out.put(tx, way, string, text.as_bytes());
            out.put(tx, way, hash, ja::ja3_hash(text).as_bytes());
        }
        if let Some(ja4) = &shown.ja4 {
            out.put(tx, way, Ja4Hash, ja4.as_bytes());
        }
        out.finish(tx);
        if out.logs() {
            out.log(way, "quic", log::object(&shown));
        }
        self.packets.put(tx, shown, out);
    }
}

/// Google's hellos: server, user agent, and the fingerprint of Cyu (Salesforce, BSD).
fn show_tags(tags: &[frames::Tag<'_>], version: u32, shown: &mut Shown) {
    for &(tag, value) in tags {
        match tag {
            "SNI" => shown.sni = Some(value.to_vec()),
            "UAID" => shown.ua = Some(value.to_vec()),
            _ => {}
        }
    }
    let version = match version & 0xff {
        0x33 => "43",
        // As Suricata has it.
        0x34 | 0x35 => "44",
        _ => "46",
    };
    let names: Vec<_> = tags.iter().map(|&(tag, _)| tag).collect();
    shown.cyu.push(format!("{version},{}", names.join("-")));
}

impl Parser for Quic {
    fn proto(&self) -> AppProto {
        AppProto::Quic
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        self.packets.forget(out);
        // A datagram can have several packets.
        while !data.is_empty() {
            let Some(len) = self.packet(way, data, out) else {
                return;
            };
            data = data.get(len..).unwrap_or_default();
        }
    }

    fn gap(&mut self, _way: Way, _out: &mut Output) {}

    fn end(&mut self, way: Way, _out: &mut Output) {
        self.sides[way as usize].clear();
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let shown = self.packets.get(tx)?;
        Some(("quic", log::object(shown)))
    }

    fn memory(&self) -> usize {
        let pieces = self.sides.iter().flat_map(|side| side.pieces.values());
        let pieces: usize = pieces.map(|piece| piece.capacity() + 48).sum();
        pieces + self.packets.memory()
    }
}
