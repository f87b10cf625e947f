//! MQTT messages (OASIS MQTT 3.1, 3.1.1 and 5.0): what rules look at, and how EVE shows them.

use serde_json::{Map, Value, json};

use crate::app::AppBuffer;
use crate::app::bytes::Bytes;
use crate::app::text::eve_text;

/// Most topics of a message that rules see.
const MOST_TOPICS: usize = 100;

/// Most properties and reasons of a message that a record shows.
const MOST_PROPERTIES: usize = 256;
const MOST_REASONS: usize = 1024;

/// Most bytes of a text in records.
const MOST_TEXT: usize = 1024;

/// The first bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) dup: bool,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Bytes of the header.
    pub(super) size: usize,
    /// Bytes of what follows.
    pub(super) len: usize,
}

impl Header {
    /// The header at the front: `Ok(None)` where more is needed, an error where its length is none.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, ()> {
        let Some((&first, mut rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let Some(len) = varint(&mut rest)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            kind: first >> 4,
            dup: first & 8 != 0,
            qos: first >> 1 & 3,
            retain: first & 1 != 0,
            size: bytes.len() - rest.len(),
            len,
        }))
    }

    /// The name of the message in EVE.
    pub(super) fn name(self) -> &'static str {
        match self.kind {
            1 => "connect",
            2 => "connack",
            3 => "publish",
            4 => "puback",
            5 => "pubrec",
            6 => "pubrel",
            7 => "pubcomp",
            8 => "subscribe",
            9 => "suback",
            10 => "unsubscribe",
            11 => "unsuback",
            12 => "pingreq",
            13 => "pingresp",
            14 => "disconnect",
            15 => "auth",
            _ => "unassigned",
        }
    }

    /// What every message shows.
    pub(super) fn object(self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("qos".into(), json!(self.qos));
        object.insert("retain".into(), json!(self.retain));
        object.insert("dup".into(), json!(self.dup));
        object
    }
}

/// A number of up to four bytes of seven bits each (MQTT 5.0, section 1.5.5).
fn varint(bytes: &mut &[u8]) -> Result<Option<usize>, ()> {
    let mut number = 0;
    for at in 0..4 {
        let Some(&byte) = bytes.get(at) else {
            return Ok(None);
        };
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(at + 1..).unwrap_or_default();
            return Ok(Some(number));
        }
    }
    Err(())
}

/// A message.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    /// The identifier that answers have as well.
    pub(super) id: Option<u16>,
    /// Of a CONNECT.
    pub(super) version: Option<u8>,
    pub(super) connect_flags: Option<u8>,
    pub(super) session_present: Option<bool>,
    pub(super) reasons: Vec<u8>,
    pub(super) buffers: Vec<(AppBuffer, &'a [u8])>,
    pub(super) object: Map<String, Value>,
    /// Topics, properties and reasons for which there was no room.
    pub(super) left_out: u64,
}

impl<'a> Message<'a> {
    /// Reads what follows the header; `None` where it makes no sense.
    pub(super) fn read(header: Header, body: &'a [u8], version: u8) -> Option<Self> {
        let mut message = Self {
            object: header.object(),
            ..Self::default()
        };
        let mut bytes = Bytes(body);
        match header.kind {
            1 => message.connect(&mut bytes)?,
            2 => {
                let present = bytes.u8()? & 1 != 0;
                let code = bytes.u8()?;
                message.session_present = Some(present);
                message.reasons.push(code);
                message.set("session_present", json!(present));
                message.set("return_code", json!(code));
                message.properties(&mut bytes, version, true)?;
            }
            3 => message.publish(&mut bytes, header.qos, version)?,
            4..=7 => {
                message.read_id(&mut bytes)?;
                message.reason(&mut bytes, version)?;
            }
            8 | 10 => message.topics(&mut bytes, version, header.kind == 8)?,
            9 => {
                message.read_id(&mut bytes)?;
                message.properties(&mut bytes, version, false)?;
                message.reasons.extend_from_slice(bytes.rest());
                message.set_reasons("qos_granted");
            }
            11 => {
                message.read_id(&mut bytes)?;
                message.properties(&mut bytes, version, false)?;
                if version >= 5 {
                    message.reasons.extend_from_slice(bytes.rest());
                }
                if !message.reasons.is_empty() {
                    message.set_reasons("reason_codes");
                }
            }
            14 | 15 => message.reason(&mut bytes, version)?,
            _ => {}
        }
        Some(message)
    }

    fn set(&mut self, name: &str, value: Value) {
        self.object.insert(name.into(), value);
    }

    fn set_reasons(&mut self, name: &str) {
        let count = self.reasons.len().min(MOST_REASONS);
        self.left_out += (self.reasons.len() - count) as u64;
        let shown = json!(self.reasons.get(..count).unwrap_or_default());
        self.set(name, shown);
    }

    fn put(&mut self, buffer: AppBuffer, bytes: &'a [u8]) {
        self.buffers.push((buffer, bytes));
    }

    fn read_id(&mut self, bytes: &mut Bytes<'a>) -> Option<()> {
        let id = bytes.u16()?;
        self.id = Some(id);
        self.set("message_id", json!(id));
        Some(())
    }

    /// A reason and properties, of version 5; either can be left out.
    fn reason(&mut self, bytes: &mut Bytes<'a>, version: u8) -> Option<()> {
        if version < 5 {
            return Some(());
        }
        let code = bytes.u8().unwrap_or(0);
        self.reasons.push(code);
        self.set("reason_code", json!(code));
        if !bytes.is_empty() {
            self.properties(bytes, version, true)?;
        }
        Some(())
    }

    fn connect(&mut self, bytes: &mut Bytes<'a>) -> Option<()> {
        let name = bytes.counted16()?;
        let (version, flags) = (bytes.u8()?, bytes.u8()?);
        bytes.u16()?;
        self.put(AppBuffer::MqttProtocolString, name);
        self.version = Some(version);
        self.connect_flags = Some(flags);
        self.set("protocol_string", text(name));
        self.set("protocol_version", json!(version));
        self.properties(bytes, version, true)?;
        let client = bytes.counted16()?;
        self.put(AppBuffer::MqttClientId, client);
        self.set("client_id", text(client));
        let shown = json!({
            "username": flags & 0x80 != 0,
            "password": flags & 0x40 != 0,
            "will_retain": flags & 0x20 != 0,
            "will": flags & 0x04 != 0,
            "clean_session": flags & 0x02 != 0,
        });
        self.set("flags", shown);
        if flags & 0x04 != 0 {
            let properties = read_properties(bytes, version, &mut self.left_out)?;
            let (topic, message) = (bytes.counted16()?, bytes.counted16()?);
            self.put(AppBuffer::MqttWillTopic, topic);
            self.put(AppBuffer::MqttWillMessage, message);
            let mut will = Map::new();
            will.insert("topic".into(), text(topic));
            will.insert("message".into(), text(message));
            if let Some(properties) = properties {
                will.insert("properties".into(), Value::Object(properties));
            }
            self.set("will", Value::Object(will));
        }
        if flags & 0x80 != 0 {
            let user = bytes.counted16()?;
            self.put(AppBuffer::MqttUsername, user);
            self.set("username", text(user));
        }
        if flags & 0x40 != 0 {
            // Records do not tell it.
            let password = bytes.counted16()?;
            self.put(AppBuffer::MqttPassword, password);
        }
        Some(())
    }

    fn publish(&mut self, bytes: &mut Bytes<'a>, qos: u8, version: u8) -> Option<()> {
        let topic = bytes.counted16()?;
        self.put(AppBuffer::MqttPublishTopic, topic);
        self.set("topic", text(topic));
        if qos > 0 {
            self.read_id(bytes)?;
        }
        self.properties(bytes, version, true)?;
        let message = bytes.rest();
        self.put(AppBuffer::MqttPublishMessage, message);
        self.set("message", text(message));
        Some(())
    }

    fn topics(&mut self, bytes: &mut Bytes<'a>, version: u8, subscribes: bool) -> Option<()> {
        self.read_id(bytes)?;
        self.properties(bytes, version, subscribes)?;
        let mut topics = Vec::new();
        while !bytes.is_empty() {
            let topic = bytes.counted16()?;
            let qos = if subscribes { bytes.u8()? & 3 } else { 0 };
            if topics.len() >= MOST_TOPICS {
                self.left_out += 1;
                continue;
            }
            if subscribes {
                self.put(AppBuffer::MqttSubscribeTopic, topic);
                topics.push(json!({"topic": text(topic), "qos": qos}));
            } else {
                self.put(AppBuffer::MqttUnsubscribeTopic, topic);
                topics.push(text(topic));
            }
        }
        self.set("topics", Value::Array(topics));
        Some(())
    }

    fn properties(&mut self, bytes: &mut Bytes<'a>, version: u8, shown: bool) -> Option<()> {
        let properties = read_properties(bytes, version, &mut self.left_out)?;
        if let Some(properties) = properties.filter(|_| shown) {
            self.set("properties", Value::Object(properties));
        }
        Some(())
    }
}

/// Text in a record, cut where it is long.
fn text(bytes: &[u8]) -> Value {
    json!(cut(bytes))
}

fn cut(bytes: &[u8]) -> String {
    let Some((shown, more)) = bytes
        .split_at_checked(MOST_TEXT)
        .filter(|(_, more)| !more.is_empty())
    else {
        return eve_text(bytes);
    };
    let shown = eve_text(shown);
    format!("{shown}[truncated {} additional bytes]", more.len())
}

/// Properties of version 5; none before. `left_out` counts those for which there is no room.
fn read_properties(
    bytes: &mut Bytes<'_>,
    version: u8,
    left_out: &mut u64,
) -> Option<Option<Map<String, Value>>> {
    if version < 5 {
        return Some(None);
    }
    let len = varint(&mut bytes.0).ok().flatten()?;
    let mut list = bytes.part(len)?;
    let mut properties = Map::new();
    while !list.is_empty() {
        let (name, value) = property(&mut list)?;
        if properties.len() < MOST_PROPERTIES || properties.contains_key(&name) {
            properties.insert(name, value);
        } else {
            *left_out += 1;
        }
    }
    Some((!properties.is_empty()).then_some(properties))
}

/// One property (MQTT 5.0, section 2.2.2.2).
fn property(list: &mut Bytes<'_>) -> Option<(String, Value)> {
    let kind = list.u8()?;
    let name = match kind {
        1 => "payload_format_indicator",
        2 => "message_expiry_interval",
        3 => "content_type",
        8 => "response_topic",
        9 => "correlation_data",
        11 => "subscription_identifier",
        17 => "session_expiry_interval",
        18 => "assigned_client_identifier",
        19 => "server_keep_alive",
        21 => "authentication_method",
        22 => "authentication_data",
        23 => "request_problem_information",
        24 => "will_delay_interval",
        25 => "request_response_information",
        26 => "response_information",
        28 => "server_reference",
        31 => "reason_string",
        33 => "receive_maximum",
        34 => "topic_alias_maximum",
        35 => "topic_alias",
        36 => "maximum_qos",
        37 => "retain_available",
        38 => {
            let (key, value) = (list.counted16()?, list.counted16()?);
            return Some((cut(key), text(value)));
        }
        39 => "maximum_packet_size",
        40 => "wildcard_subscription_available",
        41 => "subscription_identifiers_available",
        42 => "shared_subscription_available",
        _ => return None,
    };
    let value = match kind {
        1 | 23 | 25 | 36 | 37 | 40..=42 => json!(list.u8()?),
        19 | 33..=35 => json!(list.u16()?),
        2 | 17 | 24 | 39 => json!(list.u32()?),
        11 => json!(varint(&mut list.0).ok().flatten()?),
        _ => text(list.counted16()?),
    };
    Some((name.to_owned(), value))
}
