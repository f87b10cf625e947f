//! Rule headers against packets: protocol, addresses, ports, direction, `flow:`, and `flags`.

use std::collections::HashMap;
use std::net::IpAddr;

use super::groups::Class;
use crate::app::AppSet;
use crate::flow::{FlowView, Speaks};
use crate::packet::proto::{ICMP, ICMPV6, IGMP, SCTP, TCP, UDP};
use crate::packet::{Net, Origin, Packet};
use crate::plan::{BitsMode, FlowTest, Header, PacketTest, Proto, Rule};

/// What is checked of a packet before a rule becomes a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Check {
    /// Classes of packets that can match, one bit each: `ip_proto` narrows down what the header says.
    classes: u8,
    /// Flags that are checked with it, as [`PacketTest::TcpFlags`]: most rules that speak of flags speak of SYN, and
    /// few packets have it.
    flags: Option<(BitsMode, u8, u8)>,
    flow: Option<FlowTest>,
    /// Protocols that the flow must speak one of; empty: any.
    app: AppSet,
    /// `=>`: the header says who asks whom, whichever way the packet goes.
    both_ways: bool,
    header: Header,
    open: Open,
}

/// Which parts of a header are `any`: those need no look at their set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Open {
    src: bool,
    sport: bool,
    dst: bool,
    dport: bool,
}

impl Check {
    pub(super) fn new(rule: &Rule) -> Self {
        Self {
            classes: Class::of_rule(rule).fold(0, |bits, class| bits | 1 << class as u8),
            flags: rule.tests.iter().find_map(|test| match *test {
                PacketTest::TcpFlags { mode, bits, ignore } => Some((mode, bits, ignore)),
                _ => None,
            }),
            flow: rule.flow,
            app: rule.app.protos,
            both_ways: rule.app.both_ways,
            open: Open {
                src: rule.header.src.is_any(),
                sport: rule.header.sport.is_any(),
                dst: rule.header.dst.is_any(),
                dport: rule.header.dport.is_any(),
            },
            header: rule.header.clone(),
        }
    }

    /// True when rules with this check concern the packet.
    pub(super) fn holds(&self, packet: &Packet<'_>, flow: Option<FlowView>) -> bool {
        let flags_hold = |(mode, bits, ignore): (BitsMode, u8, u8)| {
            let flags = packet.tcp_flags();
            flags.is_some_and(|flags| mode.holds(flags & !ignore, bits))
        };
        self.classes >> Class::of(packet) as u8 & 1 == 1
            && self.flags.is_none_or(flags_hold)
            && (self.app.is_empty() || flow.is_some_and(|flow| speaks(self.app, flow.app)))
            && self.flow.is_none_or(|test| flow_holds(test, packet, flow))
            && self.header_holds(packet, flow)
    }

    fn header_holds(&self, packet: &Packet<'_>, flow: Option<FlowView>) -> bool {
        if !protocol_holds(self.header.proto, packet) {
            return false;
        }
        let Open {
            src,
            sport,
            dst,
            dport,
        } = self.open;
        if !packet.is_ip() {
            // There is nothing to compare addresses and ports with; only rules that ask for none can concern it.
            return src && dst && sport && dport;
        }
        let from = (packet.src, packet.sport);
        let to = (packet.dst, packet.dport);
        let ports = matches!(packet.proto, TCP | UDP | SCTP) && !packet.fragment;
        if self.both_ways {
            return match flow {
                Some(flow) if !flow.to_server => self.ends_hold(to, from, ports),
                _ => self.ends_hold(from, to, ports),
            };
        }
        self.ends_hold(from, to, ports)
            || self.header.bidirectional && self.ends_hold(to, from, ports)
    }

    fn ends_hold(&self, src: (IpAddr, u16), dst: (IpAddr, u16), ports: bool) -> bool {
        let Self { header, open, .. } = self;
        (open.dport || ports && header.dport.contains(dst.1))
            && (open.sport || ports && header.sport.contains(src.1))
            && (open.dst || header.dst.contains(dst.0))
            && (open.src || header.src.contains(src.0))
    }
}

/// A check by its number.
pub(super) type CheckId = u32;

/// The distinct checks of a rule set: there are far fewer than rules.
#[derive(Default)]
pub(super) struct Checks {
    checks: Vec<Check>,
    numbers: HashMap<Check, CheckId>,
}

impl Checks {
    /// The number of a rule's check.
    pub(super) fn number(&mut self, rule: &Rule) -> CheckId {
        let check = Check::new(rule);
        if let Some(&number) = self.numbers.get(&check) {
            return number;
        }
        let number = self.checks.len() as CheckId;
        self.checks.push(check.clone());
        self.numbers.insert(check, number);
        number
    }

    /// All of them, by number.
    pub(super) fn finish(self) -> Box<[Check]> {
        self.checks.into()
    }
}

/// Which checks hold for the packet at hand; each is made at most once a packet.
pub(super) struct Checked {
    /// Twice the number of the packet that it was last made on, and one more when it held.
    seen: Box<[u64]>,
    packet: u64,
}

impl Checked {
    /// For as many checks.
    pub(super) fn new(checks: usize) -> Self {
        Self {
            seen: vec![0; checks].into(),
            packet: 0,
        }
    }

    /// Forgets the last packet.
    pub(super) fn next_packet(&mut self) {
        self.packet += 1;
    }

    /// True when the check holds.
    #[inline]
    pub(super) fn holds(
        &mut self,
        id: CheckId,
        checks: &[Check],
        packet: &Packet<'_>,
        flow: Option<FlowView>,
    ) -> bool {
        let (Some(seen), Some(check)) = (self.seen.get_mut(id as usize), checks.get(id as usize))
        else {
            return false;
        };
        if *seen >> 1 != self.packet {
            *seen = self.packet << 1 | u64::from(check.holds(packet, flow));
        }
        *seen & 1 == 1
    }
}

fn speaks(wanted: AppSet, app: Speaks) -> bool {
    match app {
        Speaks::Unknown => false,
        Speaks::Open => true,
        Speaks::Is(proto) => wanted.has(proto),
    }
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
