//! The golden model: what the core computes, to the bit, without clock.
//!
//! [`Golden`] has the core's registers and memories, which are written through the registers alone, takes the core's
//! stream of records and answers with its stream of report units. What depends on time is its own:
//! units are closed when they are full and when a call of [`Golden::feed`] ends (the core waits for `LINGER` cycles);
//! hits of a record come in the order of their ends, each entry once; cycles and stalls are not counted; and no candidate is left
//! out for being equal to an earlier one, so that `COUNT_LOOKUPS` is `COUNT_CANDIDATES`, the most that the core's can be,
//! and `COUNT_HITS` the least. All other counters, flags, ends and the set of hits are the core's.
//!
//! [`Golden::look`] is the same for a single payload, without records and reports: that is the fast way.

mod look;
#[cfg(target_arch = "x86_64")]
mod narrow;
mod plain;
mod scan;
mod stream;
#[cfg(target_arch = "x86_64")]
mod wide;

use card_protocol::register::{self, table};

use crate::exact::{Slot, WAYS};
use crate::filter::Filters;
use crate::key::{Hash, Key};
use crate::{Geometry, Write};
pub use look::{EntryHit, Look};
pub(crate) use scan::scan;
use stream::Stream;

/// Counters: one for each register from the first.
const COUNTERS: usize = ((register::COUNT_TABLE_ERRORS - register::COUNT_CYCLES) / 4 + 1) as usize;

/// A core.
pub struct Golden {
    geometry: Geometry,
    key: Key,
    hash: Hash,
    filters: Filters,
    slots: Vec<Slot>,
    enabled: bool,
    nonce: u32,
    /// The registers of the even and the odd generation.
    generations: [u32; 2],
    limit: u16,
    linger: u16,
    select: u32,
    address: u32,
    check: u32,
    counters: [u32; COUNTERS],
    stream: Stream,
    seen: look::Seen,
}

impl Golden {
    /// A core as it is after configuration: memories are zero, registers as after [`Golden::reset`].
    pub fn new(geometry: Geometry) -> Self {
        let key = Key::new([[0; 9]; 2]);
        Self {
            hash: Hash::new(&key),
            key,
            filters: Filters::new(&geometry),
            slots: vec![Slot::default(); geometry.slots()],
            enabled: false,
            nonce: 0,
            generations: [0; 2],
            limit: LIMIT,
            linger: LINGER,
            select: 0,
            address: 0,
            check: 0,
            counters: [0; COUNTERS],
            stream: Stream::default(),
            seen: look::Seen::default(),
            geometry,
        }
    }

    /// What a reset does: what is under way is dropped, registers are as they were at first, the stream is hunted through. Memories
    /// and counters stay as they are.
    pub fn reset(&mut self) {
        self.stream = Stream::default();
        self.enabled = false;
        self.nonce = 0;
        self.generations = [0; 2];
        self.limit = LIMIT;
        self.linger = LINGER;
        self.select = 0;
        self.address = 0;
    }

    /// The core's parameters.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Writes a register.
    pub fn write(&mut self, address: u32, value: u32) {
        match address {
            register::CONTROL => {
                self.enabled = value & register::CONTROL_ENABLE != 0;
                if value & register::CONTROL_FLUSH != 0 {
                    self.stream = Stream::default();
                }
            }
            register::NONCE => self.nonce = value,
            register::GENERATION_EVEN => self.generations[0] = value & GENERATION,
            register::GENERATION_ODD => self.generations[1] = value & GENERATION,
            register::LIMIT => self.limit = value as u16,
            register::LINGER => self.linger = value as u16,
            register::TABLE_SELECT => self.select = value,
            register::TABLE_ADDRESS => self.address = value,
            register::TABLE_DATA => {
                self.table(Write {
                    select: self.select,
                    address: self.address,
                    data: value,
                });
                self.address = self.address.wrapping_add(1);
            }
            register::TABLE_CHECK => self.check = 0,
            _ => {}
        }
    }

    /// Reads a register.
    pub fn read(&self, address: u32) -> u32 {
        let identity = self.geometry.registers();
        if let Some(&(_, value)) = identity.iter().find(|&&(at, _)| at == address) {
            return value;
        }
        match address {
            register::MAGIC => register::MAGIC_VALUE,
            register::INTERFACE => register::INTERFACE_VALUE,
            register::MAX_LENGTH => card_protocol::record::MAX_LENGTH as u32,
            register::CONTROL => u32::from(self.enabled),
            register::STATUS => {
                let idle = if self.stream.idle() {
                    register::STATUS_IDLE
                } else {
                    0
                };
                let hunting = if self.stream.hunting() {
                    register::STATUS_HUNTING
                } else {
                    0
                };
                idle | hunting
            }
            register::NONCE => self.nonce,
            register::GENERATION_EVEN => self.generations[0],
            register::GENERATION_ODD => self.generations[1],
            register::LIMIT => u32::from(self.limit),
            register::LINGER => u32::from(self.linger),
            register::TABLE_SELECT => self.select,
            register::TABLE_ADDRESS => self.address,
            register::TABLE_CHECK => self.check,
            _ => counter(address)
                .and_then(|at| self.counters.get(at).copied())
                .unwrap_or(0),
        }
    }

    /// Writes a word of a table, as through the table window.
    pub fn table(&mut self, write: Write) {
        let written = self.upset(write);
        let Write {
            select,
            address,
            data,
        } = write;
        if written {
            self.check = card_protocol::table_check(self.check, select, address, data);
        }
        self.count(
            if written {
                register::COUNT_TABLE_WRITES
            } else {
                register::COUNT_TABLE_ERRORS
            },
            1,
        );
    }

    /// Changes a word of a table behind the registers, as a fault of the memory does: nothing counts it. False outside the memory.
    pub fn upset(&mut self, write: Write) -> bool {
        let Write {
            select,
            address,
            data,
        } = write;
        match select {
            table::KEY => {
                let written = self.key.set(address, data);
                self.hash = Hash::new(&self.key);
                written
            }
            _ if (table::EXACT..table::END).contains(&select) => {
                let (way, word) = ((select - table::EXACT) / 8, (select - table::EXACT) % 8);
                let slots = self.slots.len() / WAYS;
                let at = (address as usize) < slots;
                let slot = self.slots.get_mut(way as usize * slots + address as usize);
                at && slot.is_some_and(|slot| slot.set(word, data))
            }
            _ => self.filters.set(select, address, data),
        }
    }

    /// Adds to a counter.
    fn count(&mut self, address: u32, by: u32) {
        if let Some(counter) = counter(address).and_then(|at| self.counters.get_mut(at)) {
            *counter = counter.wrapping_add(by);
        }
    }
}

/// Register `LIMIT` after a reset.
const LIMIT: u16 = u16::MAX;
/// Register `LINGER` after a reset.
const LINGER: u16 = 64;
/// Bits of a generation register.
const GENERATION: u32 = register::GENERATION_LIVE | 0xFFFF;

/// The place of a counter's register among all.
fn counter(address: u32) -> Option<usize> {
    let offset = address.checked_sub(register::COUNT_CYCLES)?;
    (offset % 4 == 0).then_some(offset as usize / 4)
}
