//! The table itself: a slab of flows, a hash map into it, and a list in order of last use.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use super::tcp::{self, TcpState};
use super::{Flow, FlowAction, FlowKey, FlowView};
use crate::packet::Packet;

const NONE: u32 = u32::MAX;
const SECOND: u64 = 1_000_000_000;

/// Limits of the flow table.
#[derive(Clone, Copy, Debug)]
pub struct FlowConfig {
    /// Most flows at a time.
    pub max_flows: usize,
    /// Take up TCP connections whose handshake was not seen.
    pub midstream: bool,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            max_flows: 262_144,
            midstream: false,
        }
    }
}

/// What the flow table counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Flows begun.
    pub created: u64,
    /// Flows ended because nothing came for their timeout.
    pub timed_out: u64,
    /// Flows ended because the table was full.
    pub evicted: u64,
    /// Most flows at one time.
    pub peak: u64,
}

struct Slot {
    key: FlowKey,
    flow: Flow,
    older: u32,
    newer: u32,
}

/// Flows by key, bounded, least recently used first out.
pub struct FlowTable {
    config: FlowConfig,
    index: HashMap<FlowKey, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    counters: FlowCounters,
}

impl FlowTable {
    /// An empty table.
    pub fn new(config: FlowConfig) -> Self {
        Self {
            config: FlowConfig {
                max_flows: config.max_flows.clamp(1, NONE as usize - 1),
                ..config
            },
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            counters: FlowCounters::default(),
        }
    }

    /// Finds or makes the packet's flow and brings it up to date; `None` for packets that have no flow.
    pub fn track(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        let (key, from, to) = FlowKey::new(packet)?;
        let slot = match self.index.get(&key).copied() {
            Some(slot) if !self.is_over(slot, packet) => slot,
            Some(slot) => {
                self.remove(slot);
                self.insert(key, from, to, packet)
            }
            None => self.insert(key, from, to, packet),
        };
        self.touch(slot);
        let midstream = self.config.midstream;
        let flow = &mut self.slots[slot as usize].flow;
        let to_server = flow.client == from;
        let way = usize::from(!to_server);
        let first = !flow.seen[way];
        flow.seen[way] = true;
        flow.packets[way] += 1;
        flow.bytes[way] += u64::from(packet.wire_len);
        flow.last_ns = flow.last_ns.max(packet.ts_ns);
        let established = if packet.tcp().is_some() {
            // As Suricata: the packet that completes the handshake is not itself in an established flow.
            let before = flow.tcp.established();
            flow.tcp = flow.tcp.next(packet, to_server, midstream);
            before
        } else {
            flow.both_ways |= flow.seen == [true; 2];
            flow.both_ways
        };
        Some(FlowView {
            slot,
            to_server,
            established,
            first,
        })
    }

    /// The flow of a view that [`FlowTable::track`] just returned.
    pub fn get(&self, view: FlowView) -> &Flow {
        &self.slots[view.slot as usize].flow
    }

    /// Remembers what a rule decided, unless something was decided before.
    pub fn decide(&mut self, view: FlowView, action: FlowAction) {
        let flow = &mut self.slots[view.slot as usize].flow;
        if flow.action == FlowAction::None {
            flow.action = action;
        }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> FlowCounters {
        self.counters
    }

    /// True when the slot's flow has ended and the packet begins another.
    fn is_over(&mut self, slot: u32, packet: &Packet<'_>) -> bool {
        let flow = &self.slots[slot as usize].flow;
        let seconds = if packet.tcp().is_some() {
            match flow.tcp {
                TcpState::None | TcpState::SynSent(_) | TcpState::SynReceived(..) => 60,
                TcpState::Established | TcpState::Closing(_) => 600,
                TcpState::Closed => 60,
            }
        } else if flow.both_ways {
            300
        } else {
            30
        };
        let timed_out = packet.ts_ns > flow.last_ns.saturating_add(seconds * SECOND);
        self.counters.timed_out += u64::from(timed_out);
        timed_out || (flow.tcp.reusable() && tcp::is_syn(packet))
    }

    fn insert(
        &mut self,
        key: FlowKey,
        client: super::Endpoint,
        server: super::Endpoint,
        packet: &Packet<'_>,
    ) -> u32 {
        if self.index.len() >= self.config.max_flows {
            self.counters.evicted += 1;
            self.remove(self.oldest);
        }
        let flow = Flow {
            id: flow_id(&key, packet.ts_ns),
            client,
            server,
            start_ns: packet.ts_ns,
            last_ns: packet.ts_ns,
            packets: [0; 2],
            bytes: [0; 2],
            tcp: TcpState::None,
            both_ways: false,
            action: FlowAction::None,
            seen: [false; 2],
        };
        let entry = Slot {
            key,
            flow,
            older: NONE,
            newer: NONE,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key, slot);
        self.link(slot);
        self.counters.created += 1;
        self.counters.peak = self.counters.peak.max(self.index.len() as u64);
        slot
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        self.index.remove(&self.slots[slot as usize].key);
        self.free.push(slot);
    }

    fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn link(&mut self, slot: u32) {
        let newest = std::mem::replace(&mut self.newest, slot);
        let entry = &mut self.slots[slot as usize];
        (entry.older, entry.newer) = (newest, NONE);
        match newest {
            NONE => self.oldest = slot,
            before => self.slots[before as usize].newer = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { older, newer, .. } = self.slots[slot as usize];
        match older {
            NONE => self.oldest = newer,
            before => self.slots[before as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            after => self.slots[after as usize].older = older,
        }
    }
}

/// A number for the flow that another run over the same packets repeats. 53 bits, as many as JSON readers keep.
fn flow_id(key: &FlowKey, start_ns: u64) -> u64 {
    let fixed = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let mut hasher = fixed.build_hasher();
    key.hash(&mut hasher);
    start_ns.hash(&mut hasher);
    hasher.finish() >> 11
}
