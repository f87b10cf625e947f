//! Packets of which nothing may arrive any more: one of their fragments was dropped, or could not be looked at.

use std::collections::{HashMap, VecDeque};

use super::Key;

/// Most of them; beyond, the oldest are forgotten.
const MOST: usize = 1 << 16;

/// Fragments that were let through wait at their receiver, so that a later one of the same packet, sent again, would complete
/// what was dropped. For as long as a receiver may wait, none of them goes through.
#[derive(Debug, Default)]
pub(super) struct Refused {
    until: HashMap<Key, u64>,
    /// Oldest first.
    order: VecDeque<(Key, u64)>,
}

impl Refused {
    /// Nothing of this packet is let through until then.
    pub fn add(&mut self, key: Key, until_ns: u64) {
        if self.order.len() >= MOST {
            self.forget_oldest();
        }
        self.until.insert(key, until_ns);
        self.order.push_back((key, until_ns));
    }

    /// Whether a fragment of this packet is refused.
    pub fn has(&mut self, key: &Key, now_ns: u64) -> bool {
        while self.order.front().is_some_and(|&(_, until)| until < now_ns) {
            self.forget_oldest();
        }
        self.until.get(key).is_some_and(|&until| until >= now_ns)
    }

    fn forget_oldest(&mut self) {
        if let Some((key, until)) = self.order.pop_front()
            && self.until.get(&key) == Some(&until)
        {
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn key(id: u32) -> Key {
        Key {
            src: IpAddr::from([10, 0, 0, 1]),
            dst: IpAddr::from([10, 0, 0, 2]),
            id,
            proto: 17,
            vlan: [0; 3],
        }
    }

    #[test]
    fn packets_are_refused_for_a_while_and_the_oldest_give_way() {
        let mut refused = Refused::default();
        refused.add(key(1), 10);
        assert!(refused.has(&key(1), 10) && !refused.has(&key(2), 10));
        // Once more, and for longer: the first time's end is not the second's.
        refused.add(key(1), 20);
        assert!(refused.has(&key(1), 15));
        assert!(!refused.has(&key(1), 21));
        assert!(refused.until.is_empty() && refused.order.is_empty());
        for id in 0..=MOST as u32 {
            refused.add(key(id), 100);
        }
        assert_eq!((refused.until.len(), refused.order.len()), (MOST, MOST));
        assert!(!refused.has(&key(0), 50) && refused.has(&key(1), 50));
    }
}
