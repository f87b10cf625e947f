//! EVE records: one JSON object a line, fields and order as Suricata 8 writes them.
//!
//! The layout follows Suricata's `etc/schema.json` and the user guide's chapter "Eve JSON Format".

use std::fmt;
use std::net::IpAddr;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use weir_engine::detect::{Alert, CarriedOut, FlowFacts, PacketFacts};
use weir_engine::packet::{Carrier, Origin, Tunnel};
use weir_engine::plan::{RejectTo, Rule};

use crate::Interfaces;
use crate::app::Object;
use crate::protocol::{self, Protocol};

/// Appends the alert's EVE record and a newline to `out`. `names`: of the interfaces.
///
/// Nothing is allocated but what `out` needs to grow.
pub fn write_alert(out: &mut Vec<u8>, alert: &Alert<'_>, names: &Interfaces) {
    write_line(out, &Record::new(alert, names));
}

/// Appends a record and a newline.
pub(crate) fn write_line(out: &mut Vec<u8>, record: &impl Serialize) {
    // Neither a `Vec` nor the types of records can fail to serialise; were that to change, a record must not be left half
    // written.
    let start = out.len();
    match serde_json::to_writer(&mut *out, record) {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(start),
    }
}

/// VLAN identifiers, as many as there are.
pub(crate) fn vlan_tags((tags, layers): &([u16; 3], u8)) -> &[u16] {
    tags.get(..usize::from(*layers)).unwrap_or(tags)
}

/// What records about a packet begin with.
#[derive(Serialize)]
pub(crate) struct Head<'a> {
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcap_cnt: Option<u64>,
    event_type: &'static str,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    vlan: &'a [u16],
    #[serde(flatten)]
    network: Option<Network>,
    pkt_src: &'static str,
}

/// A record of type `alert`.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_id: Option<u64>,
    alert: AlertPart<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<TunnelPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_proto: Option<&'static str>,
    #[serde(flatten)]
    app: Option<Object<'a>>,
    #[serde(flatten)]
    more: Option<Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<FlowPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictPart>,
}

/// The `verdict` object: what became of the packet, where something can.
#[derive(Serialize)]
struct VerdictPart {
    action: &'static str,
    #[serde(rename = "reject-target", skip_serializing_if = "Option::is_none")]
    reject_target: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<[&'static str; 1]>,
}

impl VerdictPart {
    fn new(carried_out: CarriedOut, packet: &PacketFacts) -> Self {
        let CarriedOut {
            dropped,
            reject,
            passed,
        } = carried_out;
        // Without a flow, who begins to talk is the client.
        let to_server = packet.flow.is_none_or(|flow| flow.to_server);
        let target = |to| match (to, to_server) {
            (RejectTo::Both, _) => "both",
            (RejectTo::Source, true) | (RejectTo::Destination, false) => "to_client",
            (RejectTo::Source, false) | (RejectTo::Destination, true) => "to_server",
        };
        let how = if packet.proto == protocol::TCP {
            "tcp-reset"
        } else {
            "icmp-prohib"
        };
        Self {
            action: match (dropped, passed) {
                (true, _) => "drop",
                (false, true) => "pass",
                (false, false) => "alert",
            },
            reject_target: reject.map(target),
            reject: reject.map(|_| [how]),
        }
    }
}

/// What a packet with an IP header has.
#[derive(Serialize)]
struct Network {
    src_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    dest_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    proto: Protocol,
    ip_v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
}

/// The `alert` object.
#[derive(Serialize)]
struct AlertPart<'a> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: &'a str,
    category: &'a str,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Endpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Endpoint>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata<'a>,
}

/// `source` and `target` of a rule that has a `target`.
#[derive(Serialize)]
struct Endpoint {
    ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

/// The `tunnel` object: the packet on the wire that carried this one. Suricata writes it for packets that were put together
/// from fragments as well, and ports also where there are none.
#[derive(Serialize)]
struct TunnelPart {
    src_ip: Address,
    src_port: u16,
    dest_ip: Address,
    dest_port: u16,
    proto: Protocol,
    depth: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcap_cnt: Option<u64>,
    pkt_src: &'static str,
}

/// The `flow` object: addresses as the client and the server have them.
#[derive(Serialize)]
struct FlowPart {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: Timestamp,
    src_ip: Address,
    dest_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
}

impl<'a> Head<'a> {
    pub fn new(packet: &'a PacketFacts, event_type: &'static str, names: &'a Interfaces) -> Self {
        Self {
            timestamp: Timestamp(packet.ts_ns),
            flow_id: packet.flow.map(|flow| flow.id),
            in_iface: names.name(packet.iface),
            pcap_cnt: pcap_cnt(packet),
            event_type,
            vlan: vlan_tags(&packet.vlan),
            network: packet.is_ip.then(|| Network::new(packet)),
            pkt_src: packet_source(packet.origin),
        }
    }
}

/// The number of the packet's frame, where frames are numbered.
fn pcap_cnt(packet: &PacketFacts) -> Option<u64> {
    (packet.number != 0).then_some(packet.number)
}

impl<'a> Record<'a> {
    fn new(alert: &Alert<'a>, names: &'a Interfaces) -> Self {
        let packet = alert.packet;
        Self {
            head: Head::new(packet, "alert", names),
            tx_id: alert.app.map(|app| app.tx),
            alert: AlertPart::new(alert.rule, alert.blocked, packet),
            tunnel: packet
                .carrier
                .map(|carrier| TunnelPart::new(&carrier, packet.depth, pcap_cnt(packet))),
            app_proto: packet.flow.and_then(|flow| Some(flow.app.proto?.name())),
            app: alert.app.map(|app| Object(app.kind, &app.fields)),
            more: alert.app.and_then(|app| {
                let (name, fields) = app.more.as_ref()?;
                Some(Object(name, fields))
            }),
            direction: packet.flow.map(|flow| {
                if flow.to_server {
                    "to_server"
                } else {
                    "to_client"
                }
            }),
            flow: packet
                .flow
                .map(|flow| FlowPart::new(&flow, packet.ports.is_some())),
            verdict: (alert.carried_out).map(|carried_out| VerdictPart::new(carried_out, packet)),
        }
    }
}

impl Network {
    fn new(packet: &PacketFacts) -> Self {
        Self {
            src_ip: Address(packet.src),
            src_port: packet.ports.map(|(source, _)| source),
            dest_ip: Address(packet.dst),
            dest_port: packet.ports.map(|(_, destination)| destination),
            proto: Protocol(packet.proto),
            ip_v: if packet.src.is_ipv4() { 4 } else { 6 },
            icmp_type: packet.icmp.map(|(kind, _)| kind),
            icmp_code: packet.icmp.map(|(_, code)| code),
        }
    }
}

impl<'a> AlertPart<'a> {
    fn new(rule: &'a Rule, blocked: bool, packet: &PacketFacts) -> Self {
        let meta = &rule.meta;
        let sender = || Endpoint {
            ip: Address(packet.src),
            port: packet.ports.map(|ports| ports.0),
        };
        let receiver = || Endpoint {
            ip: Address(packet.dst),
            port: packet.ports.map(|ports| ports.1),
        };
        let (source, target) = match meta.target_source.filter(|_| packet.is_ip) {
            Some(true) => (Some(receiver()), Some(sender())),
            Some(false) => (Some(sender()), Some(receiver())),
            None => (None, None),
        };
        Self {
            action: if blocked { "blocked" } else { "allowed" },
            gid: meta.gid,
            signature_id: meta.sid,
            rev: meta.rev,
            signature: &meta.msg,
            category: &meta.category,
            severity: meta.priority,
            source,
            target,
            metadata: Metadata(&meta.metadata),
        }
    }
}

impl TunnelPart {
    fn new(carrier: &Carrier, depth: u8, pcap_cnt: Option<u64>) -> Self {
        Self {
            src_ip: Address(carrier.src),
            src_port: carrier.sport,
            dest_ip: Address(carrier.dst),
            dest_port: carrier.dport,
            proto: Protocol(carrier.proto),
            depth,
            pcap_cnt,
            // The carrier is the outermost packet.
            pkt_src: packet_source(Origin::Wire),
        }
    }
}

impl FlowPart {
    fn new(flow: &FlowFacts, ports: bool) -> Self {
        Self {
            pkts_toserver: flow.packets[0],
            pkts_toclient: flow.packets[1],
            bytes_toserver: flow.bytes[0],
            bytes_toclient: flow.bytes[1],
            start: Timestamp(flow.start_ns),
            src_ip: Address(flow.client.0),
            dest_ip: Address(flow.server.0),
            src_port: ports.then_some(flow.client.1),
            dest_port: ports.then_some(flow.server.1),
        }
    }
}

/// `pkt_src`: how the packet came to be, in Suricata's words.
fn packet_source(origin: Origin) -> &'static str {
    match origin {
        Origin::Wire => "wire/pcap",
        Origin::Tunnel(Tunnel::Gre) => "gre tunnel",
        Origin::Tunnel(Tunnel::Ipv4) => "ipv4 tunnel",
        Origin::Tunnel(Tunnel::Ipv6) => "ipv6 tunnel",
        Origin::Tunnel(Tunnel::Teredo) => "teredo tunnel",
        Origin::Tunnel(Tunnel::Vxlan) => "vxlan encapsulation",
        Origin::Tunnel(Tunnel::Geneve) => "geneve encapsulation",
        Origin::Reassembled => "defrag",
        Origin::Stream => "stream (flow timeout)",
    }
}

/// Metadata pairs as an object of lists: values of one key together, keys in the order of their first value.
struct Metadata<'a>(&'a [(String, String)]);

impl Metadata<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, (key, _)) in self.0.iter().enumerate() {
            // Rules have a handful of pairs: looking back is cheaper than a table, and allocates nothing.
            if self.0.iter().take(at).all(|(earlier, _)| earlier != key) {
                map.serialize_entry(key, &Values { pairs: self.0, key })?;
            }
        }
        map.end()
    }
}

struct Values<'a> {
    pairs: &'a [(String, String)],
    key: &'a str,
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (_, value) in self.pairs.iter().filter(|(key, _)| key == self.key) {
            list.serialize_element(value)?;
        }
        list.end()
    }
}

/// An address as EVE spells it: IPv6 in eight groups of four lower-case digits, nothing left out.
pub(crate) struct Address(pub IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, g, h, i] = address.segments();
                write!(
                    f,
                    "{a:04x}:{b:04x}:{c:04x}:{d:04x}:{e:04x}:{g:04x}:{h:04x}:{i:04x}"
                )
            }
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Nanoseconds since the Unix epoch, shown as `2020-01-01T00:00:00.000000+0000`.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000);
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}+0000"
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
///
/// Counts from 1 March of the year 0, so that the leap day is a year's last: then months have a regular pattern of
/// lengths (153 days every five months), and years repeat every 400 (146,097 days).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
