//! Flows on their way to the next process.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Flow;
use super::elephant::SavedRate;
use super::key::FlowKey;
use super::table::{CLASSES, FlowTable, class_of};

/// Counts of packets and bytes that nothing real comes near, so that adding to them cannot overflow.
const MOST_COUNTED: u64 = 1 << 62;

/// What a table knows beside its flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedTable {
    /// The time of the latest look at it.
    clock_ns: Option<u64>,
    /// That time leapt, which only one look has seen so far.
    leap: bool,
    emergency: bool,
    /// When the queue of each class begins.
    begins: Vec<u64>,
}

/// A flow and its place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedEntry<'a> {
    /// [`super::shard`] of its frames.
    pub(crate) origin: u32,
    depth: u8,
    class: u8,
    /// When it was used, as far as its queue has looked.
    used_ns: u64,
    pub(crate) flow: Cow<'a, Flow>,
    rates: Option<[SavedRate; 2]>,
}

impl FlowTable {
    /// What the table knows beside its flows.
    pub(crate) fn save(&self) -> SavedTable {
        SavedTable {
            clock_ns: self.clock.now_ns,
            leap: self.clock.leap,
            emergency: self.emergency,
            begins: (0..CLASSES)
                .map(|class| self.queues.begins(class))
                .collect(),
        }
    }

    /// All flows, those of a class in the order in which they will be looked at.
    pub(crate) fn saved(&self) -> impl Iterator<Item = SavedEntry<'_>> {
        let slots = (0..CLASSES).flat_map(|class| self.queues.members(class));
        slots.map(|slot| {
            let entry = &self.slots[slot as usize];
            SavedEntry {
                origin: entry.origin,
                depth: entry.depth,
                class: entry.class,
                used_ns: self.queues.used(slot),
                flow: Cow::Borrowed(&entry.flow),
                rates: self.rates.as_ref().and_then(|rates| rates.save(slot)),
            }
        })
    }

    /// Goes on where another table was, before its flows are adopted.
    pub(crate) fn resume(&mut self, saved: &SavedTable) {
        self.clock.now_ns = self.clock.now_ns.max(saved.clock_ns);
        self.clock.leap = saved.leap;
        self.emergency |= saved.emergency;
        // Without a look at it so far, a table begins at its first flow.
        let clock_ns = saved.clock_ns.unwrap_or(u64::MAX);
        for (class, &begin_ns) in (0..CLASSES).zip(&saved.begins) {
            self.queues.begin_at(class, begin_ns.min(clock_ns));
        }
    }

    /// Takes a flow over; its slot, or `None` where the table is full, has such a flow, or what was saved is none.
    pub(crate) fn adopt(&mut self, saved: SavedEntry<'_>) -> Option<u32> {
        let flow = saved.flow.into_owned();
        let counted = flow.packets.iter().chain(&flow.bytes);
        let sound = flow.tcp.is_sound()
            && usize::from(flow.vlan.1) <= flow.vlan.0.len()
            && counted.max().is_none_or(|&most| most < MOST_COUNTED);
        if !sound || self.length() >= self.config.max_flows {
            return None;
        }
        let (low, high) = (flow.client.min(flow.server), flow.client.max(flow.server));
        let key = FlowKey {
            low,
            high,
            proto: flow.proto,
            depth: saved.depth,
            vlan: if self.config.vlan {
                flow.vlan.0
            } else {
                [0; 3]
            },
        };
        let hash = self.hash.hash(&key);
        if self.find(hash, &key).is_some() {
            return None;
        }
        let class = if usize::from(saved.class) < CLASSES {
            saved.class
        } else {
            class_of(&flow)
        };
        let slot = self.put(hash, &key, class, saved.origin, flow);
        self.queues.place(slot, class.into(), saved.used_ns);
        if let (Some(rates), Some(saved)) = (&mut self.rates, saved.rates) {
            rates.adopt(slot, &saved);
        }
        self.counters.adopt();
        Some(slot)
    }

    /// A flow that was just adopted.
    pub(crate) fn adopted(&mut self, slot: u32) -> Option<&mut Flow> {
        self.slots
            .get_mut(slot as usize)
            .map(|entry| &mut entry.flow)
    }
}
