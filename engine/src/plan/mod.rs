//! Rule plans: what a rule is once its text has been read and its variables resolved.
//!
//! A plan says nothing about syntax (that is `weir-rules`' room) and nothing about how it is run. It is made by the
//! rule compiler, read by [`crate::detect`] (header, flow, actions) and by an [`crate::eval::Evaluator`] (packet tests,
//! buffers).

mod address;
mod app;
mod grow;
mod kind;
mod number;
mod ops;
mod order;
mod state;
mod transform;

pub use address::{AddrSet, PortSet, high_bits};
pub use app::{AppPlan, AppTest, ProtocolMode, ProtocolTest, TxNeeds, Which};
pub use kind::RuleKind;
pub use number::{Num, NumOp};
pub use ops::{
    Base64Decode, Buffer, BufferPlan, ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp,
    Content, Endian, Entropy, IsDataAt, JumpFrom, MathOp, NumberBase, Op, Pcre, Value, VarId,
};

pub use state::{
    BitKeyword, BitOp, BitTrack, Compare, DataSet, DatasetOp, FlowIntOp, FlowIntValue,
    FlowProperty, FlowSide, HostSide, HostTest, Name, SetFormat, SetKind, StateAction, StateTest,
    TagMetric, TagScope,
};
pub use transform::{Base64Mode, Subslice, Transform};

use crate::packet::DecoderEvent;
use crate::stream::StreamEvent;

/// A rule's index in its [`RuleSet`]: the order in which rules are evaluated and alerts of one packet come out.
pub type RuleId = u32;

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let the packet through and do not evaluate rules of lower order.
    Pass,
    /// Drop the packet and alert.
    Drop,
    /// Drop, alert, and answer the sender (or the receiver, or both) with a reset or an unreachable.
    Reject(RejectTo),
    /// Alert.
    Alert,
}

/// Who is told about a rejected packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectTo {
    /// The sender (`reject`, `rejectsrc`).
    Source,
    /// The receiver (`rejectdst`).
    Destination,
    /// Both (`rejectboth`).
    Both,
}

/// The protocol of a rule header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// Any IP packet (`ip`, `ip4`+`ip6`).
    Ip,
    /// IPv4 only (`ip4`, `ipv4`).
    Ip4,
    /// IPv6 only (`ip6`, `ipv6`).
    Ip6,
    /// TCP: packets and streams. `tcp4`/`tcp6` add a [`PacketTest::L3`].
    Tcp,
    /// TCP packets only (`tcp-pkt`).
    TcpPkt,
    /// TCP streams only (`tcp-stream`).
    TcpStream,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6 (`icmp`).
    Icmp,
    /// ICMPv4 only.
    Icmp4,
    /// ICMPv6 only.
    Icmp6,
    /// SCTP.
    Sctp,
    /// IGMP.
    Igmp,
    /// Another IP protocol by number.
    Number(u8),
    /// Every packet, also one without a usable IP header (`pkthdr`).
    PktHdr,
    /// Frames with an Ethernet header (`ether`).
    Ether,
    /// ARP (`arp`).
    Arp,
}

/// The part of a rule that says which packets it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Protocol.
    pub proto: Proto,
    /// Source addresses.
    pub src: AddrSet,
    /// Source ports.
    pub sport: PortSet,
    /// Destination addresses.
    pub dst: AddrSet,
    /// Destination ports.
    pub dport: PortSet,
    /// `<>`: also with source and destination exchanged.
    pub bidirectional: bool,
    /// An address of the header was written with `!`: such a rule is not an IP-only rule (see [`RuleKind`]).
    pub negated_addresses: bool,
}

/// What `flow:` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowTest {
    /// `to_server` / `from_client`.
    pub to_server: bool,
    /// `to_client` / `from_server`.
    pub to_client: bool,
    /// `established`.
    pub established: bool,
    /// `not_established`.
    pub not_established: bool,
    /// `stateless`.
    pub stateless: bool,
    /// `only_stream`.
    pub only_stream: bool,
    /// `no_stream`.
    pub no_stream: bool,
    /// `only_frag`.
    pub only_frag: bool,
    /// `no_frag`.
    pub no_frag: bool,
}

impl FlowTest {
    /// True when a packet that has no flow cannot pass.
    pub fn asks_for_a_flow(&self) -> bool {
        self.to_server
            || self.to_client
            || self.established
            || self.not_established
            || self.only_stream
    }
}

/// How flag-like fields are compared (`flags`, `fragbits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitsMode {
    /// Exactly these bits (no modifier).
    Exact,
    /// These and perhaps others (`+`).
    All,
    /// Any of these (`*`).
    Any,
    /// Not all of these (`!`, `-`): as Suricata, some of them may be set.
    Not,
}

impl BitsMode {
    /// Compares the bits that were found with those that are wanted.
    pub fn holds(self, found: u8, wanted: u8) -> bool {
        match self {
            Self::Exact => found == wanted,
            Self::All => found & wanted == wanted,
            Self::Any => found & wanted != 0,
            Self::Not => found & wanted != wanted,
        }
    }
}

/// A test on header fields of one packet. Every test that needs a protocol the packet has not is false.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PacketTest {
    /// `flags` / `tcp.flags`: `(tcp flags & !ignore)` against `bits`.
    TcpFlags {
        /// How to compare.
        mode: BitsMode,
        /// Flags as in byte 13 of the TCP header (CWR = 0x80, ECE = 0x40).
        bits: u8,
        /// Flags to leave out of the comparison.
        ignore: u8,
    },
    /// `fragbits`, over the three bits of the IPv4 header's flags: R = 4, D = 2, M = 1.
    FragBits {
        /// How to compare.
        mode: BitsMode,
        /// Bits wanted.
        bits: u8,
    },
    /// `fragoffset`, in units of 8 bytes.
    FragOffset(Num),
    /// `id`: IPv4 identification.
    IpId(u16),
    /// `ipopts`: an IPv4 option; the number is the option type octet.
    IpOpt(u8),
    /// `ipopts:any`.
    IpOptAny,
    /// `ip_proto`.
    IpProto(Num),
    /// `l3_proto` (4 or 6), and the `4`/`6` suffix of protocol names.
    L3 {
        /// True for IPv4, false for IPv6.
        v4: bool,
    },
    /// `sameip`.
    SameIp,
    /// `ttl` (hop limit for IPv6).
    Ttl(Num),
    /// `tos`; IPv4 only.
    Tos {
        /// Value of the octet.
        value: u8,
        /// `!`
        negated: bool,
    },
    /// `itype`.
    IcmpType(Num),
    /// `icode`.
    IcmpCode(Num),
    /// `icmp_id`.
    IcmpId(u16),
    /// `icmp_seq`.
    IcmpSeq(u16),
    /// `icmpv6.mtu`.
    Icmp6Mtu(Num),
    /// `igmp.type`.
    IgmpType(Num),
    /// `seq` / `tcp.seq`.
    TcpSeq(Num),
    /// `ack` / `tcp.ack`.
    TcpAck(Num),
    /// `window` / `tcp.window`.
    TcpWindow {
        /// Value of the header field, unscaled.
        value: u16,
        /// `!`
        negated: bool,
    },
    /// `tcp.mss`.
    TcpMss(Num),
    /// `tcp.wscale`.
    TcpWscale(Num),
    /// `dsize`.
    Dsize(Num),
    /// `vlan.id`.
    VlanId {
        /// The comparison.
        id: Num,
        /// Which layer.
        layer: VlanLayer,
    },
    /// `vlan.layers`.
    VlanLayers(Num),
    /// `decode-event`.
    DecodeEvent(DecoderEvent),
    /// `stream-event`
    StreamEvent(StreamEvent),
    /// `rpc`: SunRPC call; `None` matches anything.
    Rpc {
        /// Program.
        program: u32,
        /// Version.
        version: Option<u32>,
        /// Procedure.
        procedure: Option<u32>,
    },
}

/// Which VLAN layer `vlan.id` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanLayer {
    /// Any layer matches.
    Any,
    /// All layers match.
    All,
    /// A layer counted from the outermost (0, 1, 2) or from the innermost (-1, -2, -3).
    At(i8),
}

/// `threshold` and `detection_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What is limited.
    pub kind: ThresholdKind,
    /// What is counted.
    pub track: Track,
    /// How many.
    pub count: u32,
    /// Within how many seconds.
    pub seconds: u32,
}

/// What kind of limit a [`Threshold`] sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdKind {
    /// The first `count` per period alert.
    Limit,
    /// Every `count`th in a period alerts.
    Threshold,
    /// The `count`th in a period alerts, once.
    Both,
    /// `backoff`: the `count`th, then that times `multiplier`, and so on.
    Backoff {
        /// What the count is multiplied with after each alert.
        multiplier: u32,
    },
    /// `detection_filter`: matches from the one after `count` on.
    DetectionFilter,
}

/// What a threshold counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// Source address.
    BySrc,
    /// Destination address.
    ByDst,
    /// Both, in this order.
    ByBoth,
    /// The rule alone.
    ByRule,
    /// The flow.
    ByFlow,
}

/// Everything about a rule that goes into an alert record.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// `sid`.
    pub sid: u32,
    /// `gid`, 1 unless given.
    pub gid: u32,
    /// `rev`, 0 unless given.
    pub rev: u32,
    /// `msg`, unescaped.
    pub msg: String,
    /// The classtype's short name.
    pub classtype: Option<String>,
    /// The classtype's description (`alert.category`); empty without a classtype.
    pub category: String,
    /// 1 (highest) to 255; from `priority`, else the classtype, else 3.
    pub priority: u8,
    /// `reference`: (system, what follows the comma).
    pub references: Vec<(String, String)>,
    /// `metadata`: key and value pairs, in order.
    pub metadata: Vec<(String, String)>,
    /// `target:src_ip` (true) or `target:dest_ip` (false).
    pub target_source: Option<bool>,
    /// File and line it came from.
    pub origin: (std::sync::Arc<str>, u32),
}

/// A rule, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What alerts say.
    pub meta: Meta,
    /// What it does.
    pub action: Action,
    /// `noalert`: evaluates and acts, but no record is written. (`pass` rules without `alert` have it set.)
    pub noalert: bool,
    /// Which packets.
    pub header: Header,
    /// `flow:`.
    pub flow: Option<FlowTest>,
    /// Header field tests, all of which must hold.
    pub tests: Vec<PacketTest>,
    /// Buffers, in the order of the rule, all of which must match.
    pub buffers: Vec<BufferPlan>,
    /// What it asks of the application layer.
    pub app: AppPlan,
    /// How many byte variables the rule uses.
    pub variables: u8,
    /// Tests on the flow, all of which must hold.
    pub flow_properties: Vec<FlowProperty>,
    /// Tests on state, all of which must hold.
    pub state_tests: Vec<StateTest>,
    /// What it does once it has matched, in this order.
    pub state_actions: Vec<StateAction>,
    /// Limits on its alerts.
    pub threshold: Option<Threshold>,
    /// `detection_filter`, which limits matches.
    pub detection_filter: Option<Threshold>,
    /// The literal it is prefiltered on, with the buffer it must be in; `None`: candidate by its header alone.
    pub probe: Option<ProbeChoice>,
    /// Where there are several literals of which one must occur, in the same buffer: those beside `probe`.
    pub other_probes: Vec<ProbeChoice>,
    /// It is an author's module that decides, once everything else of the rule holds.
    pub module: Option<ModuleRule>,
    /// `prefilter` was given.
    pub prefilter: bool,
    /// True when the packet payload is to be matched packet by packet even where there is a stream
    /// (`depth`/`offset`/`startswith`, `dsize`, `tcp-pkt`, `flow:no_stream` …), as Suricata's SIG_FLAG_REQUIRE_PACKET.
    pub needs_packet: bool,
    /// True when stream data may be matched (TCP, no `dsize`, no `tcp-pkt` …), as Suricata's SIG_FLAG_REQUIRE_STREAM.
    pub needs_stream: bool,
}

/// The module that decides a rule, once everything else of it holds. Whoever puts such a rule into a set gives the set an
/// evaluator that asks modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRule {
    /// Which of the rule set's modules.
    pub module: u16,
    /// Which of its rules.
    pub index: u32,
    /// Buffers of transactions that it may look at, whether the rule asks for them or not.
    pub looks_at: std::sync::Arc<[crate::app::AppBuffer]>,
    /// It keeps state for more than one flow.
    pub crosses_flows: bool,
}

/// The probe that a rule was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeChoice {
    /// In which buffer.
    pub buffer: Buffer,
    /// 1 to 8 bytes, lower case when folded.
    pub bytes: Vec<u8>,
    /// Case-insensitive.
    pub folded: bool,
}

/// Rules in evaluation order.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    data_sets: Vec<DataSet>,
}

impl Rule {
    /// The literals of which one must occur, if there are such.
    pub fn probes(&self) -> impl Iterator<Item = &ProbeChoice> {
        self.probe.iter().chain(&self.other_probes)
    }
}

impl RuleSet {
    /// Puts rules in Suricata's order: by action (pass, drop, reject, alert); then those that change flow bits, counters
    /// and bits of hosts before those that look at them, and these before the others; then by priority, then as they were
    /// read.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by_cached_key(order::key);
        Self {
            rules,
            data_sets: Vec::new(),
        }
    }

    /// The same with these data sets, which its rules name.
    pub fn with_data_sets(self, data_sets: Vec<DataSet>) -> Self {
        Self { data_sets, ..self }
    }

    /// All rules, in evaluation order, and the data sets.
    pub fn into_parts(self) -> (Vec<Rule>, Vec<DataSet>) {
        (self.rules, self.data_sets)
    }

    /// The data sets that rules name.
    pub fn data_sets(&self) -> &[DataSet] {
        &self.data_sets
    }

    /// All rules, in evaluation order; a [`RuleId`] indexes this.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// One rule.
    pub fn get(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id as usize)
    }
}
