//! A bounded map that several workers share: a lock per shard, a keyed hash, and eviction that depends on what was
//! put in and when, never on the hash.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Enough that workers seldom meet.
const SHARDS: usize = 64;

struct Entry<V> {
    value: V,
    /// When it was put in, in the order of all that were.
    age: u64,
}

type Shard<K, V> = HashMap<K, Entry<V>>;

/// The map. At its limit, what is over goes first, then the older half.
pub struct Sharded<K, V> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    /// Chooses the shard; within it, the standard library's keyed hash does.
    hash: RandomState,
    most: usize,
    length: AtomicUsize,
    inserted: AtomicU64,
    evicted: AtomicU64,
}

impl<K: Hash + Eq + Clone, V> Sharded<K, V> {
    /// An empty map of at most `most` entries.
    pub fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            hash: RandomState::new(),
            most: most.max(1),
            length: AtomicUsize::new(0),
            inserted: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// Entries now.
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Entries given up before they were over, because there were too many.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `look` makes of the key's value.
    pub fn with<T>(&self, key: &K, look: impl FnOnce(Option<&mut V>) -> T) -> T {
        look(self.shard(key).get_mut(key).map(|entry| &mut entry.value))
    }

    /// What `change` makes of the key's value, which is made if it is not there. `over` says which entries may go if
    /// there are too many.
    pub fn entry<T>(
        &self,
        key: &K,
        make: impl FnOnce() -> V,
        over: impl Fn(&V) -> bool,
        change: impl FnOnce(&mut V) -> T,
    ) -> T {
        if self.len() >= self.most {
            self.make_room(key, over);
        }
        let mut shard = self.shard(key);
        let entry = shard.entry(key.clone()).or_insert_with(|| {
            self.length.fetch_add(1, Ordering::Relaxed);
            Entry {
                value: make(),
                age: self.inserted.fetch_add(1, Ordering::Relaxed),
            }
        });
        change(&mut entry.value)
    }

    /// Takes the key out.
    pub fn remove(&self, key: &K) -> Option<V> {
        // Counted under the lock, as `make_room` counts anew under all of them.
        let mut shard = self.shard(key);
        let entry = shard.remove(key)?;
        self.length.fetch_sub(1, Ordering::Relaxed);
        Some(entry.value)
    }

    /// All entries, the oldest first.
    pub fn export<T>(&self, save: impl Fn(&K, &V) -> Option<T>) -> Vec<T> {
        let mut all: Vec<(u64, T)> = Vec::with_capacity(self.len());
        for shard in &self.shards {
            let shard = lock(shard);
            all.extend(shard.iter().filter_map(|(key, entry)| {
                save(key, &entry.value).map(|saved| (entry.age, saved))
            }));
        }
        all.sort_unstable_by_key(|(age, _)| *age);
        all.into_iter().map(|(_, saved)| saved).collect()
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let at = self.hash.hash_one(key) as usize % SHARDS;
        lock(&self.shards[at])
    }

    /// Makes room, unless the key is there and needs none. All shards are held meanwhile, in their order, so that two
    /// workers cannot wait for each other.
    fn make_room(&self, key: &K, over: impl Fn(&V) -> bool) {
        if self.shard(key).contains_key(key) {
            return;
        }
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        let length = |shards: &[MutexGuard<'_, Shard<K, V>>]| -> usize {
            shards.iter().map(|shard| shard.len()).sum()
        };
        if length(&shards) < self.most {
            return; // another worker was first
        }
        for shard in &mut shards {
            shard.retain(|_, entry| !over(&entry.value));
        }
        let left = length(&shards);
        if left > self.most / 2 {
            let mut ages: Vec<u64> = shards
                .iter()
                .flat_map(|shard| shard.values().map(|entry| entry.age))
                .collect();
            // Ages differ, so this is half of them, and at least one.
            let middle = ages.len() / 2;
            let (_, &mut median, _) = ages.select_nth_unstable(middle);
            for shard in &mut shards {
                shard.retain(|_, entry| entry.age > median);
            }
            let evicted = left - length(&shards);
            self.evicted.fetch_add(evicted as u64, Ordering::Relaxed);
        }
        self.length.store(length(&shards), Ordering::Relaxed);
    }
}

/// What a worker that panicked left behind is whole: values are changed in one go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(map: &Sharded<u32, u32>, key: u32, now: u32) {
        map.entry(&key, || now, |&until| until < now, |_| ());
    }

    #[test]
    fn what_is_over_goes_before_what_is_old() {
        let map = Sharded::new(8);
        for key in 0..4 {
            put(&map, key, 100);
        }
        for key in 4..8 {
            put(&map, key, 1);
        }
        put(&map, 8, 50);
        assert_eq!((map.len(), map.evicted()), (5, 0));
        assert!((0..4).all(|key| map.with(&key, |value| value.is_some())));
        assert!((4..8).all(|key| map.with(&key, |value| value.is_none())));
    }

    #[test]
    fn at_the_limit_the_older_half_goes_whatever_the_hash() {
        for _ in 0..8 {
            let map = Sharded::new(100);
            for key in 0..1000 {
                put(&map, key, 1);
                assert!(map.len() <= 100);
            }
            let kept = map.export(|&key, _| Some(key));
            let first = kept[0];
            assert_eq!(kept, (first..1000).collect::<Vec<_>>());
            assert_eq!(map.evicted() as usize + map.len(), 1000);
        }
    }

    #[test]
    fn a_key_that_is_there_needs_no_room() {
        let map = Sharded::new(4);
        for key in 0..4 {
            put(&map, key, 1);
        }
        put(&map, 2, 1);
        assert_eq!((map.len(), map.evicted()), (4, 0));
        assert_eq!(map.remove(&2), Some(1));
        assert_eq!((map.len(), map.remove(&2)), (3, None));
    }

    #[test]
    fn workers_share_it() {
        let map = Sharded::new(1000);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let map = &map;
                scope.spawn(move || (0..2000).for_each(|key| put(map, worker * 10_000 + key, 1)));
            }
        });
        assert!(map.len() <= 1000 + 4);
        assert_eq!(map.export(|_, _| Some(())).len(), map.len());
    }
}
