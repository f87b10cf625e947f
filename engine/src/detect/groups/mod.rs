//! Matcher groups: which probes a packet's payload is searched for.
//!
//! A group is direction, protocol class and, for TCP and UDP, a class of server ports. Ports that many probe rules name
//! (445, 80, 53 …) get a class of their own, so that a packet to them is not searched for what rules want of other
//! ports; the ports that few rules name share one, and all the rest, which no rule names, another. A rule belongs to
//! every group whose packets could satisfy its header: groups only ever save work, the header is checked again.
//!
//! Payload takes at most [`Groups::MOST`] of the matcher's groups; the rest is left to the buffers of transactions.

mod buffers;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::app::{self, AppBuffer};
use crate::packet::Packet;
use crate::packet::proto::{ICMP, ICMPV6, TCP, UDP};
use crate::plan::{
    Buffer, FlowTest, Header, PacketTest, PortSet, ProbeChoice, Proto, Rule, RuleKind, RuleSet,
};
use buffers::BufferGroups;

/// A rule that names more ports than this speaks of a range, not of services.
const MANY_PORTS: usize = 256;

/// Fewer rules than this are not worth a port class of their own: what it saves is less than its tables cost.
const FEW_RULES: usize = 8;

/// Sides that ports divide: TCP and UDP, both ways.
const DIVIDED: usize = 4;

/// Traffic that shares tables of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Class {
    /// Every class; a class is an index of this.
    pub(super) const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Other];

    /// The class of a packet.
    pub(super) fn of(packet: &Packet<'_>) -> Self {
        if packet.is_ip() {
            Self::of_number(packet.proto)
        } else {
            Self::Other
        }
    }

    /// The classes of packets that a rule can match.
    pub(super) fn of_rule(rule: &Rule) -> impl Iterator<Item = Self> {
        let of_header: &[Self] = match rule.header.proto {
            Proto::Tcp | Proto::TcpPkt | Proto::TcpStream | Proto::Number(TCP) => &[Self::Tcp],
            Proto::Udp | Proto::Number(UDP) => &[Self::Udp],
            Proto::Icmp | Proto::Icmp4 | Proto::Icmp6 | Proto::Number(ICMP | ICMPV6) => {
                &[Self::Icmp]
            }
            Proto::Sctp | Proto::Igmp | Proto::Number(_) | Proto::Arp => &[Self::Other],
            Proto::Ip | Proto::Ip4 | Proto::Ip6 | Proto::PktHdr | Proto::Ether => &Self::ALL,
        };
        let may_pass = |class: &Self| {
            (0..=u8::MAX)
                .filter(|&number| Self::of_number(number) == *class)
                .any(|number| {
                    rule.tests.iter().all(|test| match test {
                        PacketTest::IpProto(num) => num.test(number.into()),
                        _ => true,
                    })
                })
        };
        of_header.iter().copied().filter(may_pass)
    }

    /// The class of an IP protocol.
    fn of_number(number: u8) -> Self {
        match number {
            TCP => Self::Tcp,
            UDP => Self::Udp,
            ICMP | ICMPV6 => Self::Icmp,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Other => "other protocols",
        }
    }
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
    NoFlow,
}

impl Way {
    const ALL: [Self; 3] = [Self::ToServer, Self::ToClient, Self::NoFlow];

    fn of(to_server: Option<bool>) -> Self {
        match to_server {
            Some(true) => Self::ToServer,
            Some(false) => Self::ToClient,
            None => Self::NoFlow,
        }
    }

    /// False when a packet that goes this way cannot pass the test, whatever else is true of it.
    fn may_pass(self, test: FlowTest) -> bool {
        match self {
            Self::ToServer => !test.to_client,
            Self::ToClient => !test.to_server,
            Self::NoFlow => !test.asks_for_a_flow(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to server",
            Self::ToClient => "to client",
            Self::NoFlow => "without a flow",
        }
    }
}

/// What packets of one class that go one way are divided into.
struct Side {
    /// The group of ports that no rule names; of all packets where ports do not divide.
    rest: u8,
    /// Groups with their ports.
    named: Vec<(u8, Vec<u16>)>,
    /// The group of each server port; empty where ports do not divide.
    by_port: Vec<u8>,
}

impl Side {
    /// Gives ports a group of their own.
    fn divide(&mut self, group: u8, ports: Vec<u16>) {
        self.by_port.resize(1 << 16, self.rest);
        for &port in &ports {
            if let Some(of_port) = self.by_port.get_mut(usize::from(port)) {
                *of_port = group;
            }
        }
        self.named.push((group, ports));
    }

    /// The groups in which there is a port of the set, one bit each.
    fn of_ports(&self, set: &PortSet) -> u64 {
        let (mut groups, mut named) = (0, 0);
        for (group, ports) in &self.named {
            let inside = ports.iter().filter(|&&port| set.contains(port)).count();
            groups |= u64::from(inside > 0) << group;
            named += inside;
        }
        groups | u64::from(size(set) > named) << self.rest
    }
}

/// Ports that the same rules name.
struct Named {
    class: Class,
    way: Way,
    ports: Vec<u16>,
    rules: usize,
}

/// The groups of a rule set.
pub struct Groups {
    /// By class and way.
    sides: [[Side; Way::ALL.len()]; Class::ALL.len()],
    /// How many of the groups are of payload; those of transactions' buffers follow.
    of_payload: u8,
    buffers: BufferGroups,
    count: u8,
}

impl Groups {
    /// Most groups that payload takes, of the matcher's [`MAX_GROUPS`](crate::matcher::MAX_GROUPS).
    pub const MOST: u8 = 32;

    /// Plans the groups for a rule set, from the rules that have a probe in the payload.
    pub fn new(rules: &RuleSet) -> Self {
        let all = rules;
        let rules: Vec<&Rule> = rules.rules().iter().filter(|rule| probed(rule)).collect();
        let mut named = Vec::new();
        for class in [Class::Tcp, Class::Udp] {
            for way in [Way::ToServer, Way::ToClient] {
                named.extend(same_rules(&rules, class, way));
            }
        }
        // The most named first; ports settle ties, so that a rule set always gives the same groups.
        named.sort_by(|a, b| b.rules.cmp(&a.rules).then_with(|| a.ports.cmp(&b.ports)));
        let mut groups = Self {
            sides: Class::ALL.map(|class| {
                Way::ALL.map(|way| Side {
                    rest: (class as usize * Way::ALL.len() + way as usize) as u8,
                    named: Vec::new(),
                    by_port: Vec::new(),
                })
            }),
            of_payload: 0,
            buffers: BufferGroups::default(),
            count: (Class::ALL.len() * Way::ALL.len()) as u8,
        };
        // Each side may need one more, for ports that do not get one of their own.
        let own = usize::from(Self::MOST - groups.count) - DIVIDED;
        let own = named
            .iter()
            .take(own)
            .take_while(|set| set.rules >= FEW_RULES)
            .count();
        let tail = named.split_off(own);
        for set in named {
            groups.add(set.class, set.way, set.ports);
        }
        for class in [Class::Tcp, Class::Udp] {
            for way in [Way::ToServer, Way::ToClient] {
                let mut ports: Vec<u16> = tail
                    .iter()
                    .filter(|set| set.class == class && set.way == way)
                    .flat_map(|set| &set.ports)
                    .copied()
                    .collect();
                ports.sort_unstable();
                if !ports.is_empty() {
                    groups.add(class, way, ports);
                }
            }
        }
        groups.of_payload = groups.count;
        groups.buffers = BufferGroups::new(all, groups.count);
        groups.count += groups.buffers.count();
        groups
    }

    /// The group of a buffer of a transaction; `None` where no rule has a probe there.
    pub fn of_buffer(&self, buffer: AppBuffer, way: app::Way) -> Option<u8> {
        self.buffers.of(buffer, way)
    }

    fn add(&mut self, class: Class, way: Way, ports: Vec<u16>) {
        self.sides[class as usize][way as usize].divide(self.count, ports);
        self.count += 1;
    }

    /// How many there are; they are numbered from 0.
    pub fn count(&self) -> u8 {
        self.count
    }

    /// The group of a packet's payload. `to_server`: the packet's direction in its flow; `None` without a flow.
    pub fn of_packet(&self, packet: &Packet<'_>, to_server: Option<bool>) -> u8 {
        self.of_side(
            Class::of(packet),
            Way::of(to_server),
            (packet.sport, packet.dport),
        )
    }

    /// The group of the payload of an IP packet of a flow, by its protocol, direction and ports.
    pub fn of_ports(&self, proto: u8, to_server: bool, sport: u16, dport: u16) -> u8 {
        let way = Way::of(Some(to_server));
        self.of_side(Class::of_number(proto), way, (sport, dport))
    }

    fn of_side(&self, class: Class, way: Way, (sport, dport): (u16, u16)) -> u8 {
        let side = &self.sides[class as usize][way as usize];
        let server_port = match way {
            Way::ToClient => sport,
            Way::ToServer | Way::NoFlow => dport,
        };
        let of_port = side.by_port.get(usize::from(server_port));
        of_port.copied().unwrap_or(side.rest)
    }

    /// The groups whose packets could satisfy the rule's header and its `flow:`, one bit each.
    pub fn of_rule(&self, rule: &Rule) -> u64 {
        if rule.kind() == RuleKind::Transaction {
            return self.buffers.of_rule(rule);
        }
        let header = &rule.header;
        let any_port = header.sport.is_any() && header.dport.is_any();
        let mut groups = 0;
        for class in Class::of_rule(rule) {
            if class == Class::Icmp && !any_port {
                continue;
            }
            for way in Way::ALL {
                if rule.flow.is_some_and(|test| !way.may_pass(test)) {
                    continue;
                }
                let side = &self.sides[class as usize][way as usize];
                groups |= match server_ports(rule, way) {
                    _ if side.by_port.is_empty() => 1 << side.rest,
                    Some(ports) => side.of_ports(&ports),
                    None => 1 << side.rest,
                };
            }
        }
        groups
    }

    /// What belongs to a group, in words; empty for one that is not there.
    pub fn name(&self, group: u8) -> String {
        if group >= self.of_payload {
            return self.buffers.name(group);
        }
        for (class, ways) in Class::ALL.into_iter().zip(&self.sides) {
            for (way, side) in Way::ALL.into_iter().zip(ways) {
                let of = format!("{} {}", class.name(), way.name());
                if let Some((_, ports)) = side.named.iter().find(|(named, _)| *named == group) {
                    return format!("{of}, {}", list(ports));
                }
                if side.rest == group {
                    let other = if side.named.is_empty() {
                        ""
                    } else {
                        ", other ports"
                    };
                    return format!("{of}{other}");
                }
            }
        }
        String::new()
    }
}

/// Ports in words.
fn list(ports: &[u16]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<String> = ports.iter().take(SHOWN).map(u16::to_string).collect();
    let more = match ports.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if ports.len() == 1 { "port" } else { "ports" };
    format!("{noun} {}{more}", shown.join(", "))
}

/// True when the rule is prefiltered on a probe in the payload.
pub(super) fn probed(rule: &Rule) -> bool {
    let in_payload = |choice: &ProbeChoice| choice.buffer == Buffer::Payload;
    rule.probe.as_ref().is_some_and(in_payload)
        && !matches!(
            rule.kind(),
            RuleKind::DecoderEvent
                | RuleKind::StreamEvent
                | RuleKind::IpOnly
                | RuleKind::Transaction
        )
}

/// What the rule asks of the server's port in packets that go this way; `None` where it asks nothing.
fn server_ports(rule: &Rule, way: Way) -> Option<Cow<'_, PortSet>> {
    let Header {
        sport,
        dport,
        bidirectional,
        ..
    } = &rule.header;
    let (ports, others) = match way {
        Way::ToServer => (dport, sport),
        Way::ToClient => (sport, dport),
        Way::NoFlow => return None,
    };
    if !bidirectional {
        return Some(Cow::Borrowed(ports));
    }
    let mut both = ports.clone();
    both.union(others);
    Some(Cow::Owned(both))
}

/// The ports of a side that rules name, those together that the same rules name.
fn same_rules(rules: &[&Rule], class: Class, way: Way) -> Vec<Named> {
    let mut naming: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (number, rule) in rules.iter().enumerate() {
        let concerns = Class::of_rule(rule).any(|of_rule| of_rule == class)
            && rule.flow.is_none_or(|test| way.may_pass(test));
        let Some(ports) = server_ports(rule, way).filter(|_| concerns) else {
            continue;
        };
        for port in few(&ports, MANY_PORTS).into_iter().flatten() {
            naming.entry(port).or_default().push(number);
        }
    }
    let mut sets: BTreeMap<Vec<usize>, Vec<u16>> = BTreeMap::new();
    for (port, rules) in naming {
        sets.entry(rules).or_default().push(port);
    }
    let named = |(rules, ports): (Vec<usize>, Vec<u16>)| Named {
        class,
        way,
        ports,
        rules: rules.len(),
    };
    sets.into_iter().map(named).collect()
}

/// The ports of a set that has at most `most`.
pub(super) fn few(ports: &PortSet, most: usize) -> Option<impl Iterator<Item = u16>> {
    (size(ports) <= most).then(|| ports.ranges().iter().flat_map(|&(low, high)| low..=high))
}

/// How many ports there are in a set.
fn size(ports: &PortSet) -> usize {
    let of_range = |&(low, high): &(u16, u16)| usize::from(high - low) + 1;
    ports.ranges().iter().map(of_range).sum()
}

#[cfg(test)]
mod tests;
