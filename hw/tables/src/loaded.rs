//! What a core's tables hold, and how they go from one generation to the next.

use std::collections::HashMap;

use card_protocol::register::{GENERATION_EVEN, GENERATION_LIVE, GENERATION_ODD};

use crate::entries::{Entry, Literal};
use crate::exact::{Cuckoo, Slot, WAYS, places};
use crate::filter::Filters;
use crate::key::{Hash, Key};
use crate::{Geometry, Write};

/// Why probes cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoesNotFit {
    /// More literals than slots.
    #[error("{entries} distinct probes, but the exact table has {slots} slots: {} too many", entries - slots)]
    Slots {
        /// Distinct literals.
        entries: usize,
        /// Slots.
        slots: usize,
    },
    /// More than four literals that differ in nothing but case.
    #[error(
        "{variants} distinct probes differ from \"{text}\" in case alone: the exact table holds at most {WAYS} of them"
    )]
    Variants {
        /// The literal in lower case, escaped.
        text: String,
        /// How many there are of it.
        variants: usize,
    },
    /// Some literals' four slots are all taken, and so are those that others could go to.
    #[error(
        "{unplaced} of {entries} distinct probes have no place in the {slots} slots of the exact table, which are too full for this key"
    )]
    Unplaced {
        /// Distinct literals.
        entries: usize,
        /// Slots.
        slots: usize,
        /// Literals without a place.
        unplaced: usize,
    },
    /// The old generation's literals and the new one's together are too many: let the core drain, then load anew.
    #[error(
        "while both generations are live, {unplaced} of {entries} distinct probes have no place in the {slots} slots of the exact table"
    )]
    Together {
        /// Distinct literals of both generations.
        entries: usize,
        /// Slots.
        slots: usize,
        /// Literals without a place.
        unplaced: usize,
    },
    /// No tables yet to switch from.
    #[error("no probes are loaded yet to switch from")]
    NotLoaded,
    /// More than software takes, too.
    #[error("{probes} probes are more than software takes beside the core")]
    Software {
        /// Probes.
        probes: usize,
    },
    /// A switch is under way.
    #[error("the tables still hold the generation before the live one: finish that switch first")]
    Switching,
}

impl DoesNotFit {
    /// What to say of a set of which so many were not placed.
    fn of(entries: &[Entry], slots: usize, unplaced: usize) -> Self {
        if entries.len() > slots {
            return Self::Slots {
                entries: entries.len(),
                slots,
            };
        }
        let mut variants: HashMap<Vec<u8>, usize> = HashMap::new();
        for entry in entries {
            let text = entry.literal.text().as_ref().to_ascii_lowercase();
            *variants.entry(text).or_default() += 1;
        }
        let most = variants
            .into_iter()
            .max_by(|a, b| (a.1, &b.0).cmp(&(b.1, &a.0)));
        match most {
            Some((text, variants)) if variants > WAYS => Self::Variants {
                text: text.escape_ascii().to_string(),
                variants,
            },
            _ => Self::Unplaced {
                entries: entries.len(),
                slots,
                unplaced,
            },
        }
    }
}

/// A literal in the exact table.
#[derive(Clone)]
struct Stored {
    literal: Literal,
    places: [u32; WAYS],
    slot: u32,
    groups: u64,
    /// Bit `p` for each parity in whose generation it lives.
    live: u32,
}

/// What is to be when the old generation has gone.
#[derive(Clone)]
struct Target {
    filters: Filters,
    /// For each entry, its groups; 0 for those that go.
    groups: Vec<u64>,
}

/// The first half of a switch.
#[derive(Clone, Debug)]
pub struct Switch {
    /// What to write, in this order, before the new generation is made live.
    pub writes: Vec<Write>,
    /// The new generation.
    pub generation: u16,
    /// Number of each literal's entry, in the order in which they were given; `None` where it has no place.
    pub ids: Vec<Option<u32>>,
}

/// The tables of a core as far as the host has written them.
///
/// A new probe set goes in while records of the old one are under way:
///
/// 1. [`Loaded::begin`], and its writes. The filter then holds the bits of both sets; literals that both have keep their slot
///    or were copied before the old place was cleared, so that at no time one is missing.
/// 2. The new generation is made live ([`Loaded::registers`]), records are sent with it.
/// 3. When the last record of the old one has been reported, [`Loaded::finish`], its register writes first.
///
/// A new key needs all tables written anew, and so a drained core: make another `Loaded` and write its [`Loaded::image`]
/// while no generation is live.
#[derive(Clone)]
pub struct Loaded {
    geometry: Geometry,
    key: Key,
    hash: Hash,
    filters: Filters,
    cuckoo: Cuckoo,
    /// What the slots hold; of empty ones META alone is known.
    slots: Vec<Slot>,
    stored: Vec<Option<Stored>>,
    /// Numbers that no entry has.
    free: Vec<u32>,
    ids: HashMap<Literal, u32>,
    generation: u16,
    target: Option<Target>,
}

impl Loaded {
    /// Tables without probes.
    fn empty(geometry: Geometry, key: Key, generation: u16) -> Self {
        Self {
            hash: Hash::new(&key),
            key,
            filters: Filters::new(&geometry),
            cuckoo: Cuckoo::new(geometry.slots()),
            slots: vec![Slot::default(); geometry.slots()],
            stored: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            generation,
            target: None,
            geometry,
        }
    }

    /// Tables with all of these literals.
    ///
    /// # Errors
    /// Says which limit stands against it and by how much.
    pub fn build(
        geometry: Geometry,
        key: Key,
        entries: &[Entry],
        generation: u16,
    ) -> Result<(Self, Vec<u32>), DoesNotFit> {
        let (loaded, ids) = Self::fill(geometry, key, entries, generation);
        let placed: Vec<u32> = ids.into_iter().flatten().collect();
        match entries.len() - placed.len() {
            0 => Ok((loaded, placed)),
            unplaced => Err(DoesNotFit::of(entries, geometry.slots(), unplaced)),
        }
    }

    /// Tables with as many of these literals as fit. Of each, in the order given, the number of its entry, or `None` where it
    /// has no place. An earlier literal is never left out for a later one, and no choice would leave out fewer.
    pub fn fill(
        geometry: Geometry,
        key: Key,
        entries: &[Entry],
        generation: u16,
    ) -> (Self, Vec<Option<u32>>) {
        let mut loaded = Self::empty(geometry, key, generation);
        let live = 1 << (generation & 1);
        let ids = entries
            .iter()
            .map(|entry| loaded.put(entry, live, &mut Vec::new()))
            .collect();
        for entry in entries {
            if loaded.ids.contains_key(&entry.literal) {
                loaded.filters.add(&loaded.hash, &entry.literal);
            }
        }
        (loaded, ids)
    }

    /// The core's parameters.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The hashes under the key.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    /// The filter.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// The newest generation.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// Literals in the exact table, those of both generations during a switch.
    pub fn entries(&self) -> usize {
        self.ids.len()
    }

    /// Entry numbers are below this.
    pub fn entry_numbers(&self) -> usize {
        self.stored.len()
    }

    /// The share of the exact table's slots that are taken.
    pub fn load_factor(&self) -> f64 {
        self.ids.len() as f64 / self.geometry.slots() as f64
    }

    /// Values of the generation registers: (address, value).
    pub fn registers(&self) -> [(u32, u32); 2] {
        let live = |generation: u16| GENERATION_LIVE | u32::from(generation);
        let old = if self.target.is_some() {
            live(self.generation.wrapping_sub(1))
        } else {
            0
        };
        let (even, odd) = if self.generation & 1 == 0 {
            (live(self.generation), old)
        } else {
            (old, live(self.generation))
        };
        [(GENERATION_EVEN, even), (GENERATION_ODD, odd)]
    }

    /// All of the tables, key included: for a core in which no generation is live. `zeroed` says that its memories are all
    /// zero, as after configuration; then only what is not zero is written.
    pub fn image(&self, zeroed: bool) -> Vec<Write> {
        let mut writes: Vec<Write> = self.key.writes().collect();
        writes.extend(self.filters.writes(None));
        // With bits that no slot has, so that every one is written.
        let unknown = Slot {
            meta: u32::MAX,
            ..Slot::default()
        };
        for place in 0..self.geometry.slots() as u32 {
            self.wanted(place)
                .replace(&unknown, place, self.geometry.exact, &mut writes);
        }
        if zeroed {
            writes.retain(|write| write.data != 0);
        }
        writes
    }

    /// What the slot at `place` is to hold.
    fn wanted(&self, place: u32) -> Slot {
        let entry = self.cuckoo.get(place);
        match self.stored.get(entry as usize) {
            Some(Some(stored)) => Slot::new(&stored.literal, entry, stored.groups, stored.live),
            _ => Slot::default(),
        }
    }

    /// Brings the slot at `place` to what it is to hold.
    fn renew(&mut self, place: u32, writes: &mut Vec<Write>) {
        let wanted = self.wanted(place);
        if let Some(slot) = self.slots.get_mut(place as usize) {
            wanted.replace(slot, place, self.geometry.exact, writes);
            *slot = wanted;
        }
    }

    /// Has a literal live in these parities, too; the number of its entry, or `None` when there is no place for it.
    fn put(&mut self, entry: &Entry, live: u32, writes: &mut Vec<Write>) -> Option<u32> {
        if let Some(&id) = self.ids.get(&entry.literal) {
            let stored = self.stored.get_mut(id as usize)?.as_mut()?;
            stored.groups |= entry.groups;
            stored.live |= live;
            let slot = stored.slot;
            self.renew(slot, writes);
            return Some(id);
        }
        let free = self.free.last().copied();
        let id = free.unwrap_or(self.stored.len() as u32);
        let places = places(
            self.geometry.exact,
            self.hash.of(entry.literal.text().as_ref()),
        );
        let Self { cuckoo, stored, .. } = self;
        let places_of = |entry: u32| match stored.get(entry as usize) {
            Some(Some(stored)) => stored.places,
            _ => [u32::MAX; WAYS],
        };
        let mut moves = Vec::new();
        if !cuckoo.insert(id, places, places_of, &mut |entry, slot| {
            moves.push((entry, slot))
        }) {
            return None;
        }
        if self.free.pop().is_none() {
            self.stored.push(None);
        }
        if let Some(place) = self.stored.get_mut(id as usize) {
            *place = Some(Stored {
                literal: entry.literal,
                places,
                slot: 0,
                groups: entry.groups,
                live,
            });
        }
        self.ids.insert(entry.literal, id);
        for (entry, slot) in moves {
            if let Some(Some(stored)) = self.stored.get_mut(entry as usize) {
                stored.slot = slot;
            }
            // The first move goes to a free slot, each further one to the slot that the one before it has left, and whose
            // entry therefore stands elsewhere already.
            self.renew(slot, writes);
        }
        Some(id)
    }

    /// Begins a switch to a new set of literals, with the generation that follows.
    ///
    /// # Errors
    /// When both sets together have no place, or a switch is under way; nothing has changed then.
    pub fn begin(&mut self, entries: &[Entry]) -> Result<Switch, DoesNotFit> {
        let before = self.clone();
        let switch = self.begin_with(entries)?;
        let unplaced = switch.ids.iter().filter(|id| id.is_none()).count();
        if unplaced == 0 {
            return Ok(switch);
        }
        let error = DoesNotFit::Together {
            entries: self.ids.len() + unplaced,
            slots: self.geometry.slots(),
            unplaced,
        };
        *self = before;
        Err(error)
    }

    /// Begins a switch to as many of these literals as fit beside the old ones; as in [`Loaded::fill`], an earlier one is
    /// never left out for a later one.
    ///
    /// # Errors
    /// When a switch is under way; nothing has changed then.
    pub fn begin_with(&mut self, entries: &[Entry]) -> Result<Switch, DoesNotFit> {
        if self.target.is_some() {
            return Err(DoesNotFit::Switching);
        }
        self.generation = self.generation.wrapping_add(1);
        let live = 1 << (self.generation & 1);
        let mut slots = Vec::new();
        let mut ids = Vec::with_capacity(entries.len());
        let mut filters = Filters::new(&self.geometry);
        let mut groups = vec![0; self.stored.len()];
        for entry in entries {
            let id = self.put(entry, live, &mut slots);
            ids.push(id);
            let Some(id) = id else { continue };
            filters.add(&self.hash, &entry.literal);
            groups.resize(groups.len().max(id as usize + 1), 0);
            if let Some(groups) = groups.get_mut(id as usize) {
                *groups |= entry.groups;
            }
        }
        let both = self.filters.union(&filters);
        let mut writes = both.writes(Some(&self.filters));
        writes.append(&mut slots);
        self.filters = both;
        self.target = Some(Target { filters, groups });
        Ok(Switch {
            writes,
            generation: self.generation,
            ids,
        })
    }

    /// Ends the switch: what to write, in this order, after the last record of the old generation was reported and its
    /// register cleared (as [`Loaded::registers`] says from now on). Without a switch there is nothing to write.
    pub fn finish(&mut self) -> Vec<Write> {
        let Some(Target { filters, groups }) = self.target.take() else {
            return Vec::new();
        };
        let mut writes = Vec::new();
        let live = 1 << (self.generation & 1);
        for (id, &groups) in groups.iter().enumerate() {
            let Some(place) = self.stored.get_mut(id) else {
                continue;
            };
            let Some(stored) = place else { continue };
            let slot = stored.slot;
            if groups == 0 {
                self.ids.remove(&stored.literal);
                *place = None;
                self.free.push(id as u32);
                self.cuckoo.remove(slot);
            } else {
                stored.groups = groups;
                stored.live = live;
            }
            self.renew(slot, &mut writes);
        }
        self.cuckoo.revive();
        writes.extend(filters.writes(Some(&self.filters)));
        self.filters = filters;
        writes
    }
}
