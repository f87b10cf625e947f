//! What comes out of a worker, and in which order it is committed.

use super::PacketFacts;
use super::{Counters, Found};
use crate::eval::Notice;
use crate::flow::Ended;
use crate::packet::LinkType;

/// Where an event stands among those of all workers.
///
/// Events are committed in this order, and it depends on the packets alone, not on how they were dealt out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the frame that caused it; 0 where frames have none. What ends because time has passed is noticed after
    /// a frame, the same one for all workers.
    pub number: u64,
    /// False for what the frame itself caused, true for what time caused after it.
    pub after: bool,
    /// When: time of the frame, or when the flow's time was up. Nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// The flow that ended; 0 for what a frame caused, whose events keep their order.
    pub flow_id: u64,
}

/// Something that a worker has to say.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place among all events.
    pub place: Place,
    /// What it is.
    pub what: What,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug)]
pub enum What {
    /// Rules matched.
    Matches(Box<Found>),
    /// A flow ended, and [`super::EngineConfig::flow_records`] asks for it.
    Flow(Box<Ended>),
    /// What the worker has counted, where [`super::EngineConfig::counters_every_ns`] asks for it: each worker has one to
    /// say at the same place.
    Counters(Box<Counters>),
    /// A record of an application layer; [`super::EngineConfig::app_records`] asks for it.
    App(Box<AppRecord>),
    /// Something happened in a module.
    Notice(Box<Noticed>),
    /// A packet of a flow or host that a rule has tagged; [`super::EngineConfig::tagged_packets`] asks for it.
    Tagged(Box<Tagged>),
}

/// A tagged packet. What came in a tunnel is handed out with the frame that it came in, each frame once.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The packet.
    pub packet: PacketFacts,
    /// Link type of the frame.
    pub link: LinkType,
    /// The frame as it was captured.
    pub bytes: Vec<u8>,
}

/// Something that happened in a module.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// Time of the frame with which it happened, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// What.
    pub notice: Notice,
}

/// A record of an application layer.
#[derive(Clone, Debug)]
pub struct AppRecord {
    /// The packet with which it became known.
    pub packet: PacketFacts,
    /// What it says.
    pub record: crate::app::Record,
}

/// The transaction that a rule matched in.
#[derive(Clone, Debug)]
pub struct AppFacts {
    /// The object's name in EVE.
    pub kind: &'static str,
    /// The object.
    pub fields: serde_json::Value,
    /// Another one, with its name: `email` beside `smtp`.
    pub more: Option<(&'static str, serde_json::Value)>,
    /// The transaction's number in its flow (`tx_id`).
    pub tx: u64,
}
