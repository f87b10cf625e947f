//! A fast keyed hash of flow keys.
//!
//! Anyone can choose the addresses and ports of packets, so the hash must not let them choose where flows go. This is NH
//! (Black et al., "UMAC: Fast and secure message authentication", 1999) over the key as six words: two keys that differ
//! collide with a probability of 2⁻⁶⁴ for whoever does not know the random words.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::key::FlowKey;

/// The random words.
#[derive(Clone, Copy)]
pub(super) struct HashKey([u64; 7]);

impl HashKey {
    /// Drawn afresh for every table.
    pub(super) fn random() -> Self {
        let random = RandomState::new();
        Self(std::array::from_fn(|at| random.hash_one(at)))
    }

    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        let Self([k0, k1, k2, k3, k4, k5, k6]) = *self;
        let (low, high) = (words(key.low.0), words(key.high.0));
        let rest = u64::from(key.low.1)
            | u64::from(key.high.1) << 16
            | u64::from(key.proto) << 32
            | u64::from(key.depth) << 40
            | u64::from(key.low.0.is_ipv6()) << 48
            | u64::from(key.high.0.is_ipv6()) << 49;
        let [outer, middle, inner] = key.vlan.map(u64::from);
        let vlan = outer | middle << 16 | inner << 32;
        let product = |a: u64, ka: u64, b: u64, kb: u64| {
            u128::from(a.wrapping_add(ka)) * u128::from(b.wrapping_add(kb))
        };
        let sum = product(low[0], k0, high[0], k1)
            .wrapping_add(product(low[1], k2, high[1], k3))
            .wrapping_add(product(rest, k4, vlan, k5));
        // Spread over all bits: a table takes some from either end.
        let folded = (sum as u64 ^ (sum >> 64) as u64).wrapping_mul(k6 | 1);
        folded ^ folded >> 32
    }
}

/// An address as two words.
fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, u32::from(address).into()],
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            [(bits >> 64) as u64, bits as u64]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key(low: &str, high: &str) -> FlowKey {
        FlowKey {
            low: (low.parse().expect("address"), 40_000),
            high: (high.parse().expect("address"), 80),
            proto: 6,
            depth: 0,
            vlan: [0; 3],
        }
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let first = key("10.0.0.1", "10.0.0.2");
        let mut keys = vec![
            first,
            key("10.0.0.2", "10.0.0.1"),
            key("10.0.0.1", "10.0.0.3"),
            key("::ffff:10.0.0.1", "10.0.0.2"),
            key("::10.0.0.1", "::10.0.0.2"),
            key("2001:db8::10.0.0.1", "::10.0.0.2"),
            FlowKey { proto: 17, ..first },
            FlowKey { depth: 1, ..first },
            FlowKey {
                low: (first.low.0, 40_001),
                ..first
            },
            FlowKey {
                high: (first.high.0, 81),
                ..first
            },
        ];
        keys.extend([[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(|vlan| FlowKey { vlan, ..first }));
        let random = HashKey::random();
        let hashes: HashSet<u64> = keys.iter().map(|key| random.hash(key)).collect();
        assert_eq!(hashes.len(), keys.len());
        assert_eq!(random.hash(&first), random.hash(&first.clone()));
        assert_ne!(random.hash(&first), HashKey::random().hash(&first));
    }

    #[test]
    fn neighbours_spread_over_both_ends_of_the_hash() {
        let random = HashKey::random();
        let first = key("10.0.0.1", "10.0.0.2");
        let hashes: Vec<u64> = (0..4096)
            .map(|port| {
                random.hash(&FlowKey {
                    low: (first.low.0, port),
                    ..first
                })
            })
            .collect();
        for bits in [|hash: u64| hash & 0xFFF, |hash: u64| hash >> 52] {
            let used: HashSet<u64> = hashes.iter().map(|&hash| bits(hash)).collect();
            // 4096 at random leave 37 % of 4096 places empty; half would be a bad hash.
            assert!(used.len() > 2048, "{} places used", used.len());
        }
    }
}
