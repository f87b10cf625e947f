//! A probe set as the card has it.

use std::sync::Arc;

use card_protocol::register::table;
use card_protocol::table_check;
use weir_engine::matcher::Probe;
use weir_tables::split::{self, Guide, Split};
use weir_tables::{Geometry, Key, Loaded, Write};

use crate::known::Plan;

/// What workers need to know of the tables that are loaded.
pub(crate) struct Set {
    pub probes: Arc<[Probe]>,
    pub split: Arc<Split>,
    pub generation: u16,
    pub geometry: Geometry,
    pub plan: Plan,
}

/// What loads them.
pub(crate) struct Tables {
    pub set: Arc<Set>,
    /// Table words in the order in which they bring tables to what they are to be.
    pub image: Vec<Write>,
    /// Table words as they are in the end, each once: these can be written anew at any time, but for the key.
    pub words: Vec<Write>,
    /// Values of the generation registers: (address, value).
    pub registers: [(u32, u32); 2],
}

/// How known-answer records are made.
#[derive(Clone, Copy)]
pub(crate) struct KnownShape {
    /// Bytes of a payload.
    pub bytes: usize,
    /// Which of an entry's groups it is asked for in.
    pub rotation: u32,
}

impl Tables {
    /// Tables with as many of the probes as fit.
    pub fn new(
        probes: &Arc<[Probe]>,
        geometry: Geometry,
        key: Key,
        generation: u16,
        guide: &Guide,
        known: KnownShape,
    ) -> Self {
        let (loaded, split) = split::fill(probes, geometry, key, generation, guide);
        let lanes = geometry.lanes;
        let plan = Plan::new(probes, &split, lanes, known.bytes, known.rotation);
        Self::of(probes, &loaded, split, plan)
    }

    fn of(probes: &Arc<[Probe]>, loaded: &Loaded, split: Split, plan: Plan) -> Self {
        let image = loaded.image(false);
        Self {
            words: last_of_each(&image),
            image,
            registers: loaded.registers(),
            set: Arc::new(Set {
                probes: Arc::clone(probes),
                split: Arc::new(split),
                generation: loaded.generation(),
                geometry: *loaded.geometry(),
                plan,
            }),
        }
    }
}

/// The last write of each word but those of the key, in the order of words. On its way a slot is cleared before it gets another
/// key, so that not every prefix of an image has all entries.
fn last_of_each(image: &[Write]) -> Vec<Write> {
    let mut words: Vec<Write> = image
        .iter()
        .rev()
        .copied()
        .filter(|write| write.select != table::KEY)
        .collect();
    // Stable: of writes to the same word, the last one stays first.
    words.sort_by_key(|write| (write.select, write.address));
    words.dedup_by_key(|write| (write.select, write.address));
    words
}

/// The checksum register after these writes, from 0.
pub(crate) fn checksum(writes: &[Write]) -> u32 {
    writes.iter().fold(0, |check, write| {
        table_check(check, write.select, write.address, write.data)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::matcher::testing::random_cases;
    use weir_tables::{Golden, Size};

    /// Written anew in any order and at any time, no word changes: else entries would be missing meanwhile.
    #[test]
    fn words_written_anew_change_nothing() {
        for (seed, case) in (0..).zip(random_cases(2, 5)) {
            let geometry = Geometry {
                exact: 3,
                ..Geometry::new(8, Size::Compact)
            };
            let probes = Arc::from(case.probes);
            let known = KnownShape {
                bytes: 64,
                rotation: 0,
            };
            let key = Key::from_seed(seed);
            let tables = Tables::new(&probes, geometry, key, 1, &Guide::default(), known);
            let mut words = std::collections::HashMap::new();
            for write in &tables.image {
                words.insert((write.select, write.address), write.data);
            }
            assert!(tables.words.len() > geometry.slots());
            for write in &tables.words {
                assert_eq!(words[&(write.select, write.address)], write.data);
            }
            let mut golden = Golden::new(geometry);
            tables.image.iter().for_each(|&write| golden.table(write));
            assert_eq!(
                golden.read(card_protocol::register::TABLE_CHECK),
                checksum(&tables.image)
            );
        }
    }
}
