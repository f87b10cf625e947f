//! Which rules to look at for a packet: by probe, by port, by address, by event.
//!
//! A rule that has a probe becomes a candidate when the matcher finds it. The others are sorted by protocol and by what
//! they name little of, ports or addresses, so that a packet meets only those that could concern it. Every list says
//! which check of the header each of its rules needs, and that decides first.

use std::collections::HashMap;

use super::groups::{Class, Groups, few, probed};
use super::header::{Check, CheckId, Checked, Checks};
use crate::app::AppProto;
use crate::flow::{Endpoint, FlowView};
use crate::matcher::Probe;
use crate::packet::Packet;
use crate::plan::{
    Buffer, Header, ProbeChoice, Proto, Rule, RuleId, RuleKind, RuleSet, StateAction, TxNeeds,
    high_bits,
};

/// A rule that names more ports than this is not listed by port.
const MANY_PORTS: usize = 32;

/// A rule whose addresses begin in more ways than this is not listed by address.
const MANY_ADDRESSES: usize = 512;

/// Where the payload stands that a rule is to be looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// In a packet that is no part of a stream.
    Packet = 1,
    /// In a segment whose data is in a stream.
    Segment = 2,
    /// In a stream.
    Stream = 4,
    /// In a transaction.
    Transaction = 8,
}

/// The roles of a rule, as bits: a rule that is about streams is looked for there, and in packets that belong to none; a
/// keyword with a place in the payload has it looked for in segments, too.
fn roles(rule: &Rule, kind: RuleKind) -> u8 {
    if kind == RuleKind::Transaction {
        return Role::Transaction as u8;
    }
    if kind != RuleKind::Stream {
        return Role::Packet as u8 | Role::Segment as u8;
    }
    let only_stream =
        rule.header.proto == Proto::TcpStream || rule.flow.is_some_and(|test| test.only_stream);
    let mut roles = Role::Stream as u8;
    if !only_stream {
        roles |= Role::Packet as u8;
    }
    if rule.needs_packet {
        roles |= Role::Segment as u8;
    }
    roles
}

/// A rule, where it is looked for, and what is checked before it becomes a candidate.
#[derive(Clone, Copy)]
struct Entry {
    rule: RuleId,
    check: CheckId,
    roles: u8,
}

impl Entry {
    fn has(self, role: Role) -> bool {
        self.roles & role as u8 != 0
    }
}

/// Lists of rules by a number of 16 bits.
#[derive(Default)]
struct Keyed {
    /// Place in `lists` of each key's list; empty when there are none.
    places: Vec<u32>,
    /// The first one is empty.
    lists: Vec<Vec<Entry>>,
}

impl Keyed {
    fn add(&mut self, keys: impl IntoIterator<Item = u16>, entry: Entry) {
        if self.lists.is_empty() {
            self.places = vec![0; 1 << 16];
            self.lists.push(Vec::new());
        }
        for key in keys {
            let place = &mut self.places[usize::from(key)];
            if *place == 0 {
                *place = self.lists.len() as u32;
                self.lists.push(Vec::new());
            }
            self.lists[*place as usize].push(entry);
        }
    }

    #[inline]
    fn get(&self, key: u16) -> &[Entry] {
        let place = self.places.get(usize::from(key)).copied().unwrap_or(0);
        self.lists.get(place as usize).map_or(&[], Vec::as_slice)
    }
}

/// Rules without a probe that packets of one class can match, each in one place.
#[derive(Default)]
struct Unprobed {
    /// Rules that name few ports, by these.
    by_dport: Keyed,
    by_sport: Keyed,
    /// Rules that name few addresses, by how these begin.
    by_dst: Keyed,
    by_src: Keyed,
    any: Vec<Entry>,
    /// There is a rule.
    filled: bool,
}

/// [`Unprobed`] of every class.
type ByClass = [Unprobed; Class::ALL.len()];

/// Adds a rule to the classes whose packets it can match.
fn add_unprobed(to: &mut ByClass, rule: &Rule, entry: Entry) {
    for class in Class::of_rule(rule) {
        to[class as usize].add(&rule.header, entry);
    }
}

impl Unprobed {
    fn add(&mut self, header: &Header, entry: Entry) {
        self.filled = true;
        if header.bidirectional {
            // What may stand on either side has no place on one.
            return self.any.push(entry);
        }
        if let Some(ports) = few(&header.dport, MANY_PORTS) {
            return self.by_dport.add(ports, entry);
        }
        if let Some(ports) = few(&header.sport, MANY_PORTS) {
            return self.by_sport.add(ports, entry);
        }
        let [src, dst] = [&header.src, &header.dst].map(|set| set.high_bits(MANY_ADDRESSES));
        match (src, dst) {
            (Some(src), Some(dst)) if dst.len() < src.len() => self.by_dst.add(dst, entry),
            (Some(src), _) => self.by_src.add(src, entry),
            (None, Some(dst)) => self.by_dst.add(dst, entry),
            (None, None) => self.any.push(entry),
        }
    }

    /// All lists that a packet has to do with.
    #[inline]
    fn of_packet(&self, packet: &Packet<'_>) -> [&[Entry]; 5] {
        self.between((packet.src, packet.sport), (packet.dst, packet.dport))
    }

    /// All lists that packets from one end to another have to do with.
    #[inline]
    fn between(&self, from: Endpoint, to: Endpoint) -> [&[Entry]; 5] {
        [
            &self.any,
            self.by_dport.get(to.1),
            self.by_sport.get(from.1),
            self.by_src.get(high_bits(from.0)),
            self.by_dst.get(high_bits(to.0)),
        ]
    }
}

/// Rules by what makes them candidates.
pub(super) struct Index {
    /// For the matcher.
    pub(super) probes: Vec<Probe>,
    /// For each probe, where its rules start in `of_probes`; and where the last one's end.
    starts: Vec<u32>,
    of_probes: Vec<Entry>,
    every_packet: ByClass,
    /// Rules about streams that have no probe: for the end of every window.
    every_window: Unprobed,
    ip_only: ByClass,
    on_events: Vec<Entry>,
    /// Rules about which protocol was found.
    on_protocol: Vec<Entry>,
    /// Rules about transactions that have no probe, by protocol.
    every_transaction: Vec<Vec<Entry>>,
    /// What rules about transactions need of them.
    needs: HashMap<RuleId, TxNeeds>,
    checks: Box<[Check]>,
    kinds: Vec<RuleKind>,
    /// Rules that are decided before their window ends.
    early: Vec<bool>,
    /// Rules whose match more data cannot take away.
    grows: Vec<bool>,
}

impl Index {
    pub(super) fn new(rules: &RuleSet, groups: &Groups) -> Self {
        let kinds: Vec<RuleKind> = rules.rules().iter().map(Rule::kind).collect();
        let mut probes: Vec<Probe> = Vec::new();
        let mut of_probe: Vec<Vec<Entry>> = Vec::new();
        let mut numbers: HashMap<Probe, usize> = HashMap::new();
        let (mut every_packet, mut ip_only) = (ByClass::default(), ByClass::default());
        let mut every_window = Unprobed::default();
        let (mut on_events, mut on_protocol) = (Vec::new(), Vec::new());
        let mut every_transaction = vec![Vec::new(); AppProto::ALL.len()];
        let mut needs = HashMap::new();
        let mut checks = Checks::default();
        for ((id, rule), kind) in (0..).zip(rules.rules()).zip(&kinds) {
            let entry = Entry {
                rule: id,
                check: checks.number(rule),
                roles: roles(rule, *kind),
            };
            let of_transactions = rule.tx_needs().filter(|_| *kind == RuleKind::Transaction);
            if let Some(of_rule) = of_transactions {
                needs.insert(id, of_rule);
            }
            match kind {
                RuleKind::DecoderEvent | RuleKind::StreamEvent => on_events.push(entry),
                RuleKind::ProtocolFound => on_protocol.push(entry),
                RuleKind::IpOnly => add_unprobed(&mut ip_only, rule, entry),
                _ => match (probes_of(rule), of_transactions) {
                    (of_rule, _) if !of_rule.is_empty() => {
                        for probe in of_rule {
                            let number = *numbers.entry(probe).or_insert_with(|| {
                                probes.push(probe);
                                of_probe.push(Vec::new());
                                probes.len() - 1
                            });
                            probes[number].groups |= groups.of_rule(rule);
                            of_probe[number].push(entry);
                        }
                    }
                    (_, Some(of_rule)) => {
                        for proto in of_rule.protos.iter() {
                            every_transaction[proto as usize].push(entry);
                        }
                    }
                    (_, None) => {
                        add_unprobed(&mut every_packet, rule, entry);
                        if entry.has(Role::Stream) {
                            every_window.add(&rule.header, entry);
                        }
                    }
                },
            }
        }
        let mut starts = vec![0];
        let mut of_probes = Vec::new();
        for entries in of_probe {
            of_probes.extend(entries);
            starts.push(of_probes.len() as u32);
        }
        Self {
            probes,
            starts,
            of_probes,
            every_packet,
            every_window,
            ip_only,
            on_events,
            on_protocol,
            every_transaction,
            needs,
            checks: checks.finish(),
            early: (rules.rules().iter().zip(&kinds))
                .map(|(rule, kind)| {
                    // Others see what it remembers; that a flow is tagged or bypassed concerns no other rule.
                    let alone = |action: &StateAction| {
                        matches!(action, StateAction::Bypass | StateAction::Tag { .. })
                    };
                    let stateless =
                        rule.state_tests.is_empty() && rule.state_actions.iter().all(alone);
                    *kind == RuleKind::Stream && !rule.needs_packet && stateless && rule.grows()
                })
                .collect(),
            grows: rules.rules().iter().map(Rule::grows).collect(),
            kinds,
        }
    }

    /// True for a rule whose match stays a match whatever data follows.
    pub(super) fn grows(&self, id: RuleId) -> bool {
        self.grows.get(id as usize).copied().unwrap_or(false)
    }

    /// True when there are rules that are due at the end of every window.
    pub(super) fn wants_windows(&self) -> bool {
        self.every_window.filled
    }

    /// True when some of them may concern the stream from one end to another.
    pub(super) fn wants_windows_of(&self, from: Endpoint, to: Endpoint) -> bool {
        self.every_window.filled
            && (self.every_window.between(from, to))
                .iter()
                .any(|l| !l.is_empty())
    }

    /// True for a rule that is decided as soon as it matches, not when its window ends.
    ///
    /// More data cannot take its match away, and no other rule depends on when it matched: state changes when windows end,
    /// as it does in Suricata when it inspects a stream. A rule that is also looked for in segments has matched there at once, and
    /// alerts for the stream when the window ends, as Suricata has it.
    pub(super) fn early(&self, id: RuleId) -> bool {
        self.early.get(id as usize).copied().unwrap_or(false)
    }

    /// True for a rule that may wait for more of a stream with such packets, because one of its probes was found.
    pub(super) fn may_wait(
        &self,
        rule: &Rule,
        id: RuleId,
        packet: &Packet<'_>,
        flow: FlowView,
    ) -> bool {
        self.kinds.get(id as usize) == Some(&RuleKind::Stream)
            && Check::new(rule).holds(packet, Some(flow))
    }

    /// Rules that a hit of this probe makes candidates.
    fn of_probe(&self, number: u32) -> &[Entry] {
        let number = number as usize;
        match (self.starts.get(number), self.starts.get(number + 1)) {
            (Some(&start), Some(&end)) => &self.of_probes[start as usize..end as usize],
            _ => &[],
        }
    }

    /// What a rule about transactions needs of them.
    pub(super) fn needs(&self, id: RuleId) -> Option<&TxNeeds> {
        self.needs.get(&id)
    }

    pub(super) fn kind(&self, id: RuleId) -> RuleKind {
        self.kinds[id as usize]
    }
}

/// The rule's probes, if it is looked for by such; in no group yet.
fn probes_of(rule: &Rule) -> Vec<Probe> {
    let of_transaction = |choice: &ProbeChoice| {
        matches!(choice.buffer, Buffer::App(_) | Buffer::AppOf(..))
            && rule.kind() == RuleKind::Transaction
    };
    let probe = |choice: &ProbeChoice| {
        if !of_transaction(choice) && !probed(rule) {
            return None;
        }
        Probe::new(&choice.bytes, choice.folded, 0)
    };
    let mut probes: Vec<Probe> = Vec::new();
    for choice in rule.probes() {
        match probe(choice) {
            Some(probe) if probes.contains(&probe) => {}
            Some(probe) => probes.push(probe),
            // One of them cannot be looked for: then it is looked at whatever is found.
            None => return Vec::new(),
        }
    }
    probes
}

/// The rules to evaluate on the packet at hand.
pub(super) struct Candidates {
    rules: Vec<RuleId>,
    checked: Checked,
}

impl Candidates {
    /// For the rules of an index.
    pub(super) fn new(index: &Index) -> Self {
        Self {
            rules: Vec::new(),
            checked: Checked::new(index.checks.len()),
        }
    }

    /// The rules that concern the packet in this role, in order: those of the probes that were found in it, each once, and
    /// those that have no probe. `first`: of its direction in its flow, or without a flow; then rules of kind IP-only are
    /// due.
    pub(super) fn collect(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: Option<FlowView>,
        hits: &[u32],
        role: Role,
    ) -> &mut Vec<RuleId> {
        let Self { rules, checked } = self;
        rules.clear();
        checked.next_packet();
        let mut add = |entries: &[Entry]| {
            for &entry in entries {
                if entry.has(role) && checked.holds(entry.check, &index.checks, packet, flow) {
                    rules.push(entry.rule);
                }
            }
        };
        let of_stream = flow.is_some_and(|view| !view.step.events.is_empty());
        if of_stream || !packet.events.is_empty() {
            add(&index.on_events);
        }
        if !packet.invalid {
            let class = Class::of(packet) as usize;
            for entries in index.every_packet[class].of_packet(packet) {
                add(entries);
            }
            if packet.is_ip() && flow.is_none_or(|view| view.first) {
                for entries in index.ip_only[class].of_packet(packet) {
                    add(entries);
                }
            }
            for &probe in hits {
                add(index.of_probe(probe));
            }
        }
        rules.sort_unstable();
        // A segment that fills several windows has brought hits of each, and a rule may have several probes.
        rules.dedup();
        rules
    }

    /// The rules about streams whose probes were found in the stream, in order, whatever the order of the hits: who waits
    /// in a crowd must not depend on the matcher.
    pub(super) fn in_stream(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
        hits: &[u32],
    ) -> &[RuleId] {
        self.rules.clear();
        self.checked.next_packet();
        for &probe in hits {
            self.add(Role::Stream, index, packet, flow, index.of_probe(probe));
        }
        self.rules.sort_unstable();
        // A rule may have several probes.
        self.rules.dedup();
        &self.rules
    }

    /// The rules about transactions whose probes were found in a buffer of one, in no order.
    pub(super) fn in_transaction(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
        hits: &[u32],
    ) -> &[RuleId] {
        self.rules.clear();
        for &probe in hits {
            self.add(
                Role::Transaction,
                index,
                packet,
                flow,
                index.of_probe(probe),
            );
        }
        &self.rules
    }

    /// The rules about transactions of a protocol that have no probe.
    pub(super) fn of_transaction(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
        proto: AppProto,
    ) -> &[RuleId] {
        self.rules.clear();
        if let Some(entries) = index.every_transaction.get(proto as usize) {
            self.add(Role::Transaction, index, packet, flow, entries);
        }
        &self.rules
    }

    /// What follows is about another packet, or the same one seen otherwise.
    pub(super) fn next_packet(&mut self) {
        self.checked.next_packet();
    }

    /// The rules about which protocol was found that concern the packet, in order.
    pub(super) fn on_protocol(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
    ) -> &mut Vec<RuleId> {
        self.rules.clear();
        self.checked.next_packet();
        for &entry in &index.on_protocol {
            if self
                .checked
                .holds(entry.check, &index.checks, packet, Some(flow))
            {
                self.rules.push(entry.rule);
            }
        }
        &mut self.rules
    }

    /// The rules about streams that have no probe, and are due at the end of a window; in no order.
    pub(super) fn of_window(
        &mut self,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
    ) -> &[RuleId] {
        self.rules.clear();
        self.checked.next_packet();
        for entries in index.every_window.of_packet(packet) {
            self.add(Role::Stream, index, packet, flow, entries);
        }
        &self.rules
    }

    /// Adds those of the entries that have a role and concern the packet.
    fn add(
        &mut self,
        role: Role,
        index: &Index,
        packet: &Packet<'_>,
        flow: FlowView,
        entries: &[Entry],
    ) {
        for &entry in entries {
            let checks = &index.checks;
            if entry.has(role) && self.checked.holds(entry.check, checks, packet, Some(flow)) {
                self.rules.push(entry.rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::strategies;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every way into the index, against a look at every rule.
        #[test]
        fn candidates_are_the_rules_that_concern_the_packet(
            rules in prop::collection::vec(strategies::rule(), 1..20),
            packets in prop::collection::vec((strategies::packet(), any::<bool>()), 1..10),
        ) {
            let rules = RuleSet::new(rules);
            let index = Index::new(&rules, &Groups::new(&rules));
            let mut candidates = Candidates::new(&index);
            for ((packet, flow), hit) in &packets {
                // All probes are the same one.
                let hits: &[u32] = if *hit { &[0] } else { &[] };
                let first = packet.is_ip() && flow.is_none_or(|view| view.first);
                let expected: Vec<RuleId> = (0..)
                    .zip(rules.rules())
                    .filter(|(_, rule)| Check::new(rule).holds(packet, *flow))
                    .filter(|(_, rule)| match rule.kind() {
                        RuleKind::IpOnly => first,
                        _ => rule.probe.is_none() || *hit,
                    })
                    .map(|(id, _)| id)
                    .collect();
                prop_assert_eq!(
                    &*candidates.collect(&index, packet, *flow, hits, Role::Packet),
                    &expected
                );
            }
        }
    }

    #[test]
    fn a_probe_that_is_not_there_makes_no_candidates() {
        let rules = RuleSet::default();
        let index = Index::new(&rules, &Groups::new(&rules));
        for number in [0, 1, u32::MAX] {
            assert!(index.of_probe(number).is_empty());
        }
    }
}
