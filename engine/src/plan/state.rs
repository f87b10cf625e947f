//! What a rule asks of, and does to, state that outlives the packet: flows, hosts, sets of data.
//!
//! Tests on the flow alone ([`FlowProperty`]) are cheap and are made before a rule is evaluated. [`StateTest`]s are made
//! once everything else of the rule holds, in rule order, because an earlier rule of the same packet may have changed
//! what they look at; [`StateAction`]s follow when they hold, too.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Num;

/// Name of a bit, a counter, a set or a category. Rules that use the same name mean the same thing.
pub type Name = Arc<str>;

/// Which direction of a flow is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowSide {
    /// To the server.
    ToServer,
    /// To the client.
    ToClient,
    /// One of the two passes.
    Either,
    /// Both together for `flow.pkts` and `flow.bytes`; each of them for `stream_size`.
    Both,
}

/// A test on what the flow table knows about the packet's flow, this packet included. False without a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FlowProperty {
    /// `flow.age`, in seconds since the first packet.
    Age(Num),
    /// `flow.pkts`
    Packets(FlowSide, Num),
    /// `flow.bytes`, on the wire.
    Bytes(FlowSide, Num),
    /// `stream_size`: bytes that a side has sent, by its sequence numbers. `ToServer` is what the client sent (the
    /// keyword's `client`), `ToClient` what the server sent (`server`).
    StreamSize(FlowSide, Num),
    /// `flow.elephant`
    Elephant(FlowSide),
    /// `tcp.session`: the connection is in one of these phases. A connection that is closing is also established, if it
    /// ever was.
    Session {
        /// Not established yet.
        setup: bool,
        /// Established, now or before.
        established: bool,
        /// A FIN was seen: FIN_WAIT1, FIN_WAIT2, CLOSING, CLOSE_WAIT, LAST_ACK or TIME_WAIT.
        closing: bool,
    },
}

/// What a bit belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BitTrack {
    /// The packet's source address (`hostbits:…,src`, `xbits:…,track ip_src`).
    Src,
    /// The packet's destination address.
    Dst,
    /// Both addresses, in either order (`track ip_pair`).
    Pair,
}

/// Which keyword a bit of hosts was written with. They mean the same; only the order of rules tells them apart
/// ([`super::RuleSet::new`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BitKeyword {
    /// `hostbits`
    HostBits,
    /// `xbits`
    XBits,
}

/// What is done to a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BitOp {
    /// Set it.
    Set,
    /// Clear it.
    Unset,
    /// Turn it over.
    Toggle,
}

/// What a `flowint` compares or computes with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowIntValue {
    /// A number.
    Number(u32),
    /// Another counter of the flow; 0 where that does not exist.
    Counter(#[serde(with = "super::shared")] Name),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compare {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// What a `flowint` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FlowIntOp {
    /// `=`
    Set,
    /// `+`
    Add,
    /// `-`
    Sub,
}

/// What a `dataset` does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatasetOp {
    /// `isset`: holds when the buffer is in the set.
    IsSet,
    /// `isnotset`: holds when it is not.
    IsNotSet,
    /// `set`: puts it into the set; holds when it was not there and there was room.
    Set,
    /// `unset`: takes it out; holds when it was there.
    Unset,
}

impl DatasetOp {
    /// True when it changes the set.
    pub fn changes(self) -> bool {
        matches!(self, Self::Set | Self::Unset)
    }
}

/// Which addresses `iprep` and `geoip` look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostSide {
    /// The source.
    Src,
    /// The destination.
    Dst,
    /// One of them.
    Any,
    /// Each of them.
    Both,
}

/// A test on state that rules keep, or that files bring.
///
/// The tests of a rule are made in their order and end at the first one that does not hold: those that change what they
/// look at ([`DatasetOp::changes`]) come last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StateTest {
    /// `flowbits:isset|isnotset`. Of several names one is enough. False without a flow.
    FlowBit {
        /// Which bits.
        #[serde(with = "super::shared::names")]
        names: Vec<Name>,
        /// `isset`; otherwise `isnotset`.
        set: bool,
    },
    /// `flowint` with a comparison. False where the counter does not exist.
    FlowInt {
        /// Which counter.
        #[serde(with = "super::shared")]
        name: Name,
        /// The comparison.
        compare: Compare,
        /// What with.
        value: FlowIntValue,
    },
    /// `flowint:…,isset|isnotset`
    FlowIntExists {
        /// Which counter.
        #[serde(with = "super::shared")]
        name: Name,
        /// `isset`.
        exists: bool,
    },
    /// `hostbits` and `xbits`, `isset|isnotset`: they share their names, as in Suricata.
    HostBit {
        /// Which bit.
        #[serde(with = "super::shared")]
        name: Name,
        /// Whose.
        track: BitTrack,
        /// `isset`.
        set: bool,
        /// As it was written.
        keyword: BitKeyword,
    },
    /// `dataset`, on a buffer after its transforms. False where the buffer is not there or empty, whatever is asked.
    Dataset {
        /// Index of the buffer in [`super::Rule::buffers`].
        buffer: u8,
        /// Which set.
        #[serde(with = "super::shared")]
        set: Name,
        /// What is asked and done.
        op: DatasetOp,
    },
    /// `datarep`: the reputation of the buffer. False where it has none.
    DataRep {
        /// Index of the buffer in [`super::Rule::buffers`].
        buffer: u8,
        /// Which set.
        #[serde(with = "super::shared")]
        set: Name,
        /// The comparison.
        compare: Compare,
        /// What with.
        value: u16,
    },
    /// `iprep`. False where the category is not configured, whatever is asked.
    IpRep {
        /// Which addresses.
        side: HostSide,
        /// The category's short name.
        #[serde(with = "super::shared")]
        category: Name,
        /// What the reputation must be (`isset`: 0 or more); `None` (`isnotset`): there must be none. With
        /// [`HostSide::Any`] it is enough that one address has none.
        value: Option<Num>,
    },
    /// `geoip`. False where the country of an address is not known, also negated.
    GeoIp {
        /// Which addresses.
        side: HostSide,
        /// Two-letter codes, upper case.
        countries: Vec<[u8; 2]>,
        /// None of them.
        negated: bool,
    },
}

impl StateTest {
    /// True when what it looks at is kept for more than one flow and can be changed by rules.
    pub fn crosses_flows(&self) -> bool {
        matches!(
            self,
            Self::HostBit { .. } | Self::Dataset { .. } | Self::DataRep { .. }
        )
    }
}

/// What `tag` marks for further logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TagScope {
    /// The flow (`session`).
    Session,
    /// The source address of the packet that matched.
    Src,
    /// Its destination address.
    Dst,
}

/// How long a tag lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TagMetric {
    /// So many packets.
    Packets(u32),
    /// So many seconds.
    Seconds(u32),
    /// So many bytes.
    Bytes(u32),
}

/// What a rule does once it has matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StateAction {
    /// `flowbits:set|unset|toggle`
    FlowBit {
        /// What.
        op: BitOp,
        /// To which bit.
        #[serde(with = "super::shared")]
        name: Name,
    },
    /// `flowint` with `=`, `+` or `-`. Results wrap at 32 bits. A counter that does not exist begins at 0 with `=` and `+`;
    /// `-` leaves it as it is.
    FlowInt {
        /// Which counter.
        #[serde(with = "super::shared")]
        name: Name,
        /// What.
        op: FlowIntOp,
        /// With what.
        value: FlowIntValue,
    },
    /// `hostbits` and `xbits`, `set|unset|toggle`
    HostBit {
        /// What.
        op: BitOp,
        /// To which bit.
        #[serde(with = "super::shared")]
        name: Name,
        /// Whose.
        track: BitTrack,
        /// For how many seconds.
        seconds: u32,
        /// As it was written.
        keyword: BitKeyword,
    },
    /// `tag`
    Tag {
        /// What is marked.
        scope: TagScope,
        /// For how long.
        metric: TagMetric,
    },
    /// `bypass`: nothing more of the flow is inspected.
    Bypass,
    /// `replace`: inline, the bytes of a content are overwritten with as many others.
    Replace {
        /// Index of the buffer in [`super::Rule::buffers`].
        buffer: u8,
        /// Index of the content among the buffer's operations.
        op: u16,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl StateAction {
    /// True when what it changes is looked at from more than one flow.
    pub fn crosses_flows(&self) -> bool {
        matches!(self, Self::HostBit { .. })
    }
}

/// What the members of a data set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SetKind {
    /// Any bytes; files have them in base64.
    String,
    /// MD5 sums.
    Md5,
    /// SHA-256 sums.
    Sha256,
    /// IPv4 addresses.
    Ipv4,
    /// Addresses of both versions.
    Ip,
}

/// How the file of a data set is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetFormat {
    /// A member a line; with reputations, a comma and the reputation after it.
    #[default]
    Csv,
    /// `format json`, `jsonline` or `ndjson`: members with more about them, which alerts show.
    Json {
        /// A document a line, not one document.
        lines: bool,
        /// The member within an element, names with dots between them; `None`: the element itself.
        value_key: Option<String>,
        /// Where in the document the array is; `None`: the document itself.
        array_key: Option<String>,
        /// Under which name alerts show the element.
        context_key: Option<String>,
        /// Without the member itself.
        remove_key: bool,
    },
}

/// A data set that rules use. Rules that name the same set must agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSet {
    /// Its name.
    #[serde(with = "super::shared")]
    pub name: Name,
    /// What is in it.
    pub kind: SetKind,
    /// Members have a reputation (`datarep`).
    pub reputation: bool,
    /// Read at the start (`load`); the place of the file that was found.
    pub load: Option<std::path::PathBuf>,
    /// Written at the end (`save`, `state`), below the folder for state: relative, without `..`.
    pub save: Option<std::path::PathBuf>,
    /// `state`: what `save` names is also read at the start, if it is there.
    pub restore: bool,
    /// How `load` is written.
    pub format: SetFormat,
    /// Most bytes that it may take; `None`: as configured.
    pub memcap: Option<u64>,
    /// What the file `load` held when the rules were built: it is read instead of the file.
    #[serde(with = "super::shared::contents")]
    pub contents: Option<Arc<[u8]>>,
}

/// Who a suppression or a rate filter of the configuration counts or names.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTest {
    /// The source address, otherwise the destination.
    pub source: bool,
    /// Which addresses.
    pub addresses: super::AddrSet,
}

impl HostTest {
    /// True for a packet between these addresses.
    pub fn holds(&self, src: IpAddr, dst: IpAddr) -> bool {
        self.addresses.contains(if self.source { src } else { dst })
    }
}
