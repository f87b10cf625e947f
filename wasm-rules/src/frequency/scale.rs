//! Counts in a byte: rounded up to two significant bits after the leading one.

/// A count on a logarithmic scale. It is never less than what it stands for, and more by a quarter at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scaled(pub(super) u8);

/// Bits kept after the leading one.
const FRACTION: u32 = 2;

impl Scaled {
    /// The smallest code whose count is at least `count`.
    pub(super) fn up(count: u64) -> Self {
        // Counts below this have a code each.
        const EXACT: u64 = 2 << FRACTION;
        if count < EXACT {
            return Self(count as u8);
        }
        let shift = count.ilog2() - FRACTION;
        // 4 to 7, or 8 where rounding up reaches the next power of two: its code is the next one, too.
        let digits = (count >> shift) + u64::from(count.trailing_zeros() < shift);
        // At most 4 × 61 + 8 = 252.
        Self((u64::from(shift << FRACTION) + digits) as u8)
    }

    /// The count that the code stands for.
    pub(super) fn count(self) -> u64 {
        let shift = (u32::from(self.0) >> FRACTION).saturating_sub(1);
        let digits = u64::from(self.0) - u64::from(shift << FRACTION);
        digits.saturating_mul(1 << shift.min(63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_rounded_up_and_by_a_quarter_at_most() {
        let near_powers =
            (0..64).flat_map(|bit| (0..9).map(move |off| (1u64 << bit).saturating_add(off)));
        for count in (0..10_000)
            .chain(near_powers)
            .chain([u64::MAX - 1, u64::MAX])
        {
            let up = Scaled::up(count).count();
            assert!(up >= count, "{count} became {up}");
            assert!(up as f64 <= count as f64 * 1.25, "{count} became {up}");
            assert_eq!(Scaled::up(up), Scaled::up(count), "{count} by way of {up}");
        }
    }

    #[test]
    fn a_larger_count_has_no_smaller_code() {
        for code in 0..=u8::MAX - 1 {
            assert!(Scaled(code).count() <= Scaled(code + 1).count());
        }
    }
}
