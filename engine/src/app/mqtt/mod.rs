//! MQTT 3.1, 3.1.1 and 5: a question and its answers are a transaction, of the direction of the question.

mod message;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use self::message::{Header, Message};
use super::remember::Held;
use super::{AppField, AppProto, MOST_LIVE, Output, Parser, Pending, TxId, Way};

/// Events of MQTT, by their names in rules.
pub const EVENTS: &[&str] = &[
    "mqtt.missing_connect",
    "mqtt.missing_publish",
    "mqtt.missing_subscribe",
    "mqtt.missing_unsubscribe",
    "mqtt.double_connect",
    "mqtt.unintroduced_message",
    "mqtt.invalid_qos_level",
    "mqtt.missing_msg_id",
    "mqtt.unassigned_msg_type",
    "mqtt.too_many_transactions",
    "mqtt.malformed_traffic",
];

/// Longest message; longer ones are left out, but told.
const MOST_MESSAGE: usize = 1 << 20;

/// Most transactions that wait for an answer; the oldest is over then.
const MOST_OPEN: usize = MOST_LIVE - 16;

/// Most bytes of what records show of transactions that wait; beyond that, too, the oldest is over.
const MOST_HELD: usize = 4 << 20;

/// Which answer a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For the answer to a CONNECT.
    Connack,
    /// For messages with this identifier.
    Id(u16),
    /// For nothing that can come.
    Never,
    /// It is over.
    Done,
}

/// A transaction that is remembered.
#[derive(Debug)]
struct Open {
    tx: TxId,
    way: Way,
    waits: Waits,
    object: Map<String, Value>,
    /// Bytes of the object.
    held: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    pending: Pending,
    /// Bytes of a message that is too long.
    skip: usize,
    ended: bool,
}

/// Reads MQTT.
#[derive(Debug, Default)]
pub struct Mqtt {
    sides: [Side; 2],
    version: u8,
    connected: bool,
    open: VecDeque<Open>,
    /// How many of them are not over, and bytes of their objects.
    waiting: usize,
    waiting_held: usize,
    /// Bytes of all objects.
    held: usize,
    failed: bool,
}

impl Mqtt {
    /// For a flow of MQTT.
    pub fn new() -> Self {
        Self::default()
    }

    fn begin(&mut self, way: Way, out: &mut Output) -> usize {
        self.tidy();
        let waiting = |open: &Open| open.waits != Waits::Done;
        while (self.waiting >= MOST_OPEN || self.waiting_held > MOST_HELD)
            && let Some(at) = self.open.iter().position(waiting)
        {
            if let Some(open) = self.open.get(at) {
                out.event(open.tx, "mqtt.too_many_transactions");
            }
            self.finish(at, out);
        }
        self.waiting += 1;
        self.open.push_back(Open {
            tx: out.begin(),
            way,
            waits: Waits::Never,
            object: Map::new(),
            held: 0,
        });
        self.open.len() - 1
    }

    /// However many messages come at once: of those that are over the latest are remembered.
    fn tidy(&mut self) {
        if self.open.len() < 2 * MOST_LIVE {
            return;
        }
        let old = self.open.len() - MOST_LIVE / 2;
        let mut at = 0;
        self.keep(|open| {
            at += 1;
            at > old || open.waits != Waits::Done
        });
    }

    /// Remembers those for which this is true.
    fn keep(&mut self, mut is_kept: impl FnMut(&Open) -> bool) {
        let held = &mut self.held;
        self.open.retain(|open| {
            let kept = is_kept(open);
            *held = held.saturating_sub(if kept { 0 } else { open.held });
            kept
        });
    }

    /// Adds a message to a transaction.
    fn add(&mut self, at: usize, header: Header, message: Message<'_>, out: &mut Output) {
        let Some(open) = self.open.get_mut(at) else {
            return;
        };
        let (tx, way) = (open.tx, open.way);
        out.dropped += message.left_out;
        let flags = u64::from(header.dup) << 3 | u64::from(header.retain);
        out.number(tx, way, AppField::MqttType, header.kind.into());
        out.number(tx, way, AppField::MqttFlags, flags);
        out.number(tx, way, AppField::MqttQos, header.qos.into());
        for &reason in &message.reasons {
            out.number(tx, way, AppField::MqttReasonCode, reason.into());
        }
        if let Some(flags) = message.connect_flags {
            out.number(tx, way, AppField::MqttConnectFlags, flags.into());
        }
        if let Some(present) = message.session_present {
            out.number(tx, way, AppField::MqttSessionPresent, present.into());
        }
        for (buffer, bytes) in message.buffers {
            out.put(tx, way, buffer, bytes);
        }
        if header.kind != 0 {
            let object = Value::Object(message.object);
            let more = object.held();
            let old = open.object.insert(header.name().into(), object);
            let less = old.as_ref().map_or(0, Held::held);
            open.held = (open.held + more).saturating_sub(less);
            self.held = (self.held + more).saturating_sub(less);
            self.waiting_held = (self.waiting_held + more).saturating_sub(less);
        }
    }

    fn finish(&mut self, at: usize, out: &mut Output) {
        let version = self.version;
        let Some(open) = self.open.get_mut(at) else {
            return;
        };
        if std::mem::replace(&mut open.waits, Waits::Done) == Waits::Done {
            return;
        }
        self.waiting = self.waiting.saturating_sub(1);
        self.waiting_held = self.waiting_held.saturating_sub(open.held);
        out.number(
            open.tx,
            open.way,
            AppField::MqttProtocolVersion,
            version.into(),
        );
        // What ends elsewhere is still of its own direction.
        let way = std::mem::replace(&mut out.way, open.way);
        out.finish(open.tx);
        out.way = way;
        if out.logs() {
            out.log(open.way, "mqtt", Value::Object(open.object.clone()));
        }
    }

    /// A whole message.
    fn message(&mut self, way: Way, header: Header, body: &[u8], out: &mut Output) {
        let version = self.version;
        let Some(message) = Message::read(header, body, version) else {
            self.malformed(way, out);
            return;
        };
        if let Some(version) = message.version {
            self.version = version;
        }
        let id = message.id;
        let answers = match header.kind {
            2 => Some((Waits::Connack, "mqtt.missing_connect")),
            4..=7 => id.map(|id| (Waits::Id(id), "mqtt.missing_publish")),
            9 => id.map(|id| (Waits::Id(id), "mqtt.missing_subscribe")),
            11 => id.map(|id| (Waits::Id(id), "mqtt.missing_unsubscribe")),
            _ => None,
        };
        if let Some((waits, missing)) = answers {
            let asked = self.open.iter().position(|open| open.waits == waits);
            let at = asked.unwrap_or_else(|| self.begin(way, out));
            self.add(at, header, message, out);
            match (asked, header.kind) {
                (None, kind) => {
                    self.event(at, missing, out);
                    if kind != 2 {
                        self.unintroduced(at, out);
                    }
                    self.finish(at, out);
                }
                // There is more to come.
                (Some(_), 5 | 6) => {}
                (Some(_), kind) => {
                    self.connected |= kind == 2;
                    self.finish(at, out);
                }
            }
            return;
        }
        let at = self.begin(way, out);
        self.add(at, header, message, out);
        let waits = match header.kind {
            0 => {
                self.event(at, "mqtt.unassigned_msg_type", out);
                Waits::Done
            }
            1 => {
                if self.connected {
                    self.event(at, "mqtt.double_connect", out);
                }
                Waits::Connack
            }
            3 | 8 | 10 => {
                let waits = match (header.qos, id) {
                    (0, _) => Waits::Done,
                    (1 | 2, Some(id)) => Waits::Id(id),
                    (1 | 2, None) => {
                        self.event(at, "mqtt.missing_msg_id", out);
                        Waits::Never
                    }
                    _ => {
                        self.event(at, "mqtt.invalid_qos_level", out);
                        Waits::Never
                    }
                };
                self.unintroduced(at, out);
                waits
            }
            _ => {
                self.unintroduced(at, out);
                Waits::Done
            }
        };
        if waits == Waits::Done {
            self.finish(at, out);
        } else if let Some(open) = self.open.get_mut(at) {
            open.waits = waits;
        }
    }

    fn event(&self, at: usize, event: &'static str, out: &mut Output) {
        if let Some(open) = self.open.get(at) {
            out.event(open.tx, event);
        }
    }

    fn unintroduced(&self, at: usize, out: &mut Output) {
        if !self.connected {
            self.event(at, "mqtt.unintroduced_message", out);
        }
    }

    fn malformed(&mut self, way: Way, out: &mut Output) {
        let at = self.begin(way, out);
        self.event(at, "mqtt.malformed_traffic", out);
        self.finish(at, out);
        self.failed = true;
        out.fail();
    }

    /// A message that is too long to be kept.
    fn too_long(&mut self, way: Way, header: Header, out: &mut Output) {
        let at = self.begin(way, out);
        let mut object = header.object();
        object.insert("truncated".into(), json!(true));
        object.insert("skipped_length".into(), json!(header.size + header.len));
        let message = Message {
            object,
            ..Message::default()
        };
        self.add(at, header, message, out);
        self.finish(at, out);
    }

    fn forget(&mut self, out: &Output) {
        self.keep(|open| open.waits != Waits::Done || out.get(open.tx).is_some());
    }
}

impl Parser for Mqtt {
    fn proto(&self) -> AppProto {
        AppProto::Mqtt
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        self.forget(out);
        while !data.is_empty() && !self.failed {
            let side = &mut self.sides[way as usize];
            if side.skip > 0 {
                let (skipped, rest) = data.split_at(side.skip.min(data.len()));
                side.skip -= skipped.len();
                data = rest;
                continue;
            }
            // Whole messages are read where they are; the rest waits.
            let waits = side.pending.bytes().len();
            let bytes = if waits > 0 {
                side.pending.bytes()
            } else {
                data
            };
            let header = match Header::read(bytes) {
                Ok(Some(header)) => header,
                Ok(None) => {
                    let (byte, rest) = data.split_at(1);
                    let _ = side.pending.add(byte, MOST_MESSAGE);
                    data = rest;
                    // A message can be all header.
                    if let Ok(Some(header)) = Header::read(side.pending.bytes())
                        && header.len == 0
                    {
                        side.pending.clear();
                        self.message(way, header, &[], out);
                    }
                    continue;
                }
                Err(()) => {
                    self.malformed(way, out);
                    return;
                }
            };
            let len = header.size + header.len;
            if header.len > MOST_MESSAGE {
                side.skip = len - waits;
                side.pending.clear();
                self.too_long(way, header, out);
                continue;
            }
            let (piece, rest) = data.split_at(len.saturating_sub(waits).min(data.len()));
            data = rest;
            if waits == 0 && piece.len() == len {
                let body = piece.get(header.size..).unwrap_or_default();
                self.message(way, header, body, out);
                continue;
            }
            let _ = side.pending.add(piece, MOST_MESSAGE + 8);
            if side.pending.bytes().len() >= len {
                let pending = std::mem::take(&mut side.pending);
                let body = pending.bytes().get(header.size..).unwrap_or_default();
                self.message(way, header, body, out);
            }
        }
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        self.failed = true;
        out.fail();
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        let side = &mut self.sides[way as usize];
        side.ended = true;
        side.pending.clear();
        if self.sides.iter().all(|side| side.ended) {
            for at in 0..self.open.len() {
                self.finish(at, out);
            }
        }
    }

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let found = self.open.binary_search_by_key(&tx, |open| open.tx);
        let open = self.open.get(found.ok()?)?;
        Some(("mqtt", Value::Object(open.object.clone())))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.sides.iter().map(|side| side.pending.memory()).sum();
        pending + self.held + self.open.len() * size_of::<Open>()
    }
}
