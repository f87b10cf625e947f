//! The table itself: a slab of flows, chains of them by the hash of their key, and queues in order of last use.

use std::hash::{BuildHasher, Hash, Hasher};

use super::config::{FlowConfig, FlowState, TimeoutProto};
use super::elephant::Rates;
use super::ends::{Clock, Search};
use super::hash::HashKey;
use super::queue::{self, NONE, Queues};
use super::{
    Detail, EndReason, Ended, Endpoint, Flow, FlowAction, FlowCounters, FlowKey, FlowView, Speaks,
    endpoints, quote,
};
use crate::packet::{MAX_LAYERS, Packet};
use crate::stream::{Step, is_syn};

/// Bytes that a flow takes, the index included: there are at most three places in it for each flow.
pub(super) const BYTES_PER_FLOW: usize =
    size_of::<Slot>() + queue::LINK_BYTES + 3 * size_of::<u32>();
/// Bytes that an empty table takes.
pub(super) const FIXED_BYTES: usize =
    CLASSES * queue::RING_BYTES + size_of::<FlowTable>() + 4 * size_of::<Ended>();

/// States, the innermost part of a class.
const STATES: usize = FlowState::ALL.len();
/// Classes of flows that have a timeout of their own: protocol and state.
pub(super) const CLASSES: usize = TimeoutProto::ALL.len() * STATES;
/// States in the order in which flows are given up when the table is full.
const GIVEN_UP: [FlowState; STATES] = [
    FlowState::Closed,
    FlowState::New,
    FlowState::Bypassed,
    FlowState::Established,
];

/// A flow, and what finds it. What its key says beside the two ends and the protocol stands here; those are the flow's
/// own.
pub(super) struct Slot {
    /// The next slot with the same place in the index, or the next one that is free.
    next: u32,
    /// That place.
    chain: u32,
    vlan: [u16; 3],
    pub depth: u8,
    /// Class of timeouts.
    pub class: u8,
    /// Where its frames come from ([`FlowTable::come_from`]).
    pub origin: u32,
    pub flow: Flow,
}

impl Slot {
    fn is(&self, key: &FlowKey) -> bool {
        let Flow { client, server, .. } = &self.flow;
        let ends = (*client == key.low && *server == key.high)
            || (*client == key.high && *server == key.low);
        ends && (self.flow.proto, self.depth, self.vlan) == (key.proto, key.depth, key.vlan)
    }
}

/// Flows by key, bounded.
///
/// When it is nearly full, flows are kept for shorter; when it is full, the least recently used flow goes. Connections
/// that are over go first and established flows last, so that a flood of SYNs cannot make the table forget connections;
/// but an eighth of the table is always left to new ones.
pub struct FlowTable {
    pub(super) config: FlowConfig,
    pub(super) hash: HashKey,
    /// First slot of each chain; a power of two.
    index: Box<[u32]>,
    pub(super) slots: Vec<Slot>,
    /// First slot that is free.
    free: u32,
    pub(super) queues: Queues,
    pub(super) rates: Option<Rates>,
    /// What ended by the latest packet: its own flow, and one that made room.
    ended: [Option<Ended>; 2],
    pub(super) emergency: bool,
    pub(super) clock: Clock,
    /// Where the search for flows whose time is up stands.
    pub(super) search: Search,
    /// Slots of flows that have begun in the frame at hand; no capacity where nobody asks.
    unplaced: Vec<u32>,
    pub(super) counters: FlowCounters,
}

impl FlowTable {
    /// An empty table.
    pub fn new(config: FlowConfig) -> Self {
        let max_flows = config.max_flows.clamp(1, 1 << 30);
        // Two chains for three flows, or more.
        let chains = (max_flows + max_flows / 2).next_power_of_two();
        Self {
            config: FlowConfig {
                max_flows,
                ..config
            },
            hash: HashKey::random(),
            index: vec![NONE; chains].into(),
            slots: Vec::with_capacity(max_flows),
            free: NONE,
            queues: Queues::new(CLASSES, max_flows, config.timeouts.longest()),
            rates: config
                .elephant
                .map(|elephant| Rates::new(elephant, max_flows)),
            ended: [None, None],
            emergency: false,
            clock: Clock::default(),
            search: Search::default(),
            unplaced: Vec::new(),
            counters: FlowCounters::default(),
        }
    }

    /// What rules keep for each flow.
    pub(crate) fn each_vars(&mut self) -> impl Iterator<Item = &mut crate::state::FlowVars> {
        self.slots.iter_mut().map(|slot| &mut slot.flow.vars)
    }

    /// From now on [`FlowTable::come_from`] is to be called where [`FlowTable::is_unplaced`] says so.
    pub(crate) fn keep_origins(&mut self) {
        // A frame has at most so many packets.
        self.unplaced.reserve_exact(MAX_LAYERS.into());
    }

    /// True when flows have begun of which it is not known where their frames come from.
    pub(crate) fn is_unplaced(&self) -> bool {
        !self.unplaced.is_empty()
    }

    /// The flows that have begun since were begun by a frame with this [`super::shard`]. They keep it, because another
    /// process may deal them out to another number of workers.
    pub(crate) fn come_from(&mut self, origin: u32) {
        for slot in self.unplaced.drain(..) {
            self.slots[slot as usize].origin = origin;
        }
    }

    /// Finds or makes the packet's flow and brings it up to date; `None` for packets that have no flow. What ended by it
    /// is in [`FlowTable::take_ended`], until the next packet.
    pub fn track(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        self.ended = [None, None];
        let Some((from, to)) = endpoints(packet) else {
            return self.track_error(packet);
        };
        let key = FlowKey::between(from, to, packet.proto, packet, self.config.vlan);
        let hash = self.hash.hash(&key);
        let slot = match self.find(hash, &key) {
            Some(slot) => match self.over(slot, packet) {
                Some((reason, ts_ns)) => {
                    let dropped = self.slots[slot as usize].flow.action == FlowAction::Drop;
                    self.ended[0] = Some(self.end(slot, reason, ts_ns));
                    let slot = self.insert(hash, key, from, to, packet);
                    if reason == EndReason::Reused && dropped {
                        self.slots[slot as usize].flow.tcp.succeed();
                    }
                    slot
                }
                None => slot,
            },
            None => self.insert(hash, key, from, to, packet),
        };
        let session = self.config.session;
        let Slot { flow, .. } = &mut self.slots[slot as usize];
        let mut to_server = flow.client == from;
        let way = usize::from(!to_server);
        let first = !flow.seen[way];
        flow.seen[way] = true;
        flow.count(packet, way);
        let mut step = Step::default();
        let established = if let Some(flags) = packet.tcp_flags() {
            // As Suricata: the packet that completes the handshake is not itself in an established flow, unless it
            // brings data.
            let before = flow.established();
            flow.tcp_flags[way] |= flags;
            step = flow.tcp.advance(packet, to_server, &session);
            if step.reversed {
                flow.reverse();
                to_server = !to_server;
            }
            before || step.established
        } else {
            flow.both_ways |= flow.seen == [true; 2];
            if let Detail::Icmp(seen) = &mut flow.detail {
                seen[way] = packet.icmp_type().zip(packet.icmp_code());
            }
            flow.established()
        };
        self.account(slot, usize::from(!to_server), packet);
        self.sort(slot);
        Some(FlowView {
            slot,
            to_server,
            established,
            first,
            step,
            app: Speaks::Unknown,
        })
    }

    /// Attaches an ICMP error to the flow of the packet that it quotes, as Suricata does: it is counted there, but is
    /// no part of the conversation. Where there is no such flow, none is made.
    fn track_error(&mut self, packet: &Packet<'_>) -> Option<FlowView> {
        let quoted = quote::quoted(packet)?;
        let vlan = self.config.vlan;
        let key = FlowKey::between(quoted.from, quoted.to, quoted.proto, packet, vlan);
        let slot = self.find(self.hash.hash(&key), &key)?;
        if packet.ts_ns > self.deadline(slot) {
            return None;
        }
        let flow = &mut self.slots[slot as usize].flow;
        let to_server = flow.client.0 == packet.src;
        let way = usize::from(!to_server);
        flow.count(packet, way);
        let established = flow.established();
        self.account(slot, way, packet);
        Some(FlowView {
            slot,
            to_server,
            established,
            first: false,
            step: Step::default(),
            app: Speaks::Unknown,
        })
    }

    /// The flow of a view that [`FlowTable::track`] just returned.
    pub fn get(&self, view: FlowView) -> &Flow {
        &self.slots[view.slot as usize].flow
    }

    /// The same, to be changed. What it is found by, its state and its times are the table's own matter.
    pub fn get_mut(&mut self, view: FlowView) -> &mut Flow {
        &mut self.slots[view.slot as usize].flow
    }

    /// Remembers what a rule decided, unless something was decided before.
    pub fn decide(&mut self, view: FlowView, action: FlowAction) {
        let flow = &mut self.slots[view.slot as usize].flow;
        if flow.action == FlowAction::None {
            flow.action = action;
            self.sort(view.slot);
        }
    }

    /// A flow that the latest packet ended, if there is another one: its own, when that timed out or was followed by a
    /// new connection, and one that made room. To be called until there is none, before anything else is done.
    pub fn take_ended(&mut self) -> Option<Ended> {
        // Looked at first, because flows are large to move, and there is hardly ever one.
        self.ended.iter_mut().find(|ended| ended.is_some())?.take()
    }

    /// What has been counted so far.
    pub fn counters(&self) -> FlowCounters {
        self.counters
    }

    /// Bytes that the table takes when it is full.
    pub fn memory(&self) -> usize {
        self.config.memory()
    }

    pub(super) fn length(&self) -> usize {
        self.counters.active as usize
    }

    /// The slot of the flow with this key.
    pub(super) fn find(&self, hash: u64, key: &FlowKey) -> Option<u32> {
        let mut slot = self.index[self.chain(hash)];
        while slot != NONE {
            let entry = &self.slots[slot as usize];
            if entry.is(key) {
                return Some(slot);
            }
            slot = entry.next;
        }
        None
    }

    fn chain(&self, hash: u64) -> usize {
        hash as usize & (self.index.len() - 1)
    }

    /// When the flow's time is up.
    fn deadline(&self, slot: u32) -> u64 {
        let Slot { flow, class, .. } = &self.slots[slot as usize];
        flow.last_ns
            .saturating_add(self.timeout(usize::from(*class)))
    }

    /// Whether the flow was over before this packet of its key: why, and since when.
    fn over(&self, slot: u32, packet: &Packet<'_>) -> Option<(EndReason, u64)> {
        let deadline = self.deadline(slot);
        if packet.ts_ns > deadline {
            return Some((EndReason::Timeout, deadline));
        }
        let flow = &self.slots[slot as usize].flow;
        let to_server = flow.client == (packet.src, packet.sport);
        let reused = if is_syn(packet) {
            flow.tcp.reusable() || self.begins_anew(flow, packet, to_server)
        } else {
            self.config.session.inline && flow.tcp.renewed_by(packet, to_server)
        };
        reused.then_some((EndReason::Reused, packet.ts_ns))
    }

    /// Whether a SYN is of another connection than this one, whose end may not have been seen: it needed no inspection, or was
    /// dropped. Of one that goes on the server's answer says so.
    fn begins_anew(&self, flow: &Flow, syn: &Packet<'_>, to_server: bool) -> bool {
        let unseen = match flow.action {
            FlowAction::Pass | FlowAction::Bypass => self.config.passed_by,
            FlowAction::Drop => self.config.session.inline,
            FlowAction::None => false,
        };
        unseen && flow.tcp.differs_from(syn, to_server)
    }

    /// How long flows of a class are kept.
    pub(super) fn timeout(&self, class: usize) -> u64 {
        let timeouts = &self.config.timeouts;
        let (proto, state) = (class / STATES, class % STATES);
        let normal = timeouts.normal[proto][state];
        if self.emergency {
            normal.min(timeouts.emergency[proto][state])
        } else {
            normal
        }
    }

    fn insert(
        &mut self,
        hash: u64,
        key: FlowKey,
        client: Endpoint,
        server: Endpoint,
        packet: &Packet<'_>,
    ) -> u32 {
        self.make_room(packet.ts_ns);
        let flow = Flow::new(flow_id(&key, packet.ts_ns), client, server, packet);
        self.counters.begin(&flow);
        let class = class_of(&flow);
        let slot = self.put(hash, &key, class, 0, flow);
        self.queues.push(slot, class.into(), packet.ts_ns);
        if self.unplaced.len() < self.unplaced.capacity() {
            self.unplaced.push(slot);
        }
        slot
    }

    /// Puts a flow into a slot and into the index, but into no queue.
    #[inline]
    pub(super) fn put(
        &mut self,
        hash: u64,
        key: &FlowKey,
        class: u8,
        origin: u32,
        flow: Flow,
    ) -> u32 {
        let chain = self.chain(hash);
        let entry = Slot {
            next: self.index[chain],
            chain: chain as u32,
            vlan: key.vlan,
            depth: key.depth,
            class,
            origin,
            flow,
        };
        let slot = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let slot = std::mem::replace(&mut self.free, free.next);
                *free = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                (self.slots.len() - 1) as u32
            }
        };
        self.index[chain] = slot;
        if let Some(rates) = &mut self.rates {
            rates.reset(slot);
        }
        slot
    }

    /// Sees that there is a free slot.
    fn make_room(&mut self, now_ns: u64) {
        let (length, max_flows) = (self.length(), self.config.max_flows);
        if length < max_flows - max_flows / 16 {
            return;
        }
        if !self.emergency {
            self.emergency = true;
            self.counters.emergencies += 1;
        }
        if length >= max_flows
            && let Some(slot) = self.least_needed()
        {
            self.ended[1] = Some(self.end(slot, EndReason::Forced, now_ns));
        }
    }

    /// The flow that can best be done without.
    fn least_needed(&mut self) -> Option<u32> {
        let fresh = self.length_in(FlowState::New);
        let keep_fresh = fresh <= self.config.max_flows / 8;
        let of_state = |table: &mut Self, state: FlowState| {
            (0..TimeoutProto::ALL.len())
                .filter_map(|proto| table.least_recent(proto * STATES + state as usize))
                .min_by_key(|&(_, used_ns)| used_ns)
                .map(|(slot, _)| slot)
        };
        GIVEN_UP
            .into_iter()
            .filter(|&state| !(keep_fresh && state == FlowState::New))
            .find_map(|state| of_state(self, state))
            .or_else(|| of_state(self, FlowState::New))
    }

    fn length_in(&self, state: FlowState) -> usize {
        (0..TimeoutProto::ALL.len())
            .map(|proto| self.queues.length(proto * STATES + state as usize))
            .sum()
    }

    /// The least recently used flow of a class, and when that was.
    fn least_recent(&mut self, class: usize) -> Option<(u32, u64)> {
        loop {
            let (slot, seen_ns) = self.queues.oldest(class)?;
            let used_ns = self.slots[slot as usize].flow.last_ns;
            if used_ns <= seen_ns {
                return Some((slot, used_ns));
            }
            // It was used since it was queued.
            self.queues.remove(slot, class);
            self.queues.push(slot, class, used_ns);
        }
    }

    /// Takes a flow out.
    pub(super) fn end(&mut self, slot: u32, reason: EndReason, ts_ns: u64) -> Ended {
        let entry = &self.slots[slot as usize];
        let (class, next) = (usize::from(entry.class), entry.next);
        let chain = entry.chain as usize;
        let mut before = self.index[chain];
        if before == slot {
            self.index[chain] = next;
        } else {
            while self.slots[before as usize].next != slot {
                before = self.slots[before as usize].next;
            }
            self.slots[before as usize].next = next;
        }
        self.queues.remove(slot, class);
        let entry = &mut self.slots[slot as usize];
        entry.next = std::mem::replace(&mut self.free, slot);
        let ended = Ended {
            flow: std::mem::replace(&mut entry.flow, Flow::vacant()),
            reason,
            emergency: self.emergency && reason != EndReason::Shutdown,
            ts_ns,
            streams: None,
        };
        self.counters.end(&ended);
        ended
    }

    /// Counts what the table keeps by flow, but outside of it.
    fn account(&mut self, slot: u32, way: usize, packet: &Packet<'_>) {
        let flow = &mut self.slots[slot as usize].flow;
        if flow.action == FlowAction::Bypass {
            self.counters.bypassed_packets += 1;
            self.counters.bypassed_bytes += u64::from(packet.wire_len);
        }
        if let Some(rates) = &mut self.rates
            && !flow.elephant[way]
            && rates.count(slot, way, packet.ts_ns, packet.wire_len)
        {
            self.counters.elephants += u64::from(flow.elephant == [false; 2]);
            flow.elephant[way] = true;
        }
    }

    /// Sees that the flow is in the class where it belongs.
    fn sort(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let class = class_of(&entry.flow);
        if entry.class != class {
            let before = std::mem::replace(&mut entry.class, class);
            let used_ns = entry.flow.last_ns;
            self.queues.remove(slot, before.into());
            self.queues.push(slot, class.into(), used_ns);
        }
    }
}

/// The class of timeouts that a flow is in.
pub(super) fn class_of(flow: &Flow) -> u8 {
    (TimeoutProto::of(flow.proto) as usize * STATES + flow.state() as usize) as u8
}

/// A number for the flow that another run over the same packets repeats. 53 bits, as many as JSON readers keep.
fn flow_id(key: &FlowKey, start_ns: u64) -> u64 {
    let fixed = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let mut hasher = fixed.build_hasher();
    key.hash(&mut hasher);
    start_ns.hash(&mut hasher);
    hasher.finish() >> 11
}
