//! Rule headers against packets: protocol, addresses, ports, direction, `flow:`.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::flow::FlowView;
use crate::packet::proto::{ICMP, ICMPV6, IGMP, SCTP, TCP, UDP};
use crate::packet::{Net, Origin, Packet};
use crate::plan::{FlowTest, Header, Proto, Rule};

/// A header and a `flow:` that rules share, by number.
pub(super) type HeaderId = u32;

/// The distinct headers of a rule set: there are far fewer than rules.
#[derive(Default)]
pub(super) struct Headers(Vec<(Header, Option<FlowTest>)>);

/// What makes a [`Headers`].
#[derive(Default)]
pub(super) struct HeadersBuilder<'a> {
    numbers: HashMap<(&'a Header, Option<FlowTest>), HeaderId>,
}

impl<'a> HeadersBuilder<'a> {
    /// The number of a rule's header.
    pub(super) fn number(&mut self, rule: &'a Rule) -> HeaderId {
        let next = self.numbers.len() as HeaderId;
        *self
            .numbers
            .entry((&rule.header, rule.flow))
            .or_insert(next)
    }

    pub(super) fn build(self) -> Headers {
        let mut headers: Vec<_> = self.numbers.into_iter().collect();
        headers.sort_unstable_by_key(|&(_, number)| number);
        let owned = headers
            .into_iter()
            .map(|((header, flow), _)| (header.clone(), flow));
        Headers(owned.collect())
    }
}

/// Which headers concern the packet at hand; each is tested at most once a packet.
#[derive(Default)]
pub(super) struct Tested {
    /// Twice the number of the packet that the header was last tested on, and one more when it concerned it.
    seen: Vec<u64>,
    packet: u64,
}

impl Tested {
    /// For headers that have not been tested.
    pub(super) fn new(headers: &Headers) -> Self {
        Self {
            seen: vec![0; headers.0.len()],
            packet: 0,
        }
    }

    /// Forgets the last packet.
    pub(super) fn next_packet(&mut self) {
        self.packet += 1;
    }

    /// True when the rules with this header concern the packet.
    #[inline]
    pub(super) fn concern(
        &mut self,
        id: HeaderId,
        headers: &Headers,
        packet: &Packet<'_>,
        flow: Option<FlowView>,
    ) -> bool {
        let (Some(seen), Some((header, test))) =
            (self.seen.get_mut(id as usize), headers.0.get(id as usize))
        else {
            return false;
        };
        if *seen >> 1 != self.packet {
            *seen = self.packet << 1 | u64::from(concerns(header, *test, packet, flow));
        }
        *seen & 1 == 1
    }
}

/// True when rules with this header and `flow:` concern the packet.
pub(super) fn concerns(
    header: &Header,
    test: Option<FlowTest>,
    packet: &Packet<'_>,
    flow: Option<FlowView>,
) -> bool {
    test.is_none_or(|test| flow_holds(test, packet, flow)) && header_holds(header, packet)
}

fn flow_holds(test: FlowTest, packet: &Packet<'_>, flow: Option<FlowView>) -> bool {
    let rebuilt = packet.origin == Origin::Reassembled;
    if test.no_frag && rebuilt || test.only_frag && !rebuilt {
        return false;
    }
    match flow {
        Some(flow) => {
            (!test.to_server || flow.to_server)
                && (!test.to_client || !flow.to_server)
                && (!test.established || flow.established)
                && (!test.not_established || !flow.established)
        }
        None => !test.asks_for_a_flow(),
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
