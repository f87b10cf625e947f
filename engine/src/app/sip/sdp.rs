//! Session descriptions (SDP, RFC 8866) in bodies of SIP messages, line by line.

use serde_json::{Map, Value, json};

use crate::app::text::eve_text;
use crate::app::{AppBuffer, Output, TxId, Way};

/// Most lines that are read.
const MOST_LINES: usize = 1024;

/// A line: its letter, what it says, and whether it is about a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    letter: u8,
    in_media: bool,
    value: Vec<u8>,
}

/// A description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sdp {
    lines: Vec<Line>,
    /// Lines for which there was no room.
    pub(super) left_out: u64,
}

impl Sdp {
    /// The description in a body; `None` where it does not begin as one.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(b"v=0")?;
        let mut lines = Vec::new();
        let mut in_media = false;
        let mut rest = body.split(|&byte| byte == b'\n').skip(1);
        for line in rest.by_ref().take(MOST_LINES) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let [letter, b'=', value @ ..] = line else {
                return Some(Self { lines, left_out: 0 });
            };
            in_media |= *letter == b'm';
            lines.push(Line {
                letter: *letter,
                in_media,
                value: value.to_vec(),
            });
        }
        let left_out = rest.filter(|line| !line.is_empty()).count() as u64;
        Some(Self { lines, left_out })
    }

    /// Puts what rules look at.
    pub(super) fn put(&self, tx: TxId, way: Way, out: &mut Output) {
        for line in &self.lines {
            if let Some(buffer) = buffer(line.letter, line.in_media) {
                out.put(tx, way, buffer, &line.value);
            }
        }
    }

    /// The `sdp` object.
    pub(super) fn object(&self) -> Value {
        let mut object = Map::new();
        object.insert("version".into(), json!(0));
        let mut media: Vec<Value> = Vec::new();
        for line in &self.lines {
            if line.letter == b'm' {
                media.push(json!({"media": eve_text(&line.value)}));
                continue;
            }
            let Some((name, many)) = name(line.letter, line.in_media) else {
                continue;
            };
            let part = if line.in_media {
                media.last_mut().and_then(Value::as_object_mut)
            } else {
                Some(&mut object)
            };
            let Some(part) = part else { continue };
            let value = json!(eve_text(&line.value));
            if many {
                let list = part.entry(name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(value);
                }
            } else {
                part.insert(name.into(), value);
            }
        }
        if !media.is_empty() {
            object.insert("media_descriptions".into(), Value::Array(media));
        }
        Value::Object(object)
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let lines = self.lines.iter().map(|line| line.value.len());
        lines.sum::<usize>() + self.lines.len() * size_of::<Line>()
    }
}

fn buffer(letter: u8, in_media: bool) -> Option<AppBuffer> {
    use AppBuffer::*;
    Some(match (letter, in_media) {
        (b'm', _) => SdpMedia,
        (b'i', true) => SdpMediaInfo,
        (b'c', true) => SdpMediaConnectionData,
        (b'k', true) => SdpMediaEncryptionKey,
        (b'b', _) => SdpBandwidth,
        (b'a', _) => SdpAttribute,
        (_, true) => return None,
        (b'o', _) => SdpOrigin,
        (b's', _) => SdpSessionName,
        (b'i', _) => SdpSessionInfo,
        (b'u', _) => SdpUri,
        (b'e', _) => SdpEmail,
        (b'p', _) => SdpPhoneNumber,
        (b'c', _) => SdpConnectionData,
        (b't', _) => SdpTime,
        (b'r', _) => SdpRepeatTime,
        (b'z', _) => SdpTimezone,
        (b'k', _) => SdpEncryptionKey,
        _ => return None,
    })
}

/// The name in EVE, and whether there can be several.
fn name(letter: u8, in_media: bool) -> Option<(&'static str, bool)> {
    Some(match letter {
        b'o' => ("origin", false),
        b's' => ("session_name", false),
        b'i' if in_media => ("media_info", false),
        b'i' => ("session_info", false),
        b'u' => ("uri", false),
        b'e' => ("email", false),
        b'p' => ("phone_number", false),
        b'c' => ("connection_data", false),
        b'b' => ("bandwidths", true),
        b't' => ("time", false),
        b'r' => ("repeat_time", false),
        b'z' => ("timezone", false),
        b'k' => ("encryption_key", false),
        b'a' => ("attributes", true),
        _ => return None,
    })
}
