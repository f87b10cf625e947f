//! Sets of addresses and ports: sorted, disjoint ranges.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Ranges, ends included. Rules by the thousand have the same ones.
type Ranges<T> = Arc<[(T, T)]>;

/// A set of IPv4 and IPv6 addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddrSet {
    #[serde(with = "ranges")]
    v4: Ranges<u32>,
    #[serde(with = "ranges")]
    v6: Ranges<u128>,
}

impl AddrSet {
    /// Every address (`any`).
    pub fn any() -> Self {
        Self {
            v4: [(0, u32::MAX)].into(),
            v6: [(0, u128::MAX)].into(),
        }
    }

    /// No address.
    pub fn none() -> Self {
        Self::default()
    }

    /// The addresses from `first` to `last`, both included; `None` when they are of different families or in the
    /// wrong order.
    pub fn range(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => Some(Self {
                v4: [(a.into(), b.into())].into(),
                v6: Arc::default(),
            }),
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => Some(Self {
                v4: Arc::default(),
                v6: [(a.into(), b.into())].into(),
            }),
            _ => None,
        }
    }

    /// The addresses of a prefix; `None` when it is longer than the address.
    pub fn prefix(address: IpAddr, length: u8) -> Option<Self> {
        match address {
            IpAddr::V4(a) if length <= 32 => {
                let mask = u32::MAX.checked_shr(length.into()).unwrap_or(0);
                let low = u32::from(a) & !mask;
                Some(Self {
                    v4: [(low, low | mask)].into(),
                    v6: Arc::default(),
                })
            }
            IpAddr::V6(a) if length <= 128 => {
                let mask = u128::MAX.checked_shr(length.into()).unwrap_or(0);
                let low = u128::from(a) & !mask;
                Some(Self {
                    v4: Arc::default(),
                    v6: [(low, low | mask)].into(),
                })
            }
            _ => None,
        }
    }

    /// Adds all addresses of `other`.
    pub fn union(&mut self, other: &Self) {
        self.v4 = merge(&self.v4, &other.v4, |end, start| {
            end.checked_add(1).is_none_or(|next| start <= next)
        });
        self.v6 = merge(&self.v6, &other.v6, |end, start| {
            end.checked_add(1).is_none_or(|next| start <= next)
        });
    }

    /// Takes all addresses of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.v4 = subtract(&self.v4, &other.v4, |x| x - 1, |x| x + 1);
        self.v6 = subtract(&self.v6, &other.v6, |x| x - 1, |x| x + 1);
    }

    /// True when the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => within(&self.v4, a.into()),
            IpAddr::V6(a) => within(&self.v6, a.into()),
        }
    }

    /// True when nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The [`high_bits`] of all addresses of the set, each once; `None` when there are more than `most`.
    pub fn high_bits(&self, most: usize) -> Option<Vec<u16>> {
        let v4 = self.v4.iter().map(|&(low, high)| (low >> 16, high >> 16));
        let v6 = self.v6.iter().map(|&(low, high)| (low >> 112, high >> 112));
        let mut bits: Vec<u16> = Vec::new();
        for (low, high) in v4.chain(v6.map(|(low, high)| (low as u32, high as u32))) {
            if (high - low) as usize >= most {
                return None;
            }
            bits.extend((low..=high).map(|bits| bits as u16));
            bits.dedup();
            if bits.len() > most * 2 {
                return None;
            }
        }
        bits.sort_unstable();
        bits.dedup();
        (bits.len() <= most).then_some(bits)
    }

    /// The ranges of IPv4 addresses, sorted and disjoint, ends included.
    pub fn v4_ranges(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The ranges of IPv6 addresses, sorted and disjoint, ends included.
    pub fn v6_ranges(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// True when everything is in the set.
    pub fn is_any(&self) -> bool {
        *self.v4 == [(0, u32::MAX)] && *self.v6 == [(0, u128::MAX)]
    }
}

/// The first 16 bits of an address.
pub fn high_bits(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(a) => (u32::from(a) >> 16) as u16,
        IpAddr::V6(a) => (u128::from(a) >> 112) as u16,
    }
}

/// A set of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortSet(#[serde(with = "ranges")] Ranges<u16>);

impl PortSet {
    /// Every port (`any`).
    pub fn any() -> Self {
        Self([(0, u16::MAX)].into())
    }

    /// No port.
    pub fn none() -> Self {
        Self::default()
    }

    /// The ports from `first` to `last`, both included; `None` in the wrong order.
    pub fn range(first: u16, last: u16) -> Option<Self> {
        (first <= last).then(|| Self([(first, last)].into()))
    }

    /// Adds all ports of `other`.
    pub fn union(&mut self, other: &Self) {
        self.0 = merge(&self.0, &other.0, |end, start| {
            end.checked_add(1).is_none_or(|next| start <= next)
        });
    }

    /// Takes all ports of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.0 = subtract(&self.0, &other.0, |x| x - 1, |x| x + 1);
    }

    /// True when the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        within(&self.0, port)
    }

    /// True when nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when everything is in the set.
    pub fn is_any(&self) -> bool {
        *self.0 == [(0, u16::MAX)]
    }

    /// The ranges, sorted and disjoint, ends included.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }
}

/// Ranges as bytes: what is read is held to what everything here relies on.
mod ranges {
    use super::{Deserialize, Ranges, Serialize};

    pub(super) fn serialize<T: Serialize, S: serde::Serializer>(
        ranges: &Ranges<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        ranges.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Ranges<T>, D::Error>
    where
        T: Deserialize<'de> + Ord + Copy,
        D: serde::Deserializer<'de>,
    {
        let ranges = Vec::<(T, T)>::deserialize(from)?;
        let ordered = ranges.iter().all(|(low, high)| low <= high);
        if ordered && ranges.is_sorted_by(|before, after| before.1 < after.0) {
            Ok(ranges.into())
        } else {
            Err(serde::de::Error::custom("ranges that are not in order"))
        }
    }
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    // Most sets are one or a few ranges; a linear look beats a binary search there.
    if ranges.len() <= 4 {
        return ranges
            .iter()
            .any(|&(low, high)| low <= value && value <= high);
    }
    let after = ranges.partition_point(|&(low, _)| low <= value);
    after.checked_sub(1).is_some_and(|at| value <= ranges[at].1)
}

/// Puts sorted ranges together and joins those for which `touches(end of one, start of the next)`.
fn merge<T: Ord + Copy>(
    one: &[(T, T)],
    other: &[(T, T)],
    touches: impl Fn(T, T) -> bool,
) -> Ranges<T> {
    let mut ranges = [one, other].concat();
    // Two sorted sets are two runs, which the stable sort merges in one go.
    ranges.sort();
    let mut kept: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for &(low, high) in ranges.iter() {
        match kept.last_mut() {
            Some(last) if touches(last.1, low) => last.1 = last.1.max(high),
            _ => kept.push((low, high)),
        }
    }
    kept.into()
}

/// `from` minus `take`, both sorted and disjoint. `before` and `after` are only called where a neighbour exists.
fn subtract<T: Ord + Copy>(
    from: &[(T, T)],
    take: &[(T, T)],
    before: impl Fn(T) -> T,
    after: impl Fn(T) -> T,
) -> Ranges<T> {
    let mut out = Vec::with_capacity(from.len());
    let mut take = take;
    for &(low, high) in from {
        // Rules can have lists of any length: what ends before this range is not looked at again.
        let done = take.iter().take_while(|&&(_, b)| b < low).count();
        take = take.get(done..).unwrap_or_default();
        let mut start = Some(low);
        for &(a, b) in take.iter().take_while(|&&(a, _)| a <= high) {
            let Some(at) = start else { break };
            if a > at {
                out.push((at, before(a)));
            }
            start = (b < high).then(|| after(b));
        }
        if let Some(at) = start {
            out.push((at, high));
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ports(ranges: &[(u16, u16)]) -> PortSet {
        let mut set = PortSet::none();
        for &(a, b) in ranges {
            set.union(&PortSet::range(a.min(b), a.max(b)).expect("ordered"));
        }
        set
    }

    proptest! {
        #[test]
        fn union_and_subtract_agree_with_membership(
            left in prop::collection::vec((0u16..300, 0u16..300), 0..8),
            right in prop::collection::vec((0u16..300, 0u16..300), 0..8),
        ) {
            let (a, b) = (ports(&left), ports(&right));
            let (mut union, mut difference) = (a.clone(), a.clone());
            union.union(&b);
            difference.subtract(&b);
            for port in 0..=301 {
                prop_assert_eq!(union.contains(port), a.contains(port) || b.contains(port));
                prop_assert_eq!(difference.contains(port), a.contains(port) && !b.contains(port));
            }
        }
    }

    #[test]
    fn long_lists_are_subtracted_from_long_lists() {
        let every = |first: u32, step: usize| {
            let mut set = AddrSet::none();
            set.v4 = (first..8_000_000)
                .step_by(step)
                .map(|at| (at, at))
                .collect();
            set
        };
        let mut set = every(0, 4);
        set.subtract(&every(0, 8));
        assert_eq!(set, every(4, 8));
    }

    #[test]
    fn high_bits_are_those_of_every_address_in_the_set() {
        let prefix = |text: &str, length| {
            AddrSet::prefix(text.parse().expect("address"), length).expect("prefix")
        };
        let mut set = prefix("10.1.0.0", 15);
        set.union(&prefix("10.0.7.0", 24));
        set.union(&prefix("2001:db8::", 32));
        assert_eq!(set.high_bits(4), Some(vec![0x0a00, 0x0a01, 0x2001]));
        assert_eq!(set.high_bits(3), Some(vec![0x0a00, 0x0a01, 0x2001]));
        assert_eq!(set.high_bits(2), None);
        assert_eq!(prefix("10.0.0.0", 8).high_bits(255), None);
        assert_eq!(
            prefix("10.0.0.0", 8).high_bits(256).map(|all| all.len()),
            Some(256)
        );
        assert_eq!(AddrSet::none().high_bits(0), Some(vec![]));
        assert_eq!(AddrSet::any().high_bits(65_535), None);
        for text in ["10.1.2.3", "10.0.7.9", "2001:db8::1"] {
            let address = text.parse().expect("address");
            assert!(set.contains(address));
            assert!(
                set.high_bits(4)
                    .is_some_and(|bits| bits.contains(&high_bits(address)))
            );
        }
    }

    #[test]
    fn the_ends_of_the_range_hold() {
        let mut set = PortSet::any();
        set.subtract(&PortSet::range(0, 0).expect("ordered"));
        set.subtract(&PortSet::range(u16::MAX, u16::MAX).expect("ordered"));
        assert!(!set.contains(0) && set.contains(1) && set.contains(65534) && !set.contains(65535));
        let mut all = AddrSet::any();
        all.subtract(&AddrSet::any());
        assert!(all.is_empty());
        let net = AddrSet::prefix("10.1.2.3".parse().expect("address"), 8).expect("prefix");
        assert!(net.contains("10.255.255.255".parse().expect("address")));
        assert!(!net.contains("11.0.0.0".parse().expect("address")));
        assert_eq!(
            AddrSet::prefix("::".parse().expect("address"), 0).map(|s| s.v6),
            Some(Arc::from([(0, u128::MAX)]))
        );
    }
}
