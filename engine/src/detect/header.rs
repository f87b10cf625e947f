//! Rule headers against packets: protocol, addresses, ports, direction, `flow:`.

use std::net::IpAddr;

use crate::flow::FlowView;
use crate::packet::proto::{ICMP, ICMPV6, IGMP, SCTP, TCP, UDP};
use crate::packet::{Net, Origin, Packet};
use crate::plan::{FlowTest, Header, Proto, Rule};

/// True when the rule concerns the packet: everything that stands before the rule's options, and `flow:`.
pub(super) fn concerns(rule: &Rule, packet: &Packet<'_>, flow: Option<FlowView>) -> bool {
    rule.flow.is_none_or(|test| flow_holds(test, packet, flow))
        && header_holds(&rule.header, packet)
}

fn flow_holds(test: FlowTest, packet: &Packet<'_>, flow: Option<FlowView>) -> bool {
    let rebuilt = packet.origin == Origin::Reassembled;
    if test.no_frag && rebuilt || test.only_frag && !rebuilt {
        return false;
    }
    let asks_for_a_flow = test.to_server
        || test.to_client
        || test.established
        || test.not_established
        || test.only_stream;
    match flow {
        Some(flow) => {
            (!test.to_server || flow.to_server)
                && (!test.to_client || !flow.to_server)
                && (!test.established || flow.established)
                && (!test.not_established || !flow.established)
        }
        None => !asks_for_a_flow,
    }
}

fn header_holds(header: &Header, packet: &Packet<'_>) -> bool {
    if !protocol_holds(header.proto, packet) {
        return false;
    }
    if !packet.is_ip() {
        // There is nothing to compare addresses and ports with; only rules that ask for none can concern it.
        return header.src.is_any()
            && header.dst.is_any()
            && header.sport.is_any()
            && header.dport.is_any();
    }
    let (src, dst) = ((packet.src, packet.sport), (packet.dst, packet.dport));
    let ports = matches!(packet.proto, TCP | UDP | SCTP) && !packet.fragment;
    ends_hold(header, src, dst, ports) || header.bidirectional && ends_hold(header, dst, src, ports)
}

fn ends_hold(header: &Header, src: (IpAddr, u16), dst: (IpAddr, u16), ports: bool) -> bool {
    let port_holds = |set: &crate::plan::PortSet, port| set.is_any() || ports && set.contains(port);
    port_holds(&header.dport, dst.1)
        && port_holds(&header.sport, src.1)
        && header.dst.contains(dst.0)
        && header.src.contains(src.0)
}

fn protocol_holds(proto: Proto, packet: &Packet<'_>) -> bool {
    let number = |wanted: u8| packet.is_ip() && packet.proto == wanted;
    match proto {
        Proto::PktHdr => true,
        Proto::Ip => packet.is_ip(),
        Proto::Ip4 => matches!(packet.net, Net::V4 { .. }),
        Proto::Ip6 => matches!(packet.net, Net::V6 { .. }),
        Proto::Tcp | Proto::TcpPkt | Proto::TcpStream => number(TCP),
        Proto::Udp => number(UDP),
        Proto::Icmp => number(ICMP) || number(ICMPV6),
        Proto::Icmp4 => number(ICMP),
        Proto::Icmp6 => number(ICMPV6),
        Proto::Sctp => number(SCTP),
        Proto::Igmp => number(IGMP),
        Proto::Number(wanted) => number(wanted),
        Proto::Ether => packet.ether.is_some(),
        Proto::Arp => matches!(packet.net, Net::Arp(_)),
    }
}
