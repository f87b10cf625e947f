//! Reassembly of IPv4 and IPv6 fragments (RFC 791, RFC 8200).
//!
//! Where fragments overlap, hosts differ in whose bytes they believe, and an attacker who knows the host can show it
//! something else than a monitor sees. [`OverlapPolicy`] names the families of hosts; each block of a packet belongs to
//! one fragment, and the policy decides, when a newcomer claims blocks that have an owner, which of the two has them.
//! The families and their rules are those of J. Novak, "Target-Based Fragmentation Reassembly" (2005).

mod overlap;
mod refused;
mod saved;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{DecoderEvent as Event, checksum};
use crate::plan::AddrSet;
use refused::Refused;
pub(crate) use saved::SavedFragments;

/// Longest packet that can be described.
const MAX_PACKET: u32 = 65_535;
/// Most fragments of one packet: as many as there are blocks of 8 bytes.
const MAX_FRAGMENTS: usize = 8_192;
/// Most bytes kept for one packet; several times its largest size, so that only overlapping floods meet it.
const MAX_TRACKER_BYTES: usize = 4 * 65_536;
/// What a fragment takes at most beside its bytes: its entry and the two that own what it leaves and splits, in lists that
/// have grown to twice what is in them and left gaps half as large behind, and what the allocator adds to the bytes.
const FRAGMENT_COST: usize = 3 * size_of::<Chunk>() + 6 * size_of::<Owned>() + 32;
/// What a tracker takes at most beside that: its share of a table that is between seven sixteenths and seven eighths full
/// and of the order, and four places in each of its lists, which have no fewer.
const TRACKER_COST: usize = size_of::<(Key, Tracker)>() * 16 / 7
    + 2 * size_of::<(Key, u64)>()
    + 4 * (size_of::<Chunk>() + size_of::<Owned>())
    + 64;

/// So many entries of trackers that are gone may always stand in the order.
const MOST_STALE: usize = 64;

/// Whose bytes count where two fragments of a packet overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverlapPolicy {
    /// The fragment that came first.
    First,
    /// The fragment that came last.
    Last,
    /// The fragment that starts further left; of two that start together, the first.
    #[default]
    Bsd,
    /// The fragment that starts further right; of two that start together, the last.
    BsdRight,
    /// The fragment that starts further left; of two that start together, the last.
    Linux,
    /// The first, unless the last starts before it and ends after it.
    Windows,
    /// The first, unless the last starts before it and does not end before it.
    Solaris,
}

impl OverlapPolicy {
    /// True when `new` takes the blocks that it shares with `old`.
    fn prefers_new(self, old: Span, new: Span) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new.start < old.start,
            Self::BsdRight => new.start >= old.start,
            Self::Linux => new.start <= old.start,
            Self::Windows => new.start < old.start && new.end > old.end,
            Self::Solaris => new.start < old.start && new.end >= old.end,
        }
    }
}

/// How fragments are reassembled, and how much may be kept for it.
#[derive(Clone, Debug)]
pub struct DefragConfig {
    /// Policy for hosts that `hosts` does not name.
    pub policy: OverlapPolicy,
    /// Policies by destination address; the first set that has the address decides.
    pub hosts: Vec<(AddrSet, OverlapPolicy)>,
    /// Most packets that wait for fragments.
    pub max_trackers: usize,
    /// Most bytes that are kept, bookkeeping included.
    pub max_bytes: usize,
    /// How long after its last fragment a packet is given up, in nanoseconds of capture time.
    pub timeout_ns: u64,
    /// Verdicts are carried out: once a fragment was dropped, or could not be kept, no other of its packet goes through.
    pub inline: bool,
}

impl Default for DefragConfig {
    fn default() -> Self {
        Self {
            policy: OverlapPolicy::default(),
            hosts: Vec::new(),
            max_trackers: 65_535,
            max_bytes: 32 << 20,
            timeout_ns: 60_000_000_000,
            inline: false,
        }
    }
}

/// What became of fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefragCounters {
    /// IPv4 fragments.
    pub ipv4_fragments: u64,
    /// IPv6 fragments.
    pub ipv6_fragments: u64,
    /// IPv4 packets put together.
    pub ipv4_reassembled: u64,
    /// IPv6 packets put together.
    pub ipv6_reassembled: u64,
    /// Packets given up after the timeout.
    pub timed_out: u64,
    /// Packets given up to make room.
    pub evicted: u64,
    /// Fragments that could not be kept.
    pub ignored: u64,
    /// Fragments dropped because others of their packet were.
    pub refused: u64,
}

/// What the fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Key {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub id: u32,
    pub proto: u8,
    pub vlan: [u16; 3],
}

/// What stands in front of the data of a fragment, without its fragment header.
#[derive(Clone, Copy)]
pub(super) enum Front<'a> {
    V4 {
        header: &'a [u8],
    },
    V6 {
        header: &'a [u8],
        extensions: &'a [u8],
        /// Where, in both together, the fragment header is named.
        named_at: usize,
        /// What the fragment header names.
        next: u8,
    },
}

/// A fragment as it arrives.
pub(super) struct Fragment<'a> {
    pub key: Key,
    /// Place of the data in the packet.
    pub offset: u32,
    /// Not the last one.
    pub more: bool,
    pub front: Front<'a>,
    pub data: &'a [u8],
}

impl Fragment<'_> {
    /// True for IPv6.
    pub fn v6(&self) -> bool {
        matches!(self.front, Front::V6 { .. })
    }

    /// The bytes in front of the reassembled data.
    fn front(&self) -> Vec<u8> {
        match self.front {
            Front::V4 { header } => header.to_vec(),
            Front::V6 {
                header,
                extensions,
                named_at,
                next,
            } => {
                let mut front = [header, extensions].concat();
                if let Some(name) = front.get_mut(named_at) {
                    *name = next;
                }
                front
            }
        }
    }

    fn front_len(&self) -> usize {
        match self.front {
            Front::V4 { header } => header.len(),
            Front::V6 {
                header, extensions, ..
            } => header.len() + extensions.len(),
        }
    }
}

/// What came of a fragment.
#[derive(Default)]
pub(super) struct Kept {
    /// What was wrong with it.
    pub event: Option<Event>,
    /// The packet that it completed, from its IP header on. To be given back with [`Defrag::recycle`].
    pub complete: Option<Vec<u8>>,
}

/// Part of a packet: from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Debug)]
struct Chunk {
    span: Span,
    /// Only where the chunk starts the packet.
    front: Vec<u8>,
    data: Vec<u8>,
}

/// Blocks that belong to a chunk.
#[derive(Clone, Copy, Debug)]
struct Owned {
    span: Span,
    chunk: u32,
}

#[derive(Debug)]
struct Tracker {
    /// Tells it from an earlier tracker of the same key.
    serial: u64,
    /// [`crate::flow::shard`] of its frames.
    origin: u32,
    deadline_ns: u64,
    policy: OverlapPolicy,
    /// Where the last fragment ends, once there is one.
    end: Option<u32>,
    chunks: Vec<Chunk>,
    /// In order, disjoint.
    owners: Vec<Owned>,
    /// Bytes that have an owner.
    owned: u32,
    bytes: usize,
}

/// The packets that wait for fragments.
#[derive(Debug)]
pub(super) struct Defrag {
    config: DefragConfig,
    trackers: HashMap<Key, Tracker>,
    /// Oldest first; entries of trackers that are gone stay until they come to the front.
    order: VecDeque<(Key, u64)>,
    serial: u64,
    /// The latest serial number of which it is known where its frames come from.
    placed: u64,
    bytes: usize,
    counters: DefragCounters,
    /// Spare room for the next list of owners.
    scratch: Vec<Owned>,
    /// Spare room for the next packet.
    spare: Vec<u8>,
    /// Packets of which the frame at hand brought fragments; empty where nothing is dropped.
    at_hand: Vec<Key>,
    /// The frame at hand has a fragment that must not go on.
    refuses: bool,
    refused: Refused,
}

impl Defrag {
    pub fn new(config: DefragConfig) -> Self {
        // All at once, so that it never takes the old and the new place at a time; untouched, it takes none.
        let most = (config.max_bytes / (TRACKER_COST + FRAGMENT_COST)).min(config.max_trackers);
        Self {
            config,
            trackers: HashMap::with_capacity(most),
            order: VecDeque::with_capacity(2 * most + MOST_STALE),
            serial: 0,
            placed: 0,
            bytes: 0,
            counters: DefragCounters::default(),
            scratch: Vec::new(),
            spare: Vec::new(),
            at_hand: Vec::new(),
            refuses: false,
            refused: Refused::default(),
        }
    }

    /// Another frame comes.
    #[inline]
    pub fn next_frame(&mut self) {
        self.at_hand.clear();
        self.refuses = false;
    }

    /// True when the frame at hand must not go on, because of fragments before it or because it could not be kept.
    #[inline]
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// The frame at hand is dropped: nothing more of what it has fragments of goes through.
    pub fn refuse(&mut self, now_ns: u64) {
        let until_ns = now_ns.saturating_add(self.config.timeout_ns);
        while let Some(key) = self.at_hand.pop() {
            self.remove(&key);
            self.refused.add(key, until_ns);
        }
    }

    /// True when packets have begun to wait of which it is not known where their frames come from.
    pub fn is_unplaced(&self) -> bool {
        self.serial > self.placed
    }

    /// The packets that have begun to wait since were begun by a frame with this [`crate::flow::shard`].
    pub fn come_from(&mut self, origin: u32) {
        let fresh = self.order.iter().rev();
        for (key, serial) in fresh.take_while(|(_, serial)| *serial > self.placed) {
            if let Some(tracker) = self.trackers.get_mut(key)
                && tracker.serial == *serial
            {
                tracker.origin = origin;
            }
        }
        self.placed = self.serial;
    }

    pub fn counters(&self) -> DefragCounters {
        self.counters
    }

    /// Takes the room of a packet back.
    pub fn recycle(&mut self, packet: Vec<u8>) {
        self.spare = packet;
    }

    /// Keeps a fragment until its packet is complete.
    pub fn insert(&mut self, now_ns: u64, fragment: Fragment<'_>) -> Kept {
        let v6 = fragment.v6();
        let (too_large, overlap, ignored, limit) = if v6 {
            self.counters.ipv6_fragments += 1;
            (
                Event::Ipv6FragPktTooLarge,
                Event::Ipv6FragOverlap,
                Event::Ipv6FragIgnored,
                MAX_PACKET,
            )
        } else {
            self.counters.ipv4_fragments += 1;
            (
                Event::Ipv4FragPktTooLarge,
                Event::Ipv4FragOverlap,
                Event::Ipv4FragIgnored,
                MAX_PACKET - 20,
            )
        };
        self.expire(now_ns);
        if self.config.inline {
            if self.refused.has(&fragment.key, now_ns) {
                self.counters.refused += 1;
                self.refuses = true;
                return Kept::default();
            }
            self.at_hand.push(fragment.key);
        }
        let length = u32::try_from(fragment.data.len()).unwrap_or(u32::MAX);
        let span = Span {
            start: fragment.offset,
            end: fragment.offset.saturating_add(length),
        };
        if span.end > limit {
            return Kept {
                event: Some(too_large),
                complete: None,
            };
        }
        if length == 0 {
            return Kept::default();
        }
        let key = fragment.key;
        // What its receiver has given up must not become part of a packet here.
        if self
            .trackers
            .get(&key)
            .is_some_and(|tracker| tracker.deadline_ns < now_ns)
        {
            self.remove(&key);
            self.counters.timed_out += 1;
        }
        let cost = fragment.data.len() + fragment.front_len() + FRAGMENT_COST;
        if !self.make_room(&key, cost, now_ns) {
            self.ignore();
            return Kept {
                event: Some(ignored),
                complete: None,
            };
        }
        let deadline_ns = now_ns.saturating_add(self.config.timeout_ns);
        let tracker = match self.trackers.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.serial += 1;
                self.order.push_back((key, self.serial));
                self.bytes += TRACKER_COST;
                let policy = self.config.policy_of(key.dst);
                entry.insert(Tracker::new(self.serial, 0, policy))
            }
        };
        if self.config.inline && tracker.contradicts(span, fragment.more, fragment.data) {
            // What was passed on stays what it is, whatever the receiver makes of overlaps.
            self.counters.refused += 1;
            self.refuses = true;
            self.at_hand.pop();
            return Kept {
                event: Some(overlap),
                complete: None,
            };
        }
        tracker.deadline_ns = deadline_ns;
        if tracker.chunks.len() >= MAX_FRAGMENTS || tracker.bytes + cost > MAX_TRACKER_BYTES {
            self.ignore();
            return Kept {
                event: Some(ignored),
                complete: None,
            };
        }
        let claimed = tracker.claim(span, &mut self.scratch);
        let event = claimed.overlap.then_some(overlap);
        if !fragment.more {
            tracker.end = Some(tracker.end.map_or(span.end, |end| end.min(span.end)));
        }
        if claimed.owns {
            let front = if span.start == 0 {
                fragment.front()
            } else {
                Vec::new()
            };
            tracker.chunks.push(Chunk {
                span,
                front,
                data: fragment.data.to_vec(),
            });
            tracker.bytes += cost;
            self.bytes += cost;
        }
        if !tracker.complete() {
            return Kept {
                event,
                complete: None,
            };
        }
        let mut packet = std::mem::take(&mut self.spare);
        packet.clear();
        let built = tracker.assemble(v6, &mut packet);
        self.remove(&key);
        if !built {
            self.spare = packet;
            return Kept {
                event: Some(too_large),
                complete: None,
            };
        }
        if v6 {
            self.counters.ipv6_reassembled += 1;
        } else {
            self.counters.ipv4_reassembled += 1;
        }
        Kept {
            event,
            complete: Some(packet),
        }
    }

    /// Gives up packets whose time is over.
    fn expire(&mut self, now_ns: u64) {
        while let Some(&(key, serial)) = self.order.front() {
            match self
                .trackers
                .get(&key)
                .filter(|tracker| tracker.serial == serial)
            {
                // Later ones may be due already; they are found when this one is gone, when their key comes again
                // (see `insert`), or when room is needed.
                Some(tracker) if tracker.deadline_ns >= now_ns => break,
                Some(_) => {
                    self.remove(&key);
                    self.counters.timed_out += 1;
                }
                None => {}
            }
            self.order.pop_front();
        }
        // A long-lived packet at the front must not let the entries of finished ones pile up behind it.
        if self.order.len() >= 2 * self.trackers.len() + MOST_STALE {
            let trackers = &self.trackers;
            self.order.retain(|(key, serial)| {
                trackers
                    .get(key)
                    .is_some_and(|tracker| tracker.serial == *serial)
            });
        }
    }

    /// Gives up the oldest packets, but not the one of `key`, until there is room for `cost` more bytes and a tracker
    /// of `key`. False when there cannot be.
    fn make_room(&mut self, key: &Key, cost: usize, now_ns: u64) -> bool {
        let until_ns = now_ns.saturating_add(self.config.timeout_ns);
        let mut own = None;
        loop {
            let new = !self.trackers.contains_key(key);
            let needed = cost + if new { TRACKER_COST } else { 0 };
            let fits = self.bytes.saturating_add(needed) <= self.config.max_bytes
                && (!new || self.trackers.len() < self.config.max_trackers);
            if fits {
                break;
            }
            let Some((oldest, serial)) = self.order.pop_front() else {
                break;
            };
            if oldest == *key
                && self
                    .trackers
                    .get(key)
                    .is_some_and(|tracker| tracker.serial == serial)
            {
                own = Some((oldest, serial));
            } else if self
                .trackers
                .get(&oldest)
                .is_some_and(|tracker| tracker.serial == serial)
            {
                self.remove(&oldest);
                self.counters.evicted += 1;
                if self.config.inline {
                    // What waits for it at its receiver was not looked at as a whole.
                    self.refused.add(oldest, until_ns);
                }
            }
        }
        if let Some(own) = own {
            self.order.push_front(own);
        }
        let new = !self.trackers.contains_key(key);
        self.bytes
            .saturating_add(cost + if new { TRACKER_COST } else { 0 })
            <= self.config.max_bytes
            && (!new || self.trackers.len() < self.config.max_trackers)
    }

    /// A fragment cannot be kept.
    fn ignore(&mut self) {
        self.counters.ignored += 1;
        self.refuses |= self.config.inline;
    }

    fn remove(&mut self, key: &Key) {
        if let Some(tracker) = self.trackers.remove(key) {
            self.bytes = self.bytes.saturating_sub(tracker.bytes);
        }
    }
}

/// What a newcomer got.
struct Claimed {
    /// It shares blocks with another fragment.
    overlap: bool,
    /// It owns something.
    owns: bool,
}

impl DefragConfig {
    fn policy_of(&self, receiver: IpAddr) -> OverlapPolicy {
        let of_hosts = self.hosts.iter().find(|(set, _)| set.contains(receiver));
        of_hosts.map_or(self.policy, |&(_, policy)| policy)
    }
}

impl Tracker {
    fn new(serial: u64, origin: u32, policy: OverlapPolicy) -> Self {
        Self {
            serial,
            origin,
            deadline_ns: 0,
            policy,
            end: None,
            chunks: Vec::new(),
            owners: Vec::new(),
            owned: 0,
            bytes: TRACKER_COST,
        }
    }

    /// Divides the blocks between those that own them and a newcomer, whose index will be the next one.
    ///
    /// Only owners that the newcomer touches are looked at: the fragments of a packet may be thousands, and come in the
    /// worst order.
    fn claim(&mut self, new: Span, scratch: &mut Vec<Owned>) -> Claimed {
        let chunk = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        let own = |start, end| Owned {
            span: Span { start, end },
            chunk,
        };
        let from = self
            .owners
            .partition_point(|owned| owned.span.end <= new.start);
        let to = self
            .owners
            .partition_point(|owned| owned.span.start < new.end)
            .max(from);
        let touched = self.owners.get(from..to).unwrap_or(&[]);
        scratch.clear();
        // Blocks of the newcomer before this one are settled.
        let mut at = new.start;
        for &old in touched {
            let Span { start, end } = old.span;
            let original = self
                .chunks
                .get(old.chunk as usize)
                .map_or(old.span, |chunk| chunk.span);
            if self.policy.prefers_new(original, new) {
                if start < new.start {
                    scratch.push(Owned {
                        span: Span {
                            start,
                            end: new.start,
                        },
                        ..old
                    });
                }
                if end > new.end {
                    scratch.push(own(at, new.end));
                    at = new.end;
                    scratch.push(Owned {
                        span: Span {
                            start: new.end,
                            end,
                        },
                        ..old
                    });
                }
            } else {
                if at < start {
                    scratch.push(own(at, start));
                }
                at = at.max(end);
                scratch.push(old);
            }
        }
        if at < new.end {
            scratch.push(own(at, new.end));
        }
        let bytes = |owners: &[Owned]| -> u32 {
            let lengths = owners
                .iter()
                .map(|owned| owned.span.end.saturating_sub(owned.span.start));
            lengths.sum()
        };
        let claimed = Claimed {
            overlap: from < to,
            owns: scratch.iter().any(|owned| owned.chunk == chunk),
        };
        self.owned = self
            .owned
            .saturating_sub(bytes(touched))
            .saturating_add(bytes(scratch));
        self.owners.splice(from..to, scratch.drain(..));
        claimed
    }

    /// True when nothing is missing up to the end.
    fn complete(&self) -> bool {
        let Some(end) = self.end.filter(|&end| self.owned >= end) else {
            return false;
        };
        let mut at = 0;
        for owned in &self.owners {
            if at >= end || owned.span.start > at {
                break;
            }
            at = owned.span.end;
        }
        at >= end
    }

    /// Writes the whole packet, with the header of the fragment that owns its start. False when it does not fit into
    /// what its header can say.
    fn assemble(&self, v6: bool, packet: &mut Vec<u8>) -> bool {
        let end = self.end.unwrap_or(0);
        let Some(first) = self
            .owners
            .first()
            .and_then(|owned| self.chunks.get(owned.chunk as usize))
        else {
            return false;
        };
        packet.extend_from_slice(&first.front);
        for owned in &self.owners {
            let Some(chunk) = self.chunks.get(owned.chunk as usize) else {
                return false;
            };
            let from = owned.span.start.min(end).saturating_sub(chunk.span.start) as usize;
            let to = owned.span.end.min(end).saturating_sub(chunk.span.start) as usize;
            if let Some(bytes) = chunk.data.get(from..to) {
                packet.extend_from_slice(bytes);
            }
        }
        let fields = packet.len();
        let counted = if v6 {
            fields.saturating_sub(40)
        } else {
            fields
        };
        let Ok(counted) = u16::try_from(counted) else {
            return false;
        };
        let header_len = first.front.len();
        let Some(header) = packet.get_mut(..header_len) else {
            return false;
        };
        let at = if v6 { 4 } else { 2 };
        let Some(place) = header.get_mut(at..at + 2) else {
            return false;
        };
        place.copy_from_slice(&counted.to_be_bytes());
        if !v6 {
            // No longer a fragment, and a checksum to match.
            for place in [6, 7, 10, 11] {
                let Some(byte) = header.get_mut(place) else {
                    return false;
                };
                *byte = 0;
            }
            let sum = checksum::of(header);
            let Some(place) = header.get_mut(10..12) else {
                return false;
            };
            place.copy_from_slice(&sum.to_be_bytes());
        }
        true
    }
}
