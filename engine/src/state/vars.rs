//! What rules keep for one flow: bits, counters, tags.

use serde::{Deserialize, Serialize};

use super::plan::{CounterId, FlowBitId, Names};
use super::tag::{self, Tag};
use crate::plan::{FlowIntOp, TagMetric};

/// Most bits of one flow. A bit more is not set, and that is counted.
pub const MOST_BITS: usize = 256;
/// Most counters of one flow. One more is not made, and that is counted.
pub const MOST_COUNTERS: usize = 64;

/// Bits that need no allocation.
const INLINE: usize = 2;

/// Bits, counters and tags of one flow.
///
/// It lives in every flow's slot, so it is 16 bytes; a flow with more than two bits, a counter or a tag has an
/// allocation of its own, of at most 4 KiB (with tags of 50 rules).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowVars {
    /// Bits by number; 0 is none.
    bits: [FlowBitId; INLINE],
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    bits: Vec<FlowBitId>,
    counters: Vec<(CounterId, u32)>,
    tags: Vec<Tag>,
}

/// A flow's state by names, so that another rule set can take it over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedVars {
    /// Names of the bits that are set.
    pub bits: Vec<String>,
    /// Names and values of counters.
    pub counters: Vec<(String, u32)>,
    /// Tags.
    pub tags: Vec<Tag>,
}

impl FlowVars {
    /// True when there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bits == [FlowBitId::NONE; INLINE] && self.more.is_none()
    }

    /// True when the bit is set.
    pub fn bit(&self, bit: FlowBitId) -> bool {
        self.bits.contains(&bit)
            || self
                .more
                .as_ref()
                .is_some_and(|more| more.bits.contains(&bit))
    }

    /// Sets a bit; false when there are too many.
    pub(super) fn set_bit(&mut self, bit: FlowBitId) -> bool {
        if self.bit(bit) {
            return true;
        }
        if let Some(free) = self.bits.iter_mut().find(|bit| **bit == FlowBitId::NONE) {
            *free = bit;
            return true;
        }
        let bits = &mut self.more().bits;
        let room = bits.len() < MOST_BITS - INLINE;
        if room {
            bits.push(bit);
        }
        room
    }

    /// Clears a bit.
    pub(super) fn clear_bit(&mut self, bit: FlowBitId) {
        for place in &mut self.bits {
            if *place == bit {
                *place = FlowBitId::NONE;
            }
        }
        if let Some(more) = &mut self.more {
            more.bits.retain(|other| *other != bit);
        }
    }

    /// A counter's value.
    pub(super) fn counter(&self, counter: CounterId) -> Option<u32> {
        let counters = &self.more.as_ref()?.counters;
        let (_, value) = counters.iter().find(|(other, _)| *other == counter)?;
        Some(*value)
    }

    /// Computes with a counter, in 32 bits as Suricata does: what goes over wraps around. One that does not exist begins
    /// at 0, except that nothing is taken away from it. False when there are too many.
    pub(super) fn compute(&mut self, counter: CounterId, op: FlowIntOp, value: u32) -> bool {
        let old = self.counter(counter);
        let new = match (op, old) {
            (FlowIntOp::Set, _) => value,
            (FlowIntOp::Add, old) => old.unwrap_or(0).wrapping_add(value),
            (FlowIntOp::Sub, Some(old)) => old.wrapping_sub(value),
            (FlowIntOp::Sub, None) => return true,
        };
        let counters = &mut self.more().counters;
        if let Some((_, place)) = counters.iter_mut().find(|(other, _)| *other == counter) {
            *place = new;
            return true;
        }
        let room = counters.len() < MOST_COUNTERS;
        if room {
            counters.push((counter, new));
        }
        room
    }

    /// Sets the tag of a rule, given by gid and sid; false when there are too many.
    pub(super) fn tag(&mut self, rule: (u32, u32), metric: TagMetric, ts_ns: u64) -> bool {
        tag::set(&mut self.more().tags, rule, metric, ts_ns)
    }

    /// Counts a packet of the flow for its tags; true when it is to be logged because of one of them.
    ///
    /// To be called for every packet of the flow, after its rules were settled. `bytes`: of the whole packet.
    #[inline]
    pub fn tagged(&mut self, ts_ns: u64, bytes: u32) -> bool {
        self.more
            .as_mut()
            .is_some_and(|more| tag::count(&mut more.tags, ts_ns, bytes))
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// The state by names.
    pub fn export(&self, names: &Names) -> SavedVars {
        let mut saved = SavedVars::default();
        let more = self.more.as_deref();
        let all = self
            .bits
            .iter()
            .chain(more.into_iter().flat_map(|more| &more.bits));
        saved
            .bits
            .extend(all.filter_map(|&bit| names.flow_bit(bit)));
        if let Some(More { counters, tags, .. }) = more {
            let named = |&(counter, value)| Some((names.counter(counter)?, value));
            saved.counters.extend(counters.iter().filter_map(named));
            saved.tags.clone_from(tags);
        }
        saved
    }

    /// Takes saved state over. What no rule of this set names is left behind, as is what is over the limits.
    pub fn import(saved: &SavedVars, names: &Names) -> Self {
        let mut vars = Self::default();
        for bit in &saved.bits {
            if let Some(bit) = names.find_flow_bit(bit) {
                vars.set_bit(bit);
            }
        }
        for (counter, value) in &saved.counters {
            if let Some(counter) = names.find_counter(counter) {
                vars.compute(counter, FlowIntOp::Set, *value);
            }
        }
        if !saved.tags.is_empty() {
            let kept = saved.tags.iter().take(tag::MOST_TAGS).cloned();
            vars.more().tags = kept.collect();
        }
        vars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    #[test]
    fn a_flow_that_has_none_pays_sixteen_bytes() {
        assert!(size_of::<FlowVars>() <= 16);
        assert!(FlowVars::default().is_empty());
    }

    proptest! {
        #[test]
        fn bits_are_a_set(steps in prop::collection::vec((1u32..9, any::<bool>()), 0..40)) {
            let (mut vars, mut model) = (FlowVars::default(), BTreeSet::new());
            for (bit, set) in steps {
                if set {
                    prop_assert!(vars.set_bit(FlowBitId(bit)));
                    model.insert(bit);
                } else {
                    vars.clear_bit(FlowBitId(bit));
                    model.remove(&bit);
                }
                for bit in 1..9 {
                    prop_assert_eq!(vars.bit(FlowBitId(bit)), model.contains(&bit));
                }
            }
        }
    }

    #[test]
    fn bits_and_counters_are_limited() {
        let mut vars = FlowVars::default();
        let most = MOST_BITS as u32;
        assert!((1..=most).all(|bit| vars.set_bit(FlowBitId(bit))));
        assert!(!vars.set_bit(FlowBitId(most + 1)) && vars.set_bit(FlowBitId(7)));
        vars.clear_bit(FlowBitId(7));
        assert!(vars.set_bit(FlowBitId(most + 1)));
        let mut count = |counter| vars.compute(CounterId(counter), FlowIntOp::Add, 1);
        assert!((1..=MOST_COUNTERS as u32).all(&mut count));
        assert!(!count(1000) && count(1));
    }

    #[test]
    fn counters_are_computed_as_in_suricata() {
        let mut vars = FlowVars::default();
        let id = CounterId(1);
        assert!(vars.compute(id, FlowIntOp::Sub, 1));
        assert_eq!(vars.counter(id), None);
        assert!(vars.compute(id, FlowIntOp::Add, 5));
        assert!(vars.compute(id, FlowIntOp::Sub, 6));
        assert_eq!(vars.counter(id), Some(u32::MAX));
        assert!(vars.compute(id, FlowIntOp::Add, 3));
        assert_eq!(vars.counter(id), Some(2));
        assert!(vars.compute(id, FlowIntOp::Set, 9));
        assert_eq!(vars.counter(id), Some(9));
    }
}
