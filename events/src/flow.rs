//! Records of type `flow`: one for every flow that ended.

use serde::{Serialize, Serializer};
use weir_engine::flow::{Detail, Ended, Flow, FlowAction, FlowState, StreamFacts};

use crate::Interfaces;
use crate::protocol::{self, Protocol};
use crate::record::{Address, Timestamp, vlan_tags, write_line};

/// Appends the flow's EVE record and a newline to `out`.
pub fn write_flow(out: &mut Vec<u8>, ended: &Ended, names: &Interfaces) {
    write_line(out, &Record::new(ended, names));
}

/// Fields in the order in which Suricata writes them.
#[derive(Serialize)]
struct Record<'a> {
    timestamp: Timestamp,
    flow_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    event_type: &'static str,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    vlan: &'a [u16],
    src_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    dest_ip: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    ip_v: u8,
    proto: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spi: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_proto: Option<&'static str>,
    flow: FlowPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<TcpPart>,
}

/// The `flow` object.
#[derive(Serialize)]
struct FlowPart {
    pkts_toserver: u64,
    pkts_toclient: u64,
    bytes_toserver: u64,
    bytes_toclient: u64,
    start: Timestamp,
    end: Timestamp,
    age: u64,
    #[serde(skip_serializing_if = "is_false")]
    emergency: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bypass: Option<&'static str>,
    reason: &'static str,
    alerted: bool,
    #[serde(skip_serializing_if = "is_false")]
    elephant: bool,
    #[serde(skip_serializing_if = "is_false")]
    elephant_toserver: bool,
    #[serde(skip_serializing_if = "is_false")]
    elephant_toclient: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
}

/// The `tcp` object.
#[derive(Serialize)]
struct TcpPart {
    tcp_flags: Hex,
    tcp_flags_ts: Hex,
    tcp_flags_tc: Hex,
    #[serde(skip_serializing_if = "is_false")]
    syn: bool,
    #[serde(skip_serializing_if = "is_false")]
    fin: bool,
    #[serde(skip_serializing_if = "is_false")]
    rst: bool,
    #[serde(skip_serializing_if = "is_false")]
    psh: bool,
    #[serde(skip_serializing_if = "is_false")]
    ack: bool,
    #[serde(skip_serializing_if = "is_false")]
    urg: bool,
    #[serde(skip_serializing_if = "is_false")]
    ecn: bool,
    #[serde(skip_serializing_if = "is_false")]
    cwr: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    tc_gap: bool,
    #[serde(skip_serializing_if = "is_false")]
    ts_gap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_max_regions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tc_max_regions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts_urgent_oob_data: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tc_urgent_oob_data: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// TCP flags as two digits.
struct Hex(u8);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02x}", self.0))
    }
}

impl<'a> Record<'a> {
    fn new(ended: &'a Ended, names: &'a Interfaces) -> Self {
        let flow = &ended.flow;
        let ports = matches!(flow.proto, protocol::TCP | protocol::UDP | protocol::SCTP);
        let (request, answer) = match flow.detail {
            Detail::Icmp([request, answer]) => (request, answer),
            _ => (None, None),
        };
        Self {
            timestamp: Timestamp(ended.ts_ns),
            flow_id: flow.id,
            in_iface: names.name(flow.iface),
            event_type: "flow",
            vlan: vlan_tags(&flow.vlan),
            src_ip: Address(flow.client.0),
            src_port: ports.then_some(flow.client.1),
            dest_ip: Address(flow.server.0),
            dest_port: ports.then_some(flow.server.1),
            ip_v: if flow.client.0.is_ipv4() { 4 } else { 6 },
            proto: Protocol(flow.proto),
            icmp_type: request.map(|(kind, _)| kind),
            icmp_code: request.map(|(_, code)| code),
            response_icmp_type: answer.map(|(kind, _)| kind),
            response_icmp_code: answer.map(|(_, code)| code),
            spi: match flow.detail {
                Detail::Esp(spi) => Some(spi),
                _ => None,
            },
            app_proto: flow.app.proto.map(|proto| proto.name()),
            flow: FlowPart::new(ended),
            tcp: (flow.proto == protocol::TCP).then(|| TcpPart::new(flow, ended.streams)),
        }
    }
}

impl FlowPart {
    fn new(ended: &Ended) -> Self {
        let flow = &ended.flow;
        let state = flow.state();
        Self {
            pkts_toserver: flow.packets[0],
            pkts_toclient: flow.packets[1],
            bytes_toserver: flow.bytes[0],
            bytes_toclient: flow.bytes[1],
            start: Timestamp(flow.start_ns),
            end: Timestamp(flow.last_ns),
            age: flow.age(),
            emergency: ended.emergency,
            state: state.name(),
            bypass: (state == FlowState::Bypassed).then_some("local"),
            reason: ended.reason.name(),
            alerted: flow.alerted,
            elephant: flow.elephant != [false; 2],
            elephant_toserver: flow.elephant[0],
            elephant_toclient: flow.elephant[1],
            action: match flow.action {
                FlowAction::Drop => Some("drop"),
                FlowAction::Pass => Some("pass"),
                FlowAction::None | FlowAction::Bypass => None,
            },
        }
    }
}

impl TcpPart {
    fn new(flow: &Flow, streams: Option<StreamFacts>) -> Self {
        let [to_server, to_client] = flow.tcp_flags;
        let all = to_server | to_client;
        let has = |bit: u8| all >> bit & 1 == 1;
        let known = streams.unwrap_or_default();
        let urgent = |way: usize| Some(known.urgent[way]).filter(|&bytes| bytes > 0);
        Self {
            tcp_flags: Hex(all),
            tcp_flags_ts: Hex(to_server),
            tcp_flags_tc: Hex(to_client),
            fin: has(0),
            syn: has(1),
            rst: has(2),
            psh: has(3),
            ack: has(4),
            urg: has(5),
            ecn: has(6),
            cwr: has(7),
            state: flow.tcp.state().name(),
            ts_gap: known.gap[0],
            tc_gap: known.gap[1],
            ts_max_regions: streams.map(|known| known.max_regions[0]),
            tc_max_regions: streams.map(|known| known.max_regions[1]),
            ts_urgent_oob_data: urgent(0),
            tc_urgent_oob_data: urgent(1),
        }
    }
}
