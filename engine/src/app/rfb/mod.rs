//! RFB, the protocol of VNC (RFC 6143): versions, how the client shows who it is, whether the server believes it, and the
//! name of the desktop. One transaction a connection: its handshake. What comes after is not read.
//!
//! Limits: a message of the handshake has at most 64 KiB, longer names and reasons are cut there.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::bytes::Bytes;
use super::remember::Held;
use super::text::{eve_text, hex};
use super::{AppBuffer, AppField, AppProto, Output, Parser, Pending, TxId, Way, level};

/// Events of RFB, by their names in rules.
pub const EVENTS: &[&str] = &[
    "rfb.malformed_message",
    "rfb.unimplemented_security_type",
    "rfb.unknown_security_result",
];

/// Most bytes that wait for a message's end.
const MOST_PENDING: usize = 64 * 1024;

/// What comes next, and from whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    ServerVersion,
    ClientVersion,
    /// The server's offer, from version 3.7 on.
    Offer,
    Choice,
    /// What the server has chosen, in version 3.3.
    ServerChoice,
    Challenge,
    Response,
    Result,
    Reason,
    ClientInit,
    ServerInit,
    Over,
}

impl Step {
    fn way(self) -> Option<Way> {
        Some(match self {
            Self::ClientVersion | Self::Choice | Self::Response | Self::ClientInit => Way::ToServer,
            Self::Over => return None,
            _ => Way::ToClient,
        })
    }
}

/// Why a message was not read.
enum Stop {
    /// It is not complete.
    More,
    Malformed,
}

/// Reads RFB.
#[derive(Debug, Default)]
pub struct Rfb {
    step: Step,
    pending: [Pending; 2],
    tx: Option<TxId>,
    object: Map<String, Value>,
    authentication: Map<String, Value>,
    secrets: Map<String, Value>,
    /// Bytes of all that, once it is over.
    held: usize,
    /// From version 3.8 on the server says whether it believes a client that has nothing to show.
    always_result: bool,
    logged: bool,
}

impl Rfb {
    /// For a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one message; how many bytes it had.
    fn message(&mut self, bytes: &[u8], out: &mut Output) -> Result<usize, Stop> {
        let mut rest = Bytes(bytes);
        let tx = match self.tx {
            Some(tx) => tx,
            None => *self.tx.insert(out.begin()),
        };
        match self.step {
            Step::ServerVersion | Step::ClientVersion => self.version(&mut rest)?,
            Step::Offer => {
                let count = rest.u8().ok_or(Stop::More)?;
                rest.take(count.into()).ok_or(Stop::More)?;
                self.step = if count == 0 {
                    Step::Reason
                } else {
                    Step::Choice
                };
            }
            Step::Choice => {
                let kind = rest.u8().ok_or(Stop::More)?;
                self.chosen(kind.into(), tx, out);
            }
            Step::ServerChoice => {
                let kind = rest.u32().ok_or(Stop::More)?;
                self.chosen(kind, tx, out);
            }
            Step::Challenge | Step::Response => {
                let secret = rest.take(16).ok_or(Stop::More)?;
                let (name, next) = match self.step {
                    Step::Challenge => ("challenge", Step::Response),
                    _ => ("response", Step::Result),
                };
                self.secrets.insert(name.into(), hex(secret, "").into());
                self.step = next;
            }
            Step::Result => {
                let result = rest.u32().ok_or(Stop::More)?;
                self.result(result, tx, out);
            }
            Step::Reason => {
                let text = long_text(&mut rest)?;
                let reason = eve_text(text);
                self.object
                    .insert("server_security_failure_reason".into(), reason.into());
                self.over(tx, out);
            }
            Step::ClientInit => {
                let shared = rest.u8().ok_or(Stop::More)?;
                self.object
                    .insert("screen_shared".into(), (shared != 0).into());
                out.reach(tx, Way::ToServer, level::BODY);
                self.step = Step::ServerInit;
            }
            Step::ServerInit => {
                let (framebuffer, name) = framebuffer(&mut rest)?;
                self.object.insert("framebuffer".into(), framebuffer);
                if !name.is_empty() {
                    out.put(tx, Way::ToClient, AppBuffer::RfbName, name);
                }
                self.over(tx, out);
            }
            Step::Over => {}
        }
        Ok(bytes.len() - rest.len())
    }

    /// `RFB 003.008` and a line feed.
    fn version(&mut self, rest: &mut Bytes<'_>) -> Result<(), Stop> {
        let line = rest.take(12).ok_or(Stop::More)?;
        let [b'R', b'F', b'B', b' ', major @ .., b'\n'] = line else {
            return Err(Stop::Malformed);
        };
        let (Some(major), Some(b'.'), Some(minor)) =
            (major.get(..3), major.get(3), major.get(4..7))
        else {
            return Err(Stop::Malformed);
        };
        let version = json!({ "major": eve_text(major), "minor": eve_text(minor) });
        let (name, next) = match self.step {
            Step::ServerVersion => ("server_protocol_version", Step::ClientVersion),
            _ if major == b"003" && minor == b"003" => {
                ("client_protocol_version", Step::ServerChoice)
            }
            _ => ("client_protocol_version", Step::Offer),
        };
        self.object.insert(name.into(), version);
        self.always_result = (major, minor) >= (b"003", b"008");
        self.step = next;
        Ok(())
    }

    fn chosen(&mut self, kind: u32, tx: TxId, out: &mut Output) {
        let of_server = self.step == Step::ServerChoice;
        out.number(tx, Way::ToServer, AppField::RfbSecType, kind.into());
        out.reach(tx, Way::ToServer, level::START);
        self.authentication
            .insert("security_type".into(), kind.into());
        self.step = match kind {
            0 if of_server => Step::Reason,
            1 if self.always_result => Step::Result,
            1 => Step::ClientInit,
            2 => Step::Challenge,
            _ => {
                out.event(tx, "rfb.unimplemented_security_type");
                self.over(tx, out);
                Step::Over
            }
        };
    }

    fn result(&mut self, result: u32, tx: TxId, out: &mut Output) {
        out.number(tx, Way::ToClient, AppField::RfbSecResult, result.into());
        out.reach(tx, Way::ToClient, level::START);
        let (text, next) = match result {
            0 => ("OK".to_owned(), Step::ClientInit),
            1 => ("FAIL".to_owned(), Step::Reason),
            2 => ("TOOMANY".to_owned(), Step::Reason),
            _ => {
                out.event(tx, "rfb.unknown_security_result");
                (format!("UNKNOWN ({result})"), Step::Over)
            }
        };
        self.authentication
            .insert("security_result".into(), text.into());
        self.step = next;
        if next == Step::Over {
            self.over(tx, out);
        }
    }

    /// Nothing more is read.
    fn over(&mut self, tx: TxId, out: &mut Output) {
        self.step = Step::Over;
        self.pending = Default::default();
        out.finish(tx);
        if !std::mem::replace(&mut self.logged, true) {
            let object = self.object();
            self.held = object.held();
            out.log(Way::ToServer, "rfb", object);
        }
    }

    fn object(&self) -> Value {
        let mut object = self.object.clone();
        let mut authentication = self.authentication.clone();
        if !self.secrets.is_empty() {
            authentication.insert("vnc".into(), self.secrets.clone().into());
        }
        object.insert("authentication".into(), authentication.into());
        object.into()
    }
}

/// Four bytes of length and a text, cut at the limit.
fn long_text<'a>(rest: &mut Bytes<'a>) -> Result<&'a [u8], Stop> {
    let len = rest.u32().ok_or(Stop::More)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    rest.take(len.min(MOST_PENDING / 2)).ok_or(Stop::More)
}

/// The screen, and the desktop's name.
fn framebuffer<'a>(rest: &mut Bytes<'a>) -> Result<(Value, &'a [u8]), Stop> {
    let mut pair = || rest.u16().ok_or(Stop::More);
    let (width, height) = (pair()?, pair()?);
    let format = rest.take(16).ok_or(Stop::More)?;
    let [
        bits,
        depth,
        big_endian,
        true_color,
        maxima @ ..,
        red,
        green,
        blue,
        _,
        _,
        _,
    ] = format
    else {
        return Err(Stop::More);
    };
    let mut maxima = Bytes(maxima);
    let mut most = || maxima.u16().unwrap_or_default();
    let (red_max, green_max, blue_max) = (most(), most(), most());
    let name = long_text(rest)?;
    let object = json!({
        "width": width, "height": height, "name": eve_text(name),
        "pixel_format": {
            "bits_per_pixel": bits, "depth": depth, "big_endian": *big_endian != 0,
            "true_color": *true_color != 0, "red_max": red_max, "green_max": green_max,
            "blue_max": blue_max, "red_shift": red, "green_shift": green, "blue_shift": blue,
        },
    });
    Ok((object, name))
}

impl Parser for Rfb {
    fn proto(&self) -> AppProto {
        AppProto::Rfb
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        let mut fits = true;
        if self.step != Step::Over {
            fits = self.pending[way as usize].add(data, MOST_PENDING);
        }
        // What waited for the other side may go on now.
        while let Some(way) = self.step.way() {
            let bytes = std::mem::take(&mut self.pending[way as usize]);
            if bytes.bytes().is_empty() {
                break;
            }
            match self.message(bytes.bytes(), out) {
                Ok(used) => {
                    let rest = bytes.bytes().get(used..).unwrap_or_default();
                    // There is room: it was there before.
                    let _ = self.pending[way as usize].add(rest, MOST_PENDING);
                }
                Err(Stop::More) => {
                    self.pending[way as usize] = bytes;
                    break;
                }
                Err(Stop::Malformed) => fits = false,
            }
            if !fits {
                break;
            }
        }
        if !fits {
            if let Some(tx) = self.tx {
                out.event(tx, "rfb.malformed_message");
                self.over(tx, out);
            }
            self.step = Step::Over;
            out.fail();
        }
        if self.step == Step::Over {
            self.pending = Default::default();
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        if self.step != Step::Over {
            if let Some(tx) = self.tx {
                self.over(tx, out);
            }
            self.step = Step::Over;
            out.fail();
        }
    }

    fn end(&mut self, _way: Way, out: &mut Output) {
        if let Some(tx) = self.tx
            && self.step != Step::Over
        {
            self.over(tx, out);
        }
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        (self.tx == Some(tx)).then(|| ("rfb", self.object()))
    }

    fn memory(&self) -> usize {
        let pending: usize = self
            .pending
            .iter()
            .map(|pending| pending.bytes().len())
            .sum();
        // Before it is over there are no texts of any length.
        pending + size_of::<Self>() + self.held
    }
}
