//! The table itself: a slab of flows, a hash table into it, and lists in order of last use.

use std::hash::{BuildHasher, Hash, Hasher};

use hashbrown::HashTable;

use super::hash::HashKey;
use super::{Endpoint, Flow, FlowAction, FlowKey, FlowView, endpoints, quote};
use crate::packet::Packet;
use crate::stream::{Session, Step, is_syn};

const NONE: u32 = u32::MAX;
const TCP: u8 = 6;
/// Most flows for which room is taken beforehand.
const PREALLOCATED: usize = 1 << 20;

/// Limits of the flow table.
#[derive(Clone, Copy, Debug)]
pub struct FlowConfig {
    /// Most flows at a time. A flow takes about 200 bytes: 184 in the table, 4 in the list of free places and, by
    /// default, 10 in the index. Up to a million flows are provided for at the start, so that no packet waits for the
    /// table to grow; memory is used as flows come, 52 MB when the default is reached.
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
    /// The list that it is in.
    list: usize,
    older: u32,
    newer: u32,
}

/// Flows in order of last use.
struct List {
    oldest: u32,
    newest: u32,
    length: usize,
}

impl List {
    const EMPTY: Self = Self {
        oldest: NONE,
        newest: NONE,
        length: 0,
    };
}

/// The list of flows that are not, or not yet, established.
const FRESH: usize = 0;
/// The list of established flows.
const ESTABLISHED: usize = 1;

/// Flows by key, bounded.
///
/// When it is full, the least recently used flow goes. Established flows come last, so that a flood of SYNs cannot make
/// the table forget connections; but an eighth of the table is always left to new ones.
pub struct FlowTable {
    config: FlowConfig,
    /// Slots by the hash of their key.
    index: HashTable<u32>,
    hash: HashKey,
    slots: Vec<Slot>,
    free: Vec<u32>,
    lists: [List; 2],
    counters: FlowCounters,
}

impl FlowTable {
    /// An empty table.
    pub fn new(config: FlowConfig) -> Self {
        let max_flows = config.max_flows.clamp(1, NONE as usize - 1);
        let room = max_flows.min(PREALLOCATED);
        Self {
            config: FlowConfig {
                max_flows,
                ..config
            },
            index: HashTable::with_capacity(room),
            hash: HashKey::random(),
            slots: Vec::with_capacity(room),
            free: Vec::with_capacity(room),
            lists: [List::EMPTY; 2],
            counters: FlowCounters::default(),
        }
    }

    /// Finds or makes the packet's flow and brings it up to date; `None` for packets that have no flow.
    pub fn track(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        let Some((from, to)) = endpoints(packet) else {
            return self.track_error(packet);
        };
        let key = FlowKey::between(from, to, packet.proto, packet);
        let slot = match self.find(&key) {
            Some(slot) if self.timed_out(slot, packet.ts_ns) => {
                self.counters.timed_out += 1;
                self.remove(slot);
                self.insert(key, from, to, packet)
            }
            Some(slot) if self.slots[slot as usize].flow.tcp.reusable() && is_syn(packet) => {
                self.remove(slot);
                self.insert(key, from, to, packet)
            }
            Some(slot) => slot,
            None => self.insert(key, from, to, packet),
        };
        let midstream = self.config.midstream;
        let flow = &mut self.slots[slot as usize].flow;
        let to_server = flow.client == from;
        let way = usize::from(!to_server);
        let first = !flow.seen[way];
        flow.seen[way] = true;
        flow.count(packet, way);
        let mut step = Step::default();
        let established = if packet.tcp().is_some() {
            // As Suricata: the packet that completes the handshake is not itself in an established flow.
            let before = flow.established();
            step = flow.tcp.advance(packet, to_server, midstream);
            before
        } else {
            flow.both_ways |= flow.seen == [true; 2];
            flow.established()
        };
        self.touch(slot);
        Some(FlowView {
            slot,
            to_server,
            established,
            first,
            step,
        })
    }

    /// Attaches an ICMP error to the flow of the packet that it quotes, as Suricata does: it is counted there, but is
    /// no part of the conversation. Where there is no such flow, none is made.
    fn track_error(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        let quoted = quote::quoted(packet)?;
        let key = FlowKey::between(quoted.from, quoted.to, quoted.proto, packet);
        let slot = self.find(&key)?;
        if self.timed_out(slot, packet.ts_ns) {
            return None;
        }
        let flow = &mut self.slots[slot as usize].flow;
        let to_server = flow.client.0 == packet.src;
        flow.count(packet, usize::from(!to_server));
        let established = flow.established();
        self.touch(slot);
        Some(FlowView {
            slot,
            to_server,
            established,
            first: false,
            step: Step::default(),
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

    /// The slot of the flow with this key.
    fn find(&self, key: &FlowKey) -> Option<u32> {
        let same = |&slot: &u32| self.slots[slot as usize].key == *key;
        self.index.find(self.hash.hash(key), same).copied()
    }

    /// True when nothing came for the flow's timeout. (Time that goes backwards ends no flow.)
    fn timed_out(&self, slot: u32, now_ns: u64) -> bool {
        let Slot { key, flow, .. } = &self.slots[slot as usize];
        now_ns
            > flow
                .last_ns
                .saturating_add(flow.timeout_ns(key.proto == TCP))
    }

    fn insert(
        &mut self,
        key: FlowKey,
        client: Endpoint,
        server: Endpoint,
        packet: &Packet<'_>,
    ) -> u32 {
        self.make_room(packet.ts_ns);
        let flow = Flow {
            id: flow_id(&key, packet.ts_ns),
            client,
            server,
            start_ns: packet.ts_ns,
            last_ns: packet.ts_ns,
            packets: [0; 2],
            bytes: [0; 2],
            tcp: Session::default(),
            both_ways: false,
            action: FlowAction::None,
            seen: [false; 2],
        };
        let entry = Slot {
            key,
            flow,
            list: FRESH,
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
        let Self {
            index, hash, slots, ..
        } = self;
        index.insert_unique(hash.hash(&key), slot, |&slot| {
            hash.hash(&slots[slot as usize].key)
        });
        self.link(slot, FRESH);
        self.counters.created += 1;
        self.counters.peak = self.counters.peak.max(self.index.len() as u64);
        slot
    }

    /// Ends flows that are due, at most one of each list: as a flow begins each time, that keeps up. Then, if the table
    /// is full, ends one that is not.
    fn make_room(&mut self, now_ns: u64) {
        for list in [FRESH, ESTABLISHED] {
            let oldest = self.lists[list].oldest;
            if oldest != NONE && self.timed_out(oldest, now_ns) {
                self.counters.timed_out += 1;
                self.remove(oldest);
            }
        }
        if self.index.len() >= self.config.max_flows {
            self.counters.evicted += 1;
            let [fresh, established] = &self.lists;
            let keep_fresh = fresh.length <= self.config.max_flows / 8;
            self.remove(if keep_fresh && established.length > 0 {
                established.oldest
            } else {
                fresh.oldest
            });
        }
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        let hash = self.hash.hash(&self.slots[slot as usize].key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.free.push(slot);
    }

    /// Makes the flow the latest of the list where it belongs.
    fn touch(&mut self, slot: u32) {
        let Slot { flow, list, .. } = &self.slots[slot as usize];
        let belongs = if flow.established() {
            ESTABLISHED
        } else {
            FRESH
        };
        if *list != belongs || self.lists[belongs].newest != slot {
            self.unlink(slot);
            self.link(slot, belongs);
        }
    }

    fn link(&mut self, slot: u32, list: usize) {
        let ends = &mut self.lists[list];
        ends.length += 1;
        let newest = std::mem::replace(&mut ends.newest, slot);
        if newest == NONE {
            ends.oldest = slot;
        } else {
            self.slots[newest as usize].newer = slot;
        }
        let entry = &mut self.slots[slot as usize];
        (entry.list, entry.older, entry.newer) = (list, newest, NONE);
    }

    fn unlink(&mut self, slot: u32) {
        let Slot {
            list, older, newer, ..
        } = self.slots[slot as usize];
        self.lists[list].length -= 1;
        match older {
            NONE => self.lists[list].oldest = newer,
            before => self.slots[before as usize].newer = newer,
        }
        match newer {
            NONE => self.lists[list].newest = older,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the documentation of [`FlowConfig::max_flows`] says.
    #[test]
    fn a_flow_takes_as_much_as_documented() {
        assert_eq!(size_of::<Slot>(), 184);
        // At most 7 of 8 buckets are used, and their number is a power of two: twice 262 144.
        let (bucket, control) = (size_of::<u32>(), 1);
        assert_eq!(2 * (bucket + control), 10);
    }
}
