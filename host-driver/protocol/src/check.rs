//! The checksum over table writes.

use crate::POLYNOMIAL;

/// What a write adds beside its place and its word: so that one of zeros counts, too.
pub const TABLE_CHECK_WRITE: u32 = 1 << 31;
/// Where the memory's number stands; the word's address is below.
pub const TABLE_CHECK_SELECT: u32 = 16;

/// Register [`TABLE_CHECK`](crate::register::TABLE_CHECK) after one more table write that was accepted.
///
/// The checksum is a signature as test circuits take it: a shift register with the feedback of CRC-32, one step for each write, to which
/// the write is added at all bits at once: the word XOR its address XOR the memory's number << 16 XOR 1 << 31. So it depends on
/// every bit and on the order, and what goes wrong at random is seen but for one time in 2^32.
///
/// ```
/// use card_protocol::{register::table, table_check};
///
/// // As the host writes them: the core must say the same of what has arrived.
/// let written = [(table::FILTER_2, 7, 0x0001_0400), (table::FILTER_2, 8, 0x8000_0000)];
/// let check = |writes: &[(u32, u32, u32)]| {
///     writes.iter().fold(0, |check, &(select, address, data)| table_check(check, select, address, data))
/// };
/// assert_ne!(check(&written), check(&[written[1], written[0]]));
/// ```
#[must_use]
pub const fn table_check(check: u32, select: u32, address: u32, data: u32) -> u32 {
    let feedback = if check & 1 == 1 { POLYNOMIAL } else { 0 };
    check >> 1 ^ feedback ^ data ^ address ^ select << TABLE_CHECK_SELECT ^ TABLE_CHECK_WRITE
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITES: usize = 100;

    fn of(writes: impl IntoIterator<Item = [u32; 3]>) -> u32 {
        writes
            .into_iter()
            .fold(0, |check, [select, address, data]| {
                table_check(check, select, address, data)
            })
    }

    fn some() -> [[u32; 3]; WRITES] {
        core::array::from_fn(|i| {
            let i = i as u32;
            [i % 64, i * 37 % 8192, i.wrapping_mul(0x9E37_79B9)]
        })
    }

    #[test]
    fn its_value_stays() {
        assert_eq!(table_check(0, 0, 0, 0), 0x8000_0000);
        assert_eq!(table_check(1, 2, 3, 4), 0x6DBA_8327);
        assert_eq!(of(some()), 0x950A_C41F);
    }

    #[test]
    fn every_bit_and_the_order_count() {
        let good = some();
        let check = of(good);
        for at in 0..WRITES {
            // What a memory's number, an address and a word have at most.
            for (part, bits) in [(0, 6), (1, 16), (2, 32)] {
                for bit in 0..bits {
                    let mut other = good;
                    other[at][part] ^= 1 << bit;
                    assert_ne!(of(other), check, "write {at}, part {part}, bit {bit}");
                }
            }
            let less = good[..at].iter().chain(&good[at + 1..]);
            assert_ne!(of(less.copied()), check, "without write {at}");
            let twice = good[..=at].iter().chain(&good[at..]);
            assert_ne!(of(twice.copied()), check, "write {at} twice");
            for other in 0..at {
                let mut swapped = good;
                (swapped[at][2], swapped[other][2]) = (good[other][2], good[at][2]);
                assert_ne!(of(swapped), check, "words of {other} and {at} swapped");
            }
        }
    }
}
