//! What rules ask of application layers.

use serde::{Deserialize, Serialize};

use super::{Buffer, Num, Rule};
use crate::app::{AppBuffer, AppField, AppProto, AppSet, Ways, level};

/// What a rule asks of the application layer beside its buffers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AppPlan {
    /// Flows of these protocols only; empty: of any, known or not.
    pub protos: AppSet,
    /// Tests on the transaction, all of which must hold.
    pub tests: Vec<AppTest>,
    /// Tests on which protocol was found, all of which must hold.
    pub protocols: Vec<ProtocolTest>,
    /// `=>`: what is asked of the request and of the answer must hold in the same transaction.
    pub both_ways: bool,
}

/// The name of an event, as the protocol that has it spells it.
pub type EventName = &'static str;

/// Reads the name of an event: it must be one that there is.
fn event<'de, D: serde::Deserializer<'de>>(from: D) -> Result<EventName, D::Error> {
    let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    let mut known = crate::app::events().chain(crate::app::FLOW_EVENTS.iter().copied());
    let found = known.find(|known| *known == name);
    found.ok_or_else(|| serde::de::Error::custom("an event that there is none of"))
}

/// Which of several numbers must pass a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// One of them.
    #[default]
    Any,
    /// All of them, and there is one.
    All,
    /// All of them, or there is none.
    AllOrNone,
    /// The one with this index; from the end where it is negative.
    At(i32),
    /// How many there are.
    Count,
}

/// A test on a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AppTest {
    /// A number.
    Number {
        /// Which.
        field: AppField,
        /// The comparison.
        num: Num,
        /// Which of several.
        which: Which,
        /// The keyword says in which direction it is meant; else it is the rule's.
        way: Option<bool>,
    },
    /// Some of a number's bits: `number & mask == value`.
    Bits {
        /// Which.
        field: AppField,
        /// Bits that are compared.
        mask: u64,
        /// What they must be.
        value: u64,
        /// `!`
        negated: bool,
    },
    /// Any of these bits, by a list of states (`ssl_state`).
    AnyBit {
        /// Which.
        field: AppField,
        /// Bits of which one must be set.
        mask: u64,
    },
    /// One of these values, or none of them.
    OneOf {
        /// Which.
        field: AppField,
        /// The values.
        values: Vec<u64>,
        /// `!`
        negated: bool,
    },
    /// A setting of HTTP/2: its number, and a comparison with its value.
    Setting {
        /// As in RFC 9113, 6.5.2.
        id: u16,
        /// Any value where it is none.
        num: Option<Num>,
    },
    /// An event of the transaction, by its name (`http.request_field_too_long`).
    Event(#[serde(deserialize_with = "event")] EventName),
    /// `dcerpc.iface`
    DceInterface {
        /// As it is written.
        uuid: [u8; 16],
        /// A comparison with the interface's major version.
        version: Option<Num>,
    },
    /// Some content of a list of buffers of the same kind, as hexadecimal hashes are compared (`filemd5` and its like).
    HashIn {
        /// Which.
        buffer: AppBuffer,
        /// Sorted.
        #[serde(with = "super::shared")]
        hashes: std::sync::Arc<Vec<Vec<u8>>>,
        /// `!`
        negated: bool,
    },
    /// The number, in seconds since the Unix epoch, is before or after the packet (`tls_cert_expired`).
    Age {
        /// Which.
        field: AppField,
        /// It must be in the past.
        past: bool,
    },
}

/// Which protocol of a flow is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtocolMode {
    /// The one found in the packet's direction.
    Direction,
    /// To the server.
    ToServer,
    /// To the client.
    ToClient,
    /// In either.
    Either,
    /// What the flow is read as.
    Final,
    /// What it was read as first.
    Original,
}

/// A test on which protocol was found, or on events of finding it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProtocolTest {
    /// `app-layer-protocol`
    Is {
        /// The protocols; with [`AppProto::Failed`] where none was found.
        set: AppSet,
        /// `!`
        negated: bool,
        /// Which is meant.
        mode: ProtocolMode,
    },
    /// `app-layer-protocol:unknown`
    Unknown,
    /// `app-layer-event:applayer_…`
    Event(#[serde(deserialize_with = "event")] EventName),
}

impl AppTest {
    /// The buffer that it looks at, if it is one.
    pub fn buffer(&self) -> Option<AppBuffer> {
        match self {
            Self::DceInterface { .. } => Some(AppBuffer::DceInterface),
            Self::HashIn { buffer, .. } => Some(*buffer),
            _ => None,
        }
    }

    /// From which level on it can be decided.
    fn level(&self) -> u8 {
        match self {
            // All of them are known in the end.
            Self::Number { field, which, .. } if field.grows() && *which != Which::Any => {
                level::DONE
            }
            Self::Setting { .. } => AppField::Http2Setting.level(),
            Self::Number { field, .. }
            | Self::Bits { field, .. }
            | Self::AnyBit { field, .. }
            | Self::OneOf { field, .. }
            | Self::Age { field, .. } => field.level(),
            Self::Event(_) => level::BEGUN,
            Self::DceInterface { .. } => AppBuffer::DceInterface.level(),
            Self::HashIn { buffer, .. } => buffer.level(),
        }
    }

    /// More can come of what it looks at.
    fn grows(&self) -> bool {
        match self {
            Self::Number { field, which, .. } => field.grows() && *which == Which::Any,
            Self::Setting { .. } => true,
            _ => false,
        }
    }

    /// In which directions there is something to decide.
    fn ways(&self) -> Ways {
        match self {
            Self::Number { way: Some(way), .. } => match way {
                true => Ways::ToServer,
                false => Ways::ToClient,
            },
            Self::Number { field, .. }
            | Self::Bits { field, .. }
            | Self::AnyBit { field, .. }
            | Self::OneOf { field, .. }
            | Self::Age { field, .. } => field.ways(),
            Self::Setting { .. } => AppField::Http2Setting.ways(),
            Self::Event(_) => Ways::Both,
            Self::DceInterface { .. } => AppBuffer::DceInterface.ways(),
            Self::HashIn { buffer, .. } => buffer.ways(),
        }
    }

    /// The protocols that have it.
    fn protos(&self) -> AppSet {
        match self {
            Self::Number { field, .. }
            | Self::Bits { field, .. }
            | Self::AnyBit { field, .. }
            | Self::OneOf { field, .. }
            | Self::Age { field, .. } => field.protos(),
            Self::Setting { .. } => AppField::Http2Setting.protos(),
            Self::Event(name) => {
                let proto = name.split('.').next().unwrap_or_default();
                AppSet::named(proto).unwrap_or_default()
            }
            Self::DceInterface { .. } => AppBuffer::DceInterface.protos(),
            Self::HashIn { buffer, .. } => buffer.protos(),
        }
    }
}

/// What a transaction rule needs of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxNeeds {
    /// In which direction it is inspected: to the server, to the client.
    pub ways: [bool; 2],
    /// It is about the request and the answer, and decided with the answer.
    pub both: bool,
    /// How far the transaction must have come in each.
    pub levels: [u8; 2],
    /// Flows of these protocols.
    pub protos: AppSet,
    /// It asks for an event, which can come at any time.
    pub events: bool,
    /// It asks for numbers of which more can come at any time.
    pub grows: bool,
}

impl Rule {
    /// The buffers of transactions that the rule looks at.
    pub fn app_buffers(&self) -> impl Iterator<Item = AppBuffer> {
        self.buffers.iter().filter_map(|plan| match plan.buffer {
            Buffer::App(buffer) | Buffer::AppOf(buffer, _) => Some(buffer),
            _ => None,
        })
    }

    /// True when it is about transactions.
    pub(super) fn is_about_transactions(&self) -> bool {
        !self.app.tests.is_empty() || self.app_buffers().next().is_some()
    }

    /// What it needs of transactions; `None` for a rule that is not about them.
    pub fn tx_needs(&self) -> Option<TxNeeds> {
        if !self.is_about_transactions() {
            return None;
        }
        let mut needs = TxNeeds {
            ways: [true; 2],
            both: self.app.both_ways,
            levels: [level::BEGUN; 2],
            protos: self.app.protos,
            grows: self.app.tests.iter().any(AppTest::grows),
            events: self
                .app
                .tests
                .iter()
                .any(|test| matches!(test, AppTest::Event(_))),
        };
        if needs.protos.is_empty() {
            needs.protos = AppSet::of(AppProto::ALL);
        }
        if let Some(flow) = self.flow {
            needs.ways = [!flow.to_client, !flow.to_server];
        }
        let of_buffers = self.buffers.iter().filter_map(|plan| match plan.buffer {
            Buffer::App(buffer) => Some((buffer.ways(), buffer.level(), buffer.protos())),
            Buffer::AppOf(buffer, true) => Some((Ways::ToServer, buffer.level(), buffer.protos())),
            Buffer::AppOf(buffer, false) => Some((Ways::ToClient, buffer.level(), buffer.protos())),
            _ => None,
        });
        let of_tests =
            (self.app.tests.iter()).map(|test| (test.ways(), test.level(), test.protos()));
        for (ways, level, protos) in of_buffers.chain(of_tests) {
            for way in [0, 1] {
                if !self.app.both_ways {
                    needs.ways[way] &= ways.has(way);
                }
                if ways.has(way) {
                    needs.levels[way] = needs.levels[way].max(level);
                }
            }
            needs.protos = needs.protos.and(protos);
        }
        if self.app.both_ways {
            // Decided where the answer is, once it and the request are complete.
            needs.ways = [false, true];
        }
        Some(needs)
    }
}
