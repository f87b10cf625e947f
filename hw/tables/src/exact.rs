//! The exact table: four places for every literal, and how all literals find one.

use card_protocol::register::{exact, table};

use crate::Write;
use crate::entries::Literal;

/// Ways, and so places that a literal may stand in.
pub(crate) const WAYS: usize = 4;
/// No entry.
pub(crate) const NONE: u32 = u32::MAX;

/// The slots at which literals of this hash stand: number of the way times the slots of a way, plus the slot.
#[inline(always)]
pub(crate) fn places(address_bits: u32, hash: [u32; 2]) -> [u32; WAYS] {
    let last = (1u32 << address_bits) - 1;
    let way = |number: u32, hash: u32| number << address_bits | hash & last;
    [
        way(0, hash[0]),
        way(1, hash[1]),
        way(2, hash[0] >> 16),
        way(3, hash[1] >> 16),
    ]
}

/// A slot's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Bytes, the last one lowest.
    pub(crate) key: u64,
    /// As in [`exact::META`]; 0 when the slot is empty.
    pub(crate) meta: u32,
    /// Group mask.
    pub(crate) groups: u64,
}

/// Bit of META: folded.
const FOLDED: u32 = 1 << 23;
/// First of the two bits of META for even and odd generations.
const LIVE: u32 = 24;

impl Slot {
    /// A slot that holds a literal, live in the parities that have their bit in `live`.
    pub(crate) fn new(literal: &Literal, entry: u32, groups: u64, live: u32) -> Self {
        let length = literal.length() as u32;
        let folded = if literal.folded() { FOLDED } else { 0 };
        Self {
            key: literal.key(),
            meta: entry | length.saturating_sub(1) << 20 | folded | live << LIVE,
            groups,
        }
    }

    /// The entry.
    pub(crate) fn entry(&self) -> u32 {
        self.meta & 0xF_FFFF
    }

    /// True for a text of `length` bytes that this slot stands for: `raw` as it is, `folded` in lower case, the last
    /// byte lowest.
    #[inline(always)]
    pub(crate) fn hits(
        &self,
        length: usize,
        raw: u64,
        folded: u64,
        parity: u32,
        group: u8,
    ) -> bool {
        let text = if self.meta & FOLDED == 0 { raw } else { folded };
        self.key == text
            && self.meta >> 20 & 7 == length as u32 - 1
            && self.meta >> (LIVE + parity) & 1 == 1
            && self.groups >> group & 1 == 1
    }

    /// One of the words of [`exact`].
    pub(crate) fn set(&mut self, word: u32, data: u32) -> bool {
        let low = |old: u64| old & !0xFFFF_FFFF | u64::from(data);
        let high = |old: u64| old & 0xFFFF_FFFF | u64::from(data) << 32;
        match word {
            exact::KEY_LOW => self.key = low(self.key),
            exact::KEY_HIGH => self.key = high(self.key),
            exact::META => self.meta = data,
            exact::GROUPS_LOW => self.groups = low(self.groups),
            exact::GROUPS_HIGH => self.groups = high(self.groups),
            _ => return false,
        }
        true
    }

    /// Turns the slot at `place` from `old` into this, so that at no time it stands for anything else than one of both.
    pub(crate) fn replace(
        &self,
        old: &Self,
        place: u32,
        address_bits: u32,
        writes: &mut Vec<Write>,
    ) {
        let (way, address) = (place >> address_bits, place & ((1 << address_bits) - 1));
        let mut write = |word, data| {
            writes.push(Write {
                select: table::EXACT + 8 * way + word,
                address,
                data,
            });
        };
        let text = |slot: &Self| (slot.key, slot.meta & !(3 << LIVE));
        // The first entry's text is that of an empty slot if it is a single zero byte.
        let other = text(old) != text(self) || (old.meta == 0) != (self.meta == 0);
        if other && old.meta != 0 {
            write(exact::META, 0);
        }
        if self.meta == 0 {
            return;
        }
        let words = [
            (exact::KEY_LOW, self.key as u32, old.key as u32),
            (
                exact::KEY_HIGH,
                (self.key >> 32) as u32,
                (old.key >> 32) as u32,
            ),
            (exact::GROUPS_LOW, self.groups as u32, old.groups as u32),
            (
                exact::GROUPS_HIGH,
                (self.groups >> 32) as u32,
                (old.groups >> 32) as u32,
            ),
        ];
        for (word, data, old) in words {
            // What an empty slot has left over is not known.
            if other || data != old {
                write(word, data);
            }
        }
        if other || old.meta != self.meta {
            write(exact::META, self.meta);
        }
    }
}

/// Which entry stands in which slot: a cuckoo hash table with four choices.
///
/// Finding a place is looking for an augmenting path in the bipartite graph of entries and slots, breadth first. The sets of entries that
/// can be placed together are the independent sets of a (transversal) matroid, so that whoever places entries one by one,
/// the ones that matter most first, places as many as can be and those that matter most.
#[derive(Clone)]
pub(crate) struct Cuckoo {
    /// Entry in each slot, or [`NONE`].
    slots: Vec<u32>,
    used: usize,
    /// Slots from which no free one can be reached, whatever else is placed; holds until something is removed.
    dead: Vec<bool>,
    /// Marks of the search under way.
    seen: Vec<u32>,
    search: u32,
}

impl Cuckoo {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: vec![NONE; slots],
            used: 0,
            dead: vec![false; slots],
            seen: vec![0; slots],
            search: 0,
        }
    }

    /// The entry in a slot, or [`NONE`].
    pub(crate) fn get(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).copied().unwrap_or(NONE)
    }

    fn set(&mut self, slot: u32, entry: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            self.used -= usize::from(*place != NONE);
            self.used += usize::from(entry != NONE);
            *place = entry;
        }
    }

    /// Takes an entry out. When all are out that are to go, [`Cuckoo::revive`] has to follow.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.set(slot, NONE);
    }

    /// There may be ways to free slots again.
    pub(crate) fn revive(&mut self) {
        self.dead.fill(false);
    }

    /// Places an entry that may stand in `places`, where the others may stand is told by `places_of`. Calls `moved(entry,
    /// slot)` for every entry that has to go to another slot, in an order in which each of these slots is free or was moved
    /// away from, and last for the new one.
    ///
    /// False when there is no place, whatever is moved; nothing has changed then.
    pub(crate) fn insert(
        &mut self,
        entry: u32,
        places: [u32; WAYS],
        places_of: impl Fn(u32) -> [u32; WAYS],
        moved: &mut dyn FnMut(u32, u32),
    ) -> bool {
        if self.used == self.slots.len() {
            return false;
        }
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.seen.fill(0);
            self.search = 1;
        }
        // (slot, position of the one whose entry would move here)
        let mut queue: Vec<(u32, usize)> = Vec::new();
        self.enqueue(places, usize::MAX, &mut queue);
        let mut at = 0;
        while let Some(&(slot, _)) = queue.get(at) {
            let there = self.get(slot);
            if there == NONE {
                let mut at = at;
                while let Some(&(slot, from)) = queue.get(at) {
                    let moving = queue.get(from).map_or(entry, |&(from, _)| self.get(from));
                    self.set(slot, moving);
                    moved(moving, slot);
                    at = from;
                }
                return true;
            }
            self.enqueue(places_of(there), at, &mut queue);
            at += 1;
        }
        for (slot, _) in queue {
            if let Some(dead) = self.dead.get_mut(slot as usize) {
                *dead = true;
            }
        }
        false
    }

    fn enqueue(&mut self, places: [u32; WAYS], from: usize, queue: &mut Vec<(u32, usize)>) {
        for slot in places {
            let at = slot as usize;
            if let (Some(seen), Some(false)) = (self.seen.get_mut(at), self.dead.get(at))
                && *seen != self.search
            {
                *seen = self.search;
                queue.push((slot, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::matcher::Probe;

    use super::*;

    #[test]
    fn a_slot_whose_words_are_all_zero_comes_and_goes() {
        let zero = Literal::of(&Probe::new(b"\0", false, 1).expect("one byte"));
        let (full, empty) = (Slot::new(&zero, 0, 1, 1), Slot::default());
        let mut writes = Vec::new();
        full.replace(&empty, 0, 10, &mut writes);
        // What an empty slot has left over is not known.
        assert_eq!(writes.len(), 5);
        writes.clear();
        empty.replace(&full, 0, 10, &mut writes);
        let [write] = writes[..] else {
            panic!("{writes:?}");
        };
        assert_eq!((write.select, write.data), (table::EXACT + exact::META, 0));
    }
}
