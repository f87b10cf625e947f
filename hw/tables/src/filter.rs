//! The filter's memories, and what stands in them.

use card_protocol::register::table;

use crate::entries::Literal;
use crate::key::{Hash, bits};
use crate::{Geometry, Write};

/// A length class.
pub(crate) struct Class {
    /// Bytes whose hash is the address.
    pub(crate) window: usize,
    /// Lengths whose bits stand in it, shortest first.
    pub(crate) lengths: &'static [usize],
    /// What its memories are selected by: A, and B if it has one.
    pub(crate) selects: &'static [u32],
}

/// The length classes, in the order of [`Geometry::filters`].
pub(crate) const CLASSES: [Class; 5] = [
    Class {
        window: 8,
        lengths: &[8],
        selects: &[table::FILTER_8A, table::FILTER_8B],
    },
    Class {
        window: 6,
        lengths: &[6, 7],
        selects: &[table::FILTER_6A, table::FILTER_6B],
    },
    Class {
        window: 4,
        lengths: &[4, 5],
        selects: &[table::FILTER_4A, table::FILTER_4B],
    },
    Class {
        window: 3,
        lengths: &[3],
        selects: &[table::FILTER_3],
    },
    Class {
        window: 2,
        lengths: &[2],
        selects: &[table::FILTER_2],
    },
];

/// Memories of the classes.
const MEMORIES: usize = 8;

/// Where a memory stands among all: its `select`, counted from the first.
fn place(select: u32) -> Option<usize> {
    let place = select.checked_sub(table::FILTER_8A)? as usize;
    (place < MEMORIES).then_some(place)
}

/// The filter's memories.
#[derive(Clone, PartialEq, Eq)]
pub struct Filters {
    /// By `select`, counted from [`table::FILTER_8A`]; the size of each is a power of two.
    memories: [Vec<u32>; MEMORIES],
    /// For each byte, whether its bit in [`table::SINGLE`] is set: 0 or 1.
    single: [u8; 256],
    /// The same, as the core has it.
    single_words: [u32; 8],
}

impl Filters {
    /// Empty ones.
    pub fn new(geometry: &Geometry) -> Self {
        let mut memories: [Vec<u32>; MEMORIES] = Default::default();
        for (class, &address_bits) in CLASSES.iter().zip(&geometry.filters) {
            for &select in class.selects {
                if let Some(memory) = place(select).and_then(|place| memories.get_mut(place)) {
                    *memory = vec![0; 1 << address_bits];
                }
            }
        }
        Self {
            memories,
            single: [0; 256],
            single_words: [0; 8],
        }
    }

    /// The words of the memory behind `select`, one of the classes'; empty for others.
    #[inline]
    pub fn words(&self, select: u32) -> &[u32] {
        place(select)
            .and_then(|place| self.memories.get(place))
            .map_or(&[], Vec::as_slice)
    }

    /// Memory A of each class.
    #[inline]
    pub(crate) fn first_memories(&self) -> [&[u32]; CLASSES.len()] {
        CLASSES.each_ref().map(|class| {
            let select = class.selects.first();
            select.map_or(&[][..], |&select| self.words(select))
        })
    }

    /// For each byte, whether it passes as a probe of length 1: 0 or 1.
    #[inline(always)]
    pub(crate) fn single(&self) -> &[u8; 256] {
        &self.single
    }

    /// The words of [`table::SINGLE`].
    #[inline(always)]
    pub(crate) fn single_words(&self) -> &[u32; 8] {
        &self.single_words
    }

    /// A byte passes as a probe of length 1, or does not.
    fn set_single(&mut self, byte: u8, passes: bool) {
        self.single[usize::from(byte)] = passes.into();
        let (word, bit) = (usize::from(byte) / 32, byte % 32);
        self.single_words[word] &= !(1 << bit);
        self.single_words[word] |= u32::from(passes) << bit;
    }

    /// Writes a word; false when there is none.
    pub(crate) fn set(&mut self, select: u32, address: u32, data: u32) -> bool {
        let address = address as usize;
        if select == table::SINGLE {
            for byte in (0..=u8::MAX).filter(|&byte| usize::from(byte) / 32 == address) {
                self.set_single(byte, data >> (byte % 32) & 1 == 1);
            }
            return address < 8;
        }
        let memory = place(select).and_then(|place| self.memories.get_mut(place));
        match memory.and_then(|memory| memory.get_mut(address)) {
            Some(word) => {
                *word = data;
                true
            }
            None => false,
        }
    }

    /// Sets the bits of a literal.
    pub fn add(&mut self, hash: &Hash, literal: &Literal) {
        let text = literal.text();
        let text = text.as_ref();
        if let &[byte] = text {
            self.set_single(byte, true);
            if literal.folded() {
                self.set_single(byte.to_ascii_uppercase(), true);
            }
            return;
        }
        for place in places(self, hash, text) {
            if let Some(word) = self
                .memories
                .get_mut(place.memory)
                .and_then(|memory| memory.get_mut(place.address))
            {
                *word |= place.bits;
            }
        }
    }

    /// Every bit that one of both has.
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (words, others) in union.memories.iter_mut().zip(&other.memories) {
            for (word, other) in words.iter_mut().zip(others) {
                *word |= other;
            }
        }
        for byte in 0..=u8::MAX {
            if other.single[usize::from(byte)] == 1 {
                union.set_single(byte, true);
            }
        }
        union
    }

    /// All words, or those that differ from what is there already, as writes.
    pub fn writes(&self, there: Option<&Self>) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut word = |select, address, data, old: Option<u32>| {
            if old != Some(data) {
                writes.push(Write {
                    select,
                    address,
                    data,
                });
            }
        };
        for (address, &data) in self.single_words.iter().enumerate() {
            let old = there.and_then(|there| there.single_words.get(address).copied());
            word(table::SINGLE, address as u32, data, old);
        }
        for (place, words) in self.memories.iter().enumerate() {
            for (address, &data) in words.iter().enumerate() {
                let old = there.and_then(|there| there.memories.get(place)?.get(address).copied());
                word(table::FILTER_8A + place as u32, address as u32, data, old);
            }
        }
        writes
    }

    /// True when a text passes the filter as a probe that is all of it.
    pub fn passes(&self, hash: &Hash, text: &[u8]) -> bool {
        match text {
            [] => false,
            &[byte] => self.single[usize::from(byte)] == 1,
            _ => places(self, hash, text).all(|place| {
                let memory = self.memories.get(place.memory);
                let word = memory.and_then(|memory| memory.get(place.address));
                word.is_some_and(|word| word & place.bits == place.bits)
            }),
        }
    }
}

/// Bits in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// Number of the memory.
    pub(crate) memory: usize,
    /// The word.
    pub(crate) address: usize,
    /// The bits.
    pub(crate) bits: u32,
}

/// The places at which a text of two to eight bytes stands in the filter; none for others.
pub(crate) fn places(
    filters: &Filters,
    hash: &Hash,
    text: &[u8],
) -> impl Iterator<Item = Place> + use<> {
    let class = CLASSES
        .iter()
        .find(|class| class.lengths.contains(&text.len()));
    let window = class.and_then(|class| text.len().checked_sub(class.window));
    let window = window.and_then(|start| text.get(start..)).unwrap_or(text);
    let (whole, window) = (hash.of(text), hash.of(window));
    let mut found = [None; 2];
    for ((k, &select), found) in class
        .map_or(&[][..], |class| class.selects)
        .iter()
        .enumerate()
        .zip(&mut found)
    {
        let Some(memory) = place(select) else {
            continue;
        };
        let size = filters.words(select).len();
        *found = size.checked_sub(1).map(|last| Place {
            memory,
            address: window[k] as usize & last,
            bits: bits(whole[k]),
        });
    }
    found.into_iter().flatten()
}
