//! Which rules to look at for a packet: by probe, by port, by event.
//!
//! A rule that has a probe becomes a candidate when the matcher finds it. The others are sorted by protocol and, where
//! they name few ports, by port, so that a packet meets only those that could concern it.

use std::collections::HashMap;

use crate::matcher::Probe;
use crate::packet::Packet;
use crate::packet::proto::{ICMP, ICMPV6, TCP, UDP};
use crate::plan::{Buffer, PortSet, Proto, Rule, RuleId, RuleKind, RuleSet};

/// A rule that names more ports than this is looked at whatever the port.
const MANY_PORTS: usize = 32;

/// Traffic that shares a table of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Tcp,
    Udp,
    Icmp,
    Other,
}

const CLASSES: [Class; 4] = [Class::Tcp, Class::Udp, Class::Icmp, Class::Other];

/// The matcher group of a packet's payload: its protocol class and, where it has a flow, the direction.
pub(super) fn group(packet: &Packet<'_>, to_server: Option<bool>) -> u8 {
    class(packet) as u8 * 3 + to_server.map_or(2, |to_server| u8::from(!to_server))
}

fn class(packet: &Packet<'_>) -> Class {
    match packet.proto {
        _ if !packet.is_ip() => Class::Other,
        TCP => Class::Tcp,
        UDP => Class::Udp,
        ICMP | ICMPV6 => Class::Icmp,
        _ => Class::Other,
    }
}

/// The classes of packets that a rule can concern.
fn classes(rule: &Rule) -> &'static [Class] {
    match rule.header.proto {
        Proto::Tcp | Proto::TcpPkt | Proto::TcpStream | Proto::Number(TCP) => &[Class::Tcp],
        Proto::Udp | Proto::Number(UDP) => &[Class::Udp],
        Proto::Icmp | Proto::Icmp4 | Proto::Icmp6 | Proto::Number(ICMP | ICMPV6) => &[Class::Icmp],
        Proto::Sctp | Proto::Igmp | Proto::Number(_) | Proto::Arp => &[Class::Other],
        Proto::Ip | Proto::Ip4 | Proto::Ip6 | Proto::PktHdr | Proto::Ether => &CLASSES,
    }
}

/// Rules without a probe that one class of packets can meet.
#[derive(Default)]
struct ByPort {
    any: Vec<RuleId>,
    /// Keyed by either port, for rules that name few ports.
    dport: HashMap<u16, Vec<RuleId>>,
    sport: HashMap<u16, Vec<RuleId>>,
}

impl ByPort {
    fn add(&mut self, id: RuleId, rule: &Rule) {
        let header = &rule.header;
        let sides = if header.bidirectional {
            None
        } else {
            few(&header.dport).map(|ports| (ports, true))
        };
        let sides = sides.or_else(|| {
            if header.bidirectional {
                None
            } else {
                few(&header.sport).map(|ports| (ports, false))
            }
        });
        match sides {
            Some((ports, destination)) => {
                let map = if destination {
                    &mut self.dport
                } else {
                    &mut self.sport
                };
                for port in ports {
                    map.entry(port).or_default().push(id);
                }
            }
            None => self.any.push(id),
        }
    }

    fn collect(&self, packet: &Packet<'_>, out: &mut Vec<RuleId>) {
        out.extend_from_slice(&self.any);
        for (map, port) in [(&self.dport, packet.dport), (&self.sport, packet.sport)] {
            if let Some(ids) = map.get(&port) {
                out.extend_from_slice(ids);
            }
        }
    }
}

/// The ports of a small set; `None` for a large one and for `any`.
fn few(ports: &PortSet) -> Option<Vec<u16>> {
    let count: usize = ports
        .ranges()
        .iter()
        .map(|&(low, high)| usize::from(high - low) + 1)
        .sum();
    (count <= MANY_PORTS).then(|| {
        ports
            .ranges()
            .iter()
            .flat_map(|&(low, high)| low..=high)
            .collect()
    })
}

/// Rules by what makes them candidates.
pub(super) struct Index {
    /// For the matcher.
    pub(super) probes: Vec<Probe>,
    /// Rules of each probe.
    of_probe: Vec<Vec<RuleId>>,
    plain: [ByPort; 4],
    ip_only: [Vec<RuleId>; 4],
    on_events: Vec<RuleId>,
    kinds: Vec<RuleKind>,
}

impl Index {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut index = Self {
            probes: Vec::new(),
            of_probe: Vec::new(),
            plain: Default::default(),
            ip_only: Default::default(),
            on_events: Vec::new(),
            kinds: rules.rules().iter().map(Rule::kind).collect(),
        };
        let mut numbers: HashMap<(Vec<u8>, bool), usize> = HashMap::new();
        for (id, rule) in (0..).zip(rules.rules()) {
            match index.kinds[id as usize] {
                RuleKind::DecoderEvent => index.on_events.push(id),
                RuleKind::IpOnly => classes(rule)
                    .iter()
                    .for_each(|&class| index.ip_only[class as usize].push(id)),
                _ => match probe_of(rule) {
                    Some((bytes, folded, probe)) => {
                        let number = *numbers.entry((bytes, folded)).or_insert_with(|| {
                            index.probes.push(probe);
                            index.of_probe.push(Vec::new());
                            index.probes.len() - 1
                        });
                        index.probes[number].groups |= groups(rule);
                        index.of_probe[number].push(id);
                    }
                    None => classes(rule)
                        .iter()
                        .for_each(|&class| index.plain[class as usize].add(id, rule)),
                },
            }
        }
        index
    }

    /// Rules that a hit of this probe makes candidates.
    pub(super) fn of_probe(&self, number: u32) -> &[RuleId] {
        self.of_probe
            .get(number as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Adds the rules that are candidates without a probe. `ip_only`: those of kind IP-only are due.
    pub(super) fn collect(&self, packet: &Packet<'_>, ip_only: bool, out: &mut Vec<RuleId>) {
        if !packet.events.is_empty() {
            out.extend_from_slice(&self.on_events);
        }
        if packet.invalid {
            return;
        }
        let class = class(packet) as usize;
        if ip_only && packet.is_ip() {
            out.extend_from_slice(&self.ip_only[class]);
        }
        self.plain[class].collect(packet, out);
    }

    pub(super) fn kind(&self, id: RuleId) -> RuleKind {
        self.kinds[id as usize]
    }
}

fn probe_of(rule: &Rule) -> Option<(Vec<u8>, bool, Probe)> {
    let choice = rule
        .probe
        .as_ref()
        .filter(|choice| choice.buffer == Buffer::Payload)?;
    let probe = Probe::new(&choice.bytes, choice.folded, 0)?;
    Some((probe.bytes().to_vec(), choice.folded, probe))
}

/// The matcher groups whose packets a rule can concern, as [`group`] numbers them.
fn groups(rule: &Rule) -> u64 {
    let directions = match rule.flow {
        Some(flow) if flow.to_server => 0b001,
        Some(flow) if flow.to_client => 0b010,
        _ => 0b111,
    };
    classes(rule)
        .iter()
        .fold(0, |groups, &class| groups | directions << (class as u8 * 3))
}
